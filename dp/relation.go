package dp

// Unit is whose data a guarantee protects.
type Unit uint8

const (
	// UnitClient protects all records of one client together. It is the only unit
	// that a coordinator can enforce.
	UnitClient Unit = 1
	// UnitExample protects one record on one client; only the client can vouch for it.
	UnitExample Unit = 2
)

// Relation says which two data sets are neighbours.
type Relation uint8

const (
	// ZeroOut: the contribution of one client becomes zero; population, cohort and
	// denominators stay as they are. A clipped sum changes by at most C.
	ZeroOut Relation = 1
	// AddRemove: one client is there or not. A clipped sum changes by at most C;
	// denominators must not depend on the data.
	AddRemove Relation = 2
	// ReplaceOne: the contribution of one client becomes any other. A clipped sum
	// changes by at most 2C.
	ReplaceOne Relation = 3
)

// Mechanism is a law of noise that is added to a sum.
type Mechanism uint8

const (
	// Gaussian is the continuous normal law.
	Gaussian Mechanism = 1
	// DiscreteGaussian is the normal law restricted to the integers (Canonne, Kamath
	// and Steinke 2020).
	DiscreteGaussian Mechanism = 2
	// Skellam is the difference of two equal Poisson variables.
	Skellam Mechanism = 3
	// Laplace is the two-sided exponential law; its sensitivity is in the L1 norm.
	Laplace Mechanism = 4
)

// SamplingMode is how the cohort of a round was drawn.
type SamplingMode uint8

const (
	// SamplingNone claims nothing: no amplification.
	SamplingNone SamplingMode = 1
	// SamplingPoisson: each client by its own secret coin, at the same rate.
	SamplingPoisson SamplingMode = 2
	// SamplingFixed: a secret uniform subset of a fixed size.
	SamplingFixed SamplingMode = 3
	// SamplingTruncatedPoisson: as SamplingPoisson, and of a cohort above the capacity
	// a secret uniform subset of that size.
	SamplingTruncatedPoisson SamplingMode = 4
)

var (
	unitNames      = []string{"", "client", "example"}
	relationNames  = []string{"", "zero-out", "add-remove", "replace-one"}
	mechanismNames = []string{"", "gaussian", "dgauss", "skellam", "laplace"}
	samplingNames  = []string{"", "none", "poisson", "fixed", "truncated-poisson"}
)

func nameOf(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return ""
}

func numberOf(names []string, name string) (uint8, bool) {
	for i := 1; i < len(names); i++ {
		if names[i] == name {
			return uint8(i), true
		}
	}
	return 0, false
}

// String returns the name used in plans, "" if u is none of the units.
func (u Unit) String() string { return nameOf(unitNames, uint8(u)) }

// String returns the name used in plans, "" if r is none of the relations.
func (r Relation) String() string { return nameOf(relationNames, uint8(r)) }

// String returns the name used in plans, "" if m is none of the mechanisms.
func (m Mechanism) String() string { return nameOf(mechanismNames, uint8(m)) }

// String returns the name used in plans, "" if m is none of the modes.
func (m SamplingMode) String() string { return nameOf(samplingNames, uint8(m)) }

// ParseUnit returns the unit of a name, or ErrName.
func ParseUnit(name string) (Unit, error) {
	i, ok := numberOf(unitNames, name)
	if !ok {
		return 0, ErrName.At("unit %q", name)
	}
	return Unit(i), nil
}

// ParseRelation returns the relation of a name, or ErrName.
func ParseRelation(name string) (Relation, error) {
	i, ok := numberOf(relationNames, name)
	if !ok {
		return 0, ErrName.At("relation %q", name)
	}
	return Relation(i), nil
}

// ParseMechanism returns the mechanism of a name, or ErrName.
func ParseMechanism(name string) (Mechanism, error) {
	i, ok := numberOf(mechanismNames, name)
	if !ok {
		return 0, ErrName.At("mechanism %q", name)
	}
	return Mechanism(i), nil
}

// ParseSamplingMode returns the mode of a name, or ErrName.
func ParseSamplingMode(name string) (SamplingMode, error) {
	i, ok := numberOf(samplingNames, name)
	if !ok {
		return 0, ErrName.At("sampling %q", name)
	}
	return SamplingMode(i), nil
}
