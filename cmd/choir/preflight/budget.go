package preflight

import (
	"errors"
	"sort"

	"github.com/choir-fl/choir/coordinator/ledger"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/choir-fl/choir/dp"
)

// budgetOf asks a ledger, as the plan would begin one, how many attempts it admits.
func budgetOf(p plan.Plan) (Budget, error) {
	g := p.Genesis()
	out := Budget{Released: g.Releases.Epsilon}
	if g.Rosters.Epsilon > 0 {
		out.Coordinator = pointer(g.Rosters.Epsilon)
	}
	var err error
	if out.Attempts, err = admitted(p, g); err != nil {
		return Budget{}, err
	}
	g.Rosters = ledger.Budget{}
	out.AttemptsReleased, err = admitted(p, g)
	return out, err
}

// admitted is the number of attempts, at most rounds times attempts, that a ledger which
// begins with g has room for.
func admitted(p plan.Plan, g ledger.Genesis) (int, error) {
	disk, err := mem.New(0).Open()
	if err != nil {
		return 0, err
	}
	defer disk.Close()
	book, err := ledger.Open(disk.Journal, ledger.Segment(g.Population), g)
	if err != nil {
		return 0, err
	}
	var broken error
	n := sort.Search(p.Rounds()*p.Attempts(), func(i int) bool {
		c, err := times(p.Charge(), int64(i)+1)
		if err == nil {
			err = book.Room(p.Job(), c)
		}
		if err != nil && !errors.Is(err, ledger.ErrBudget) {
			broken = err
		}
		return err != nil
	})
	return n, broken
}

// times is what so many attempts are charged together.
func times(c ledger.Charge, n int64) (out ledger.Charge, err error) {
	out = c
	out.Delta *= float64(n)
	if out.Released, err = c.Released.Times(counted(c, c.Released, n)); err == nil && c.Rosters.Valid() {
		out.Rosters, err = c.Rosters.Times(counted(c, c.Rosters, n))
	}
	return out, err
}

// counted is how many of n attempts cost one client. No client is in more than the charge
// says; but where coins hide who was, each attempt costs everybody.
func counted(c ledger.Charge, e dp.Event, n int64) int64 {
	if c.Participations > 0 && e.Spec().Sampling.Mode == dp.SamplingNone {
		return min(n, int64(c.Participations))
	}
	return n
}
