package robust

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/fault"
)

func TestRuleOfTheClientsCombinesNoVectors(t *testing.T) {
	s := Spec{Rule: "rfa"}
	_, err := s.Check()
	require.ErrorIs(t, err, ErrByClients)
	require.Equal(t, fault.Refused, fault.ClassOf(err))
	require.ErrorContains(t, err, "geometric-median")
	r, err := s.RFA()
	require.NoError(t, err)
	require.Equal(t, RFA{Nu: 0.1, Passes: 3}, r)
	infos := ByClients()
	require.Len(t, infos, 1)
	require.Equal(t, r.Name(), infos[0].Name)
	require.Contains(t, infos[0].Warning, "not clients that lie about their weight")
	infos[0].Parameters[0].Default = "7"
	require.Equal(t, "0.1", ByClients()[0].Parameters[0].Default)
	_, err = Spec{Rule: "mean"}.RFA()
	require.ErrorIs(t, err, ErrSpec)
}
