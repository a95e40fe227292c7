package preflight

import (
	"fmt"

	"github.com/choir-fl/choir/secagg"
)

// openedSums says what a round opens.
func openedSums(f *Findings) string {
	switch b := f.Buckets; {
	case f.single():
		return "each client's own vector"
	case b == nil:
		return "one sum over all survivors"
	case b.Fallback:
		return fmt.Sprintf("one sum over all survivors; after one that was spoiled, the sums of %d buckets", b.Count)
	default:
		return fmt.Sprintf("the sums of %d buckets", b.Count)
	}
}

// single reports whether each client's own vector is opened.
func (f *Findings) single() bool { return f.View == secagg.ViewVectors.String() }

func theSums(f *Findings) string {
	if n := f.sums(); n > 1 {
		return fmt.Sprintf("the %d sums", n)
	}
	return "the sum"
}

// allThere says what the probabilities of failure take for granted.
func (f *Findings) allThere() string {
	if f.Oneshot == nil {
		return ""
	}
	return " and a committee that answers"
}

func (o *Oneshot) write(section func(string), row func(string, string, ...any), f *Findings) {
	section("encryption for a committee")
	row("committee c of m", "%s: %d of %d members may be corrupt", o.Committee, o.Corrupt, o.Members)
	row("root", "%s", o.Root)
	row("quorum q", "%d members must agree; %d may be absent, or, if all are there, %d wrong answers are corrected and named", o.Quorum, o.Members-o.Quorum, o.Correctable)
	row("set", "%s: ring of degree %d, %d bits of noise (kappa), %d words in a coefficient (slots)", o.Set, o.Degree, o.Kappa, o.Slots)
	row("upload", "%s of ciphertext, %d letters of %s", Size(o.Body), o.Members, Size(int64(o.LetterSize)))
	row("corrupt f", "%d of %d clients at most", o.CorruptClients, f.Rounds.Invited)
	row("evictions c*f", "%s may be left out at the word of corrupt members; of a full cohort %d remain if no more vanish than declared", plural(o.Evictions, "honest client"), o.Left)
	row("honest h", "at least %d honest clients in each opened sum, %d corrupt ones reckoned with%s", o.Honest, o.InBucket, o.certainty(f))
}

// plural counts things.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// certainty says how sure h is.
func (o *Oneshot) certainty(f *Findings) string {
	out := ""
	if f.Buckets != nil {
		out = fmt.Sprintf(", but for a chance of 2^-%d in each round", o.PrivacyBits)
	}
	if o.SizesTried < o.Sizes {
		out += fmt.Sprintf(" (%d of %d sizes of cohort were tried)", o.SizesTried, o.Sizes)
	}
	return out
}

func (b *Buckets) write(section func(string), row func(string, string, ...any), f *Findings) {
	title := "buckets"
	if b.Fallback {
		title += ", in attempts after one whose sum was spoiled"
	}
	section(title)
	sizes := fmt.Sprint(b.Largest)
	if b.Smallest < b.Largest {
		sizes = fmt.Sprintf("%d or %d", b.Smallest, b.Largest)
	}
	row("division", "%d buckets of %s clients, opened with %d or more", b.Count, sizes, b.Minimum)
	row("worst case", "%d of %d buckets hold a corrupt client; each does with probability %.2g", b.WorstBad, b.Count, b.BadChance)
	row("left out as short", "%.3g buckets on average, with %.3g survivors in them; any at all with probability %.2g", b.Short, b.ShortClients, b.AnyShort)
	if b.Missing > 0 {
		row("", "%.3g on average if exactly %d of the clients are missing", b.ShortMissing, b.Missing)
	}
}
