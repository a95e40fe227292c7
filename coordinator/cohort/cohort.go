// Package cohort draws the clients of a round. Sampling is a pure function of a
// secret seed, so that a restarted coordinator draws the same cohort and nobody
// else can predict it.
package cohort

import (
	"encoding/binary"
	"math"
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

// Poisson draws each member of population with the given probability in [0,1], by a coin
// of its own, and returns those drawn in ascending order. The probability is met to
// 2^-64, from below. population must not name anybody twice; its order does not matter.
// seed must be secret and used for one draw. A probability that is none draws nobody.
func Poisson(seed [32]byte, population []secagg.PartyID, probability float64) []secagg.PartyID {
	if !(probability > 0 && probability <= 1) { // NaN fails
		return nil
	}
	pool := slices.Clone(population)
	slices.Sort(pool)
	if probability == 1 {
		return pool
	}
	limit := uint64(math.Ldexp(probability, 64)) // below 2^64: a float64 below 1 is at most 1 - 2^-53
	coins := field.NewStream(seed)
	drawn := pool[:0]
	for _, id := range pool {
		var b [8]byte
		_, _ = coins.Read(b[:]) // a Stream never fails
		if binary.LittleEndian.Uint64(b[:]) < limit {
			drawn = append(drawn, id)
		}
	}
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
