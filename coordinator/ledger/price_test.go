package ledger

import (
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
	"github.com/choir-fl/choir/secagg"
)

func longVariance() *big.Rat {
	return new(big.Rat).SetFrac(new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 5000), big.NewInt(1)), new(big.Int).Lsh(big.NewInt(1), 4980))
}

// A spend below the last digit of the sum was lost in another ledger, which then never
// ran out. Each event here costs 1e-17 beside a spend of 1, and a billion of them are asked for.
func TestNoSpendIsTooSmallToCount(t *testing.T) {
	g := fleet
	g.Rosters, g.Slack = Budget{}, 0
	g.Releases = Budget{Epsilon: 0, Order: 2}
	floor := -Budget{Order: 2}.limit(g.Delta) // what an epsilon must have before anything is allowed
	large := gaussian(t, 1, 1)                // order/(2 sigma^2) = 1
	tiny := func(count int64) Charge {
		s := gaussian(t, math.Sqrt(1e17), 1).Released.Spec()
		s.Count = count
		return Charge{Released: event(t, s)}
	}
	large.Rosters = dp.Event{}
	g.Releases.Epsilon = floor + 1 + 5e-9 // room for half a billion
	log := newMemory()
	b := mustOpen(t, log, g)
	require.NoError(t, b.Reserve(attempt(1), thePlan, large))
	n := int64(0)
	for round := 2; b.Reserve(attempt(round), thePlan, tiny(1e6)) == nil; round++ {
		n += 1e6
		require.LessOrEqual(t, n, int64(1e9), "the budget never runs out")
	}
	require.InEpsilon(t, 5e8, float64(n), 0.01)
	require.ErrorIs(t, b.Room("job", tiny(1e9)), ErrBudget, "as one event")
	_, err := Load(log, segment)
	require.NoError(t, err)
}

func TestEventWhosePriceIsBelowAllNumbersStillCosts(t *testing.T) {
	b := mustOpen(t, newMemory(), Genesis{Population: "fleet", Unit: dp.UnitClient, Relation: dp.ZeroOut, Clients: 10, Delta: 1e-5, Releases: Budget{Epsilon: 3, Order: 16}})
	c := gaussian(t, 1e170, 1) // its square is infinite
	require.NoError(t, b.Reserve(attempt(1), thePlan, c))
	require.Positive(t, b.balance.compared(0).Sign())
}

func TestPriceThatIsNoneIsRefused(t *testing.T) {
	for _, p := range []float64{math.NaN(), -1, math.Inf(-1)} {
		a := renyi()
		a.price = func(orders []float64, _ dp.Event) ([]float64, error) {
			return slices.Repeat([]float64{p}, len(orders)), nil
		}
		b, err := open(newMemory(), segment, fleet, a)
		require.NoError(t, err)
		require.ErrorIs(t, b.Reserve(attempt(1), thePlan, gaussian(t, 8, 1)), ErrCharge, "%g", p)
		require.Empty(t, b.Entries())
	}
}

// Sums are exact whatever their order, so a charge that was lifted leaves nothing behind.
func TestLiftingAChargeLeavesNothingBehind(t *testing.T) {
	b := mustOpen(t, newMemory(), fleet)
	before := state(b)
	charges := []Charge{gaussian(t, 1e9, 1), gaussian(t, 8, 1), gaussian(t, 77, 0.3), discrete(t, big.NewRat(1e8+1, 3))}
	for i, c := range charges {
		require.NoError(t, b.Reserve(attempt(i+1), thePlan, c))
	}
	for _, i := range []int{2, 0, 3, 1} {
		require.NoError(t, b.Void(attempt(i+1)))
	}
	require.Zero(t, b.balance.delta.Sign())
	require.Equal(t, [2]map[group]int64{{}, {}}, b.balance.charges)
	for _, o := range observers {
		epsilon, ok := b.Spent(o)
		require.True(t, ok)
		require.Zero(t, epsilon)
	}
	require.NotEqual(t, before, state(b))
}

func TestEpsilonIsThatOfTheAccountantForAllEventsTogether(t *testing.T) {
	b := mustOpen(t, newMemory(), fleet)
	var released, rosters []dp.Event
	for i, c := range []Charge{gaussian(t, 8, 0.04), gaussian(t, 8, 0.04), gaussian(t, 9, 0.02), discrete(t, big.NewRat(64e6, 1))} {
		require.NoError(t, b.Reserve(attempt(i+1), thePlan, c))
		released, rosters = append(released, c.Released), append(rosters, c.Rosters)
	}
	for o, events := range map[dp.Observer][]dp.Event{dp.ObserverReleases: released, dp.ObserverCoordinator: rosters} {
		want, err := account.ByRDP(events, fleet.composed())
		require.NoError(t, err)
		got, ok := b.Spent(o)
		require.True(t, ok)
		require.InEpsilon(t, want, got, 1e-12)
		require.GreaterOrEqual(t, got, want*(1-1e-15))
	}
}

// A client that takes part in at most two attempts of a job is charged for the two
// costliest, and for those of another job besides.
func TestRostersAreChargedForTheParticipationsThatAClientCanHave(t *testing.T) {
	spentOn := func(charges ...Charge) float64 {
		g := fleet
		g.Rosters = Budget{}
		b := mustOpen(t, newMemory(), g)
		for i, c := range charges {
			require.NoError(t, b.Reserve(attempt(i+1), thePlan, c))
		}
		epsilon, ok := b.SpentBy("job", dp.ObserverCoordinator)
		require.True(t, ok)
		all, ok := b.Spent(dp.ObserverCoordinator)
		require.True(t, ok)
		require.Equal(t, all, epsilon)
		return epsilon
	}
	with := func(sigma float64, participations int) Charge {
		c := gaussian(t, sigma, 0.001)
		c.Participations = participations
		return c
	}
	require.Equal(t, spentOn(with(5, 2), with(4, 2)), spentOn(with(6, 2), with(5, 2), with(4, 2), with(7, 2)))
	require.Equal(t, spentOn(with(5, 0), with(4, 0)), spentOn(with(5, 2), with(4, 2)), "below the bound it changes nothing")
	require.Equal(t, spentOn(with(4, 0), with(4, 0)), spentOn(with(4, 2), with(4, 2), with(4, 2)))
	require.Equal(t, spentOn(with(4, 3), with(5, 3), with(6, 3)), spentOn(with(4, 2), with(5, 3), with(6, 2)), "the weakest bound holds")
	require.Equal(t, spentOn(with(4, 0), with(5, 0), with(6, 0)), spentOn(with(4, 1), with(5, 1), with(6, 0)), "none is the weakest")

	g := fleet
	g.Rosters.Epsilon = 6
	b := mustOpen(t, newMemory(), g)
	c := with(4, 2)
	round := 0
	for ; round < 50; round++ {
		require.NoError(t, b.Reserve(attempt(round+1), thePlan, c))
	}
	require.NoError(t, b.Room("job", c))
	n := 0
	for other := uint32(1); n < 40; other++ {
		if b.Reserve(secagg.RoundID{Job: "other", Round: other, Attempt: 1}, thePlan, with(4, 0)) != nil {
			break
		}
		n++
	}
	require.Less(t, n, 40, "a job without a bound spends until nothing is left")
	require.NoError(t, b.Room("job", c), "no client is charged more for it")
	require.ErrorIs(t, b.Room("job", with(4, 0)), ErrBudget)
}

// The reference adds every charge by itself, in rational numbers.
func TestTotalAgreesWithRationalArithmetic(t *testing.T) {
	b := mustOpen(t, newMemory(), fleet)
	want := new(big.Rat)
	for i, sigma := range []float64{8, 1e150, 8, 1e9, 30, 8.000001} {
		c := gaussian(t, sigma, 1)
		require.NoError(t, b.Reserve(attempt(i+1), thePlan, c))
		_, key, err := single(c.Released)
		require.NoError(t, err)
		want.Add(want, new(big.Rat).SetFloat64(b.balance.tariff.prices[key].at[0]))
	}
	got, accuracy := b.balance.compared(0).Rat(nil)
	require.Equal(t, big.Exact, accuracy)
	require.Zero(t, got.Cmp(want))
	up := new(big.Rat).SetFloat64(upward(b.balance.compared(0)))
	require.GreaterOrEqual(t, up.Cmp(want), 0)
}
