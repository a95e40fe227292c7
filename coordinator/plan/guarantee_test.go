package plan_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
)

func guaranteeOf(t testing.TB, l plan.Literal) plan.Guarantee {
	t.Helper()
	p, err := l.Check(plain.Scheme{}, pairwise.Scheme{}, oneshot.Scheme{})
	require.NoError(t, err)
	require.True(t, p.Guarantee().Stated())
	return p.Guarantee()
}

func epsilon(t testing.TB, g plan.Guarantee, o dp.Observer, attempts int) float64 {
	t.Helper()
	e, ok := g.Epsilon(o, attempts)
	require.True(t, ok)
	return e
}

func TestCalibratedNoiseSpendsTheBudgetAndNoMore(t *testing.T) {
	for name, change := range map[string]func(*plan.Literal){
		"shares":           func(*plan.Literal) {},
		"coins":            func(l *plan.Literal) { withCoins(l); l.Rounds.Count = 100 },
		"local":            func(l *plan.Literal) { l.Privacy.Mode = "local" },
		"central":          func(l *plan.Literal) { l.Privacy.Mode, l.Privacy.TrustCoordinator = "central", true },
		"replace-one":      func(l *plan.Literal) { l.Privacy.Relation = "replace-one" },
		"adaptive":         func(l *plan.Literal) { withAdaptiveClip(l); l.Privacy.Clipping.BitNoise = 20 },
		"skellam":          func(l *plan.Literal) { l.Privacy.Mechanism, l.Encoding.Scale = "skellam", 20 },
		"advised scale":    func(l *plan.Literal) { l.Encoding.Scale = 0 },
		"no participation": noLimits,
		"one round":        func(l *plan.Literal) { l.Rounds.Count = 1; noLimits(l) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, budget := range []float64{0.5, 2, 8, 25} {
				l := noisy(change)
				l.Privacy.NoiseMultiplier, l.Privacy.Epsilon, l.Privacy.EpsilonCoordinator = 0, budget, 0
				g := guaranteeOf(t, l)
				spent, ok := g.Enforced(dp.ObserverReleases, l.Rounds.Count)
				require.True(t, ok)
				require.LessOrEqual(t, spent, budget)
				require.Greater(t, spent, 0.995*budget)
				known := epsilon(t, g, dp.ObserverReleases, l.Rounds.Count)
				require.LessOrEqual(t, known, spent, "what is known is at most what a ledger enforces")
				require.Greater(t, known, 0.85*spent)
				require.Zero(t, epsilon(t, g, dp.ObserverReleases, 0))
				require.LessOrEqual(t, epsilon(t, g, dp.ObserverReleases, 1), known)
			}
		})
	}
}

// sealedCoins draws by coins under a scheme that hides each vector from its coordinator.
func sealedCoins(l *plan.Literal) {
	withCoins(l)
	noLimits(l)
	l.Scheme, l.Privacy.TrustCoordinator, l.Rounds.Count = plan.Scheme{Name: oneshot.Name, Committee: committee("panel", 7)}, false, 100
}

// TestEpsilonsAreThoseOfTheReference is entry 45: 120 of 3383 by coins, 100 rounds of 2^18
// coordinates at a multiplier of 1.2, delta 1e-5: 1.98957895 at order 8, at which the
// 1 % of delta that is set aside costs -ln(0.99)/7. The coordinator's is entry 47, at the
// multiplier that rounding to integers leaves of 1.2.
func TestEpsilonsAreThoseOfTheReference(t *testing.T) {
	l := noisy(withCoins, noLimits)
	l.Model.Tensors = []plan.Tensor{{Name: "weights", Shape: []int{512, 512}}}
	l.Encoding, l.Privacy.NoiseMultiplier, l.Rounds.Count = plan.Encoding{ClipNorm: 1, Scale: 1 << 14}, 1.2, 100
	want := 1.98957895 - math.Log(0.99)/7
	central := l
	central.Privacy.Mode = "central"
	g := guaranteeOf(t, central)
	require.Zero(t, g.Shares(), "noise in one place is not filled up")
	require.InEpsilon(t, 16386.507621, g.Mechanism().Sensitivity().L2, 1e-9, "D2 of entry 45")
	require.InDelta(t, want, epsilon(t, g, dp.ObserverReleases, 100), 1e-6)

	// In shares the multiplier is stated for 40 survivors, one of whom knows its own, and sums
	// are filled up.
	stated := guaranteeOf(t, l)
	l.Privacy.NoiseMultiplier = 1.2 * math.Sqrt(39/float64(stated.Shares()-1))
	g = guaranteeOf(t, l)
	require.Equal(t, stated.Shares(), g.Shares())
	got := epsilon(t, g, dp.ObserverReleases, 100)
	require.Greater(t, got, 1.98957895)
	require.InDelta(t, want, got, 1e-6)
	require.Less(t, 5*epsilon(t, stated, dp.ObserverReleases, 100), 2*got, "there is more noise than is stated")
	_, promised := g.Epsilon(dp.ObserverCoordinator, 100)
	require.False(t, promised, "scheme plain hides nothing from its coordinator")

	hidden := l
	hidden.Scheme, hidden.Privacy.TrustCoordinator = plan.Scheme{Name: oneshot.Name, Committee: committee("panel", 7)}, false
	g = guaranteeOf(t, hidden)
	require.InDelta(t, want, epsilon(t, g, dp.ObserverReleases, 100), 1e-6, "whatever the scheme")
	hidden.Privacy.NoiseMultiplier = 1.2
	g = guaranteeOf(t, hidden)
	for attempts, want := range map[int]float64{1: 3.548696681, 100: 69.456978375} {
		got := epsilon(t, g, dp.ObserverCoordinator, attempts)
		require.Greater(t, got, want, "who sees rosters may see the shares that were added")
		require.Less(t, got, want*1.001)
		enforced, ok := g.Enforced(dp.ObserverCoordinator, attempts)
		require.True(t, ok)
		best := math.Inf(1) // over all orders, written out
		rho := float64(attempts) / (2 * 1.2 * 1.2)
		for a := 1.001; a < 100; a += 0.001 {
			best = min(best, rho*a+math.Log1p(-1/a)-(math.Log(1e-5)+math.Log(a))/(a-1))
		}
		require.Greater(t, enforced, best)
		require.Less(t, enforced, best*1.002, "orders are a tenth apart, and 1 %% of delta is set aside")
	}
}

// TestReleasesAreOfAllSharesLessTheCorrupt: what is accounted for is exactly what is in a
// sum that was filled up, of the same shares.
func TestReleasesAreOfAllSharesLessTheCorrupt(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*plan.Literal)
		corrupt float64
	}{
		"nobody corrupt": {func(*plan.Literal) {}, 0},
		"corrupt":        {func(*plan.Literal) {}, 0.07},
		"local":          {func(l *plan.Literal) { l.Privacy.Mode = "local" }, 0.07},
		"sealed":         {sealedCoins, 0.05},
		"skellam":        {func(l *plan.Literal) { l.Privacy.Mechanism, l.Encoding.Scale = "skellam", 20 }, 0.07},
		"adaptive": {func(l *plan.Literal) {
			l.Privacy.Clipping = plan.Clipping{Quantile: 0.3, Floor: 1, Ceiling: 100}
		}, 0.07},
		// 36 shares of exactly two steps, the narrowest there are.
		"narrow":     {func(l *plan.Literal) { l.Cohort.Minimum, l.Encoding.Scale = 36, 0.75 }, 0},
		"narrow bit": {func(l *plan.Literal) { l.Cohort.Minimum = 36; withBitNoise(l, 6) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l := noisy(withCoins, c.change)
			l.Scheme.Corrupt = c.corrupt
			g := guaranteeOf(t, l)
			p, err := l.Check(plain.Scheme{}, oneshot.Scheme{})
			require.NoError(t, err)
			require.Equal(t, p.Invited(), g.Shares(), "as many as can ever be admitted")
			known := max(1, int64(math.Ceil(float64(g.Shares())*c.corrupt-1e-9))) // or its own
			released, ok := g.Event(dp.ObserverReleases)
			require.True(t, ok)
			share := g.Mechanism().Shares().Variance()
			left := new(big.Rat).SetInt64(int64(g.Shares()) - known)
			require.Zero(t, left.Mul(left, share).Cmp(released.Spec().Variance))
			require.Equal(t, dp.Sampling{Mode: dp.SamplingPoisson, Rate: 120.0 / 3383}, released.Spec().Sampling)

			// Whoever knows how many were drawn counts on the fewest.
			unsampled, err := g.Mechanism().Event(dp.ZeroOut, dp.Sampling{Mode: dp.SamplingNone}, 1)
			require.NoError(t, err)
			fewest := big.NewRat(int64(g.Noise().Shares()), 1)
			require.Zero(t, fewest.Mul(fewest, share).Cmp(unsampled.Spec().Variance))
			if seen, ok := g.Event(dp.ObserverCoordinator); ok {
				require.Equal(t, unsampled, seen)
			}
			require.Greater(t, released.NoiseMultiplier(), 1.4*unsampled.NoiseMultiplier())
			require.Less(t, released.NoiseMultiplier(), 1.0001*unsampled.NoiseMultiplier()*math.Sqrt(float64(int64(g.Shares())-known)/float64(g.Noise().Shares())))
		})
	}
	g := guaranteeOf(t, noisy())
	require.Zero(t, g.Shares(), "nothing is claimed from coins")
	released, _ := g.Event(dp.ObserverReleases)
	fewest := big.NewRat(int64(g.Noise().Shares()), 1)
	require.Zero(t, fewest.Mul(fewest, g.Mechanism().Shares().Variance()).Cmp(released.Spec().Variance))
	l := noisy(withCoins, func(l *plan.Literal) { // nobody honest among the most
		l.Cohort, l.Scheme.Corrupt, l.Privacy.Mode = plan.Cohort{Size: 120, Minimum: 40, Selection: "poisson", Population: 3383}, 0.9999, "local"
	})
	_, err := l.Check(plain.Scheme{})
	require.Equal(t, []string{"privacy"}, refusals(t, err))
}

// withBitNoise adapts the clip norm with so much noise in the sum of bits.
func withBitNoise(l *plan.Literal, sigma float64) {
	l.Privacy.Clipping = plan.Clipping{Quantile: 0.5, Rate: 0.3, Floor: 1, Ceiling: 100, BitNoise: sigma}
}

func TestWhoSeesRostersIsChargedForParticipationsAndNotForSampling(t *testing.T) {
	l := noisy(sealedCoins)
	free := guaranteeOf(t, l)
	sampled, _ := free.Event(dp.ObserverReleases)
	clear, _ := free.Event(dp.ObserverCoordinator)
	require.Equal(t, dp.Sampling{Mode: dp.SamplingPoisson, Rate: 120.0 / 3383}, sampled.Spec().Sampling)
	require.Equal(t, dp.SamplingNone, clear.Spec().Sampling.Mode)
	require.Less(t, 10*epsilon(t, free, dp.ObserverReleases, 100), epsilon(t, free, dp.ObserverCoordinator, 100))

	l.Cohort = plan.Cohort{Size: 120, Minimum: 90}
	uniform := guaranteeOf(t, l)
	l.Cohort.Participations = 2
	capped := guaranteeOf(t, l)
	require.Equal(t, 2, capped.Most())
	require.Equal(t, epsilon(t, uniform, dp.ObserverCoordinator, 2), epsilon(t, capped, dp.ObserverCoordinator, 100))
	require.Equal(t, epsilon(t, uniform, dp.ObserverCoordinator, 1), epsilon(t, capped, dp.ObserverCoordinator, 1), "no more than there were attempts")
	require.Equal(t, epsilon(t, capped, dp.ObserverCoordinator, 100), epsilon(t, capped, dp.ObserverReleases, 100), "the cap holds for everybody")
	event, _ := uniform.Event(dp.ObserverReleases)
	require.Equal(t, dp.SamplingNone, event.Spec().Sampling.Mode, "nothing is claimed of fixed sizes")
	require.Equal(t, epsilon(t, uniform, dp.ObserverCoordinator, 7), epsilon(t, uniform, dp.ObserverReleases, 7))
}

func TestPromisesAreMadeOnlyToThoseForWhomTheyHold(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*plan.Literal)
		holds  bool
	}{
		"pairwise":   {func(*plan.Literal) {}, true},
		"plain":      {func(l *plan.Literal) { l.Scheme.Name, l.Privacy.TrustCoordinator = plain.Name, true }, false},
		"local":      {func(l *plan.Literal) { l.Privacy.Mode = "local" }, true},
		"local, raw": {func(l *plan.Literal) { l.Privacy.Mode, l.Scheme.Name = "local", plain.Name }, true},
		"central":    {func(l *plan.Literal) { l.Privacy.Mode, l.Privacy.TrustCoordinator = "central", true }, false},
		"trusting":   {func(l *plan.Literal) { l.Privacy.TrustCoordinator = true }, false}, // clients do not look
	} {
		l := noisy(c.change, func(l *plan.Literal) { l.Privacy.EpsilonCoordinator = 0 })
		g := guaranteeOf(t, l)
		_, ok := g.Epsilon(dp.ObserverCoordinator, 3)
		require.Equal(t, c.holds, ok, name)
		_, ok = g.Event(dp.ObserverCoordinator)
		require.Equal(t, c.holds, ok, name)
		_, ok = g.Epsilon(dp.ObserverReleases, 3)
		require.True(t, ok, name)
		_, ok = g.Epsilon(dp.Observer(0), 3)
		require.False(t, ok, name)
		l.Privacy.EpsilonCoordinator = 2000
		_, err := l.Check(plain.Scheme{}, pairwise.Scheme{})
		if c.holds {
			require.NoError(t, err, name)
			continue
		}
		require.Equal(t, []string{"privacy.epsilon_coordinator"}, refusals(t, err), "%s: a budget of nothing", name)
	}
	var nothing plan.Guarantee
	_, ok := nothing.Epsilon(dp.ObserverReleases, 1)
	require.False(t, ok)
	p, err := checkPlan(sound())
	require.NoError(t, err)
	require.False(t, p.Guarantee().Stated(), "mode none promises nothing")
}

// One client of a sum is curious: it takes its own share off, whatever the plan says of
// corrupt ones.
func TestWhoeverIsInASumKnowsItsOwnShare(t *testing.T) {
	inBuckets := func(l *plan.Literal) {
		l.Scheme = plan.Scheme{Name: oneshot.Name, Committee: committee("panel", 7)}
		l.Cohort = plan.Cohort{Size: 100, Minimum: 80}
		l.Aggregation.View, l.Aggregation.Buckets = "bucket_means", plan.Buckets{Size: 16, Minimum: 12}
	}
	for name, c := range map[string]struct {
		change             func(*plan.Literal)
		survivors, corrupt int
	}{
		"plain": {func(l *plan.Literal) {
			l.Scheme, l.Privacy.TrustCoordinator, l.Privacy.EpsilonCoordinator = plan.Scheme{Name: plain.Name}, true, 0
		}, 12, 1},
		"oneshot":         {func(l *plan.Literal) { inBuckets(l); l.Aggregation = plan.Aggregation{Denominator: "fixed"} }, 80, 1},
		"oneshot buckets": {inBuckets, 12, 1},
		"many buckets": {func(l *plan.Literal) { // in which the corrupt client is not to be reckoned with
			inBuckets(l)
			l.Cohort, l.Rounds.Count, l.Privacy.Delta = plan.Cohort{Size: 10_000, Minimum: 9900}, 1, 0.5
		}, 12, 1},
		"pairwise buckets": {func(l *plan.Literal) {
			inBuckets(l)
			l.Scheme, l.Aggregation.Buckets = plan.Scheme{Name: pairwise.Name, Dropout: 0.1}, plan.Buckets{Size: 30, Minimum: 26}
		}, 26, 1},
		"local":   {func(l *plan.Literal) { l.Privacy.Mode = "local" }, 1, 0},
		"central": {func(l *plan.Literal) { withMechanism("dgauss")(l) }, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n := guaranteeOf(t, noisy(c.change)).Noise()
			require.Equal(t, []int{c.survivors, c.corrupt}, []int{n.Survivors, n.Corrupt})
		})
	}
}

// hypergeometricTail is P[Hypergeom(n, f, s) > c], exactly.
func hypergeometricTail(n, f, s, c int) *big.Rat {
	choose := func(a, b int) *big.Int {
		if b < 0 || b > a {
			return new(big.Int)
		}
		return new(big.Int).Binomial(int64(a), int64(b))
	}
	tail := new(big.Int)
	for x := c + 1; x <= s; x++ {
		tail.Add(tail, new(big.Int).Mul(choose(f, x), choose(n-f, s-x)))
	}
	return new(big.Rat).SetFrac(tail, choose(n, s))
}

// TestBucketsAreCalibratedForTheirHonestMembers is DESIGN section 7: h = s_min - c* with
// the least c* such that T 2^g P[Hypergeom(n_min - 1, f, s - 1) > c*] <= delta/10.
func TestBucketsAreCalibratedForTheirHonestMembers(t *testing.T) {
	l := noisy(func(l *plan.Literal) {
		l.Scheme = plan.Scheme{Name: oneshot.Name, Corrupt: 0.01, Committee: committee("panel", 7)}
		l.Cohort = plan.Cohort{Size: 100, Minimum: 80}
		l.Aggregation.View, l.Aggregation.Buckets = "bucket_means", plan.Buckets{Size: 16, Minimum: 12}
	})
	least := func(size int) int {
		for c := 0; ; c++ {
			spent := hypergeometricTail(79, 1, size-1, c) // ceil(100 * 0.01) corrupt
			spent.Mul(spent, big.NewRat(20*8, 1))
			if spent.Cmp(big.NewRat(1, 1_000_000)) <= 0 {
				return c
			}
		}
	}
	want := least(20) // 99 in 6 buckets are 16 or 17; 79.. in 4 are up to 20; 95 in 5 are 19
	g := guaranteeOf(t, l)
	require.Equal(t, 12, g.Noise().Survivors)
	require.Equal(t, want, g.Noise().Corrupt)
	require.LessOrEqual(t, g.Slack().Buckets, 1e-6)

	l.Scheme.Corrupt, l.Rounds.Count, l.Cohort = 0.02, 5, plan.Cohort{Size: 400, Minimum: 320}
	g = guaranteeOf(t, l)
	require.Positive(t, g.Noise().Corrupt)
	size := 0
	for n := 320; n <= 400; n++ {
		size = max(size, (n+n/16-1)/(n/16))
	}
	tail := func(c int) float64 {
		v, _ := new(big.Rat).Mul(hypergeometricTail(319, 8, size-1, c), big.NewRat(5*8, 1)).Float64()
		return v
	}
	require.LessOrEqual(t, tail(g.Noise().Corrupt), 1e-6)
	require.Greater(t, tail(g.Noise().Corrupt-1), 1e-6)
	require.Less(t, g.Noise().Corrupt, 8, "not all of them are in one bucket")
	require.InEpsilon(t, tail(g.Noise().Corrupt), g.Slack().Buckets, 1e-9, "charged to delta")
	require.GreaterOrEqual(t, g.Slack().Total(), g.Slack().Buckets)

	l.Scheme.Name, l.Scheme.Committee, l.Privacy.TrustCoordinator, l.Privacy.EpsilonCoordinator = plain.Name, plan.Committee{}, true, 0
	require.Equal(t, g.Noise(), guaranteeOf(t, l).Noise(), "the partition is fair")

	// Under a sum that may fall back on buckets, noise is for the weaker view from the
	// first attempt on.
	l.Scheme.Name, l.Scheme.Committee, l.Privacy.TrustCoordinator = oneshot.Name, committee("panel", 7), false
	l.Aggregation.View, l.Aggregation.Fallback = "sum", "bucket_means"
	falling := guaranteeOf(t, l)
	require.Equal(t, g.Noise(), falling.Noise())
	l.Aggregation.Fallback, l.Aggregation.Buckets = "", plan.Buckets{}
	whole := guaranteeOf(t, l)
	require.Equal(t, []int{320, 8}, []int{whole.Noise().Survivors, whole.Noise().Corrupt})
	require.Zero(t, whole.Slack().Buckets)

	for _, c := range []struct {
		scheme string
		share  float64
	}{{oneshot.Name, 0.3}, {plain.Name, 0.3}} { // nobody honest to rely on
		x := l
		x.Scheme = plan.Scheme{Name: c.scheme, Corrupt: c.share}
		x.Privacy.TrustCoordinator = c.scheme == plain.Name
		if c.scheme == oneshot.Name {
			x.Scheme.Committee = committee("panel", 7)
		}
		x.Aggregation.View, x.Aggregation.Buckets = "bucket_means", plan.Buckets{Size: 20, Minimum: 16}
		_, err := x.Check(plain.Scheme{}, pairwise.Scheme{}, oneshot.Scheme{})
		require.Error(t, err)
		require.Equal(t, []string{"privacy"}, refusals(t, err), c.scheme)
	}
}

func TestSharesUnderPairwiseAreThoseOfItsGraph(t *testing.T) {
	for name, c := range map[string]struct {
		cohort plan.Cohort
		scheme plan.Scheme
	}{
		"complete": {plan.Cohort{Size: 60, Minimum: 40}, plan.Scheme{Name: pairwise.Name, Corrupt: 0.05, Dropout: 0.2}},
		"sparse":   {plan.Cohort{Size: 300, Minimum: 240}, plan.Scheme{Name: pairwise.Name, Corrupt: 0.05, Dropout: 0.1}},
	} {
		l := noisy(func(l *plan.Literal) { l.Scheme, l.Cohort = c.scheme, c.cohort })
		p, err := checkPlan(l)
		require.NoError(t, err)
		n := p.Guarantee().Noise()
		honest, err := pairwise.Scheme{}.Honest(p.Policy())
		require.NoError(t, err)
		corrupt := int(math.Ceil(float64(c.cohort.Size) * 0.05))
		require.Equal(t, c.cohort.Minimum, n.Survivors, name)
		require.Equal(t, min(honest, c.cohort.Minimum-corrupt), n.Shares(), "%s: those the graph leaves out cannot be counted on", name)
	}
	l := noisy(func(l *plan.Literal) { // one session a bucket, and all corrupt clients in one
		l.Scheme = plan.Scheme{Name: pairwise.Name, Corrupt: 0.01, Dropout: 0.1}
		l.Cohort = plan.Cohort{Size: 120, Minimum: 100}
		l.Aggregation.View, l.Aggregation.Buckets = "bucket_means", plan.Buckets{Size: 30, Minimum: 26}
	})
	p, err := checkPlan(l)
	require.NoError(t, err)
	honest, err := pairwise.Scheme{}.Honest(p.Policy())
	require.NoError(t, err)
	require.Equal(t, 26, p.Guarantee().Noise().Survivors)
	require.Equal(t, min(honest, 25), p.Guarantee().Noise().Shares())
	l.Aggregation.Buckets.Minimum = 16 // fewer than the scheme opens
	p, err = checkPlan(l)
	require.NoError(t, err)
	require.Equal(t, 16, p.Guarantee().Noise().Survivors)
	require.LessOrEqual(t, p.Guarantee().Noise().Shares(), 16)
	require.GreaterOrEqual(t, p.Guarantee().Noise().Corrupt, 0)
}

func TestNoiseOfSharesIsNarrowerTheMoreMayBeReliedOn(t *testing.T) {
	l := noisy(func(l *plan.Literal) {
		l.Scheme, l.Privacy.TrustCoordinator, l.Privacy.EpsilonCoordinator = plan.Scheme{Name: plain.Name, Corrupt: 0.2}, true, 0
	})
	g := guaranteeOf(t, l)
	require.Equal(t, []int{12, 4}, []int{g.Noise().Survivors, g.Noise().Corrupt}, "12 of 20, of whom 4 are corrupt")
	require.InEpsilon(t, 50*16/math.Sqrt(8), g.Mechanism().Shares().Width(), 1e-9)
	l.Privacy.Mode = "local"
	require.InEpsilon(t, 50*16, guaranteeOf(t, l).Mechanism().Shares().Width(), 1e-9, "each alone")
	l.Privacy.Mode = "central"
	require.True(t, guaranteeOf(t, l).Mechanism().Parameters().Central)
}

func TestChargesAreWhatIsPromised(t *testing.T) {
	l := noisy(withCoins)
	l.Privacy.Population = "fleet"
	l.Privacy.EpsilonCoordinator = 0
	p, err := checkPlan(l)
	require.NoError(t, err)
	g, c := p.Genesis(), p.Charge()
	require.Equal(t, "fleet", g.Population)
	require.Equal(t, dp.UnitClient, g.Unit)
	require.Equal(t, dp.ZeroOut, g.Relation)
	require.Equal(t, 3383, g.Clients)
	require.Equal(t, []float64{1e-5, 1000}, []float64{g.Delta, g.Releases.Epsilon})
	require.Zero(t, g.Rosters, "nothing is promised to them")
	released, _ := p.Guarantee().Event(dp.ObserverReleases)
	require.Equal(t, released, c.Released)
	require.False(t, c.Rosters.Valid())
	require.Zero(t, c.Participations, "coins know no caps")
	require.InEpsilon(t, p.Guarantee().Slack().Total(), c.Delta*float64(p.Rounds()*p.Attempts()), 1e-12)
	require.GreaterOrEqual(t, g.Slack, p.Guarantee().Slack().Total())
	require.LessOrEqual(t, g.Slack, 0.25e-5)

	p, err = checkPlan(noisy())
	require.NoError(t, err)
	require.Equal(t, 2000.0, p.Genesis().Rosters.Epsilon)
	require.Equal(t, 6, p.Charge().Participations)
	rosters, _ := p.Guarantee().Event(dp.ObserverCoordinator)
	require.Equal(t, rosters, p.Charge().Rosters)
	require.Equal(t, dp.SamplingNone, rosters.Spec().Sampling.Mode)
}

// TestEpsilonNeverFallsShortOfItsEventsAtTheWholeOfDelta: what is set aside only costs.
func TestEpsilonNeverFallsShortOfItsEventsAtTheWholeOfDelta(t *testing.T) {
	for _, change := range []func(*plan.Literal){withNoise, withCoins, withAdaptiveClip} {
		g := guaranteeOf(t, noisy(change, noLimits))
		for _, o := range []dp.Observer{dp.ObserverReleases, dp.ObserverCoordinator} {
			event, ok := g.Event(o)
			if !ok {
				continue
			}
			last := 0.0
			for n := 1; n <= 60; n++ {
				curve, err := account.NewCurve([]dp.Event{event})
				require.NoError(t, err)
				curve, err = curve.Times(int64(n))
				require.NoError(t, err)
				b, err := curve.Epsilon(g.Noise().Delta)
				require.NoError(t, err)
				enforced, ok := g.Enforced(o, n)
				require.True(t, ok)
				require.GreaterOrEqual(t, enforced, b.Epsilon)
				require.LessOrEqual(t, enforced, 1.01*b.Epsilon+0.1)
				got := epsilon(t, g, o, n)
				require.LessOrEqual(t, got, enforced)
				if event.Spec().Sampling.Mode == dp.SamplingNone {
					exact, err := account.GDPEpsilon(math.Sqrt(float64(n))/event.NoiseMultiplier(), g.Noise().Delta)
					require.NoError(t, err)
					require.GreaterOrEqual(t, got, exact)
				}
				require.Greater(t, got, last)
				last = got
			}
		}
	}
}

func TestSkellamSharesThatAreRedrawnAreChargedWhereTheyCanBe(t *testing.T) {
	l := noisy(noLimits, func(l *plan.Literal) {
		l.Privacy.Mechanism, l.Encoding.Scale, l.Privacy.NoiseMultiplier, l.Privacy.Epsilon = "skellam", 50, 3, 200
	})
	g := guaranteeOf(t, l)
	require.False(t, math.IsInf(epsilon(t, g, dp.ObserverReleases, 20), 1))
	require.True(t, math.IsInf(epsilon(t, g, dp.ObserverReleases, 2000), 1), "beyond some epsilon nothing is known of Skellam shares without their tails")
	require.Equal(t, ddp.TailWidths, 12)
}

func BenchmarkCheckWithCalibration(b *testing.B) {
	l := noisy(withCoins, noLimits)
	l.Model.Tensors = []plan.Tensor{{Name: "weights", Shape: []int{199_210}}}
	l.Privacy.NoiseMultiplier, l.Privacy.Epsilon, l.Rounds.Count, l.Encoding.Scale = 0, 2, 100, 1<<10
	for b.Loop() {
		if _, err := l.Check(plain.Scheme{}, pairwise.Scheme{}); err != nil {
			b.Fatal(err)
		}
	}
}

var _ secagg.ServerScheme = oneshot.Scheme{}

func TestLocalNoiseIsCalibratedForOneShareAlone(t *testing.T) {
	l := noisy(withCoins, func(l *plan.Literal) {
		l.Privacy.Mode, l.Privacy.NoiseMultiplier, l.Privacy.Epsilon, l.Privacy.TrustCoordinator = "local", 0, 8, false
	})
	p, err := checkPlan(l)
	require.NoError(t, err)
	alone, ok := p.Guarantee().Enforced(dp.ObserverCoordinator, p.Rounds())
	require.True(t, ok)
	require.LessOrEqual(t, alone, 8.0)
	require.Greater(t, alone, 7.9)
	together, _ := p.Guarantee().Enforced(dp.ObserverReleases, p.Rounds())
	require.Less(t, together, 1.0, "where all shares hide one client, much less is learned")
}
