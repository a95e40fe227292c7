package plan

import (
	"fmt"
	"math"
	"strings"

	"github.com/choir-fl/choir/coordinator/robust"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg"
)

// Robustness is what a plan's rule is up against in one attempt (DESIGN section 8). It
// speaks of vectors: bucket means, or clients under view vectors; one under view sum.
// Immutable.
type Robustness struct {
	// Resists is false for the bare mean, which withstands nobody, and for rule
	// rfa, which combines no vectors.
	Resists bool
	// Most is the number of vectors of a full cohort, Fewest that of the smallest set that
	// still holds cohort.minimum clients: a bucket that is left out as short, or spoiled, is
	// missing from it.
	// Spare is how many vectors of a full cohort may be missing.
	Most, Fewest, Spare int
	// F is how many Byzantine vectors the rule is set for, Byzantine how many clients of a
	// full cohort may be, and WorstBad how many vectors they can be in.
	F, Byzantine, WorstBad int
	// Bad is the probability that a vector of a full cohort, one of the largest, holds a
	// Byzantine client. Drawn bounds that of more than F such vectors in an attempt, where
	// the cohort is drawn from a population that is much larger and of which the plan's share
	// is Byzantine: by chance a cohort has more of them than Byzantine. Both where buckets
	// are drawn by coins that nobody steers; 0 under view sum.
	Bad, Drawn float64
	// Exceeded is the probability that more than F vectors of an attempt hold a Byzantine
	// client, where buckets are drawn by coins that nobody steers; Round and Run bound that
	// for any attempt of a round and of the run, of which corrupt parties may end those they
	// dislike. 0 where WorstBad is at most F. Exact says that Exceeded is no bound itself.
	Exceeded, Round, Run float64
	Exact                bool
	// NoiseNorm is the root mean square norm of the noise in the mean of a full bucket, over
	// the clip norm: 0 without noise.
	NoiseNorm float64
	// NoiseShift is by how much, over the clip norm, the noise lets as many bad vectors as
	// there can be, at most F, push the result in a direction of their choice: 0 without
	// noise, and where no number is known for the rule.
	NoiseShift float64
	// BadNorm is how far one Byzantine client can push the mean of its bucket, and HonestNorm
	// how far a bucket of honest clients can be from zero, noise aside. Clipping does not bind
	// a Byzantine client, the range of the encoding does; under denominator weights the mean
	// is clipped once it is opened, and both are Plan.LongestMean.
	BadNorm, HonestNorm float64
	// Influence bounds what one bad vector does to the norm of the result, noise aside, as
	// long as there are at most F; 0 where no number is known for the rule.
	Influence float64
}

const (
	// maxExceeded is the largest chance, over a whole run, that more than f vectors are bad,
	// at which a plan stands whose f is below the worst case.
	maxExceeded = 0.01
	// maxNoiseNorm is the noise over the clip norm beyond which distances between vectors
	// are those of their noise.
	maxNoiseNorm = 1
	// maxHidden is the share of Byzantine clients that is too large under schemes that hide
	// vectors: until clients prove the norm of what they send.
	maxHidden = 0.1
	// leastNamed is the fewest clients in an opened bucket under scheme pairwise, unless all
	// parties are named.
	leastNamed = 16
	// maxTried is the largest bucket that is looked at for advice.
	maxTried = 200
)

// Robustness returns what the rule is up against.
func (p Plan) Robustness() Robustness { return p.robustness }

// defaultBuckets are those of DESIGN section 8 for a share of Byzantine clients.
func (l Literal) defaultBuckets() (Buckets, bool) {
	switch {
	case l.byzantine() <= 0.01:
		return Buckets{Size: 16, Minimum: 12}, true
	case l.byzantine() <= 0.05:
		return Buckets{Size: 9, Minimum: 7}, l.Privacy.Mode != string(secagg.PrivacyDistributed)
	}
	return Buckets{}, false
}

// resolveBuckets fills in the buckets of a rule that needs some.
func (l *Literal) resolveBuckets() {
	if b, ok := l.defaultBuckets(); ok && l.Aggregation.resists() && l.Aggregation.View == secagg.ViewBucketMeans.String() {
		setDefault(&l.Aggregation.Buckets, b)
	}
	if l.Aggregation.View == secagg.ViewVectors.String() {
		setDefault(&l.Aggregation.Buckets, Buckets(secagg.Each()))
	}
}

// noBuckets says why a rule has no default buckets: more clients are corrupt than there is
// a default for.
func (p *Plan) noBuckets() string {
	l := p.literal
	if l.byzantine() > 0.05 || l.Privacy.Mode != string(secagg.PrivacyDistributed) || p.invited == 0 || !(l.Privacy.Delta > 0 && l.Privacy.Delta < 1) {
		return fmt.Sprintf("size and minimum are not stated, and have no default where a share %g of the clients may be Byzantine", l.byzantine())
	}
	tried := Buckets{Size: 9, Minimum: 7}
	c, h := l.honestIn(p.scheme, p.Policy(), tried)
	text := fmt.Sprintf("not stated, and under noise in shares there is no default where %d of %d clients may be corrupt (Byzantine ones are): of %d in a bucket opened with %d, c* = %d and h = %d",
		share(p.invited, l.byzantine()), p.invited, tried.Size, tried.Minimum, c, h)
	for s := 3; s <= min(l.Cohort.Minimum, maxTried); s++ {
		b := Buckets{Size: s, Minimum: (3*s + 3) / 4}
		if c, h = l.honestIn(p.scheme, p.Policy(), b); h < ddp.MinHonest {
			continue
		}
		m := secagg.Buckets(b).Count(p.invited)
		f := min(m, share(p.invited, l.byzantine()))
		if m < 2*f+1 {
			return text + fmt.Sprintf("; the least size that leaves h >= %d, %d opened with %d (c* = %d, h = %d), makes %d buckets, of which corrupt clients can be in %d: no majority is left",
				ddp.MinHonest, s, b.Minimum, c, h, m, f)
		}
		return text + fmt.Sprintf("; size %d and minimum %d would leave c* = %d and h = %d", s, b.Minimum, c, h)
	}
	return text + fmt.Sprintf("; no size up to %d leaves h >= %d", min(l.Cohort.Minimum, maxTried), ddp.MinHonest)
}

// honestIn returns c* and h of buckets under noise in shares, as honestShares does.
func (l Literal) honestIn(scheme secagg.ServerScheme, policy secagg.Policy, b Buckets) (corrupt, honest int) {
	f, bits, fair := max(1, secagg.ShareOf(policy.Clients, policy.Corrupt)), 0, false
	if h, ok := scheme.(secagg.HonestScheme); ok {
		bits, fair = h.FairPartition()
	}
	n := policy.Minimum
	if !fair || b.Size > n {
		corrupt = min(f, b.Size)
		return corrupt, b.Minimum - corrupt
	}
	// Asked about a full bucket, it tells c* unless all but one may be corrupt.
	policy.Buckets = secagg.Buckets(b)
	size := largestBucket(policy)
	found, err := ddp.BucketView{Cohort: n, Corrupt: min(f, n-1), Size: size, Minimum: size,
		Rounds: l.Rounds.Count, Grinding: bits, Delta: l.Privacy.Delta}.Honest()
	if corrupt = found.Corrupt; err != nil {
		corrupt = size - 1
	}
	return corrupt, b.Minimum - corrupt
}

func share(n int, of float64) int { return secagg.ShareOf(n, perMillion(of)) }

// checkRobustness works out what the rule is up against, and refuses what it cannot
// withstand. All else in the plan is sound.
func (p *Plan) checkRobustness(c *checker) {
	l, r := p.literal, &p.robustness
	*r = Robustness{Resists: l.Aggregation.resists(), Most: 1, Fewest: 1, F: l.Aggregation.F, Byzantine: share(p.invited, l.byzantine())}
	p.spread(r)
	if r.Most > robust.MaxVectors {
		c.refuse("aggregation.buckets.size", "%d vectors, at most %d are combined", r.Most, robust.MaxVectors)
		return
	}
	p.exceeding(r)
	p.reach(r)
	if !l.Aggregation.resists() {
		return
	}
	h, honest := p.scheme.(secagg.HonestScheme)
	hides := !honest || h.Hides()
	switch {
	case hides && l.byzantine() >= maxHidden:
		c.refuse("aggregation.byzantine", "%g: %g and more is refused under schemes that hide vectors, until clients prove the norm of what they send", l.byzantine(), maxHidden)
		return
	case p.pairwiseInSmall():
		c.refuse("aggregation.buckets.minimum", "%d: scheme %s opens no bucket of fewer than %d clients under a rule, unless scheme.cross_silo names all parties",
			l.Aggregation.Buckets.Minimum, l.Scheme.Name, leastNamed)
	}
	for m := r.Fewest; m <= r.Most; m++ {
		if err := p.rule.Admits(m); err != nil {
			hint := ""
			if m < r.Most && p.rule.Admits(r.Most) == nil {
				hint = fmt.Sprintf("; at cohort.minimum %d as few as %d of %d may open, raise it", l.Cohort.Minimum, r.Fewest, r.Most)
			}
			c.refuse("aggregation.rule", "%s with f %d on %d vectors: %w%s", l.Aggregation.Rule, r.F, m, err, hint)
			return
		}
	}
	if r.F < r.WorstBad && !(r.Run <= maxExceeded) {
		c.refuse("aggregation.f", "%d: the %d Byzantine of %d clients can be in %d of %d vectors; in more than %d with probability %.2g in an attempt and up to %.2g in the run, more than %g",
			r.F, r.Byzantine, p.invited, r.WorstBad, r.Most, r.F, r.Exceeded, r.Run, maxExceeded)
	}
	if p.byDistance && r.NoiseNorm > maxNoiseNorm {
		what := l.Aggregation.Rule
		if len(l.Aggregation.Pre) > 0 {
			what += " after " + strings.Join(l.Aggregation.Pre, ", ")
		}
		c.refuse("aggregation.rule", "%s chooses by distances, and noise norm / C is %.3g in the mean of a bucket: above %d they are those of the noise; choose trimmed-mean", what, r.NoiseNorm, maxNoiseNorm)
	}
}

func (p *Plan) pairwiseInSmall() bool {
	fair := true
	if h, ok := p.scheme.(secagg.HonestScheme); ok {
		_, fair = h.FairPartition()
	}
	return !fair && p.terms.Buckets.Minimum < leastNamed && !p.literal.Scheme.CrossSilo
}

// spread counts vectors: in cohorts of each size from the minimum on.
func (p *Plan) spread(r *Robustness) {
	r.WorstBad = min(1, r.Byzantine)
	if p.terms.View == secagg.ViewSum {
		return
	}
	r.Most = p.terms.Buckets.Count(p.invited)
	r.WorstBad = min(r.Byzantine, r.Most)
	r.Fewest = r.Most
	for n := p.Minimum(); n <= p.invited; n++ {
		count := p.terms.Buckets.Count(n)
		small, larges := n/count, n%count
		// The fewest buckets that hold the minimum are the largest.
		k := (p.Minimum() + small) / (small + 1)
		if k > larges {
			k = larges + (p.Minimum()-larges*(small+1)+small-1)/small
		}
		r.Fewest, r.Spare = min(r.Fewest, k), count-k // the last is the full cohort
	}
	if h, ok := p.scheme.(secagg.HonestScheme); ok {
		if _, fair := h.FairPartition(); fair {
			size := (p.invited + r.Most - 1) / r.Most
			r.Bad = anyBad(p.invited, size, r.Byzantine)
			r.Drawn = binomialAbove(r.Most, -math.Expm1(float64(size)*math.Log1p(-p.literal.byzantine())), r.F)
		}
	}
}

// exceeding works out how likely more than f bad vectors are.
func (p *Plan) exceeding(r *Robustness) {
	r.Exact = true
	if r.F >= r.WorstBad {
		return
	}
	r.Exceeded, r.Round, r.Run = 1, 1, 1
	h, ok := p.scheme.(secagg.HonestScheme)
	if !ok || p.terms.View != secagg.ViewBucketMeans {
		return
	}
	if bits, fair := h.FairPartition(); fair {
		// The worst cohort has most buckets, and in them fewest clients.
		n := min(p.invited, max(p.Minimum(), r.Most*p.terms.Buckets.Size))
		r.Exceeded, r.Exact = moreBad(n, r.Most, r.Byzantine, r.F)
		r.Round = min(1, math.Ldexp(r.Exceeded, bits))
		r.Run = min(1, float64(p.Rounds())*r.Round)
	}
}

// LongestMean is the largest norm that a mean of honest updates can have under denominator
// weights, to which the engine clips each: a device clips the product of its weight and its
// update, and divided are at least as many of the least weight as there are clients. Under
// rule rfa it clips the update before it weighs it.
func (p Plan) LongestMean() float64 {
	if p.literal.Aggregation.byClients() {
		return p.terms.Encoding.ClipNorm
	}
	return p.terms.Encoding.ClipNorm / p.terms.Training.LeastWeight()
}

// reach works out how far vectors can be from zero.
func (p *Plan) reach(r *Robustness) {
	s := p.quantizer.Spec()
	// Of the largest vector.
	members, divisor := float64((p.invited+r.Most-1)/r.Most), float64(p.CohortSize())/float64(r.Most)
	r.BadNorm, r.HonestNorm = p.LongestMean(), p.LongestMean()
	if p.terms.Denominator == secagg.DenominatorFixed {
		widest := 0.0 // clients in a vector over what it is divided by
		for n := p.Minimum(); n <= p.invited; n++ {
			count := 1
			if p.terms.View != secagg.ViewSum {
				count = p.terms.Buckets.Count(n)
			}
			widest = max(widest, float64((n+count-1)/count)*float64(count)/float64(p.CohortSize()))
		}
		if p.terms.View == secagg.ViewVectors {
			widest = 1 // divided by one
		}
		r.HonestNorm = s.ClipNorm * widest
		r.BadNorm = widest * float64(s.Range+s.NoiseTail) * math.Sqrt(float64(s.Dimension)) / s.Scale
	}
	if rule, ok := p.ClipRule(); ok { // updates are stretched by the clip norm of the round
		stretch := rule.Ceiling / s.ClipNorm
		r.BadNorm, r.HonestNorm = r.BadNorm*stretch, r.HonestNorm*stretch
	}
	if p.terms.View == secagg.ViewVectors {
		divisor = 1
	}
	if n := p.guarantee.noise; p.guarantee.Stated() {
		shares := 1.0
		if p.terms.Privacy != secagg.PrivacyCentral {
			shares = members / float64(n.Shares())
		}
		r.NoiseNorm = n.Sigma * math.Sqrt(shares*float64(p.terms.Tensors.Total())) / divisor / s.ClipNorm
	}
	if len(p.literal.Aggregation.Pre) == 0 {
		r.NoiseShift = r.NoiseNorm * noiseShift(p.literal.Aggregation.Rule, r.Most, r.F, min(r.F, r.WorstBad))
	}
	// Each coordinate of these lies between honest ones, so its square is at most the sum of
	// theirs.
	between := p.literal.Aggregation.Rule == "median" || p.literal.Aggregation.Rule == "trimmed-mean"
	switch {
	case len(p.literal.Aggregation.Pre) > 0:
	case !p.literal.Aggregation.resists():
		r.Influence = r.BadNorm / float64(r.Fewest)
	case between && r.F >= r.WorstBad:
		r.Influence = r.HonestNorm * math.Sqrt(float64(r.Most))
	}
}
