package preflight

import (
	"fmt"
	"io"
	"strings"

	"github.com/choir-fl/choir/coordinator/plan"
)

// WriteProse tells in one page what the plan means, for a reader who did not write it.
func (f *Findings) WriteProse(w io.Writer, p plan.Plan) error {
	var b strings.Builder
	paragraph := func(format string, args ...any) {
		b.WriteString(Wrap(fmt.Sprintf(format, args...), "", "", 84) + "\n")
	}
	l, r, e := p.Literal(), f.Rounds, f.Encoding

	paragraph("The plan of job %s trains a model of %d parameters%s in %d rounds. In each, %d clients are invited%s; what is opened holds at "+
		"least %d of them%s. A round that fails is begun anew with new keys, %d times in all.",
		f.Job, f.Parameters, architecture(l), r.Count, r.Invited, chosen(f, l), r.Minimum, division(f), r.Attempts)
	paragraph("A client trains for %s on its own data in batches of %d at learning rate %g. Its update is the difference between its model and the one it "+
		"received, clipped to an L2 norm of %g%s, scaled by %.6g, and rounded at random to integers%s of %d bits, which travel as words of %d bits. A sum of %d such "+
		"integers cannot wrap; up to %d would fit.", plural(l.Training.Epochs, "epoch"), l.Training.BatchSize, l.Training.LearningRate, e.ClipNorm, f.rotated(), e.Scale, f.noised(),
		e.Bits, e.WordBits, r.Invited, e.MaxClients)
	paragraph("%s The server divides the sum by %s and applies it with %s.", protection(f), denominator(l), l.Optimizer.Name)
	if f.Robustness.Resists {
		paragraph("How vectors become one. %s", f.combined())
	} else if f.Robustness.Passes != nil {
		paragraph("How updates are weighed. %s", f.weighed())
	}
	paragraph("What the coordinator sees. %s", f.Sees())
	paragraph("What others see. %s", others(f))
	paragraph("What can go wrong. %s", f.trouble())
	paragraph("What it costs. In an attempt without drop-outs a client sends %s and receives %s, model included; its upload takes %.3f bytes a parameter. By an "+
		"estimate for one core of a small server, a client needs %s for roster, keys and shares and %s for encoding and protecting its update, the coordinator %s for adding all "+
		"uploads and opening %s. It holds vectors of %s and messages of %s, and up to %s of uploads on disk.%s",
		Size(f.Bytes.Up), Size(f.Bytes.Down), f.Bytes.PerCoordinate, millis(f.Time.ClientKeysMS), millis(f.Time.ClientVectorMS),
		millis(f.Time.AttemptMS), theSums(f), Size(f.Memory.Vectors), Size(f.Memory.Messages), Size(f.Memory.SpoolDisk), memberCosts(f))
	if a := f.Advice; a != nil {
		paragraph("Which scheme suits. %s: %s", a.Scheme, a.Reason)
	}
	if f.Privacy.Noise != nil {
		paragraph("What is promised. %s", f.promised())
	}
	paragraph("What is not promised. %s Clipping "+
		"binds honest clients only; a corrupt one can push a sum to a norm of %.3g. Who takes part, when, and how much is sent are not hidden.", f.notPromised(), e.CorruptNorm)
	_, err := io.WriteString(w, strings.TrimSuffix(b.String(), "\n"))
	return err
}

func architecture(l plan.Literal) string {
	if l.Model.Architecture == "" {
		return ""
	}
	return " (" + l.Model.Architecture + ")"
}

func chosen(f *Findings, l plan.Literal) string {
	if c := f.coins(); c != nil {
		return fmt.Sprintf(" at most: each of %d by a secret coin at rate %.4g, %d in expectation", *c.Population, *c.Rate, l.Cohort.Size)
	}
	how := ", drawn at random from all that are enrolled"
	if l.Cohort.Selection == string(plan.SelectCheckIn) {
		how = ", the first to check in"
	}
	if k := f.Rounds.CloseAt; k > 0 {
		how += fmt.Sprintf(", and uploads close once %d of them are complete", k)
	}
	return how
}

func denominator(l plan.Literal) string {
	if l.Aggregation.Denominator == "fixed" {
		return fmt.Sprintf("%d, the wanted cohort,", l.Cohort.Size)
	}
	return "the sum of the clients' weights, which is summed in the same way,"
}

// division says how the clients of a round are divided.
func division(f *Findings) string {
	b := f.Buckets
	switch {
	case f.single():
		return ", each in a vector of its own"
	case b == nil:
		return ", in one sum"
	case b.Fallback:
		return fmt.Sprintf(", in one sum, or, after a spoiled one, in the sums of %d buckets of at least %d", b.Count, b.Minimum)
	}
	return fmt.Sprintf(", in the sums of %d buckets, drawn at random, of at least %d; a bucket in which fewer are left, %.3g on average, is not opened", b.Count, b.Minimum, b.Short)
}

// memberCosts are those of a committee member.
func memberCosts(f *Findings) string {
	o := f.Oneshot
	if o == nil {
		return ""
	}
	return fmt.Sprintf(" A committee member receives %s, sends %s and computes for %s.", Size(o.Member.Down), Size(o.Member.Up), millis(o.MemberMS))
}

func protection(f *Findings) string {
	if o := f.Oneshot; o != nil {
		return fmt.Sprintf("Each client encrypts these integers under a secret of its own, shares the secret among the %d members of committee %s, uploads both at once, and may "+
			"vanish. Encrypted vectors add up, and so do secrets: members release sums of their shares, and only after %d of them have signed the same list of "+
			"survivors. The shares of %s tell nothing.", o.Members, o.Committee, o.Quorum, plural(o.Corrupt, "member"))
	}
	g := f.Graph
	if g == nil {
		return "Clients upload these integers as they are: scheme plain protects nothing."
	}
	holders := fmt.Sprintf("%d others that it draws itself", g.Degree)
	if g.Complete {
		holders = "all others"
	}
	return fmt.Sprintf("Clients mask these integers in pairs, so that the masks cancel in the sum of all, and share the secrets behind the masks among %s: any %d of "+
		"these can rebuild the masks of a client that vanished, fewer learn nothing. They release shares only once %d clients have signed the same list of survivors.",
		holders, g.Threshold, g.Quorum)
}

func others(f *Findings) string {
	sent := "the models"
	if f.passes > 0 {
		sent = "the models and centres"
	}
	if o := f.Oneshot; o != nil {
		return fmt.Sprintf("A client sees %s it is sent, and the names of those admitted with it and of the committee, but no other's update. Committee members "+
			"see who takes part and survives; up to %d of them together learn no update and no sum. Somebody on the network sees who talks when and how much. An auditor "+
			"sees what is handed over, and never more than the coordinator.", sent, o.Corrupt)
	}
	if f.Graph == nil {
		return "A client sees " + sent + " it is sent and the names of those admitted with it; somebody on the network sees who talks when and how much, and no content."
	}
	return fmt.Sprintf("A client sees %s it is sent, and the names of those admitted with it and of the survivors, but no other's update; nor do %d clients "+
		"together. Somebody on the network sees who talks when and how much, and no content. An auditor sees what is handed over, and never more than the coordinator.",
		sent, f.Graph.Threshold-1)
}

func (f *Findings) trouble() string {
	var out []string
	if g := f.Graph; g != nil {
		out = append(out, fmt.Sprintf("Up to %d of %d clients may vanish in mid-round.", g.MaxDropouts, g.Clients))
	}
	if o := f.Oneshot; o != nil {
		out = append(out, fmt.Sprintf("Clients may vanish at any time; of a full cohort %d are sure to remain if no more than declared vanish, corrupt clients among them, even if corrupt members have %d left out. "+
			"%s of %d may be absent.", o.Left, o.Evictions, plural(o.Members-o.Quorum, "member"), o.Members))
	}
	for _, x := range f.Failure {
		out = append(out, fmt.Sprintf("If each vanishes with probability %g on its own, an attempt fails with probability %.2g and a round with %.2g.",
			x.Dropout, x.Attempt, x.Round))
	}
	return strings.Join(append(out, "A failed attempt publishes nothing; one that fails after shares were released counts as seen by the coordinator."), " ")
}
