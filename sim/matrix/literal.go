package matrix

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/fault"
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
	maxMatrix = 1 << 20 // bytes of a file
	maxList   = 4096    // items of a list
	maxCount  = 1 << 30
	maxCells  = 1 << 20
)

// AsByzantine as a defence's F stands for the number of clients that attack in the cell.
const AsByzantine = -1

// Literal is a matrix as written; see the package comment.
type Literal struct {
	Schema string
	Name   string
	// PlanFile names the base plan, relative to the matrix. Whoever loads the matrix
	// reads it into Plan, which Parse fills in only from a section of the file.
	PlanFile   string
	Plan       *plan.Literal
	Data       string
	Clients    int
	Fidelity   string
	Defences   []Defence
	Attacks    []string
	Partitions []string
	Byzantine  []float64
	Seeds      []uint64
	Last       int
}

// Defence is a way of combining updates: what it changes in the base plan.
type Defence struct {
	Name       string            `json:"name"`
	Rule       string            `json:"rule"`
	F          int               `json:"f"` // AsByzantine: -1
	Pre        []string          `json:"pre,omitempty"`
	Parameters map[string]string `json:"parameters,omitempty"`
	Compat     string            `json:"compat,omitempty"`
	// The rest stays as in the plan where it is nil or empty.
	WorkerMomentum *float64      `json:"worker_momentum,omitempty"`
	View           string        `json:"view,omitempty"`
	Buckets        *plan.Buckets `json:"buckets,omitempty"`
	// NoiseMultiplier is the plan's privacy.noise_multiplier.
	NoiseMultiplier *float64 `json:"noise_multiplier,omitempty"`
}

// apply changes a plan to the defence, in a cell where so many clients of a cohort may
// attack. The plan shares nothing with the defence that is ever written to.
func (d Defence) apply(l *plan.Literal, byzantine int) {
	a := &l.Aggregation
	a.Rule, a.F, a.Pre, a.Parameters, a.Compat = d.Rule, d.F, d.Pre, d.Parameters, d.Compat
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

// Parse reads a matrix in strict YAML; an error names the line. name is used in errors.
func Parse(name string, in io.Reader) (Literal, error) {
	b, err := io.ReadAll(io.LimitReader(in, maxMatrix+1))
	if err != nil {
		return Literal{}, ErrSyntax.At("%s", name).Because(err)
	}
	// The lexer takes time with the square of the tabs.
	if len(b) > maxMatrix || !utf8.Valid(b) || bytes.Count(b, []byte{'\t'}) > 256 {
		return Literal{}, ErrSyntax.At("%s", name).Because(fmt.Errorf("longer than %d bytes, not UTF-8, or more than 256 tabs", maxMatrix))
	}
	r := reader{name, string(b)}
	body, err := r.body()
	if err != nil {
		return Literal{}, err
	}
	l := Literal{Fidelity: "full", Last: 5}
	err = r.keys(body, "", map[string]func(string, ast.Node) error{
		"schema": r.text(&l.Schema), "name": r.text(&l.Name), "data": r.text(&l.Data), "clients": r.count(&l.Clients),
		"fidelity": r.text(&l.Fidelity), "attacks": r.texts(&l.Attacks), "partitions": r.texts(&l.Partitions), "last": r.count(&l.Last),
		"plan": func(where string, n ast.Node) error { return r.plan(&l, body, where, n) },
		"defences": func(where string, n ast.Node) error {
			return r.list(n, where, func(where string, n ast.Node) error {
				l.Defences = append(l.Defences, Defence{})
				return r.defence(&l.Defences[len(l.Defences)-1], where, n)
			})
		},
		"byzantine": func(where string, n ast.Node) error {
			return r.list(n, where, func(where string, n ast.Node) error {
				l.Byzantine = append(l.Byzantine, 0)
				return r.number(&l.Byzantine[len(l.Byzantine)-1])(where, n)
			})
		},
		"seeds": func(where string, n ast.Node) error {
			return r.list(n, where, func(where string, n ast.Node) error {
				l.Seeds = append(l.Seeds, 0)
				return r.seed(&l.Seeds[len(l.Seeds)-1])(where, n)
			})
		},
	})
	if err != nil {
		return Literal{}, err
	}
	if l.Schema != Schema {
		return Literal{}, r.refuse(1, "schema is %.40q, not %s", l.Schema, Schema)
	}
	return l, nil
}

func (r reader) defence(d *Defence, where string, n ast.Node) error {
	return r.keys(n, where, map[string]func(string, ast.Node) error{
		"name": r.text(&d.Name), "rule": r.text(&d.Rule), "pre": r.texts(&d.Pre), "compat": r.text(&d.Compat), "view": r.text(&d.View),
		"f": func(where string, n ast.Node) error {
			if bare(n) == "byzantine" {
				d.F = AsByzantine
				return nil
			}
			return r.count(&d.F)(where, n)
		},
		"worker_momentum": func(where string, n ast.Node) error {
			d.WorkerMomentum = new(float64)
			return r.number(d.WorkerMomentum)(where, n)
		},
		"noise_multiplier": func(where string, n ast.Node) error {
			d.NoiseMultiplier = new(float64)
			return r.number(d.NoiseMultiplier)(where, n)
		},
		"buckets": func(where string, n ast.Node) error {
			d.Buckets = &plan.Buckets{}
			return r.keys(n, where, map[string]func(string, ast.Node) error{"size": r.count(&d.Buckets.Size), "minimum": r.count(&d.Buckets.Minimum)})
		},
		"parameters": func(where string, n ast.Node) error {
			m, ok := n.(*ast.MappingNode)
			if !ok {
				return r.refuse(lineOf(n), "%s is not a list of keys and values", where)
			}
			d.Parameters = map[string]string{}
			for _, entry := range m.Values {
				key, value := entry.Key.GetToken().Value, bare(entry.Value)
				if s, ok := entry.Value.(*ast.StringNode); ok {
					value = s.Value
				}
				if _, twice := d.Parameters[key]; twice || value == "" {
					return r.refuse(lineOf(entry.Key), "%s.%.40s stands twice, or is neither a word nor a number", where, key)
				}
				d.Parameters[key] = value
			}
			return nil
		},
	})
}

// plan reads the base plan: the name of a file, or a section. The section is handed to
// package plan at the lines where it stands, so that errors name those.
func (r reader) plan(l *Literal, body *ast.MappingNode, where string, n ast.Node) error {
	section, ok := n.(*ast.MappingNode)
	if !ok {
		return r.text(&l.PlanFile)(where, n)
	}
	if section.IsFlowStyle || len(section.Values) == 0 {
		return r.refuse(lineOf(n), "plan in brackets: write it as an indented section, or name a file")
	}
	lines := strings.Split(r.source, "\n")
	first := section.Values[0].Key.GetToken().Position
	end := len(lines)
	for _, entry := range body.Values {
		if at := entry.Key.GetToken().Position.Line; at > first.Line {
			end = min(end, at-1)
		}
	}
	indent := strings.Repeat(" ", first.Column-1)
	for i := range lines[:end] {
		lines[i] = strings.TrimPrefix(lines[i], indent)
		if i < first.Line-1 {
			lines[i] = ""
		}
	}
	p, err := plan.Parse(r.name, strings.NewReader(strings.Join(lines[:end], "\n")))
	l.Plan = &p
	return err
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
