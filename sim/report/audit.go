package report

import (
	"fmt"

	"github.com/choir-fl/choir/sim"
	"github.com/choir-fl/choir/sim/audit"
)

// Audits says what the audit of a run found, beside what was claimed, for both
// observers; nothing if nobody audited it.
func Audits(r sim.Result) []Statement {
	if r.Audit == nil {
		return nil
	}
	return []Statement{
		audited("audit, who sees released models", r.Audit.Released, r.Audit.Gaussian),
		audited("audit, who sees a roster", r.Audit.Coordinator, r.Audit.Gaussian),
	}
}

// AuditNote says what an audit does to a run.
const AuditNote = "Canaries sent directions of their own instead of what they had learned: the accuracy of an audited run is not the plan's"

func audited(name string, a audit.Report, gaussian bool) Statement {
	out := Statement{Name: name, Value: fmt.Sprintf("epsilon is at least %s at delta %g, with %g %% confidence; %s", lower(a.EpsilonOneRun), a.Delta, 100*a.Confidence, claim(a))}
	guesses := "no more guesses were right than chance explains"
	if a.Guesses > 0 {
		guesses = fmt.Sprintf("%d of %d guesses were right", a.Correct, a.Guesses)
	}
	out.Meaning = fmt.Sprintf("who of %d canaries sent a direction, and who zero, was guessed from what was released: %s. ", a.Canaries, guesses)
	switch {
	case a.Claimed == nil:
		out.Meaning += "Nothing is claimed that it could refute"
	case a.Refuted(gaussian):
		out.Meaning += "The claim is refuted: the privacy statement is wrong"
	default:
		out.Meaning += "A lower bound below the claim refutes nothing, and proves nothing"
	}
	switch {
	case a.EpsilonFDP > 0 && gaussian:
		out.Meaning += fmt.Sprintf(". By a test that counts on the Gaussian noise of this run it is at least %s", lower(a.EpsilonFDP))
	case a.EpsilonFDP > 0:
		out.Meaning += fmt.Sprintf(". Were the run Gaussian noise on sums that nobody sampled, and only then, at least %s", lower(a.EpsilonFDP))
		if a.Claimed != nil && a.EpsilonFDP > *a.Claimed {
			out.Meaning += ", which would be above the claim"
		}
	}
	return out
}

// claim is the upper bound that an audit is held against.
func claim(a audit.Report) string {
	if a.Claimed == nil {
		return "nothing is claimed"
	}
	return "claimed: at most " + Upper(*a.Claimed)
}
