package preflight

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText prints the report as tables for a terminal.
func (f *Findings) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	section := func(title string) { fmt.Fprintf(t, "\n%s\n", title) }
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}

	fmt.Fprintf(t, "plan of job %s: accepted\n", f.Job)
	row("digest", "%s", f.Digest)
	row("scheme", "%s", f.Scheme)
	row("model", "%d parameters", f.Parameters)
	row("rounds", "%d, each in at most %d attempts", f.Rounds.Count, f.Rounds.Attempts)
	row("cohort", "%s, %d at least%s", f.invited(), f.Rounds.Minimum, closing(f))
	row("opened", "%s", openedSums(f))

	e := f.Encoding
	section("encoding")
	row("clip norm", "%g over the whole update", e.ClipNorm)
	row("scale", "%.6g integers per unit, a step of %.3g; rounding errs by a norm of %.3g at most, in the mean square", e.Scale, e.Step, e.RoundingNorm)
	row("bits, range", "%d bits, integers in +-%d", e.Bits, e.Range)
	row("word", "%d bits, %d words (%d of them extras)", e.WordBits, e.Words, e.Extras)
	row("overflow", "%d clients fit into a sum, %d are invited: %.0f %% of the budget", e.MaxClients, f.Rounds.Invited, 100*e.BudgetUsed)

	if g := f.Graph; g != nil {
		section("pairwise masking" + perBucket(f))
		row("degree k", "%d share holders for each client%s", g.Degree, completeness(g))
		row("threshold t", "%d of them rebuild a secret", g.Threshold)
		row("quorum q", "%d signatures on one survivor set", g.Quorum)
		row("corrupt f", "%d of %d at most", g.MaxCorrupt, g.Clients)
		row("drop-outs", "%d of %d at most", g.MaxDropouts, g.Clients)
		row("sums", "over at least %d clients, %d of them honest, whoever is admitted%s", g.Survivors, g.Honest, g.tried())
	}

	if f.Oneshot != nil {
		f.Oneshot.write(section, row, f)
	}
	if f.Buckets != nil && !f.single() {
		f.Buckets.write(section, row, f)
	}
	f.writeRobustness(section, row)

	section("failure, for independent drop-outs in " + f.typical() + f.allThere())
	for _, x := range f.Failure {
		row(fmt.Sprintf("rate %g", x.Dropout), "an attempt fails with probability %.2g, a round with %.2g", x.Attempt, x.Round)
	}

	f.writeBytes(t)
	f.writeCosts(section, row)

	f.writePrivacy(section, row)
	if err := t.Flush(); err != nil {
		return err
	}
	return f.writeKnowledge(w)
}

// invited says who is asked to come.
func (f *Findings) invited() string {
	if r := f.coins(); r != nil {
		return fmt.Sprintf("%d in expectation, each of %d by a coin, never more than %d", f.Rounds.Cohort, *r.Population, f.Rounds.Invited)
	}
	return fmt.Sprintf("%d invited, %d wanted", f.Rounds.Invited, f.Rounds.Cohort)
}

// coins is how cohorts are drawn, if by coins of their own.
func (f *Findings) coins() *Sampling {
	if n := f.Privacy.Noise; n != nil && n.Sampling.Rate != nil {
		return &n.Sampling
	}
	return nil
}

// typical names the cohort that probabilities of failure are about.
func (f *Findings) typical() string {
	if f.coins() != nil {
		return "a cohort as coins draw it"
	}
	return "a full cohort"
}

// largest says that costs are those of the largest cohort that coins draw.
func (f *Findings) largest() string {
	if f.coins() != nil {
		return fmt.Sprintf(", in the largest cohort (%d)", f.Rounds.Invited)
	}
	return ""
}

// perBucket says that a section is about one bucket.
func perBucket(f *Findings) string {
	if f.sums() > 1 {
		return ", in each bucket"
	}
	return ""
}

func closing(f *Findings) string {
	if f.Rounds.CloseAt == 0 {
		return ""
	}
	return fmt.Sprintf("; uploads close at %d", f.Rounds.CloseAt)
}

func completeness(g *Graph) string {
	if g.Complete {
		return " (the complete graph)"
	}
	return fmt.Sprintf(" (about %d neighbours with masks)", g.neighbours())
}

func (g *Graph) tried() string {
	if g.SizesTried == g.Sizes {
		return ""
	}
	return fmt.Sprintf(" (%d of %d sizes of cohort were tried)", g.SizesTried, g.Sizes)
}

func (f *Findings) writeBytes(w io.Writer) {
	fmt.Fprintf(w, "\nbytes per client and attempt%s, before TLS and gRPC\n  phase\tup\tdown\n", f.largest())
	for _, p := range f.Bytes.Phases {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", p.Name, Size(p.Up), Size(p.Down))
	}
	fmt.Fprintf(w, "  total\t%s\t%s\n", Size(f.Bytes.Up), Size(f.Bytes.Down))
	fmt.Fprintf(w, "  upload alone\t%s\t%.3f bytes per parameter\n", Size(f.Bytes.Upload), f.Bytes.PerCoordinate)
	if o := f.Oneshot; o != nil {
		fmt.Fprintf(w, "\nbytes per committee member and attempt%s, before TLS and gRPC\n  phase\tup\tdown\n", f.largest())
		for _, p := range o.Member.Phases {
			fmt.Fprintf(w, "  %s\t%s\t%s\n", p.Name, Size(p.Up), Size(p.Down))
		}
		fmt.Fprintf(w, "  total\t%s\t%s\n", Size(o.Member.Up), Size(o.Member.Down))
	}
}

func (f *Findings) writeCosts(section func(string), row func(string, string, ...any)) {
	t, m := f.Time, f.Memory
	section("time on one core of a small server, without training and network: an estimate" + f.largest())
	row("client", "%s for roster, keys and shares, %s for the vector", millis(t.ClientKeysMS), millis(t.ClientVectorMS))
	open := millis(t.OpenMS)
	switch {
	case t.OpenDropoutsMS != nil:
		open += fmt.Sprintf(" (%s if all planned drop-outs happen late)", millis(*t.OpenDropoutsMS))
	case f.Oneshot != nil:
		open += " (however many dropped out)"
	}
	row("coordinator", "%s for each upload; to open %s %s", millis(t.UploadMS), theSums(f), open)
	if f.Oneshot != nil {
		row("committee member", "%s", millis(f.Oneshot.MemberMS))
	}
	u := t.UnitCosts
	row("unit costs", "encode %g, decode %g ns a word; sign, verify %g, %g us", u.EncodeNanos, u.DecodeNanos, u.Sign, u.Verify)
	switch {
	case f.Oneshot != nil:
		row("", "encrypt %g, add %g, decrypt %g ns a word; write, read a letter %g, %g us", u.EncryptNanos, u.AddCipherNanos, u.DecryptNanos, u.WriteLetter, u.ReadLetter)
	case f.Graph != nil:
		row("", "mask %g, pack %g, add %g ns a word; X-Wing keys, encapsulate, decapsulate %g, %g, %g us", u.MaskNanos, u.PackNanos, u.AddNanos,
			u.KeyPair, u.Encapsulate, u.Decapsulate)
	default:
		row("", "pack %g, add %g ns a word", u.PackNanos, u.AddNanos)
	}
	if f.Privacy.Noise != nil {
		row("", "rotate %g, draw noise %g ns a word", u.RotateNanos, u.NoiseNanos)
	}
	section("the coordinator's memory in an attempt" + f.largest())
	row("vectors", "%s, however many clients there are", Size(m.Vectors))
	row("messages", "%s", Size(m.Messages))
	row("spool on disk", "%s at most", Size(m.SpoolDisk))
}

const width = 100

func (f *Findings) writeKnowledge(w io.Writer) error {
	var b strings.Builder
	b.WriteString("\nwhat each party could learn in a round\n")
	for _, k := range f.Knowledge {
		fmt.Fprintf(&b, "  %s\n", k.Party)
		for _, s := range k.Learns {
			b.WriteString(Wrap(s, "    learns      ", "                ", width))
		}
		for _, s := range k.Not {
			b.WriteString(Wrap(s, "    never       ", "                ", width))
		}
	}
	if a := f.Advice; a != nil {
		fmt.Fprintf(&b, "\nrecommended scheme: %s\n", a.Scheme)
		b.WriteString(Wrap(a.Reason, "  ", "  ", width))
		for _, o := range a.Options {
			b.WriteString(Wrap(o.text(), "  - ", "    ", width))
		}
	}
	if len(f.Warnings) > 0 {
		b.WriteString("\nwarnings\n")
		for _, s := range f.Warnings {
			b.WriteString(Wrap(s, "  - ", "    ", width))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Wrap breaks text at spaces into lines of at most width characters. The first
// begins with first, all others with rest; each ends with a newline.
func Wrap(text, first, rest string, width int) string {
	var b strings.Builder
	line, empty := first, true
	for _, word := range strings.Fields(text) {
		if !empty && len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line, empty = rest, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	return b.String() + strings.TrimRight(line, " ") + "\n"
}

// Size prints a number of bytes.
func Size(n int64) string {
	switch v := float64(n); {
	case v >= 1<<30:
		return fmt.Sprintf("%.2f GiB", v/(1<<30))
	case v >= 1<<20:
		return fmt.Sprintf("%.2f MiB", v/(1<<20))
	case v >= 1<<10:
		return fmt.Sprintf("%.1f KiB", v/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// millis prints a duration.
func millis(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.3g s", v/1000)
	}
	return fmt.Sprintf("%.3g ms", v)
}
