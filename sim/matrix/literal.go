package matrix

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/internal/strictyaml"
)

// Schema is the version of the matrix file.
const Schema = "choir.matrix/1"

// Refusals.
var (
	// ErrSyntax is a file that cannot be read as a matrix.
	ErrSyntax = fault.New(fault.Usage, "matrix/syntax", "matrix cannot be read", "correct the file")
	// ErrMatrix is a matrix that is read and makes no sense.
	ErrMatrix = fault.New(fault.Usage, "matrix/contradiction", "matrix is refused", "correct the file")
)

const (
	maxList  = 4096 // items of a list
	maxCount = 1 << 30
	maxCells = 1 << 20
)

// Strength is how many bad vectors a rule is to withstand, or AsByzantine.
type Strength int

// AsByzantine as a defence's F stands for the number of clients that attack in the cell.
const AsByzantine = -1

// Literal is a matrix as written; see the package comment.
type Literal struct {
	Schema string `yaml:"schema"`
	Name   string `yaml:"name"`
	// PlanFile names the base plan, relative to the matrix. Whoever loads the matrix
	// reads it into Plan, which Parse fills in only from a section of the file.
	PlanFile   string
	Plan       *plan.Literal
	Data       string    `yaml:"data"`
	Clients    int       `yaml:"clients"`
	Fidelity   string    `yaml:"fidelity"`
	Defences   []Defence `yaml:"defences"`
	Attacks    []string  `yaml:"attacks"`
	Partitions []string  `yaml:"partitions"`
	Byzantine  []float64 `yaml:"byzantine"`
	Seeds      []uint64  `yaml:"seeds"`
	Last       int       `yaml:"last"`
}

// Defence is a way of combining updates: what it changes in the base plan.
type Defence struct {
	Name       string            `json:"name" yaml:"name"`
	Rule       string            `json:"rule" yaml:"rule"`
	F          Strength          `json:"f" yaml:"f"` // AsByzantine: -1
	Pre        []string          `json:"pre,omitempty" yaml:"pre"`
	Parameters map[string]string `json:"parameters,omitempty" yaml:"parameters"`
	Compat     string            `json:"compat,omitempty" yaml:"compat"`
	// The rest stays as in the plan where it is nil or empty.
	WorkerMomentum *float64      `json:"worker_momentum,omitempty" yaml:"worker_momentum"`
	View           string        `json:"view,omitempty" yaml:"view"`
	Buckets        *plan.Buckets `json:"buckets,omitempty" yaml:"buckets"`
	// NoiseMultiplier is the plan's privacy.noise_multiplier.
	NoiseMultiplier *float64 `json:"noise_multiplier,omitempty" yaml:"noise_multiplier"`
}

// apply changes a plan to the defence, in a cell where so many clients of a cohort may
// attack. The plan shares nothing with the defence that is ever written to.
func (d Defence) apply(l *plan.Literal, byzantine int) {
	a := &l.Aggregation
	a.Rule, a.F, a.Pre, a.Parameters, a.Compat = d.Rule, int(d.F), d.Pre, d.Parameters, d.Compat
	if d.F == AsByzantine {
		a.F = byzantine
	}
	if d.WorkerMomentum != nil {
		l.Training.WorkerMomentum = *d.WorkerMomentum
	}
	if d.View != "" {
		a.View = d.View
	}
	if d.Buckets != nil {
		a.Buckets = *d.Buckets
	}
	if d.NoiseMultiplier != nil {
		l.Privacy.NoiseMultiplier = *d.NoiseMultiplier
	}
}

// Parse reads a matrix in strict YAML (package strictyaml); an error names the line. name
// is used in errors.
func Parse(name string, in io.Reader) (Literal, error) {
	w := written{Literal: Literal{Fidelity: "full", Last: 5}}
	if err := strictyaml.Read(name, ErrSyntax, in, &w); err != nil {
		return Literal{}, err
	}
	if w.Schema != Schema {
		return Literal{}, ErrSyntax.At("%s", name).Because(fmt.Errorf("schema is %.40q, not %s", w.Schema, Schema))
	}
	w.Literal.PlanFile, w.Literal.Plan = w.Base.file, w.Base.plan
	return w.Literal, nil
}

// written is a matrix in its file.
type written struct {
	Literal `yaml:",inline"`
	Base    base `yaml:"plan"`
}

// base is the base plan: the name of a file, or a section.
type base struct {
	file string
	plan *plan.Literal
}

// ReadYAML implements strictyaml.Custom.
func (b *base) ReadYAML(v strictyaml.Value) error {
	if !v.Section() {
		return v.Into(&b.file)
	}
	return v.Into(&b.plan)
}

// ReadYAML implements strictyaml.Custom.
func (s *Strength) ReadYAML(v strictyaml.Value) error {
	if v.Word() == "byzantine" {
		*s = AsByzantine
		return nil
	}
	if err := v.Into((*int)(s)); err != nil {
		return err
	}
	if *s < 0 {
		return v.Refuse("%d is negative", *s)
	}
	return nil
}

// String says what a defence is, in the words of a plan.
func (d Defence) String() string {
	out := strings.Join(append(append([]string{}, d.Pre...), d.Rule), " + ")
	switch {
	case d.F == AsByzantine:
		out += ", f as many as attack"
	case d.F > 0:
		out += fmt.Sprintf(", f %d", d.F)
	}
	for _, k := range slices.Sorted(maps.Keys(d.Parameters)) {
		out += fmt.Sprintf(", %s %s", k, d.Parameters[k])
	}
	if d.Compat != "" {
		out += ", as " + d.Compat
	}
	if d.WorkerMomentum != nil {
		out += fmt.Sprintf(", worker momentum %g", *d.WorkerMomentum)
	}
	if d.View != "" {
		out += ", view " + d.View
	}
	if d.Buckets != nil {
		out += fmt.Sprintf(", buckets of %d, at least %d", d.Buckets.Size, d.Buckets.Minimum)
	}
	if d.NoiseMultiplier != nil {
		out += fmt.Sprintf(", noise multiplier %g", *d.NoiseMultiplier)
	}
	return out
}
