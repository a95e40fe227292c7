package ddp

import (
	"math"
	"math/big"
	"math/bits"
	"slices"
	"sync"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/noise"
	"github.com/choir-fl/choir/secagg/field"
)

// Parameters is how a round is made differentially private: an unchecked literal, of
// which [Parameters.Check] makes a [Mechanism]. All parties of a round hold the same.
type Parameters struct {
	// Dimension is the number of values of the update, before padding.
	Dimension int
	// Clients is n, the most clients that one sum may hold.
	Clients int
	// Central: clients add no noise, and whoever decodes, who is trusted with the exact
	// sum, adds one draw of the whole Sigma to its integers. Survivors is then 1 and
	// Corrupt 0, as nothing rests on clients, and the law dp.DiscreteGaussian.
	Central bool
	// Survivors is n_min, the fewest that a released sum holds: a round (or bucket)
	// with fewer is abandoned before unmasking. At most Clients.
	Survivors int
	// Corrupt is t, the most corrupt clients among them, who may take their own
	// noise shares off. In BucketMeans view Survivors is s_min and Corrupt c*.
	Corrupt int
	// ClipNorm is C.
	ClipNorm float64
	// Outlier: a contribution of more than Outlier*C goes out as zero instead of
	// clipped; 10 is usual with adaptive clipping, where an update that diverged would
	// otherwise go along at full length. At least 1, or 0 for never.
	Outlier float64
	// Scale is s, grid steps per unit of the update. 0 means AdvisedScale.
	Scale float64
	// Range is R: integers are clamped to [-R, R] before noise. 0 means ceil(sC) + 1,
	// which clamps nothing. A smaller one saves bits and can only lower a norm.
	Range int64
	// Sigma is the standard deviation of the noise in the sum of Survivors - Corrupt
	// shares, in units of the update.
	Sigma float64
	// Noise is the law of the shares: dp.DiscreteGaussian or dp.Skellam, whose sums
	// are Skellam exactly, so that nothing is lost to the number of shares. There are
	// no Skellam shares wider than 4096 grid steps, and no extras beside them.
	Noise dp.Mechanism
	// Extras that depend on data; see [Extra]. They are part of the same release.
	Extras []Extra
}

// Mechanism is a checked [Parameters]. It is immutable and any number of goroutines
// may use it at once. The zero Mechanism refuses everything it is asked to encode.
type Mechanism struct {
	params      Parameters
	quantizer   field.Quantizer
	sensitivity Sensitivity
	limit       square
	shares      Shares
	extras      []Shares
	samplers    func() ([]noise.Sampler, error)
}

// Check resolves defaults and refuses contradictions.
func (p Parameters) Check() (Mechanism, error) {
	p.Extras = append([]Extra(nil), p.Extras...) // nil if there are none
	padded := PaddedDimension(p.Dimension)
	if err := p.check(); err != nil {
		return Mechanism{}, err
	}
	if p.Scale == 0 {
		p.Scale = AdvisedScale(padded, p.ClipNorm)
	}
	m := Mechanism{}
	var err error
	if m.sensitivity, err = NewSensitivity(padded, p.Scale*p.ClipNorm); err != nil {
		return Mechanism{}, err
	}
	m.limit = floorSquare(m.sensitivity.L2)
	if m.shares, err = p.shares(p.Scale * p.Sigma); err != nil {
		return Mechanism{}, err
	}
	spec, err := p.spec(padded, m.shares, &m.extras)
	if err != nil {
		return Mechanism{}, err
	}
	if m.quantizer, err = spec.Check(); err != nil {
		return Mechanism{}, ErrParameters.At("encoding").Because(err)
	}
	p.Range = spec.Range
	m.params = p
	m.samplers = sync.OnceValues(m.newSamplers)
	return m, nil
}

// check refuses what is wrong whatever the scale.
func (p Parameters) check() error {
	switch {
	case PaddedDimension(p.Dimension) == 0:
		return ErrParameters.At("Dimension = %d, want 1 to %d", p.Dimension, field.MaxWords)
	case p.Survivors > p.Clients:
		return ErrParameters.At("Survivors = %d, above Clients = %d", p.Survivors, p.Clients)
	case !(p.ClipNorm >= 0x1p-126 && p.ClipNorm <= 0x1p127): // NaN fails; field.Spec has the same bounds
		return ErrParameters.At("ClipNorm = %g, want 2^-126 to 2^127", p.ClipNorm)
	case !(p.Outlier == 0 || p.Outlier >= 1 && p.Outlier <= math.MaxFloat64):
		return ErrParameters.At("Outlier = %g, want 0 or at least 1", p.Outlier)
	case p.Noise != dp.DiscreteGaussian && p.Noise != dp.Skellam:
		return ErrParameters.At("Noise = %q, want dgauss or skellam", p.Noise)
	case p.Noise == dp.Skellam && len(p.Extras) > 0:
		return ErrParameters.At("%d extras under skellam noise, which has no joint event: use dgauss", len(p.Extras))
	case p.Central && (p.Survivors != 1 || p.Corrupt != 0):
		return ErrParameters.At("Survivors = %d and Corrupt = %d with central noise, want 1 and 0", p.Survivors, p.Corrupt)
	case p.Central && p.Noise != dp.DiscreteGaussian:
		return ErrParameters.At("Noise = %q with central noise, want dgauss", p.Noise)
	}
	return nil
}

// shares divides noise of sigma grid steps. Central noise is one draw, which is a
// discrete Gaussian however narrow, and so may be as narrow as samplers go.
func (p Parameters) shares(sigma float64) (Shares, error) {
	least := big.NewRat(MinShareWidth*MinShareWidth, 1)
	if p.Central {
		least = big.NewRat(1, 16)
	}
	s, err := newShares(sigma, p.Survivors, p.Corrupt, least)
	if err == nil && p.Noise == dp.Skellam && s.variance.Cmp(big.NewRat(maxSkellam*maxSkellam, 1)) > 0 {
		return Shares{}, ErrParameters.At("skellam shares of %g grid steps, want at most %d: lower the scale, or use dgauss", s.Width(), maxSkellam)
	}
	return s, err
}

// tail is the largest magnitude of what a client adds to a value that has these shares.
func (p Parameters) tail(s Shares) int64 {
	if p.Central {
		return 0
	}
	return s.Tail()
}

// spec gives the encoding with the fewest bits, and the shares of the extras.
func (p Parameters) spec(padded int, shares Shares, extras *[]Shares) (field.Spec, error) {
	if p.Range == 0 && p.Scale*p.ClipNorm < 1<<30 { // else Range 0 is refused below
		p.Range = int64(math.Ceil(p.Scale*p.ClipNorm)) + 1
	}
	tail := p.tail(shares)
	if p.Range < 1 || p.Range > 1<<30 || tail > 1<<30 {
		return field.Spec{}, ErrParameters.At("Range = %d and noise up to %d do not fit 31 bits: lower Scale or Range", p.Range, tail)
	}
	spec := field.Spec{
		Dimension: padded, Clients: p.Clients, ClipNorm: p.ClipNorm, Scale: p.Scale,
		Range: p.Range, NoiseTail: tail,
		Bits: max(3, bits.Len64(uint64(p.Range+tail+1))+1), // 2^(Bits-1) > R + tail + 1
	}
	for _, e := range p.Extras {
		if err := e.check(); err != nil {
			return field.Spec{}, err
		}
		s, err := p.shares(e.Sigma)
		if err != nil {
			return field.Spec{}, ErrParameters.At("extra %q", e.Name).Because(err)
		}
		most := e.Largest + 2*uint64(p.tail(s))
		if most > math.MaxInt32 {
			return field.Spec{}, ErrParameters.At("extra %q: its value and noise pass 2^31: lower Largest or Sigma", e.Name)
		}
		*extras = append(*extras, s)
		spec.Extras = append(spec.Extras, field.Extra{Name: e.Name, Bound: most}) // value + share + tail, never negative
	}
	return spec, nil
}

// Parameters gives the parameters with every default resolved, as a copy.
func (m Mechanism) Parameters() Parameters {
	p := m.params
	p.Extras = slices.Clone(p.Extras)
	return p
}

// Quantizer is the encoding that Encode writes and Decode reads: its Dimension is the
// padded one. It must not encode: it knows no norm test.
func (m Mechanism) Quantizer() field.Quantizer { return m.quantizer }

// Sensitivity is that of the main coordinates under zero-out.
func (m Mechanism) Sensitivity() Sensitivity { return m.sensitivity }

// Shares are the noise shares of the main coordinates.
func (m Mechanism) Shares() Shares { return m.shares }

// ExtraShares are the noise shares of extra k, in the order of the parameters.
func (m Mechanism) ExtraShares(k int) Shares {
	if k < 0 || k >= len(m.extras) {
		return Shares{}
	}
	return m.extras[k]
}

// TailDelta is what redrawing shares beyond their tails adds to the delta of one
// release; see [Shares.TailDelta]. Central noise is one draw, whatever the clients.
func (m Mechanism) TailDelta() float64 {
	draws := m.params.Clients
	if m.params.Central {
		draws = 1
	}
	sum := m.shares.TailDelta(m.params.Noise, draws, m.sensitivity.Dimension)
	for _, s := range m.extras {
		sum = safe(sum + s.TailDelta(m.params.Noise, draws, 1))
	}
	return sum
}
