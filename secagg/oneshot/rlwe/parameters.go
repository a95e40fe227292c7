package rlwe

import (
	"math/bits"
)

// Limits of a [Literal].
const (
	// MaxClients is the most vectors in one sum.
	MaxClients = 1 << 16
	// MaxWords is the most words of a vector.
	MaxWords = 1 << 28
	// MinWordBits and MaxWordBits bound the width of a word of the sum.
	MinWordBits = 8
	MaxWordBits = 32
)

const (
	secretBound = 36 // 8 sigma of the secret
	errorBound  = 51 // 8 sigma of the error
	minKappa    = 19
)

// Literal is an unchecked choice of parameters.
type Literal struct {
	Set      string // "M" or "S"; "" takes the one with fewer bytes
	Clients  int    // the most vectors in one sum, 1 to MaxClients
	Words    int    // words of a vector, 1 to MaxWords
	WordBits int    // width of a word of the sum, MinWordBits to MaxWordBits
}

// Parameters are checked and immutable, and serve any number of goroutines. The
// zero value is refused wherever it is used.
type Parameters struct {
	set     *set
	clients int
	words   int
	width   int
	kappa   int
	slots   int
}

// Check refuses literals outside their ranges and those whose words do not fit
// the modulus, with [ErrParameters]. Where Set is empty it takes the set with
// which a vector is fewer bytes long, M if both are equal.
func (l Literal) Check() (Parameters, error) {
	switch {
	case l.Clients < 1 || l.Clients > MaxClients:
		return Parameters{}, ErrParameters.At("%d clients in a sum, of 1 to %d", l.Clients, MaxClients)
	case l.Words < 1 || l.Words > MaxWords:
		return Parameters{}, ErrParameters.At("%d words, of 1 to %d", l.Words, MaxWords)
	case l.WordBits < MinWordBits || l.WordBits > MaxWordBits:
		return Parameters{}, ErrParameters.At("words of %d bits, of %d to %d", l.WordBits, MinWordBits, MaxWordBits)
	}
	m, s := l.with(&setM), l.with(&setS)
	switch l.Set {
	case setM.name:
		s.slots = 0
	case setS.name:
		m.slots = 0
	case "":
	default:
		return Parameters{}, ErrParameters.At("set %q, of \"M\" and \"S\"", l.Set)
	}
	switch {
	case m.slots == 0 && s.slots == 0:
		return Parameters{}, ErrParameters.At("set %q: no word of %d bits fits beside the noise of %d clients", l.Set, l.WordBits, l.Clients)
	case s.slots == 0, m.slots > 0 && m.Bytes() <= s.Bytes():
		return m, nil
	}
	return s, nil
}

// with resolves the literal for one set; slots is 0 if no word fits.
func (l Literal) with(s *set) Parameters {
	// The smallest kappa with 2^(kappa-1) > errorBound*clients.
	kappa := max(minKappa, bits.Len(uint(errorBound*l.Clients))+1)
	budget := s.logQ - kappa - 1
	return Parameters{set: s, clients: l.Clients, words: l.Words, width: l.WordBits, kappa: kappa, slots: max(0, budget/l.WordBits)}
}

// Set is the name of the parameter set, "M" or "S".
func (p Parameters) Set() string { return p.ring().name }

// N is the ring degree, and the number of values of a secret.
func (p Parameters) N() int { return p.ring().n }

// Clients is the most vectors that one sum may hold.
func (p Parameters) Clients() int { return p.clients }

// Words is the number of words of a vector.
func (p Parameters) Words() int { return p.words }

// Width is the number of bits of a word of the sum: the sum of one word over all
// members of a bucket must stay below 2^Width, else it carries into the next word.
func (p Parameters) Width() int { return p.width }

// Kappa is the number of low bits of a coefficient that hold the noise.
func (p Parameters) Kappa() int { return p.kappa }

// Slots is how many words share a coefficient.
func (p Parameters) Slots() int { return p.slots }

// ChunkWords is how many words a chunk holds; the last one may hold fewer.
func (p Parameters) ChunkWords() int { return p.N() * p.slots }

// Chunks is the number of chunks of a vector.
func (p Parameters) Chunks() int {
	if p.slots == 0 {
		return 0
	}
	return (p.words-1)/p.ChunkWords() + 1
}

// WordsOf is the number of words of one chunk, 0 if there is no such chunk.
func (p Parameters) WordsOf(chunk int) int {
	if chunk < 0 || chunk >= p.Chunks() {
		return 0
	}
	return min(p.ChunkWords(), p.words-chunk*p.ChunkWords())
}

// ChunkBytes is the exact length of every encrypted chunk, the last one too.
func (p Parameters) ChunkBytes() int { return p.limbs() * p.limbBytes() }

// Bytes is the exact length of an encrypted vector, and of a snapshot of a sum.
func (p Parameters) Bytes() int64 { return int64(p.Chunks()) * int64(p.ChunkBytes()) }

// SecretBound is the largest magnitude of a value of a secret.
func (p Parameters) SecretBound() int { return secretBound }

// ErrorBound is the largest magnitude of an error of a chunk.
func (p Parameters) ErrorBound() int { return errorBound }

func (p Parameters) limbs() int { return len(p.ring().primes) }

func (p Parameters) limbBytes() int { return p.N() / 8 * groupBytes }

var noSet set

func (p Parameters) ring() *set {
	if p.set == nil {
		return &noSet
	}
	return p.set
}
