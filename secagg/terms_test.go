package secagg

import (
	"bytes"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/tensor"
)

func sampleTask(t testing.TB) Task {
	t.Helper()
	schema, err := tensor.NewSchema([]tensor.Spec{{Name: "w", Shape: []int{12, 4}}, {Name: "b", Shape: []int{4}}})
	require.NoError(t, err)
	q, err := field.Spec{Dimension: 52, Clients: 20, ClipNorm: 10, Bits: 18, Extras: []field.Extra{{Name: ExtraWeight, Bound: ExtraScale}}}.Check()
	require.NoError(t, err)
	return Task{Round: RoundID{Job: "job", Round: 3, Attempt: 2}, Model: Digest{1}, ModelSize: 300, Rest: Digest{2},
		Terms: Terms{Job: "job", Scheme: "plain", Minimum: 10, View: ViewSum, Privacy: PrivacyNone, TrustCoordinator: true, Encoding: q.Spec(), Tensors: schema,
			Training: Training{Architecture: "softmax", Epochs: 1, BatchSize: 10, LearningRate: 0.1, WeightCap: 50}, Denominator: DenominatorWeights, Evaluate: true}}
}

func TestTaskSurvivesItsEncoding(t *testing.T) {
	task := sampleTask(t)
	back, err := DecodeTask(task.Encode())
	require.NoError(t, err)
	require.Equal(t, task, back)
	require.Equal(t, task.Encode(), back.Encode())
}

// leaves calls do for each value below v that is not a struct, with its path. What
// has no exported fields is a leaf.
func leaves(v reflect.Value, path string, do func(path string, v reflect.Value)) {
	switch {
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[tensor.Schema]() && v.Type() != reflect.TypeFor[Committee]():
		for i := range v.NumField() {
			leaves(v.Field(i), path+"."+v.Type().Field(i).Name, do)
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			leaves(v.Index(i), path+"[]", do)
		}
	default:
		do(path, v)
	}
}

// mutate gives a leaf another value.
func mutate(t *testing.T, path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 0.25)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Array:
		v.Index(0).SetUint(v.Index(0).Uint() ^ 0x80)
	case reflect.Slice:
		v.SetBytes(append([]byte{9}, v.Bytes()...))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Committee]() {
			v.Set(reflect.ValueOf(sampleCommittee(t, 4, 1)))
			return
		}
		other, err := tensor.NewSchema([]tensor.Spec{{Name: "w", Shape: []int{4, 12}}, {Name: "b", Shape: []int{4}}})
		require.NoError(t, err)
		v.Set(reflect.ValueOf(other))
	default:
		t.Fatalf("%s: no other value of kind %s is known to this test", path, v.Kind())
	}
}

// TestEveryFieldOfATaskIsBound would notice a field that somebody adds to a task
// or its terms and forgets to encode: clients could then be told different things
// under one plan digest.
func TestEveryFieldOfATaskIsBound(t *testing.T) {
	task := sampleTask(t)
	count := 0
	leaves(reflect.ValueOf(&task).Elem(), "Task", func(path string, v reflect.Value) {
		count++
		before := reflect.New(v.Type()).Elem()
		before.Set(v)
		if v.Kind() == reflect.Slice {
			before.SetBytes(bytes.Clone(v.Bytes()))
		}
		want := sampleTask(t)
		require.Equal(t, want.Encode(), task.Encode(), path)
		seed, plan := task.Terms.PublicSeed("x"), task.Terms.PlanDigest(task.Rest)
		mutate(t, path, v)
		require.NotEqual(t, want.Encode(), task.Encode(), "%s is not encoded", path)
		inTerms := strings.HasPrefix(path, "Task.Terms.")
		require.Equal(t, inTerms || path == "Task.Rest", plan != task.Terms.PlanDigest(task.Rest), "plan digest and %s", path)
		ofScheme := strings.HasPrefix(path, "Task.Terms.Scheme") || path == "Task.Terms.Committee"
		require.Equal(t, inTerms && !ofScheme, seed != task.Terms.PublicSeed("x"), "public seed and %s", path)
		v.Set(before)
	})
	require.Greater(t, count, 47)
}

func TestPublicSeedsOfDifferentLabelsDiffer(t *testing.T) {
	terms := sampleTask(t).Terms
	require.NotEqual(t, terms.PublicSeed("rotation"), terms.PublicSeed("rounding"))
}

func TestTermsThatContradictThemselvesAreRefusedByName(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Terms)
		says   string
	}{
		"job out of form":                    {func(x *Terms) { x.Job = "Job" }, `job "Job"`},
		"no scheme":                          {func(x *Terms) { x.Scheme = "" }, `scheme ""`},
		"view of vectors without buckets":    {func(x *Terms) { x.View = ViewVectors }, `view "vectors" with buckets of 0`},
		"view of vectors in buckets of two":  {func(x *Terms) { x.View, x.Buckets = ViewVectors, Buckets{Size: 2, Minimum: 1} }, `view "vectors" with buckets of 2`},
		"view of vectors without trust":      {func(x *Terms) { x.View, x.Buckets, x.TrustCoordinator = ViewVectors, Each(), false }, `or without trust_coordinator`},
		"view of vectors with shared noise":  {func(x *Terms) { x.View, x.Buckets, x.Privacy = ViewVectors, Each(), PrivacyDistributed }, `view "vectors" in privacy mode "distributed"`},
		"view of vectors with central noise": {func(x *Terms) { x.View, x.Buckets, x.Privacy = ViewVectors, Each(), PrivacyCentral }, `view "vectors" in privacy mode "central"`},
		"unknown view":                       {func(x *Terms) { x.View = ViewVectors + 1 }, `view ""`},
		"worker momentum of one":             {func(x *Terms) { x.Training.WorkerMomentum = 1 }, "worker momentum 1 is not in [0,1)"},
		"negative worker momentum":           {func(x *Terms) { x.Training.WorkerMomentum = -0.5 }, "worker momentum -0.5"},
		"bucket means of nothing":            {func(x *Terms) { x.View = ViewBucketMeans }, `view "bucket_means" with buckets of 0`},
		"buckets of a sum":                   {func(x *Terms) { x.Buckets = Buckets{Size: 5, Minimum: 3} }, `view "sum" with buckets of 5`},
		"fallback on nothing":                {func(x *Terms) { x.Fallback = true }, `view "sum" with buckets of 0`},
		"fallback of bucket means": {func(x *Terms) {
			x.View, x.Fallback, x.Buckets = ViewBucketMeans, true, Buckets{Size: 5, Minimum: 3}
		}, "falls back on itself"},
		"buckets without a minimum":      {func(x *Terms) { x.View, x.Buckets = ViewBucketMeans, Buckets{Size: 5} }, "at least 0 of 5 clients"},
		"buckets below their minimum":    {func(x *Terms) { x.View, x.Buckets = ViewBucketMeans, Buckets{Size: 5, Minimum: 6} }, "at least 6 of 5 clients"},
		"buckets larger than any cohort": {func(x *Terms) { x.View, x.Buckets = ViewBucketMeans, Buckets{Size: MaxRoster + 1, Minimum: 3} }, "at least 3 of 65537"},
		"minimum below that of a bucket": {func(x *Terms) { x.View, x.Buckets = ViewBucketMeans, Buckets{Size: 12, Minimum: 11} }, "minimum of 10 clients and buckets of at least 11"},
		"minimum of zero":                {func(x *Terms) { x.Minimum = 0 }, "minimum of 0"},
		"minimum below zero":             {func(x *Terms) { x.Minimum = -1 }, "minimum of -1"},
		"unknown privacy":                {func(x *Terms) { x.Privacy = "secret" }, `"secret" is not known`},
		"noise that is not there":        {func(x *Terms) { x.Privacy = PrivacyDistributed }, "noise: law 0"},
		"no privacy":                     {func(x *Terms) { x.Privacy = "" }, `"" is not known`},
		"exact sums without trust":       {func(x *Terms) { x.TrustCoordinator = false }, "without trust_coordinator"},
		"unknown denominator":            {func(x *Terms) { x.Denominator = "none" }, `denominator "none"`},
		"other dimension":                {func(x *Terms) { x.Encoding.Dimension++ }, "53 coordinates and the model 52"},
		"minimum above the cohort":       {func(x *Terms) { x.Minimum = 21 }, "minimum of 21 clients in sums of at most 20"},
		"more clients than rosters":      {func(x *Terms) { x.Encoding.Clients = MaxRoster + 1 }, "at most 65536"},
		"too many extras":                {func(x *Terms) { x.Encoding.Extras = make([]field.Extra, maxExtras+1) }, "65 extras"},
		"too many tensors": {func(x *Terms) {
			specs := make([]tensor.Spec, maxTensors+1)
			for i := range specs {
				specs[i].Name = strconv.Itoa(i)
			}
			x.Tensors, _ = tensor.NewSchema(specs)
			x.Encoding.Dimension = maxTensors + 1
		}, "65537 tensors"},
		"encoding that overflows": {func(x *Terms) { x.Encoding.WordBits = 18 }, "Clients * 2^Bits"},
		"negative epochs":         {func(x *Terms) { x.Training.Epochs = -1 }, "epochs"},
		"negative batch":          {func(x *Terms) { x.Training.BatchSize = -1 }, "batch"},
		"huge weight cap":         {func(x *Terms) { x.Training.WeightCap = math.MaxInt }, "weight cap"},
		"negative rate":           {func(x *Terms) { x.Training.LearningRate = -1 }, "learning rate"},
		"rate not a number":       {func(x *Terms) { x.Training.LearningRate = math.NaN() }, "learning rate"},
		"infinite rate":           {func(x *Terms) { x.Training.LearningRate = math.Inf(1) }, "learning rate"},
		"momentum of one":         {func(x *Terms) { x.Training.Momentum = 1 }, "momentum"},
		"momentum not a number":   {func(x *Terms) { x.Training.Momentum = math.NaN() }, "momentum"},
		"negative prox":           {func(x *Terms) { x.Training.Prox = -1 }, "prox"},
		"infinite prox":           {func(x *Terms) { x.Training.Prox = math.Inf(1) }, "prox"},
	} {
		t.Run(name, func(t *testing.T) {
			terms := sampleTask(t).Terms
			require.NoError(t, terms.Check())
			c.change(&terms)
			err := terms.Check()
			require.ErrorIs(t, err, ErrTerms)
			require.ErrorContains(t, err, c.says)
			_, err = DecodeTerms(terms.Encode())
			require.Error(t, err, "a client refuses what a coordinator must not send")
		})
	}
}

// TestTermsAtTheirLimitsReachTheClients pairs the coordinator's check with the
// client's decoder: what passes one must pass the other.
func TestTermsAtTheirLimitsReachTheClients(t *testing.T) {
	const largest = 1<<31 - 1
	for name, change := range map[string]func(*Terms){
		"largest counts": func(x *Terms) {
			x.Training.Epochs, x.Training.BatchSize, x.Training.WeightCap = largest, largest, largest
		},
		"largest cohort": func(x *Terms) {
			x.Encoding.Clients, x.Minimum, x.Encoding.Bits = MaxRoster, MaxRoster, 12
			x.Encoding.WordBits, x.Encoding.Range, x.Encoding.Scale = 0, 0, 0
		},
		"most extras": func(x *Terms) {
			x.Encoding.Extras = nil
			for i := range maxExtras {
				x.Encoding.Extras = append(x.Encoding.Extras, field.Extra{Name: strings.Repeat("e", i+1), Bound: 1})
			}
		},
		"highest rank": func(x *Terms) {
			shape := make([]int, tensor.MaxRank)
			for i := range shape {
				shape[i] = 1
			}
			shape[0] = 52
			x.Tensors, _ = tensor.NewSchema([]tensor.Spec{{Name: "w", Shape: shape}})
		},
		"a scalar": func(x *Terms) {
			x.Tensors, _ = tensor.NewSchema([]tensor.Spec{{Name: "w"}})
			x.Encoding.Dimension = 1
		},
		"tiny numbers": func(x *Terms) {
			x.Training.LearningRate, x.Training.Prox = math.SmallestNonzeroFloat64, math.MaxFloat64
			x.Training.Momentum = math.Nextafter(1, 0)
		},
		"bucket means":        func(x *Terms) { x.View, x.Buckets = ViewBucketMeans, Buckets{Size: 10, Minimum: 10} },
		"fallback":            func(x *Terms) { x.Fallback, x.Buckets = true, Buckets{Size: MaxRoster, Minimum: 1} },
		"committee":           func(x *Terms) { x.Committee = sampleCommittee(t, 16, 5) },
		"nothing of training": func(x *Terms) { x.Training = Training{} },
	} {
		t.Run(name, func(t *testing.T) {
			terms := sampleTask(t).Terms
			change(&terms)
			require.NoError(t, terms.Check())
			back, err := DecodeTerms(terms.Encode())
			require.NoError(t, err)
			require.Equal(t, terms.Encode(), back.Encode())
			require.Equal(t, terms.Training, back.Training)
			require.True(t, terms.Tensors.Equal(back.Tensors))
		})
	}
}

func TestTermsOfAnotherSchemaAreRefused(t *testing.T) {
	b := bytes.Replace(sampleTask(t).Terms.Encode(), []byte(PlanSchema), []byte("choir.plan/2"), 1)
	_, err := DecodeTerms(b)
	require.ErrorIs(t, err, ErrTerms)
	require.ErrorContains(t, err, `"choir.plan/2"`)
	_, err = DecodeTerms(nil)
	require.ErrorIs(t, err, ErrTerms)
}

func TestTaskOfAnotherJobThanItsTermsIsRefused(t *testing.T) {
	task := sampleTask(t)
	task.Round.Job = "other"
	_, err := DecodeTask(task.Encode())
	require.ErrorIs(t, err, ErrTerms)
	require.ErrorContains(t, err, `job "other" under the terms of "job"`)
}

func TestSessionTakesEverythingFromTaskAndRoster(t *testing.T) {
	task, roster := sampleTask(t), sampleRoster(t)
	task.Terms.SchemeParameters = []byte{7}
	s, err := task.Session(roster, nil)
	require.NoError(t, err)
	require.Equal(t, Binding{Round: task.Round, Plan: task.Terms.PlanDigest(task.Rest), Model: task.Model, Roster: roster.Root(),
		Scheme: "plain", Parameters: []byte{7}}, s.Binding)
	require.Equal(t, s.Binding.Context(), s.Context)
	require.Equal(t, roster, s.Roster)
	require.Equal(t, 10, s.Minimum)
	require.Equal(t, 1, s.Buckets)
	require.Equal(t, 10, s.BucketMinimum, "the one bucket is the sum")
	require.Zero(t, s.Committee.Len())
	require.Equal(t, 53, s.Words, "52 coordinates and the weight")
	require.Equal(t, 23, s.WordBits, "20 * 2^18 <= 2^23")

	task.Terms.Encoding.Bits = 99
	_, err = task.Session(roster, nil)
	require.ErrorIs(t, err, ErrTerms)
}

// dividedTask is the sample under bucket means, with a committee.
func dividedTask(t testing.TB) Task {
	task := sampleTask(t)
	task.Terms.View, task.Terms.Buckets, task.Terms.Committee = ViewBucketMeans, Buckets{Size: 3, Minimum: 2}, sampleCommittee(t, 4, 1)
	return task
}

// fallbackTask is the sample in an attempt that falls back on buckets.
func fallbackTask(t testing.TB) Task {
	task := sampleTask(t)
	task.Terms.Fallback, task.Terms.Buckets, task.Fallback = true, Buckets{Size: 3, Minimum: 2}, true
	return task
}

func TestSessionHasTheBucketsOfItsRosterAndTheCommitteeOfItsTerms(t *testing.T) {
	task, roster := dividedTask(t), rosterOf(t, 10)
	announced := Announcements{{Body: []byte("a")}, {Body: []byte("b"), LeftOut: true}, {}, {Body: []byte("d")}}
	s, err := task.Session(roster, announced)
	require.NoError(t, err)
	require.Equal(t, 3, s.Buckets, "floor(10/3)")
	require.Equal(t, 2, s.BucketMinimum)
	require.Equal(t, 10, s.Minimum)
	require.Equal(t, task.Terms.Committee, s.Committee)
	require.Equal(t, announced, s.Announcements)
	require.Equal(t, announced.Root(s.Committee), s.Binding.Committee)
	require.Equal(t, s.Binding.Context(), s.Context)
	for _, wrong := range []Announcements{nil, announced[:3], append(announced, Announcement{})} {
		_, err := task.Session(roster, wrong)
		require.ErrorIs(t, err, ErrCommittee)
	}
	_, err = sampleTask(t).Session(roster, announced)
	require.ErrorIs(t, err, ErrCommittee, "terms without a committee")
}

func TestFallbackDividesOnlyAttemptsThatSaySo(t *testing.T) {
	task, roster := fallbackTask(t), rosterOf(t, 10)
	divided, err := task.Session(roster, nil)
	require.NoError(t, err)
	require.Equal(t, []int{3, 2}, []int{divided.Buckets, divided.BucketMinimum})
	require.True(t, divided.Binding.Fallback)
	task.Fallback = false
	whole, err := task.Session(roster, nil)
	require.NoError(t, err)
	require.Equal(t, []int{1, 10}, []int{whole.Buckets, whole.BucketMinimum})
	require.NotEqual(t, divided.Context, whole.Context, "nobody is shown one and takes part in the other")
}

func TestFallbackThatItsTermsDoNotAllowIsRefused(t *testing.T) {
	task := sampleTask(t)
	task.Fallback = true
	_, err := DecodeTask(task.Encode())
	require.ErrorIs(t, err, ErrTerms)
	require.ErrorContains(t, err, "job/3/2 falls back")
	back, err := DecodeTask(fallbackTask(t).Encode())
	require.NoError(t, err)
	require.Equal(t, fallbackTask(t), back)
}

func TestTheSmallestSumIsThatOfTheSmallestBucket(t *testing.T) {
	require.Equal(t, 10, sampleTask(t).Terms.Smallest())
	require.Equal(t, 2, dividedTask(t).Terms.Smallest())
	require.Equal(t, 2, fallbackTask(t).Terms.Smallest(), "an attempt may fall back")
}

func TestViewOfASumHasOneEncoding(t *testing.T) {
	none := sampleTask(t).Terms
	none.View = 0
	require.ErrorIs(t, none.Check(), ErrTerms)
	require.Equal(t, sampleTask(t).Terms.Encode(), none.Encode(), "absent, as before there was another view")
	back, err := DecodeTerms(none.Encode())
	require.NoError(t, err)
	require.Equal(t, ViewSum, back.View)

	// Field 13 with the value that absence stands for.
	task := sampleTask(t)
	var e Encoder
	task.Terms.encode(&e, true)
	e.Uint(13, uint64(ViewSum))
	_, err = DecodeTerms(e.Encoded())
	require.ErrorIs(t, err, ErrEncoding)
}

func TestPartiesAreClientsThenTheCommittee(t *testing.T) {
	task := dividedTask(t)
	roster := rosterOf(t, 5)
	s, err := task.Session(roster, make(Announcements, 4))
	require.NoError(t, err)
	require.Equal(t, 9, s.Parties())
	seen := map[PartyID]bool{}
	for i := range s.Parties() {
		address := s.Party(i)
		require.False(t, seen[address])
		seen[address] = true
		require.Equal(t, i, s.Number(address))
		id, decryptor := DecryptorID(address)
		require.Equal(t, i >= 5, decryptor)
		require.Equal(t, i < 5, address.Valid(), "no client has the address of a committee member")
		if decryptor {
			require.Equal(t, s.Committee.At(i-5).ID, id)
			require.Equal(t, address, s.Committee.At(i-5).Address())
		}
	}
	require.Equal(t, PartyID("decryptor:org-00"), s.Party(5))
	for _, stranger := range []PartyID{"stranger", "decryptor:stranger", "org-00", "decryptor:" + roster.At(0).ID, "decryptor:", ""} {
		require.Equal(t, -1, s.Number(stranger), "%q", stranger)
	}
	alone, err := sampleTask(t).Session(roster, nil)
	require.NoError(t, err)
	require.Equal(t, 5, alone.Parties())
	require.Equal(t, -1, alone.Number("decryptor:org-00"))
}

func TestEnvelopeSurvivesItsEncodingAndRefusesNonsense(t *testing.T) {
	full := Envelope{Round: RoundID{"job", 1, 2}, Step: 7, Roster: []byte{1}, Committee: []byte{3}, Body: []byte{2}, Over: true, Completed: true,
		Reason: strings.Repeat("r", 1000)}
	for _, m := range []Envelope{full, {Round: RoundID{"job", 1, 2}, Step: 1<<31 - 1}, {Round: RoundID{"job", 1, 2}, Step: 1, Over: true}} {
		back, err := DecodeEnvelope(m.Encode())
		require.NoError(t, err)
		require.Equal(t, m, back)
	}
	for name, change := range map[string]func(*Envelope){
		"no round":    func(m *Envelope) { m.Round = RoundID{} },
		"step zero":   func(m *Envelope) { m.Step = 0 },
		"huge step":   func(m *Envelope) { m.Step = 1 << 31 },
		"long reason": func(m *Envelope) { m.Reason += "r" },
	} {
		m := full
		change(&m)
		_, err := DecodeEnvelope(m.Encode())
		require.ErrorIs(t, err, ErrEncoding, name)
	}
}

func TestUnknownViewsHaveNoName(t *testing.T) {
	require.Equal(t, []string{"", "sum", "bucket_means", "vectors", ""},
		[]string{View(0).String(), ViewSum.String(), ViewBucketMeans.String(), ViewVectors.String(), View(4).String()})
}

func TestPiecesCoverAnUploadExactly(t *testing.T) {
	for _, p := range []Pieces{{Count: 1, Size: 10, Body: 10}, {Count: 3, Size: 10, Body: 21, Letters: 4, LetterSize: 7}, {Count: 3, Size: 10, Body: 30}} {
		total := int64(0)
		for i := range p.Count {
			require.Positive(t, p.Len(i))
			require.LessOrEqual(t, p.Len(i), p.Size)
			total += int64(p.Len(i))
		}
		require.Equal(t, p.Body, total)
		require.Equal(t, p.Total(), total+int64(p.Post()))
	}
	require.Equal(t, 28, Pieces{Letters: 4, LetterSize: 7}.Post())
}
