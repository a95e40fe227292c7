package preflight

import (
	"fmt"

	"github.com/choir-fl/choir/coordinator/plan"
)

// failing is the probability of a failed round above which the plan is called fragile.
const failing = 0.01

// warn collects what is allowed and yet deserves a second look.
func (f *Findings) warn(l plan.Literal) {
	say := func(format string, args ...any) { f.Warnings = append(f.Warnings, fmt.Sprintf(format, args...)) }
	if f.Graph == nil && f.Oneshot == nil {
		say("scheme.name plain: the coordinator sees every single update%s", f.withNoise())
	} else if f.corrupt == 0 {
		say("scheme.corrupt is 0: a single client that colludes with the coordinator voids every promise")
	}
	if f.Oneshot != nil && f.Buckets == nil && f.corrupt > 0 {
		remedy := "set aggregation.fallback: bucket_means with aggregation.buckets"
		if f.coins() != nil {
			remedy = "under selection poisson there are no buckets to fall back on"
		}
		say("aggregation.view sum without fallback: one corrupt client that encrypts what is no vector spoils the sum, in every attempt, and is not named; %s", remedy)
	}
	f.warnBuckets(say)
	if l.Privacy.Mode == "none" {
		say("privacy.mode none: sums are opened exactly and no epsilon is stated")
	}
	f.warnPrivacy(say)
	if n := f.opens(); n < leastByDefault && f.exact() {
		say("%s %d: an exact sum of so few clients says much about each; devices that keep the SDK's default limit (16) refuse the plan", f.smallestKey(), n)
	}
	if fail := f.Failure[0]; fail.Round > failing {
		say("scheme.dropout %g: if clients vanish at that rate independently, a round fails with probability %.2g; invite more or lower cohort.minimum", fail.Dropout, fail.Round)
	}
	if f.Encoding.Clamps && f.Privacy.Noise != nil {
		say("encoding.range %d: rotated coordinates beyond %g are cut; that costs accuracy, never privacy", f.Encoding.Range, float64(f.Encoding.Range)/f.Encoding.Scale)
	} else if f.Encoding.Clamps {
		say("encoding.scale: single coordinates are cut at %g although their update is within the clip norm", float64(f.Encoding.Range)/f.Encoding.Scale)
	}
	if f.Encoding.RoundingNorm > f.Encoding.ClipNorm {
		key := fmt.Sprintf("encoding.bits %d", f.Encoding.Bits)
		if f.Privacy.Noise != nil {
			key = fmt.Sprintf("encoding.scale %g", f.Encoding.Scale)
		}
		say("%s: rounding errs by a norm of up to %.3g in each update, more than the clip norm %g", key, f.Encoding.RoundingNorm, f.Encoding.ClipNorm)
	}
	f.warnRobustness(l, say)
}

// Default limits of the SDK's devices, and of committee members for a bucket.
const (
	leastByDefault         = 16
	leastOfABucketByMember = 12
)

// smallestKey is the key that sets the smallest sum.
func (f *Findings) smallestKey() string {
	if f.single() {
		return "aggregation.view vectors:"
	}
	if f.opens() < f.Rounds.Minimum {
		return "aggregation.buckets.minimum"
	}
	return "cohort.minimum"
}

// lossy is the share of the survivors in short buckets above which a plan is called wasteful.
const lossy = 0.1

func (f *Findings) warnBuckets(say func(string, ...any)) {
	b := f.Buckets
	if b == nil {
		return
	}
	if f.Oneshot != nil && b.Minimum < leastOfABucketByMember {
		say("aggregation.buckets.minimum %d: committee members that keep the default limit (%d) refuse the plan", b.Minimum, leastOfABucketByMember)
	}
	if b.ShortClients > lossy*float64(f.Rounds.Invited) {
		say("aggregation.buckets.minimum %d: at the declared drop-out %.3g of %d buckets are left out on average, with %.3g survivors in them; lower it, or take larger buckets",
			b.Minimum, b.Short, b.Count, b.ShortClients)
	}
	if !b.Fallback && !f.Robustness.Resists && 2*b.WorstBad >= b.Count {
		say("aggregation.buckets: corrupt clients can be in %d of %d buckets, which leaves no majority without them", b.WorstBad, b.Count)
	}
}
