package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/cmd/choir/preflight"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/sim"
	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/sim/model"
	"github.com/choir-fl/choir/sim/report"
	"github.com/choir-fl/choir/tensor"
)

var errData = fault.New(fault.Usage, "choir/data", "data cannot be used", "see choir sim --help")

// simFlags are the flags of choir sim. A flag that was given overrides the plan.
type simFlags struct {
	clients, cohort, rounds int
	scheme, model           string
	partition, data         string
	fidelity, report        string
	view, bucket, scratch   string
	committee               int
	dropout                 float64
	seed                    uint64
	workers                 int
	asJSON                  bool
	audit                   int
	privacy                 privacyFlags
	attack                  attackFlags

	dataset string // name of what was loaded
}

func newSimCommand() *cobra.Command {
	var f simFlags
	cmd := &cobra.Command{
		Use:   "sim [plan.yaml]",
		Short: "Simulate a run: the real coordinator, SDK and schemes in virtual time",
		Long: `Simulate a run of a plan over virtual clients, on real data, with every sum
computed by the plan's own scheme. Without a plan the built-in demonstration
runs: Fashion-MNIST over 1000 clients and 5 decryptors, with noise that the
clients share (--dp none: over 100 clients, without noise). A plan's committee is
replaced by a virtual one of the same size.

With --audit some of the clients are canaries, each in or out by a fair coin: how well
the released models tell which is a lower bound on epsilon, printed beside what is
claimed. A claim that is refuted exits with 3, after the result.

With --attack and --byzantine some of the clients collude and attack. With a backdoor,
attack success is the share of stamped test images of other classes that the model takes
for the trigger's target.

A seed repeats a run exactly, measured times aside.`,
		Args: countArgs(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return runSim(cmd, args, f) },
	}
	fl := cmd.Flags()
	fl.IntVar(&f.clients, "clients", 0, fmt.Sprintf("number of virtual clients (default: as many as the plan draws from by coins, or %d; overrides the plan's cohort.population)", defaultClients))
	fl.IntVar(&f.cohort, "cohort", 0, "clients in a round (overrides the plan; its minimum keeps its share)")
	fl.IntVar(&f.rounds, "rounds", 0, "number of rounds (overrides the plan)")
	fl.StringVar(&f.scheme, "scheme", "", "secure-aggregation scheme: "+strings.Join(schemeNames(), " or ")+" (overrides the plan; what only its scheme has goes)")
	fl.IntVar(&f.committee, "committee", 0, fmt.Sprintf("number of virtual decryptors, %d to %d (default: as many as the plan names, or %d)", secagg.MinCommittee, secagg.MaxCommittee, sim.DefaultCommittee))
	fl.StringVar(&f.view, "view", "", "what is opened: sum, bucket_means or vectors (overrides the plan)")
	fl.StringVar(&f.bucket, "bucket", "", "SIZE:MINIMUM: clients in a bucket, and the fewest in one that is opened (overrides the plan)")
	f.attack.register(cmd)
	fl.StringVar(&f.privacy.mode, "dp", "", "privacy mode: "+strings.Join(privacyModes, ", ")+" (overrides the plan; none takes out what noise asks for, too)")
	fl.Float64Var(&f.privacy.multiplier, "noise-multiplier", 0, "noise in each sum, as a share or multiple of the clip norm (overrides the plan)")
	fl.Float64Var(&f.privacy.epsilon, "epsilon", 0, "budget of who sees released models, as a number of nats; the noise is calibrated for it unless --noise-multiplier is given (overrides the plan)")
	fl.Float64Var(&f.privacy.delta, "delta", 0, "delta of the promise, a probability, so a share below 1 (overrides the plan)")
	fl.StringVar(&f.model, "model", "", "architecture: softmax, mlp, mlp:WIDTHS or cnn (overrides the plan)")
	fl.StringVar(&f.partition, "partition", "iid", "how data are dealt out: iid, dirichlet:ALPHA, shards:N, gamma:SHARE")
	fl.Float64Var(&f.dropout, "dropout", 0, "share of a round's invited clients that vanish, exactly that many: before, during and after their upload")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of everything that is drawn")
	fl.StringVar(&f.data, "data", os.Getenv("CHOIR_DATA"), "directory with the four IDX files of Fashion-MNIST, 'embedded' or 'full' (default: $CHOIR_DATA, else embedded)")
	fl.StringVar(&f.fidelity, "fidelity", string(sim.Full), "full: all cryptography; fast: plain sums of the same integers")
	fl.IntVar(&f.workers, "workers", 0, "computations at a time (default: one for each core)")
	fl.StringVar(&f.scratch, "scratch", "", "empty directory for the coordinator's disk, for runs too large for memory (default: all in memory)")
	fl.IntVar(&f.audit, "audit", 0, "number of clients that are canaries instead: they audit the claimed epsilon from below, at the price of accuracy (default: no audit)")
	fl.BoolVar(&f.asJSON, "json", false, "print one JSON document on standard output")
	fl.StringVar(&f.report, "report", "", "directory for a report: report.html and report.json; made if it is missing")
	completeWith(cmd, "scheme", schemeNames()...)
	completeWith(cmd, "model", model.Softmax, model.MLP, model.CNN)
	completeWith(cmd, "partition", "iid", "dirichlet:", "shards:", "gamma:")
	completeWith(cmd, "fidelity", string(sim.Full), string(sim.Fast))
	completeWith(cmd, "view", secagg.ViewSum.String(), secagg.ViewBucketMeans.String(), secagg.ViewVectors.String())
	completeWith(cmd, "dp", privacyModes...)
	cmd.AddCommand(newMatrixCommand())
	return cmd
}

func runSim(cmd *cobra.Command, args []string, f simFlags) error {
	lit, path := plan.Demonstration(), ""
	if f.privacy.mode == string(secagg.PrivacyNone) { // as flags say; another plan is turned into one without noise
		lit = plan.DemonstrationWithoutNoise()
	}
	if len(args) == 1 {
		var err error
		if lit, err = readPlan(args[0]); err != nil {
			return err
		}
		path = args[0]
	}
	if err := f.override(cmd, &lit); err != nil {
		return err
	}
	if err := nameCommittee(&lit, path); err != nil {
		return err
	}
	if err := f.checkScratch(); err != nil {
		return err
	}
	if f.report != "" {
		if err := checkReportDir(f.report); err != nil {
			return err
		}
	}
	cfg, err := f.config(lit, path)
	if err != nil {
		return err
	}
	checked, err := f.check(cfg)
	if err != nil {
		return err
	}
	progress := newProgress(cmd.ErrOrStderr(), lit.Rounds.Count)
	cfg.Progress = progress.round
	res, err := until(cmd.Context(), func() (sim.Result, error) { return sim.Run(cfg) })
	progress.finish()
	res.Config.Dataset = f.dataset
	return f.conclude(cmd.OutOrStdout(), lit, checked, res, err)
}

// present writes what came of a run.
func (f simFlags) present(w io.Writer, lit plan.Literal, checked plan.Plan, res sim.Result) error {
	if f.report != "" {
		findings, err := preflight.Examine(checked)
		if err != nil {
			return err
		}
		if err := writeReport(f.report, lit, res, findings); err != nil {
			return err
		}
	}
	if f.asJSON {
		return json.NewEncoder(w).Encode(res)
	}
	return closingTable(w, res)
}

// config loads the data and the initial model, and deals the data out.
func (f *simFlags) config(lit plan.Literal, path string) (sim.Config, error) {
	train, test, name, err := loadData(f.data)
	if err != nil {
		return sim.Config{}, err
	}
	f.dataset = name
	parts, err := deal(train, f.partition, f.clients, f.seed)
	if err != nil {
		return sim.Config{}, err
	}
	begin := time.Now()
	cfg := sim.Config{Plan: lit, Schemes: schemes, Train: train, Test: test, Partition: parts, Seed: f.seed,
		Fidelity: sim.Fidelity(f.fidelity), Faults: sim.Faults{Dropout: f.dropout}, Workers: f.workers, Scratch: f.scratch, Audit: sim.Audit{Canaries: f.audit},
		Adversary: sim.Adversary{Attack: f.attack.attack, Byzantine: f.attack.byzantine},
		Stopwatch: func() time.Duration { return time.Since(begin) }}
	if lit.Model.Initial != "" {
		m, err := readInitial(lit, path)
		if err != nil {
			return sim.Config{}, err
		}
		cfg.Initial = &m
	}
	return cfg, nil
}

// check refuses what the simulation would refuse, and what it would not notice, and
// returns the plan with the tensors that the data ask for.
func (f simFlags) check(cfg sim.Config) (plan.Plan, error) {
	lit := cfg.Plan
	arch, err := model.ParseArchitecture(lit.Model.Architecture)
	if err != nil {
		return plan.Plan{}, plan.ErrContradiction.At("model.architecture").Because(err)
	}
	net, err := model.New(arch, cfg.Train.Shape(), cfg.Train.Classes())
	if err != nil {
		return plan.Plan{}, plan.ErrContradiction.At("model.architecture").Because(err)
	}
	if len(lit.Model.Tensors) > 0 && !declares(lit, net.Schema()) {
		return plan.Plan{}, plan.ErrContradiction.At("model.tensors").Because(fmt.Errorf("they are not those of %s for these data", arch))
	}
	if cfg.Initial != nil && !cfg.Initial.Schema().Equal(net.Schema()) {
		return plan.Plan{}, plan.ErrContradiction.At("model.initial").Because(fmt.Errorf("its tensors are not those of %s for these data", arch))
	}
	sim.FillTensors(&lit, net.Schema())
	if err := sim.FillCommittee(&lit, cfg.Schemes, cfg.Seed); err != nil {
		return plan.Plan{}, err
	}
	p, err := lit.Check(serverSchemes()...)
	if err != nil {
		return plan.Plan{}, err
	}
	if f.clients < p.Minimum() {
		return plan.Plan{}, errUsage.At("--clients %d is below the plan's cohort.minimum %d", f.clients, p.Minimum())
	}
	return p, nil
}

// override applies the flags that were given to the plan.
func (f *simFlags) override(cmd *cobra.Command, lit *plan.Literal) error {
	given := cmd.Flags().Changed
	if given("clients") && f.clients < 1 {
		return errUsage.At("--clients %d is not at least 1", f.clients)
	}
	if f.workers < 0 {
		return errUsage.At("--workers %d is negative", f.workers)
	}
	if fd := sim.Fidelity(f.fidelity); fd != sim.Full && fd != sim.Fast {
		return errUsage.At("--fidelity %q is neither full nor fast", f.fidelity)
	}
	if !(f.dropout >= 0 && f.dropout < 1) {
		return errUsage.At("--dropout %v is not in [0,1)", f.dropout)
	}
	if given("cohort") {
		if f.cohort < 1 {
			return errUsage.At("--cohort %d is not at least 1", f.cohort)
		}
		lit.Cohort.Minimum = max(1, lit.Cohort.Minimum*f.cohort/max(lit.Cohort.Size, 1))
		lit.Cohort.Size = f.cohort
	}
	if given("scheme") && f.scheme != lit.Scheme.Name {
		// The committee and the fallback belong to the scheme that was there.
		lit.Scheme.CommitteeFile, lit.Scheme.Committee, lit.Aggregation.Fallback = "", plan.Committee{}, ""
	}
	for flag, v := range map[string]struct {
		from string
		to   *string
	}{"scheme": {f.scheme, &lit.Scheme.Name}, "model": {f.model, &lit.Model.Architecture}, "view": {f.view, &lit.Aggregation.View}} {
		if given(flag) {
			*v.to = v.from
		}
	}
	if given("rounds") {
		if f.rounds < 1 {
			return errUsage.At("--rounds %d is not at least 1", f.rounds)
		}
		lit.Rounds.Count = f.rounds
		// Fewer rounds have no room for more than these.
		lit.Cohort.Participations = min(lit.Cohort.Participations, f.rounds*cmp.Or(lit.Rounds.Attempts, 3))
		lit.Cohort.Separation = min(lit.Cohort.Separation, f.rounds)
	}
	if given("committee") {
		if f.committee < secagg.MinCommittee || f.committee > secagg.MaxCommittee {
			return errUsage.At("--committee %d is not in %d..%d", f.committee, secagg.MinCommittee, secagg.MaxCommittee)
		}
		if lit.Scheme.Name != oneshot.Name {
			return errUsage.At("--committee %d: scheme %s has no decryptors", f.committee, lit.Scheme.Name)
		}
		// Their keys follow from the seed: sim.FillCommittee.
		lit.Scheme.CommitteeFile, lit.Scheme.Committee = "", plan.Committee{Members: make([]plan.Member, f.committee)}
	}
	if err := f.privacy.override(given, lit); err != nil {
		return err
	}
	f.clients = f.overridePopulation(given, lit)
	return errors.Join(f.checkAudit(given), f.overrideBuckets(given, lit), f.attack.override(given, lit))
}

// overrideBuckets applies the flags about what is opened. Buckets that nothing opens
// are left out.
func (f simFlags) overrideBuckets(given func(string) bool, lit *plan.Literal) error {
	a := &lit.Aggregation
	if given("bucket") {
		size, minimum, _ := strings.Cut(f.bucket, ":")
		var err error
		if a.Buckets.Size, err = strconv.Atoi(size); err == nil {
			a.Buckets.Minimum, err = strconv.Atoi(minimum)
		}
		if err != nil {
			return errUsage.At("--bucket %.70q is not SIZE:MINIMUM, two numbers of clients", f.bucket)
		}
	}
	switch {
	case a.View == secagg.ViewBucketMeans.String():
		a.Fallback = ""
	case a.Fallback == "" && given("bucket"):
		return errUsage.At("--bucket %s: nothing opens buckets; add --view %s", f.bucket, secagg.ViewBucketMeans)
	case a.Fallback == "" && (given("view") || given("scheme")):
		a.Buckets = plan.Buckets{}
	}
	return nil
}

// checkScratch refuses a directory that is not there or not empty.
func (f simFlags) checkScratch() error {
	if f.scratch == "" {
		return nil
	}
	entries, err := os.ReadDir(f.scratch)
	if err == nil && len(entries) > 0 {
		err = errors.New("it is not empty")
	}
	if err != nil {
		return errUsage.At("--scratch %s", f.scratch).Because(err)
	}
	return nil
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

// progress shows on standard error how far a simulation is: a bar with accuracy and
// time left on a terminal, elsewhere one line for each released round.
type progress struct {
	bar    *progressbar.ProgressBar // nil without a terminal
	w      io.Writer
	rounds int
}

func newProgress(w io.Writer, rounds int) progress {
	p := progress{w: w, rounds: rounds}
	if isTerminal(w) {
		p.bar = progressbar.NewOptions(rounds, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription("round 0"),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionSetElapsedTime(true),
			progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return p
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (p progress) round(r sim.Round) {
	text := fmt.Sprintf("round %d", r.Round)
	if r.TestAccuracy != nil {
		text += fmt.Sprintf(" accuracy %.4f", *r.TestAccuracy)
	}
	if r.EpsilonReleased != nil {
		text += fmt.Sprintf(" epsilon %s", report.Epsilon(r.EpsilonReleased))
	}
	switch {
	case p.bar == nil && r.Outcome == sim.Released:
		fmt.Fprintf(p.w, "%s (of %d)\n", text, p.rounds)
	case p.bar != nil:
		p.bar.Describe(text)
		if r.Outcome == sim.Released {
			_ = p.bar.Add(1) // a bar that cannot be drawn is no reason to stop
		}
	}
}

func (p progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

// closingTable prints what came of the run.
func closingTable(w io.Writer, res sim.Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "round\tinvited\tsurvivors\tbuckets\toutcome\taccuracy\tloss\tepsilon\tup/client\tdown/client")
	for i, r := range res.Rounds {
		if n := len(res.Rounds); n > 12 && i >= 3 && i < n-6 {
			if i == 3 {
				fmt.Fprintln(t, "...")
			}
			continue
		}
		fmt.Fprintf(t, "%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Round, r.Invited, r.Survivors, report.Buckets(r), r.Outcome, number(r.TestAccuracy), number(r.TestLoss),
			report.Epsilon(r.EpsilonReleased), size(r.BytesUp), size(r.BytesDown))
	}
	fmt.Fprintln(t)
	f := res.Final
	fmt.Fprintf(t, "test accuracy\t%s\n", number(f.TestAccuracy))
	fmt.Fprintf(t, "rounds\t%d completed, %d failed\n", f.RoundsCompleted, f.RoundsFailed)
	fmt.Fprintf(t, "scheme\t%s (%s)\n", res.Config.Scheme, res.Config.Fidelity)
	writeAttack(t, res)
	fmt.Fprintf(t, "privacy\t%s\n", res.Config.DPMode)
	writeEpsilons(t, res)
	fmt.Fprintf(t, "model\t%s, %d parameters, %s\n", res.Config.Model, res.Config.Parameters, cmp.Or(f.ModelDigest, "-"))
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
