package coordinator

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/secagg"
)

// postID names a client's letters in the spool: they stay there until the attempt is
// over, longer than the upload that they came with.
func postID(id secagg.RoundID, client secagg.PartyID) string {
	return fmt.Sprintf("%d-%d-post/%s", id.Round, id.Attempt, client)
}

// keepPost makes the letters of a verified upload durable in the part that was
// reserved for them.
func (e *Engine) keepPost(part string, post []byte) error {
	if len(post) == 0 {
		return nil
	}
	spool := e.cfg.Store.Spool
	if n, err := spool.Offset(part); err != nil {
		return err
	} else if n > 0 { // of an upload that was not accepted
		if err := errors.Join(spool.Delete(part), spool.Begin(part, int64(len(post)))); err != nil {
			return err
		}
	}
	for at := 0; at < len(post); at += store.MaxAppend {
		if err := spool.Append(part, int64(at), post[at:min(at+store.MaxAppend, len(post))]); err != nil {
			return err
		}
	}
	return spool.Sync(part)
}

// partID names a client's upload in the spool.
func partID(id secagg.RoundID, client secagg.PartyID) string {
	return fmt.Sprintf("%d-%d/%s", id.Round, id.Attempt, client)
}

// UploadBegin prepares for a client's upload and returns the offset to continue at.
func (e *Engine) UploadBegin(from secagg.PartyID, id secagg.RoundID, step uint32, size int64) (int64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed != nil {
		return 0, ErrFailed // as in Envelope: what was accepted may not be durable
	}
	if e.machine == nil || id != e.set.ID {
		return 0, ErrNoRound.At("attempt %s", id)
	}
	if _, accepted := e.machine.Uploaded(from); accepted {
		return size, nil // its acknowledgement was lost: nothing is left to send
	}
	env, ok := e.machine.Envelope(from)
	if !ok || e.acc == nil || env.Step != step || e.machine.State() != round.Uploading {
		return 0, ErrNotOpen.At("client %s", from)
	}
	if size != e.acc.Pieces().Total() {
		return 0, secagg.ErrUpload.At("client %s declares %d bytes of %d", from, size, e.acc.Pieces().Total())
	}
	if err := e.reserve(from, size, int64(e.acc.Pieces().Post())); err != nil {
		if errors.Is(err, store.ErrFull) {
			return 0, ErrBusy
		}
		return 0, err
	}
	return e.cfg.Store.Spool.Offset(partID(id, from))
}

// reserve makes room for a client's upload and, apart from it, for its letters. Were
// room for the letters found only when the upload is complete, complete uploads could
// fill the spool with none of them ever accepted.
func (e *Engine) reserve(client secagg.PartyID, size, post int64) error {
	spool, part := e.cfg.Store.Spool, partID(e.set.ID, client)
	if err := spool.Begin(part, size); err != nil || post == 0 {
		return err
	}
	if err := spool.Begin(postID(e.set.ID, client), post); err != nil {
		return errors.Join(err, spool.Delete(part))
	}
	return nil
}

// discard deletes a client's upload that was not accepted.
func (e *Engine) discard(id secagg.RoundID, client secagg.PartyID) error {
	spool := e.cfg.Store.Spool
	return errors.Join(spool.Delete(partID(id, client)), spool.Delete(postID(id, client)))
}

// UploadChunk appends to a client's upload. The bytes go to the spool without
// the engine's lock; a part that was not begun is refused there.
func (e *Engine) UploadChunk(from secagg.PartyID, id secagg.RoundID, offset int64, p []byte) error {
	return e.cfg.Store.Spool.Append(partID(id, from), offset, p)
}

// UploadDone completes an upload with its commit frame. done is called once, with
// nil when the upload was verified and is durable: it will be in the sum if the
// attempt succeeds, but for what only others can see: letters that a committee finds
// fault with, a bucket that is too small or spoiled.
func (e *Engine) UploadDone(from secagg.PartyID, id secagg.RoundID, step uint32, frame []byte, done func(error)) {
	e.mu.Lock()
	if e.failed != nil {
		e.mu.Unlock()
		done(ErrFailed)
		return
	}
	if e.machine == nil || id != e.set.ID || e.acc == nil {
		e.mu.Unlock()
		done(ErrNoRound.At("attempt %s", id))
		return
	}
	machine, acc, part := e.machine, e.acc, partID(id, from)
	accepted, again := machine.Uploaded(from)
	c, err := secagg.PeekCommit(frame)
	switch {
	case err != nil:
	case again && c.Content != accepted:
		err = secagg.ErrRepeated
	case again:
	case e.checks[from]: // what is verified must not change or vanish meanwhile
		err = ErrVerifying.At("client %s", from)
	default:
		e.checks[from] = true
	}
	e.mu.Unlock()
	if err != nil || again {
		done(err)
		return
	}
	e.cfg.Host.Work(Work{Name: "verify", Bytes: c.Size}, func() func() {
		err := e.cfg.Store.Spool.Sync(part)
		if err == nil {
			err = e.verify(acc, part, postID(id, from), c)
		}
		return func() {
			e.mu.Lock()
			if e.machine == machine {
				delete(e.checks, from)
			}
			switch {
			case e.machine != machine:
				if err == nil {
					err = ErrNoRound.At("attempt %s", id)
				}
			case err == nil:
				err = e.step(round.Uploaded{At: e.now(), From: from, Step: step, Frame: frame, Content: c.Content, Size: c.Size})
			case errors.Is(err, secagg.ErrUpload) || errors.Is(err, secagg.ErrPiece):
				e.fail(e.discard(id, from)) // a corrupt upload starts again from nothing
			case errors.Is(err, store.ErrFull):
				err = ErrBusy
			}
			e.mu.Unlock()
			done(err)
		}
	})
}

// verify checks a spooled upload against its commit frame, piece by piece.
// Its letters are kept apart.
func (e *Engine) verify(acc secagg.Accumulator, part, post string, c secagg.Commit) error {
	r, err := e.cfg.Store.Spool.Open(part)
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Size() != c.Size {
		return secagg.ErrUpload.At("%d bytes of %d", r.Size(), c.Size)
	}
	h := sha256.New()
	if err := eachPiece(acc.Pieces(), r, func(i int, p []byte) error {
		h.Write(p)
		return acc.Check(i, p)
	}); err != nil {
		return err
	}
	body := make([]byte, acc.Pieces().Post())
	if _, err := io.ReadFull(r, body); err != nil {
		return secagg.ErrUpload.At("letters").Because(err)
	}
	h.Write(body)
	if secagg.Digest(h.Sum(nil)) != c.Content {
		return secagg.ErrUpload.At("content digest")
	}
	return e.keepPost(post, body)
}
