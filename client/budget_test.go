package client_test

import (
	"math"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

func TestLimitsOnNoiseAllowWhatTheySayAndNothingElse(t *testing.T) {
	none := testPlan(t, 3, 2, 1).Terms()
	central := noisyTerms(t, secagg.PrivacyCentral, nil) // noise of 0.5 clip norms, all with trust_coordinator
	trusting := noisyTerms(t, secagg.PrivacyDistributed, func(l *plan.Literal) { l.Cohort.Minimum = 3 })
	distributed, local := trusting, noisyTerms(t, secagg.PrivacyLocal, nil)
	distributed.TrustCoordinator = false
	clip10 := noisyTerms(t, secagg.PrivacyDistributed, func(l *plan.Literal) { l.Encoding.ClipNorm = 10 })
	// On a grid of 16 steps in a clip norm, 4096 coordinates change by more than it.
	coarse := noisyTerms(t, secagg.PrivacyDistributed, func(l *plan.Literal) { l.Encoding.Scale = 16 })
	require.Equal(t, 0.5, coarse.Noise.Sigma)
	replaced := noisyTerms(t, secagg.PrivacyDistributed, func(l *plan.Literal) { l.Privacy.Relation = "replace-one" })
	multiplier := func(terms secagg.Terms) float64 {
		m, err := terms.Mechanism()
		require.NoError(t, err)
		return m.Multiplier(terms.Noise.Relation)
	}
	require.InEpsilon(t, 0.5, multiplier(distributed), 0.01, "less what rounding costs")
	for name, row := range map[string]struct {
		terms   secagg.Terms
		limits  client.Limits
		refusal string
	}{
		"none":                               {none, client.Limits{}, "opens exact sums"},
		"central":                            {central, client.Limits{}, "opens exact sums"},
		"central, trusted":                   {central, client.Limits{TrustCoordinator: true}, ""},
		"distributed, trusting":              {trusting, client.Limits{}, "opens exact sums"},
		"distributed, trusting, trusted":     {trusting, client.Limits{TrustCoordinator: true}, ""},
		"distributed":                        {distributed, client.Limits{}, ""},
		"local, whatever the plan trusts":    {local, client.Limits{}, ""},
		"just the noise":                     {distributed, client.Limits{NoiseMultiplier: multiplier(distributed)}, ""},
		"too little noise":                   {distributed, client.Limits{NoiseMultiplier: multiplier(distributed) + 1e-7}, "noise multiplier 0.49"},
		"the noise is relative to the clip":  {clip10, client.Limits{NoiseMultiplier: 0.49, TrustCoordinator: true}, ""},
		"too little under another clip norm": {clip10, client.Limits{NoiseMultiplier: 0.5, TrustCoordinator: true}, "noise multiplier 0.49"},
		"a grid too coarse for the noise":    {coarse, client.Limits{NoiseMultiplier: 0.3, TrustCoordinator: true}, "noise multiplier 0.2"},
		"half as much where one is replaced": {replaced, client.Limits{NoiseMultiplier: 0.26, TrustCoordinator: true}, "noise multiplier 0.2"},
		"no noise where some is due":         {none, client.Limits{NoiseMultiplier: 1e-9, TrustCoordinator: true}, "noise multiplier 0"},
		"enough shares":                      {distributed, client.Limits{MinShares: 2}, ""},
		"too few shares":                     {distributed, client.Limits{MinShares: 3}, "as few as 2 honest"},
		"one share that suffices":            {local, client.Limits{MinShares: 3}, ""},
		"negative noise":                     {distributed, client.Limits{NoiseMultiplier: -1}, "limits"},
		"noise that is no number":            {distributed, client.Limits{NoiseMultiplier: math.NaN()}, "limits"},
		"infinite noise":                     {distributed, client.Limits{NoiseMultiplier: math.Inf(1)}, "limits"},
		"negative shares":                    {distributed, client.Limits{MinShares: -1}, "limits"},
		"epsilon alone":                      {distributed, client.Limits{LifetimeEpsilon: 1}, "limits"},
		"delta alone":                        {distributed, client.Limits{LifetimeDelta: 1e-5}, "limits"},
		"a negative epsilon":                 {distributed, client.Limits{LifetimeEpsilon: -1, LifetimeDelta: 1e-5}, "limits"},
		"an infinite epsilon":                {distributed, client.Limits{LifetimeEpsilon: math.Inf(1), LifetimeDelta: 1e-5}, "limits"},
		"an epsilon that is no number":       {distributed, client.Limits{LifetimeEpsilon: math.NaN(), LifetimeDelta: 1e-5}, "limits"},
		"a delta of one":                     {distributed, client.Limits{LifetimeEpsilon: 1, LifetimeDelta: 1}, "limits"},
		"a negative delta":                   {distributed, client.Limits{LifetimeEpsilon: 1, LifetimeDelta: -1}, "limits"},
		"a delta that is no number":          {distributed, client.Limits{LifetimeEpsilon: 1, LifetimeDelta: math.NaN()}, "limits"},
	} {
		t.Run(name, func(t *testing.T) {
			row.limits.Minimum = 2
			task := secagg.Task{Round: secagg.RoundID{Job: "job", Round: 1, Attempt: 1}, Terms: row.terms, ClipNorm: row.terms.Encoding.ClipNorm}
			err := row.limits.Allow(task)
			if row.refusal == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, row.refusal)
		})
	}
	task := secagg.Task{Terms: noisyTerms(t, secagg.PrivacyLocal, adaptive), ClipNorm: 2}
	require.NoError(t, client.Limits{Minimum: 2, MaxClipNorm: 2}.Allow(task))
	require.ErrorIs(t, client.Limits{Minimum: 2, MaxClipNorm: 1.5}.Allow(task), client.ErrConsent, "the round's clip norm counts")
}

// costing is what a contribution under terms costs by the terms' own mechanism.
func costing(t *testing.T, terms secagg.Terms) float64 {
	t.Helper()
	m, err := terms.Mechanism()
	require.NoError(t, err)
	return m.ZCDP(terms.Noise.Relation)
}

// offered makes c0 a client of an attempt at a round under terms.
func offered(t *testing.T, terms secagg.Terms, round uint32) *script {
	s := scriptOf(t, terms, whole...)
	s.offers[0].Task.Round.Round = round
	return s
}

func limits(epsilon float64) client.Limits {
	return client.Limits{Minimum: 2, TrustCoordinator: true, LifetimeEpsilon: epsilon, LifetimeDelta: 1e-5}
}

func TestADeviceChargesItsBudgetWhateverTheCoordinatorClaims(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*plan.Literal)
		whole  bool
	}{
		"discrete gaussian": {nil, false},
		"skellam":           {skellam, true},
		"replace-one":       {func(l *plan.Literal) { l.Privacy.Relation, l.Privacy.NoiseMultiplier = "replace-one", 2 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				terms := noisyTerms(t, secagg.PrivacyDistributed, row.change)
				rho := costing(t, terms)
				two := dp.Epsilon(2*rho, 1e-5, row.whole) * (1 + 1e-6)
				memory := client.NewMemory()
				for round := uint32(1); round <= 2; round++ {
					s := offered(t, terms, round)
					s.instructions = []string{"advertise", "share", "upload", "over"} // it was not used
					r, err := s.against(t, memory, adder(1), client.WithConsent(limits(two))).RunOnce(t.Context())
					require.NoError(t, err)
					require.False(t, r.Completed)
					account, err := memory.Account()
					require.NoError(t, err)
					require.InEpsilon(t, dp.Epsilon(float64(round)*rho, 1e-5, row.whole), account.Epsilon(1e-5), 1e-6)
				}
				s := offered(t, terms, 3)
				_, err := s.against(t, memory, adder(1), client.WithConsent(limits(two))).RunOnce(t.Context())
				require.ErrorIs(t, err, client.ErrBudget)
				require.Equal(t, []string{"check-in"}, s.told(), "nothing left the device")

				s = offered(t, terms, 3)
				_, err = s.against(t, memory, adder(1), client.WithConsent(limits(0.999*dp.Epsilon(3*rho, 1e-5, row.whole)))).RunOnce(t.Context())
				require.ErrorIs(t, err, client.ErrBudget)
				s = offered(t, terms, 3)
				_, err = s.against(t, memory, adder(1), client.WithConsent(limits(1.001*dp.Epsilon(3*rho, 1e-5, row.whole)))).RunOnce(t.Context())
				require.NoError(t, err)
			})
		})
	}
}

func TestABudgetThatIsTooSmallForOneTakesNoPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terms := noisyTerms(t, secagg.PrivacyDistributed, nil)
		one := dp.Epsilon(costing(t, terms), 1e-5, false)
		s := offered(t, terms, 1)
		_, err := s.against(t, client.NewMemory(), adder(1), client.WithConsent(limits(0.999*one))).RunOnce(t.Context())
		require.ErrorIs(t, err, client.ErrBudget)
		require.Equal(t, []string{"check-in"}, s.told())
		require.Equal(t, fault.Refused, fault.ClassOf(err))
	})
}

// failedOnce is an attempt that ended at the nth time of a call, on a device whose lifetime
// budget is what one contribution costs.
func failedOnce(t *testing.T, call string, nth int) (s *script, memory *client.Memory, one float64) {
	t.Helper()
	terms := noisyTerms(t, secagg.PrivacyDistributed, nil)
	one = dp.Epsilon(costing(t, terms), 1e-5, false) * (1 + 1e-6)
	memory = client.NewMemory()
	s = offered(t, terms, 1)
	s.fail = failOn(call, nth, errUnavailable)
	_, err := s.against(t, memory, adder(1), client.WithConsent(limits(one))).RunOnce(t.Context())
	require.ErrorIs(t, err, errUnavailable)
	return s, memory, one
}

func TestABudgetIsChargedBeforeTheUploadAndOnceForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, memory, one := failedOnce(t, "upload 3", 1)
		require.Equal(t, []string{"check-in", "keep", "send 0", "send 1", "put", "send 2", "create", "close", "put", "keep", "upload 3"}, s.told(),
			"the ledger's head before it joins, the charge before it uploads")
		spent, err := memory.Account()
		require.NoError(t, err)
		require.Equal(t, 1, spent.Attempts())

		s.fail, s.calls, s.log = nil, map[string]int{}, nil
		r, err := s.against(t, memory, adder(1), client.WithConsent(limits(one))).RunOnce(t.Context())
		require.NoError(t, err)
		require.True(t, r.Completed, "what is resumed was charged, and its budget suffices")
		again, err := memory.Account()
		require.NoError(t, err)
		require.Equal(t, spent, again)
		require.NotContains(t, s.told(), "keep")
	})
}

func TestABudgetLoweredBeforeTheUploadKeepsItHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, memory, one := failedOnce(t, "keep", 2) // the charge
		require.Zero(t, s.calls["upload 3"])
		s.fail, s.calls = nil, map[string]int{}
		s.offers = []client.Offer{{}}
		_, err := s.against(t, memory, adder(1), client.WithConsent(limits(one/2))).RunOnce(t.Context())
		require.NoError(t, err)
		require.Zero(t, s.calls["upload 3"])
	})
}

func TestWithoutNoiseNoBudgetHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, whole...)
		_, err := s.against(t, client.NewMemory(), adder(1), client.WithConsent(limits(1000))).RunOnce(t.Context())
		require.ErrorIs(t, err, client.ErrBudget)
		require.ErrorContains(t, err, "infinitely")
		require.Equal(t, []string{"check-in"}, s.told())

		memory := client.NewMemory()
		s = newScript(t, whole...)
		_, err = s.against(t, memory, adder(1)).RunOnce(t.Context())
		require.NoError(t, err, "without a budget")
		s = offered(t, noisyTerms(t, secagg.PrivacyDistributed, nil), 2)
		_, err = s.against(t, memory, adder(1), client.WithConsent(limits(1000))).RunOnce(t.Context())
		require.ErrorIs(t, err, client.ErrBudget, "what was given before counts")
	})
}

func TestADeviceTakesPartInAJobAsOftenAsItsTermsSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terms := noisyTerms(t, secagg.PrivacyDistributed, func(l *plan.Literal) { l.Cohort.Participations, l.Cohort.Separation = 2, 3 })
		memory := client.NewMemory()
		for _, row := range []struct {
			round uint32
			want  error
		}{{1, nil}, {3, client.ErrOften}, {4, nil}, {10, client.ErrOften}} {
			s := offered(t, terms, row.round)
			_, err := s.against(t, memory, adder(1)).RunOnce(t.Context())
			require.ErrorIs(t, err, row.want, "round %d", row.round)
			if row.want != nil {
				require.Equal(t, []string{"check-in"}, s.told())
			}
		}
	})
}

func TestATaskOfARolledBackLedgerIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terms := noisyTerms(t, secagg.PrivacyDistributed, nil)
		memory := client.NewMemory()
		s := offered(t, terms, 1) // 7 records
		s.fail = failOn("send 0", 1, errUnavailable)
		_, err := s.against(t, memory, adder(1)).RunOnce(t.Context())
		require.ErrorIs(t, err, errUnavailable, "the head of a task that was accepted and not joined counts")
		for name, head := range map[string]secagg.LedgerHead{
			"put back":     {Count: 6, Digest: secagg.Hash("six")},
			"another":      {Count: 7, Digest: secagg.Hash("other")},
			"taken away":   {},
			"begun anew":   {Count: 1, Digest: secagg.Hash("one")},
			"not its head": {Count: 7},
		} {
			s := offered(t, terms, 2)
			s.offers[0].Task.Ledger = head
			_, err := s.against(t, memory, adder(1)).RunOnce(t.Context())
			require.ErrorIs(t, err, client.ErrRolledBack, name)
			require.Equal(t, []string{"check-in"}, s.told())
		}
		s = offered(t, terms, 2)
		r, err := s.against(t, memory, adder(1)).RunOnce(t.Context())
		require.NoError(t, err)
		require.True(t, r.Completed)
	})
}

func TestAHeadThatIsNotDurableJoinsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := offered(t, noisyTerms(t, secagg.PrivacyDistributed, nil), 1)
		s.fail = failOn("keep", 1, errFault)
		_, err := s.against(t, client.NewMemory(), adder(1)).RunOnce(t.Context())
		require.ErrorIs(t, err, errFault)
		require.Equal(t, []string{"check-in", "keep"}, s.told())
	})
}

func TestALifetimeBudgetNeedsAStateThatRemembers(t *testing.T) {
	s := newScript(t)
	_, err := client.New(s, adder(1), as("c0", client.WithConsent(limits(1)))...)
	require.ErrorIs(t, err, client.ErrOptions)
	pointed := limits(1)
	_, err = client.New(s, adder(1), as("c0", client.WithConsent(&pointed))...)
	require.ErrorIs(t, err, client.ErrOptions)
	_, err = client.New(s, adder(1), as("c0", client.WithConsent(limits(1)), client.WithState(client.NewMemory()))...)
	require.NoError(t, err)
	_, err = client.New(s, adder(1), as("c0", client.WithConsent(client.Limits{LifetimeEpsilon: 1}), client.WithState(client.NewMemory()))...)
	require.ErrorIs(t, err, client.ErrOptions)
}

// Whatever becomes of a write, a head or a charge is kept before what depends on it, and
// counts once.
func TestAFaultInKeepingTheAccountLosesAndDoublesNothing(t *testing.T) {
	for name, nth := range map[string]int{"the ledger's head": 1, "the charge": 2} {
		for _, persisted := range []bool{false, true} {
			if persisted {
				name += ", persisted"
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					terms := noisyTerms(t, secagg.PrivacyDistributed, nil)
					memory := client.NewMemory()
					s := offered(t, terms, 1)
					l := &life{point: "keep", nth: nth, persisted: persisted}
					_, err := s.against(t, mortalState{memory, l}, adder(1)).RunOnce(t.Context())
					require.ErrorIs(t, err, errFault)
					require.Zero(t, s.calls["upload 3"])
					require.Equal(t, nth-1, s.calls["send 0"])
					s.calls = map[string]int{}
					r, err := s.against(t, memory, adder(1)).RunOnce(t.Context())
					require.NoError(t, err)
					require.True(t, r.Completed)
					n, err := attempts(memory)
					require.NoError(t, err)
					require.Equal(t, 1, n)
					s = offered(t, terms, 2)
					s.offers[0].Task.Ledger.Count--
					_, err = s.against(t, memory, adder(1)).RunOnce(t.Context())
					require.ErrorIs(t, err, client.ErrRolledBack)
				})
			})
		}
	}
}
