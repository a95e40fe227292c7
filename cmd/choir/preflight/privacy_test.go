package preflight

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/ledger"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/sim/report"
)

// private is a plan with noise of n clients in expectation out of 25 times as many, for a
// model of 1000 parameters.
func private(scheme, mode string, n int) plan.Literal {
	l := literal(scheme, n, 0.02, 0.2)
	l.Cohort = plan.Cohort{Size: n, Minimum: n * 3 / 10, Selection: "poisson", Population: 25 * n}
	l.Rounds = plan.Rounds{Count: 40, Attempts: 3}
	l.Encoding = plan.Encoding{ClipNorm: 1}
	l.Aggregation.Denominator = "fixed"
	l.Evaluation.Clients = false
	l.Training.WeightCap = 0
	l.Privacy = plan.Privacy{Mode: mode, TrustCoordinator: mode == "central" || mode == "distributed" && scheme == plain.Name,
		Population: "fleet", Relation: "zero-out", Delta: 1e-5, Epsilon: 6}
	if scheme == pairwise.Name { // whose graphs fail with a chance that delta must hold
		l.Rounds.Count = 20
	}
	if mode == "local" { // where one share is to suffice, coins have nothing to hide
		l.Cohort.Selection, l.Cohort.Population = "uniform", 0
	}
	return l
}

func textOf(t *testing.T, f *Findings) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, f.WriteText(&b))
	for _, line := range strings.Split(b.String(), "\n") {
		require.LessOrEqual(t, len(line), 160)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestReportStatesBothEpsilonsOrSaysWhyNot(t *testing.T) {
	for _, scheme := range []string{plain.Name, pairwise.Name, oneshot.Name} {
		for _, mode := range []string{"distributed", "local", "central"} {
			t.Run(scheme+" "+mode, func(t *testing.T) {
				p := check(t, private(scheme, mode, 150))
				f, err := Examine(p)
				require.NoError(t, err)
				g := p.Guarantee()
				want, _ := g.Epsilon(dp.ObserverReleases, p.Rounds())
				require.Equal(t, want, *f.Privacy.EpsilonReleased)
				require.LessOrEqual(t, want, 6.0)
				require.Equal(t, 1e-5, *f.Privacy.Delta)
				text := textOf(t, f)
				require.Contains(t, text, "who sees released models "+report.Upper(want)+": whatever is concluded")
				require.Equal(t, mode != "local", strings.Contains(text, "who vouches for it: the coordinator"))
				require.Equal(t, mode != "local", strings.Contains(text, "publish neither who survived a round nor how many did"))
				require.Equal(t, mode == "distributed", strings.Contains(text, "the coordinator fills each sum up to"))

				hidden := mode == "local" || mode == "distributed" && scheme != plain.Name
				require.Equal(t, hidden, f.Privacy.EpsilonCoordinator != nil)
				require.Equal(t, hidden, f.Privacy.CoordinatorReason == nil)
				if want, _ := g.Epsilon(dp.ObserverCoordinator, p.Rounds()); hidden {
					require.Equal(t, want, *f.Privacy.EpsilonCoordinator)
					require.Contains(t, text, "who sees a roster "+report.Upper(want)+": ")
				} else {
					require.Contains(t, text, "who sees a roster none: ")
					require.Contains(t, *f.Privacy.CoordinatorReason, "trusted")
				}
				var prose bytes.Buffer
				require.NoError(t, f.WriteProse(&prose, p))
				require.Contains(t, prose.String(), "What is promised.")
				require.NotContains(t, prose.String(), "No epsilon is stated")

				doc, err := json.Marshal(f)
				require.NoError(t, err)
				for _, key := range []string{"released_reason", "coordinator_reason", "noise_multiplier", "sensitivity_cost", "slack", "budget", "extra_attempt_released", "epsilon_unamplified", "noise_norm",
					"mean_noise", "signal_to_noise", "vouched_by", "clipping", "filled_shares", "filled_corrupt", "sigma_released"} {
					require.Contains(t, string(doc), `"`+key+`":`)
				}
			})
		}
	}
}

func TestCoordinatorIsSaidToSeeExactSumsOnlyWhereItDoes(t *testing.T) {
	for _, c := range []struct {
		scheme, mode string
		exact        bool
	}{
		{pairwise.Name, "distributed", false}, {oneshot.Name, "distributed", false}, {oneshot.Name, "local", false}, {pairwise.Name, "local", false},
		{pairwise.Name, "central", true}, {oneshot.Name, "central", true},
	} {
		f := examine(t, private(c.scheme, c.mode, 150))
		seen := strings.Join(f.Knowledge[0].Learns, "\n")
		require.Equal(t, c.exact, strings.Contains(seen, "the exact sum of"), c)
		require.Equal(t, !c.exact, strings.Contains(seen, "the noised sum of"), c)
		require.Equal(t, c.exact, strings.Contains(f.Sees(), "one exact sum"), c)
		require.Equal(t, !c.exact, strings.Contains(f.Sees(), "Noise bounds what it learns"), c)
		all := ""
		for _, k := range f.Knowledge {
			all += strings.Join(k.Learns, "\n")
		}
		require.NotContains(t, all, "no noise is added", c)
		require.Equal(t, !c.exact, strings.Contains(all, "by taking their own updates and noise off"), c)
	}
	l := private(oneshot.Name, "local", 150)
	l.Cohort.Selection, l.Cohort.Population, l.Privacy.NoiseMultiplier = "poisson", 3750, 0.07
	alone := examine(t, l)
	require.Nil(t, alone.Privacy.EpsilonCoordinator, "the noise of all shares keeps the budget")
	require.Contains(t, strings.Join(alone.Knowledge[0].Learns, "\n"), "does not suffice alone: no epsilon bounds")
	require.Contains(t, examine(t, private(plain.Name, "distributed", 150)).Sees(), "Noise does not suffice against it")
	require.Contains(t, examine(t, private(plain.Name, "central", 150)).Sees(), "without noise")
}

// TestBudgetLastsForAsManyAttemptsAsALedgerAdmits charges attempt by attempt.
func TestBudgetLastsForAsManyAttemptsAsALedgerAdmits(t *testing.T) {
	for name, change := range map[string]func(*plan.Literal){
		"calibrated": func(*plan.Literal) {},
		"too little noise": func(l *plan.Literal) {
			l.Privacy.NoiseMultiplier = 0.97 * check(t, *l).Literal().Privacy.NoiseMultiplier
		},
		"for rosters": func(l *plan.Literal) {
			l.Privacy.EpsilonCoordinator = 0.97 * *examine(t, *l).Privacy.EpsilonCoordinator
		},
		"for rosters under a cap": func(l *plan.Literal) {
			l.Cohort.Selection, l.Cohort.Population, l.Cohort.Participations = "uniform", 0, 10
			l.Privacy.EpsilonCoordinator = 1.2 * *examine(t, *l).Privacy.EpsilonCoordinator
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := private(oneshot.Name, "distributed", 150)
			change(&l)
			p := check(t, l)
			f, err := Examine(p)
			require.NoError(t, err)
			disk, err := mem.New(0).Open()
			require.NoError(t, err)
			book, err := ledger.Open(disk.Journal, ledger.Segment("fleet"), p.Genesis())
			require.NoError(t, err)
			charged := 0
			for ; charged < 120; charged++ {
				id := secagg.RoundID{Job: p.Job(), Round: uint32(charged + 1), Attempt: 1}
				if err := book.Reserve(id, p.Digest(), p.Charge()); errors.Is(err, ledger.ErrBudget) {
					break
				} else {
					require.NoError(t, err)
				}
			}
			require.Equal(t, charged, f.Privacy.Noise.Budget.Attempts)
			require.Equal(t, l.Privacy.Epsilon, f.Privacy.Noise.Budget.Released)
			if budget := f.Privacy.Noise.Budget.Coordinator; l.Privacy.EpsilonCoordinator == 0 {
				require.Nil(t, budget)
			} else {
				require.Equal(t, l.Privacy.EpsilonCoordinator, *budget)
			}
			require.GreaterOrEqual(t, f.Privacy.Noise.Budget.AttemptsReleased, charged)
			text := textOf(t, f)
			switch name {
			case "for rosters under a cap":
				require.Equal(t, 120, charged, "no client is in more than 10 of them")
				require.Contains(t, text, "lasts for all 120 attempts")
			case "calibrated":
				require.GreaterOrEqual(t, charged, 40)
				require.Contains(t, text, "which leaves room for")
			case "too little noise":
				require.Less(t, charged, 40)
				require.Contains(t, text, "before the last of 40 rounds")
			default:
				require.Less(t, charged, f.Privacy.Noise.Budget.AttemptsReleased)
				require.Contains(t, text, fmt.Sprintf("with %g for rosters the run's is spent after", l.Privacy.EpsilonCoordinator))
			}
		})
	}
}

// TestNoiseOfTheMeanIsThatOfRealShares adds the encoded zero updates of a full cohort, or
// of as many as its sum is filled up to.
func TestNoiseOfTheMeanIsThatOfRealShares(t *testing.T) {
	for mode, shares := range map[string]int{"distributed": 150, "local": 150, "central": 1} {
		p := check(t, private(oneshot.Name, mode, 150))
		f, err := Examine(p)
		require.NoError(t, err)
		shares = max(shares, f.Privacy.Noise.Filled)
		require.Equal(t, p.Guarantee().Shares(), f.Privacy.Noise.Filled)
		m := p.Guarantee().Mechanism()
		rotation, err := p.Terms().Rotation(1)
		require.NoError(t, err)
		sum, words := make([]uint32, p.Quantizer().Layout().Len()), make([]uint32, p.Quantizer().Layout().Len())
		prepared, coins := make([]float32, p.Quantizer().Spec().Dimension), field.NewStream(field.Derive([32]byte{1}, "noise"))
		opened := 1
		draw, err := m.Draw(coins)
		require.NoError(t, err)
		if mode != "central" {
			opened = shares
			draw.Erase()
			draw = nil
		}
		for range opened {
			own := (*ddp.Draw)(nil)
			if mode != "central" {
				own, err = m.Draw(coins)
				require.NoError(t, err)
			}
			_, err = m.Encode(words, prepared, nil, coins, own)
			require.NoError(t, err)
			for i, w := range words {
				sum[i] += w
			}
		}
		decoded := make([]float64, 1000)
		_, err = m.Decode(decoded, sum, opened, rotation, draw)
		require.NoError(t, err)
		norm := 0.0
		for _, v := range decoded {
			norm += v * v
		}
		require.InEpsilon(t, math.Sqrt(norm)/150, f.Privacy.Noise.MeanNoise, 0.1, mode)
		require.InEpsilon(t, 1/f.Privacy.Noise.MeanNoise, f.Privacy.Noise.SignalToNoise, 1e-12)
		require.InEpsilon(t, f.Privacy.Noise.Sigma*math.Sqrt(1024), f.Privacy.Noise.NoiseNorm, 1e-12)
	}
}

func TestSharesAreThoseOfThePromise(t *testing.T) {
	p := check(t, private(oneshot.Name, "distributed", 150))
	f, err := Examine(p)
	require.NoError(t, err)
	n, told := f.Privacy.Noise, p.Guarantee().Noise()
	require.Equal(t, told.Survivors-told.Corrupt, n.Shares)
	require.InEpsilon(t, n.Sigma, n.ShareSigma*math.Sqrt(float64(n.Shares)), 1e-9)
	require.Equal(t, p.Invited(), n.Filled, "as many as coins ever draw")
	require.InEpsilon(t, math.Sqrt(float64(n.Filled)/float64(n.Shares)), n.Surplus, 1e-12)
	models, _ := p.Guarantee().Event(dp.ObserverReleases)
	rosters, _ := p.Guarantee().Event(dp.ObserverCoordinator)
	require.InEpsilon(t, models.NoiseMultiplier()/rosters.NoiseMultiplier(), n.SigmaReleased/n.Sigma, 1e-9, "what released models are accounted for")
	require.Greater(t, n.SigmaReleased, 1.5*n.Sigma)
	text := textOf(t, f)
	require.Contains(t, text, fmt.Sprintf("of at least %d survivors' %d may be known to corrupt clients, which leaves %d honest ones", n.Survivors, n.Corrupt, n.Shares))
	require.Contains(t, text, fmt.Sprintf("the coordinator fills each sum up to %d shares, %.3g times the noise", n.Filled, n.Surplus))
	require.Contains(t, text, fmt.Sprintf("of these %d may be known to corrupt clients, which leaves sigma %.6g", n.FilledCorrupt, n.SigmaReleased))
	require.Positive(t, n.SensitivityCost)
	require.Less(t, n.SensitivityCost, 1e-2)
	require.Equal(t, n.Slack.Buckets+n.Slack.Sampling+n.Slack.Tails, p.Guarantee().Slack().Buckets+p.Guarantee().Slack().Sampling+p.Guarantee().Slack().Tails)
	require.Positive(t, n.Slack.Sampling)
	require.Less(t, n.JointMultiplier, n.Multiplier, "rounding costs something")

	bare := f.Time.UnitCosts
	least := 1024 * float64(n.Filled-p.Minimum()) * bare.NoiseNanos / 1e6
	require.Greater(t, f.Time.OpenMS, least, "the coordinator draws the shares that are missing")
	require.Less(t, f.Time.OpenMS, 1.1*least)

	l := private(oneshot.Name, "distributed", 150)
	l.Cohort.Selection, l.Cohort.Population = "uniform", 0
	n = examine(t, l).Privacy.Noise
	require.Zero(t, n.Filled+n.FilledCorrupt, "nothing is claimed from coins")
	require.Equal(t, n.Sigma, n.SigmaReleased)
	require.InEpsilon(t, math.Sqrt(150/float64(n.Shares)), n.Surplus, 1e-12)

	l = private(oneshot.Name, "distributed", 400)
	l.Cohort.Selection, l.Cohort.Population = "uniform", 0
	l.Privacy.Epsilon, l.Scheme.Corrupt = 30, 0.01
	l.Aggregation.View, l.Aggregation.Buckets = "bucket_means", plan.Buckets{Size: 40, Minimum: 20}
	f = examine(t, l)
	require.Contains(t, textOf(t, f), "may be known to corrupt clients (c*)")
	require.Equal(t, 20, f.Privacy.Noise.Survivors)
}

func TestAClientsOwnShareCountsAsKnown(t *testing.T) {
	l := private(oneshot.Name, "distributed", 150)
	l.Scheme.Corrupt = 0
	p := check(t, l)
	f, err := Examine(p)
	require.NoError(t, err)
	n := f.Privacy.Noise
	require.Equal(t, []int{l.Cohort.Minimum, 1, l.Cohort.Minimum - 1}, []int{n.Survivors, n.Corrupt, n.Shares})
	models, _ := p.Guarantee().Event(dp.ObserverReleases)
	rosters, _ := p.Guarantee().Event(dp.ObserverCoordinator)
	require.Equal(t, 1, n.FilledCorrupt)
	require.InEpsilon(t, models.NoiseMultiplier()/rosters.NoiseMultiplier(), n.SigmaReleased/n.Sigma, 1e-9, "what released models are accounted for")
	require.Contains(t, textOf(t, f), fmt.Sprintf("of at least %d survivors' 1 may be known, to a corrupt client or to one that looks on and knows its own, which leaves %d honest ones", n.Survivors, n.Shares))
}

// TestATrustedCoordinatorIsPromisedNothing: where a plan trusts it, no client holds the
// plan's shares against the session.
func TestATrustedCoordinatorIsPromisedNothing(t *testing.T) {
	for _, scheme := range []string{pairwise.Name, oneshot.Name} {
		l := private(scheme, "distributed", 150)
		require.NotNil(t, examine(t, l).Privacy.EpsilonCoordinator)
		l.Privacy.TrustCoordinator = true
		f := examine(t, l)
		require.Nil(t, f.Privacy.EpsilonCoordinator)
		require.Contains(t, *f.Privacy.CoordinatorReason, "trust_coordinator: no client checks")
		require.Contains(t, textOf(t, f), "who sees a roster none: trust_coordinator")
	}
}

func TestEpsilonWithoutAmplificationIsNotStatedWhereRedrawnNoiseCounts(t *testing.T) {
	l := private(oneshot.Name, "central", 150)
	for multiplier, stated := range map[float64]bool{3: true, 1: false} {
		l.Privacy.NoiseMultiplier = multiplier
		f := examine(t, l)
		require.Equal(t, stated, f.Privacy.Noise.Unamplified != nil, multiplier)
		if stated {
			require.LessOrEqual(t, *f.Privacy.Noise.Unamplified, float64(maxUnamplified))
		}
		require.Equal(t, !stated, strings.Contains(textOf(t, f), "without amplification none: above 16 it is not stated"))
	}
}

func TestAmplificationIsComparedWithItsAbsence(t *testing.T) {
	for _, mode := range []string{"distributed", "central"} {
		l := private(oneshot.Name, mode, 150)
		if mode == "central" { // where less noise than that has no bound to state
			l.Privacy.NoiseMultiplier = 3
		}
		f := examine(t, l)
		require.Greater(t, *f.Privacy.Noise.Unamplified, 1.5**f.Privacy.EpsilonReleased)
	}
	l := private(oneshot.Name, "distributed", 150)
	l.Cohort.Selection, l.Cohort.Population = "uniform", 0
	f := examine(t, l)
	require.Nil(t, f.Privacy.Noise.Unamplified)
	require.Equal(t, "none", f.Privacy.Noise.Sampling.Mode)
	require.Contains(t, textOf(t, f), "nothing is hidden by who is drawn")
	require.InDelta(t, *f.Privacy.EpsilonReleased, *f.Privacy.EpsilonCoordinator, 1e-9)
}

func TestExtraAttemptCostsWhatTheNextOneAdds(t *testing.T) {
	p := check(t, private(oneshot.Name, "distributed", 150))
	f, err := Examine(p)
	require.NoError(t, err)
	for o, extra := range map[dp.Observer]*float64{dp.ObserverReleases: f.Privacy.Noise.ExtraReleased, dp.ObserverCoordinator: f.Privacy.Noise.ExtraCoordinator} {
		now, _ := p.Guarantee().Epsilon(o, 40)
		next, _ := p.Guarantee().Epsilon(o, 41)
		require.Equal(t, next-now, *extra)
		require.Positive(t, *extra)
	}
}

// TestKnownHazardsAreWarnedOf holds for each hazard one plan that has it and one that has
// not.
func TestKnownHazardsAreWarnedOf(t *testing.T) {
	safe := func() plan.Literal {
		l := private(oneshot.Name, "distributed", 600)
		l.Scheme.Corrupt, l.Scheme.Dropout, l.Cohort.Minimum = 0.01, 0.02, 460
		l.Privacy.Epsilon, l.Privacy.EpsilonCoordinator, l.Privacy.NoiseMultiplier = 3, 9.5, 4
		l.Cohort.Population = 15000
		return l
	}
	for name, c := range map[string]struct {
		change func(*plan.Literal)
		says   string
	}{
		"weak": {func(l *plan.Literal) {
			l.Privacy.Epsilon, l.Privacy.EpsilonCoordinator, l.Privacy.NoiseMultiplier = 14, 0, 0
		}, "against who sees released models is weak"},
		"weak for rosters": {func(l *plan.Literal) { l.Privacy.EpsilonCoordinator, l.Privacy.NoiseMultiplier = 90, 1 }, "against who sees rosters is weak"},
		"central": {func(l *plan.Literal) {
			l.Privacy.Mode, l.Privacy.TrustCoordinator, l.Privacy.EpsilonCoordinator = "central", true, 0
		}, "nothing is promised against who sees rosters"},
		"no roster budget":   {func(l *plan.Literal) { l.Privacy.EpsilonCoordinator = 0 }, "privacy.epsilon_coordinator is not stated"},
		"large delta":        {func(l *plan.Literal) { l.Privacy.Delta = 1e-4 }, "to the power of -1.1"},
		"selection uniform":  {func(l *plan.Literal) { l.Cohort.Selection, l.Cohort.Population, l.Privacy.Epsilon = "uniform", 0, 9 }, "nothing is claimed for who is drawn"},
		"selection check-in": {func(l *plan.Literal) { l.Cohort.Selection, l.Cohort.Population, l.Privacy.Epsilon = "check-in", 0, 9 }, "nothing is claimed for who is drawn"},
		"low minimum":        {func(l *plan.Literal) { l.Cohort.Minimum = 200 }, "is promised the noise of"},
		"low minimum, no coins": {func(l *plan.Literal) {
			l.Cohort.Minimum, l.Cohort.Selection, l.Cohort.Population, l.Privacy.Epsilon = 200, "uniform", 0, 9
		}, "noise is reckoned for"},
		"local": {func(l *plan.Literal) { l.Privacy.Mode = "local" }, "each client adds the whole noise"},
		"local by coins": {func(l *plan.Literal) {
			l.Privacy.Mode, l.Privacy.NoiseMultiplier, l.Privacy.EpsilonCoordinator = "local", 0.1, 0
		}, "one alone promises little"},
		"loud":   {func(l *plan.Literal) { l.Model.Tensors[0].Shape = []int{400000} }, "more than any update"},
		"no cap": {func(l *plan.Literal) { l.Cohort.Selection, l.Cohort.Population, l.Privacy.Epsilon = "uniform", 0, 9 }, "cohort.participations is not capped"},
		"spent early": {func(l *plan.Literal) {
			l.Rounds.Count, l.Cohort.Minimum, l.Privacy.Epsilon, l.Privacy.EpsilonCoordinator = 400, 430, 0.5, 0
		}, "the run ends there"},
		"no room": {func(l *plan.Literal) { l.Privacy.NoiseMultiplier, l.Privacy.EpsilonCoordinator = 0, 0 }, "the budget is for one attempt at each round"},
	} {
		t.Run(name, func(t *testing.T) {
			warned := func(l plan.Literal) bool {
				return slices.ContainsFunc(examine(t, l).Warnings, func(w string) bool { return strings.Contains(w, c.says) })
			}
			l := safe()
			require.False(t, warned(l), "a plan without it: %s", examine(t, l).Warnings)
			c.change(&l)
			require.True(t, warned(l))
		})
	}
	always := strings.Join(examine(t, safe()).Warnings, "\n")
	require.Contains(t, always, "cohort.population 15000: coins fall at rate 0.04 whoever is enrolled")
	require.Contains(t, always, "publish neither who survived a round nor how many did")
	require.Contains(t, always, "runs that were made to find the plan's numbers are not counted")
	require.Contains(t, always, "under selection poisson there are no buckets to fall back on")
	require.NotContains(t, always, "set aggregation.fallback")
	require.NotContains(t, always, "no epsilon is finite")
	capped := safe()
	capped.Cohort.Selection, capped.Cohort.Population, capped.Cohort.Participations, capped.Privacy.Epsilon = "uniform", 0, 10, 9
	require.NotContains(t, strings.Join(examine(t, capped).Warnings, "\n"), "is not capped")
	none := &Findings{Privacy: Privacy{Noise: &Noise{}, Delta: pointer(1e-5), CoordinatorReason: pointer("no finite bound")}}
	said := ""
	none.warnPrivacy(func(format string, _ ...any) { said += format })
	require.Contains(t, said, "no epsilon is finite")
}

func TestFailureOfACohortByCoinsCountsThePopulation(t *testing.T) {
	l := private(plain.Name, "central", 100)
	l.Cohort.Population, l.Cohort.Minimum = 300, 30
	f := examine(t, l)
	require.Greater(t, f.Rounds.Invited, 100)
	// A client is in the sum with probability 1/3 * 8/10.
	require.InEpsilon(t, exactBelow(300, 30, big.NewRat(11, 15)), f.Failure[0].Attempt, 1e-6)
	require.Contains(t, textOf(t, f), "each of 300 by a coin, never more than")

	l.Scheme.Name, l.Rounds = pairwise.Name, plan.Rounds{Count: 5, Attempts: 1} // and what a cohort of the expected size needs
	g := examine(t, l)
	require.GreaterOrEqual(t, g.Failure[0].Attempt, f.Failure[0].Attempt)
	require.Less(t, g.Failure[0].Attempt, 0.05)
}

func TestUploadUnderNoiseIsCountedForEachParameterOfTheModel(t *testing.T) {
	f := examine(t, private(plain.Name, "distributed", 150))
	require.Equal(t, 1024, f.Encoding.Words, "padded")
	require.InEpsilon(t, 1024.0/1000*float64(f.Encoding.WordBits)/8, f.Bytes.PerCoordinate, 1e-3)
	require.Positive(t, f.Encoding.NoiseTail)
	bare := f.Time.UnitCosts
	require.InEpsilon(t, 1024*(bare.EncodeNanos+bare.PackNanos+bare.NoiseNanos+bare.RotateNanos)/1e6, f.Time.ClientVectorMS, 1e-9)
}

func TestAdaptingClipNormIsExplained(t *testing.T) {
	l := private(oneshot.Name, "distributed", 150)
	l.Privacy.Clipping = plan.Clipping{Quantile: 0.5, Floor: 0.01, Ceiling: 10}
	f := examine(t, l)
	require.Equal(t, &Clipping{Quantile: 0.5, Rate: 0.2, Floor: 0.01, Ceiling: 10, BitSigma: 7.5}, f.Privacy.Noise.Clipping)
	text := textOf(t, f)
	require.Contains(t, text, "follows the 0.5 quantile of norms at rate 0.2 between 0.01 and 10")
	require.Contains(t, text, "and of the bits that say which were clipped")
}
