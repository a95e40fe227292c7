package secaggtest

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/choir-fl/choir/secagg"
)

// mail is what an accepted upload holds for the committee.
type mail struct {
	member  int
	frame   []byte
	letters []byte
}

// Receive takes an upload as the coordinator must: nothing is added before all of
// it arrived, matches its frame and is well-formed, and Control says that it may.
func (a *Attempt) Receive(member int, frame, upload []byte) error {
	commit, err := secagg.PeekCommit(frame)
	if err != nil {
		return err
	}
	arrived := secagg.NewCommitWriter(io.Discard)
	if _, err := arrived.Write(upload); err != nil {
		return err
	}
	if got := arrived.Commit(); got.Content != commit.Content || got.Size != commit.Size {
		return secagg.ErrUpload.At("member %d", member)
	}
	pieces, err := Cut(a.Accumulator, upload)
	if err != nil {
		return err
	}
	fresh, err := a.Control.Receive(member, frame)
	if err != nil || !fresh {
		return err
	}
	a.spool[member] = pieces
	a.mail = append(a.mail, mail{member, frame, upload[a.Accumulator.Pieces().Body:]})
	return a.add()
}

// add adds the uploads that are ready. Pieces are added in any order.
func (a *Attempt) add() error {
	for _, i := range a.Control.Ready() {
		pieces := a.spool[i]
		if pieces == nil {
			return fmt.Errorf("member %d is ready twice, or without an upload", i)
		}
		delete(a.spool, i)
		into := a.Accumulator
		if a.Into != nil {
			into = a.Into(i)
		}
		for _, p := range a.shuffle.Perm(len(pieces)) {
			if err := into.Add(a.Control.Bucket(i), p, pieces[p]); err != nil {
				return err
			}
		}
		a.Added[i] = true
	}
	return nil
}

// Cut divides an upload into pieces and checks each. Letters are left over.
func Cut(acc secagg.Accumulator, upload []byte) ([][]byte, error) {
	ps := acc.Pieces()
	if int64(len(upload)) != ps.Total() {
		return nil, secagg.ErrUpload.At("%d bytes for %d", len(upload), ps.Total())
	}
	out := make([][]byte, ps.Count)
	for i := range out {
		out[i], upload = upload[:ps.Len(i)], upload[ps.Len(i):]
		if err := acc.Check(i, out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Open unmasks and returns the sums.
func (a *Attempt) Open() ([]secagg.Sum, error) {
	o, err := a.Control.Opening()
	if err != nil {
		return nil, err
	}
	defer o.Erase()
	a.Liars = o.Liars()
	for _, i := range a.shuffle.Perm(a.Accumulator.Pieces().Count) {
		if err := a.Accumulator.Unmask(o, i); err != nil {
			return nil, err
		}
	}
	return a.Accumulator.Sums(o)
}

// Letters are those of all accepted uploads for one member of the committee, in the
// order of their acceptance, which numbers them.
func (a *Attempt) Letters(phase secagg.Phase, j int) []secagg.Letter {
	place := slices.Index(a.Session.Announcements.Present(), j)
	size := a.Accumulator.Pieces().LetterSize
	out := make([]secagg.Letter, len(a.mail))
	for i, m := range a.mail {
		out[i] = secagg.Letter{Member: m.member, Frame: m.frame, Body: m.letters[place*size : (place+1)*size]}
	}
	if a.Post != nil {
		out = a.Post(phase, j, out)
	}
	return out
}

// stream writes letters as ReadLetter reads them.
func stream(letters []secagg.Letter) *bytes.Buffer {
	var out bytes.Buffer
	for _, l := range letters {
		_ = secagg.WriteLetter(&out, l) // a buffer takes everything
	}
	return &out
}

// askDecryptor delivers an instruction to committee member j or, when it reads
// letters for the same one already, sometimes only those that came since.
func (a *Attempt) askDecryptor(phase secagg.Phase, j int, body []byte) error {
	reply := secagg.Reply{Letters: true, From: a.from[j]}
	if !bytes.Equal(a.reading[j], body) || a.shuffle.IntN(2) == 0 {
		a.reading[j] = nil
		var err error
		if reply, err = a.Decryptors[j].Step(body); err != nil {
			return err
		}
		a.heed(phase, j, reply)
	}
	reply, err := a.read(phase, j, body, reply)
	if a.Served != nil && err == nil {
		a.Decryptors[j] = a.Served(phase, j, reply)
	}
	return err
}

// read gives a member the letters that it asks for, in two parts.
func (a *Attempt) read(phase secagg.Phase, j int, body []byte, reply secagg.Reply) (secagg.Reply, error) {
	for part := 0; part < 2 && reply.Letters; part++ {
		letters := a.Letters(phase, j)
		from, to := min(reply.From, len(letters)), len(letters)
		if part == 0 {
			to = from + a.shuffle.IntN(to-from+1)
		}
		var err error
		if reply, err = a.Decryptors[j].Letters(stream(letters[from:to])); err != nil {
			return secagg.Reply{}, err
		}
		a.reading[j] = body
		a.heed(phase, j, reply)
		if reply.Letters {
			a.from[j] = reply.From
		} else {
			a.reading[j] = nil
		}
	}
	return reply, nil
}

// heed makes a member's record durable and then sends its message.
func (a *Attempt) heed(phase secagg.Phase, j int, reply secagg.Reply) {
	if reply.Record != nil {
		a.Records[j] = reply.Record
	}
	a.deliver(phase, a.Number(j), reply.Message, nil)
}

// reads reports whether a party is a member of the committee that answers letters.
func (a *Attempt) reads(party int) bool {
	n := len(a.Parties)
	return party >= n && a.reading[party-n] != nil
}
