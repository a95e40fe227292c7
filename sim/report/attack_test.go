package report

import (
	"testing"

	"github.com/stretchr/testify/require"
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
