package report

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/sim"
	"github.com/choir-fl/choir/sim/audit"
)

// found is an audit with a lower bound, beside a claim.
func found(oneRun, fdp float64, claimed *float64) audit.Report {
	r := audit.Report{Canaries: 400, EpsilonOneRun: oneRun, EpsilonFDP: fdp, Claimed: claimed, Delta: 1e-5, Confidence: 0.95}
	if oneRun > 0 {
		r.Guesses, r.Correct = 25, 24
	}
	return r
}

func TestAuditsSayWhatWasFoundBesideTheClaim(t *testing.T) {
	for name, c := range map[string]struct {
		found audit.Report
		gauss bool
		value string
		says  []string
		never []string
	}{
		"below the claim": {found(1.23456, 0, pointer(2.34501)), false, "epsilon is at least 1.234 at delta 1e-05, with 95 % confidence; claimed: at most 2.346",
			[]string{"who of 400 canaries", "24 of 25 guesses were right", "refutes nothing, and proves nothing"}, []string{"Gaussian noise", "wrong"}},
		"nothing found": {found(0, 0, pointer(2)), false, "epsilon is at least 0 at", []string{"than chance explains", "proves nothing"}, []string{"guesses were right: "}},
		"above the claim": {found(2.5, 0, pointer(2)), false, "epsilon is at least 2.5 at",
			[]string{"claim is refuted: the privacy statement is wrong"}, []string{"proves nothing"}},
		"nothing claimed": {found(2.5, 0, nil), false, "nothing is claimed", []string{"Nothing is claimed that it could refute"}, []string{"wrong", "proves nothing"}},
		"a test that needs Gaussian noise": {found(1, 1.77777, pointer(2)), false, "at least 1 at",
			[]string{"that nobody sampled, and only then, at least 1.777"}, []string{"above the claim"}},
		"that test alone above the claim": {found(1, 3, pointer(2)), false, "at least 1 at", []string{"only then, at least 3, which would be above the claim", "proves nothing"}, []string{"is wrong"}},
		"that test above the claim of a Gaussian run": {found(1, 3, pointer(2)), true, "at least 1 at",
			[]string{"refuted: the privacy statement is wrong", "Gaussian noise of this run it is at least 3"}, []string{"proves nothing", "only then"}},
		"that test below the claim of a Gaussian run": {found(1, 1.77777, pointer(2)), true, "at least 1 at", []string{"at least 1.777", "proves nothing"}, []string{"only then", "wrong"}},
	} {
		said := Audits(sim.Result{Audit: &sim.Audited{Released: c.found, Coordinator: c.found, Gaussian: c.gauss}})
		require.Len(t, said, 2)
		require.NotEqual(t, said[0].Name, said[1].Name)
		for _, s := range said {
			require.Contains(t, s.Value, c.value, name)
			for _, part := range c.says {
				require.Contains(t, s.Meaning, part, name)
			}
			for _, part := range c.never {
				require.NotContains(t, s.Meaning, part, name)
			}
		}
	}
}

func TestPageShowsTheAuditIfThereIsOne(t *testing.T) {
	p := privatePage(5)
	require.NotContains(t, render(t, p), "canaries")
	require.Nil(t, Audits(p.Result))
	p.Result.Audit = &sim.Audited{Released: found(1.5, 0, pointer(2.346)), Coordinator: found(3, 0, pointer(31.2))}
	page := render(t, p)
	for _, part := range []string{"What canaries found of it", "<b>audit, who sees released models: epsilon is at least 1.5 at delta 1e-05, with 95 % confidence; claimed: at most 2.346.</b>",
		"<b>audit, who sees a roster: epsilon is at least 3 at", "the accuracy of an audited run is not the plan&#39;s"} {
		require.Contains(t, page, part)
	}
}
