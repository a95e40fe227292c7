package graph

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// This file draws graphs at random, at targets weak enough for bad events to
// happen, and counts the events themselves: (S), (C), (I) and (R) as the package
// comment states them, with nothing taken from the formulas under test. Corrupt
// clients are the first f; drop-outs are the last D (who they are does not depend
// on the graph, so a fixed choice is as good as any).

// drawGraph fills out with k out-neighbours for each client, as bits.
func drawGraph(out []uint64, k int, random *rand.PCG) {
	n := len(out)
	for v := range out {
		var drawn uint64
		for end := n - 1 - k; end < n-1; end++ { // as in Draw
			index, _ := bits.Mul64(random.Uint64(), uint64(end+1)) // uniform up to 2^-58
			bit := uint64(1) << index
			if drawn&bit != 0 {
				bit = 1 << end
			}
			drawn |= bit
		}
		below := uint64(1)<<v - 1 // indices skip v
		out[v] = drawn&below | drawn&^below<<1
	}
}

// firstClients is the set of clients 0..m-1.
func firstClients(m int) uint64 { return uint64(1)<<m - 1 }

// exposed reports (S): an honest client with 2t-k or more corrupt holders.
func exposed(out []uint64, corrupt uint64, k, threshold int) bool {
	for v, holders := range out {
		if corrupt>>v&1 == 0 && bits.OnesCount64(holders&corrupt) >= 2*threshold-k {
			return true
		}
	}
	return false
}

// stranded reports (R): a client with fewer than t surviving holders.
func stranded(out []uint64, dropped uint64, threshold int) bool {
	for _, holders := range out {
		if bits.OnesCount64(holders&^dropped) < threshold {
			return true
		}
	}
	return false
}

// closedSet reports (C): a non-empty set of at most maxSize honest clients, each
// with t holders in the set or corrupt. It tries each client as the first member
// and, for a member short of holders, each holder that could make up for it.
func closedSet(out []uint64, corrupt uint64, threshold, maxSize int) bool {
	var grow func(members, allowed uint64) bool
	grow = func(members, allowed uint64) bool {
		size := bits.OnesCount64(members)
		for left := members; left != 0; left &= left - 1 {
			holders := out[bits.TrailingZeros64(left)]
			short := threshold - bits.OnesCount64(holders&(members|corrupt))
			if short <= 0 {
				continue
			}
			candidates := holders & allowed &^ members
			for size+short <= maxSize && bits.OnesCount64(candidates) >= short {
				next := candidates & -candidates
				if grow(members|next, allowed) {
					return true
				}
				allowed &^= next
				candidates &^= next
			}
			return false
		}
		return true
	}
	allowed := firstClients(len(out)) &^ corrupt
	for left := allowed; left != 0; left &= left - 1 {
		first := left & -left
		if grow(first, allowed) {
			return true
		}
		allowed &^= first
	}
	return false
}

// isolated reports (I): size honest clients such that `answering` other honest
// clients have none of them among their out-neighbours.
func isolated(out []uint64, corrupt uint64, size, answering int) bool {
	honest := firstClients(len(out)) &^ corrupt
	var extend func(group, allowed uint64) bool
	extend = func(group, allowed uint64) bool {
		apart := 0
		for left := honest &^ group; left != 0; left &= left - 1 {
			if out[bits.TrailingZeros64(left)]&group == 0 {
				apart++
			}
		}
		if apart < answering { // nor can a larger group have more
			return false
		}
		if bits.OnesCount64(group) == size {
			return true
		}
		for ; allowed != 0; allowed &= allowed - 1 {
			next := allowed & -allowed
			if extend(group|next, allowed&^next) {
				return true
			}
		}
		return false
	}
	return extend(0, honest)
}

func TestClosedSetSearchEqualsTryingEverySet(t *testing.T) {
	random := rand.NewPCG(5, 6)
	choice := rand.New(random)
	out := make([]uint64, 9)
	found := 0
	for range 4000 {
		corrupt := firstClients(choice.IntN(4))
		k := 2 + choice.IntN(6)
		threshold := 1 + choice.IntN(k)
		maxSize := 1 + choice.IntN(9)
		drawGraph(out, k, random)
		want := closedByCounting(out, corrupt, threshold, maxSize)
		require.Equal(t, want, closedSet(out, corrupt, threshold, maxSize))
		if want {
			found++
		}
	}
	require.Greater(t, found, 400)
	require.Less(t, found, 3600)
}

// rates are shares of simulated graphs in which an event happened.
type rates struct{ secrecy, connectivity, isolation, survival float64 }

// simulate draws graphs and counts (S), (R) and, if structure is set, (C) and
// (I), whose search is affordable for small numbers of clients only.
func (c conditions) simulate(degree, threshold, graphs int, structure bool, random *rand.PCG) rates {
	out := make([]uint64, c.clients)
	corrupt := firstClients(c.corrupt)
	dropped := firstClients(c.clients) &^ firstClients(c.clients-c.dropouts)
	pool := c.leastPool(degree, threshold, c.clients)
	tooMany := c.mostIsolated(degree, pool) + 1
	var count rates
	for range graphs {
		drawGraph(out, degree, random)
		if exposed(out, corrupt, degree, threshold) {
			count.secrecy++
		}
		if stranded(out, dropped, threshold) {
			count.survival++
		}
		if structure && closedSet(out, corrupt, threshold, pool-1-c.corrupt) {
			count.connectivity++
		}
		if structure && tooMany <= c.clients-pool && isolated(out, corrupt, tooMany, pool-c.corrupt) {
			count.isolation++
		}
	}
	total := float64(graphs)
	return rates{count.secrecy / total, count.connectivity / total, count.isolation / total, count.survival / total}
}

// Half a million graphs of 40 and 64 clients; (S) and (R) are counted.
func TestSimulatedSecrecyAndSurvivalMeetTheirTargets(t *testing.T) {
	random := rand.NewPCG(7, 8)
	seenSecrecy, seenSurvival := false, false
	for _, p := range []struct{ n, f, dropouts, targetBits, graphs int }{
		{40, 9, 2, 6, 75_000}, {40, 9, 2, 8, 75_000}, {40, 9, 2, 10, 75_000}, {40, 9, 2, 12, 75_000},
		{64, 3, 8, 6, 100_000}, {64, 3, 8, 8, 100_000},
	} {
		c := newConditions(p.n, p.f, p.dropouts, powerOfTwo(-p.targetBits), powerOfTwo(-p.targetBits))
		degree, threshold, found := c.search(1)
		require.True(t, found)
		got := c.simulate(degree, threshold, p.graphs, false, random)
		name := fmt.Sprintf("%+v k=%d t=%d: %+v", p, degree, threshold, got)
		require.LessOrEqual(t, got.secrecy, c.secrecy.float64(), name)
		require.LessOrEqual(t, got.survival, c.survival.float64(), name)
		seenSecrecy = seenSecrecy || got.secrecy > 0
		seenSurvival = seenSurvival || got.survival > 0
	}
	require.True(t, seenSecrecy && seenSurvival, "the events never happened: nothing was measured")
}

// A million graphs of 12 to 20 clients; all four events are counted, (C) and (I)
// by searching for the sets themselves.
func TestSimulatedGraphsMeetAllTargets(t *testing.T) {
	random := rand.NewPCG(9, 10)
	seen := rates{}
	for _, p := range [][4]int{ // n, f, D, bits
		{12, 3, 1, 6}, {12, 1, 1, 8}, {14, 3, 1, 6}, {14, 1, 1, 7}, {16, 4, 1, 8}, {18, 2, 2, 8}, {18, 4, 2, 6}, {20, 3, 2, 8}, {20, 1, 2, 6}, {20, 5, 1, 12},
	} {
		c := newConditions(p[0], p[1], p[2], powerOfTwo(-p[3]), powerOfTwo(-p[3]))
		degree, threshold, found := c.search(1)
		require.True(t, found)
		require.Less(t, degree, c.clients-1)
		got := c.simulate(degree, threshold, 100_000, true, random)
		name := fmt.Sprintf("%v k=%d t=%d: %+v", p, degree, threshold, got)
		require.LessOrEqual(t, got.secrecy, c.secrecy.float64(), name)
		require.LessOrEqual(t, got.connectivity, c.connectivity.float64(), name)
		require.LessOrEqual(t, got.isolation, c.isolation.float64(), name)
		require.LessOrEqual(t, got.survival, c.survival.float64(), name)
		seen.connectivity += got.connectivity
		seen.isolation += got.isolation
	}
	require.Positive(t, seen.connectivity)
	require.Positive(t, seen.isolation)
}

// Each condition matters: with the threshold one lower, or one higher for (R),
// the simulation sees its event more often than the target allows.
func TestSimulationDetectsConditionsThatAreTooWeak(t *testing.T) {
	random := rand.NewPCG(11, 12)
	run := func(n, f, dropouts, targetBits, shift int) (conditions, rates) {
		c := newConditions(n, f, dropouts, powerOfTwo(-targetBits), powerOfTwo(-targetBits))
		degree, threshold, found := c.search(1)
		require.True(t, found)
		return c, c.simulate(degree, threshold+shift, 20_000, false, random)
	}
	c, weak := run(64, 12, 6, 10, -1)
	require.Greater(t, weak.secrecy, c.secrecy.float64())
	c, weak = run(64, 3, 8, 10, +1)
	require.Greater(t, weak.survival, c.survival.float64())
	// (C) is counted with a pool below the quorum, since the least pool adapts.
	c = newConditions(14, 0, 1, powerOfTwo(-10), powerOfTwo(-10))
	degree, threshold, found := c.search(1)
	require.True(t, found)
	out := make([]uint64, c.clients)
	count := func(threshold int) (bad float64) {
		for range 20_000 {
			drawGraph(out, degree, random)
			if closedSet(out, 0, threshold, c.quorum-1) {
				bad++
			}
		}
		return bad / 20_000
	}
	require.LessOrEqual(t, count(threshold), c.connectivity.float64())
	require.Greater(t, count(threshold-1), c.connectivity.float64())
}
