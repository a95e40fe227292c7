package ledger

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
)

func TestGenesisThatCannotBeEnforcedIsRefused(t *testing.T) {
	for name, change := range map[string]func(g *Genesis){
		"no population":         func(g *Genesis) { g.Population = "" },
		"a path":                func(g *Genesis) { g.Population = "../fleet" },
		"unit example":          func(g *Genesis) { g.Unit = dp.UnitExample },
		"no relation":           func(g *Genesis) { g.Relation = 0 },
		"no clients":            func(g *Genesis) { g.Clients = 0 },
		"delta 0":               func(g *Genesis) { g.Delta, g.Slack = 0, 0 },
		"delta 1":               func(g *Genesis) { g.Delta = 1 },
		"delta not a number":    func(g *Genesis) { g.Delta = math.NaN() },
		"slack negative":        func(g *Genesis) { g.Slack = -1e-9 },
		"slack of all of delta": func(g *Genesis) { g.Slack = g.Delta },
		"slack not a number":    func(g *Genesis) { g.Slack = math.NaN() },
		"no epsilon":            func(g *Genesis) { g.Releases = Budget{} },
		"epsilon negative":      func(g *Genesis) { g.Releases.Epsilon = -1 },
		"epsilon infinite":      func(g *Genesis) { g.Releases.Epsilon = math.Inf(1) },
		"epsilon not a number":  func(g *Genesis) { g.Rosters.Epsilon = math.NaN() },
		"no order":              func(g *Genesis) { g.Releases.Order = 0 },
		"no such order":         func(g *Genesis) { g.Rosters.Order = 1.07 },
		"order too large":       func(g *Genesis) { g.Releases.Order = 1025 },
		"nothing allowed":       func(g *Genesis) { g.Releases = Budget{Epsilon: 0.1, Order: 2} },
	} {
		t.Run(name, func(t *testing.T) {
			g, log := fleet, newMemory()
			change(&g)
			_, err := Open(log, segment, g)
			require.ErrorIs(t, err, ErrGenesis)
			require.Empty(t, log.records)
		})
	}
}

func TestPopulationKeepsTheBudgetItBeganWith(t *testing.T) {
	log := newMemory()
	b := mustOpen(t, log, fleet)
	require.Equal(t, fleet, b.Genesis())
	before := len(log.records[segment])
	for name, change := range map[string]func(g *Genesis){
		"relation":           func(g *Genesis) { g.Relation = dp.AddRemove },
		"number of clients":  func(g *Genesis) { g.Clients++ },
		"delta":              func(g *Genesis) { g.Delta *= 2 },
		"slack":              func(g *Genesis) { g.Slack /= 2 },
		"budget of releases": func(g *Genesis) { g.Releases.Epsilon++ },
		"budget of rosters":  func(g *Genesis) { g.Rosters = Budget{} },
		"population":         func(g *Genesis) { g.Population = "other" },
	} {
		g := fleet
		change(&g)
		_, err := Open(log, segment, g)
		require.ErrorIs(t, err, ErrOtherBudget)
		require.ErrorContains(t, err, name)
	}
	require.Len(t, log.records[segment], before)
	require.NoError(t, b.Reserve(attempt(1), thePlan, gaussian(t, 4, 1)))
	g := fleet
	g.Population = "another"
	c := mustOpen(t, log, g)
	require.Empty(t, c.Entries())
}
