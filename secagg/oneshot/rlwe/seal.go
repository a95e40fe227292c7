package rlwe

import (
	"encoding/binary"
	"io"
	"math/bits"

	"github.com/tuneinsight/lattigo/v5/ring"
)

// A Sealer encrypts the chunks of one client's vector. It serves one goroutine;
// workers that share a vector have a Sealer each, over the same secret and
// different coins. A chunk is sealed once under a secret: two encryptions of
// different words would leak the difference. See the package comment.
type Sealer struct {
	p        Parameters
	limbs    []limb
	key      [][]uint64 // the secret, transformed, a limb each; nil once erased
	coins    io.Reader
	expander *expander
	sampler  sampler

	errors []int32
	rows   [][]uint64 // the plaintext, then its transform, a limb each
	a      []uint64
}

// NewSealer takes the context that all members of the sum agree on, the secret
// that [Parameters.NewSecret] drew, which it copies, and the coins of the errors,
// N/8 + 8N bytes for each chunk in one read. A secret of another length or with a
// value beyond SecretBound is an [ErrArgument].
func NewSealer(p Parameters, context [32]byte, secret []int32, coins io.Reader) (*Sealer, error) {
	if p.set == nil || len(secret) != p.N() || !bounded(secret, secretBound) {
		return nil, ErrArgument.At("secret of %d values for a sealer of %d", len(secret), p.N())
	}
	x, err := newExpander(context)
	if err != nil {
		return nil, err
	}
	s := &Sealer{p: p, limbs: p.set.limbs(), coins: coins, expander: x,
		errors: make([]int32, p.N()), a: make([]uint64, p.N())}
	for i := range s.limbs {
		s.rows = append(s.rows, make([]uint64, p.N()))
		s.key = append(s.key, make([]uint64, p.N()))
		s.limbs[i].key(s.key[i], secret)
	}
	return s, nil
}

// bounded reports whether no value is beyond the bound in magnitude. Its time
// does not depend on the values. bound is below 2^30.
func bounded(values []int32, bound int) bool {
	var over int64
	for _, v := range values {
		over |= (int64(bound) - int64(v)) | (int64(bound) + int64(v))
	}
	return over >= 0
}

// Seal encrypts the words of one chunk into dst, which is ChunkBytes long. A
// wrong length, a chunk that does not exist and a word of 2^Width or more are an
// [ErrArgument], failing coins an [ErrCoins]; then dst is of no use. Time and
// memory accesses depend on neither words, secret nor errors.
func (s *Sealer) Seal(dst []byte, chunk int, words []uint32) error {
	p := s.p
	switch {
	case s.key == nil:
		return ErrArgument.At("chunk %d: sealer was erased", chunk)
	case len(dst) != p.ChunkBytes() || len(words) != p.WordsOf(chunk) || len(words) == 0:
		return ErrArgument.At("chunk %d: %d words into %d bytes, of %d into %d", chunk, len(words), len(dst), p.WordsOf(chunk), p.ChunkBytes())
	case !narrow(words, p.width):
		return ErrArgument.At("chunk %d: a word has more than %d bits", chunk, p.width)
	}
	if err := s.sampler.sample(s.errors, &errorLaw, s.coins); err != nil {
		return err
	}
	s.encode(words)
	clear(s.errors)
	for i := range s.limbs {
		l := &s.limbs[i]
		l.transform(s.rows[i])
		s.expander.expand(s.a, l.q, chunk, i)
		l.encrypt(dst[:p.limbBytes()], s.a, s.key[i], s.rows[i])
		clear(s.rows[i])
		dst = dst[p.limbBytes():]
	}
	return nil
}

// Erase destroys the secret. The sealer then refuses to seal.
func (s *Sealer) Erase() {
	for _, k := range s.key {
		clear(k)
	}
	s.key = nil
}

// narrow reports whether all words are below 2^width, in time that does not
// depend on them.
func narrow(words []uint32, width int) bool {
	var all uint32
	for len(words) >= 4 {
		all |= words[0] | words[1] | words[2] | words[3]
		words = words[4:]
	}
	for _, x := range words {
		all |= x
	}
	return uint64(all)>>width == 0
}

// encode writes e + 2^kappa * pack(words) to the rows, modulo their primes and
// below 4q. Slot k of coefficient j is word j*slots + k; absent words are 0.
func (s *Sealer) encode(words []uint32) {
	slots, width, kappa := s.p.slots, uint(s.p.width)&63, uint(s.p.kappa)&63
	rest := (64 - width) & 63
	split := (residueBits - kappa) & 63 // bits of the packed words that stay below 2^53
	first, last := &s.limbs[0], &s.limbs[len(s.limbs)-1]
	x, y, errors := s.rows[0], s.rows[len(s.rows)-1], s.errors
	if len(s.rows) == 2 && slots == 3 { // the common case
		full := len(words) / 3
		s.encodeThrees(x[:full], y[:full], errors[:full], words[:3*full])
		x, y, errors, words = x[full:], y[full:], errors[full:], words[3*full:]
	}
	x, y = x[:len(errors)], y[:len(errors)]
	for j, e := range errors {
		group := words[:min(slots, len(words))]
		words = words[len(group):]
		var hi, lo uint64
		for k := len(group) - 1; k >= 0; k-- {
			hi = hi<<width | lo>>rest
			lo = lo<<width | uint64(group[k])
		}
		low := lo&(1<<split-1)<<kappa + uint64(int64(e))
		high := lo>>split | hi<<((64-split)&63)
		y[j] = last.join(low, high)
		x[j] = first.join(low, high) // the same again if there is one limb
	}
}

// encodeThrees is encode of two limbs and coefficients of three words, of 21 to 28
// bits: the third has no bit below 2^53.
func (s *Sealer) encodeThrees(x, y []uint64, errors []int32, words []uint32) {
	width, kappa := uint(s.p.width)&63, uint(s.p.kappa)&63
	split := (residueBits - kappa) & 63
	above := (2*width - split) & 63
	first, last := &s.limbs[0], &s.limbs[1]
	x, y = x[:len(errors)], y[:len(errors)]
	for j, e := range errors {
		if len(words) < 3 {
			return
		}
		group := (*[3]uint32)(words)
		words = words[3:]
		pair := uint64(group[0]) | uint64(group[1])<<width
		low := pair<<kappa&residueMask + uint64(int64(e))
		high := pair>>split | uint64(group[2])<<above
		x[j], y[j] = first.join(low, high), last.join(low, high)
	}
}

// join is low + 2^53*high (mod q), below 4q, for low from -q to 2^53 and any high.
func (l *limb) join(low, high uint64) uint64 {
	hi, lo := bits.Mul64(high, l.fold)
	return low + l.q + lo&residueMask + (hi<<(64-residueBits)|lo>>residueBits)*l.fold
}

// encrypt writes a*key + row to dst, as putGroup does, each residue once it is known.
func (l *limb) encrypt(dst []byte, a, key, row []uint64) {
	le := binary.LittleEndian
	for len(row) >= 8 && len(a) >= 8 && len(key) >= 8 && len(dst) >= groupBytes {
		a8, k8, m8, to := (*[8]uint64)(a), (*[8]uint64)(key), (*[8]uint64)(row), (*[groupBytes]byte)(dst)
		x, y := l.mulAdd(a8[0], k8[0], m8[0]), l.mulAdd(a8[1], k8[1], m8[1])
		le.PutUint64(to[0:], x|y<<53)
		x = l.mulAdd(a8[2], k8[2], m8[2])
		le.PutUint64(to[8:], y>>11|x<<42)
		y = l.mulAdd(a8[3], k8[3], m8[3])
		le.PutUint64(to[16:], x>>22|y<<31)
		x = l.mulAdd(a8[4], k8[4], m8[4])
		le.PutUint64(to[24:], y>>33|x<<20)
		y = l.mulAdd(a8[5], k8[5], m8[5])
		z := l.mulAdd(a8[6], k8[6], m8[6])
		le.PutUint64(to[32:], x>>44|y<<9|z<<62)
		x = l.mulAdd(a8[7], k8[7], m8[7])
		le.PutUint64(to[40:], z>>2|x<<51)
		le.PutUint64(to[45:], z>>42|x<<11)
		dst, a, key, row = dst[groupBytes:], a[8:], key[8:], row[8:]
	}
}

// mulAdd is a*key + m mod q.
func (l *limb) mulAdd(a, key, m uint64) uint64 {
	return l.reduce(ring.MRedLazy(a, key, l.q, l.qInv) + m)
}
