package decryptor

import (
	"crypto/rand"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/tensor"
)

// noCoins fails the test: what is refused is refused before anything is announced.
type noCoins struct{ t testing.TB }

func (c noCoins) Read([]byte) (int, error) {
	c.t.Error("the member announced itself")
	return 0, errors.New("no coins")
}

func strict(p *Policy) { p.Limits.Exact = false }

// noisy puts terms under a privacy mode with noise of half the clip norm, less what
// rounding to the grid costs.
func noisy(k *secagg.Task, mode secagg.PrivacyMode, trust bool, survivors int) {
	t := &k.Terms
	t.Privacy, t.TrustCoordinator, t.Denominator = mode, trust, secagg.DenominatorFixed
	t.Noise = secagg.Noise{Law: dp.DiscreteGaussian, Relation: dp.ZeroOut, Sigma: 0.5 * t.Encoding.ClipNorm, Survivors: survivors, Releases: 1, Delta: 1e-5}
	encoded(t, 0)
	t.Evaluate = false
	k.ClipNorm = t.Encoding.ClipNorm
}

// encoded gives terms with noise the encoding that goes with a scale.
func encoded(t *secagg.Terms, scale float64) {
	t.Encoding = field.Spec{Clients: t.Encoding.Clients, ClipNorm: t.Encoding.ClipNorm, Scale: scale}
	if m, err := t.Mechanism(); err == nil { // else the terms are refused
		t.Encoding = m.Quantizer().Spec()
	}
}

// coarse is noise on a grid on which 4096 coordinates change by more than a clip norm.
func coarse(k *secagg.Task) {
	k.Terms.Tensors, _ = tensor.NewSchema([]tensor.Spec{{Name: "w", Shape: []int{64, 64}}})
	distributed(false)(k)
	encoded(&k.Terms, 32/k.Terms.Encoding.ClipNorm)
}

func central(k *secagg.Task) { noisy(k, secagg.PrivacyCentral, true, 1) }

func local(k *secagg.Task) { noisy(k, secagg.PrivacyLocal, false, 1) }

func distributed(trust bool) func(*secagg.Task) {
	return func(k *secagg.Task) { noisy(k, secagg.PrivacyDistributed, trust, k.Terms.Buckets.Minimum) }
}

func TestPlansBelowTheMembersLimitsAreRefused(t *testing.T) {
	for name, row := range map[string]struct {
		task   func(*secagg.Task)
		policy func(*Policy)
		want   error
	}{
		"another committee":  {task: func(k *secagg.Task) { k.Terms.Committee = committeeOf(t, "four", "a", "b", "c", "e") }, want: ErrCommittee},
		"another authority":  {task: func(k *secagg.Task) { k.Authority = secagg.Hash("another") }, want: ErrRoster},
		"no committee":       {task: func(k *secagg.Task) { k.Terms.Committee = secagg.Committee{} }, want: ErrCommittee},
		"another job":        {policy: func(p *Policy) { p.Limits.Jobs = []string{"other"} }, want: ErrLimits},
		"fewer clients":      {task: func(k *secagg.Task) { k.Terms.Minimum = 15 }, want: ErrLimits},
		"fewer than its own": {policy: func(p *Policy) { p.Limits.Minimum = 17 }, want: ErrLimits},
		"smaller buckets":    {task: func(k *secagg.Task) { k.Terms.Buckets.Minimum = 11 }, want: ErrLimits},
		"smaller buckets in a fallback": {task: func(k *secagg.Task) {
			k.Terms.View, k.Terms.Fallback, k.Terms.Buckets.Minimum = secagg.ViewSum, true, 11
		}, want: ErrLimits},
		"exact sums":              {policy: func(p *Policy) { p.Limits.Exact = false }, want: ErrLimits},
		"exact sums beside noise": {task: central, policy: strict, want: ErrLimits},
		"noise nobody checks":     {task: distributed(true), policy: strict, want: ErrLimits},
		"too little noise":        {task: distributed(false), policy: func(p *Policy) { p.Limits.NoiseMultiplier = 0.5 }, want: ErrLimits},
		"a grid too coarse":       {task: coarse, policy: func(p *Policy) { p.Limits.NoiseMultiplier = 0.45 }, want: ErrLimits},
		"no noise":                {policy: func(p *Policy) { p.Limits.NoiseMultiplier = 1e-9 }, want: ErrLimits},
		"another scheme":          {task: func(k *secagg.Task) { k.Terms.Scheme = "other" }, want: ErrScheme},
		"a ninth attempt":         {task: func(k *secagg.Task) { k.Round.Attempt = 9 }, want: ErrAttempt},
		"a job that is two":       {task: func(k *secagg.Task) { k.Round.Job = "other" }, want: secagg.ErrTerms},
		"terms that are none":     {task: func(k *secagg.Task) { k.Terms.Denominator = "" }, want: secagg.ErrTerms},
	} {
		t.Run(name, func(t *testing.T) {
			task, policy := taskOf(t, "job"), policyOf(t, "job")
			if row.task != nil {
				row.task(&task)
			}
			if row.policy != nil {
				row.policy(&policy)
			}
			_, _, err := Accept(policy, task, nil, noCoins{t})
			require.ErrorIs(t, err, row.want)
		})
	}
	for _, change := range []func(*secagg.Task){distributed(false), local} {
		task, policy := taskOf(t, "job"), policyOf(t, "job")
		change(&task)
		strict(&policy)
		policy.Limits.NoiseMultiplier = 0.49
		_, _, err := Accept(policy, task, nil, rand.Reader)
		require.NoError(t, err, "just the noise, and no exact sums")
	}
	task, policy := taskOf(t, "job"), policyOf(t, "job")
	coarse(&task)
	_, _, err := Accept(policy, task, nil, rand.Reader)
	require.NoError(t, err, "a coarse grid, where no noise is asked for")
	task = taskOf(t, "job")
	task.Round.Attempt = 8
	_, _, err = Accept(policyOf(t, "job"), task, nil, rand.Reader)
	require.NoError(t, err, "what is not refused is accepted")
	task.Terms.View, task.Terms.Buckets = secagg.ViewSum, secagg.Buckets{}
	_, _, err = Accept(policyOf(t, "job"), task, nil, rand.Reader)
	require.NoError(t, err, "one sum of all has no bucket that could be too small")
}

func TestPoliciesThatContradictThemselvesAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Policy){
		"no member":          func(p *Policy) { p.Name = "e" },
		"another's key":      func(p *Policy) { p.Keys.Sign = keyOf("member a") },
		"no key":             func(p *Policy) { p.Keys.Sign = nil },
		"no authority":       func(p *Policy) { p.Authority = nil },
		"no scheme":          func(p *Policy) { p.Schemes = nil },
		"nil scheme":         func(p *Policy) { p.Schemes = []secagg.CommitteeScheme{nil} },
		"a scheme twice":     func(p *Policy) { p.Schemes = append(p.Schemes, scripted{}) },
		"no job":             func(p *Policy) { p.Limits.Jobs = nil },
		"a job twice":        func(p *Policy) { p.Limits.Jobs = []string{"job", "job"} },
		"a job without form": func(p *Policy) { p.Limits.Jobs = []string{Epochs} },
		"negative minimum":   func(p *Policy) { p.Limits.Minimum = -1 },
		"negative bucket":    func(p *Policy) { p.Limits.BucketMinimum = -1 },
		"negative noise":     func(p *Policy) { p.Limits.NoiseMultiplier = -1 },
		"noise of no number": func(p *Policy) { p.Limits.NoiseMultiplier = math.NaN() },
		"infinite noise":     func(p *Policy) { p.Limits.NoiseMultiplier = math.Inf(1) },
	} {
		t.Run(name, func(t *testing.T) {
			p := policyOf(t, "job")
			change(&p)
			_, _, err := Accept(p, taskOf(t, "job"), nil, noCoins{t})
			require.ErrorIs(t, err, ErrPolicy)
		})
	}
	p := policyOf(t, "job")
	p.Roster = secagg.DecodeRoster
	_, _, err := Accept(p, taskOf(t, "job"), nil, rand.Reader)
	require.NoError(t, err)
	require.Equal(t, keyOf("member b"), p.Keys.Sign, "the caller's key is not the participant's to erase")
}
