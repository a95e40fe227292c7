package round

import (
	"crypto/ed25519"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg"
)

// instant is the time that an event's record holds.
func instant(ev Event) Instant {
	switch ev := ev.(type) {
	case Tick:
		return ev.At
	case CheckIn:
		return ev.At
	case Message:
		return ev.At
	case Uploaded:
		return ev.At
	case Leave:
		return ev.At
	case Announce:
		return ev.At
	case Checkpoint:
		return ev.At
	case Abort:
		return ev.At
	}
	return 0
}

func journaled() []Event {
	id := secagg.Enrol(keyOf("authority"), "a", keyOf("a").Public().(ed25519.PublicKey))
	return []Event{Tick{1 << 62}, CheckIn{2, id}, Message{3, "a", 1<<32 - 1, []byte("body")}, Message{3, "a", 1, nil},
		Uploaded{4, "a", 5, []byte("frame"), secagg.Hash("content"), secagg.MaxUpload}, Leave{6, "b"}, Announce{6, "decryptor:a", []byte("body")},
		Checkpoint{7, secagg.Hash("blob"), []int{0, 1<<24 + 2, 9999}}, Checkpoint{At: 8, Blob: secagg.Hash("blob")}, Abort{9, "reason"}}
}

func TestRecordsOfAllEventsReadBack(t *testing.T) {
	for _, ev := range journaled() {
		got, err := decode(encode(ev, instant(ev)))
		require.NoError(t, err)
		require.Equal(t, ev, got)
	}
	require.Nil(t, encode(TaskDone{At: 1, Task: 2}, 1))
	require.Nil(t, encode(Committed{1}, 1))
}

func TestMalformedRecordsAreRefused(t *testing.T) {
	record := func(build func(e *secagg.Encoder)) []byte {
		var e secagg.Encoder
		build(&e)
		return e.Encoded()
	}
	for name, r := range map[string][]byte{
		"nothing":          nil,
		"another version":  record(func(e *secagg.Encoder) { e.Uint(1, 2); e.Uint(2, uint64(kindTick)); e.Uint(3, 1) }),
		"another kind":     record(func(e *secagg.Encoder) { e.Uint(1, 1); e.Uint(2, uint64(kindCommitted)); e.Uint(3, 1) }),
		"an unknown field": record(func(e *secagg.Encoder) { e.Uint(1, 1); e.Uint(2, uint64(kindTick)); e.Uint(3, 1); e.Uint(9, 1) }),
		"a broken name":    record(func(e *secagg.Encoder) { e.Uint(1, 1); e.Uint(2, uint64(kindCheckIn)); e.Uint(3, 1); e.Uint(4, 1) }),
		"half a member":    record(func(e *secagg.Encoder) { e.Uint(1, 1); e.Uint(2, uint64(kindCheckpoint)); e.Bytes(5, []byte{1, 2, 3}) }),
		"too large a step": record(func(e *secagg.Encoder) { e.Uint(1, 1); e.Uint(2, uint64(kindMessage)); e.Uint(5, 1<<32) }),
	} {
		_, err := decode(r)
		require.ErrorIs(t, err, ErrJournal, name)
	}
}

func FuzzRecord(f *testing.F) {
	for _, ev := range journaled() {
		f.Add(encode(ev, instant(ev)))
	}
	f.Add([]byte("garbage"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ev, err := decode(b)
		if err != nil {
			require.ErrorIs(t, err, ErrJournal)
			return
		}
		require.Equal(t, b, encode(ev, instant(ev)))
	})
}
