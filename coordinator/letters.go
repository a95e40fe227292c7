package coordinator

import (
	"bytes"
	"io"
	"slices"

	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/secagg"
)

// Letters returns the letters to a committee member that are there now, from the one
// numbered first on, as a stream for secagg.ReadLetter, and their number. They are
// numbered from 0 in the order in which uploads were accepted.
func (e *Engine) Letters(to secagg.PartyID, id secagg.RoundID, first int) (io.ReadCloser, int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed != nil {
		return nil, 0, ErrFailed
	}
	if e.machine == nil || id != e.set.ID {
		return nil, 0, ErrNoRound.At("attempt %s", id)
	}
	s, _ := e.machine.Session()
	members := e.machine.Posted(to, first)
	out := &letters{spool: e.cfg.Store.Spool}
	if len(members) == 0 || e.acc == nil {
		return out, 0, nil
	}
	pieces := e.acc.Pieces()
	out.place = slices.Index(s.Announcements.Present(), s.Number(to)-s.Roster.Len())
	if out.place < 0 || pieces.Letters == 0 {
		return out, 0, nil
	}
	out.size = pieces.LetterSize
	for _, m := range members {
		out.left = append(out.left, post{part: postID(id, s.Roster.At(m).ID), letter: secagg.Letter{Member: m, Frame: e.machine.Frame(m)}})
	}
	return out, len(members), nil
}

// letters reads the letters to one committee member, one client's after another.
type letters struct {
	spool store.Spool
	place int // of the member's letter among a client's
	size  int
	left  []post
	buf   bytes.Buffer
}

type post struct {
	part   string
	letter secagg.Letter // without its body
}

// Read implements io.Reader.
func (l *letters) Read(p []byte) (int, error) {
	if l.buf.Len() == 0 {
		if len(l.left) == 0 {
			return 0, io.EOF
		}
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	return l.buf.Read(p)
}

func (l *letters) next() error {
	next := l.left[0]
	r, err := l.spool.Open(next.part)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := r.Seek(int64(l.place)*int64(l.size), io.SeekStart); err != nil {
		return err
	}
	next.letter.Body = make([]byte, l.size)
	if _, err := io.ReadFull(r, next.letter.Body); err != nil {
		return secagg.ErrUpload.At("letters of member %d", next.letter.Member).Because(err)
	}
	l.left = l.left[1:]
	return secagg.WriteLetter(&l.buf, next.letter)
}

// Close implements io.Closer.
func (l *letters) Close() error { return nil }
