package preflight

import (
	"fmt"
	"strings"

	"github.com/choir-fl/choir/sim/report"
)

// writePrivacy prints what the noise is and what it promises to whom.
func (f *Findings) writePrivacy(section func(string), line func(string, string, ...any)) {
	row := func(name, format string, args ...any) { // texts are long here
		for i, part := range strings.Split(strings.TrimSuffix(Wrap(fmt.Sprintf(format, args...), "", "", width), "\n"), "\n") {
			if i > 0 {
				name = ""
			}
			line(name, "%s", part)
		}
	}
	p := f.Privacy
	n := p.Noise
	if n == nil {
		section("epsilon")
		row("who sees released models", "none stated")
		row("who sees a roster", "none stated")
		return
	}
	section("privacy")
	row("mode", "%s%s", p.Mode, trusted(p))
	row("mechanism", "%s", n.Mechanism)
	row("unit, relation", "%s, %s", n.Unit, n.Relation)
	row("sampling", "%s", n.Sampling.text())
	row("noise multiplier", "%.6g%s; %.6g of all that a sum holds, rounding included", n.Multiplier, adapting(n), n.JointMultiplier)
	row("sigma", "%.6g in each coordinate of a sum%s, in units of the update; scale %.6g, which costs %.3g %% of sensitivity", n.Sigma, n.ofFewest(), n.Scale, 100*n.SensitivityCost)
	n.writeShares(row, f)
	row("noise norm / C", "%.3g in a sum%s; %.3g in the mean of a full %s, where one update has at most 1", n.NoiseNorm, n.ofFewest(), n.MeanNoise, f.unit())
	row("signal to noise", "%.3g at best, if all updates have the clip norm and agree", n.SignalToNoise)
	if k := n.Clipping; k != nil {
		row("clip norm", "follows the %g quantile of norms at rate %g between %g and %g; noise %.3g in the sum of clip bits", k.Quantile, k.Rate, k.Floor, k.Ceiling, k.BitSigma)
	}
	row("participation", "%s", n.participation())
	row("delta", "%g, of which %.2g is set aside: buckets %.2g, coins that decide %.2g, redrawn tails %.2g", *p.Delta, n.Slack.Total, n.Slack.Buckets, n.Slack.Sampling, n.Slack.Tails)

	section(fmt.Sprintf("epsilon at delta %g, after %d rounds", *p.Delta, f.Rounds.Count))
	row("who sees released models", "%s", epsilonText(p.EpsilonReleased, p.ReleasedReason))
	row("who sees a roster", "%s", epsilonText(p.EpsilonCoordinator, p.CoordinatorReason))
	if n.Sampling.Rate != nil {
		row("without amplification", "%s", epsilonText(n.Unamplified, p.unamplifiedReason()))
	}
	row("one attempt more", "%s who sees released models, %s who sees a roster; an attempt that fails after unmasking began costs as much as one that succeeds",
		more(n.ExtraReleased), more(n.ExtraCoordinator))
	row("budget", "%s", f.budget())
}

func trusted(p Privacy) string {
	if p.TrustCoordinator {
		return ", the coordinator is trusted"
	}
	return ""
}

// unit is what a sum of a full one is over.
func (f *Findings) unit() string {
	if f.sums() > 1 {
		return "bucket"
	}
	return "cohort"
}

func (s Sampling) text() string {
	if s.Rate == nil {
		return "none is claimed: nothing is hidden by who is drawn"
	}
	return fmt.Sprintf("%s, each of %d clients with probability %.4g; who vouches for it: %s", s.Mode, *s.Population, *s.Rate, *s.Vouched)
}

func adapting(n *Noise) string {
	if n.Clipping != nil {
		return " for update and clip bit together"
	}
	return ""
}

func (n *Noise) writeShares(row func(string, string, ...any), f *Findings) {
	switch {
	case f.Privacy.Mode == "central":
		row("shares", "none: the coordinator adds one draw to each opened sum")
	case f.Privacy.Mode == "local" && n.Filled > 0:
		row("shares", "each client's alone, of sigma %.4g%s", n.ShareSigma, f.theirs())
	case f.Privacy.Mode == "local":
		row("shares", "each client's alone suffices; a sum of a full %s holds %.3g times the noise", f.unit(), n.Surplus)
	case n.Filled > 0:
		row("shares", "of at least %d survivors' %s, which leaves %d honest ones, of sigma %.4g each%s",
			n.Survivors, known(n.Corrupt), n.Shares, n.ShareSigma, f.theirs())
	case f.Buckets != nil:
		row("shares", "of at least %d in a bucket or sum %s (c*), which leaves %d honest ones (h), of sigma %.4g each; a full %s adds %.3g times the noise reckoned with",
			n.Survivors, known(n.Corrupt), n.Shares, n.ShareSigma, f.unit(), n.Surplus)
	default:
		row("shares", "of at least %d survivors' %s, which leaves %d honest ones, of sigma %.4g each; a full %s adds %.3g times the noise reckoned with",
			n.Survivors, known(n.Corrupt), n.Shares, n.ShareSigma, f.unit(), n.Surplus)
	}
	if n.Filled > 0 {
		row("released models", "the coordinator fills each sum up to %d shares, %.3g times the noise of those above, so that the noise does not tell how many were drawn; "+
			"of these %s, which leaves sigma %.6g", n.Filled, n.Surplus, known(n.FilledCorrupt), n.SigmaReleased)
	}
}

// known says how many shares whoever looks on may take off.
func known(shares int) string {
	if shares == 1 {
		return "1 may be known, to a corrupt client or to one that looks on and knows its own"
	}
	return fmt.Sprintf("%d may be known to corrupt clients", shares)
}

// unamplifiedReason says why Unamplified is null.
func (p Privacy) unamplifiedReason() *string {
	if p.EpsilonCoordinator != nil || p.CoordinatorReason == nil {
		return nil
	}
	return pointer(fmt.Sprintf("above %d it is not stated, as noise that is redrawn beyond its cut would count", maxUnamplified))
}

// theirs says whom the noise of the fewest honest shares is for.
func (f *Findings) theirs() string {
	if f.Privacy.EpsilonCoordinator == nil {
		return ""
	}
	return ": what those who see rosters are promised"
}

// ofFewest says whose noise is meant where released models have more.
func (n *Noise) ofFewest() string {
	if n.Filled > 0 {
		return " of the fewest honest shares"
	}
	return ""
}

func (n *Noise) participation() string {
	out := "a client may be in every round"
	if n.Participations > 0 {
		out = fmt.Sprintf("a client is in at most %s", plural(n.Participations, "charged attempt"))
	}
	if n.Separation > 1 {
		out += fmt.Sprintf(", %d rounds apart", n.Separation)
	}
	return out
}

// epsilonText prints an upper bound, rounded up, and what it means.
func epsilonText(v *float64, reason *string) string {
	if v == nil {
		if reason == nil {
			return "no finite bound"
		}
		return "none: " + *reason
	}
	return report.Upper(*v) + ": " + report.Odds(*v)
}

func more(v *float64) string {
	if v == nil {
		return "not stated for"
	}
	return fmt.Sprintf("%+.3g for", *v)
}

// budget says when the run stops.
func (f *Findings) budget() string {
	b, all := f.Privacy.Noise.Budget, f.Rounds.Count*f.Rounds.Attempts
	text := func(n int) string {
		if n >= all {
			return fmt.Sprintf("lasts for all %d attempts", all)
		}
		room := fmt.Sprintf(", which leaves room for %d that fail after unmasking began", n-f.Rounds.Count)
		if n < f.Rounds.Count {
			room = fmt.Sprintf(", before the last of %d rounds", f.Rounds.Count)
		}
		return fmt.Sprintf("is spent after %d charged attempts", n) + room
	}
	out := fmt.Sprintf("%g for released models %s", b.Released, text(b.AttemptsReleased))
	if b.Coordinator == nil {
		return out + "; none is stated for rosters"
	}
	return out + fmt.Sprintf("; with %g for rosters the run's %s", *b.Coordinator, text(b.Attempts))
}

// rotated and noised say what a client does to its update beside rounding it.
func (f *Findings) rotated() string {
	switch n := f.Privacy.Noise; {
	case n == nil:
		return ""
	case n.Clipping != nil:
		return " that follows a quantile of the clients' norms, rotated at random, which all know"
	}
	return ", rotated at random, which all know"
}

func (f *Findings) noised() string {
	switch {
	case f.Privacy.Noise == nil || f.Privacy.Mode == "central":
		return ""
	case f.Privacy.Mode == "local":
		return ", with exact integer noise that suffices alone,"
	}
	return ", with its share of exact integer noise,"
}

// promised tells in prose what the noise promises to whom.
func (f *Findings) promised() string {
	p, n := f.Privacy, f.Privacy.Noise
	out := fmt.Sprintf("To one client, under relation %s and at delta %g, after %d rounds. Against who sees released models: epsilon %s. Against who sees rosters, which are the coordinator, "+
		"its committee and the clients of a cohort: epsilon %s. ", n.Relation, *p.Delta, f.Rounds.Count, epsilonText(p.EpsilonReleased, p.ReleasedReason), epsilonText(p.EpsilonCoordinator, p.CoordinatorReason))
	if n.Sampling.Rate != nil {
		out += fmt.Sprintf("The first rests on %s. ", *n.Sampling.Vouched)
		if n.Filled > 0 {
			out += fmt.Sprintf("Released models hold %d shares of noise, however many clients were drawn. ", n.Filled)
		}
		out += "How many survived a round, and who, must stay unknown to those for whom it counts. "
	}
	return out + fmt.Sprintf("The ledger of population %s stops the run before a budget is passed: %s.", n.Population, f.budget())
}

// notPromised tells what noise leaves open.
func (f *Findings) notPromised() string {
	if f.Privacy.Noise == nil {
		return fmt.Sprintf("No epsilon is stated, for those who see the released models or for those who see a roster: mode %s adds no noise.", f.Privacy.Mode)
	}
	return "No epsilon covers runs that were made to find the plan's numbers, or what a client does with its data elsewhere."
}
