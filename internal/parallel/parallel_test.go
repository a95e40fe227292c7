package parallel

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEachIndexIsDoneOnceBeforeItReturns(t *testing.T) {
	for _, workers := range []int{-1, 0, 1, 2, 7, 1000} {
		each := Workers(workers)
		for _, n := range []int{0, 1, 2, 100} {
			done := make([]atomic.Int32, n)
			each(n, func(i int) { done[i].Add(1) })
			for i := range done {
				require.EqualValues(t, 1, done[i].Load(), "index %d of %d, %d workers", i, n, workers)
			}
		}
	}
}

// Three indices that wait for each other end only if three are done at a time; a fourth
// would be seen.
func TestAsManyAtATimeAsThereAreWorkers(t *testing.T) {
	const workers = 3
	var together sync.WaitGroup
	together.Add(workers)
	var mu sync.Mutex // owns the two below
	var now, most int
	Workers(workers)(10*workers, func(i int) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		if i < workers {
			together.Done()
			together.Wait()
		}
		mu.Lock()
		now--
		mu.Unlock()
	})
	require.Equal(t, workers, most)
}
