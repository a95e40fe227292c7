package datacheck

import (
	"math"
	"slices"

	"github.com/choir-fl/choir/fault"
)

// ErrRules is what New refuses.
var ErrRules = fault.New(fault.Usage, "datacheck/rules", "these rules for data contradict themselves or are out of range", "correct the rules")

// Mode says what becomes of what a check finds.
type Mode string

// The modes. The empty one is ModeOff.
const (
	ModeOff    Mode = "off"    // the check is not made
	ModeReport Mode = "report" // count, and change nothing
	ModeRepair Mode = "repair" // leave the examples out, or clamp their values where a column says so
	ModeRefuse Mode = "refuse" // an error: no training
)

// Kind is what the values of a column are.
type Kind string

// The kinds. The empty one is Real.
const (
	Real   Kind = "real"
	Whole  Kind = "whole"  // without a fraction
	Binary Kind = "binary" // 0 or 1
)

// Column says what the features First to Last, from 0, are.
type Column struct {
	First int  `yaml:"first"`
	Last  int  `yaml:"last"`
	Kind  Kind `yaml:"kind"` // for the schema check
	// Min and Max are the range, ends included, as float32; both 0: none.
	Min float64 `yaml:"min"`
	Max float64 `yaml:"max"`
	// Clamp moves a finite value outside the range to its nearest end, where range is
	// repaired, instead of leaving its example out.
	Clamp bool `yaml:"clamp"`
}

// ranged reports whether the column has a range.
func (c Column) ranged() bool { return c.Min != 0 || c.Max != 0 }

// outside reports whether v is not in the range; NaN is in none.
func (c Column) outside(v float32) bool {
	return c.ranged() && !(v >= float32(c.Min) && v <= float32(c.Max))
}

// fits reports whether v is of the column's kind. A value that is not finite is a
// matter of another check.
func (c Column) fits(v float32) bool {
	switch x := float64(v); {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return true
	case c.Kind == Whole:
		return x == math.Trunc(x)
	case c.Kind == Binary:
		return x == 0 || x == 1
	}
	return true
}

// Duplicates is the check for examples that occur again. The first of equals is no
// duplicate.
type Duplicates struct {
	Mode Mode `yaml:"mode"`
	// Tolerate is the share of the examples, in [0,1), that may be duplicates under ModeRefuse.
	Tolerate float64 `yaml:"tolerate"`
	// Grid rounds features to its multiples before they are compared, so that examples
	// whose features are nearly equal count as equal; two that lie close to each other on
	// both sides of a boundary do not. 0: exact.
	Grid float64 `yaml:"grid"`
}

// Balance is the check of how examples spread over the classes, under ModeRefuse or ModeReport.
type Balance struct {
	Mode           Mode    `yaml:"mode"`
	LargestShare   float64 `yaml:"largest_share"`    // most that the largest class may have of all examples, in (0,1); 0: any
	FewestClasses  int     `yaml:"fewest_classes"`   // fewest classes with examples; 0: any
	FewestPerClass int     `yaml:"fewest_per_class"` // fewest examples of each class that has any; 0: any
}

// Losses is the check for examples that the model finds hard to believe.
type Losses struct {
	Mode Mode `yaml:"mode"`
	// Tolerate is the share of the examples, in [0,1), that may be above under ModeRefuse.
	Tolerate float64 `yaml:"tolerate"`
	// K is how many median absolute deviations above the median a loss may be; positive.
	// With losses of a normal distribution, 1.4826 are a standard deviation.
	K float64 `yaml:"k"`
	// Floor is a loss that is never too high; 0: none. ln(classes), the loss of a guess,
	// is one for cross-entropy.
	Floor float64 `yaml:"floor"`
	// FromRound is the first round whose model is good enough to judge by; 0 and 1: all.
	FromRound int `yaml:"from_round"`
}

// Rules says what data should be and what becomes of those that are not. The zero Rules
// check nothing.
type Rules struct {
	Features int      `yaml:"features"` // of each example; 0: those of the first one
	Classes  int      `yaml:"classes"`  // labels are 0 to Classes-1; 0: unknown
	Columns  []Column `yaml:"columns"`  // without overlap; features that none names are any number

	Schema     Mode       `yaml:"schema"`
	Finite     Mode       `yaml:"finite"`
	Range      Mode       `yaml:"range"`
	Labels     Mode       `yaml:"labels"`
	Duplicates Duplicates `yaml:"duplicates"`
	Balance    Balance    `yaml:"balance"`
	Losses     Losses     `yaml:"losses"`

	// MaxLeftOut is the share of a table's examples, in [0,1), that may be left out by
	// repairs together; more are an error. 0: any, but not all.
	MaxLeftOut float64 `yaml:"max_left_out"`
}

// Most that rules may state.
const (
	MaxFeatures = 1 << 28
	MaxClasses  = 1 << 16
)

// Checks are rules that were checked. It is immutable and safe for concurrent use; the
// zero Checks check nothing.
type Checks struct{ rules Rules }

// New checks rules. It refuses, with ErrRules, what is out of its range or no number,
// columns that overlap or lie beyond Features, and settings of a check that is off: who
// states a range expects somebody to look at it.
func New(r Rules) (Checks, error) {
	r.Columns = slices.Clone(r.Columns)
	slices.SortFunc(r.Columns, func(a, b Column) int { return a.First - b.First })
	for _, m := range []struct {
		name string
		mode *Mode
	}{{"schema", &r.Schema}, {"finite", &r.Finite}, {"range", &r.Range}, {"labels", &r.Labels},
		{"duplicates", &r.Duplicates.Mode}, {"balance", &r.Balance.Mode}, {"losses", &r.Losses.Mode}} {
		switch *m.mode {
		case "":
			*m.mode = ModeOff
		case ModeOff, ModeReport, ModeRepair, ModeRefuse:
		default:
			return Checks{}, ErrRules.At("%s: mode %.20q; known: off, report, repair, refuse", m.name, *m.mode)
		}
	}
	for _, check := range []func(Rules) error{checkSizes, checkColumns, checkDuplicates, checkBalance, checkLosses} {
		if err := check(r); err != nil {
			return Checks{}, err
		}
	}
	return Checks{r}, nil
}

// share reports whether x is in [0,1).
func share(x float64) bool { return x >= 0 && x < 1 }

func checkSizes(r Rules) error {
	switch {
	case r.Features < 0 || r.Features > MaxFeatures:
		return ErrRules.At("features: %d is not between 0 and %d", r.Features, MaxFeatures)
	case r.Classes < 0 || r.Classes > MaxClasses:
		return ErrRules.At("classes: %d is not between 0 and %d", r.Classes, MaxClasses)
	case r.Schema != ModeOff && r.Features == 0:
		return ErrRules.At("schema: it needs the number of features")
	case r.Labels != ModeOff && r.Classes == 0:
		return ErrRules.At("labels: it needs the number of classes")
	case !share(r.MaxLeftOut):
		return ErrRules.At("max_left_out: %v is not in [0,1)", r.MaxLeftOut)
	}
	return nil
}

func checkColumns(r Rules) error {
	kinds, ranges := false, false
	for i, c := range r.Columns {
		lo, hi := float32(c.Min), float32(c.Max)
		switch {
		case c.First < 0 || c.Last < c.First || c.Last >= r.Features:
			return ErrRules.At("columns: %d to %d are not among %d features", c.First, c.Last, r.Features)
		case i > 0 && c.First <= r.Columns[i-1].Last:
			return ErrRules.At("columns: feature %d is in two of them", c.First)
		case c.Kind != "" && c.Kind != Real && c.Kind != Whole && c.Kind != Binary:
			return ErrRules.At("columns: kind %.20q; known: real, whole, binary", c.Kind)
		case c.ranged() && !(math.Abs(c.Min) <= math.MaxFloat32 && math.Abs(c.Max) <= math.MaxFloat32 && lo <= hi): // NaN fails
			return ErrRules.At("columns: %v to %v is no range", c.Min, c.Max)
		case c.Clamp && !(c.ranged() && r.Range == ModeRepair):
			return ErrRules.At("columns: clamp needs a range that is repaired")
		case c.Clamp && !(c.fits(lo) && c.fits(hi)):
			return ErrRules.At("columns: clamp to %v or %v makes values that are not %s", c.Min, c.Max, c.Kind)
		}
		kinds = kinds || c.Kind == Whole || c.Kind == Binary
		ranges = ranges || c.ranged()
	}
	switch {
	case kinds && r.Schema == ModeOff:
		return ErrRules.At("schema: it is off, and columns have kinds")
	case ranges && r.Range == ModeOff:
		return ErrRules.At("range: it is off, and columns have ranges")
	case !ranges && r.Range != ModeOff:
		return ErrRules.At("range: no column has one")
	}
	return nil
}

func checkDuplicates(r Rules) error {
	d := r.Duplicates
	switch {
	case d.Grid != 0 && !(d.Grid >= math.SmallestNonzeroFloat32 && d.Grid <= math.MaxFloat32): // quotients by it are finite
		return ErrRules.At("duplicates: grid %v is no positive float32", d.Grid)
	case !share(d.Tolerate) || d.Tolerate > 0 && d.Mode != ModeRefuse:
		return ErrRules.At("duplicates: tolerate %v is not in [0,1), or nothing is refused", d.Tolerate)
	case d.Grid > 0 && d.Mode == ModeOff:
		return ErrRules.At("duplicates: they are off, and have a grid")
	}
	return nil
}

func checkBalance(r Rules) error {
	b := r.Balance
	bounds := b.LargestShare != 0 || b.FewestClasses != 0 || b.FewestPerClass != 0
	switch {
	case !share(b.LargestShare):
		return ErrRules.At("balance: largest_share %v is not in [0,1)", b.LargestShare)
	case b.FewestClasses < 0 || b.FewestClasses > r.Classes:
		return ErrRules.At("balance: fewest_classes %d is not between 0 and %d classes", b.FewestClasses, r.Classes)
	case b.FewestPerClass < 0:
		return ErrRules.At("balance: fewest_per_class %d is negative", b.FewestPerClass)
	case b.Mode == ModeRepair:
		return ErrRules.At("balance: it cannot be repaired, as no example is at fault")
	case b.Mode != ModeOff && r.Classes == 0:
		return ErrRules.At("balance: it needs the number of classes")
	case bounds != (b.Mode != ModeOff):
		return ErrRules.At("balance: it is off and has bounds, or is not and has none")
	}
	return nil
}

func checkLosses(r Rules) error {
	l := r.Losses
	switch {
	case l.Mode == ModeOff && l != (Losses{Mode: ModeOff}):
		return ErrRules.At("losses: they are off, and something about them is stated")
	case l.Mode != ModeOff && !(l.K > 0 && l.K <= math.MaxFloat32):
		return ErrRules.At("losses: k %v is not positive", l.K)
	case !(l.Floor >= 0 && l.Floor <= math.MaxFloat32):
		return ErrRules.At("losses: floor %v is negative or no number", l.Floor)
	case l.FromRound < 0 || int64(l.FromRound) > math.MaxUint32:
		return ErrRules.At("losses: from_round %d is no round", l.FromRound)
	case !share(l.Tolerate) || l.Tolerate > 0 && l.Mode != ModeRefuse:
		return ErrRules.At("losses: tolerate %v is not in [0,1), or nothing is refused", l.Tolerate)
	}
	return nil
}
