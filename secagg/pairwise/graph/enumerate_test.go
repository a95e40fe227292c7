package graph

import (
	"math"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

// This file computes the probability of each bad event exactly, over all graphs
// that small numbers of clients can draw, and holds the bounds against it.
// Events: (S) one honest client with 2t-k or more corrupt holders; (C) a
// non-empty set of honest clients, each with t holders in the set or corrupt,
// whose pool is below a limit; (R) a client with fewer than t surviving holders.

// subsets is a set of subsets of at most 6 honest clients, a bit each.
type subsets uint64

const mostHonest = 6

// closedSetProbability returns the exact probability that among n clients, c of
// them corrupt, some non-empty set S of honest clients of at most maxSize members
// is closed: each member has t of its k holders in S or corrupt. The honest
// clients' draws are gone through one by one; the state is which S can still be
// closed, so every graph is counted, grouped with those that leave the same S.
func closedSetProbability(n, c, k, threshold, maxSize int) float64 {
	honest := n - c
	var all subsets
	for s := 1; s < 1<<honest; s++ {
		if bits.OnesCount(uint(s)) <= maxSize {
			all |= 1 << s
		}
	}
	var bad float64 // graphs in which some S is closed, whatever comes
	states := map[subsets]float64{all: 1}
	draws := float64(binomial(n-1, k))
	for v := range honest {
		// All sets a of honest holders of v; the other k-|a| holders are corrupt.
		options := map[subsets]float64{}
		for a := range 1 << honest {
			honestHolders := bits.OnesCount(uint(a))
			if a>>v&1 == 1 || honestHolders > k || k-honestHolders > c {
				continue
			}
			var allowed subsets
			for s := 1; s < 1<<honest; s++ {
				if s>>v&1 == 0 || bits.OnesCount(uint(a&s))+k-honestHolders >= threshold {
					allowed |= 1 << s
				}
			}
			options[allowed&all] += float64(binomial(c, k-honestHolders)) / draws
		}
		next := make(map[subsets]float64, len(states))
		for state, probability := range states {
			for allowed, weight := range options {
				// The S without clients after v are the first 2^(v+1) subsets.
				switch left := state & allowed; {
				case left&(1<<(1<<(v+1))-1) != 0:
					bad += probability * weight
				case left != 0:
					next[left] += probability * weight
				}
			}
		}
		states = next
	}
	return bad
}

func binomial(n, k int) int {
	if k < 0 || k > n {
		return 0
	}
	return int(math.Round(choose(n, k).float64()))
}

// boundBelow is the bound on closed sets with a pool below limit.
func boundBelow(n, f, k, threshold, limit int) float64 {
	var sum wide
	for pool, bound := range openPools(n, f, k, threshold) {
		if pool >= limit {
			break
		}
		sum = sum.add(bound)
	}
	return sum.float64()
}

func TestConnectivityBoundCoversTheExactProbability(t *testing.T) {
	const rounding = 1 + 1e-9
	bounded, sharp := 0, 0
	for _, p := range [][2]int{{5, 0}, {6, 0}, {6, 1}, {7, 2}, {8, 2}, {8, 3}, {9, 4}, {10, 4}, {11, 6}, {12, 6}, {12, 7}} {
		n, f := p[0], p[1]
		quorum := (n+f)/2 + 1
		for k := 2; k < n; k++ {
			for threshold := (k + 1) / 2; threshold <= k; threshold++ {
				for _, limit := range []int{quorum, quorum + 1} {
					bound := boundBelow(n, f, k, threshold, limit)
					if bound >= 0.5 {
						continue
					}
					bounded++
					// The true number c of corrupt clients may be smaller than f.
					for c := max(0, n-mostHonest); c <= f; c++ {
						exact := closedSetProbability(n, c, k, threshold, limit-1-c)
						require.LessOrEqual(t, exact, bound*rounding, "n=%d f=%d c=%d k=%d t=%d pool below %d", n, f, c, k, threshold, limit)
						if c == f && exact > bound/2 && exact < bound {
							sharp++
						}
					}
				}
			}
		}
	}
	require.Greater(t, bounded, 100)
	require.Greater(t, sharp, 10, "the bound is nowhere near the truth: is the event the same?")
}

// The exact probability that the grouped count gives is checked against plain
// enumeration of every graph where that is possible.
func TestClosedSetProbabilityEqualsCountingEveryGraph(t *testing.T) {
	const n, c, k, threshold = 6, 2, 3, 3
	for maxSize := 1; maxSize <= n-c; maxSize++ {
		var draws []uint64
		for s := range uint64(1) << n {
			if bits.OnesCount64(s) == k {
				draws = append(draws, s)
			}
		}
		const corrupt = uint64(1)<<c - 1
		var count, graphs int
		var out [n]uint64
		var choice func(v int)
		choice = func(v int) {
			if v == n {
				graphs++
				if closedByCounting(out[:], corrupt, threshold, maxSize) {
					count++
				}
				return
			}
			for _, draw := range draws {
				if draw>>v&1 == 0 {
					out[v] = draw
					choice(v + 1)
				}
			}
		}
		choice(c)
		require.Equal(t, 10*10*10*10, graphs)
		require.InDelta(t, float64(count)/float64(graphs), closedSetProbability(n, c, k, threshold, maxSize), 1e-12)
	}
}

// closedByCounting tries every set of clients that are not corrupt.
func closedByCounting(out []uint64, corrupt uint64, threshold, maxSize int) bool {
	for s := uint64(1); s < 1<<len(out); s++ {
		if s&corrupt != 0 || bits.OnesCount64(s) > maxSize {
			continue
		}
		closed := true
		for v := range out {
			if s>>v&1 == 1 && bits.OnesCount64(out[v]&(s|corrupt)) < threshold {
				closed = false
				break
			}
		}
		if closed {
			return true
		}
	}
	return false
}

// Each client draws on its own, so with P the chance of one client the exact
// chance that some client is bad is 1 - (1-P)^m.
func TestSecrecyAndSurvivalBoundsCoverTheExactProbability(t *testing.T) {
	const rounding = 1 + 1e-9
	anyOf := func(p float64, m int) float64 { return -math.Expm1(float64(m) * math.Log1p(-p)) }
	for n := 4; n <= 12; n++ {
		for bad := 0; bad <= n-3; bad++ { // f for (S), D for (R)
			for k := 1; k < n; k++ {
				for x := 1; x <= k; x++ {
					// (S), for every true number c <= f of corrupt clients.
					bound := float64(n-bad) * hypergeometricTail(n-1, bad, k, x).float64()
					if bound < 1.0/float64(k+1) {
						for c := 0; c <= bad; c++ {
							single, _ := exactTail(n-1, c, k, x).Float64()
							require.LessOrEqual(t, anyOf(single, n-c), bound*rounding+1e-15, "n=%d f=%d c=%d k=%d x=%d", n, bad, c, k, x)
						}
					}
					// (R), drop-outs chosen without looking at the graph: those who
					// dropped out have one fewer of them among the others.
					stayed, _ := exactTail(n-1, bad, k, x).Float64()
					dropped, _ := exactTail(n-1, max(bad-1, 0), k, x).Float64()
					exact := 1 - (1-anyOf(stayed, n-bad))*(1-anyOf(dropped, bad))
					if stayed == 1 {
						exact = 1
					}
					bound = float64(n) * hypergeometricTail(n-1, bad, k, x).float64()
					require.LessOrEqual(t, exact, bound*rounding+1e-15, "n=%d D=%d k=%d x=%d", n, bad, k, x)
				}
			}
		}
	}
}

// Where (C) decides, one threshold less breaks the target it was chosen for.
func TestEnumerationDetectsAConnectivityConditionThatIsTooWeak(t *testing.T) {
	c := newConditions(11, 5, 1, powerOfTwo(-5), powerOfTwo(-10))
	k, threshold, found := c.search(1)
	require.True(t, found)
	target := c.connectivity.float64()
	maxSize := c.quorum - 1 - c.corrupt
	require.LessOrEqual(t, closedSetProbability(c.clients, c.corrupt, k, threshold, maxSize), target)
	require.Greater(t, closedSetProbability(c.clients, c.corrupt, k, threshold-1, maxSize), target)
}
