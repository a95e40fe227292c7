package grpctransport

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"time"

	"github.com/choir-fl/choir/fault"
)

// retrier repeats calls that can succeed later.
type retrier struct {
	shortest, longest time.Duration
	log               *slog.Logger
}

// do calls try until it succeeds, fails for good, or ctx ends. try says whether it
// got on, even if it failed: the pauses then begin anew. The error is a fault; if
// ctx ended it wraps the error of ctx.
func (r retrier) do(ctx context.Context, name string, try func() (progress bool, err error)) error {
	var last *fault.Error // what was in the way before ctx ended
	over := func() error {
		if last == nil {
			return ErrUnreachable.At("%s", name).Because(ctx.Err())
		}
		return ErrUnreachable.At("%s", name).Because(fmt.Errorf("%w; before that: %w", ctx.Err(), last))
	}
	for failures := 0; ; failures++ {
		if ctx.Err() != nil {
			return over()
		}
		progress, err := try()
		if err == nil {
			return nil
		}
		f, again := faultOf(err)
		if again < 0 {
			return f
		}
		if progress {
			failures = 0
		}
		wait := max(again, r.pause(failures))
		if ctx.Err() == nil {
			last = f
			r.log.Warn("call is repeated", "call", name, "error", f, "wait", wait)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return over()
		}
	}
}

// pause draws a pause: it doubles with each failure, up to the longest, and is
// between half and all of that, so that clients do not come back all together.
func (r retrier) pause(failures int) time.Duration {
	d := min(r.shortest<<min(failures, 20), r.longest)
	if d <= 0 {
		d = r.longest
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return d/2 + time.Duration(binary.LittleEndian.Uint64(b[:])%uint64(d/2+1))
}
