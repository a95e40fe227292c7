package plan_test

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/ledger"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
)

func checked(t testing.TB, l plan.Literal) plan.Plan {
	t.Helper()
	p, err := l.Check(plain.Scheme{}, pairwise.Scheme{}, oneshot.Scheme{})
	require.NoError(t, err)
	return p
}

// charged are plans whose budgets are kept in all ways that there are.
var charged = map[string]func(*plan.Literal){
	"shares": func(*plan.Literal) {},
	"coins":  withCoins,
	"sealed": sealedCoins,
	"central": func(l *plan.Literal) {
		l.Privacy.Mode, l.Privacy.TrustCoordinator, l.Privacy.EpsilonCoordinator = "central", true, 0
	},
	"adaptive": func(l *plan.Literal) { withAdaptiveClip(l); l.Privacy.Clipping.BitNoise = 20 },
	"skellam":  func(l *plan.Literal) { l.Privacy.Mechanism, l.Encoding.Scale = "skellam", 20 },
	"bandmf":   withMechanism("bandmf"),
}

// TestNoOrderAdmitsMoreAttemptsThanTheLedgers: the divergence that a budget allows at an
// order, written out, over that of one attempt.
func TestNoOrderAdmitsMoreAttemptsThanTheLedgers(t *testing.T) {
	for name, change := range charged {
		t.Run(name, func(t *testing.T) {
			distinct := map[float64]bool{}
			for _, budget := range []float64{0.5, 2, 8, 20} {
				l := noisy(change)
				l.Privacy.NoiseMultiplier, l.Privacy.Epsilon = 0, budget
				if l.Privacy.EpsilonCoordinator > 0 {
					l.Privacy.EpsilonCoordinator = 3 * budget
				}
				p := checked(t, l)
				g, c := p.Genesis(), p.Charge()
				require.NoError(t, g.Check())
				for _, b := range []struct {
					ledger.Budget
					event dp.Event
				}{{g.Releases, c.Released}, {g.Rosters, c.Rosters}} {
					if b.Budget == (ledger.Budget{}) {
						continue
					}
					curve, err := account.NewCurve([]dp.Event{b.event})
					require.NoError(t, err)
					most, kept := 0.0, math.NaN()
					curve.Each(func(a, rdp float64) {
						limit := b.Epsilon + (math.Log(g.Delta-g.Slack)+math.Log(a))/(a-1) - math.Log1p(-1/a)
						most = max(most, limit/rdp)
						if a == b.Order {
							kept = limit / rdp
						}
					})
					require.GreaterOrEqual(t, kept, 1.0)
					require.GreaterOrEqual(t, kept, most*(1-1e-12))
					distinct[b.Order] = true
				}
			}
			require.Greater(t, len(distinct), 2, "it depends on the budget")
		})
	}
}

// admitted is how many attempts a new ledger takes, up to most.
func admitted(t *testing.T, p plan.Plan, most int) int {
	t.Helper()
	store, err := mem.New(0).Open()
	require.NoError(t, err)
	g := p.Genesis()
	require.NoError(t, g.Check())
	book, err := ledger.Open(store.Journal, ledger.Segment(g.Population), g)
	require.NoError(t, err)
	for n := range most {
		err := book.Reserve(secagg.RoundID{Job: "job", Round: uint32(n + 1), Attempt: 1}, p.Digest(), p.Charge())
		if errors.Is(err, ledger.ErrBudget) {
			return n
		}
		require.NoError(t, err)
	}
	return most
}

// TestPlanWhoseNoiseIsStatedOpensALedgerWhateverItSpends: the best order for all rounds
// together may be one at which a small budget allows nothing at all.
func TestPlanWhoseNoiseIsStatedOpensALedgerWhateverItSpends(t *testing.T) {
	for name, change := range charged {
		if name == "bandmf" { // one charge for the whole run
			continue
		}
		t.Run(name, func(t *testing.T) {
			for _, multiplier := range []float64{0.5, 1, 4} {
				l := noisy(change, noLimits)
				l.Privacy.NoiseMultiplier, l.Privacy.Epsilon, l.Privacy.EpsilonCoordinator, l.Rounds.Count = multiplier, 20, 0, 1000
				if name == "sealed" || name == "coins" {
					l.Rounds.Count, l.Cohort.Population = 100, 140 // all of whom there is room for, whatever the budget
				}
				p, err := l.Check(plain.Scheme{}, pairwise.Scheme{}, oneshot.Scheme{})
				if err != nil { // one round alone is too much
					require.Equal(t, []string{"privacy.epsilon"}, refusals(t, err))
					require.Equal(t, 0.5, multiplier)
					continue
				}
				for _, attempts := range []int{1, 2, 5, 17} {
					budget, ok := p.Guarantee().Enforced(dp.ObserverReleases, attempts)
					require.True(t, ok)
					more, _ := p.Guarantee().Enforced(dp.ObserverReleases, attempts+1)
					if more > 30 && name != "shares" && name != "central" { // where redrawn shares are beyond what is set aside
						require.Equal(t, 0.5, multiplier)
						require.Greater(t, attempts, 1)
						break
					}
					l.Privacy.Epsilon = budget + (more-budget)/2
					q := checked(t, l)
					require.Equal(t, p.Guarantee().Shares(), q.Guarantee().Shares())
					require.Equal(t, attempts, admitted(t, q, attempts+10), "all that is stated, and no more")
				}
			}
		})
	}
}
