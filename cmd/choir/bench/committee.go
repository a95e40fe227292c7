package bench

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"

	"github.com/choir-fl/choir/secagg"
)

// member is one member of the committee.
type member struct {
	keys     secagg.DecryptorKeys
	record   []byte
	party    secagg.CommitteeParty
	down, up map[string]int64 // bytes by phase
}

// convene makes the committee, which announces itself.
func (a *attempt) convene(round secagg.RoundID, size int, coins io.Reader) error {
	scheme, ok := a.scheme.(secagg.CommitteeScheme)
	if !ok {
		return secagg.ErrSession.At("scheme %s has no committee", a.scheme.Name())
	}
	entries := make([]secagg.Decryptor, size)
	a.committee, a.letters, a.session.Announcements = make([]*member, size), make([][]secagg.Letter, size), make(secagg.Announcements, size)
	for j := range entries {
		_, key, err := ed25519.GenerateKey(coins)
		if err != nil {
			return err
		}
		m := &member{keys: secagg.DecryptorKeys{Sign: key, Epochs: []secagg.EpochSeed{{Number: 1}}}, down: map[string]int64{}, up: map[string]int64{}}
		if _, err := io.ReadFull(coins, m.keys.Epochs[0].Seed[:]); err != nil {
			return err
		}
		a.committee[j], entries[j] = m, secagg.Join(key, "bench", secagg.PartyID(fmt.Sprintf("member-%02d", j)))
	}
	var err error
	if a.session.Committee, err = secagg.NewCommittee("bench", entries, (size-1)/3); err != nil {
		return err
	}
	for j, m := range a.committee {
		reply, err := scheme.Announce(round, a.session.Committee, j, m.keys, coins)
		if err != nil {
			return err
		}
		m.record, a.session.Announcements[j].Body = reply.Record, reply.Message
		m.up["announce"] += int64(len(reply.Message))
	}
	return nil
}

// restart makes a member anew from its record.
func (a *attempt) restart(j int) (err error) {
	m := a.committee[j]
	m.party, err = a.scheme.(secagg.CommitteeScheme).NewCommitteeParty(a.session, j, m.keys, m.record)
	return err
}

// stream is what a member reads letters from.
func (a *attempt) stream(j, from int) *bytes.Buffer {
	var out bytes.Buffer
	for _, l := range a.letters[j][from:] {
		_ = secagg.WriteLetter(&out, l) // a buffer takes everything
	}
	return &out
}

// serve gives a member an instruction and the letters that it asks for.
func (a *attempt) serve(j int, instruction []byte) error {
	m, phase := a.committee[j], a.control.Phase().Name
	m.down[phase] += int64(len(instruction))
	reply, err := m.party.Step(instruction)
	if err == nil {
		err = a.heed(j, reply)
	}
	if err != nil || !reply.Letters || reply.From >= len(a.letters[j]) {
		return err
	}
	letters := a.stream(j, reply.From)
	m.down[phase] += int64(letters.Len())
	if reply, err = m.party.Letters(letters); err != nil {
		return err
	}
	return a.heed(j, reply)
}

// heed keeps a member's record and delivers its message.
func (a *attempt) heed(j int, r secagg.Reply) error {
	m := a.committee[j]
	if r.Record != nil {
		m.record = r.Record
	}
	if r.Message == nil {
		return nil
	}
	m.up[a.control.Phase().Name] += int64(len(r.Message))
	_, err := a.control.Receive(len(a.parties)+j, r.Message)
	return err
}
