package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/sim"
	"github.com/choir-fl/choir/sim/matrix"
	"github.com/choir-fl/choir/sim/report"
)

// errCells ends a matrix of which some cells have no number: all that was asked for is
// written.
var errCells = fault.New(fault.Refused, "choir/cells", "some cells have no number", "their reasons are in the report; --keep-going takes that for success")

// matrixFlags are the flags of choir sim matrix.
type matrixFlags struct {
	out       string
	parallel  int
	keepGoing bool
	retry     bool
}

func newMatrixCommand() *cobra.Command {
	var f matrixFlags
	cmd := &cobra.Command{
		Use:   "matrix matrix.yaml",
		Short: "Compare defences under attacks: one simulation for each combination, with a heatmap",
		Long: `Run every defence of a matrix against every attack, for each partition of the data,
share of Byzantine clients and seed: one deterministic simulation each. Everything is
checked before the first one runs.

What came of each cell is appended to results.jsonl in the output directory. A run that
was interrupted goes on from there; a matrix that was changed runs what changed. At the
end the directory holds matrix.json, matrix.csv and report.html. A program that was
changed does not make old results invalid by itself: remove the file then. The report
names the builds that had a part.

Exit code 0: every cell has a number, or --keep-going was given; 2: the matrix cannot be
read; 3: cells were refused or failed.`,
		Args: countArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return runMatrix(cmd, args[0], f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.out, "out", "", "output directory (default: the name of the file with .results in place of .yaml, in the current directory)")
	fl.IntVar(&f.parallel, "parallel", 0, "number of cells that run at a time; results do not depend on it (default: one for each core)")
	fl.BoolVar(&f.keepGoing, "keep-going", false, "run the other cells when some are refused")
	fl.BoolVar(&f.retry, "retry", false, "run again the cells that were refused or failed in an earlier run")
	return cmd
}

func runMatrix(cmd *cobra.Command, path string, f matrixFlags) error {
	switch {
	case f.parallel < 0:
		return errUsage.At("--parallel %d is negative", f.parallel)
	case f.parallel == 0:
		f.parallel = runtime.GOMAXPROCS(0)
	}
	if f.out == "" {
		f.out = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) + ".results"
	}
	if err := checkReportDir(f.out); err != nil {
		return err
	}
	m, err := loadMatrix(path)
	if err != nil {
		return err
	}
	if err := m.Refusals(); err != nil && !f.keepGoing {
		return err
	}
	journal, err := matrix.OpenJournal(f.out, func(o matrix.Outcome) bool { return f.retry && o.Status != matrix.Done })
	if err != nil {
		return err
	}
	defer journal.Close()
	if err := m.Run(cmd.Context(), matrix.Running{Journal: journal, Parallel: f.parallel, Build: build(), Simulate: sim.Run,
		Progress: newMatrixProgress(cmd.ErrOrStderr()).cell}); err != nil {
		return err
	}
	r, err := m.Report(journal)
	if err != nil {
		return err
	}
	if len(r.Builds) > 1 {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: cells were run by %d builds of choir: %s\n", len(r.Builds), strings.Join(r.Builds, ", "))
	}
	if err := writeMatrix(f.out, r); err != nil {
		return err
	}
	if err := worstTable(cmd.OutOrStdout(), r); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "\n%d cells, %d with a number, %d refused, %d failed: %s\n", len(r.Cells), r.Count(matrix.Done), r.Count(matrix.Refused),
		r.Count(matrix.Failed), filepath.Join(f.out, "report.html"))
	if n := len(r.Cells) - r.Count(matrix.Done); n > 0 && !f.keepGoing {
		return errCells.At("%d of %d", n, len(r.Cells))
	}
	return nil
}

// loadMatrix reads and checks a matrix and what it names, relative to itself.
func loadMatrix(path string) (*matrix.Matrix, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, matrix.ErrSyntax.At("%s", path).Because(errors.Unwrap(err))
	}
	defer file.Close()
	lit, err := matrix.Parse(path, file)
	if err != nil {
		return nil, err
	}
	from := path // what the plan names is relative to it
	if lit.PlanFile != "" {
		from = beside(path, lit.PlanFile)
		base, err := readPlan(from)
		if err != nil {
			return nil, err
		}
		lit.Plan = &base
	}
	setup := matrix.Setup{Schemes: schemes}
	if lit.Plan != nil {
		if err := nameCommittee(lit.Plan, from); err != nil {
			return nil, err
		}
		if lit.Plan.Model.Initial != "" {
			initial, err := readInitial(*lit.Plan, from)
			if err != nil {
				return nil, err
			}
			setup.Initial = &initial
		}
	}
	data := lit.Data
	if data == "" {
		return nil, matrix.ErrMatrix.At("data: it is not embedded, full or a directory")
	}
	if data != "embedded" && data != "full" {
		data = beside(path, data)
	}
	if setup.Train, setup.Test, setup.Dataset, err = loadData(data); err != nil {
		return nil, err
	}
	setup.Deal = func(partition string, clients int, seed uint64) ([][]int, error) {
		return deal(setup.Train, partition, clients, seed)
	}
	return matrix.New(lit, setup)
}

// build names this program: its version and, where it is known, the revision it was built
// from.
func build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	return buildOf(version, info.Settings)
}

func buildOf(version string, settings []debug.BuildSetting) string {
	set := map[string]string{}
	for _, s := range settings {
		set[s.Key] = s.Value
	}
	out := version
	if r := set["vcs.revision"]; r != "" {
		out += " " + r[:min(len(r), 12)]
		if set["vcs.modified"] == "true" {
			out += " modified"
		}
	}
	return out
}

// writeMatrix writes the three documents; each file appears whole or not at all.
func writeMatrix(dir string, r matrix.Report) error {
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{{"matrix.json", r.WriteJSON}, {"matrix.csv", r.WriteCSV}, {"report.html", report.Heatmap{Report: r}.WriteHTML}} {
		var b bytes.Buffer
		if err := f.write(&b); err != nil {
			return err
		}
		if err := replaceFile(filepath.Join(dir, f.name), b.Bytes()); err != nil {
			return errReport.At("--out %s", dir).Because(err)
		}
	}
	return nil
}

// worstTable prints the worst case of each defence.
func worstTable(w io.Writer, r matrix.Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "partition\tbyzantine\tdefence\tattack-free\tworst\tdrop\tunder")
	for _, table := range r.Tables {
		for _, row := range table.Rows {
			worst, under := "-", "-"
			if row.Worst != nil {
				worst, under = number(&row.Worst.Mean), row.Worst.Attack
			} else if row.Unknown != "" {
				worst, under = "unknown", row.Unknown+" has no number"
			}
			fmt.Fprintf(t, "%s\t%g\t%s\t%s\t%s\t%s\t%s\n", table.Partition, table.Byzantine, row.Defence, number(row.AttackFree), worst, number(row.Drop), under)
		}
	}
	return t.Flush()
}

// matrixProgress prints a line for each cell that ran, with the time that is left if the
// others take as long.
type matrixProgress struct {
	w     io.Writer
	began time.Time
}

func newMatrixProgress(w io.Writer) matrixProgress { return matrixProgress{w, time.Now()} }

func (p matrixProgress) cell(o matrix.Outcome, ran, of int) {
	result := o.Status + ": " + o.Reason
	if o.Accuracy != nil {
		result = "accuracy " + number(o.Accuracy)
	}
	left := time.Since(p.began) / time.Duration(ran) * time.Duration(of-ran)
	fmt.Fprintf(p.w, "%d of %d, %s left: %s: %s\n", ran, of, left.Round(time.Second), o.Cell, strings.Join(strings.Fields(result), " "))
}
