package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/coordinator/robust"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/internal/parallel"
	"github.com/choir-fl/choir/secagg/field"
)

// robustSchema names the JSON document's version.
const robustSchema = "choir.robust/1"

// errRobust is a command line that does not say what to do.
var errRobust = fault.New(fault.Usage, "choir/robust", "the rule cannot be applied", "see choir robust apply --help and choir robust list")

func newRobustCommand() *cobra.Command {
	return newGroupCommand("robust", "Apply robust aggregation rules to vectors in a file, or list them", newRobustApplyCommand(), newRobustListCommand())
}

// application is what choir robust apply is asked for.
type application struct {
	spec       robust.Spec
	parameters []string
	in         string
	seed       uint64
	times      int
	asJSON     bool
}

func newRobustApplyCommand() *cobra.Command {
	var a application
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Combine the vectors in a file by a robust rule",
		Long: `Combine the vectors in a file by the rule that a plan names under aggregation.rule. The
file is CSV with a vector on each line, or a two-dimensional array of float32 or
float64 as NumPy saves it (.npy) with a vector in each row; which, is found from what
it begins with.

Rules and their parameters: choir robust list. These parameters name files of the same
kinds: root, the trusted update of fltrust; reference, the result of the round before
for centered-clipping; past, the sums of earlier rounds for foolsgold.

bucketing draws, and dnc with a subsample. They do so from --seed, to be repeatable;
the coordinator of a run draws coins that nobody can foresee.

weights are such that the result is their sum of the vectors, beside the part of root or
reference that is carried; rules by coordinates have none. excluded are the vectors, from
0, that have no part in the result.

Exit code 0: done; 2: the command line or a file is wrong; 3: refused, because rule,
parameters or numbers of vectors are not ones that the rule can be applied to.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range []string{"rule", "f", "in"} {
				if !cmd.Flags().Changed(name) {
					return errRobust.At("%s: --%s", called(cmd), name).Because(errors.New("it must be stated"))
				}
			}
			if a.times < 0 {
				return errRobust.At("--time %d", a.times)
			}
			doc, err := until(cmd.Context(), a.run)
			if err != nil {
				return err
			}
			for _, name := range append([]string{a.spec.Rule}, a.spec.Pre...) {
				if w := warning(name); w != "" {
					fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s: %s\n", name, w)
				}
			}
			if a.asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(doc)
			}
			return doc.writeText(cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&a.spec.Rule, "rule", "", "rule that combines the vectors")
	flags.IntVar(&a.spec.F, "f", 0, "number of Byzantine vectors to withstand among those in the file")
	flags.StringSliceVar(&a.spec.Pre, "pre", nil, "pre-aggregators in the order in which they are applied, such as clip:2,nnm")
	flags.StringArrayVar(&a.parameters, "param", nil, "a parameter of the rule as key=value; may be repeated")
	flags.StringVar(&a.spec.Compat, "compat", "", "conventions of another library: byzfl or flower")
	flags.StringVar(&a.in, "in", "", "file of vectors, CSV or NPY")
	flags.Uint64Var(&a.seed, "seed", 1, "seed of what rules draw")
	flags.IntVar(&a.times, "time", 0, "number of times to apply the rule, to state the least of their times in seconds; 0: once, and state none")
	flags.BoolVar(&a.asJSON, "json", false, "print one JSON document ("+robustSchema+") on standard output")
	completeWith(cmd, "rule", names(robust.Rules())...)
	completeWith(cmd, "pre", names(robust.Preaggregators())...)
	completeWith(cmd, "compat", "byzfl", "flower")
	return cmd
}

func names(infos []robust.Info) (out []string) {
	for _, info := range infos {
		out = append(out, info.Name)
	}
	return out
}

// warning is what is to be said about a rule or pre-aggregator.
func warning(name string) string {
	name, _, _ = strings.Cut(name, ":")
	for _, info := range slices.Concat(robust.Rules(), robust.ByClients(), robust.Preaggregators()) {
		if info.Name == name {
			return info.Warning
		}
	}
	return ""
}

// robustDocument is the JSON document of choir robust apply. Fields are added, never changed.
type robustDocument struct {
	Schema   string    `json:"schema"`
	Result   []float64 `json:"result"`
	Weights  []float64 `json:"weights"`  // null for rules by coordinates
	Excluded []int     `json:"excluded"` // never null
	// Carried is the weight of root or reference.
	Carried float64 `json:"carried,omitempty"`
	// Seconds is the least time that the rule took, where it was asked for.
	Seconds float64 `json:"seconds,omitempty"`
}

// run reads the files and applies the rule.
func (a application) run() (robustDocument, error) {
	var none robustDocument
	spec, files, err := a.parse()
	if err != nil {
		return none, err
	}
	rule, err := spec.Check()
	if err != nil {
		return none, err
	}
	in := robust.Input{Each: parallel.Workers(runtime.GOMAXPROCS(0))}
	if in.Vectors, err = openVectors(a.in); err != nil {
		return none, err
	}
	if err := rule.Admits(in.Vectors.Len()); err != nil {
		return none, err
	}
	for _, file := range files {
		if err := file.read(&in); err != nil {
			return none, err
		}
	}
	doc := robustDocument{Schema: robustSchema, Result: make([]float64, in.Vectors.Dim())}
	for i := range max(a.times, 1) {
		in.Coins = field.NewStream(sha256.Sum256(binary.LittleEndian.AppendUint64([]byte("choir robust apply"), a.seed)))
		began := time.Now()
		out, err := rule.Combine(doc.Result, in)
		if err != nil && fault.ClassOf(err) != fault.Refused { // an input that is missing or does not fit
			err = errRobust.At("--rule %s", spec.Rule).Because(err)
		}
		if err != nil {
			return none, err
		}
		if took := time.Since(began).Seconds(); a.times > 0 && (i == 0 || took < doc.Seconds) {
			doc.Seconds = took
		}
		doc.Weights, doc.Carried, doc.Excluded = out.Weights, out.Carried, append([]int{}, out.Excluded...)
	}
	return doc, nil
}

// fileParameter is a parameter of a rule that names a file.
type fileParameter struct {
	key, path string
	read      func(*robust.Input) error
}

// parse reads the parameters, and takes those out that name files.
func (a application) parse() (robust.Spec, []fileParameter, error) {
	spec := a.spec
	spec.Parameters = map[string]string{}
	var files []fileParameter
	for _, p := range a.parameters {
		key, value, ok := strings.Cut(p, "=")
		if !ok || key == "" || value == "" {
			return spec, nil, errRobust.At("--param %s", p).Because(errors.New("key=value is wanted"))
		}
		if _, twice := spec.Parameters[key]; twice || slices.ContainsFunc(files, func(f fileParameter) bool { return f.key == key }) {
			return spec, nil, errRobust.At("--param %s", p).Because(errors.New("it is given twice"))
		}
		if read := fileOf(spec.Rule, key, value); read != nil {
			files = append(files, fileParameter{key, value, read})
			continue
		}
		spec.Parameters[key] = value // also one of another rule: the check refuses it
	}
	return spec, files, nil
}

// fileOf returns what reads the file that a parameter names, nil for any other parameter.
func fileOf(rule, key, path string) func(*robust.Input) error {
	switch rule + " " + key {
	case "fltrust root":
		return func(in *robust.Input) (err error) {
			in.Root, err = openOne(path, in.Vectors.Dim())
			return err
		}
	case "centered-clipping reference":
		return func(in *robust.Input) (err error) {
			in.Reference, err = openOne(path, in.Vectors.Dim())
			return err
		}
	case "foolsgold past":
		return func(in *robust.Input) error {
			past, err := openVectors(path)
			in.Past = &past
			return err
		}
	}
	return nil
}

// openOne reads the one vector of a file, of d values.
func openOne(path string, d int) ([]float64, error) {
	v, err := openVectors(path)
	if err != nil {
		return nil, err
	}
	if v.Len() != 1 || v.Dim() != d {
		return nil, errVectors.At("%s", path).Because(fmt.Errorf("it has %d vectors of %d values, one of %d is wanted", v.Len(), v.Dim(), d))
	}
	one := make([]float64, d)
	_, err = robust.Mean{}.Combine(one, robust.Input{Vectors: v})
	return one, err
}

// writeText prints the document: what became of the vectors, and the result as a line
// of CSV.
func (d robustDocument) writeText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if d.Weights != nil {
		fmt.Fprintf(t, "weights\t%s\n", joinedNumbers(d.Weights))
	} else {
		fmt.Fprint(t, "weights\tnone: the rule chooses anew at each coordinate\n")
	}
	excluded := strings.Join(strings.Fields(strings.Trim(fmt.Sprint(d.Excluded), "[]")), ",")
	fmt.Fprintf(t, "excluded\t%s\n", cmp.Or(excluded, "none"))
	if d.Carried != 0 {
		fmt.Fprintf(t, "carried\t%s\n", joinedNumbers([]float64{d.Carried}))
	}
	if d.Seconds != 0 {
		fmt.Fprintf(t, "seconds\t%.6g\n", d.Seconds)
	}
	fmt.Fprintf(t, "result\t%s\n", joinedNumbers(d.Result))
	return t.Flush()
}

// joinedNumbers writes numbers with all their digits.
func joinedNumbers(values []float64) string {
	var b []byte
	for i, x := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, x, 'g', -1, 64)
	}
	return string(b)
}

func newRobustListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List rules and pre-aggregators: what they see, withstand, need and cost, and their parameters",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := cmd.OutOrStdout()
			fmt.Fprint(w, `n vectors of length d, of which f may be Byzantine. bulyan chooses vectors first, by
distances, and then values at each coordinate. rfa is for plans:
clients apply it to their own updates.

`)
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			listRules(t, "rule", append(robust.Rules(), robust.ByClients()...))
			fmt.Fprintln(t)
			listRules(t, "pre-aggregator", robust.Preaggregators())
			if err := t.Flush(); err != nil {
				return err
			}
			listParameters(t)
			if err := t.Flush(); err != nil {
				return err
			}
			fmt.Fprintln(w)
			for _, info := range slices.Concat(robust.Rules(), robust.ByClients(), robust.Preaggregators()) {
				if info.Warning != "" {
					fmt.Fprintf(w, "warning: %s: %s\n", info.Name, info.Warning)
				}
			}
			return nil
		},
	}
}

// listRules writes a table of rules.
func listRules(t io.Writer, what string, infos []robust.Info) {
	fmt.Fprintf(t, "%s\tview\tbreakdown\tprecondition\tcost\tchooses by\n", what)
	for _, info := range infos {
		var by []string
		if info.Distances {
			by = append(by, "distances")
		}
		if info.Coordinates {
			by = append(by, "coordinates")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", info.Name, info.View, info.Breakdown, info.Precondition, info.Cost, cmp.Or(strings.Join(by, ", "), "-"))
	}
}

// listParameters writes a table of all parameters.
func listParameters(t io.Writer) {
	fmt.Fprint(t, "\nparameter of\tname\tdefault\tunder byzfl\trange\tmeaning\n")
	for _, info := range slices.Concat(robust.Rules(), robust.ByClients(), robust.Preaggregators()) {
		for _, p := range info.Parameters {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", info.Name, p.Name, cmp.Or(p.Default, "none"), cmp.Or(p.ByzFL, "same"), p.Range, p.Meaning)
		}
	}
}
