package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/coordinator/ledger"
	"github.com/choir-fl/choir/coordinator/store/file"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/sim/report"
)

var (
	errLedgerDir = fault.New(fault.Usage, "choir/ledger-dir", "not a store that can be read", "name the directory in which the coordinator keeps its ledgers")
	errNoLedger  = fault.New(fault.NotFound, "choir/no-ledger", "there is no such ledger", "name a population that has one")
)

// ledgerSchema is the version of the JSON document of choir ledger show.
const ledgerSchema = "choir.ledger/1"

func newLedgerCommand() *cobra.Command {
	return newGroupCommand("ledger", "Look at privacy budgets, and verify them", newLedgerShowCommand(), newLedgerVerifyCommand())
}

func newLedgerShowCommand() *cobra.Command {
	var population string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show DIR",
		Short: "Show the privacy budget of a population and what was spent of it",
		Long: `Show the budget of a population, what was spent of it against each observer, and every
attempt that was charged. DIR is a store of the coordinator; it is only read, also
while the coordinator runs. The ledger is verified first.

An attempt that is reserved counts in full: nothing is known of its end. Epsilon is
the best of all Renyi orders at the delta of the budget; what is enforced is one
order, so that the part that is left may be less than epsilon suggests.`,
		Args: countArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			book, err := loadLedger(args[0], population)
			if err != nil {
				return err
			}
			shown := showLedger(book)
			if !asJSON {
				return shown.writeText(cmd.OutOrStdout())
			}
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetIndent("", "  ")
			return enc.Encode(shown)
		},
	}
	cmd.Flags().StringVar(&population, "population", "", "whose ledger (default: the only one there is)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document ("+ledgerSchema+") on standard output")
	return cmd
}

func newLedgerVerifyCommand() *cobra.Command {
	var population, seen string
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "Verify that a ledger is whole and was never overspent",
		Long: `Verify a ledger offline: each record's hash, number and epoch, that it can follow
those before it, what it costs under this program, and that no budget was passed at
any point. Prints one line with the number of records and the hash of the last one.

A ledger that was replaced by an earlier copy of itself is sound. To notice that,
compare the line with what coordinators publish, or give it with --head.

Exit code 0: sound; 1: it is not, and the line names the first bad record;
3: it is older than the head that was seen, or this program prices it lower.`,
		Args: countArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			count, digest, err := parseLedgerHead(seen)
			if err != nil {
				return err
			}
			book, err := loadLedger(args[0], population)
			if err != nil {
				return err
			}
			if err := book.NotOlder(count, digest); err != nil {
				return err
			}
			count, digest = book.Head()
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: sound, head %d:%s\n", book.Genesis().Population, count, digest)
			return err
		},
	}
	cmd.Flags().StringVar(&population, "population", "", "whose ledger (default: the only one there is)")
	cmd.Flags().StringVar(&seen, "head", "", "COUNT:DIGEST that was published: the ledger must hold that record")
	return cmd
}

// parseLedgerHead parses COUNT:DIGEST; nothing is what every ledger holds.
func parseLedgerHead(text string) (count uint64, digest secagg.Digest, err error) {
	if text == "" {
		return 0, digest, nil
	}
	number, name, _ := strings.Cut(text, ":")
	count, err = strconv.ParseUint(number, 10, 64)
	raw, notHex := hex.DecodeString(name)
	if err != nil || notHex != nil || len(raw) != len(digest) || count == 0 {
		return 0, digest, errUsage.At("--head %.80s", text).Because(errors.New("it must be a number, a colon and 64 hexadecimal digits"))
	}
	return count, secagg.Digest(raw), nil
}

// loadLedger verifies the ledger of a population, or the only one there is, in a store.
func loadLedger(dir, population string) (*ledger.Book, error) {
	in, err := file.Inspect(dir)
	if err != nil {
		return nil, errLedgerDir.At("%s", dir).Because(err)
	}
	segments, err := in.Segments()
	if err != nil {
		return nil, errLedgerDir.At("%s", dir).Because(err)
	}
	var there []string
	for _, s := range segments {
		if name, ok := ledger.Population(s); ok {
			there = append(there, name)
		}
	}
	switch {
	case population == "" && len(there) == 1:
		population = there[0]
	case population == "" && len(there) > 1:
		return nil, errUsage.At("%s", dir).Because(fmt.Errorf("it has several ledgers: give --population, one of %s", strings.Join(there, ", ")))
	case !slices.Contains(there, population):
		return nil, errNoLedger.At("%s", strings.TrimSpace(dir+" "+population))
	}
	return ledger.Load(in, ledger.Segment(population))
}

// shownLedger is the JSON document of choir ledger show. What does not apply is null.
type shownLedger struct {
	Schema     string          `json:"schema"`
	Population string          `json:"population"`
	Unit       string          `json:"unit"`
	Relation   string          `json:"relation"`
	Clients    int             `json:"clients"`
	Delta      float64         `json:"delta"`
	Slack      float64         `json:"slack"` // part of delta
	Closed     bool            `json:"closed"`
	Records    uint64          `json:"records"`
	Head       string          `json:"head"`
	Observers  []shownObserver `json:"observers"`
	Jobs       []shownJob      `json:"jobs"`
	Entries    []shownEntry    `json:"entries"`
}

type shownObserver struct {
	Observer string   `json:"observer"`
	Budget   *float64 `json:"budget"` // epsilon
	Order    *float64 `json:"order"`  // that is enforced
	Epsilon  *float64 `json:"epsilon"`
	Left     *float64 `json:"left"` // part of the budget, at that order
}

type shownJob struct {
	Job         string   `json:"job"`
	Attempts    int      `json:"attempts"`
	Released    *float64 `json:"epsilon_released"`
	Coordinator *float64 `json:"epsilon_coordinator"`
}

type shownEntry struct {
	Record         uint64      `json:"record"`
	Job            string      `json:"job"`
	Round          uint32      `json:"round"`
	Attempt        uint32      `json:"attempt"`
	State          string      `json:"state"`
	Plan           string      `json:"plan"`
	Released       *string     `json:"released"` // digest
	Delta          float64     `json:"delta"`
	Participations int         `json:"participations"`
	Releases       shownEvent  `json:"event_released"`
	Rosters        *shownEvent `json:"event_coordinator"`
}

type shownEvent struct {
	Mechanism  string  `json:"mechanism"`
	Relation   string  `json:"relation"`
	Sampling   string  `json:"sampling"`
	Rate       float64 `json:"rate,omitempty"`
	Population int     `json:"population,omitempty"`
	Size       int     `json:"size,omitempty"`
	StdDev     float64 `json:"std_dev"`
	Variance   string  `json:"variance,omitempty"` // exact, of the discrete laws
	Clip       float64 `json:"clip"`
	L1         float64 `json:"l1,omitempty"`
	Dimension  int     `json:"dimension"`
	Count      int64   `json:"count"`
	Multiplier float64 `json:"noise_multiplier"`
}

func showLedger(b *ledger.Book) shownLedger {
	g := b.Genesis()
	count, digest := b.Head()
	out := shownLedger{Schema: ledgerSchema, Population: g.Population, Unit: g.Unit.String(), Relation: g.Relation.String(), Clients: g.Clients,
		Delta: g.Delta, Slack: g.Slack, Closed: b.Retired(), Records: count, Head: digest.String(), Jobs: []shownJob{}, Entries: []shownEntry{}}
	budgets := []ledger.Budget{g.Releases, g.Rosters}
	for i, o := range []dp.Observer{dp.ObserverReleases, dp.ObserverCoordinator} {
		budget := budgets[i]
		shown := shownObserver{Observer: o.String(), Epsilon: stated(b.Spent(o)), Left: known(b.Left(o))}
		if budget != (ledger.Budget{}) {
			shown.Budget, shown.Order = &budget.Epsilon, &budget.Order
		}
		out.Observers = append(out.Observers, shown)
	}
	for _, e := range b.Entries() {
		i := slices.IndexFunc(out.Jobs, func(j shownJob) bool { return j.Job == e.ID.Job })
		if i < 0 {
			i = len(out.Jobs)
			out.Jobs = append(out.Jobs, shownJob{Job: e.ID.Job, Released: stated(b.SpentBy(e.ID.Job, dp.ObserverReleases)), Coordinator: stated(b.SpentBy(e.ID.Job, dp.ObserverCoordinator))})
		}
		out.Jobs[i].Attempts++
		out.Entries = append(out.Entries, showEntry(e))
	}
	return out
}

// maxStated is up to which epsilon a ledger's own bound is printed. It is about noise
// without the cut at 12 standard deviations, which costs nothing only as long as
// e^epsilon is no large factor; the job's plan knows more (choir run list).
const maxStated = 16

// stated is a bound as it is printed; null where there is none.
func stated(v float64, ok bool) *float64 { return known(v, ok && v <= maxStated) }

func known(v float64, ok bool) *float64 {
	if !ok {
		return nil
	}
	return &v
}

func showEntry(e ledger.Entry) shownEntry {
	out := shownEntry{Record: e.Record, Job: e.ID.Job, Round: e.ID.Round, Attempt: e.ID.Attempt, State: e.State.String(), Plan: e.Plan.String(),
		Delta: e.Charge.Delta, Participations: e.Charge.Participations, Releases: showEvent(e.Charge.Released)}
	if e.State == ledger.Committed {
		digest := e.Released.String()
		out.Released = &digest
	}
	if e.Charge.Rosters.Valid() {
		rosters := showEvent(e.Charge.Rosters)
		out.Rosters = &rosters
	}
	return out
}

func showEvent(e dp.Event) shownEvent {
	s := e.Spec()
	out := shownEvent{Mechanism: s.Mechanism.String(), Relation: s.Relation.String(), Sampling: s.Sampling.Mode.String(), Rate: s.Sampling.Rate,
		Population: s.Sampling.Population, Size: s.Sampling.Size, StdDev: e.StdDev(), Clip: s.Clip, L1: s.L1, Dimension: s.Dimension, Count: s.Count,
		Multiplier: e.NoiseMultiplier()}
	if s.Variance != nil {
		out.Variance = s.Variance.RatString()
	}
	return out
}

// ledgerFigure renders an upper bound that may not be known.
func ledgerFigure(v *float64) string {
	if v == nil {
		return "unknown"
	}
	return report.Upper(*v)
}

func (l shownLedger) writeText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d clients, %s, unit %s, delta %g of which %g is slack\n", l.Population, l.Clients, l.Relation, l.Unit, l.Delta, l.Slack)
	sees := map[string]string{dp.ObserverReleases.String(): "sees releases", dp.ObserverCoordinator.String(): "sees rosters"}
	for _, o := range l.Observers {
		fmt.Fprintf(&b, "%-14s epsilon %s", sees[o.Observer], ledgerFigure(o.Epsilon))
		if o.Budget != nil {
			fmt.Fprintf(&b, " of %g; %.1f %% left at order %g", *o.Budget, *o.Left*100, *o.Order)
		} else {
			b.WriteString(", no budget")
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "unknown: no finite bound, or above %d, where a ledger alone does not know what redrawn noise costs; choir run list prints what the plan states\n", maxStated)
	for _, j := range l.Jobs {
		fmt.Fprintf(&b, "job %s: %d attempts, epsilon %s, with rosters %s\n", j.Job, j.Attempts, ledgerFigure(j.Released), ledgerFigure(j.Coordinator))
	}
	for _, e := range l.Entries {
		fmt.Fprintf(&b, "%6d  %s/%d/%d  %-9s  %s, noise multiplier %.4g, sampling %s", e.Record, e.Job, e.Round, e.Attempt, e.State,
			e.Releases.Mechanism, e.Releases.Multiplier, e.Releases.Sampling)
		if e.Releases.Rate != 0 {
			fmt.Fprintf(&b, " at %.4g", e.Releases.Rate)
		}
		if e.Releases.Count > 1 {
			fmt.Fprintf(&b, ", %d times", e.Releases.Count)
		}
		b.WriteString("\n")
	}
	end := ""
	if l.Closed {
		end = ", closed for good"
	}
	fmt.Fprintf(&b, "head %d:%s%s\n", l.Records, l.Head, end)
	_, err := io.WriteString(w, b.String())
	return err
}
