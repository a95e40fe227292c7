package mf

import (
	"math"
	"math/big"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/noise"
)

const (
	// MaxDimension is the largest number of coordinates of the sum.
	MaxDimension = 1 << 28
	// maxState bounds the int64 of a generator's state.
	maxState = 1 << 31
	// minSigma is the least sigma in grid units; leastLog the least log2 of sigma on the
	// lattice, so that rounding adds next to nothing to the error.
	minSigma, leastLog = 0x1p-10, 10
	// maxSigma is the largest sigma on the lattice that package noise draws.
	maxSigma = 1 << 30
	maxShift = 20
	// drift bounds the change of one shift by the roundings of BLT, in lattice steps: see the
	// package comment.
	drift = 1.0625
	// slackAim is the share of the sensitivity that drift may take, slackMost when the noise
	// is too wide for a finer lattice.
	slackAim, slackMost = 0x1p-10, 0x1p-6
	// room bounds everything that is kept or added in an int64.
	room = 1 << 62
)

// Noise states how much noise a run has. Grid units are those of the integer sum.
type Noise struct {
	// Dimension is the number of coordinates of the sum, 1 to MaxDimension.
	Dimension int
	// Clip bounds the L2 norm of one contribution, in grid units, as a test on integers
	// enforces it (package ddp: D2).
	Clip float64
	// Sigma is the parameter of one draw z, in grid units: at least 2^-10. It is rounded up by
	// less than 2^-60 of itself. The tree draws so for each node. Over Clip it is the noise
	// multiplier of the literature on DP-FTRL, whose zCDP is Sensitivity^2/2 times its inverse
	// square.
	Sigma float64
}

// Run is a mechanism with its noise: all that is public about the noise of one run. It is
// immutable and safe for concurrent use. The zero value is no run.
type Run struct {
	m         Mechanism
	dimension int
	shift     uint // a grid step is 2^shift lattice steps
	num, den  uint64
	sampler   noise.Gaussian
	norm      float64 // sensitivity in lattice steps, with all roundings
	bound     int64   // of noise, in lattice steps
	fraction  uint    // bits of BLT buffers below a lattice step
	decay     []uint64
	scale     []uint64 // of BLT, in units of 2^-64
}

// Run checks the noise and chooses the lattice. ErrNoise if sigma is too narrow or too wide
// for it (2^30 steps of the lattice, which BandMF makes 2^10 times and BLT as much finer as
// its dimension and steps ask), if the roundings of BLT would take more than 2^-6 of the
// sensitivity, or if the state would take more than 16 GiB.
func (m Mechanism) Run(n Noise) (Run, error) {
	if m.squared == 0 {
		return Run{}, ErrParameters.At("mechanism that Check did not make")
	}
	switch {
	case n.Dimension < 1 || n.Dimension > MaxDimension:
		return Run{}, ErrNoise.At("dimension %d", n.Dimension)
	case !(n.Clip > 0 && n.Clip <= room):
		return Run{}, ErrNoise.At("clip %g grid units", n.Clip)
	case !(n.Sigma >= minSigma && n.Sigma <= maxSigma):
		return Run{}, ErrNoise.At("sigma %g grid units, not %g to %d", n.Sigma, minSigma, maxSigma)
	case int64(m.Vectors())*int64(n.Dimension) > maxState:
		return Run{}, ErrNoise.At("state of %d vectors of %d coordinates, more than 16 GiB", m.Vectors(), n.Dimension)
	}
	r := Run{m: m, dimension: n.Dimension, shift: uint(max(0, leastLog-math.Ilogb(n.Sigma)))}
	slack := 0.0
	switch m.p.Family {
	case BandMF:
		r.shift = max(r.shift, bandFraction)
	case BLT:
		slack = up(drift * up(math.Sqrt(float64(n.Dimension)*float64(m.p.Participation.Steps-1))))
		sensitivity := n.Clip * m.Sensitivity()
		for r.shift < maxShift && slack > slackAim*math.Ldexp(sensitivity, int(r.shift)) && math.Ldexp(n.Sigma, int(r.shift)+1) <= maxSigma {
			r.shift++
		}
		if slack > slackMost*math.Ldexp(sensitivity, int(r.shift)) {
			return Run{}, ErrNoise.At("roundings of %d coordinates over %d steps take %.2g of the sensitivity",
				n.Dimension, m.p.Participation.Steps, slack/math.Ldexp(sensitivity, int(r.shift)))
		}
	}
	sigma := math.Ldexp(n.Sigma, int(r.shift))
	if sigma > maxSigma {
		return Run{}, ErrNoise.At("sigma %g grid units on a lattice of 2^-%d", n.Sigma, r.shift)
	}
	r.norm = up(up(math.Ldexp(n.Clip, int(r.shift))*m.Sensitivity()) + slack)
	r.num, r.den = variance(sigma)
	var err error
	if r.sampler, err = noise.NewGaussian(r.num, r.den); err != nil {
		return Run{}, ErrNoise.At("sigma %g grid units", n.Sigma).Because(err)
	}
	if err = r.carry(); err != nil {
		return Run{}, err
	}
	return r, nil
}

// variance is the square of sigma, from 2^-20 to 2^30, as a fraction that is not below it.
func variance(sigma float64) (num, den uint64) {
	v := new(big.Rat).SetFloat64(sigma)
	v.Mul(v, v)
	whole := new(big.Int).Quo(v.Num(), v.Denom())
	q := uint(61 - whole.BitLen()) // so that num is below 2^61 + 1
	top := new(big.Int).Lsh(v.Num(), q)
	top.Add(top, new(big.Int).Sub(v.Denom(), big.NewInt(1)))
	return top.Quo(top, v.Denom()).Uint64(), 1 << q
}

// carry bounds the noise and all that it is computed from by the largest draw, and refuses
// what an int64 would not hold.
func (r *Run) carry() error {
	draw := float64(r.sampler.Bound()) + 2 // and the roundings of a step, below 2 in all families
	bound, kept := 0.0, 0.0
	switch r.m.p.Family {
	case Tree:
		// |estimate of a node| <= w draw + (1-w) 2 |estimate of a half| + 1/2; its weights are
		// products with 2^weightBits. Released are at most the estimates at all levels.
		weights, _ := treeWeights(r.m.Vectors())
		estimate := 0.0
		for _, w := range weights {
			share := float64(w) / (1 << weightBits)
			estimate = float64(share*draw) + float64(2*(1-share)*estimate) + 1
			bound += estimate
		}
		bound += estimate
		kept = 4 * estimate * (1 << weightBits)
	case BandMF:
		bound = r.m.gain * draw
		for _, c := range r.m.band {
			kept += math.Abs(float64(c)) * bound
		}
	case BLT:
		bound = r.m.gain * draw
		kept = bound
		_, gains := r.m.buffers.inverse(r.m.p.Participation.Steps)
		for _, g := range gains {
			kept = max(kept, float64(1.01*g*draw)+float64(r.m.p.Participation.Steps)) // and a rounding of each step
		}
		if r.fraction = uint(max(1, 61-math.Ilogb(kept)-1)); r.fraction > 32 {
			r.fraction = 32
		}
		lost := 0.0
		for i, d := range r.m.buffers.decay {
			lost += float64(r.m.buffers.scale[i] * min(float64(r.m.p.Participation.Steps), 1/(1-d)))
			r.decay = append(r.decay, uint64(d*0x1p64))
			r.scale = append(r.scale, uint64(r.m.buffers.scale[i]*0x1p64))
		}
		if 1+math.Ldexp(lost, -int(r.fraction)) > drift {
			return ErrNoise.At("buffers of %d fraction bits lose %.2g lattice steps", r.fraction, math.Ldexp(lost, -int(r.fraction)))
		}
		kept = math.Ldexp(kept, int(r.fraction))
	}
	if !(bound < room/4) || !(kept < room) {
		return ErrNoise.At("noise of up to %.3g lattice steps", bound)
	}
	r.bound = int64(bound) + 1
	return nil
}

// Mechanism returns the mechanism.
func (r Run) Mechanism() Mechanism { return r.m }

// Dimension is the number of coordinates.
func (r Run) Dimension() int { return r.dimension }

// Shift is p: the noise is in steps of 2^-p of the grid.
func (r Run) Shift() uint { return r.shift }

// Bound is at least the largest magnitude of noise of a step, in lattice steps.
func (r Run) Bound() int64 { return r.bound }

// Variance is the parameter sigma^2 of one draw, exactly, in squared lattice steps.
func (r Run) Variance() *big.Rat {
	return new(big.Rat).SetFrac(new(big.Int).SetUint64(r.num), new(big.Int).SetUint64(r.den))
}

// Sensitivity is the sensitivity of the whole run in grid units, rounded up: Clip times
// that of the mechanism, and what the roundings of BLT add.
func (r Run) Sensitivity() float64 { return math.Ldexp(r.norm, -int(r.shift)) }

// Event is the whole run as one event: a discrete Gaussian without sampling, in lattice
// steps, of as many coordinates as all steps have. It is charged once, in full, before the
// first step; a run that ends early has spent it all. It bounds the run at every Renyi
// order (see the package comment), which is what zCDP and RDP accountants use; the privacy
// loss distribution of one discrete Gaussian is not proved to bound an adaptive run.
// ErrRelation under any but zero-out and replace-one.
func (r Run) Event(relation dp.Relation) (dp.Event, error) {
	if relation != dp.ZeroOut && relation != dp.ReplaceOne {
		return dp.Event{}, ErrRelation.At("event of %s under %q", r.m.p.Family, relation)
	}
	if r.dimension == 0 {
		return dp.Event{}, ErrArgument.At("event of no run")
	}
	return dp.NewEvent(dp.Spec{
		Mechanism: dp.DiscreteGaussian, Relation: relation, Sampling: dp.Sampling{Mode: dp.SamplingNone},
		Variance: r.Variance(), Clip: r.norm, Dimension: r.dimension * r.m.p.Participation.Steps, Count: 1,
	})
}

// TailDelta is what redrawing draws beyond 12 sigma adds to the delta of the run: the
// distance in total variation, over all draws. With an (epsilon, delta) statement it counts
// up to 1 + e^epsilon times.
func (r Run) TailDelta() float64 {
	draws := float64(r.m.p.Participation.Steps)
	if r.m.p.Family == Tree {
		draws *= 2 // nodes
	}
	return up(math.Ldexp(float64(r.dimension)*draws, -r.sampler.TailBits()))
}

// Add makes a release: each sum, in grid units, becomes sum * 2^Shift + noise, in lattice
// steps. ErrArgument, and then nothing is changed, if the lengths are not the run's
// dimension or a sum or the noise is beyond what int64 carries.
func (r Run) Add(sums, noise []int64) error {
	if r.dimension == 0 || len(sums) != r.dimension || len(noise) != r.dimension {
		return ErrArgument.At("%d sums and %d values of noise for %d coordinates", len(sums), len(noise), r.dimension)
	}
	most := int64(room) >> r.shift
	for i, s := range sums {
		if s > most || s < -most || noise[i] > r.bound || noise[i] < -r.bound {
			return ErrArgument.At("coordinate %d", i)
		}
	}
	for i, s := range sums {
		sums[i] = s<<r.shift + noise[i]
	}
	return nil
}
