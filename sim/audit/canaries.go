package audit

import (
	"math"
	"math/bits"
	"slices"
	"strconv"

	"github.com/choir-fl/choir/secagg/field"
)

// Canaries are the canary clients of one run: who is in, what each contributes, and
// what the releases say about it. All of it follows from a seed.
//
// A direction is a vector of D entries +-1/sqrt(D), D the largest power of two that is
// at most the dimension, spread evenly over the coordinates of the update; the rest is
// zero. Canaries i, i+D, i+2D, ... have row i of Sylvester's Hadamard matrix, canaries
// of one run of D under common random signs. So the first D directions are orthogonal,
// and none of these canaries hides another (which limits one-run audits: Keinan,
// Shenfeld and Ligett, "How Well Can Differential Privacy Be Audited in One Run?",
// 2025); directions of different runs are to each other as random ones are. Nothing is
// stored, and one fast transform scores D canaries.
//
// In, Update and the others that only read may run concurrently with each other, not
// with Score.
type Canaries struct {
	seed      [32]byte
	dimension int
	width     int // D
	in        []bool
	scores    []float64
}

// NewCanaries plans count canaries for updates of that dimension: ErrCanaries unless
// there are 1 to MaxCanaries of them and 1 to field.MaxWords dimensions. Who knows the
// seed knows the coins: the seed must not be what anything in the audited run is
// derived from.
func NewCanaries(seed [32]byte, count, dimension int) (*Canaries, error) {
	if count < 1 || count > MaxCanaries || dimension < 1 || dimension > field.MaxWords {
		return nil, ErrCanaries.At("%d canaries in dimension %d", count, dimension)
	}
	c := &Canaries{
		seed: seed, dimension: dimension, width: 1 << (bits.Len(uint(dimension)) - 1),
		in: make([]bool, count), scores: make([]float64, count),
	}
	coins := c.bits("audit/coins", count)
	for i := range c.in {
		c.in[i] = at(coins, i) == 1
	}
	return c, nil
}

// bits are the first n bits of a stream of coins.
func (c *Canaries) bits(label string, n int) []byte {
	b := make([]byte, (n+7)/8)
	_, _ = field.NewStream(field.Derive(c.seed, label)).Read(b) // it never fails
	return b
}

func at(b []byte, i int) uint { return uint(b[i/8]>>(i%8)) & 1 }

// signs are the common signs of the directions of canaries run*D to run*D + D-1.
func (c *Canaries) signs(run int) []byte {
	return c.bits("audit/signs/"+strconv.Itoa(run), c.width)
}

// coordinate is where entry j of a direction is in the update.
func (c *Canaries) coordinate(j int) int { return int(int64(j) * int64(c.dimension) / int64(c.width)) }

// Count is the number of canaries.
func (c *Canaries) Count() int { return len(c.in) }

// In is the coin of canary i: whether it contributes. It is false for i out of range.
func (c *Canaries) In(i int) bool { return i >= 0 && i < len(c.in) && c.in[i] }

// Update writes to dst what canary i contributes: its direction with L2 norm clip, or
// zero if it is out. ErrCanaries refuses an i out of range, a dst that is not of the
// dimension, and a clip that is not positive or whose entries float32 cannot hold.
func (c *Canaries) Update(i int, dst []float32, clip float64) error {
	entry := clip / math.Sqrt(float64(c.width))
	if i < 0 || i >= len(c.in) || len(dst) != c.dimension || !(entry >= 0x1p-126 && entry <= math.MaxFloat32) {
		return ErrCanaries.At("update of canary %d of %d in %d values with clip norm %g", i, len(c.in), len(dst), clip)
	}
	clear(dst)
	if !c.in[i] {
		return nil
	}
	row, signs := uint(i%c.width), c.signs(i/c.width)
	values := [2]float32{float32(entry), float32(-entry)}
	for j := range c.width {
		odd := uint(bits.OnesCount(row&uint(j))) & 1
		dst[c.coordinate(j)] = values[odd^at(signs, j)]
	}
	return nil
}

// Score adds to the score of each canary the inner product of its direction with a
// release: the noised sum or mean of updates of one round, or what a difference of
// released models says it was, in any unit that stays the same over the run. roster
// are the canaries that were asked for that release, for an observer who sees rosters
// and leaves the others' scores alone; nil is for one who does not, and scores all.
//
// ErrRelease refuses, without any effect, a release of another dimension or with
// values that are not finite, and a roster that names a canary twice or one there is not.
func (c *Canaries) Score(released []float32, roster []int) error {
	if len(released) != c.dimension {
		return ErrRelease.At("%d values, want %d", len(released), c.dimension)
	}
	for i, x := range released {
		if !finite(float64(x)) {
			return ErrRelease.At("value %d", i)
		}
	}
	asked := slices.Repeat([]bool{roster == nil}, len(c.in))
	for _, i := range roster {
		if i < 0 || i >= len(c.in) || asked[i] {
			return ErrRelease.At("roster: canary %d of %d", i, len(c.in))
		}
		asked[i] = true
	}
	products := make([]float64, c.width)
	scale := 1 / math.Sqrt(float64(c.width))
	for first := 0; first < len(c.in); first += c.width {
		here := asked[first:min(len(asked), first+c.width)]
		if !slices.Contains(here, true) {
			continue
		}
		signs := c.signs(first / c.width)
		for j := range products {
			x := float64(released[c.coordinate(j)])
			products[j] = x * (1 - 2*float64(at(signs, j)))
		}
		hadamard(products)
		for k, yes := range here {
			if yes {
				c.scores[first+k] += float64(products[k] * scale)
			}
		}
	}
	return nil
}

// hadamard multiplies x by Sylvester's Hadamard matrix in place.
func hadamard(x []float64) {
	for stride := 1; stride < len(x); stride *= 2 {
		for first := 0; first < len(x); first += 2 * stride {
			for k := first; k < first+stride; k++ {
				x[k], x[k+stride] = x[k]+x[k+stride], x[k]-x[k+stride]
			}
		}
	}
}

// Scores are the scores so far with the coins of all canaries; see [NewScores].
func (c *Canaries) Scores() (Scores, error) { return NewScores(c.scores, c.in) }
