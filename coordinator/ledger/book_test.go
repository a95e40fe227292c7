package ledger

import (
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

func TestAttemptIsChargedFromItsReservationOn(t *testing.T) {
	log := newMemory()
	b := mustOpen(t, log, fleet)
	spent := func() float64 {
		epsilon, ok := b.Spent(dp.ObserverReleases)
		require.True(t, ok)
		return epsilon
	}
	require.Zero(t, spent())
	reserved := gaussian(t, 4, 0.04)
	require.NoError(t, b.Room("job", reserved))
	require.NoError(t, b.Reserve(attempt(1), thePlan, reserved))
	worst := spent()
	require.Positive(t, worst)

	actual := gaussian(t, 5, 0.04)
	require.NoError(t, b.Commit(attempt(1), actual, bytesA))
	require.Less(t, spent(), worst)
	require.Positive(t, spent())

	require.NoError(t, b.Reserve(attempt(2), thePlan, reserved))
	require.Greater(t, spent(), worst)
	committed := spent()
	require.NoError(t, b.Void(attempt(2)))
	require.Less(t, spent(), committed)

	again, err := Load(log, segment)
	require.NoError(t, err)
	require.Equal(t, state(b), state(again))
	reopened := mustOpen(t, log, fleet)
	require.Equal(t, b.Entries(), reopened.Entries())
	require.Equal(t, []State{Committed, Voided}, []State{b.Entries()[0].State, b.Entries()[1].State})
	require.Equal(t, bytesA, b.Entries()[0].Released)
	require.Equal(t, actual.encoded(), b.Entries()[0].Charge.encoded())
	one, ok := b.Entry(attempt(2))
	require.True(t, ok)
	require.Equal(t, b.Entries()[1], one)
	_, ok = b.Entry(attempt(3))
	require.False(t, ok)
}

// The calls of an engine that repeats itself after a crash.
func TestRepeatingACallWritesNothing(t *testing.T) {
	b := mustOpen(t, newMemory(), fleet)
	c := gaussian(t, 4, 1)
	for _, call := range []func() error{
		func() error { return b.Reserve(attempt(1), thePlan, c) },
		func() error { return b.Commit(attempt(1), c, bytesA) },
		func() error { return b.Reserve(attempt(2), thePlan, c) },
		func() error { return b.Void(attempt(2)) },
		b.Retire,
	} {
		require.NoError(t, call())
		before := state(b)
		require.NoError(t, call())
		require.Equal(t, before, state(b))
	}
}

func TestAttemptOnRecordTakesNothingElse(t *testing.T) {
	b := mustOpen(t, newMemory(), fleet)
	c, weaker, stronger := gaussian(t, 4, 1), gaussian(t, 3, 1), gaussian(t, 5, 1)
	require.NoError(t, b.Reserve(attempt(1), thePlan, c))
	require.NoError(t, b.Reserve(attempt(2), thePlan, c))
	require.NoError(t, b.Reserve(attempt(3), thePlan, c))
	require.NoError(t, b.Commit(attempt(2), c, bytesA))
	require.NoError(t, b.Void(attempt(3)))
	extra, capped, blind := c, c, c
	extra.Delta, capped.Participations, blind.Rosters = 1e-9, 2, dp.Event{}
	for name, test := range map[string]struct {
		call func() error
		want error
	}{
		"a reservation under another plan":      {func() error { return b.Reserve(attempt(1), bytesA, c) }, ErrConflict},
		"a reservation with less noise":         {func() error { return b.Reserve(attempt(1), thePlan, weaker) }, ErrConflict},
		"a reservation with more noise":         {func() error { return b.Reserve(attempt(1), thePlan, stronger) }, ErrConflict},
		"a reservation of a released attempt":   {func() error { return b.Reserve(attempt(2), thePlan, c) }, ErrConflict},
		"a reservation of a void attempt":       {func() error { return b.Reserve(attempt(3), thePlan, c) }, ErrConflict},
		"a release with less noise":             {func() error { return b.Commit(attempt(1), weaker, bytesA) }, ErrCharge},
		"a release with more delta":             {func() error { return b.Commit(attempt(1), extra, bytesA) }, ErrCharge},
		"a release with another bound":          {func() error { return b.Commit(attempt(1), capped, bytesA) }, ErrCharge},
		"a release that forgets the rosters":    {func() error { return b.Commit(attempt(1), blind, bytesA) }, ErrCharge},
		"a release of nothing":                  {func() error { return b.Commit(attempt(1), c, secagg.Digest{}) }, ErrCharge},
		"a release without reservation":         {func() error { return b.Commit(attempt(9), c, bytesA) }, ErrUnknown},
		"a release of a void attempt":           {func() error { return b.Commit(attempt(3), c, bytesA) }, ErrConflict},
		"other bytes of a release":              {func() error { return b.Commit(attempt(2), c, bytesB) }, ErrConflict},
		"the same bytes with less noise":        {func() error { return b.Commit(attempt(2), weaker, bytesA) }, ErrCharge},
		"voiding a release":                     {func() error { return b.Void(attempt(2)) }, ErrConflict},
		"voiding what was never reserved":       {func() error { return b.Void(attempt(9)) }, ErrUnknown},
		"a reservation for no plan":             {func() error { return b.Reserve(attempt(9), secagg.Digest{}, c) }, ErrCharge},
		"a reservation of round 0":              {func() error { return b.Reserve(attempt(0), thePlan, c) }, ErrCharge},
		"a reservation of a job without a name": {func() error { return b.Reserve(secagg.RoundID{Round: 1, Attempt: 1}, thePlan, c) }, ErrCharge},
	} {
		t.Run(name, func(t *testing.T) {
			before := state(b)
			require.ErrorIs(t, test.call(), test.want)
			require.Equal(t, before, state(b), "a refusal changes nothing")
		})
	}
}

func TestChargesThatMeanNothingAreRefused(t *testing.T) {
	b := mustOpen(t, newMemory(), fleet)
	good := gaussian(t, 4, 0.04)
	s := good.Rosters.Spec()
	s.Relation = dp.ReplaceOne
	other := event(t, s)
	s = good.Rosters.Spec()
	s.StdDev = 1e-200
	bare := event(t, s)
	huge := good.Released.Spec()
	huge.Mechanism, huge.StdDev = dp.DiscreteGaussian, 0
	huge.Variance = discrete(t, longVariance()).Released.Spec().Variance
	for name, change := range map[string]func(c *Charge){
		"no event":                   func(c *Charge) { c.Released = dp.Event{} },
		"no event for the rosters":   func(c *Charge) { c.Rosters = dp.Event{} },
		"rosters with sampling":      func(c *Charge) { c.Rosters = c.Released },
		"another relation":           func(c *Charge) { c.Released = other },
		"rosters' other relation":    func(c *Charge) { c.Rosters = other },
		"negative delta":             func(c *Charge) { c.Delta = -1e-9 },
		"delta of 1":                 func(c *Charge) { c.Delta = 1 },
		"delta not a number":         func(c *Charge) { c.Delta = math.NaN() },
		"negative participations":    func(c *Charge) { c.Participations = -1 },
		"an infinite price":          func(c *Charge) { c.Rosters = bare },
		"a variance of 5000 bits":    func(c *Charge) { c.Released = event(t, huge) },
		"many participations indeed": func(c *Charge) { c.Participations = math.MaxInt },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			change(&c)
			before := state(b)
			require.ErrorIs(t, b.Room("job", c), ErrCharge)
			require.ErrorIs(t, b.Reserve(attempt(1), thePlan, c), ErrCharge)
			require.Equal(t, before, state(b))
		})
	}
	require.NoError(t, b.Reserve(attempt(1), thePlan, good))
}

func TestEventThatNobodyCanPriceIsRefused(t *testing.T) {
	g := fleet
	g.Relation = dp.ReplaceOne
	b := mustOpen(t, newMemory(), g)
	c := gaussian(t, 4, 0.04)
	released, rosters := c.Released.Spec(), c.Rosters.Spec()
	released.Relation, rosters.Relation = dp.ReplaceOne, dp.ReplaceOne
	c.Rosters = event(t, rosters)
	c.Released = event(t, released)
	before := state(b)
	err := b.Reserve(attempt(1), thePlan, c)
	require.ErrorIs(t, err, ErrCharge)
	require.ErrorIs(t, err, account.ErrUnsupported)
	require.Equal(t, before, state(b))
	c.Released = c.Rosters
	require.NoError(t, b.Reserve(attempt(1), thePlan, c))
}

// The cost is finite at one order and, counted, beyond float64 for an observer without a
// budget, whom nothing else stops: written down, it could not be read again.
func TestCostBeyondAllNumbersIsNotWritten(t *testing.T) {
	g := fleet
	g.Rosters = Budget{}
	log := newMemory()
	b := mustOpen(t, log, g)
	c := gaussian(t, 4, 0.04)
	s := c.Rosters.Spec()
	s.StdDev, s.Count = 1e-150, dp.MaxCount
	c.Rosters = event(t, s)
	require.ErrorIs(t, b.Reserve(attempt(1), thePlan, c), ErrCharge)
	_, err := Load(log, segment)
	require.NoError(t, err)
}

func TestBudgetIsRefusedBeforeItIsPassedForEachObserver(t *testing.T) {
	for name, test := range map[string]struct {
		change func(g *Genesis)
		charge func() Charge
	}{
		"releases": {func(g *Genesis) { g.Rosters = Budget{} }, func() Charge { return gaussian(t, 8, 1) }},
		"rosters":  {func(g *Genesis) { g.Rosters.Epsilon = 6 }, func() Charge { return gaussian(t, 8, 0.01) }},
		"slack": {func(g *Genesis) {}, func() Charge {
			c := gaussian(t, 100, 0.04)
			c.Delta = 0.99e-7
			return c
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := fleet
			test.change(&g)
			log := newMemory()
			b := mustOpen(t, log, g)
			c := test.charge()
			n := 0
			for ; b.Room("job", c) == nil; n++ {
				require.NoError(t, b.Reserve(attempt(n+1), thePlan, c))
				require.Less(t, n, 1000)
			}
			require.Positive(t, n)
			before, records := state(b), len(log.records[segment])
			err := b.Reserve(attempt(n+1), thePlan, c)
			require.ErrorIs(t, err, ErrBudget)
			require.Equal(t, fault.Refused, fault.ClassOf(err))
			require.Equal(t, before, state(b))
			require.Len(t, log.records[segment], records)
			for _, o := range observers {
				if budget := g.budget(o); budget.stated() {
					epsilon, ok := b.Spent(o)
					require.True(t, ok)
					require.LessOrEqual(t, epsilon, budget.Epsilon)
				}
			}
			if name == "slack" {
				require.Equal(t, 10, n)
			}
			require.NoError(t, b.Void(attempt(n)))
			require.NoError(t, b.Reserve(attempt(n+1), thePlan, c), "what is lifted can be spent")
			_, err = Load(log, segment)
			require.NoError(t, err)
		})
	}
}

// account.Filter is the same bound, kept as a running sum.
func TestAsManyAttemptsFitAsTheFilterOfTheAccountantAdmits(t *testing.T) {
	g := fleet
	g.Rosters, g.Slack = Budget{}, 0
	for _, sigma := range []float64{3, 7.7} {
		f, err := account.NewRDPFilter(g.Relation, g.Releases.Order, g.Releases.Epsilon, g.Delta)
		require.NoError(t, err)
		b := mustOpen(t, newMemory(), g)
		c := gaussian(t, sigma, 1)
		want, got := 0, 0
		for f.Charge(c.Released) == nil {
			want++
		}
		for b.Reserve(attempt(got+1), thePlan, c) == nil {
			got++
		}
		require.Equal(t, want, got)
		require.Greater(t, got, 5)
	}
}

func TestSlackIsTakenFromTheDeltaOfTheFilter(t *testing.T) {
	count := func(slack float64) (n int) {
		g := fleet
		g.Rosters, g.Slack = Budget{}, slack
		b := mustOpen(t, newMemory(), g)
		for b.Reserve(attempt(n+1), thePlan, gaussian(t, 8, 1)) == nil {
			n++
		}
		return n
	}
	require.Less(t, count(0.9e-5), count(0))
}

func TestJobsOfAPopulationShareItsBudget(t *testing.T) {
	b := mustOpen(t, newMemory(), fleet)
	c := gaussian(t, 8, 1)
	one, two := secagg.RoundID{Job: "one", Round: 1, Attempt: 1}, secagg.RoundID{Job: "two", Round: 1, Attempt: 1}
	require.NoError(t, b.Reserve(one, thePlan, c))
	require.NoError(t, b.Reserve(two, thePlan, c))
	for _, o := range observers {
		all, ok := b.Spent(o)
		require.True(t, ok)
		for _, job := range []string{"one", "two"} {
			alone, ok := b.SpentBy(job, o)
			require.True(t, ok)
			require.Positive(t, alone)
			require.Less(t, alone, all)
		}
		none, ok := b.SpentBy("three", o)
		require.True(t, ok)
		require.Zero(t, none)
	}
	n := 0
	for ; b.Reserve(secagg.RoundID{Job: "one", Round: uint32(n + 2), Attempt: 1}, thePlan, c) == nil; n++ {
		require.Less(t, n, 1000)
	}
	require.ErrorIs(t, b.Room("two", c), ErrBudget)
}

// Each of several engines finds the budget that is really left.
func TestBookIsSafeForConcurrentUse(t *testing.T) {
	g := fleet
	g.Rosters = Budget{}
	log := newMemory()
	b := mustOpen(t, log, g)
	c := gaussian(t, 8, 1)
	var jobs sync.WaitGroup
	for _, job := range []string{"a", "b", "c", "d"} {
		jobs.Go(func() {
			for round := uint32(1); ; round++ {
				id := secagg.RoundID{Job: job, Round: round, Attempt: 1}
				if b.Reserve(id, thePlan, c) != nil {
					return
				}
				_ = b.Commit(id, c, bytesA)
				b.Spent(dp.ObserverReleases)
				b.Head()
				b.Entries()
			}
		})
	}
	jobs.Wait()
	alone, n := mustOpen(t, newMemory(), g), 0
	for alone.Reserve(attempt(n+1), thePlan, c) == nil {
		n++
	}
	require.Len(t, b.Entries(), n)
	_, err := Load(log, segment)
	require.NoError(t, err)
}

func TestWhoeverSawALaterLedgerNoticesThatItWasRolledBack(t *testing.T) {
	log := newMemory()
	b := mustOpen(t, log, fleet)
	require.NoError(t, b.NotOlder(0, secagg.Digest{}))
	require.NoError(t, b.NotOlder(b.Head()))
	earlier, early := b.Head()
	require.NoError(t, b.Reserve(attempt(1), thePlan, gaussian(t, 4, 1)))
	require.NoError(t, b.NotOlder(earlier, early))
	count, digest := b.Head()
	require.ErrorIs(t, b.NotOlder(count, early), ErrRolledBack)
	require.ErrorIs(t, b.NotOlder(0, early), ErrRolledBack)

	old := &memory{map[string][][]byte{segment: log.records[segment][:earlier]}}
	restored, err := Load(old, segment)
	require.NoError(t, err, "by itself it is sound")
	require.ErrorIs(t, restored.NotOlder(count, digest), ErrRolledBack)
	grown := mustOpen(t, old, fleet)
	require.NoError(t, grown.Reserve(attempt(2), thePlan, gaussian(t, 4, 1)))
	require.ErrorIs(t, grown.NotOlder(count, digest), ErrRolledBack, "long enough, and another")
}

func TestBookThatWasOvertakenWritesNothing(t *testing.T) {
	log := newMemory()
	first := mustOpen(t, log, fleet)
	require.NoError(t, first.Reserve(attempt(1), thePlan, gaussian(t, 4, 1)))
	second := mustOpen(t, log, fleet)
	records := len(log.records[segment])
	for _, call := range []func() error{
		func() error { return first.Reserve(attempt(2), thePlan, gaussian(t, 4, 1)) },
		func() error { return first.Commit(attempt(1), gaussian(t, 4, 1), bytesA) },
		func() error { return first.Void(attempt(1)) },
		first.Retire,
	} {
		require.ErrorIs(t, call(), ErrFenced)
		require.Len(t, log.records[segment], records)
	}
	require.NoError(t, second.Void(attempt(1)))
}

func TestRetiredLedgerTakesNothingMore(t *testing.T) {
	log := newMemory()
	b := mustOpen(t, log, fleet)
	require.NoError(t, b.Reserve(attempt(1), thePlan, gaussian(t, 4, 1)))
	spent, _ := b.Spent(dp.ObserverReleases)
	require.NoError(t, b.Retire())
	require.ErrorIs(t, b.Reserve(attempt(2), thePlan, gaussian(t, 4, 1)), ErrRetired)
	require.ErrorIs(t, b.Void(attempt(1)), ErrRetired)
	_, err := Open(log, segment, fleet)
	require.ErrorIs(t, err, ErrRetired)
	loaded, err := Load(log, segment)
	require.NoError(t, err)
	require.True(t, loaded.Retired())
	still, ok := loaded.Spent(dp.ObserverReleases)
	require.True(t, ok)
	require.Equal(t, spent, still)
}

func TestLoadedBookCannotBeWrittenTo(t *testing.T) {
	log := newMemory()
	mustOpen(t, log, fleet)
	before := len(log.records[segment])
	b, err := Load(log, segment)
	require.NoError(t, err)
	c := gaussian(t, 4, 1)
	for _, err := range []error{b.Room("job", c), b.Reserve(attempt(1), thePlan, c), b.Commit(attempt(1), c, bytesA), b.Void(attempt(1)), b.Retire()} {
		require.ErrorIs(t, err, ErrReadOnly)
	}
	require.Len(t, log.records[segment], before)
}

func TestNoEpsilonIsStatedForRostersWithoutEvents(t *testing.T) {
	g := fleet
	g.Rosters = Budget{}
	b := mustOpen(t, newMemory(), g)
	_, ok := b.Spent(dp.ObserverCoordinator)
	require.False(t, ok, "nobody promised anything")
	require.NoError(t, b.Reserve(secagg.RoundID{Job: "told", Round: 1, Attempt: 1}, thePlan, gaussian(t, 4, 1)))
	told, ok := b.Spent(dp.ObserverCoordinator)
	require.True(t, ok)
	require.Positive(t, told)
	c := gaussian(t, 4, 1)
	c.Rosters = dp.Event{}
	require.NoError(t, b.Reserve(attempt(1), thePlan, c))
	_, ok = b.Spent(dp.ObserverCoordinator)
	require.False(t, ok, "what is not stated is not nothing")
	alone, ok := b.SpentBy("told", dp.ObserverCoordinator)
	require.True(t, ok)
	require.Equal(t, told, alone)
	_, ok = b.SpentBy("job", dp.ObserverCoordinator)
	require.False(t, ok)
	require.NoError(t, b.Void(attempt(1)))
	again, ok := b.Spent(dp.ObserverCoordinator)
	require.True(t, ok)
	require.Equal(t, told, again)
	for _, o := range []dp.Observer{0, 3} {
		_, ok = b.Spent(o)
		require.False(t, ok)
		_, ok = b.Left(o)
		require.False(t, ok)
	}
}

func TestFullLedgerReservesNothing(t *testing.T) {
	log := newMemory()
	b := mustOpen(t, log, fleet)
	c := gaussian(t, 4, 1)
	require.NoError(t, b.Reserve(attempt(1), thePlan, c))
	records := len(log.records[segment])
	b.hashes = make([]secagg.Digest, maxRecords)
	err := b.Reserve(attempt(2), thePlan, c)
	require.ErrorIs(t, err, ErrFull)
	require.Equal(t, fault.Exhausted, fault.ClassOf(err), "which ends the run")
	require.Len(t, log.records[segment], records)
	require.NoError(t, b.Reserve(attempt(1), thePlan, c), "it is on record")
}

func TestEventsWithoutSamplingCountNoMoreOftenThanAClientTakesPart(t *testing.T) {
	released := func(participations int) float64 {
		b, err := Open(newMemory(), segment, fleet)
		require.NoError(t, err)
		c := gaussian(t, 5, 1)
		c.Released, c.Participations = c.Rosters, participations
		for round := 1; round <= 4; round++ {
			require.NoError(t, b.Reserve(attempt(round), thePlan, c))
		}
		spent, ok := b.Spent(dp.ObserverReleases)
		require.True(t, ok)
		return spent
	}
	require.Less(t, released(1), released(3))
	require.Less(t, released(3), released(0))
	require.Equal(t, released(4), released(0))
}
