package preflight

import (
	"fmt"
	"strings"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/robust"
	"github.com/choir-fl/choir/secagg"
)

// Robustness is the rule that makes one update of what is opened, and what it is up
// against (plan.Robustness). Vectors are bucket means, or clients under view vectors; one
// under view sum.
type Robustness struct {
	Rule       string            `json:"rule"`
	F          int               `json:"f"`
	Pre        []string          `json:"pre"`
	Parameters map[string]string `json:"parameters"`
	Compat     string            `json:"compat"`
	// Resists is false for the bare mean, which withstands nobody, and for rule rfa.
	Resists bool `json:"resists"`
	// Breakdown, Precondition and Warning are what package robust says of the rule.
	Breakdown    string `json:"breakdown"`
	Precondition string `json:"precondition"`
	Warning      string `json:"warning"`
	// MostVectors is the number of vectors of a full cohort, FewestVectors that of the
	// smallest set that is combined.
	MostVectors   int `json:"most_vectors"`
	FewestVectors int `json:"fewest_vectors"`
	// SpareVectors is how many of a full cohort may be missing, as short or spoiled.
	SpareVectors int `json:"spare_vectors"`
	// ByzantineClients of a full cohort can be in WorstBad vectors; more than F hold one of them
	// with probability Exceeded in an attempt, at most Round in any of a round's and at most
	// Run in any of the run. ExceededExact is false where Exceeded is a bound too.
	ByzantineClients int     `json:"byzantine_clients"`
	WorstBad         int     `json:"worst_bad"`
	Exceeded         float64 `json:"exceeded"`
	ExceededExact    bool    `json:"exceeded_exact"`
	Round            float64 `json:"exceeded_round"`
	Run              float64 `json:"exceeded_run"`
	// Bad is the probability that one vector holds a Byzantine client, Drawn a bound for more
	// than F that do, where cohorts are drawn from a large population of which the share is
	// Byzantine. Both are 0 where somebody steers who is in which bucket.
	Bad   float64 `json:"bad_vector"`
	Drawn float64 `json:"exceeded_drawn"`
	// Honest is h, the fewest honest clients in an opened sum; null where the scheme hides
	// nothing.
	Honest *int `json:"least_honest"`
	// NoiseNorm is that of the noise in a vector, over the clip norm; null without noise.
	NoiseNorm *float64 `json:"noise_norm"`
	// NoiseShift is how far that noise lets bad vectors push the result, over the clip norm;
	// null without noise and where no number is known for the rule.
	NoiseShift *float64 `json:"noise_shift"`
	// BadNorm is the largest norm of a vector with one Byzantine client in it, as the range of
	// the encoding allows it; HonestNorm of one without. Under denominator weights vectors are
	// clipped once they are opened, and both are the longest that honest ones can be.
	BadNorm    float64 `json:"bad_norm"`
	HonestNorm float64 `json:"honest_norm"`
	// Influence bounds what one bad vector does to the result's norm, noise aside; null
	// where no number is known for the rule.
	Influence *float64 `json:"influence"`
	// Passes is how many rounds make one step of the model under rule rfa, and WeightRatio how
	// much more than another of as many examples a client may count in its sums; null under others.
	Passes      *int     `json:"passes"`
	WeightRatio *float64 `json:"weight_ratio"`

	clipped bool // once it is opened
}

// harmfulShift is the push by noise, over the clip norm, from which on it is warned of.
const harmfulShift = 0.25

func robustnessOf(p plan.Plan, f *Findings) Robustness {
	a, r := p.Literal().Aggregation, p.Robustness()
	out := Robustness{Rule: a.Rule, F: a.F, Pre: append([]string{}, a.Pre...), Parameters: map[string]string{}, Compat: a.Compat,
		Resists: r.Resists, MostVectors: r.Most, FewestVectors: r.Fewest, SpareVectors: r.Spare,
		ByzantineClients: r.Byzantine, WorstBad: r.WorstBad, Exceeded: r.Exceeded, ExceededExact: r.Exact, Round: r.Round, Run: r.Run, Bad: r.Bad, Drawn: r.Drawn,
		BadNorm: r.BadNorm, HonestNorm: r.HonestNorm, clipped: p.Literal().Aggregation.Denominator == string(secagg.DenominatorWeights), Influence: positive(r.Influence), NoiseNorm: positive(r.NoiseNorm), NoiseShift: positive(r.NoiseShift)}
	for k, v := range a.Parameters {
		out.Parameters[k] = v
	}
	for _, info := range append(robust.Rules(), robust.ByClients()...) {
		if info.Name == a.Rule {
			out.Breakdown, out.Precondition, out.Warning = info.Breakdown, info.Precondition, info.Warning
		}
	}
	if w := p.Terms().Weiszfeld; w != (secagg.Weiszfeld{}) {
		ratio := 2 / w.Smoothing
		out.Passes, out.WeightRatio = &w.Passes, &ratio
	}
	switch n := f.Privacy.Noise; {
	case n != nil && f.Privacy.Mode == "distributed":
		out.Honest = &n.Shares
	case f.Oneshot != nil:
		out.Honest = &f.Oneshot.Honest
	case f.Graph != nil:
		out.Honest = &f.Graph.Honest
	}
	return out
}

// positive is a figure that is 0 where there is none.
func positive(v float64) *float64 {
	if v == 0 {
		return nil
	}
	return &v
}

// called is the rule with all that it is set to.
func (r Robustness) called() string {
	out := r.Rule
	if r.Resists {
		out += fmt.Sprintf(" with f %d", r.F)
	}
	if len(r.Pre) > 0 {
		out += " after " + strings.Join(r.Pre, ", ")
	}
	if r.Compat != "" {
		out += ", by the conventions of " + r.Compat
	}
	return out
}

func (f *Findings) writeRobustness(section func(string), line func(string, string, ...any)) {
	row := func(name, format string, args ...any) {
		for i, part := range strings.Split(strings.TrimSuffix(Wrap(fmt.Sprintf(format, args...), "", "", width), "\n"), "\n") {
			if i > 0 {
				name = ""
			}
			line(name, "%s", part)
		}
	}
	r := f.Robustness
	section("aggregation")
	row("rule", "%s, on view %s", r.called(), f.View)
	row("breakdown", "%s", r.Breakdown)
	if r.Passes != nil {
		row("passes", "%d rounds make one step of the model: clients send the same update in each, weighed by how near it is to the last sum", *r.Passes)
		row("weights", "a client near the centre counts up to %.3g times as much as one of as many examples far off", *r.WeightRatio)
	}
	if r.MostVectors > 1 {
		row("vectors m", "%d of a full cohort, of which %d may be missing, as short or spoiled; %d at least, of a cohort that is not full too", r.MostVectors, r.SpareVectors, r.FewestVectors)
		row("worst case", "%d Byzantine of %d clients can be in %d of %d vectors", r.ByzantineClients, f.Rounds.Invited, r.WorstBad, r.MostVectors)
		if r.Resists {
			row("more than f bad", "%s", r.exceeding())
		}
		if r.Bad > 0 {
			row("bad by chance", "%s", r.chance())
		}
	}
	if r.Honest != nil {
		row("honest h", "at least %d in each opened sum", *r.Honest)
	}
	if r.NoiseNorm != nil {
		row("noise norm / C", "%.3g in a vector", *r.NoiseNorm)
	}
	if r.NoiseShift != nil {
		row("pushed by noise / C", "%.3g in each round, in a direction of their choice, by %d bad vectors behind which the noise of the others ends", *r.NoiseShift, min(r.F, r.WorstBad))
	}
	row("one bad vector", "%s", r.reach())
}

// exceeding says how likely more bad vectors are than the rule withstands.
func (r Robustness) exceeding() string {
	if r.F >= r.WorstBad {
		return fmt.Sprintf("never while at most %s Byzantine", are(r.ByzantineClients))
	}
	bound := ""
	if !r.ExceededExact {
		bound = "at most "
	}
	return fmt.Sprintf("with probability %s%.2g in an attempt, at most %.2g in a round and %.2g in the run, while at most %s Byzantine and nobody steers who is in which bucket",
		bound, r.Exceeded, r.Round, r.Run, are(r.ByzantineClients))
}

// chance says what the draw of cohorts adds: a share of a population is not that of each
// cohort.
func (r Robustness) chance() string {
	out := fmt.Sprintf("a vector with probability %.2g", r.Bad)
	if r.Resists {
		out += fmt.Sprintf("; more than f of them with at most %.2g in an attempt, where cohorts are drawn from a large population that has this share of Byzantine clients: a cohort may then have more than %d", r.Drawn, r.ByzantineClients)
	}
	return out
}

func are(n int) string {
	if n == 1 {
		return "1 client of a cohort is"
	}
	return fmt.Sprintf("%d clients of a cohort are", n)
}

// reach says what one bad vector can do.
func (r Robustness) reach() string {
	out := fmt.Sprintf("up to a norm of %.3g: clipping does not bind a Byzantine client, the range of the encoding does; one of honest clients has at most %.3g", r.BadNorm, r.HonestNorm)
	if r.clipped {
		out = fmt.Sprintf("up to a norm of %.3g, to which the coordinator clips means by weights, as one of honest clients; a Byzantine client of it chooses what it is divided by", r.BadNorm)
	}
	switch {
	case r.Influence == nil:
		return out + "; what it does to the result follows from the rule alone, and no number is claimed"
	case r.Resists:
		return out + fmt.Sprintf("; the result stays within %.3g, noise aside", *r.Influence)
	}
	return out + fmt.Sprintf("; it moves the result by up to %.3g", *r.Influence)
}

// combined tells what the rule does, for prose.
func (f *Findings) combined() string {
	r := f.Robustness
	return fmt.Sprintf("The rule is %s (breakdown %s). There are %d vectors of a full cohort, and never fewer than %d. The %d Byzantine clients that are reckoned with can be in %d of them; "+
		"more than f hold one %s. One bad vector reaches %s.", r.called(), r.Breakdown, r.MostVectors, r.FewestVectors, r.ByzantineClients, r.WorstBad, r.exceeding(), r.reach())
}

// weighed tells what rule rfa does, for prose.
func (f *Findings) weighed() string {
	r := f.Robustness
	return fmt.Sprintf("The rule is rfa: clients multiply their updates by a weight that falls with the distance from a centre, the mean of the round before. "+
		"%d rounds make one step of the model, and a client sends the same update in each. It counts up to %.3g times as much near the centre as far off. "+
		"Data that poison pull the result little while they hold less than half the weight. A client that lies about its weight can set the result, within norm %.3g: nothing checks what it states.",
		*r.Passes, *r.WeightRatio, r.BadNorm)
}

// warnRobustness says what the rule does not do.
func (f *Findings) warnRobustness(l plan.Literal, say func(string, ...any)) {
	r := f.Robustness
	switch {
	case r.Passes != nil:
		say("aggregation.rule rfa: it withstands poisoned data, not clients that lie about their weight: each states its own, nothing checks it, and one that lies can set the result, within norm %g", r.BadNorm)
		if *r.Passes > 1 {
			say("aggregation.rule rfa: a client sends the same update in each of %d passes; where few clients are in one sum and not in another, by dropping out or because a coordinator left them out, the difference of the sums is nearly their update", *r.Passes)
		}
		say("aggregation.rule rfa: a coordinator that deviates chooses the centre that all weigh by, and so whose update the sum is most made of: up to %.3g times as much as of another", *r.WeightRatio)
		say("aggregation.rule rfa: clients whose data are unlike the rest count less; hold it against the mean on data like theirs")
	case !r.Resists:
		say("aggregation.rule mean: it resists nobody, and clipping does not bind a corrupt client; one can push a sum to a norm of %.3g, where honest updates have at most %g each",
			f.Encoding.CorruptNorm, f.Encoding.ClipNorm)
	default:
		say("aggregation.rule %s: where clients' data differ much and attacks are weak, a rule that leaves vectors out or trims them loses more than it saves; hold it against the mean on data like theirs", r.Rule)
		if r.F == 0 {
			say("aggregation.f 0: %s is set to withstand nobody", r.Rule)
		}
		if r.ByzantineClients == 0 {
			say("scheme.corrupt and aggregation.byzantine are 0: nothing was held against aggregation.f %d", r.F)
		}
		if r.clipped {
			say("aggregation.denominator weights: a Byzantine client chooses what its sum is divided by, and so its weight; say fixed")
		}
		if l.Evaluation.Clients {
			say("evaluation.clients: what clients measure is added up, and no rule combines it; a Byzantine client can set it, and so what stop rules go by")
		}
		if l.Privacy.Clipping != (plan.Clipping{}) {
			say("privacy.clipping: clip bits are added up, and no rule combines them; Byzantine clients can move the clip norm within floor and ceiling")
		}
		if r.NoiseShift != nil && *r.NoiseShift > harmfulShift {
			say("aggregation.rule %s: under this noise %d bad vectors can push each round's result by %.3g times the clip norm in a direction of their choice, and honest updates have at most 1: "+
				"a model that is attacked may not learn. Less noise, more buckets, fewer Byzantine clients or fewer parameters bring it down", r.Rule, min(r.F, r.WorstBad), *r.NoiseShift)
		}
		if r.SpareVectors < r.WorstBad {
			say("cohort.minimum %d: a round goes on without %d of %d vectors; Byzantine clients that vanish or upload what is no vector can cost it %d, and so stop it", f.Rounds.Minimum, r.SpareVectors, r.MostVectors, r.WorstBad)
		}
	}
	if r.Warning != "" && r.Resists {
		say("aggregation.rule %s: %s", r.Rule, r.Warning)
	}
	switch f.View {
	case "sum":
		say("aggregation.view sum: poisoner attribution unavailable in this mode; whoever poisons shows in the aggregate alone")
	case "bucket_means":
		say("aggregation.view bucket_means: a bad vector names a bucket and no client: poisoner attribution unavailable in this mode")
	}
}
