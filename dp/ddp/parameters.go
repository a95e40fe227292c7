package ddp

import (
	"math"
	"math/bits"
	"slices"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg/field"
)

// Parameters is how a round is made differentially private: an unchecked literal, of
// which [Parameters.Check] makes a [Mechanism]. All parties of a round hold the same.
type Parameters struct {
	// Dimension is the number of values of the update, before padding.
	Dimension int
	// Clients is n, the most clients that one sum may hold.
	Clients int
	// Survivors is n_min, the fewest that a released sum holds: a round (or bucket)
	// with fewer is abandoned before unmasking. At most Clients.
	Survivors int
	// Corrupt is t, the most corrupt clients among them, who may take their own
	// noise shares off. In BucketMeans view Survivors is s_min and Corrupt c*.
	Corrupt int
	// ClipNorm is C.
	ClipNorm float64
	// Scale is s, grid steps per unit of the update. 0 means AdvisedScale.
	Scale float64
	// Range is R: integers are clamped to [-R, R] before noise. 0 means ceil(sC) + 1,
	// which clamps nothing. A smaller one saves bits and can only lower a norm.
	Range int64
	// Sigma is the standard deviation of the noise in the sum of Survivors - Corrupt
	// shares, in units of the update.
	Sigma float64
	// Noise is the law of the shares: dp.DiscreteGaussian or dp.Skellam, whose sums
	// are Skellam exactly, so that nothing is lost to the number of shares.
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
}

// Check resolves defaults and refuses contradictions.
func (p Parameters) Check() (Mechanism, error) {
	p.Extras = slices.Clone(p.Extras)
	padded := PaddedDimension(p.Dimension)
	if padded == 0 {
		return Mechanism{}, ErrParameters.At("Dimension = %d, want 1 to %d", p.Dimension, field.MaxWords)
	}
	if p.Survivors > p.Clients {
		return Mechanism{}, ErrParameters.At("Survivors = %d, above Clients = %d", p.Survivors, p.Clients)
	}
	if !(p.ClipNorm >= 0x1p-126 && p.ClipNorm <= 0x1p127) { // NaN fails; field.Spec has the same bounds
		return Mechanism{}, ErrParameters.At("ClipNorm = %g, want 2^-126 to 2^127", p.ClipNorm)
	}
	if p.Noise != dp.DiscreteGaussian && p.Noise != dp.Skellam {
		return Mechanism{}, ErrParameters.At("Noise = %q, want dgauss or skellam", p.Noise)
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
	if m.shares, err = NewShares(p.Scale*p.Sigma, p.Survivors, p.Corrupt); err != nil {
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
	return m, nil
}

// spec gives the encoding with the fewest bits, and the shares of the extras.
func (p Parameters) spec(padded int, shares Shares, extras *[]Shares) (field.Spec, error) {
	if p.Range == 0 && p.Scale*p.ClipNorm < 1<<30 { // else Range 0 is refused below
		p.Range = int64(math.Ceil(p.Scale*p.ClipNorm)) + 1
	}
	tail := shares.Tail()
	if p.Range < 1 || p.Range > 1<<30 || tail > 1<<30 {
		return field.Spec{}, ErrParameters.At("Range = %d and noise up to %d do not fit 31 bits: lower Scale or Range", p.Range, tail)
	}
	spec := field.Spec{
		Dimension: padded, Clients: p.Clients, ClipNorm: p.ClipNorm, Scale: p.Scale,
		Range: p.Range, NoiseTail: tail,
		Bits: max(3, bits.Len64(uint64(p.Range+tail+1))+1), // 2^(Bits-1) > R + tail + 1
	}
	for _, e := range p.Extras {
		s, err := e.check(p.Survivors, p.Corrupt)
		if err != nil {
			return field.Spec{}, err
		}
		*extras = append(*extras, s)
		spec.Extras = append(spec.Extras, e.field(s))
	}
	return spec, nil
}

// Parameters gives the parameters with every default resolved, as a copy.
func (m Mechanism) Parameters() Parameters {
	p := m.params
	p.Extras = slices.Clone(p.Extras)
	return p
}

// Quantizer decodes sums of what Encode writes: its Dimension is the padded one. It
// must not encode: it knows no norm test.
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

// Multiplier is the noise multiplier of the joint event of the update and all extras,
// rounded down. It is what a continuous Gaussian would have; the guarantee of the
// integer noise is RDP. Only dp.ZeroOut and dp.ReplaceOne are answered: who took part
// is no secret in a secure sum, so under another relation it is 0.
func (m Mechanism) Multiplier(relation dp.Relation) float64 {
	main, extras, ok := m.sensitivities(relation)
	if !ok {
		return 0
	}
	terms := []Term{{main.L2, m.shares.Sigma()}}
	for k, e := range extras {
		terms = append(terms, Term{e.L2, m.extras[k].Sigma()})
	}
	return JointMultiplier(terms...)
}

// RDP of one unsampled release of the update and all extras, for the shares that are
// reckoned with, under dp.ZeroOut or dp.ReplaceOne; +Inf under another relation.
func (m Mechanism) RDP(relation dp.Relation) RDP {
	main, extras, ok := m.sensitivities(relation)
	if !ok {
		return nothing
	}
	out := m.shares.RDP(m.params.Noise, main)
	for k, e := range extras {
		out = out.Add(m.extras[k].RDP(m.params.Noise, e))
	}
	return out
}

func (m Mechanism) sensitivities(relation dp.Relation) (main Sensitivity, extras []Sensitivity, ok bool) {
	main = m.sensitivity
	switch relation {
	case dp.ZeroOut:
	case dp.ReplaceOne:
		main = main.ReplaceOne()
	default:
		return Sensitivity{}, nil, false
	}
	for _, e := range m.params.Extras {
		extras = append(extras, e.sensitivity(relation))
	}
	return main, extras, true
}

// TailDelta is what redrawing shares beyond their tails adds to the delta of one
// release; see [Shares.TailDelta].
func (m Mechanism) TailDelta() float64 {
	sum := m.shares.TailDelta(m.params.Noise, m.params.Clients, m.sensitivity.Dimension)
	for _, s := range m.extras {
		sum = safe(sum + s.TailDelta(m.params.Noise, m.params.Clients, 1))
	}
	return sum
}

// ExtraSums takes what Quantizer().Decode returned as extras, the sums of exactly that
// many clients, to noised sums of the clients' values.
func (m Mechanism) ExtraSums(extras []uint64, clients int) ([]int64, error) {
	if len(extras) != len(m.extras) || clients < 1 || clients > m.params.Clients {
		return nil, ErrArgument.At("%d extras of %d clients, want %d of at most %d", len(extras), clients, len(m.extras), m.params.Clients)
	}
	out := make([]int64, len(extras))
	for k, sum := range extras {
		out[k] = int64(sum) - int64(clients)*m.extras[k].Tail()
	}
	return out, nil
}
