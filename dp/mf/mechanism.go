package mf

import (
	"math"
	"math/bits"
)

// Family is the shape of C, in A = B C with A the prefix sums.
type Family uint8

const (
	// Tree: C is the sums of a binary tree over the steps, B the estimate of least variance
	// from below (Honaker 2015). log2(Steps)+1 vectors of state.
	Tree Family = 1
	// BandMF: C is Toeplitz with Bands bands, optimised (Choquette-Choo and others 2023).
	// Bands-1 vectors of state.
	BandMF Family = 2
	// BLT: C is Toeplitz with coefficients that are a sum of Buffers geometric sequences,
	// optimised (Dvijotham and others 2024). Buffers vectors of state.
	BLT Family = 3
)

// Criterion is which error of the prefix sums is made least.
type Criterion uint8

const (
	// MaxError is that of the worst prefix sum.
	MaxError Criterion = 1
	// MeanError is the root of the mean square over all prefix sums.
	MeanError Criterion = 2
)

var (
	familyNames    = []string{"", "tree", "bandmf", "blt"}
	criterionNames = []string{"", "max", "mean"}
)

// String returns the name used in plans, "" if f is none of the families.
func (f Family) String() string { return nameOf(familyNames, uint8(f)) }

// String returns the name used in plans, "" if by is none of the criteria.
func (by Criterion) String() string { return nameOf(criterionNames, uint8(by)) }

func nameOf(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return ""
}

// ParseFamily returns the family of a name, or ErrName.
func ParseFamily(name string) (Family, error) {
	for i := 1; i < len(familyNames); i++ {
		if familyNames[i] == name {
			return Family(i), nil
		}
	}
	return 0, ErrName.At("family %q", name)
}

// maxBandWork bounds Steps*Bands, so that a plan is checked in about a second.
const maxBandWork = 1 << 28

// Parameters state a mechanism. Fields that a family does not use are zero.
type Parameters struct {
	Family        Family
	Participation Participation
	// Criterion is what BandMF and BLT are optimised for; the tree has no choice.
	Criterion Criterion
	// Bands is from 1 to Separation, for BandMF. Of one participation the separation is
	// Steps. The optimisation begins at the optimum for one participation, cut to the
	// bands, and has a bounded amount of work: 100 turns up to Steps*Bands of 1.7 million,
	// fewer above, none from 2^28/1.5 on.
	Bands int
	// Buffers is from MinBuffers to MaxBuffers, for BLT.
	Buffers int
}

// Check optimises the mechanism and works out its sensitivity. It takes up to some seconds
// at MaxSteps, milliseconds at 2000. On one architecture the same parameters give the same
// bits. The zero value of every enumeration is refused; [ErrParticipation] and
// [ErrParameters] say why.
func (p Parameters) Check() (Mechanism, error) {
	pattern, err := p.Participation.check()
	if err != nil {
		return Mechanism{}, err
	}
	p.Participation = pattern
	switch {
	case p.Family.String() == "":
		return Mechanism{}, ErrParameters.At("family %d", p.Family)
	case p.Family == Tree && p.Criterion != 0, p.Family != Tree && p.Criterion.String() == "":
		return Mechanism{}, ErrParameters.At("criterion %d of %s", p.Criterion, p.Family)
	case p.Family != BandMF && p.Bands != 0, p.Family == BandMF && (p.Bands < 1 || p.Bands > pattern.Separation):
		return Mechanism{}, ErrParameters.At("%d bands of %s at separation %d", p.Bands, p.Family, pattern.Separation)
	case p.Family != BLT && p.Buffers != 0, p.Family == BLT && (p.Buffers < MinBuffers || p.Buffers > MaxBuffers):
		return Mechanism{}, ErrParameters.At("%d buffers of %s", p.Buffers, p.Family)
	case p.Family == Tree && pattern.Participations > maxTreeParticipations:
		return Mechanism{}, ErrParticipation.At("%d participations in a tree, above %d", pattern.Participations, maxTreeParticipations)
	case p.Bands > maxBandWork/pattern.Steps:
		return Mechanism{}, ErrParameters.At("%d bands over %d steps, more than %d in all", p.Bands, pattern.Steps, maxBandWork)
	}
	return p.mechanism()
}

func (p Parameters) mechanism() (Mechanism, error) {
	m, pattern := Mechanism{p: p}, p.Participation
	switch p.Family {
	case Tree:
		m.squared = float64(treeSensitivity(pattern))
		m.errors = [2]float64{treeError(pattern, MaxError), treeError(pattern, MeanError)}
		return m, nil
	case BandMF:
		m.band, m.c = fixedBand(optimalBand(p.Bands, pattern, p.Criterion))
	case BLT:
		m.buffers = optimalBuffers(p.Buffers, pattern, p.Criterion)
		if !m.buffers.sound() {
			return Mechanism{}, ErrParameters.At("no %d buffers for %d steps", p.Buffers, pattern.Steps)
		}
		m.c = m.buffers.coefficients(pattern.Steps)
	}
	// The sums are of terms that are not negative, each of at most MaxSteps operations deep:
	// their relative error is below 2^-33.
	m.squared = toeplitzSensitivity(m.c, pattern) * (1 + 0x1p-30)
	prefix, inverse := m.filters()
	m.errors = [2]float64{errorOf(prefix, MaxError), errorOf(prefix, MeanError)}
	for _, x := range inverse {
		m.gain += math.Abs(x)
	}
	m.gain *= 1 + 0x1p-20
	return m, nil
}

// filters are prefixOf and inverseOf the coefficients, for BLT in time that does not grow
// with their number.
func (m Mechanism) filters() (prefix, inverse []float64) {
	steps := m.p.Participation.Steps
	if m.p.Family == BandMF {
		return prefixOf(m.c, steps), inverseOf(m.c, steps)
	}
	inverse, _ = m.buffers.inverse(steps)
	prefix = make([]float64, steps)
	sum := 0.0
	for t, x := range inverse {
		sum += x
		prefix[t] = sum
	}
	return prefix, inverse
}

// Mechanism is a checked matrix mechanism for contributions of norm 1. It is immutable and
// safe for concurrent use. The zero value is no mechanism, and Run refuses it.
type Mechanism struct {
	p       Parameters
	squared float64 // sensitivity, rounded up
	errors  [2]float64
	c       []float64 // of BandMF and BLT
	band    []int64   // c in units of 2^-bandFraction
	buffers buffers
	gain    float64 // at least the sum of |coefficients| of 1/c: the most that noise grows
}

// Parameters returns what the mechanism was made from, with the participation pattern in
// its one form: no more participations than fit the steps.
func (m Mechanism) Parameters() Parameters { return m.p }

// SensitivitySquared is the square of [Mechanism.Sensitivity], rounded up.
func (m Mechanism) SensitivitySquared() float64 { return m.squared }

// Sensitivity is the most that C x changes by, in L2 norm, when the contributions of one
// client, each of norm at most 1, become zero; rounded up. See [Run.Sensitivity] for what
// the integer construction adds.
func (m Mechanism) Sensitivity() float64 { return up(math.Sqrt(m.squared)) }

// Error is the standard deviation of the noise in one coordinate of a prefix sum, as a
// multiple of sigma: of the worst prefix sum, or the root of the mean square of all.
// Mechanisms compare by Error times Sensitivity: the noise per coordinate at noise over
// sensitivity 1 and contributions of norm 1. It is NaN for no criterion.
func (m Mechanism) Error(by Criterion) float64 {
	if by.String() == "" || m.squared == 0 {
		return math.NaN()
	}
	return math.Sqrt(m.errors[by-1])
}

// Vectors is the number of vectors of int64 that the state of the noise takes.
func (m Mechanism) Vectors() int {
	switch m.p.Family {
	case Tree:
		return bits.Len(uint(m.p.Participation.Steps))
	case BandMF:
		return m.p.Bands - 1
	case BLT:
		return m.p.Buffers
	}
	return 0
}

func up(x float64) float64 { return math.Nextafter(x, math.Inf(1)) }
