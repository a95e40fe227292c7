package ddp

import "math/big"

// MinHonest is the fewest honest shares in an opened bucket: with one, the noise of a
// client's own bucket is its own alone.
const MinHonest = 2

// Limits of BucketView, far above any roster and job.
const (
	maxCohort   = 1 << 16
	maxRounds   = 1 << 30
	maxGrinding = 32
)

// BucketView is what decides how many honest noise shares a bucket holds when every
// bucket's sum is released (DESIGN section 7). It is an unchecked literal.
type BucketView struct {
	Cohort   int     // n_min: fewest clients among whom the partition is drawn
	Corrupt  int     // f: most corrupt clients among them
	Size     int     // s: most clients dealt into one bucket
	Minimum  int     // s_min: fewest members of an opened bucket
	Rounds   int     // T: releases that the delta is for
	Grinding int     // g: 2^g attempts at each, of which corrupt parties pick
	Delta    float64 // the delta of the whole job, in (0, 1)
}

// HonestBucket is what a bucket may be relied on for.
type HonestBucket struct {
	Corrupt int     // c*: most corrupt peers that a client's bucket is reckoned with
	Honest  int     // h = s_min - c*: honest shares to calibrate the noise for
	Charge  float64 // T 2^g P[more than c*], rounded up, to take off Delta; at most Delta/10
}

// Honest finds the least c* with
//
//	T 2^g P[Hypergeom(n_min - 1, f, s - 1) > c*] <= delta/10
//
// in exact arithmetic, and h = s_min - c*. It refuses h < MinHonest ([ErrHonest]).
//
// The law is that of the corrupt peers of one given honest client, in its own bucket,
// and there is no union bound over the buckets: differential privacy is promised to
// each client on its own, whose contribution is in one bucket only, and the failure is
// charged to that client's delta. It says nothing about every bucket at once; a scheme
// that publishes sums of keys needs that, and reckons with all buckets
// (secagg/oneshot).
func (v BucketView) Honest() (HonestBucket, error) {
	if err := v.check(); err != nil {
		return HonestBucket{}, err
	}
	// P[peers = x] = term/all with term = C(f, x) C(n - 1 - f, s - 1 - x).
	peers, drawn := v.Cohort-1, v.Size-1
	all := new(big.Int).Binomial(int64(peers), int64(drawn))
	factor := new(big.Int).Lsh(big.NewInt(int64(v.Rounds)), uint(v.Grinding))
	budget := new(big.Rat).SetFloat64(v.Delta)
	budget.Quo(budget, big.NewRat(10, 1))
	charge, next, tail := new(big.Rat), new(big.Rat), new(big.Int)
	c := min(v.Corrupt, drawn)
	for ; c > 0; c-- { // invariant: charge is that of more than c
		term := new(big.Int).Binomial(int64(v.Corrupt), int64(c))
		term.Mul(term, new(big.Int).Binomial(int64(peers-v.Corrupt), int64(drawn-c)))
		tail.Add(tail, term)
		next.SetFrac(new(big.Int).Mul(tail, factor), all)
		if next.Cmp(budget) > 0 {
			break
		}
		charge.Set(next)
	}
	spent, exact := charge.Float64()
	if !exact {
		spent = up(spent)
	}
	out := HonestBucket{Corrupt: c, Honest: v.Minimum - c, Charge: spent}
	if out.Honest < MinHonest {
		return HonestBucket{}, ErrHonest.At("buckets of at least %d of %d with up to %d corrupt leave %d honest, want %d",
			v.Minimum, v.Size, c, out.Honest, MinHonest)
	}
	return out, nil
}

func (v BucketView) check() error {
	switch {
	case v.Cohort < 1 || v.Cohort > maxCohort:
		return ErrParameters.At("Cohort = %d, want 1 to %d", v.Cohort, maxCohort)
	case v.Corrupt < 0 || v.Corrupt >= v.Cohort:
		return ErrParameters.At("Corrupt = %d, want below Cohort = %d", v.Corrupt, v.Cohort)
	case v.Size < 1 || v.Size > v.Cohort:
		return ErrParameters.At("Size = %d, want 1 to Cohort = %d", v.Size, v.Cohort)
	case v.Minimum < 1 || v.Minimum > v.Size:
		return ErrParameters.At("Minimum = %d, want 1 to Size = %d", v.Minimum, v.Size)
	case v.Rounds < 1 || v.Rounds > maxRounds:
		return ErrParameters.At("Rounds = %d, want 1 to 2^30", v.Rounds)
	case v.Grinding < 0 || v.Grinding > maxGrinding:
		return ErrParameters.At("Grinding = %d, want 0 to %d", v.Grinding, maxGrinding)
	case !(v.Delta > 0 && v.Delta < 1): // NaN fails
		return ErrParameters.At("Delta = %g, want above 0 and below 1", v.Delta)
	}
	return nil
}
