package secagg

import (
	"math"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg/field"
)

// noisyTask is the sample under distributed noise: 10 survivors of whom 2 may be corrupt.
func noisyTask(t testing.TB, changes ...func(*Terms)) Task {
	t.Helper()
	task := sampleTask(t)
	x := &task.Terms
	x.Privacy, x.TrustCoordinator, x.Denominator, x.Evaluate = PrivacyDistributed, false, DenominatorFixed, false
	x.Noise = Noise{Law: dp.DiscreteGaussian, Relation: dp.ZeroOut, Sigma: 12, Survivors: 10, Corrupt: 2, Releases: 100, Delta: 1e-5,
		Rate: 0.01, Participations: 6, Separation: 3}
	x.Encoding = field.Spec{Clients: 20, ClipNorm: 10, Scale: 100}
	for _, change := range changes {
		change(x)
	}
	encodeNoise(t, x)
	task.ClipNorm, task.Ledger = x.Encoding.ClipNorm, LedgerHead{Count: 7, Digest: Digest{3}}
	return task
}

// encodeNoise gives terms the encoding that goes with their noise.
func encodeNoise(t testing.TB, x *Terms) {
	t.Helper()
	m, err := x.Mechanism()
	require.NoError(t, err)
	x.Encoding = m.Quantizer().Spec()
}

func central(x *Terms) {
	x.Privacy, x.TrustCoordinator, x.Noise.Survivors, x.Noise.Corrupt = PrivacyCentral, true, 1, 0
}
func local(x *Terms)   { x.Privacy, x.Noise.Survivors, x.Noise.Corrupt = PrivacyLocal, 1, 0 }
func bit(x *Terms)     { x.Noise.BitSigma = 4 }
func skellam(x *Terms) { x.Noise.Law = dp.Skellam }
func buckets(x *Terms) {
	x.View, x.Buckets, x.Noise.Survivors, x.Noise.Corrupt = ViewBucketMeans, Buckets{Size: 8, Minimum: 6}, 6, 1
}
func replaceOne(x *Terms) { x.Noise.Relation, x.Noise.Rate = dp.ReplaceOne, 0 }

func TestTaskWithNoiseSurvivesItsEncoding(t *testing.T) {
	for name, change := range map[string]func(*Terms){"distributed": func(*Terms) {}, "central": central, "local": local, "clip bit": bit,
		"skellam": skellam, "buckets": buckets, "replace-one": replaceOne, "central with a bit": func(x *Terms) { central(x); bit(x) },
		"correlated":               func(x *Terms) { central(x); x.Noise.Correlated, x.Noise.Rate = true, 0 },
		"buckets after a fallback": func(x *Terms) { buckets(x); x.View, x.Fallback = ViewSum, true },
		"no limits":                func(x *Terms) { x.Noise.Rate, x.Noise.Participations, x.Noise.Separation = 0, 0, 0 },
		"at their limits": func(x *Terms) {
			x.Noise.Rate, x.Noise.Releases, x.Noise.Participations, x.Noise.Separation = 1, maxCount-1, maxCount-1, maxCount-1
			x.Noise.Delta = math.Nextafter(1, 0)
		}} {
		t.Run(name, func(t *testing.T) {
			task := noisyTask(t, change)
			require.NoError(t, task.Terms.Check())
			back, err := DecodeTask(task.Encode())
			require.NoError(t, err)
			require.Equal(t, task, back)
			require.Equal(t, task.Encode(), back.Encode())
			mine, err := task.Terms.Mechanism()
			require.NoError(t, err)
			theirs, err := back.Terms.Mechanism()
			require.NoError(t, err)
			require.Equal(t, mine.Parameters(), theirs.Parameters())
			s, err := back.Session(sampleRoster(t), nil)
			require.NoError(t, err)
			require.Equal(t, mine.Quantizer().Layout().Len(), s.Words)
			require.Equal(t, mine.Quantizer().WordBits(), s.WordBits)
			require.Equal(t, task.ClipNorm, s.Binding.ClipNorm)
			require.Equal(t, task.Ledger, s.Binding.Ledger)
		})
	}
}

// TestEveryFieldOfNoiseIsBound: the sample task of TestEveryFieldOfATaskIsBound has none.
func TestEveryFieldOfNoiseIsBound(t *testing.T) {
	task := noisyTask(t, bit)
	want, root := noisyTask(t, bit), sampleRoster(t).Root()
	contextOf := func(x Task) Digest {
		return Binding{Plan: x.Terms.PlanDigest(x.Rest), Roster: root, ClipNorm: x.ClipNorm, Ledger: x.Ledger}.Context()
	}
	count := 0
	for _, part := range []any{&task.Terms.Noise, &task.ClipNorm, &task.Ledger} {
		leaves(reflect.ValueOf(part).Elem(), "", func(path string, v reflect.Value) {
			count++
			before := reflect.New(v.Type()).Elem()
			before.Set(v)
			mutate(t, path, v)
			require.NotEqual(t, want.Encode(), task.Encode(), "%s is not encoded", path)
			require.NotEqual(t, contextOf(want), contextOf(task), "context and %s", path)
			v.Set(before)
		})
	}
	require.Equal(t, 15, count)
	require.Equal(t, want.Encode(), task.Encode())
	require.NotEqual(t, want.Terms.PublicSeed("x"), noisyTask(t).Terms.PublicSeed("x"), "noise is no matter of the scheme")
}

func TestNoiseThatTheTermsDoNotKeepIsRefusedByName(t *testing.T) {
	type row struct {
		change func(*Terms)
		says   string
	}
	rows := map[string]row{
		"noise without a mode":      {func(x *Terms) { x.Privacy, x.TrustCoordinator = PrivacyNone, true }, ""},
		"no noise":                  {func(x *Terms) { x.Noise = Noise{} }, "law 0"},
		"unknown mode":              {func(x *Terms) { x.Privacy = "hidden" }, `"hidden" is not known`},
		"central without trust":     {func(x *Terms) { central(x); x.TrustCoordinator = false }, "without trust_coordinator"},
		"continuous noise":          {func(x *Terms) { x.Noise.Law = dp.Gaussian }, "law 1"},
		"laplace":                   {func(x *Terms) { x.Noise.Law = dp.Laplace }, "law 4"},
		"no relation":               {func(x *Terms) { x.Noise.Relation = 0 }, "relation 0"},
		"add-remove":                {func(x *Terms) { x.Noise.Relation = dp.AddRemove }, "relation 2"},
		"no deviation":              {func(x *Terms) { x.Noise.Sigma = 0 }, "noise of 0"},
		"negative deviation":        {func(x *Terms) { x.Noise.Sigma = -1 }, "noise of -1"},
		"deviation of NaN":          {func(x *Terms) { x.Noise.Sigma = math.NaN() }, "noise of NaN"},
		"infinite deviation":        {func(x *Terms) { x.Noise.Sigma = math.Inf(1) }, "noise of +Inf"},
		"delta of 0":                {func(x *Terms) { x.Noise.Delta = 0 }, "delta 0"},
		"delta of 1":                {func(x *Terms) { x.Noise.Delta = 1 }, "delta 1"},
		"negative delta":            {func(x *Terms) { x.Noise.Delta = -1e-5 }, "delta -1e-05"},
		"delta of NaN":              {func(x *Terms) { x.Noise.Delta = math.NaN() }, "delta NaN"},
		"rate above 1":              {func(x *Terms) { x.Noise.Rate = 1.01 }, "rate 1.01"},
		"negative rate":             {func(x *Terms) { x.Noise.Rate = -0.1 }, "rate -0.1"},
		"rate of NaN":               {func(x *Terms) { x.Noise.Rate = math.NaN() }, "rate NaN"},
		"sampling of replacement":   {func(x *Terms) { x.Noise.Relation = dp.ReplaceOne }, "needs relation zero-out"},
		"no releases":               {func(x *Terms) { x.Noise.Releases = 0 }, "for 0 rounds"},
		"negative participations":   {func(x *Terms) { x.Noise.Participations = -1 }, "out of range"},
		"huge participations":       {func(x *Terms) { x.Noise.Participations = maxCount }, "out of range"},
		"negative separation":       {func(x *Terms) { x.Noise.Separation = -1 }, "out of range"},
		"huge releases":             {func(x *Terms) { x.Noise.Releases = maxCount }, "out of range"},
		"negative corrupt":          {func(x *Terms) { x.Noise.Corrupt = -1 }, "out of range"},
		"negative survivors":        {func(x *Terms) { x.Noise.Survivors = -1 }, "out of range"},
		"central noise in shares":   {func(x *Terms) { central(x); x.Noise.Survivors = 2 }, "noise of 2 shares"},
		"local noise in shares":     {func(x *Terms) { local(x); x.Noise.Survivors = 2 }, "noise of 2 shares"},
		"local noise of the honest": {func(x *Terms) { local(x); x.Noise.Survivors, x.Noise.Corrupt = 2, 1 }, "noise of 1 shares"},
		"more shares than survive":  {func(x *Terms) { x.Noise.Survivors = 11 }, "noise of 11 shares, less 2 corrupt, in sums of at least 10"},
		"more shares than a bucket": {func(x *Terms) { buckets(x); x.Noise.Survivors = 7 }, "noise of 7 shares, less 1 corrupt, in sums of at least 6"},
		"fallback of fewer shares": {func(x *Terms) { buckets(x); x.View, x.Fallback, x.Noise.Survivors = ViewSum, true, 10 },
			"noise of 10 shares, less 1 corrupt, in sums of at least 6"},
		"all corrupt":              {func(x *Terms) { x.Noise.Corrupt = 10 }, "noise of 10 shares, less 10 corrupt"},
		"negative bit":             {func(x *Terms) { x.Noise.BitSigma = -1 }, "clip bit -1"},
		"bit of NaN":               {func(x *Terms) { x.Noise.BitSigma = math.NaN() }, "clip bit NaN"},
		"infinite bit":             {func(x *Terms) { x.Noise.BitSigma = math.Inf(1) }, "clip bit +Inf"},
		"weights":                  {func(x *Terms) { x.Denominator = DenominatorWeights }, "must be fixed"},
		"evaluation":               {func(x *Terms) { x.Evaluate = true }, "evaluation by clients"},
		"a bit that is not hidden": {func(x *Terms) { x.Noise.BitSigma = 1e-9 }, "noise"},
		"bit under skellam":        {func(x *Terms) { x.Noise.Law, x.Noise.BitSigma = dp.Skellam, 4 }, "noise"},
		"correlated shares":        {func(x *Terms) { x.Noise.Correlated, x.Noise.Rate = true, 0 }, "correlated"},
		"correlated under coins":   {func(x *Terms) { central(x); x.Noise.Correlated = true }, "correlated"},
		"correlated bits":          {func(x *Terms) { central(x); x.Noise.Correlated, x.Noise.Rate, x.Noise.BitSigma = true, 0, 4 }, "correlated"},
		"central skellam":          {func(x *Terms) { central(x); x.Noise.Law = dp.Skellam }, "noise"},
		"shares too narrow":        {func(x *Terms) { x.Noise.Sigma = 0.01 }, "noise"},

		// A coordinator that tells clients of one noise and has them encode another.
		"encoding of less noise":      {func(x *Terms) { x.Noise.Sigma /= 2 }, "encoding is not that of the noise"},
		"encoding of more noise":      {func(x *Terms) { x.Noise.Sigma *= 2 }, "encoding is not that of the noise"},
		"encoding of more shares":     {func(x *Terms) { x.Noise.Corrupt = 0 }, "encoding is not that of the noise"},
		"encoding of central noise":   {func(x *Terms) { x.Encoding.NoiseTail = 0 }, "encoding is not that of the noise"},
		"encoding of another tail":    {func(x *Terms) { x.Encoding.NoiseTail-- }, "encoding is not that of the noise"},
		"encoding of more bits":       {func(x *Terms) { x.Encoding.Bits, x.Encoding.WordBits = x.Encoding.Bits+1, x.Encoding.WordBits+1 }, "encoding is not that of the noise"},
		"encoding of the plain model": {func(x *Terms) { x.Encoding.Dimension = x.Tensors.Total() }, "encoding is not that of the noise"},
		"encoding with a weight": {func(x *Terms) { x.Encoding.Extras = []field.Extra{{Name: ExtraWeight, Bound: ExtraScale}} },
			"encoding is not that of the noise"},
		"encoding without the bit": {func(x *Terms) { x.Noise.BitSigma = 4 }, "encoding is not that of the noise"},
	}
	for name, c := range rows {
		t.Run(name, func(t *testing.T) {
			terms := noisyTask(t).Terms
			require.NoError(t, terms.Check())
			c.change(&terms)
			err := terms.Check()
			require.ErrorIs(t, err, ErrTerms)
			require.ErrorContains(t, err, c.says)
			_, err = DecodeTerms(terms.Encode())
			require.Error(t, err, "a client refuses what a coordinator must not send")
		})
	}
	plain := sampleTask(t).Terms
	plain.Noise.Sigma = 1
	require.ErrorContains(t, plain.Check(), "mode none with noise")
	require.NoError(t, noisyTask(t, central).Terms.Check(), "what the rows change is sound by itself")
	require.NoError(t, noisyTask(t, local).Terms.Check())
	require.NoError(t, noisyTask(t, buckets).Terms.Check())
}

func TestTaskSaysNothingOfNoiseThatItsTermsDoNot(t *testing.T) {
	for name, c := range map[string]struct {
		task   Task
		change func(*Task)
		says   string
	}{
		"clip norm without noise":  {sampleTask(t), func(x *Task) { x.ClipNorm = 10 }, "without noise"},
		"ledger without noise":     {sampleTask(t), func(x *Task) { x.Ledger.Count = 1 }, "without noise"},
		"digest without noise":     {sampleTask(t), func(x *Task) { x.Ledger.Digest[0] = 1 }, "without noise"},
		"no clip norm":             {noisyTask(t), func(x *Task) { x.ClipNorm = 0 }, "clip norm 0"},
		"clip norm of NaN":         {noisyTask(t, bit), func(x *Task) { x.ClipNorm = math.NaN() }, "clip norm NaN"},
		"negative clip norm":       {noisyTask(t, bit), func(x *Task) { x.ClipNorm = -1 }, "clip norm -1"},
		"infinite clip norm":       {noisyTask(t, bit), func(x *Task) { x.ClipNorm = math.Inf(1) }, "clip norm +Inf"},
		"a fixed one that changes": {noisyTask(t), func(x *Task) { x.ClipNorm = 5 }, "terms that fix it at 10"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeTask(c.task.Encode())
			require.NoError(t, err)
			c.change(&c.task)
			_, err = DecodeTask(c.task.Encode())
			require.Error(t, err)
			err = c.task.checkNoise() // not every number has an encoding
			require.ErrorIs(t, err, ErrTerms)
			require.ErrorContains(t, err, c.says)
		})
	}
	adapted := noisyTask(t, bit)
	adapted.ClipNorm = 3.5
	back, err := DecodeTask(adapted.Encode())
	require.NoError(t, err)
	require.Equal(t, 3.5, back.ClipNorm)
}

func TestMechanismIsWhatTheTermsSay(t *testing.T) {
	terms := noisyTask(t, bit).Terms
	m, err := terms.Mechanism()
	require.NoError(t, err)
	p := m.Parameters()
	require.Equal(t, ddp.Parameters{Dimension: 52, Clients: 20, Survivors: 10, Corrupt: 2, ClipNorm: 10, Scale: 100, Range: 1001,
		Sigma: 12, Noise: dp.DiscreteGaussian, Outlier: OutlierFactor, Extras: []ddp.Extra{ddp.BitExtra(4, 8)}}, p)
	require.Equal(t, 8, m.Shares().Count(), "not the corrupt ones")
	require.InEpsilon(t, 1200/math.Sqrt(8), m.Shares().Width(), 1e-12, "the deviation is that of all of them together")
	require.Equal(t, 64, terms.Encoding.Dimension, "padded")

	m, err = noisyTask(t, central).Terms.Mechanism()
	require.NoError(t, err)
	require.True(t, m.Parameters().Central)
	require.Zero(t, m.Quantizer().Spec().NoiseTail)
	m, err = noisyTask(t, local).Terms.Mechanism()
	require.NoError(t, err)
	require.False(t, m.Parameters().Central)
	require.InEpsilon(t, 1200, m.Shares().Width(), 1e-12)
	_, err = sampleTask(t).Terms.Mechanism()
	require.ErrorIs(t, err, ErrTerms, "there is none")
}

func TestRotationIsAnotherEachRoundAndTheSameUnderEachScheme(t *testing.T) {
	terms := noisyTask(t).Terms
	of := func(x Terms, round uint32) []float32 {
		r, err := x.Rotation(round)
		require.NoError(t, err)
		m, err := x.Mechanism()
		require.NoError(t, err)
		update, out := make([]float32, 52), make([]float32, 64)
		for i := range update {
			update[i] = float32(i) / 100
		}
		_, err = m.Prepare(out, update, 1, r)
		require.NoError(t, err)
		return out
	}
	other := terms
	other.Scheme, other.SchemeParameters, other.Committee = "oneshot", []byte{1}, sampleCommittee(t, 4, 1)
	require.Equal(t, of(terms, 1), of(other, 1))
	require.NotEqual(t, of(terms, 1), of(terms, 2))
	other.Noise.Sigma = 13
	encodeNoise(t, &other)
	require.NotEqual(t, of(terms, 1), of(other, 1))
}

func TestNoiseHasOneEncoding(t *testing.T) {
	none, err := decodeNoise(nil)
	require.NoError(t, err)
	require.Zero(t, none)
	_, err = decodeNoise([]byte{1, 0})
	require.ErrorIs(t, err, ErrEncoding, "a field of no bytes")
	for name, spoil := range map[string]func(*Encoder){
		"law":            func(e *Encoder) { e.Uint(1, 256) },
		"relation":       func(e *Encoder) { e.Uint(2, 256) },
		"survivors":      func(e *Encoder) { e.Uint(4, MaxRoster+1) },
		"corrupt":        func(e *Encoder) { e.Uint(5, MaxRoster+1) },
		"releases":       func(e *Encoder) { e.Uint(6, maxCount) },
		"participations": func(e *Encoder) { e.Uint(9, maxCount) },
		"separation":     func(e *Encoder) { e.Uint(10, maxCount) },
		"another field":  func(e *Encoder) { e.Uint(13, 1) },
	} {
		var e Encoder
		spoil(&e)
		_, err := decodeNoise(e.Encoded())
		require.ErrorIs(t, err, ErrEncoding, name)
	}
}

func TestPublicSeedUnderNoiseIsThatOfEveryScheme(t *testing.T) {
	terms := noisyTask(t).Terms
	other := terms
	other.Scheme, other.TrustCoordinator = "plain", !terms.TrustCoordinator
	require.Equal(t, terms.PublicSeed("rotation"), other.PublicSeed("rotation"), "or models would differ by scheme")
	other.Noise.Sigma++
	require.NotEqual(t, terms.PublicSeed("rotation"), other.PublicSeed("rotation"))
}

func TestShareOfClientsIsRoundedUp(t *testing.T) {
	for _, c := range [][3]int{{0, 50_000, 0}, {1, 1, 1}, {20, 50_000, 1}, {21, 50_000, 2}, {100, 0, 0}, {100, 10_000, 1}, {MaxRoster, 999_999, MaxRoster}} {
		require.Equal(t, c[2], ShareOf(c[0], c[1]), "%v", c)
	}
}
