package share

import (
	"encoding/binary"
	"io"
)

const (
	// Blinds is the number of blinds that follow the secrets in each vector of
	// shares, and of values that [Checker.Check] gives.
	Blinds = 4
	// MaxPoint is the largest point, so the size of the largest committee.
	MaxPoint = 16
	// MaxDegree is the largest degree: the most members that may be corrupt.
	MaxDegree = 5
)

// splitBlock is how many secrets are shared at once: what their coefficients
// take stays in the first-level cache.
const splitBlock = 256

// maxRejections is how many words of all ones Split takes in a call. A good
// source gives one with probability 2^-31: nine among the 20,504 of N = 4096 and
// degree 5 come up less often than once in 2^160 calls.
const maxRejections = 8

// Split shares secrets and [Blinds] uniform values among the members at points,
// with the given degree: any degree+1 members determine them, and degree members
// learn nothing. out[j] must have len(secrets)+Blinds elements and gets the
// shares of the member at points[j], the blinds last. A secret is taken mod p;
// sums can be read back only while they stay within (p-1)/2 of 0.
//
// points must be distinct, from 1 to [MaxPoint] ([ErrPoints]), and more than
// degree ([ErrTooFew]), which is from 1 to [MaxDegree] ([ErrDegree]).
//
// The coefficients are the words of coins in this order: for each secret those
// of x, x^2, ..., x^degree; then for each blind its value and those of x, ...,
// x^degree. A word is four bytes, little-endian, without its top bit, and is
// passed over if it is p. Split reads no more bytes than that takes. coins must be
// cryptographically secure; if it fails, or gives what no such source gives,
// that is [ErrCoins].
//
// The caller erases secrets and out. Everything else that depends on them is
// erased when Split returns, and after an error out is zero.
func Split(out [][]uint32, points []int, secrets []int32, degree int, coins io.Reader) error {
	if err := checkCode(points, degree); err != nil {
		return err
	}
	if len(out) != len(points) {
		return ErrLength.At("%d vectors for %d points", len(out), len(points))
	}
	for j, shares := range out {
		if len(shares) != len(secrets)+Blinds {
			return ErrLength.At("%d elements for point %d, want %d", len(shares), points[j], len(secrets)+Blinds)
		}
	}
	s := splitter{coins: coins, degree: degree}
	defer s.erase()
	err := s.split(out, points, secrets)
	if err != nil {
		for _, shares := range out {
			clear(shares)
		}
	}
	return err
}

// checkCode refuses points and degrees that do not make a code.
func checkCode(points []int, degree int) error {
	if degree < 1 || degree > MaxDegree {
		return ErrDegree.At("degree %d", degree)
	}
	seen := 0
	for i, x := range points {
		if x < 1 || x > MaxPoint || seen>>x&1 == 1 {
			return ErrPoints.At("point %d at index %d", x, i)
		}
		seen |= 1 << x
	}
	if len(points) <= degree {
		return ErrTooFew.At("%d members, degree %d", len(points), degree)
	}
	return nil
}

// splitter holds what one call of Split must erase.
type splitter struct {
	coins      io.Reader
	degree     int
	rejections int
	bytes      [ElementBytes * MaxDegree * splitBlock]byte
	words      [MaxDegree * splitBlock]uint32
	constants  [splitBlock]uint64
}

func (s *splitter) erase() {
	clear(s.bytes[:])
	clear(s.words[:])
	clear(s.constants[:])
}

func (s *splitter) split(out [][]uint32, points []int, secrets []int32) error {
	for at := 0; at < len(secrets); at += splitBlock {
		n := min(splitBlock, len(secrets)-at)
		if err := s.draw(n * s.degree); err != nil {
			return err
		}
		for k := range n {
			s.constants[k] = lift(secrets[at+k])
		}
		for j, x := range points {
			s.evaluate(out[j][at:at+n], x, s.words[:], s.degree)
		}
	}
	stride := s.degree + 1
	if err := s.draw(Blinds * stride); err != nil {
		return err
	}
	for l := range Blinds {
		s.constants[l] = uint64(s.words[l*stride])
	}
	for j, x := range points {
		s.evaluate(out[j][len(secrets):], x, s.words[1:], stride)
	}
	return nil
}

// evaluate fills dst with the values at x of the polynomials whose constant
// terms are s.constants and whose other coefficients begin at every stride-th
// word. Horner's rule needs no reduction until the end: with x <= 16 and degree
// <= 5 everything stays below 2^53.
func (s *splitter) evaluate(dst []uint32, x int, words []uint32, stride int) {
	for k := range dst {
		value := uint64(0)
		for d := s.degree - 1; d >= 0; d-- {
			value = (value + uint64(words[k*stride+d])) * uint64(x)
		}
		dst[k] = reduce(value + s.constants[k])
	}
}

// draw fills the first n words with uniform elements.
func (s *splitter) draw(n int) error {
	for have := 0; have < n; {
		block := s.bytes[:ElementBytes*(n-have)]
		if _, err := io.ReadFull(s.coins, block); err != nil {
			return ErrCoins.Because(err)
		}
		accepted := accept(s.words[have:n], block)
		s.rejections += n - have - accepted
		if s.rejections > maxRejections {
			return ErrCoins.At("%d words in one call that are 2^31-1", s.rejections)
		}
		have += accepted
	}
	return nil
}

// accept fills dst with the elements that block encodes as coins and returns
// their number: words without their top bit, those equal to p passed over. The
// branch tells nothing about a word that is used.
func accept(dst []uint32, block []byte) int {
	n := 0
	for ; len(block) >= ElementBytes; block = block[ElementBytes:] {
		if w := binary.LittleEndian.Uint32(block) & Prime; w != Prime {
			dst[n] = w
			n++
		}
	}
	return n
}
