package decryptor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/choir-fl/choir/secagg"
)

// batch is a part of a stream of letters: whole letters, or, with nil content, its end.
type batch struct {
	fetch   int
	content []byte
	next    int   // number of the letter that follows
	empty   bool  // at the end: there was no letter in the stream
	err     error // at the end: why it broke off; nil if it is whole
}

// Bounds of a batch: what was read of a broken stream up to its last whole batch counts.
const (
	batchLetters = 64
	batchBytes   = 4 << 20
)

// emptyPause follows a stream without letters, and one that broke off.
const emptyPause = time.Second

// fetch asks, after a pause, for letters from the one numbered from on.
func (a *attempt) fetch(ctx context.Context, from int, wait time.Duration) {
	a.endFetch()
	ctx, a.stopFetch = context.WithCancel(ctx)
	a.fetching++
	a.next = from
	number := a.fetching
	a.goroutines.Go(func() {
		if wait > 0 && pause(ctx, wait) != nil {
			return
		}
		next, err := a.read(ctx, number, from)
		a.deliver(ctx, batch{fetch: number, next: next, empty: next == from, err: err})
	})
}

// endFetch ends the fetch under way, if there is one.
func (a *attempt) endFetch() {
	if a.stopFetch != nil {
		a.stopFetch()
		a.stopFetch = nil
	}
}

func (a *attempt) deliver(ctx context.Context, b batch) bool {
	select {
	case a.post <- b:
		return true
	case <-ctx.Done():
		return false
	}
}

// read passes on the letters of one stream in batches, and returns the number of the
// letter that follows.
func (a *attempt) read(ctx context.Context, number, from int) (next int, err error) {
	ctx, stop := context.WithCancel(ctx)
	r, w := io.Pipe()
	failed := make(chan error, 1)
	go func() {
		err := a.d.cfg.Transport.Letters(ctx, a.round, from, w)
		w.CloseWithError(err) // nil reads as the end
		failed <- err
	}()
	next = from
	for err == nil {
		var b bytes.Buffer
		count := 0
		for err == nil && count < batchLetters && b.Len() < batchBytes {
			var l secagg.Letter
			if l, err = secagg.ReadLetter(r); err == nil {
				count++
				err = secagg.WriteLetter(&b, l)
			}
		}
		next += count
		if count > 0 && !a.deliver(ctx, batch{fetch: number, content: b.Bytes(), next: next}) {
			err = ctx.Err()
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	r.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // a transport that writes on must not wait
	stop()
	if f := <-failed; f != nil {
		err = f // the cause of what the reader saw
	}
	return next, err
}

// fetched goes on after the end of a stream: letters are still asked for.
func (a *attempt) fetched(ctx context.Context, end batch) {
	if over(end.err) {
		a.endFetch() // the next envelope says why
		return
	}
	wait := time.Duration(0)
	if end.err != nil || end.empty {
		wait = emptyPause
	}
	if end.err != nil {
		a.d.log.Warn("letters broke off", "round", a.round, "next", a.next, "error", end.err)
	}
	a.fetch(ctx, a.next, wait)
}
