package adversary

import "math/rand/v2"

// Known is what the attackers of a cohort know when they craft their updates. All vectors
// are updates, local model minus global, of one length of at least 1, clipped as honest
// clients clip. Nothing in it is changed but Memory and the state of Coins.
type Known struct {
	Round              uint32
	Clients, Byzantine int // n and f of the cohort; Byzantine is the length of Own

	// Honest are the updates of the cohort's honest clients. Attacks with knowledge=own
	// do not look at it; those with knowledge=all refuse, with ErrKnown, if it is empty.
	Honest [][]float32
	// Own is what each attacker would have sent were it honest, trained on what
	// [Attack.Data] made of its data.
	Own [][]float32
	// HonestIDs and OwnIDs say whose the rows of Honest and Own are, with the same number
	// in every round; nil takes their places. Only the attacks with a memory use them.
	HonestIDs, OwnIDs []int

	Global   []float32 // the model of the round; no attack needs it, as updates are differences
	Step     []float32 // what the last round added to the model; nil in the first
	ClipNorm float64   // what honest clients clip to; no attack needs it

	// Aggregate applies the plan's rule, at the coordinator's view, to the updates of n
	// clients, the attackers' last. It must not change or keep them. Nil if the plan has no rule over
	// vectors, and then opt-alie and opt-ipm refuse.
	Aggregate func(updates [][]float32) ([]float64, error)
	// Memory is what the attackers of a run carry from round to round: needed by replay
	// with of=own and mimic with warmup.
	Memory *Memory
	// Coins are drawn from in an order that depends on Known alone.
	Coins *rand.Rand
}

// Memory is what attackers carry from round to round. The zero value has seen nothing.
// One belongs to one run and is not safe for concurrent use; crafting for the same
// round again, as for a second attempt, does not make it older.
type Memory struct {
	first map[int]remembered // by attacker: the first update it would have sent
	mimic watch
}

type remembered struct {
	round  uint32
	update []float32
}

// check refuses what contradicts itself.
func (k Known) check(a Attack) error {
	if k.Byzantine != len(k.Own) || k.Clients < k.Byzantine {
		return ErrKnown.At("attack %s, round %d: %d own updates for %d attackers among %d clients", a.Name(), k.Round, len(k.Own), k.Byzantine, k.Clients)
	}
	if k.Coins == nil {
		return ErrKnown.At("attack %s, round %d: no coins", a.Name(), k.Round)
	}
	if a.Omniscient() && len(k.Honest) == 0 {
		return ErrKnown.At("attack %s, round %d: knowledge=all, and no honest update", a.Name(), k.Round)
	}
	if k.HonestIDs != nil && len(k.HonestIDs) != len(k.Honest) || k.OwnIDs != nil && len(k.OwnIDs) != len(k.Own) {
		return ErrKnown.At("attack %s, round %d: not one name for each update", a.Name(), k.Round)
	}
	rows := append(append([][]float32(nil), k.Own...), k.Honest...)
	if k.Step != nil {
		rows = append(rows, k.Step)
	}
	for _, row := range rows {
		if len(row) == 0 || len(row) != len(rows[0]) {
			return ErrKnown.At("attack %s, round %d: vectors of %d and %d values", a.Name(), k.Round, len(rows[0]), len(row))
		}
	}
	return nil
}

// seen are the updates that the attack may look at.
func (k Known) seen(a Attack) [][]float32 {
	if a.Omniscient() {
		return k.Honest
	}
	return k.Own
}

// spread is seen, where an attack needs a deviation.
func (k Known) spread(a Attack) ([][]float32, error) {
	rows := k.seen(a)
	if len(rows) < 2 {
		return nil, ErrAlone.At("attack %s, round %d", a.Name(), k.Round)
	}
	return rows, nil
}

// honest are the updates of the cohort's honest clients as far as the attackers can tell:
// what they see, or else their own and, for the clients that are left, draws from a
// normal distribution with their own updates' mean and deviation at each coordinate.
func (k Known) honest(a Attack) ([][]float32, error) {
	rows, err := k.spread(a)
	if err != nil || a.Omniscient() {
		return rows, err
	}
	n := k.Clients - k.Byzantine
	if n <= len(rows) {
		return rows[:max(n, min(2, len(rows)))], nil
	}
	centre := mean(rows)
	std := deviation(rows, centre)
	rows = append([][]float32(nil), rows...)
	for len(rows) < n {
		row := make([]float32, len(centre))
		for j := range row {
			row[j] = float32(centre[j] + float64(std[j]*k.Coins.NormFloat64()))
		}
		rows = append(rows, row)
	}
	return rows, nil
}
