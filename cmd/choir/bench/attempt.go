package bench

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
)

// scheme is both halves of a scheme.
type scheme interface {
	secagg.ClientScheme
	secagg.ServerScheme
}

// attempt is one attempt in memory, without network: all clients and the coordinator.
type attempt struct {
	scheme  scheme
	session secagg.Session
	parties []secagg.Party
	control secagg.Control
	// Bytes of instructions and messages over all members, by phase.
	down, up map[string]int64
}

// policy is that of the measurements: a twentieth corrupt, three tenths vanish.
func policy(n int) secagg.Policy {
	return secagg.Policy{Clients: n, Minimum: n / 2, Corrupt: 50_000, Dropout: 300_000, Attempts: 3}
}

// newAttempt enrols n clients under keys that a fixed seed gives.
func newAttempt(sch scheme, n, words, width int) (*attempt, error) {
	coins := field.NewStream([32]byte{2})
	_, authority, err := ed25519.GenerateKey(coins)
	if err != nil {
		return nil, err
	}
	keys := make(map[secagg.PartyID]ed25519.PrivateKey, n)
	members := make([]secagg.Identity, n)
	for i := range members {
		public, private, err := ed25519.GenerateKey(coins)
		if err != nil {
			return nil, err
		}
		id := secagg.PartyID(fmt.Sprintf("client-%05d", i))
		keys[id], members[i] = private, secagg.Enrol(authority, id, public)
	}
	roster, err := secagg.NewRoster(members)
	if err != nil {
		return nil, err
	}
	p := policy(n)
	parameters, err := sch.Configure(p)
	if err != nil {
		return nil, err
	}
	b := secagg.Binding{Round: secagg.RoundID{Job: "bench", Round: 1, Attempt: 1}, Roster: roster.Root(), Scheme: sch.Name(), Parameters: parameters}
	a := &attempt{scheme: sch, down: map[string]int64{}, up: map[string]int64{}, session: secagg.Session{Binding: b, Context: b.Context(),
		Roster: roster, Minimum: p.Minimum, Words: words, WordBits: width}}
	if a.control, err = sch.NewControl(a.session); err != nil {
		return nil, err
	}
	a.parties = make([]secagg.Party, n)
	for i := range a.parties {
		seed := field.Derive([32]byte{3}, fmt.Sprint("party ", i))
		if a.parties[i], err = sch.NewParty(a.session, i, keys[roster.At(i).ID], field.NewStream(seed)); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// advanceTo lets all members answer until the coordinator is in the named phase.
func (a *attempt) advanceTo(phase string) error {
	for a.control.Phase().Name != phase {
		for i := range a.parties {
			reply, err := a.step(i)
			if err != nil {
				return err
			}
			if err := a.receive(i, reply); err != nil {
				return err
			}
		}
		if err := a.control.Advance(); err != nil {
			return err
		}
	}
	return nil
}

// step gives a member its present instruction.
func (a *attempt) step(member int) (secagg.Reply, error) {
	body, asked := a.control.Instruction(member)
	if !asked {
		return secagg.Reply{}, secagg.ErrNotAsked.At("member %d", member)
	}
	a.down[a.control.Phase().Name] += int64(len(body))
	return a.parties[member].Step(body)
}

func (a *attempt) receive(member int, r secagg.Reply) error {
	a.up[a.control.Phase().Name] += int64(len(r.Message))
	return a.control.Receive(member, r.Message)
}

// seal writes a member's upload, and hands in its commit frame.
func (a *attempt) seal(member int, vector []uint32, out io.Writer) error {
	reply, err := a.parties[member].Seal(vector, out)
	if err != nil {
		return err
	}
	return a.receive(member, reply)
}

// sealAll lets all members upload and returns the sum of what they sent.
func (a *attempt) sealAll() (secagg.Accumulator, error) {
	acc, err := a.scheme.NewAccumulator(a.session)
	if err != nil {
		return nil, err
	}
	var upload bytes.Buffer
	for i := range a.parties {
		if _, err := a.step(i); err != nil {
			return nil, err
		}
		upload.Reset()
		if err := a.seal(i, words(a.session.Words, a.session.WordBits), &upload); err != nil {
			return nil, err
		}
		a.up["upload"] += int64(upload.Len())
		if err := adding(acc, upload.Bytes()); err != nil {
			return nil, err
		}
	}
	return acc, a.control.Advance()
}
