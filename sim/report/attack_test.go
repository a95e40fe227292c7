package report

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/sim"
)

func TestAttackAndItsSuccessAreShown(t *testing.T) {
	p := testPage(10)
	quiet := render(t, p)
	require.NotContains(t, quiet, "Attack success")
	require.NotContains(t, quiet, "<h2>Attackers</h2>")
	require.NotContains(t, quiet, "are Byzantine")
	before := len(drawings(t, quiet))

	name, success := "backdoor:target=3", 0.875
	p.Result.Config.Attack, p.Result.Config.Byzantine, p.Result.Final.AttackSuccess = &name, 0.1, &success
	for i := range p.Result.Rounds {
		p.Result.Rounds[i].Attackers = 2
		if i%5 != 3 {
			p.Result.Rounds[i].AttackSuccess = &success
		}
	}
	p.Result.Rounds[4].Idle = 2
	page := render(t, p)
	require.Contains(t, page, "0.8750")
	require.Contains(t, page, "of the clients are Byzantine: backdoor:target=3")
	require.Contains(t, page, "in 1 of 10 attempts the attackers knew too little")
	all, seen := drawings(t, page), 0
	require.Len(t, all, before+2)
	for _, d := range all {
		switch d.Label {
		case "Attack success by round", "Attackers by round":
			seen++
			require.Len(t, d.Groups, 10)
		}
	}
	require.Equal(t, 2, seen)
	require.Contains(t, page, "<h2>Attack success</h2>")
	require.Contains(t, page, "<h2>Attackers</h2>")
}

func TestReportSaysHowWellAttackersWereTold(t *testing.T) {
	p := testPage(3)
	require.Empty(t, Detections(p.Result))
	third, first := 1./3, 2
	p.Result.Detection = &sim.Detection{Rule: &sim.Detector{Named: 6, Right: 2, Bad: 6, Precision: &third, Recall: &third, First: &first}, Alerts: &sim.Detector{Bad: 6}}
	require.Equal(t, []Setting{
		{"bad vectors, by the rule's choice", "2 of 6 bad ones named, 6 named in all; precision 0.333; recall 0.333; first in round 2"},
		{"bad vectors, by alerts", "0 of 6 bad ones named, 0 named in all"},
		{"Byzantine clients, by reputation", "nobody can be named"}}, Detections(p.Result))
	require.Contains(t, render(t, p), "0 of 6 bad ones named, 0 named in all")
}
