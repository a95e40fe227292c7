package file

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/stretchr/testify/require"
)

// Package mem is the slow, obvious reference: over any history with power cuts, both stores must say the same.
func TestRandomHistoriesAgreeWithTheStoreInMemory(t *testing.T) {
	for seed := range uint64(60) {
		reference, c := mem.New(40), newCrashFS()
		var history []string
		var want, got *store.Store
		reopen := func() {
			var err error
			want, err = reference.Open()
			require.NoError(t, err)
			got, err = open(c, crashDir, 40)
			require.NoError(t, err, "seed %d: %s", seed, strings.Join(history, "\n"))
		}
		reopen()
		for i := range uint64(150) {
			coins := func() *rand.Rand { return rand.New(rand.NewPCG(seed, 2*i)) } // the same for both stores
			switch rand.New(rand.NewPCG(seed, 2*i+1)).IntN(25) {
			case 0:
				history = append(history, "power cut")
				reference.Crash()
				c.restart(lose)
				reopen()
			case 1:
				history = append(history, "close")
				require.NoError(t, want.Close())
				require.NoError(t, got.Close())
				reopen()
			default:
				said := randomCall(coins(), want)
				history = append(history, said)
				require.Equal(t, said, randomCall(coins(), got), "seed %d: %s", seed, strings.Join(history, "\n"))
			}
		}
	}
}

// randomCall makes one call and describes it with its result.
func randomCall(r *rand.Rand, s *store.Store) string {
	name := []string{"a", "A/b", "c"}[r.IntN(3)]
	text := make([]byte, r.IntN(6))
	for i := range text {
		text[i] = byte('a' + r.IntN(3))
	}
	number := r.Int64N(12)
	say := func(err error, results ...any) string {
		var wrong *store.OffsetError
		class := err
		for _, e := range []error{store.ErrNotFound, store.ErrConflict, store.ErrSize, store.ErrFull} {
			if errors.Is(err, e) {
				class = e
			}
		}
		if errors.As(err, &wrong) {
			class = fmt.Errorf("go on at %d", wrong.Present)
		}
		return fmt.Sprintf(": %v %v", results, class)
	}
	switch r.IntN(16) {
	case 0, 1:
		return fmt.Sprintf("append %s %q", name, text) + say(s.Journal.Append(name, text, []byte(name)))
	case 2:
		var all []string
		err := s.Journal.Read(name, func(r []byte) error { all = append(all, string(r)); return nil })
		return "read " + name + say(err, all)
	case 3:
		names, err := s.Journal.Segments()
		return "segments" + say(err, names)
	case 4:
		return "drop " + name + say(s.Journal.Drop(name))
	case 5:
		value, revision, err := s.Head.Load()
		return "load" + say(err, string(value), revision)
	case 6:
		_, revision, err := s.Head.Load()
		if number == 0 {
			revision++
		}
		return fmt.Sprintf("swap %d %q", revision, text) + say(errors.Join(err, s.Head.Swap(revision, text)))
	case 7, 8:
		digest, err := store.WriteBlob(s.Blobs, text)
		return fmt.Sprintf("blob %q", text) + say(err, digest)
	case 9:
		digests, err := s.Blobs.List()
		if len(digests) > 0 {
			err = errors.Join(err, s.Blobs.Delete(digests[int(number)%len(digests)]))
		}
		return "list blobs and delete one" + say(err, digests)
	case 10:
		return fmt.Sprintf("begin %s %d", name, 2*number) + say(s.Spool.Begin(name, 2*number))
	case 11:
		offset, err := s.Spool.Offset(name)
		return "offset " + name + say(err, offset)
	case 12:
		offset, err := s.Spool.Offset(name)
		if number == 0 {
			offset++
		}
		return fmt.Sprintf("chunk %s %d %q", name, offset, text) + say(errors.Join(err, s.Spool.Append(name, offset, text)))
	case 13:
		return "sync " + name + say(s.Spool.Sync(name))
	case 14:
		if number < 4 {
			return "delete " + name + say(s.Spool.Delete(name))
		}
		parts, err := s.Spool.List()
		return "list parts" + say(err, parts)
	default:
		reader, err := s.Spool.Open(name)
		if err != nil {
			return "open " + name + say(err)
		}
		p, err := io.ReadAll(reader)
		return "open " + name + say(errors.Join(err, reader.Close()), string(p))
	}
}
