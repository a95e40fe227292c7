package plan_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
)

// withNoise turns a sound plan into one with noise in shares, of a stated multiplier.
func withNoise(l *plan.Literal) {
	l.Privacy = plan.Privacy{Mode: "distributed", Relation: "zero-out", NoiseMultiplier: 1, Delta: 1e-5, Epsilon: 1000, EpsilonCoordinator: 2000}
	l.Aggregation = plan.Aggregation{Denominator: "fixed"}
	l.Evaluation, l.Stop = plan.Evaluation{}, plan.Stop{}
	l.Encoding = plan.Encoding{ClipNorm: 16, Scale: 50}
	l.Cohort.Participations, l.Cohort.Separation = 6, 2
}

// withCoins has cohorts drawn by coins.
func withCoins(l *plan.Literal) {
	withNoise(l)
	l.Scheme = plan.Scheme{Name: plain.Name}
	l.Privacy.TrustCoordinator = true
	l.Privacy.EpsilonCoordinator = 0
	l.Cohort = plan.Cohort{Size: 120, Minimum: 40, Selection: "poisson", Population: 3383}
}

// withAdaptiveClip has the clip norm adapt.
func withAdaptiveClip(l *plan.Literal) {
	withNoise(l)
	l.Privacy.Clipping = plan.Clipping{Quantile: 0.5, Rate: 0.3, Floor: 1, Ceiling: 100, BitNoise: 2}
}

// withMechanism has a trusted coordinator add correlated noise.
func withMechanism(name string) func(*plan.Literal) {
	return func(l *plan.Literal) {
		withNoise(l)
		l.Privacy.Mode, l.Privacy.TrustCoordinator, l.Privacy.Mechanism, l.Privacy.EpsilonCoordinator = "central", true, name, 0
		l.Cohort.Participations, l.Cohort.Separation = 2, 4
		if name == "bandmf" {
			l.Privacy.Bands = 3
		}
	}
}

func noisy(changes ...func(*plan.Literal)) plan.Literal {
	l := sound()
	withNoise(&l)
	for _, change := range changes {
		change(&l)
	}
	return l
}

func TestEachContradictionAboutNoiseIsRefusedUnderItsKey(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	type row struct {
		begin  func(*plan.Literal)
		change func(*plan.Literal)
		key    string
	}
	rows := map[string]row{
		"noise under mode none":             {nil, func(l *plan.Literal) { l.Privacy.Mode, l.Privacy.TrustCoordinator = "none", true; noLimits(l) }, "privacy"},
		"limits under mode none":            {nil, func(l *plan.Literal) { l.Privacy = plan.Privacy{Mode: "none", TrustCoordinator: true} }, "cohort"},
		"coins under mode none":             {withCoins, func(l *plan.Literal) { l.Privacy = plan.Privacy{Mode: "none", TrustCoordinator: true} }, "cohort"},
		"central noise without trust":       {nil, func(l *plan.Literal) { l.Privacy.Mode, l.Privacy.EpsilonCoordinator = "central", 0 }, "privacy"},
		"shares in clear without trust":     {withCoins, func(l *plan.Literal) { l.Privacy.TrustCoordinator = false }, "privacy"},
		"unknown mechanism":                 {nil, func(l *plan.Literal) { l.Privacy.Mechanism = "gaussian" }, "privacy.mechanism"},
		"central skellam":                   {nil, func(l *plan.Literal) { withMechanism("skellam")(l) }, "privacy.mechanism"},
		"correlated shares":                 {nil, func(l *plan.Literal) { l.Privacy.Mechanism = "tree" }, "privacy.mechanism"},
		"correlated without participations": {withMechanism("tree"), func(l *plan.Literal) { l.Cohort.Participations = 0 }, "privacy.mechanism"},
		"correlated without separation":     {withMechanism("blt"), func(l *plan.Literal) { l.Cohort.Separation = 0 }, "privacy.mechanism"},
		"correlated buckets": {withMechanism("tree"), func(l *plan.Literal) {
			l.Scheme.Name = plain.Name
			l.Aggregation.View, l.Aggregation.Buckets = "bucket_means", plan.Buckets{Size: 5, Minimum: 3}
		}, "privacy.mechanism"},
		"coins and participations":         {withCoins, func(l *plan.Literal) { l.Cohort.Participations = 6 }, "cohort"},
		"coins and separation":             {withCoins, func(l *plan.Literal) { l.Cohort.Separation = 2 }, "cohort"},
		"correlated on a clip that moves":  {withMechanism("tree"), func(l *plan.Literal) { l.Privacy.Clipping = plan.Clipping{Quantile: 0.5, Floor: 1, Ceiling: 100} }, "privacy.clipping"},
		"buffers of another":               {nil, func(l *plan.Literal) { l.Privacy.Buffers = 3 }, "privacy.buffers"},
		"correlated behind a gate":         {withMechanism("tree"), func(l *plan.Literal) { l.Screening.RecallDrop = 0.5 }, "screening"},
		"correlated and measured":          {withMechanism("tree"), func(l *plan.Literal) { l.Screening.Alerts.RecallDrop = 0.5 }, "screening"},
		"five buffers":                     {withMechanism("blt"), func(l *plan.Literal) { l.Privacy.Buffers = 5 }, "privacy.buffers"},
		"negative buffers":                 {withMechanism("blt"), func(l *plan.Literal) { l.Privacy.Buffers = -1 }, "privacy.buffers"},
		"bands of another":                 {nil, func(l *plan.Literal) { l.Privacy.Bands = 2 }, "privacy.bands"},
		"bands beyond separation":          {withMechanism("bandmf"), func(l *plan.Literal) { l.Privacy.Bands = 5 }, "privacy.bands"},
		"relation not stated":              {nil, func(l *plan.Literal) { l.Privacy.Relation = "" }, "privacy.relation"},
		"unknown relation":                 {nil, func(l *plan.Literal) { l.Privacy.Relation = "other" }, "privacy.relation"},
		"add-remove":                       {nil, func(l *plan.Literal) { l.Privacy.Relation = "add-remove" }, "privacy.relation"},
		"coins and replacement":            {withCoins, func(l *plan.Literal) { l.Privacy.Relation = "replace-one" }, "privacy.relation"},
		"delta not stated":                 {nil, func(l *plan.Literal) { l.Privacy.Delta = 0 }, "privacy.delta"},
		"delta of one":                     {nil, func(l *plan.Literal) { l.Privacy.Delta = 1 }, "privacy.delta"},
		"negative delta":                   {nil, func(l *plan.Literal) { l.Privacy.Delta = -1e-5 }, "privacy.delta"},
		"delta of NaN":                     {nil, func(l *plan.Literal) { l.Privacy.Delta = nan }, "privacy.delta"},
		"epsilon not stated":               {nil, func(l *plan.Literal) { l.Privacy.Epsilon = 0 }, "privacy.epsilon"},
		"negative epsilon":                 {nil, func(l *plan.Literal) { l.Privacy.Epsilon = -1 }, "privacy.epsilon"},
		"epsilon of NaN":                   {nil, func(l *plan.Literal) { l.Privacy.Epsilon = nan }, "privacy.epsilon"},
		"infinite epsilon":                 {nil, func(l *plan.Literal) { l.Privacy.Epsilon = inf }, "privacy.epsilon"},
		"negative other epsilon":           {nil, func(l *plan.Literal) { l.Privacy.EpsilonCoordinator = -1 }, "privacy.epsilon_coordinator"},
		"other epsilon of NaN":             {nil, func(l *plan.Literal) { l.Privacy.EpsilonCoordinator = nan }, "privacy.epsilon_coordinator"},
		"other epsilon infinite":           {nil, func(l *plan.Literal) { l.Privacy.EpsilonCoordinator = inf }, "privacy.epsilon_coordinator"},
		"negative noise":                   {nil, func(l *plan.Literal) { l.Privacy.NoiseMultiplier = -1 }, "privacy.noise_multiplier"},
		"noise of NaN":                     {nil, func(l *plan.Literal) { l.Privacy.NoiseMultiplier = nan }, "privacy.noise_multiplier"},
		"infinite noise":                   {nil, func(l *plan.Literal) { l.Privacy.NoiseMultiplier = inf }, "privacy.noise_multiplier"},
		"population with a path":           {nil, func(l *plan.Literal) { l.Privacy.Population = "../x" }, "privacy.population"},
		"weights":                          {nil, func(l *plan.Literal) { l.Aggregation.Denominator = "weights" }, "aggregation.denominator"},
		"denominator not stated":           {nil, func(l *plan.Literal) { l.Aggregation.Denominator = "" }, "aggregation.denominator"},
		"evaluation":                       {nil, func(l *plan.Literal) { l.Evaluation.Clients = true }, "evaluation.clients"},
		"bits":                             {nil, func(l *plan.Literal) { l.Encoding.Bits = 18 }, "encoding"},
		"word bits":                        {nil, func(l *plan.Literal) { l.Encoding.WordBits = 32 }, "encoding"},
		"no clip norm":                     {nil, func(l *plan.Literal) { l.Encoding.ClipNorm = 0 }, "encoding.clip_norm"},
		"negative clip norm":               {nil, func(l *plan.Literal) { l.Encoding.ClipNorm = -1 }, "encoding.clip_norm"},
		"clip norm of NaN":                 {nil, func(l *plan.Literal) { l.Encoding.ClipNorm = nan }, "encoding.clip_norm"},
		"infinite clip norm":               {nil, func(l *plan.Literal) { l.Encoding.ClipNorm = inf }, "encoding.clip_norm"},
		"no first clip norm":               {withAdaptiveClip, func(l *plan.Literal) { l.Encoding.ClipNorm = 0 }, "encoding.clip_norm"},
		"quantile of one":                  {withAdaptiveClip, func(l *plan.Literal) { l.Privacy.Clipping.Quantile = 1 }, "privacy.clipping.quantile"},
		"quantile not stated":              {withAdaptiveClip, func(l *plan.Literal) { l.Privacy.Clipping.Quantile = 0 }, "privacy.clipping.quantile"},
		"quantile of NaN":                  {withAdaptiveClip, func(l *plan.Literal) { l.Privacy.Clipping.Quantile = nan }, "privacy.clipping.quantile"},
		"negative bit noise":               {withAdaptiveClip, func(l *plan.Literal) { l.Privacy.Clipping.BitNoise = -1 }, "privacy.clipping.bit_noise"},
		"bit noise of NaN":                 {withAdaptiveClip, func(l *plan.Literal) { l.Privacy.Clipping.BitNoise = nan }, "privacy.clipping.bit_noise"},
		"no floor":                         {withAdaptiveClip, func(l *plan.Literal) { l.Privacy.Clipping.Floor = 0 }, "privacy.clipping"},
		"floor above ceiling":              {withAdaptiveClip, func(l *plan.Literal) { l.Privacy.Clipping.Floor = 200 }, "privacy.clipping"},
		"first norm above ceiling":         {withAdaptiveClip, func(l *plan.Literal) { l.Privacy.Clipping.Ceiling = 10 }, "privacy.clipping"},
		"infinite ceiling":                 {withAdaptiveClip, func(l *plan.Literal) { l.Privacy.Clipping.Ceiling = inf }, "privacy.clipping"},
		"rate of two":                      {withAdaptiveClip, func(l *plan.Literal) { l.Privacy.Clipping.Rate = 2 }, "privacy.clipping"},
		"clip bit under skellam":           {withAdaptiveClip, func(l *plan.Literal) { l.Privacy.Mechanism = "skellam" }, "privacy.clipping"},
		"bit noise that hides nothing":     {withAdaptiveClip, func(l *plan.Literal) { l.Privacy.Clipping.BitNoise = 0.4 }, "privacy"},
		"negative participations":          {nil, func(l *plan.Literal) { l.Cohort.Participations = -1 }, "cohort.participations"},
		"more than all attempts":           {nil, func(l *plan.Literal) { l.Cohort.Participations = 61 }, "cohort.participations"},
		"negative separation":              {nil, func(l *plan.Literal) { l.Cohort.Separation = -1 }, "cohort.separation"},
		"separation beyond the run":        {nil, func(l *plan.Literal) { l.Cohort.Separation = 21 }, "cohort.separation"},
		"coins of nobody":                  {withCoins, func(l *plan.Literal) { l.Cohort.Population = 0 }, "cohort.population"},
		"coins that are all heads":         {withCoins, func(l *plan.Literal) { l.Cohort.Population = 120 }, "cohort.population"},
		"coins for a planet":               {withCoins, func(l *plan.Literal) { l.Cohort.Population = 8_000_000_000 }, "cohort.population"},
		"coins for more than a roster":     {withCoins, func(l *plan.Literal) { l.Cohort.Size, l.Cohort.Population = secagg.MaxRoster, 1_000_000 }, "cohort.size"},
		"coins and over-selection":         {withCoins, func(l *plan.Literal) { l.Cohort.OverSelection = 1.5 }, "cohort"},
		"coins and an early close":         {withCoins, func(l *plan.Literal) { l.Cohort.CloseAt = 50 }, "cohort"},
		"population without coins":         {nil, func(l *plan.Literal) { l.Cohort.Population = 1000 }, "cohort.population"},
		"one coin decides":                 {withCoins, func(l *plan.Literal) { l.Cohort.Minimum = 100 }, "cohort.minimum"},
		"one coin decides if many are out": {withCoins, func(l *plan.Literal) { l.Scheme.Dropout = 0.5 }, "cohort.minimum"},
		"all survivors corrupt": {nil, func(l *plan.Literal) {
			l.Scheme, l.Privacy.TrustCoordinator = plan.Scheme{Name: plain.Name, Corrupt: 0.6}, true
		}, "privacy"},
		"scheme that promises nobody": {nil, func(l *plan.Literal) { l.Privacy.EpsilonCoordinator = 0; withCommittee(l) }, "privacy"},
		"coins and buckets": {withCoins, func(l *plan.Literal) {
			l.Aggregation.View, l.Aggregation.Buckets = "bucket_means", plan.Buckets{Size: 20, Minimum: 16}
		}, "cohort.selection"},
		"coins and buckets to fall back on": {withCoins, func(l *plan.Literal) {
			l.Aggregation.Fallback, l.Aggregation.Buckets = "bucket_means", plan.Buckets{Size: 20, Minimum: 16}
		}, "cohort.selection"},
		"coins on a graph that may fail": {func(l *plan.Literal) {
			withCoins(l)
			l.Scheme, l.Privacy.TrustCoordinator = plan.Scheme{Name: pairwise.Name, Dropout: 0.1}, false
		}, func(l *plan.Literal) { l.Rounds.Count = 100 }, "scheme"},
		"budget of nothing":          {withCoins, func(l *plan.Literal) { l.Privacy.EpsilonCoordinator = 1000 }, "privacy.epsilon_coordinator"},
		"one round is too much":      {nil, func(l *plan.Literal) { l.Privacy.Epsilon = 1 }, "privacy.epsilon"},
		"shares too narrow":          {nil, func(l *plan.Literal) { l.Encoding.Scale = 0.1 }, "privacy"},
		"sum beyond the ring":        {nil, func(l *plan.Literal) { l.Encoding.Scale = 1e8 }, "privacy"},
		"noise beyond the ring":      {nil, func(l *plan.Literal) { l.Privacy.NoiseMultiplier = 1e9 }, "privacy"},
		"negative scale":             {nil, func(l *plan.Literal) { l.Encoding.Scale = -1 }, "privacy"},
		"scale of NaN":               {nil, func(l *plan.Literal) { l.Encoding.Scale = nan }, "privacy"},
		"negative range":             {nil, func(l *plan.Literal) { l.Encoding.Range = -1 }, "privacy"},
		"impossible budget":          {calibrated, func(l *plan.Literal) { l.Privacy.Epsilon = 1e-9 }, "privacy.epsilon"},
		"impossible delta":           {calibrated, func(l *plan.Literal) { l.Privacy.Delta = 1e-300 }, "privacy.epsilon"},
		"calibrated beyond the ring": {calibrated, func(l *plan.Literal) { l.Encoding.Scale = 1e8 }, "privacy.epsilon"},
		"skellam shares too wide":    {calibrated, func(l *plan.Literal) { l.Privacy.Mechanism, l.Encoding.Scale = "skellam", 1e5 }, "privacy.epsilon"},
	}
	for name, c := range rows {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			l := noisy()
			if c.begin != nil {
				c.begin(&l)
			}
			_, err := checkPlan(l)
			require.NoError(t, err)
			c.change(&l)
			_, err = checkPlan(l)
			require.Error(t, err)
			require.Equal(t, []string{c.key}, refusals(t, err), "one line for one contradiction: %v", err)
		})
	}
}

// calibrated leaves the multiplier to the budget.
func calibrated(l *plan.Literal) { l.Privacy.NoiseMultiplier, l.Privacy.Epsilon = 0, 20 }

func noLimits(l *plan.Literal) { l.Cohort.Participations, l.Cohort.Separation = 0, 0 }

func TestSeveralContradictionsAboutNoiseAreAllNamed(t *testing.T) {
	l := noisy(withAdaptiveClip)
	l.Privacy.Relation, l.Privacy.Delta, l.Privacy.Epsilon, l.Privacy.NoiseMultiplier = "", 0, -1, -1
	l.Privacy.Clipping.Quantile, l.Encoding.ClipNorm, l.Aggregation.Denominator, l.Cohort.Separation = 2, 0, "weights", -1
	_, err := checkPlan(l)
	require.ElementsMatch(t, refusals(t, err), []string{"privacy.relation", "privacy.delta", "privacy.epsilon", "privacy.noise_multiplier",
		"privacy.clipping.quantile", "encoding.clip_norm", "aggregation.denominator", "cohort.separation"})
}

// Correlated noise needs participations and separation, which coins do not go with; and it
// claims nothing from coins.
func TestCorrelatedNoiseIsRefusedUnderCoins(t *testing.T) {
	l := noisy(withMechanism("tree"))
	_, err := checkPlan(l)
	require.NoError(t, err)
	l.Cohort.Selection, l.Cohort.Population = "poisson", 1000
	_, err = checkPlan(l)
	require.ElementsMatch(t, []string{"cohort.selection", "cohort"}, refusals(t, err))
}

// Everybody is one apart from himself: a separation of 1 asks for nothing.
func TestCoinsGoWithASeparationOfOne(t *testing.T) {
	_, err := checkPlan(noisy(withCoins, func(l *plan.Literal) { l.Cohort.Separation = 1 }))
	require.NoError(t, err)
}

func TestWhatIsDefaultedAboutNoiseIsWrittenIntoThePlan(t *testing.T) {
	l := noisy(func(l *plan.Literal) { l.Privacy.Clipping = plan.Clipping{Quantile: 0.5, Floor: 1, Ceiling: 100} })
	p, err := checkPlan(l)
	require.NoError(t, err)
	got := p.Literal().Privacy
	require.Equal(t, l.Job, got.Population, "the job's own budget")
	require.Equal(t, "dgauss", got.Mechanism)
	require.Equal(t, plan.Clipping{Quantile: 0.5, Rate: plan.DefaultClipRate, Floor: 1, Ceiling: 100, BitNoise: 1}, got.Clipping, "a twentieth of the cohort")
	again, err := checkPlan(p.Literal())
	require.NoError(t, err)
	require.Equal(t, p.Digest(), again.Digest())
	rule, adapts := p.ClipRule()
	require.True(t, adapts)
	require.Equal(t, 0.2, rule.Rate)
	q, err := checkPlan(noisy())
	require.NoError(t, err)
	_, adapts = q.ClipRule()
	require.False(t, adapts)
}

func TestPlansWithNoiseSurviveTheirFiles(t *testing.T) {
	for name, change := range map[string]func(*plan.Literal){
		"distributed": func(*plan.Literal) {}, "coins": withCoins, "adaptive": withAdaptiveClip, "calibrated": calibrated,
		"tree": withMechanism("tree"), "bandmf": withMechanism("bandmf"),
		"blt":         func(l *plan.Literal) { withMechanism("blt")(l); l.Privacy.Buffers = 4 },
		"skellam":     func(l *plan.Literal) { l.Privacy.Mechanism, l.Privacy.Population = "skellam", "fleet.1" },
		"replace-one": func(l *plan.Literal) { l.Privacy.Relation = "replace-one" },
		"adaptive coins": func(l *plan.Literal) {
			withCoins(l)
			l.Privacy.Clipping = plan.Clipping{Quantile: 0.3, Floor: 1, Ceiling: 100}
		},
		"local": func(l *plan.Literal) { l.Privacy.Mode = "local" },
	} {
		t.Run(name, func(t *testing.T) {
			l := noisy(change)
			text, err := l.Format()
			require.NoError(t, err)
			back, err := parse(text)
			require.NoError(t, err, text)
			require.Equal(t, l, back, text)
			p, err := checkPlan(l)
			require.NoError(t, err)
			require.Positive(t, p.Literal().Privacy.NoiseMultiplier)
			resolved, err := p.Literal().Format()
			require.NoError(t, err)
			back, err = parse(resolved)
			require.NoError(t, err, resolved)
			require.Equal(t, p.Literal(), back)
			for _, other := range []plan.Literal{l, back} {
				q, err := checkPlan(other)
				require.NoError(t, err)
				require.Equal(t, p.Digest(), q.Digest(), "a plan that was written out is the same plan")
				require.Equal(t, p.Terms(), q.Terms())
			}
			terms, err := secagg.DecodeTerms(p.Terms().Encode())
			require.NoError(t, err)
			m, err := terms.Mechanism()
			require.NoError(t, err)
			require.Equal(t, p.Guarantee().Mechanism().Parameters(), m.Parameters(), "clients encode as the plan reckons")
			require.Equal(t, p.Guarantee().Noise(), terms.Noise)
			require.Equal(t, p.Quantizer().Spec(), terms.Encoding)
		})
	}
	file, err := plan.Parse("plan.yaml", strings.NewReader("privacy:\n  mode: distributed\n  population: fleet\n  mechanism: dgauss\n  relation: zero-out\n"+
		"  noise_multiplier: 1.2\n  delta: 1e-5\n  epsilon: 10\n  epsilon_coordinator: 80\n  bands: 3\n  buffers: 2\n"+
		"  clipping: {quantile: 0.5, rate: 0.1, floor: 0.01, ceiling: 10, bit_noise: 6}\n"+
		"cohort: {selection: poisson, population: 3000, participations: 6, separation: 314}\n"))
	require.NoError(t, err)
	require.Equal(t, plan.Privacy{Mode: "distributed", Population: "fleet", Mechanism: "dgauss", Relation: "zero-out", NoiseMultiplier: 1.2, Delta: 1e-5,
		Epsilon: 10, EpsilonCoordinator: 80, Bands: 3, Buffers: 2, Clipping: plan.Clipping{Quantile: 0.5, Rate: 0.1, Floor: 0.01, Ceiling: 10, BitNoise: 6}}, file.Privacy)
	require.Equal(t, plan.Cohort{Selection: "poisson", Population: 3000, Participations: 6, Separation: 314}, file.Cohort)
}

func TestPromiseToClientsIsWhatThePlanStates(t *testing.T) {
	p, err := checkPlan(noisy(withCoins))
	require.NoError(t, err)
	require.Equal(t, secagg.Noise{Law: dp.DiscreteGaussian, Relation: dp.ZeroOut, Sigma: 16, Survivors: 40, Corrupt: 1, Releases: 20, Delta: 1e-5,
		Rate: 120.0 / 3383}, p.Terms().Noise)
	require.Equal(t, p.Invited(), p.Terms().Encoding.Clients, "room for every cohort that coins draw")
	p, err = checkPlan(noisy())
	require.NoError(t, err)
	require.Equal(t, []int{6, 2}, []int{p.Terms().Noise.Participations, p.Terms().Noise.Separation})

	l := noisy(withAdaptiveClip)
	p, err = checkPlan(l)
	require.NoError(t, err)
	// Golden entry 46's formula: z_update = (z^-2 - (2 sigma_b)^-2)^(-1/2).
	require.InEpsilon(t, 16/math.Sqrt(1-1.0/16), p.Terms().Noise.Sigma, 1e-12)
	require.Equal(t, 2.0, p.Terms().Noise.BitSigma)
	event, stated := p.Guarantee().Event(dp.ObserverReleases)
	require.True(t, stated)
	require.InEpsilon(t, 1.0/1.02, event.NoiseMultiplier(), 0.03, "of update and bit together, less what rounding costs")

	l = noisy(func(l *plan.Literal) { l.Privacy.Relation = "replace-one" })
	p, err = checkPlan(l)
	require.NoError(t, err)
	event, _ = p.Guarantee().Event(dp.ObserverReleases)
	require.Less(t, event.NoiseMultiplier(), 0.5, "the same noise protects half as well where one is replaced")
}
