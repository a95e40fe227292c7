package noise

import (
	"encoding/binary"
	"errors"
	"io"
)

// block is the number of words read at a time.
const block = 512

// Bounds on loops whose length is random. True coins reach none of them: each
// has a probability below 2^-500, and is reported as [ErrCoins] instead of
// going on for ever on a source that is stuck.
const (
	maxTies      = 8    // words that tie with a quotient: 2^-64 each
	maxSeries    = 128  // steps of Bernoulli(exp(-x)): 1/128! in all
	maxGeometric = 1024 // successes of Bernoulli(exp(-1)): e^-1 each
	maxRejected  = 4096 // attempts of a rejection: at least 1/4 succeed
)

var (
	errStuck      = errors.New("no random source gives this")
	errNoReader   = errors.New("no reader")
	errNoProgress = errors.New("reads give no bytes")
)

// words reads coins as 64-bit little-endian words. It reads no byte that is not
// used, however the caller's need is cut into blocks, so the words of a stream
// of coins are consumed one by one and in order.
//
// An error stays: from then on every word is 0, and the sampler reports err at
// its end, at the latest. A loop that nests others looks at err before each turn.
type words struct {
	coins   io.Reader
	err     error
	need    int // words that are certain to be used and are not yet read
	at, end int // unread bytes of buffer
	buffer  [8 * block]byte
}

// newWords prepares to read coins. need is a number of words that will be used whatever they are.
func newWords(coins io.Reader, need int) *words {
	w := &words{coins: coins, need: need}
	if coins == nil {
		w.err = errNoReader
	}
	return w
}

func (w *words) next() uint64 {
	if w.at == w.end {
		w.refill()
	}
	v := binary.LittleEndian.Uint64(w.buffer[w.at:])
	w.at += 8
	return v
}

// refill reads at least one word.
func (w *words) refill() {
	n := 8 * max(1, min(block, w.need))
	w.need -= n / 8
	w.at, w.end = 0, n
	if w.err == nil {
		w.err = readFull(w.coins, w.buffer[:n])
	}
	if w.err != nil {
		clear(w.buffer[:])
	}
}

// readFull is io.ReadFull that gives up on a reader that gives nothing.
func readFull(r io.Reader, p []byte) error {
	for empty := 0; len(p) > 0; {
		n, err := r.Read(p)
		if n < 0 || n > len(p) {
			return errNoProgress
		}
		p = p[n:]
		if empty++; n > 0 {
			empty = 0
		}
		switch {
		case len(p) == 0:
			return nil
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case empty == 100:
			return errNoProgress
		}
	}
	return nil
}

// stuck says that the coins are not random.
func (w *words) stuck() {
	if w.err == nil {
		w.err = errStuck
	}
}

// finish erases what was read and, after a failure, the samples too.
func (w *words) finish(dst []int64) error {
	clear(w.buffer[:])
	if w.err != nil {
		clear(dst)
		return ErrCoins.At("noise: %d samples", len(dst)).Because(w.err)
	}
	return nil
}
