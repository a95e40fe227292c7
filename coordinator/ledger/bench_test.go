package ledger

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
)

// long is the ledger of a run of n rounds in which each release has another cost, as
// many as cohorts have sizes.
func long(b *testing.B, n int) *memory {
	g := fleet
	g.Releases.Epsilon, g.Rosters = 100, Budget{}
	log := newMemory()
	book := mustOpen(b, log, g)
	for round := 1; round <= n; round++ {
		require.NoError(b, book.Reserve(attempt(round), thePlan, gaussian(b, 8, 0.04)))
		require.NoError(b, book.Commit(attempt(round), gaussian(b, 8+float64(round%100)/100, 0.04), bytesA))
	}
	return log
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{100, 2000} {
		b.Run(fmt.Sprintf("rounds=%d", n), func(b *testing.B) {
			log := long(b, n)
			for b.Loop() {
				_, err := Load(log, segment)
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkRoom(b *testing.B) {
	g := fleet
	g.Releases.Epsilon, g.Rosters = 100, Budget{}
	book := mustOpen(b, long(b, 2000), g)
	c := gaussian(b, 8, 0.04)
	for b.Loop() {
		require.NoError(b, book.Room("job", c))
	}
}

func BenchmarkSpent(b *testing.B) {
	book, err := Load(long(b, 2000), segment)
	require.NoError(b, err)
	for b.Loop() {
		_, ok := book.Spent(dp.ObserverReleases)
		require.True(b, ok)
	}
}
