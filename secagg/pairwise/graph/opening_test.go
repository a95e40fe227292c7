package graph

import (
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// This file checks the reasoning of the package comment, not its probabilities:
// on small graphs it plays every move of a server that holds back shares, lies
// about who has shared, picks any survivor set and any clients to hear, and looks
// at what comes open. It also drops each rule in turn and finds that a server
// then breaks what the rules guarantee.

// deal is a graph after the share phase.
type deal struct {
	out       []uint64 // out[v]: the holders v drew
	accepted  []uint64 // accepted[v]: those of them that got v's share in time
	shown     []uint64 // shown[v]: clients that v was shown to have shared
	corrupt   uint64
	threshold int
}

// A rule of the package comment that honest clients are made to break.
type broken int

const (
	noRule          broken = iota
	onlyMembers            // rule 2: answer only as a member of U
	onlyConfirmed          // rule 3: give b only of those that confirm a mask towards oneself
	onlyIfAllMasked        // rule 4: answer only if every out-neighbour in U is masked towards
)

// masks returns whom honest client v put a mask towards.
func (d deal) masks(v int) uint64 {
	partners := d.out[v] & d.shown[v]
	for u := range d.out {
		if d.accepted[u]>>v&1 == 1 {
			partners |= 1 << u
		}
	}
	return partners
}

// openings returns the sets of honest clients whose sum comes open when the
// survivor set is survivors and the server hears the honest clients in heard, and
// which of these answer.
func (d deal) openings(survivors, heard uint64, dropped broken) (sums []uint64, answering uint64) {
	n := len(d.out)
	honest := survivors &^ d.corrupt
	masks := make([]uint64, n)
	for v := range n {
		masks[v] = d.masks(v)
	}
	for v := range n {
		member := honest>>v&1 == 1 || dropped == onlyMembers
		allMasked := d.out[v]&survivors&^masks[v] == 0 || dropped == onlyIfAllMasked
		if heard>>v&1 == 1 && member && allMasked {
			answering |= 1 << v
		}
	}
	for left := honest; left != 0; {
		// The clients joined by masks that both ends put.
		sum := left & -left
		for {
			grown := sum
			for v := range n {
				for u := range n {
					if sum>>v&1 == 1 && honest>>u&1 == 1 && masks[v]>>u&1 == 1 && masks[u]>>v&1 == 1 {
						grown |= 1 << u
					}
				}
			}
			if grown == sum {
				break
			}
			sum = grown
		}
		left &^= sum
		open := true
		for v := range n {
			if sum>>v&1 == 0 {
				continue
			}
			holders := d.accepted[v] & answering
			if dropped != onlyConfirmed {
				holders &= masks[v]
			}
			rebuilt := bits.OnesCount64(holders|d.out[v]&d.corrupt) >= d.threshold
			// A mask towards an honest survivor outside stays on.
			if !rebuilt || masks[v]&honest&^sum != 0 {
				open = false
			}
		}
		if open {
			sums = append(sums, sum)
		}
	}
	return sums, answering
}

// leastClosedPool returns the least pool, in this very graph, of a closed set.
func (d deal) leastClosedPool() int {
	n, c := len(d.out), bits.OnesCount64(d.corrupt)
	for size := 1; size <= n-c; size++ {
		if closedSet(d.out, d.corrupt, d.threshold, size) {
			return size + c
		}
	}
	return n + 1
}

// outcome counts what the servers of one deal achieve.
type outcome struct {
	sums    int // sums opened
	partial int // sums that lack some honest member of U
	broken  int // sums with a pool below the least, a second sum, or one left out though drawn by one who answered
}

// playAll goes through every survivor set and every set of honest clients heard.
func (d deal) playAll(dropped broken) (total outcome) {
	n := len(d.out)
	least := d.leastClosedPool()
	honest := firstClients(n) &^ d.corrupt
	for members := honest; members != 0; members = (members - 1) & honest {
		for heard := honest; heard != 0; heard = (heard - 1) & honest {
			sums, answering := d.openings(members|d.corrupt, heard, dropped)
			if len(sums) > 1 && 2*least > n+bits.OnesCount64(d.corrupt) {
				total.broken++
			}
			for _, sum := range sums {
				total.sums++
				leftOut := members &^ sum
				if leftOut != 0 {
					total.partial++
				}
				if bits.OnesCount64(sum&answering|d.corrupt) < least {
					total.broken++
				}
				for v := range n {
					if sum&answering>>v&1 == 1 && d.out[v]&leftOut != 0 {
						total.broken++
					}
				}
			}
		}
	}
	return total
}

// randomDeal draws a graph and a way for the server to hold back and lie.
func randomDeal(random *rand.PCG) deal {
	choice := rand.New(random)
	const n = 7
	f := 1 + choice.IntN(2)
	k := 3 + choice.IntN(3)
	d := deal{
		out: make([]uint64, n), accepted: make([]uint64, n), shown: make([]uint64, n),
		corrupt: firstClients(f), threshold: k/2 + 1 + choice.IntN(k-k/2),
	}
	drawGraph(d.out, k, random)
	copy(d.accepted, d.out)
	for v := range n {
		d.shown[v] = firstClients(n)
	}
	side := choice.Uint64()
	if choice.IntN(2) == 0 {
		side = ^(1 << (f + choice.IntN(n-f))) // everyone but one
	}
	switch choice.IntN(4) {
	case 0: // at random
		for v := range n {
			d.accepted[v] &= choice.Uint64() | choice.Uint64()
			d.shown[v] &= choice.Uint64() | choice.Uint64()
		}
	case 1: // one side is told that the other has not shared
		for v := range n {
			if side>>v&1 == 1 {
				d.shown[v] &= side | d.corrupt
			}
		}
	case 2: // the same, and the shares of the other side do not arrive either
		for v := range n {
			if side>>v&1 == 0 {
				d.accepted[v] &^= side
			} else {
				d.shown[v] &= side | d.corrupt
			}
		}
	}
	return d
}

func TestNoServerOpensMoreThanTheRulesAllow(t *testing.T) {
	random := rand.NewPCG(13, 14)
	var total outcome
	needed := map[broken]int{}
	for range 400 {
		d := randomDeal(random)
		if exposed(d.out, d.corrupt, bits.OnesCount64(d.out[0]), d.threshold) {
			continue // excluded by (S)
		}
		got := d.playAll(noRule)
		require.Zero(t, got.broken, "%+v", d)
		total.sums += got.sums
		total.partial += got.partial
		for dropped := onlyMembers; dropped <= onlyIfAllMasked; dropped++ {
			needed[dropped] += d.playAll(dropped).broken
		}
	}
	require.Positive(t, total.sums)
	require.Positive(t, total.partial, "no server left anybody out: the case was not met")
	for dropped := onlyMembers; dropped <= onlyIfAllMasked; dropped++ {
		require.Positive(t, needed[dropped], "nothing happens without rule %d: is it needed?", dropped+1)
	}
}

// Two quorums on different survivor sets would need more signatures than there
// are: honest clients sign once, corrupt ones as often as they like.
func TestTwoQuorumsNeverMeet(t *testing.T) {
	for n := 3; n <= 300; n++ {
		for f := 0; f < n; f++ {
			c := newConditions(n, f, 0, one, one)
			require.Greater(t, 2*c.quorum, (n-f)+2*f)
			require.LessOrEqual(t, 2*(c.quorum-1), n+f, "the quorum is larger than needed")
		}
	}
}
