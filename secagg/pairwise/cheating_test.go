package pairwise

import (
	"crypto/ed25519"
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise/shamir"
	"github.com/choir-fl/choir/secagg/secaggtest"
	"github.com/stretchr/testify/require"
)

// newAttempt makes an attempt of 16 members on the complete graph: t = 9, f = 2.
func newAttempt(t testing.TB, seed uint64) *secaggtest.Attempt {
	c := secaggtest.NewCohort(t, 16, 16)
	s := secaggtest.NewSession(t, Scheme{}, testPolicy, c, secaggtest.Shape{Minimum: 11, Words: 50, WordBits: 20})
	return secaggtest.NewAttempt(t, Scheme{}, s, c, seed)
}

func inside(a *secaggtest.Attempt, member int) *party { return a.Parties[member].(*party) }

// vanishes makes a member drop out after it shared.
func vanishes(a *secaggtest.Attempt, member int) {
	a.Leaves = func(phase secagg.Phase, i int) bool { return i == member && phase.Kind == secagg.PhaseUpload }
}

// retell changes the parts of a share message and signs it again, as a member that
// does not follow the protocol would.
func retell(t testing.TB, a *secaggtest.Attempt, member int, message []byte, change func(*part)) []byte {
	n := a.Session.Roster.Len()
	context, phase, body, err := openEnvelope(message)
	require.NoError(t, err)
	m, err := decodeSharing(body, n)
	require.NoError(t, err)
	for i, b := range m.parts {
		p, err := decodePart(slices.Clone(b), n)
		require.NoError(t, err)
		change(&p)
		m.parts[i] = p.encode()
	}
	root := newTree(m.parts).root()
	m.signature = inside(a, member).sign(labelShare, inside(a, member).root[:], root[:])
	return envelope(context, phase, m.encode())
}

// retellAt installs retell for one member's share message.
func retellAt(t testing.TB, a *secaggtest.Attempt, member int, change func(*part)) {
	a.Message = func(phase secagg.Phase, i int, body []byte) []byte {
		if i == member && phase.Name == "share" {
			return retell(t, a, member, body, change)
		}
		return body
	}
}

func requireBlamed(t *testing.T, err error, members ...int) {
	t.Helper()
	require.ErrorIs(t, err, ErrCheating)
	var blame *secagg.Blame
	require.ErrorAs(t, err, &blame)
	require.Equal(t, members, blame.Members)
}

func TestSelfMaskOtherThanCommittedIsBlamedOnItsOwner(t *testing.T) {
	a := newAttempt(t, 1)
	require.NoError(t, a.RunToPhase("choose"))
	inside(a, 4).own.b[31] ^= 1
	_, err := a.Run()
	requireBlamed(t, err, 4)
}

func TestMaskKeyOtherThanAdvertisedIsBlamedOnItsOwner(t *testing.T) {
	a := newAttempt(t, 2)
	vanishes(a, 4)
	require.NoError(t, a.RunToPhase("choose"))
	inside(a, 4).own.z[31] ^= 1
	_, err := a.Run()
	requireBlamed(t, err, 4)
}

func TestEncapsulationThatDoesNotFollowFromTheScalarIsBlamedOnItsOwner(t *testing.T) {
	a := newAttempt(t, 3)
	vanishes(a, 4)
	retellAt(t, a, 4, func(p *part) {
		if p.to == 9 {
			p.mask[0] ^= 1
		}
	})
	_, err := a.Run()
	requireBlamed(t, err, 4)
}

// spoilShares makes a member send unreadable shares to the first n others.
func spoilShares(t *testing.T, a *secaggtest.Attempt, member, n int) {
	retellAt(t, a, member, func(p *part) {
		if n > 0 {
			n--
			p.box[3] ^= 1
		}
	})
}

func TestUnreadableSharesUpToTheCorruptAreToleratedAndMoreAreBlamed(t *testing.T) {
	a := newAttempt(t, 4)
	spoilShares(t, a, 4, 2)
	sums, err := a.Run()
	require.NoError(t, err)
	a.RequireSum(t, sums, a.Control.Survivors()[0])

	a = newAttempt(t, 4)
	spoilShares(t, a, 4, 10) // 5 of 15 are left, 9 are needed
	_, err = a.Run()
	requireBlamed(t, err, 4)
}

// lies makes holders answer with other shares than they hold.
func lies(a *secaggtest.Attempt, liars ...int) {
	a.Message = func(phase secagg.Phase, i int, body []byte) []byte {
		if phase.Kind != secagg.PhaseUnmask || !slices.Contains(liars, i) {
			return body
		}
		context, number, inner, _ := openEnvelope(body)
		m, err := decodeAnswer(slices.Clone(inner), a.Session.Roster.Len())
		if err != nil {
			panic(err)
		}
		for at := keySize - 1; at < len(m.shares); at += keySize {
			m.shares[at] ^= 1
		}
		return envelope(context, number, m.encode())
	}
}

func TestWrongSharesAreCorrectedOrEndTheAttemptWithoutBlame(t *testing.T) {
	// 14 shares of threshold 9: two wrong ones can be corrected.
	a := newAttempt(t, 5)
	lies(a, 0, 1)
	vanishes(a, 15)
	sums, err := a.Run()
	require.NoError(t, err)
	a.RequireSum(t, sums, a.Control.Survivors()[0])

	// With only 10 answers left, two liars can be neither corrected nor told
	// from a cheating owner.
	a = newAttempt(t, 5)
	lies(a, 0, 1)
	a.Leaves = func(phase secagg.Phase, i int) bool { return phase.Kind == secagg.PhaseUnmask && i > 10 }
	_, err = a.Run()
	require.ErrorIs(t, err, ErrRebuild)
	var blame *secagg.Blame
	require.NotErrorAs(t, err, &blame)
}

func TestSharesOnNoPolynomialAreBlamedOnTheirOwner(t *testing.T) {
	a := newAttempt(t, 6)
	require.NoError(t, a.RunTo(secagg.PhaseOpen))
	c := a.Control.(*control)
	coins := secaggtest.Coins(6, "junk")
	for holder := range c.chosen[4].all() {
		m := c.answers[holder]
		junk, err := shamir.Random(coins)
		require.NoError(t, err)
		copy(m.shares[m.owners.before(4)*keySize:], junk[:])
	}
	_, err := c.Opening()
	requireBlamed(t, err, 4)
}

func TestShareOfAMemberThatDidNotChooseTheHolderIsRefused(t *testing.T) {
	a := newAttempt(t, 7)
	require.NoError(t, a.RunTo(secagg.PhaseUnmask))
	s := a.Session
	for what, owners := range map[string]set{
		"its own":                  setOf(16, 3),
		"one that left before all": setOf(16, 1),
	} {
		c := a.Control.(*control)
		c.sharers.remove(1)
		m := answer{owners: owners, shares: make([]byte, keySize)}
		_, err := c.Receive(3, envelope(s.Context, phaseUnmask, m.encode()))
		require.ErrorIs(t, err, ErrMessage, what)
		c.sharers.add(1)
	}
	// A share must be a field element, and there must be one for each owner.
	for what, m := range map[string]answer{
		"not reduced": {setOf(16, 1), slices.Repeat([]byte{0xff}, keySize)},
		"two for one": {setOf(16, 1), make([]byte, 2*keySize)},
		"none":        {setOf(16, 1), nil},
	} {
		_, err := a.Control.Receive(3, envelope(s.Context, phaseUnmask, m.encode()))
		require.ErrorIs(t, err, secagg.ErrEncoding, what)
	}
}

func TestTooFewAnswersEndTheAttempt(t *testing.T) {
	a := newAttempt(t, 8)
	a.Leaves = func(phase secagg.Phase, i int) bool { return phase.Kind == secagg.PhaseUnmask && i > 8 }
	_, err := a.Run()
	require.ErrorIs(t, err, ErrRebuild)
}

// forgedParcels delivers to member 12 other parts than member 2 sent.
func forgedParcels(t *testing.T, change func(a *secaggtest.Attempt, p *parcel)) error {
	a := newAttempt(t, 9)
	a.Instruction = func(phase secagg.Phase, i int, body []byte) []byte {
		if phase.Name != "upload" || i != 12 {
			return body
		}
		_, _, inner, err := openEnvelope(body)
		require.NoError(t, err)
		m, err := decodeDelivery(inner, 16)
		require.NoError(t, err)
		p, err := decodeParcel(m.parcels[2])
		require.NoError(t, err)
		change(a, &p)
		m.parcels[2] = p.encode()
		return envelope(a.Session.Context, phaseUpload, m.encode())
	}
	require.NoError(t, a.RunToPhase("upload"))
	a.Ask(12)
	require.False(t, a.Sealed[12])
	return a.Refusals[12]
}

func TestForgedPartsAreRefusedBeforeTheVectorLeaves(t *testing.T) {
	t.Run("encapsulation of the coordinator", func(t *testing.T) {
		err := forgedParcels(t, func(a *secaggtest.Attempt, p *parcel) {
			in, err := decodePart(slices.Clone(p.part), 16)
			require.NoError(t, err)
			_, public := keyPair(make([]byte, keySize))
			pk, err := parseKey(public)
			require.NoError(t, err)
			secret := make([]byte, keySize)
			pk.EncapsulateTo(in.mask, secret, make([]byte, 64))
			p.part = in.encode()
		})
		require.ErrorIs(t, err, secagg.ErrSignature)
	})
	t.Run("part for another member", func(t *testing.T) {
		err := forgedParcels(t, func(a *secaggtest.Attempt, p *parcel) {
			d := a.Control.(*control).dealt[2]
			p.part, p.place, p.path = d.parts[3], 3, d.tree.path(3)
		})
		require.ErrorIs(t, err, ErrPart)
	})
	t.Run("path of impossible length", func(t *testing.T) {
		err := forgedParcels(t, func(_ *secaggtest.Attempt, p *parcel) { p.path = p.path[1:] })
		require.ErrorIs(t, err, ErrPart)
	})
	t.Run("signed by another member", func(t *testing.T) {
		err := forgedParcels(t, func(a *secaggtest.Attempt, p *parcel) {
			root, _ := rootOf(p.part, p.place, p.path)
			list := a.Control.(*control).root
			p.signature = secagg.Sign(a.Cohort.Keys[3], labelShare, a.Session.Context, list[:], root[:])
		})
		require.ErrorIs(t, err, secagg.ErrSignature)
	})
}

// changed delivers to member 3 a changed instruction of one phase and returns why
// it refused.
func changed(t *testing.T, phase string, change func(a *secaggtest.Attempt, body []byte) []byte) error {
	a := newAttempt(t, 10)
	a.Instruction = func(at secagg.Phase, i int, body []byte) []byte {
		if at.Name != phase || i != 3 {
			return body
		}
		_, number, inner, err := openEnvelope(body)
		require.NoError(t, err)
		return envelope(a.Session.Context, number, change(a, inner))
	}
	require.NoError(t, a.RunToPhase(phase))
	a.Ask(3)
	require.Equal(t, phase == "unmask", a.Sealed[3], "refused before the vector leaves")
	return a.Refusals[3]
}

func TestInstructionsThatContradictWhatWasAgreedAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, phase string
		want        error
		change      func(a *secaggtest.Attempt, body []byte) []byte
	}{
		{"list of fewer members than a sum may hold", "choose", secagg.ErrTooFew, func(a *secaggtest.Attempt, body []byte) []byte {
			m, _ := decodeListing(body, 16)
			return (&listing{setOf(16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9), m.digests[:10*32]}).encode()
		}},
		{"fewer holders than the threshold", "share", ErrHolders, func(a *secaggtest.Attempt, body []byte) []byte {
			m, _ := decodeIntroduction(body, 16)
			return (&introduction{setOf(16, 0, 1, 2, 4, 5, 6, 7, 8), m.advertisements[:8], m.choice[:8]}).encode()
		}},
		{"an introduction to itself", "share", ErrNeighbour, func(a *secaggtest.Attempt, body []byte) []byte {
			c := a.Control.(*control)
			return (&introduction{setOf(16, 3), [][]byte{c.ads[3]}, [][]byte{c.choices[3]}}).encode()
		}},
		{"another member's choice", "share", secagg.ErrSignature, func(a *secaggtest.Attempt, body []byte) []byte {
			m, _ := decodeIntroduction(body, 16)
			m.choice[5] = m.choice[6]
			return m.encode()
		}},
		{"sharers without the client", "upload", secagg.ErrMembership, func(a *secaggtest.Attempt, body []byte) []byte {
			m, _ := decodeDelivery(body, 16)
			s := slices.Clone(m.sharers)
			s.remove(3)
			return (&delivery{s, m.parcels}).encode()
		}},
		{"too few sharers", "upload", secagg.ErrTooFew, func(a *secaggtest.Attempt, body []byte) []byte {
			m, _ := decodeDelivery(body, 16)
			return (&delivery{setOf(16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9), m.parcels}).encode()
		}},
		{"fewer holders shared than the threshold", "upload", ErrHolders, func(a *secaggtest.Attempt, body []byte) []byte {
			inside(a, 3).attempt.Threshold = 16
			return body
		}},
		{"a part too few", "upload", ErrPart, func(a *secaggtest.Attempt, body []byte) []byte {
			m, _ := decodeDelivery(body, 16)
			return (&delivery{m.sharers, m.parcels[:14]}).encode()
		}},
		{"a part too many", "upload", ErrPart, func(a *secaggtest.Attempt, body []byte) []byte {
			m, _ := decodeDelivery(body, 16)
			return (&delivery{m.sharers, append(m.parcels, m.parcels[0])}).encode()
		}},
		{"signature of a member outside the survivors", "unmask", ErrQuorum, func(a *secaggtest.Attempt, body []byte) []byte {
			p := inside(a, 3)
			p.survivors.remove(0)
			return body
		}},
	} {
		t.Run(c.name, func(t *testing.T) { require.ErrorIs(t, changed(t, c.phase, c.change), c.want) })
	}
}

func TestHoldersAreCountedAgainBeforeEachRelease(t *testing.T) {
	// Twelve survive, so each has eleven holders left.
	a := newAttempt(t, 11)
	for i := range a.Parties {
		inside(a, i).attempt.Threshold = 12
	}
	a.Leaves = func(phase secagg.Phase, i int) bool { return phase.Name == "upload" && i > 11 }
	require.Error(t, a.RunTo(secagg.PhaseOpen))
	require.Len(t, a.Refusals, 12)
	for _, err := range a.Refusals {
		require.ErrorIs(t, err, ErrHolders)
	}
}

func TestSecretsAreErased(t *testing.T) {
	a := newAttempt(t, 12)
	require.NoError(t, a.RunToPhase("upload"))
	p := inside(a, 3)
	own, peers := p.own, p.peers
	require.NotZero(t, own.z)
	body, _ := a.Control.Instruction(3)
	_, err := p.Step(body)
	require.NoError(t, err)
	require.Equal(t, shamir.Scalar{}, own.z, "z is gone before the vector is asked for")
	require.Equal(t, shamir.Scalar{}, own.b)
	require.Zero(t, *own.mask)
	require.Zero(t, *own.channel)
	for _, peer := range peers {
		require.Zero(t, peer)
	}
	masks, held := p.masks, p.held
	require.NotZero(t, masks[1].key)
	_, err = p.Seal(make([]uint32, a.Session.Words), discard{})
	require.NoError(t, err)
	for _, m := range masks {
		require.Zero(t, m)
	}
	require.NotEqual(t, shamir.Scalar{}, held[0].z)
	p.Erase()
	for _, h := range held {
		require.Equal(t, shamir.Scalar{}, h.z)
		require.Equal(t, shamir.Scalar{}, h.b)
	}
	require.Equal(t, party{dead: true}, *p)
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func TestPartyNeedsItsOwnKey(t *testing.T) {
	a := newAttempt(t, 13)
	for what, try := range map[string]func() (secagg.Party, error){
		"another member's": func() (secagg.Party, error) {
			return Scheme{}.NewParty(a.Session, 1, a.Cohort.Keys[2], secaggtest.Coins(1, ""))
		},
		"no member": func() (secagg.Party, error) {
			return Scheme{}.NewParty(a.Session, 16, a.Cohort.Keys[2], secaggtest.Coins(1, ""))
		},
		"no key": func() (secagg.Party, error) {
			return Scheme{}.NewParty(a.Session, 1, ed25519.PrivateKey{}, secaggtest.Coins(1, ""))
		},
	} {
		_, err := try()
		require.ErrorIs(t, err, secagg.ErrSession, what)
	}
}
