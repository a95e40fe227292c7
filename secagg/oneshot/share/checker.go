package share

import (
	"crypto/aes"
	"crypto/cipher"
)

// Checker computes what a member publishes about one client's shares. It holds
// nothing secret, does not change once made, and may be used concurrently.
type Checker struct {
	rho [][Blinds]uint32 // rho[k][l] multiplies the share of secret k in value l
}

// NewChecker expands seed into the coefficients for n secrets. seed must be a
// hash that binds the client's whole upload, computed by the member itself from
// what it received; package comment, "The check that shares lie on a
// polynomial". n must not be negative.
//
// Bit for bit: the keystream of AES-256 in counter mode under the key seed, from
// the 16-byte big-endian counter 0, is read as 32-bit little-endian words. Each
// loses its top bit, and those equal to p are passed over. The remaining words
// a_0, a_1, ... give rho_k[l] = a_(4k+l).
func NewChecker(seed [32]byte, n int) *Checker {
	block, err := aes.NewCipher(seed[:])
	if err != nil { // only a key of another length is refused
		panic("share: AES with a 32-byte key: " + err.Error()) //nolint:forbidigo // the seed has 32 bytes
	}
	stream := cipher.NewCTR(block, make([]byte, aes.BlockSize))
	c := &Checker{rho: make([][Blinds]uint32, n)}
	var coins [2048]byte
	var words [len(coins) / ElementBytes]uint32
	for have := 0; have < Blinds*n; {
		block := coins[:min(len(coins), ElementBytes*(Blinds*n-have))]
		clear(block)
		stream.XORKeyStream(block, block)
		for _, w := range words[:accept(words[:], block)] {
			c.rho[have/Blinds][have%Blinds] = w
			have++
		}
	}
	return c
}

// Check returns what the member that holds shares publishes of them: value l is
// the l-th blind's share plus the sum of rho_k[l] times the share of secret k.
// It publishes them once; see the package comment for why they reveal nothing.
// shares is a client's vector as [Split] made it, n secrets and [Blinds] blinds;
// Check panics if it has another length, which [Decode] has fixed before.
func (c *Checker) Check(shares []uint32) [Blinds]uint32 {
	n := len(c.rho)
	if len(shares) != n+Blinds {
		panic("share: Check of a vector of another length") //nolint:forbidigo // Decode fixed the length: a programmer's error
	}
	// Folded products are below 2^33: no sum of fewer than 2^31 overflows.
	t0, t1, t2, t3 := uint64(shares[n]), uint64(shares[n+1]), uint64(shares[n+2]), uint64(shares[n+3])
	for k := range c.rho {
		rho, x := &c.rho[k], uint64(shares[k])
		t0 += fold(uint64(rho[0]) * x)
		t1 += fold(uint64(rho[1]) * x)
		t2 += fold(uint64(rho[2]) * x)
		t3 += fold(uint64(rho[3]) * x)
	}
	return [Blinds]uint32{reduce(t0), reduce(t1), reduce(t2), reduce(t3)}
}

// Consistent tells which members' values of one client, values[i] at points[i],
// disagree with the polynomials of the given degree through the rest: wrong has
// their positions, indices into points, in ascending order. A member is wrong
// if any of its values is. How many may be, and what a position proves: package
// comment, "How many liars".
//
// Errors are those of [Combine], and only [ErrUndecodable] is a verdict: more
// members are wrong than can be told. [ErrTooFew], below 2*degree+1 members, says
// nothing of the client. A value from outside must have been checked to be below
// p before.
func Consistent(points []int, values [][Blinds]uint32, degree int) (wrong []int, err error) {
	answers := make([][]uint32, len(values))
	for i := range values {
		answers[i] = values[i][:]
	}
	var opened [Blinds]int32 // the values are public, and so is where they meet
	return Combine(opened[:], points, answers, degree)
}
