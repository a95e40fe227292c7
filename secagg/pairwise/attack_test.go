package pairwise

import (
	"bytes"
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/secaggtest"
)

func TestAttacks(t *testing.T) {
	c := testConfig
	c.Forger = &forger
	secaggtest.Attacks(t, Scheme{}, c)
}

var forger = secaggtest.Forger{
	Listed: "choose", Shown: "share", Agreed: "agree",
	Gullible:  newGullible,
	Rebind:    rebind,
	SwapKeys:  swapKeys,
	Survivors: forgeSurvivors,
	Quorum:    forgeQuorum,
	AskBoth: func(instruction []byte, s secagg.Session) []byte {
		_, phase, body, _ := openEnvelope(instruction)
		var e secagg.Encoder // a second set after the fields that there are
		e.Bytes(3, newSet(s.Roster.Len()))
		return envelope(s.Context, phase, slices.Concat(body, e.Encoded()))
	},
	Released: func(s secagg.Session, message []byte) map[int]int {
		_, _, body, _ := openEnvelope(message)
		d := secagg.NewDecoder(body)
		owners, shares := membersOf(d.Bytes(1), s.Roster.Len()), d.Bytes(2)
		out := map[int]int{}
		for _, i := range owners.members() {
			out[i] = len(shares) / keySize / owners.count()
		}
		return out
	},
	Huge: forgeHuge,

	TwoModels: secagg.ErrSignature, TwoLists: ErrTwoRosters, OwnKeys: ErrAdvertisement, OtherKeys: ErrKey,
	Replayed:        ErrContext,
	TwoSurvivorSets: secagg.ErrSignature, SmallQuorum: ErrQuorum, Strangers: ErrSurvivors,
	Garbage: ErrKnownAnswer, Pieces: ErrPieces,
}

// gullible is a coordinator that verifies nothing.
type gullible struct{ *control }

func newGullible(s secagg.Session) (secagg.Control, error) {
	c, err := newControl(s)
	return gullible{c}, err
}

func (g gullible) Receive(member int, message []byte) (bool, error) {
	n := g.attempt.members()
	var body []byte
	var err error
	if g.phase != phaseUpload {
		if _, _, body, err = openEnvelope(message); err != nil {
			return false, err
		}
	}
	switch g.phase {
	case phaseAdvertise:
		g.ads[member] = body
	case phaseChoose:
		var m choice
		m, err = decodeChoice(body, n)
		g.choices[member], g.chosen[member] = body, m.neighbours
	case phaseShare:
		var m sharing
		m, err = decodeSharing(body, n)
		g.dealt[member] = dealing{m, newTree(m.parts)}
	case phaseUpload:
		g.frames[member] = message
		g.ready = append(g.ready, member)
	case phaseAgree:
		g.signatures[member], err = decodeAgreement(body)
	case phaseUnmask:
		g.answers[member], err = decodeAnswer(body, n)
	}
	g.raw[member] = message
	return err == nil, err
}

func rebind(instruction []byte, context secagg.Digest) []byte {
	_, phase, body, err := openEnvelope(instruction)
	if err != nil {
		panic(err)
	}
	return envelope(context, phase, body)
}

// otherKeys is the advertisement that takes a victim's place.
func otherKeys() []byte {
	_, public := keyPair(bytes.Repeat([]byte{7}, keySize))
	m := advertisement{mask: public, channel: public, commitment: make([]byte, keySize), signature: make([]byte, signatureSize)}
	return m.encode()
}

func swapKeys(s secagg.Session, phase string, instruction []byte, member int) []byte {
	context, number, body, err := openEnvelope(instruction)
	if err != nil {
		panic(err)
	}
	n := s.Roster.Len()
	if phase == "choose" {
		m, err := decodeListing(bytes.Clone(body), n)
		if err != nil {
			panic(err)
		}
		digest := digestAdvertisement(otherKeys())
		copy(m.digests[m.members.before(member)*len(digest):], digest[:])
		return envelope(context, number, m.encode())
	}
	m, err := decodeIntroduction(body, n)
	if err != nil {
		panic(err)
	}
	if m.members.has(member) {
		m.advertisements[m.members.before(member)] = otherKeys()
	}
	return envelope(context, number, m.encode())
}

func setOf(n int, members ...int) set {
	s := newSet(n)
	for _, i := range members {
		s.add(i)
	}
	return s
}

func forgeSurvivors(s secagg.Session, members []int) []byte {
	return envelope(s.Context, phaseAgree, encodeSurvivors(setOf(s.Roster.Len(), members...)))
}

func forgeQuorum(s secagg.Session, agreed map[int][]byte) []byte {
	m := quorum{signers: newSet(s.Roster.Len()), owners: newSet(s.Roster.Len())}
	for i := range s.Roster.Len() {
		if message, ok := agreed[i]; ok {
			_, _, body, _ := openEnvelope(message)
			signature, err := decodeAgreement(body)
			if err != nil {
				panic(err)
			}
			m.signers.add(i)
			m.signatures = append(m.signatures, signature...)
		}
	}
	return envelope(s.Context, phaseUnmask, m.encode())
}

// forgeHuge makes instructions whose lists have millions of empty items, and one
// whose only field promises more than there is.
func forgeHuge(s secagg.Session, phase string) [][]byte {
	number := slices.IndexFunc(phases[:], func(p secagg.Phase) bool { return p.Name == phase })
	all := newSet(s.Roster.Len())
	empty := make([]byte, 1<<20) // each byte is the length of an empty item
	var out [][]byte
	for field := uint64(1); field <= 3; field++ {
		var e secagg.Encoder
		for before := uint64(1); before < field; before++ {
			e.Bytes(before, all)
		}
		e.Bytes(field, empty)
		out = append(out, envelope(s.Context, number, e.Encoded()))
	}
	return append(out, envelope(s.Context, number, []byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f}))
}
