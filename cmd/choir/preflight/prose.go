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

	paragraph("The plan of job %s trains a model of %d parameters%s in %d rounds. In each round %d clients are invited%s; a sum is opened only if it holds at "+
		"least %d of them. A round that fails is begun anew, with new keys, up to %d times in all.",
		f.Job, f.Parameters, architecture(l), r.Count, r.Invited, chosen(l), r.Minimum, r.Attempts)
	paragraph("A client trains for %d epochs on its own data in batches of %d at learning rate %g. Its update is the difference between its model and the one it "+
		"received, clipped to an L2 norm of %g, scaled by %.6g, and rounded at random to integers of %d bits, which travel as words of %d bits. A sum of %d such "+
		"integers cannot wrap; up to %d would fit.", l.Training.Epochs, l.Training.BatchSize, l.Training.LearningRate, e.ClipNorm, e.Scale, e.Bits, e.WordBits,
		r.Invited, e.MaxClients)
	paragraph("%s The server divides the sum by %s and applies it with %s.", protection(f), denominator(l), l.Optimizer.Name)
	paragraph("What the coordinator sees. %s", f.Sees())
	paragraph("What others see. %s", others(f))
	paragraph("What can go wrong. %s", f.trouble())
	paragraph("What it costs. In an attempt without drop-outs a client sends %s and receives %s, model included; its upload takes %.3f bytes a parameter. By an "+
		"estimate for one core of a small server, a client needs %s for keys and shares and %s for encoding and masking, the coordinator %s for adding all uploads "+
		"and opening the sum. It holds vectors of %s and messages of %s, and up to %s of uploads on disk.",
		Size(f.Bytes.Up), Size(f.Bytes.Down), f.Bytes.PerCoordinate, millis(f.Time.ClientKeysMS), millis(f.Time.ClientVectorMS),
		millis(f.Time.AttemptMS), Size(f.Memory.Vectors), Size(f.Memory.Messages), Size(f.Memory.SpoolDisk))
	paragraph("What is not promised. No epsilon is stated, for those who see the released models or for those who see a roster: mode %s adds no noise. Clipping "+
		"binds honest clients only; a corrupt one can push a sum to a norm of %.3g. Who takes part, when, and how much is sent are not hidden.", f.Privacy.Mode, e.CorruptNorm)
	_, err := io.WriteString(w, strings.TrimSuffix(b.String(), "\n"))
	return err
}

func architecture(l plan.Literal) string {
	if l.Model.Architecture == "" {
		return ""
	}
	return " (" + l.Model.Architecture + ")"
}

func chosen(l plan.Literal) string {
	how := ", drawn at random from all that are enrolled"
	if l.Cohort.Selection == string(plan.SelectCheckIn) {
		how = ", the first to check in"
	}
	if l.Cohort.OverSelection > 1 {
		how += fmt.Sprintf(", and uploads close once %d of them are complete", l.Cohort.Size)
	}
	return how
}

func denominator(l plan.Literal) string {
	if l.Aggregation.Denominator == "fixed" {
		return fmt.Sprintf("%d, the wanted cohort,", l.Cohort.Size)
	}
	return "the sum of the clients' weights, which is summed in the same way,"
}

func protection(f *Findings) string {
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
	if f.Graph == nil {
		return "A client sees the models it is sent and the names of those admitted with it; somebody on the network sees who talks when and how much, and no content."
	}
	return fmt.Sprintf("A client sees the models it is sent, and the names of those admitted with it and of the survivors, but no other's update; nor do %d clients "+
		"together. Somebody on the network sees who talks when and how much, and no content. An auditor sees what is handed over, and never more than the coordinator.",
		f.Graph.Threshold-1)
}

func (f *Findings) trouble() string {
	var out []string
	if g := f.Graph; g != nil {
		out = append(out, fmt.Sprintf("Up to %d of %d clients may vanish in mid-round.", g.MaxDropouts, g.Clients))
	}
	for _, x := range f.Failure {
		out = append(out, fmt.Sprintf("If each vanishes with probability %g on its own, an attempt fails with probability %.2g and a round with %.2g.",
			x.Dropout, x.Attempt, x.Round))
	}
	return strings.Join(append(out, "A failed attempt publishes nothing; one that fails after shares were released counts as seen by the coordinator."), " ")
}
