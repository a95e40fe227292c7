package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/sim"
	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/tensor"
)

var errData = fault.New(fault.Usage, "choir/data", "data cannot be used", "see choir sim --help")

// simFlags are the flags of choir sim. A flag that was given overrides the plan.
type simFlags struct {
	clients, cohort, rounds int
	scheme, rule, dp, model string
	partition, data         string
	fidelity, report        string
	dropout                 float64
	seed                    uint64
	workers                 int
	asJSON                  bool
}

func newSimCommand() *cobra.Command {
	var f simFlags
	cmd := &cobra.Command{
		Use:   "sim [plan.yaml]",
		Short: "Simulate a run: the real coordinator, SDK and schemes in virtual time",
		Long: `Simulate a run of a plan over virtual clients, on real data, with every sum
computed by the plan's own scheme. Without a plan the built-in demonstration
runs: Fashion-MNIST over 100 clients.

A seed repeats a run exactly, measured times aside.`,
		Args: countArgs(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return runSim(cmd, args, f) },
	}
	fl := cmd.Flags()
	fl.IntVar(&f.clients, "clients", 100, "number of virtual clients")
	fl.IntVar(&f.cohort, "cohort", 0, "clients in a round (overrides the plan; its minimum keeps its share)")
	fl.IntVar(&f.rounds, "rounds", 0, "number of rounds (overrides the plan)")
	fl.StringVar(&f.scheme, "scheme", "", "secure-aggregation scheme: plain or pairwise (overrides the plan)")
	fl.StringVar(&f.rule, "rule", "", "aggregation rule: mean (overrides the plan)")
	fl.StringVar(&f.dp, "dp", "", "privacy mode: none (overrides the plan)")
	fl.StringVar(&f.model, "model", "", "architecture: softmax, mlp, mlp:WIDTHS or cnn (overrides the plan)")
	fl.StringVar(&f.partition, "partition", "iid", "how data are dealt out: iid, dirichlet:ALPHA, shards:N, gamma:SHARE")
	fl.Float64Var(&f.dropout, "dropout", 0, "share of a round's invited clients that vanish, exactly that many: before, during and after their upload")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of everything that is drawn")
	fl.StringVar(&f.data, "data", os.Getenv("CHOIR_DATA"), "directory with the four IDX files of Fashion-MNIST, 'embedded' or 'full' (default: $CHOIR_DATA, else embedded)")
	fl.StringVar(&f.fidelity, "fidelity", string(sim.Full), "full: all cryptography; fast: plain sums of the same integers")
	fl.IntVar(&f.workers, "workers", 0, "computations at a time (default: one for each core)")
	fl.BoolVar(&f.asJSON, "json", false, "print one JSON document on standard output")
	fl.StringVar(&f.report, "report", "", "directory for a report: report.html and report.json")
	return cmd
}

func runSim(cmd *cobra.Command, args []string, f simFlags) error {
	lit := plan.Demonstration()
	if len(args) == 1 {
		var err error
		if lit, err = readPlan(args[0]); err != nil {
			return err
		}
	}
	if err := f.override(cmd, &lit); err != nil {
		return err
	}
	train, test, name, err := loadData(f.data)
	if err != nil {
		return err
	}
	parts, err := deal(train, f.partition, f.clients, f.seed)
	if err != nil {
		return err
	}
	cfg := sim.Config{Plan: lit, Schemes: schemes, Train: train, Test: test, Partition: parts, Seed: f.seed,
		Fidelity: sim.Fidelity(f.fidelity), Faults: sim.Faults{Dropout: f.dropout}, Workers: f.workers}
	if lit.Model.Initial != "" {
		m, err := readModel(filepath.Join(filepath.Dir(args[0]), lit.Model.Initial))
		if err != nil {
			return err
		}
		cfg.Initial = &m
	}
	bar := newProgress(cmd.ErrOrStderr(), lit.Rounds.Count)
	cfg.Progress = bar.round
	res, err := sim.Run(cfg)
	bar.finish()
	res.Config.Dataset = name
	if err != nil {
		return err
	}
	if f.report != "" {
		if err := writeReport(f.report, res); err != nil {
			return err
		}
	}
	if f.asJSON {
		enc := json.NewEncoder(cmd.OutOrStdout())
		return enc.Encode(res)
	}
	return closingTable(cmd.OutOrStdout(), res)
}

// override applies the flags that were given to the plan.
func (f simFlags) override(cmd *cobra.Command, lit *plan.Literal) error {
	given := cmd.Flags().Changed
	if f.clients < 1 {
		return errUsage.At("--clients %d", f.clients)
	}
	if !(f.dropout >= 0 && f.dropout < 1) {
		return errUsage.At("--dropout %v is not in [0,1)", f.dropout)
	}
	if given("cohort") {
		if f.cohort < 1 {
			return errUsage.At("--cohort %d", f.cohort)
		}
		lit.Cohort.Minimum = max(1, lit.Cohort.Minimum*f.cohort/max(lit.Cohort.Size, 1))
		lit.Cohort.Size = f.cohort
	}
	for flag, v := range map[string]struct {
		from string
		to   *string
	}{"scheme": {f.scheme, &lit.Scheme.Name}, "rule": {f.rule, &lit.Aggregation.Rule}, "dp": {f.dp, &lit.Privacy.Mode},
		"model": {f.model, &lit.Model.Architecture}} {
		if given(flag) {
			*v.to = v.from
		}
	}
	if given("rounds") {
		lit.Rounds.Count = f.rounds
	}
	return nil
}

func readPlan(path string) (plan.Literal, error) {
	file, err := os.Open(path)
	if err != nil {
		return plan.Literal{}, plan.ErrSyntax.At("%s", path).Because(errors.Unwrap(err))
	}
	defer file.Close()
	return plan.Parse(path, file)
}

func readModel(path string) (tensor.Model, error) {
	file, err := os.Open(path)
	if err != nil {
		return tensor.Model{}, errData.At("%s", path).Because(errors.Unwrap(err))
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return tensor.Model{}, err
	}
	m, err := tensor.ReadSafetensors(file, info.Size())
	if err != nil {
		return tensor.Model{}, errData.At("%s", path).Because(err)
	}
	return m, nil
}

// loadData reads the data set and returns its name for the report.
func loadData(from string) (train, test dataset.Dataset, name string, err error) {
	switch from {
	case "", "embedded":
		train, test, err = dataset.FashionSubset()
		return train, test, "fashion-mnist-6000", err
	case "full":
		for _, dir := range dataset.DefaultDirs() {
			if _, err := os.Stat(dir); err == nil {
				return loadData(dir)
			}
		}
		return train, test, "", errData.At("--data full: no IDX files in %s", strings.Join(dataset.DefaultDirs(), ", "))
	}
	train, test, err = dataset.LoadIDX(from)
	if err != nil {
		return train, test, "", errData.At("--data").Because(err)
	}
	return train, test, fmt.Sprintf("idx-%d", train.Len()), nil
}

// deal partitions the training data.
func deal(train dataset.Dataset, how string, clients int, seed uint64) ([][]int, error) {
	kind, arg, _ := strings.Cut(how, ":")
	labels := train.Labels()
	number := func() (float64, error) { return strconv.ParseFloat(arg, 64) }
	var parts [][]int
	var x float64
	var err error
	switch kind {
	case "iid":
		if arg != "" {
			err = errors.New("iid takes no argument")
			break
		}
		parts, err = dataset.IID(labels, clients, seed)
	case "dirichlet":
		if x, err = number(); err == nil {
			parts, err = dataset.Dirichlet(labels, clients, x, seed)
		}
	case "shards":
		var n int
		if n, err = strconv.Atoi(arg); err == nil {
			parts, err = dataset.Shards(labels, clients, n, seed)
		}
	case "gamma":
		if x, err = number(); err == nil {
			parts, err = dataset.GammaSimilarity(labels, clients, x, seed)
		}
	default:
		err = errors.New("unknown partition")
	}
	if err != nil {
		return nil, errUsage.At("--partition %s", how).Because(err)
	}
	return parts, nil
}

// progress shows a bar with accuracy and time left on standard error.
type progress struct{ bar *progressbar.ProgressBar }

func newProgress(w io.Writer, rounds int) progress {
	return progress{progressbar.NewOptions(rounds, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription("round 0"),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionSetElapsedTime(true),
		progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())}
}

func (p progress) round(r sim.Round) {
	text := fmt.Sprintf("round %d", r.Round)
	if r.TestAccuracy != nil {
		text += fmt.Sprintf(" accuracy %.4f", *r.TestAccuracy)
	}
	p.bar.Describe(text)
	if r.Outcome == sim.Released {
		_ = p.bar.Add(1) // a bar that cannot be drawn is no reason to stop
	}
}

func (p progress) finish() { _ = p.bar.Finish() }

// closingTable prints what came of the run.
func closingTable(w io.Writer, res sim.Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "round\tinvited\tsurvivors\toutcome\taccuracy\tloss\tup/client\tdown/client")
	for i, r := range res.Rounds {
		if n := len(res.Rounds); n > 12 && i >= 3 && i < n-6 {
			if i == 3 {
				fmt.Fprintln(t, "...")
			}
			continue
		}
		fmt.Fprintf(t, "%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", r.Round, r.Invited, r.Survivors, r.Outcome, number(r.TestAccuracy), number(r.TestLoss),
			size(r.BytesUp), size(r.BytesDown))
	}
	fmt.Fprintln(t)
	f := res.Final
	fmt.Fprintf(t, "test accuracy\t%s\n", number(f.TestAccuracy))
	fmt.Fprintf(t, "rounds\t%d completed, %d failed\n", f.RoundsCompleted, f.RoundsFailed)
	fmt.Fprintf(t, "scheme\t%s (%s)\n", res.Config.Scheme, res.Config.Fidelity)
	fmt.Fprintf(t, "privacy\t%s: exact sums were opened to the coordinator\n", res.Config.DPMode)
	fmt.Fprintf(t, "model\t%s, %d parameters, %s\n", res.Config.Model, res.Config.Parameters, f.ModelDigest)
	fmt.Fprintf(t, "time\t%.1f s\n", f.WallMS/1000)
	return t.Flush()
}

func number(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.4f", *v)
}

func size(bytes float64) string {
	switch {
	case bytes >= 1<<20:
		return fmt.Sprintf("%.2f MiB", bytes/(1<<20))
	case bytes >= 1<<10:
		return fmt.Sprintf("%.1f KiB", bytes/(1<<10))
	}
	return fmt.Sprintf("%.0f B", bytes)
}
