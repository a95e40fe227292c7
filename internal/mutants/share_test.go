package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPartsOfTheMutantsAreAllOfThemOnce(t *testing.T) {
	all := func() (out []mutant) {
		for i := range 100 {
			out = append(out, mutant{name: fmt.Sprint("mutant-", i)})
		}
		return out
	}
	seen := map[string]int{}
	for k := range 4 {
		part, err := share(all(), fmt.Sprintf("%d/4", k))
		require.NoError(t, err)
		require.Greater(t, len(part), 10)
		for _, m := range part {
			seen[m.name]++
		}
	}
	require.Len(t, seen, 100)
	for name, n := range seen {
		require.Equal(t, 1, n, name)
	}
	whole, err := share(all(), "")
	require.NoError(t, err)
	require.Len(t, whole, 100)
	for _, bad := range []string{"4/4", "1", "x", "0/0", "-1/4"} {
		_, err := share(all(), bad)
		require.Error(t, err, bad)
	}
}
