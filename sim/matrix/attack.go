package matrix

import (
	"github.com/choir-fl/choir/sim"
	"github.com/choir-fl/choir/sim/adversary"
)

// none is the attack that there is not.
const none = "none"

// attack is one column.
type attack struct {
	name string // as written
	spec string // in the one way that package adversary writes it
	adversary.Attack
}

// parseAttack reads an attack.
func parseAttack(name string) (attack, error) {
	a, err := adversary.Parse(name)
	return attack{name, a.String(), a}, err
}

// enter makes a share of a simulation's clients attack.
func (a attack) enter(cfg *sim.Config, share float64) {
	if a.spec != none {
		cfg.Adversary = sim.Adversary{Attack: a.Attack, Byzantine: share}
	}
}
