// Package cohort draws the clients of a round. Sampling is a pure function of a
// secret seed, so that a restarted coordinator draws the same cohort and nobody
// else can predict it.
package cohort

import (
	"encoding/binary"
	"slices"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
)

// Uniform draws size different members of population, each subset equally likely,
// and returns them in ascending order; all of them if there are no more than size.
// population must not name anybody twice; its order does not matter. seed must be
// secret and used for one draw.
func Uniform(seed [32]byte, population []secagg.PartyID, size int) []secagg.PartyID {
	pool := slices.Clone(population)
	slices.Sort(pool)
	if size >= len(pool) {
		return pool
	}
	coins := field.NewStream(seed)
	// Fisher and Yates, from the front.
	for i := range size {
		j := i + int(below(coins, uint64(len(pool)-i)))
		pool[i], pool[j] = pool[j], pool[i]
	}
	drawn := pool[:max(size, 0)]
	slices.Sort(drawn)
	return drawn
}

// below returns a uniform integer in 0..n-1, rejecting the tail that would bias it.
func below(coins *field.Stream, n uint64) uint64 {
	limit := -n % n // 2^64 mod n
	for {
		var b [8]byte
		_, _ = coins.Read(b[:]) // a Stream never fails
		if v := binary.LittleEndian.Uint64(b[:]); v >= limit {
			return v % n
		}
	}
}
