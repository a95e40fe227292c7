package sim

import (
	"bytes"
	"crypto/ed25519"
	"io"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
)

// twins are two parties of scheme pairwise with one secret, and one signature, which draw
// different polynomials to share it: half of the shares that leave are of one of them,
// half of the other. No party can tell until the shares are put together.
type twins struct {
	secagg.Party // the one that goes on
	other        secagg.Party
	fork         *fork
	key          ed25519.PrivateKey
	chosen       []byte // the list of advertisements that was signed
}

// Phases of scheme pairwise, by number, in which they differ.
const (
	phaseChoose = 2
	phaseShare  = 3
)

// fork is a source of coins that changes when it is told to.
type fork struct {
	key    [32]byte
	stream *field.Stream
}

func (f *fork) Read(p []byte) (int, error) { return f.stream.Read(p) }

// newTwins begins an attempt. In a session of several buckets it is a party in one.
func newTwins(scheme secagg.ClientScheme, s secagg.Session, self int, key ed25519.PrivateKey, coins io.Reader) (secagg.Party, error) {
	var seed [32]byte
	if _, err := io.ReadFull(coins, seed[:]); err != nil {
		return nil, err
	}
	one, err := scheme.NewParty(s, self, key, field.NewStream(seed))
	if err != nil {
		return nil, err
	}
	f := &fork{seed, field.NewStream(seed)}
	two, err := scheme.NewParty(s, self, key, f)
	return &twins{Party: one, other: two, fork: f, key: key}, err
}

// Step implements secagg.Party.
func (t *twins) Step(instruction []byte) (secagg.Reply, error) {
	context, phase, _, err := secagg.OpenPhase(instruction, 1<<10)
	if err != nil || phase > phaseShare {
		return t.Party.Step(instruction)
	}
	if phase == phaseShare {
		t.fork.stream = field.NewStream(field.Derive(t.fork.key, "other shares"))
	}
	reply, err := t.Party.Step(instruction)
	if err != nil {
		return reply, err
	}
	other, err := t.other.Step(instruction)
	if err != nil {
		return other, err
	}
	switch phase {
	case phaseChoose:
		_, _, body, _ := secagg.OpenPhase(reply.Message, 1<<10)
		t.chosen = secagg.NewDecoder(body).Bytes(1)
	case phaseShare:
		reply.Message, err = t.mix(context, reply.Message, other.Message)
	}
	return reply, err
}

// mix takes the parts of two share messages in turn, and signs what comes of it.
func (t *twins) mix(context secagg.Digest, one, two []byte) ([]byte, error) {
	a, err := partsOf(one)
	if err != nil {
		return nil, err
	}
	b, err := partsOf(two)
	if err != nil {
		return nil, err
	}
	for i := 1; i < len(a); i += 2 {
		a[i] = b[i]
	}
	root := rootOfParts(a)
	var e secagg.Encoder
	e.List(1, a)
	e.Bytes(2, secagg.Sign(t.key, "pairwise share", context, t.chosen, root[:]))
	return secagg.WrapPhase(context, phaseShare, e.Encoded()), nil
}

func partsOf(message []byte) ([][]byte, error) {
	_, _, body, err := secagg.OpenPhase(bytes.Clone(message), 1<<10)
	if err != nil {
		return nil, err
	}
	d := secagg.NewDecoder(body)
	parts := d.List(1, secagg.MaxRoster)
	d.Bytes(2)
	return parts, d.Close()
}

// rootOfParts is the root of the hash tree that a member signs its parts under.
func rootOfParts(parts [][]byte) secagg.Digest {
	width := 1
	for width < len(parts) {
		width *= 2
	}
	level := make([]secagg.Digest, width)
	for i, p := range parts {
		level[i] = secagg.Hash("pairwise/1 part", p)
	}
	for ; width > 1; width /= 2 {
		for i := range width / 2 {
			level[i] = secagg.Hash("pairwise/1 parts", level[2*i][:], level[2*i+1][:])
		}
	}
	return level[0]
}
