package bench

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"slices"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
)

// scheme is both halves of a scheme.
type scheme interface {
	secagg.ClientScheme
	secagg.ServerScheme
}

// attempt is one attempt in memory, without network: clients, coordinator, and the
// committee if there is one.
type attempt struct {
	scheme  scheme
	session secagg.Session
	keys    []ed25519.PrivateKey // of the clients, by roster index
	issuer  ed25519.PublicKey    // who enrolled them
	parties []secagg.Party       // by roster index; made when they are first needed
	control secagg.Control
	// committee is by index; letters are to each of its members, in the order in which
	// their uploads were accepted.
	committee []*member
	letters   [][]secagg.Letter
	// Bytes of instructions and messages over all clients, by phase.
	down, up map[string]int64
	bulk     int64 // of these, the bytes of uploads, their commit frames apart
}

// shape is the size of an attempt.
type shape struct {
	clients, words, width int
	committee             int // members; 0 for none
	dropout               int // parts per million
}

// policy is that of the measurements: a twentieth is corrupt.
func (s shape) policy() secagg.Policy {
	n := s.clients
	return secagg.Policy{Clients: n, Minimum: n / 2, Corrupt: 50_000, Dropout: s.dropout, Attempts: 3, View: secagg.ViewSum, Words: s.words, WordBits: s.width}
}

// newAttempt enrols clients under keys that a fixed seed gives.
func newAttempt(sch scheme, s shape) (*attempt, error) {
	coins := field.NewStream([32]byte{2})
	issuer, authority, err := ed25519.GenerateKey(coins)
	if err != nil {
		return nil, err
	}
	keys := make(map[secagg.PartyID]ed25519.PrivateKey, s.clients)
	identities := make([]secagg.Identity, s.clients)
	for i := range identities {
		public, private, err := ed25519.GenerateKey(coins)
		if err != nil {
			return nil, err
		}
		id := secagg.PartyID(fmt.Sprintf("client-%05d", i))
		keys[id], identities[i] = private, secagg.Enrol(authority, id, public)
	}
	roster, err := secagg.NewRoster(identities)
	if err != nil {
		return nil, err
	}
	a := &attempt{scheme: sch, issuer: issuer, keys: make([]ed25519.PrivateKey, s.clients), parties: make([]secagg.Party, s.clients), down: map[string]int64{}, up: map[string]int64{}}
	for i := range a.keys {
		a.keys[i] = keys[roster.At(i).ID]
	}
	p := s.policy()
	a.session = secagg.Session{Roster: roster, Minimum: p.Minimum, Buckets: 1, BucketMinimum: p.Minimum, Words: s.words, WordBits: s.width}
	round := secagg.RoundID{Job: "bench", Round: 1, Attempt: 1}
	if s.committee > 0 {
		if err := a.convene(round, s.committee, coins); err != nil {
			return nil, err
		}
	}
	p.Committee = a.session.Committee
	parameters, err := sch.Configure(p)
	if err != nil {
		return nil, err
	}
	a.session.Binding = secagg.Binding{Round: round, Roster: roster.Root(), Committee: a.session.Announcements.Root(p.Committee), Scheme: sch.Name(), Parameters: parameters}
	a.session.Context = a.session.Binding.Context()
	for j := range a.committee {
		if err := a.restart(j); err != nil {
			return nil, err
		}
	}
	a.control, err = sch.NewControl(a.session)
	return a, err
}

// party is the client at a roster index.
func (a *attempt) party(i int) (secagg.Party, error) {
	if a.parties[i] == nil {
		seed := field.Derive([32]byte{3}, fmt.Sprint("party ", i))
		p, err := a.scheme.NewParty(a.session, i, a.keys[i], field.NewStream(seed))
		if err != nil {
			return nil, err
		}
		a.parties[i] = p
	}
	return a.parties[i], nil
}

// advanceTo lets everybody answer until the coordinator is in the named phase.
func (a *attempt) advanceTo(phase string) error {
	for a.control.Phase().Name != phase {
		for i := range a.session.Parties() {
			if err := a.ask(i); err != nil {
				return err
			}
		}
		if err := a.control.Advance(); err != nil {
			return err
		}
	}
	return nil
}

// ask gives a party its present instruction, if it has one, and takes its answer.
func (a *attempt) ask(party int) error {
	body, asked := a.control.Instruction(party)
	if !asked {
		return nil
	}
	if n := len(a.parties); party >= n {
		return a.serve(party-n, body)
	}
	reply, err := a.step(party)
	if err != nil || reply.Message == nil {
		return err
	}
	return a.receive(party, reply)
}

// step gives a client its present instruction.
func (a *attempt) step(client int) (secagg.Reply, error) {
	body, asked := a.control.Instruction(client)
	if !asked {
		return secagg.Reply{}, secagg.ErrNotAsked.At("client %d", client)
	}
	p, err := a.party(client)
	if err != nil {
		return secagg.Reply{}, err
	}
	a.down[a.control.Phase().Name] += int64(len(body))
	return p.Step(body)
}

func (a *attempt) receive(client int, r secagg.Reply) error {
	a.up[a.control.Phase().Name] += int64(len(r.Message))
	_, err := a.control.Receive(client, r.Message)
	return err
}

// seal writes a client's upload, and hands in its commit frame.
func (a *attempt) seal(client int, vector []uint32, out io.Writer) error {
	reply, err := a.parties[client].Seal(vector, out)
	if err != nil {
		return err
	}
	return a.receive(client, reply)
}

// sealAll lets so many clients upload and returns the sum of what they sent. Letters
// go to the committee.
func (a *attempt) sealAll(clients int) (secagg.Accumulator, error) {
	acc, err := a.scheme.NewAccumulator(a.session)
	if err != nil {
		return nil, err
	}
	var upload bytes.Buffer
	for i := range clients {
		if _, err := a.step(i); err != nil {
			return nil, err
		}
		upload.Reset()
		reply, err := a.parties[i].Seal(words(a.session.Words, a.session.WordBits), &upload)
		if err != nil {
			return nil, err
		}
		if err := a.receive(i, reply); err != nil {
			return nil, err
		}
		if len(a.committee) > 0 {
			a.parties[i] = nil // it has done its part
		}
		a.up["upload"] += int64(upload.Len())
		if err := adding(acc, upload.Bytes()); err != nil {
			return nil, err
		}
		a.post(i, reply.Message, upload.Bytes(), acc.Pieces())
	}
	return acc, nil
}

// post sorts an upload's letters.
func (a *attempt) post(client int, frame, upload []byte, p secagg.Pieces) {
	for j := range p.Letters {
		at := int(p.Body) + j*p.LetterSize
		a.letters[j] = append(a.letters[j], secagg.Letter{Member: client, Frame: frame, Body: slices.Clone(upload[at : at+p.LetterSize])})
	}
}
