// Package parallel spreads work over goroutines for packages that have none of their own:
// a pure package takes a function such as robust.Input.Each, and whoever calls it hands in
// what Workers returns. What is done with an index must not depend on the others; the
// order in which indices come is not fixed.
package parallel

import (
	"sync"
	"sync/atomic"
)

// Workers returns a function that calls do once for each of 0 to n-1, on at most so many
// goroutines at a time, and returns when all calls have. Fewer than one worker count as
// one. The function is safe for concurrent use; each use has workers of its own.
func Workers(workers int) func(n int, do func(i int)) {
	return func(n int, do func(i int)) {
		var next atomic.Int64
		var all sync.WaitGroup
		for range min(max(workers, 1), n) {
			all.Go(func() {
				for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
					do(i)
				}
			})
		}
		all.Wait()
	}
}
