package pairwise

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/secagg/pairwise/shamir"
	"github.com/choir-fl/choir/secagg/secaggtest"
	"github.com/stretchr/testify/require"
)

// maskWords is the slow reference: one block of AES for four words.
func maskWords(k key, n int) []uint32 {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err)
	}
	out := make([]uint32, 0, n+3)
	for counter := uint64(0); len(out) < n; counter++ {
		var b [aes.BlockSize]byte
		binary.BigEndian.PutUint64(b[8:], counter)
		block.Encrypt(b[:], b[:])
		for i := range 4 {
			out = append(out, binary.LittleEndian.Uint32(b[4*i:]))
		}
	}
	return out[:n]
}

func TestMasksEqualTheSlowReference(t *testing.T) {
	coins := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 3, 4, 8, 13, blockWords - 1, blockWords, blockWords + 5, 3*blockWords + 9} {
		want, got := make([]uint32, n), make([]uint32, n)
		var streams []stream
		for i := range 5 {
			x := expansion{subtract: i%2 == 1}
			for j := range x.key {
				x.key[j] = byte(coins.Uint32())
			}
			for j, v := range maskWords(x.key, n) {
				if x.subtract {
					v = -v
				}
				want[j] += v
			}
			streams = append(streams, x.open(0))
		}
		var m masker
		// Two calls advance the streams as one does.
		m.apply(got[:n/2&^3], streams)
		m.apply(got[n/2&^3:], streams)
		require.Equal(t, want, got, "%d words", n)
	}
}

func TestStreamsOpenAnywhere(t *testing.T) {
	x := expansion{key: key{1, 2, 3}}
	const first = field.ChunkWords + 8
	want := maskWords(x.key, first+20)[first:]
	got := make([]uint32, 20)
	var m masker
	m.apply(got, []stream{x.open(first)})
	require.Equal(t, want, got)
}

// The uploads of an attempt are what DESIGN section 5 says, computed word by word
// from the parties' secrets.
func TestUploadIsTheVectorUnderItsMasks(t *testing.T) {
	a := newAttempt(t, 3)
	require.NoError(t, a.RunToPhase("upload"))
	const self = 6
	p := inside(a, self)
	context := a.Session.Context
	want := append(append([]uint32{}, a.Vectors[self]...), func() []uint32 { k := knownAnswer(context); return k[:] }()...)
	add := func(k key, sign uint32) {
		for i, v := range maskWords(k, len(want)) {
			want[i] += sign * v
		}
	}
	add(selfMaskKey(context, self, &p.own.b), 1)
	for _, peer := range p.peers {
		if self < peer.member {
			add(pairKey(context, self, peer.member, &peer.secret), 1)
		} else {
			theirs := inside(a, peer.member).peers[self-1] // on the complete graph, after those below it
			require.Equal(t, self, theirs.member)
			secret := theirs.secret
			add(pairKey(context, peer.member, self, &secret), ^uint32(0))
		}
	}
	packed := make([]byte, field.PackedLen(len(want), a.Session.WordBits))
	require.NoError(t, field.Pack(packed, want, a.Session.WordBits))
	body, _ := a.Control.Instruction(self)
	_, err := p.Step(body)
	require.NoError(t, err)
	var out bytes.Buffer
	_, err = p.Seal(append([]uint32{}, a.Vectors[self]...), &out)
	require.NoError(t, err)
	require.Equal(t, packed, out.Bytes())
}

// These bytes travel: a change of any derivation is a change of the protocol. The
// commitment and the self mask key were also computed from their definitions with
// Python's hashlib and hmac; the other vectors were made by this package and pin it.
func TestDerivationsArePinned(t *testing.T) {
	context := secagg.Hash("a context")
	var z, b shamir.Scalar
	z[31], b[31] = 1, 2
	_, public := maskKeyPair(context, 3, &z)
	pk, err := parseKey(public)
	require.NoError(t, err)
	secret, ciphertext := encapsulateMask(context, 1, 3, &z, pk, public)
	sk, _ := maskKeyPair(context, 3, &z)
	require.Equal(t, secret, decapsulate(sk, ciphertext))
	commitment := commitSelfMask(context, 3, &b)
	self, pair := selfMaskKey(context, 3, &b), pairKey(context, 1, 3, &secret)
	aead, data := shareBox(context, 1, 3, secagg.Hash("a list"), &secret)
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"mask key":        {digestOf(public), "ad2fb431c67e93a5"},
		"mask ciphertext": {digestOf(ciphertext), "b551e787592633f0"},
		"commitment":      {commitment[:], "1fb18fac1cca48ab2221c9fe35bf5b9ea84ec81b008f0f127abff39f5a8f63e1"},
		"self mask key":   {self[:], "c101609f2d811ed9624c58d6263bb8cfac160e7c1f4928d5bb770be5bd67a34f"},
		"pair key":        {pair[:], "91d2cb8100e91e9743fe0f9e1ba69369f7600efe0ae6f93943d1a0a6c3f0f081"},
		"sealed shares":   {aead.Seal(nil, shareNonce[:], []byte("shares"), data), "4d4c19b6a29a46ce43c2cd3db959e31c7d256676c7cf"},
		"first words":     {digestOf(binary.LittleEndian.AppendUint32(nil, maskWords(pair, 1000)[999])), "322c8ea24e72260c"},
	} {
		require.Equal(t, c.want, hex.EncodeToString(c.got), name)
	}
}

func digestOf(b []byte) []byte { d := secagg.Hash("test", b); return d[:8] }

func TestCiphersAreDifferentForEveryEdgeDirectionAndContext(t *testing.T) {
	var b shamir.Scalar
	secret := key{9}
	seen := map[key]bool{}
	for _, context := range []secagg.Digest{secagg.Hash("one"), secagg.Hash("two")} {
		for i := range 4 {
			seen[selfMaskKey(context, i, &b)] = true
			for j := range 4 {
				if i < j {
					seen[pairKey(context, i, j, &secret)] = true
				}
				aead, data := shareBox(context, i, j, secagg.Hash("list"), &secret)
				seen[key(aead.Seal(nil, shareNonce[:], make([]byte, 16), data))] = true
			}
		}
	}
	require.Len(t, seen, 2*(4+6+16))
}

func TestNoRandomnessEndsTheParty(t *testing.T) {
	a := newAttempt(t, 4)
	for _, draws := range []int{0, 1, 2, 3, 20, 40} {
		coins := &limited{from: secaggtest.Coins(4, "party 1"), left: draws}
		p, err := Scheme{}.NewParty(a.Session, 1, a.Cohort.Keys[1], coins)
		require.NoError(t, err)
		b := newAttempt(t, 4)
		b.Parties[1] = p
		require.NoError(t, b.RunToPhase("upload"))
		require.ErrorIs(t, b.Refusals[1], ErrCoins, "after %d draws", draws)
		require.True(t, p.(*party).dead)
	}
}

// limited fails after a number of reads.
type limited struct {
	from io.Reader
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	l.left--
	return l.from.Read(p)
}
