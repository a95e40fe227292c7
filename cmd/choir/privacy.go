package main

import (
	"encoding/json"
	"errors"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
	"github.com/choir-fl/choir/fault"
)

var (
	// errPrivacy is a question about privacy that leaves something open or contradicts itself.
	errPrivacy = fault.New(fault.Usage, "choir/privacy", "privacy is not stated so that it can be accounted for", "nothing about privacy has a default: state it; see choir privacy --help")
	// errUnbounded is an answer that says nothing.
	errUnbounded = fault.New(fault.Refused, "choir/privacy-unbounded", "no bound is known for this", "use more noise or fewer steps, or another accountant")
)

// accountants are the names that --accountant takes.
var accountants = []string{"pld", "rdp", "gdp"}

// searchGrid is the spacing of losses at which pld looks for a noise, a number of
// steps or a cohort. A finer one changes the noise by less than 1e-5 of it.
const searchGrid = 1e-4

// gridFrom and gridTo bound --grid: below is beyond any memory, above says nothing.
const gridFrom, gridTo = 1e-7, 1.0

func newPrivacyCommand() *cobra.Command {
	cmd := newGroupCommand("privacy", "Account for differential privacy: epsilon, delta, or the noise, steps or cohort that reach them",
		newAccountCommand("epsilon", "Bound epsilon of stated mechanisms at a delta", `Bound the epsilon of mechanisms at a delta, from above and, with the accountant pld,
from below.`, nil),
		newAccountCommand("delta", "Bound delta of stated mechanisms at an epsilon", `Bound the delta of mechanisms at an epsilon, from above and, with the accountants
pld and gdp, from below.`, nil),
		newAccountCommand("noise", "Find the least noise multiplier that reaches an epsilon and delta", `Find the least noise multiplier at which the accountant can say that the mechanisms are
(epsilon, delta) private: within 1e-6 of it, and never below. It is found for what
states no noise; all such events get the same. Where clip norm or sensitivity are
stated, the standard deviation is printed too.`, &noiseSought),
		newAccountCommand("steps", "Find the most steps that stay within an epsilon and delta", `Find the largest number of steps at which the mechanisms are (epsilon, delta)
private. It is found for what states no steps; all such events get the same.`, &stepsSought),
		newAccountCommand("cohort", "Find the largest cohort that stays within an epsilon and delta", `Find the largest cohort --m, drawn from --n clients by Poisson or fixed-size sampling,
at which the mechanisms are (epsilon, delta) private while the noise stays as it is
stated. It is found for what is sampled and states neither --q nor --m; all such
events get the same. With Poisson sampling it is the expected size.`, &cohortSought))
	cmd.Long = `Account for differential privacy. The unit is one client: all of its records
together. Nothing has a default: mechanism, relation, sampling, noise, steps, target
and accountant must be stated, and what is missing is named.

--noise-multiplier is the standard deviation of the noise over the sensitivity under
--relation: the clip norm under zero-out and add-remove, twice that under
replace-one. --stddev with --clip says the same without a convention.

Whether cohorts were really drawn as stated nobody can tell from here: who states a
sampling vouches for it. It helps only against those who see released models and no
rosters; for everybody else account with --sampling none.

Exit code 0: answered; 2: something is missing, wrong or contradictory; 3: refused,
because no guarantee is known or the target cannot be reached.`
	return cmd
}

// newAccountCommand makes one of the commands. What is sought is nil where nothing is.
func newAccountCommand(use, short, long string, s *sought) *cobra.Command {
	var asJSON bool
	var groups []string
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Long: long + `

One event is stated by flags; several, which compose, by --event each, with the names
of the flags: --event mechanism=gaussian,relation=zero-out,sampling=poisson,q=0.01,noise-multiplier=1,steps=1000
With --sampling poisson, --capacity and --population say that of a larger cohort a
random part of that size is kept. A population counts the client in question.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := ask(cmd, groups, s)
			if err != nil {
				return err
			}
			d, err := until(cmd.Context(), q.answer)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(d)
			}
			return d.writeText(cmd.OutOrStdout())
		},
	}
	for _, k := range eventKeys {
		cmd.Flags().String(k.name, "", k.usage)
		if k.values != nil {
			completeWith(cmd, k.name, k.values...)
		}
	}
	cmd.Flags().StringArrayVar(&groups, "event", nil, "an event as name=value,..., in place of the flags for one event; may be repeated")
	cmd.Flags().String("accountant", "", "method: pld (tight, for a schedule fixed in advance), rdp (knows every event) or gdp (exact, Gaussian noise without sampling)")
	completeWith(cmd, "accountant", accountants...)
	if use != "delta" {
		cmd.Flags().String("delta", "", "probability in (0,1) with which the bound may not hold")
		cmd.Flags().String("grid", "", "spacing of privacy losses, a number from 1e-7 to 1, for pld (default: refined until the bounds agree to 0.1 %; 1e-4 in a search)")
	}
	if use != "epsilon" {
		cmd.Flags().String("epsilon", "", "target, a finite number above 0")
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document ("+privacySchema+") on standard output")
	return cmd
}

// question is what a command line asks.
type question struct {
	where      string
	stated     []statement
	sought     *sought
	accountant string
	// epsilon, delta are 0 where they are asked for; grid is 0 where it is not stated.
	epsilon, delta, grid float64
}

// ask reads a command line. Everything that is missing is named at once.
func ask(cmd *cobra.Command, groups []string, s *sought) (question, error) {
	q := question{where: called(cmd), sought: s}
	flags := statement{where: q.where, dash: "--", given: map[string]string{}}
	for _, name := range append([]string{"accountant", "epsilon", "delta", "grid"}, keyNames()...) {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			flags.given[name] = f.Value.String()
		}
	}
	target := flags.reading()
	q.accountant = target.one("accountant", accountants)
	if cmd.Flags().Lookup("epsilon") != nil {
		q.epsilon = target.number("epsilon")
	}
	if cmd.Flags().Lookup("delta") != nil {
		q.delta = target.number("delta")
	}
	if q.delta >= 1 {
		target.refuse("delta", "a number in (0,1) is wanted")
	}
	if flags.has("grid") {
		switch q.grid = target.number("grid"); {
		case q.accountant != "pld" && q.accountant != "":
			target.refuse("grid", "only the accountant pld has a grid")
		case q.grid < gridFrom || q.grid > gridTo:
			target.refuse("grid", "a number from 1e-7 to 1 is wanted")
		}
	}
	if len(groups) == 0 {
		q.stated = []statement{flags.without("accountant", "epsilon", "delta", "grid")}
		// The same reading goes on to the event, to name all that is missing together.
		target.statement = flags.filled(s.orNothing(), 1)
		if _, err := target.event(); err != nil {
			return question{}, err
		}
	} else if err := target.end(); err != nil {
		return question{}, err // flags of an event beside --event are among it
	}
	for i, g := range groups {
		e, err := parseGroup(q.where, i+1, g)
		if err != nil {
			return question{}, err
		}
		q.stated = append(q.stated, e)
	}
	if s != nil && !slices.ContainsFunc(q.stated, s.open) {
		return question{}, errPrivacy.At("%s", q.where).Because(errors.New(s.closed))
	}
	_, err := q.events(1)
	return q, err
}

// events are those stated, with a value where something is sought.
func (q question) events(value float64) (events []dp.Event, err error) {
	for _, s := range q.stated {
		e, err := s.filled(q.sought.orNothing(), value).event()
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

// answer does the work.
func (q question) answer() (privacyDocument, error) {
	value := 1.0
	if q.sought != nil {
		var err error
		if value, err = q.sought.find(q); err != nil {
			return privacyDocument{}, err
		}
		if q.grid == 0 {
			q.grid = searchGrid
		}
	}
	events, err := q.events(value)
	if err != nil {
		return privacyDocument{}, err
	}
	d := privacyDocument{Schema: privacySchema, Epsilon: q.epsilon, Delta: q.delta, Accountant: q.accountant,
		Unit: dp.UnitClient.String(), Relation: events[0].Spec().Relation.String(), Warnings: []string{}}
	if err := q.bound(events, &d); errors.Is(err, account.ErrTooLarge) {
		return privacyDocument{}, errUnbounded.At("%s", q.where).Because(err)
	} else if err != nil {
		return privacyDocument{}, err
	}
	if math.IsInf(d.Epsilon, 0) || math.IsNaN(d.Epsilon) {
		return privacyDocument{}, errUnbounded.At("%s", q.where)
	}
	q.describe(&d, events, value)
	return d, nil
}

// bound asks the accountant for the one of epsilon and delta that is open. In a search
// delta is stated, and epsilon becomes what was reached.
func (q question) bound(events []dp.Event, d *privacyDocument) error {
	deltaAsked := q.delta == 0
	switch q.accountant {
	case "gdp":
		mu, err := account.GDPMu(events)
		if err != nil {
			return err
		}
		if deltaAsked {
			delta, err := account.GDPDelta(mu, q.epsilon)
			d.Delta, d.DeltaLower = delta, &delta
			return err
		}
		epsilon, err := account.GDPEpsilon(mu, q.delta)
		d.Epsilon, d.EpsilonLower = epsilon, &epsilon
		return err
	case "rdp":
		c, err := account.NewCurve(events)
		if err != nil {
			return err
		}
		ask, target := c.Epsilon, q.delta
		if deltaAsked {
			ask, target = c.Delta, q.epsilon
		}
		b, err := ask(target)
		d.Epsilon, d.Delta, d.Order = b.Epsilon, b.Delta, &b.Order
		if b.Edge {
			d.Warnings = append(d.Warnings, "the best order is the first or the last one that is tried: the bound may be far from the best")
		}
		return err
	}
	p, err := account.NewPLD(events)
	if err != nil {
		return err
	}
	var b account.PLDBound
	switch {
	case deltaAsked:
		b, err = p.Delta(q.epsilon, 0)
		d.DeltaLower = &b.Lower
	case q.grid == 0:
		b, err = p.Epsilon(q.delta, 0)
		d.EpsilonLower = &b.Lower
	default:
		b, err = p.EpsilonAt(q.grid, q.delta)
		d.EpsilonLower = &b.Lower
	}
	d.Epsilon, d.Delta = b.Epsilon, b.Delta
	if b.Grid > 0 {
		d.Grid = &b.Grid
	}
	return err
}

// method is the accountant of a search. Losses beyond any grid are no privacy there.
func (q question) method() account.Method {
	switch q.accountant {
	case "gdp":
		return account.ByGDP
	case "rdp":
		return account.ByRDP
	}
	grid := q.grid
	if grid == 0 {
		grid = searchGrid
	}
	by := account.ByPLD(grid)
	return func(events []dp.Event, delta float64) (float64, error) {
		epsilon, err := by(events, delta)
		if errors.Is(err, account.ErrTooLarge) {
			return math.Inf(1), nil
		}
		return epsilon, err
	}
}
