package secagg

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireSame fails unless what parsed encodes to the bytes it came from: were
// there two encodings of one thing, two parties could hold different digests of it.
func requireSame(t *testing.T, b, again []byte) {
	if !bytes.Equal(b, again) {
		t.Fatalf("%x parsed and became %x", b, again)
	}
}

func FuzzDecoder(f *testing.F) {
	columns := []column{{number: 1, form: formBytes}, {number: 2, form: formUint}, {number: 3, form: formBool}, {number: 4, form: formFloat},
		{number: 5, form: formDigest}, {number: 6, form: formList}, {number: 300, form: formUint}}
	digest := Hash("x")
	full := []value{{bytes: []byte("bytes")}, {uint: 1 << 40}, {uint: 1}, {float: -0.1}, {bytes: digest[:]}, {list: [][]byte{{1}, {}, {2, 3}}}, {uint: 1}}
	f.Add(slowEncode(columns, full))
	f.Add([]byte{})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f})
	f.Fuzz(func(t *testing.T, b []byte) {
		values, err := decodeColumns(b, columns)
		loose, parsed := slowDecode(b, columns)
		require.Equal(t, parsed && bytes.Equal(slowEncode(columns, loose), b), err == nil, "%x: %v", b, err)
		if err == nil {
			var e Encoder
			encodeColumns(&e, columns, values)
			requireSame(t, b, e.Encoded())
		}
	})
}

func FuzzDecodeRoundID(f *testing.F) {
	f.Add(RoundID{"job", 3, 2}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, err := DecodeRoundID(b); err == nil {
			requireSame(t, b, id.Encode())
			require.True(t, id.Round > 0 && id.Attempt > 0 && PartyID(id.Job).Valid())
		}
	})
}

func FuzzDecodeIdentity(f *testing.F) {
	f.Add(enrolled("alice", 2).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, err := DecodeIdentity(b); err == nil {
			requireSame(t, b, id.Encode())
			require.True(t, id.ID.Valid())
		}
	})
}

func FuzzDecodeRoster(f *testing.F) {
	f.Add(sampleRoster(f).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := DecodeRoster(b); err == nil {
			requireSame(t, b, r.Encode())
			for i := range r.Len() {
				require.Equal(t, i, r.Index(r.At(i).ID))
			}
		}
	})
}

func FuzzDecodeTerms(f *testing.F) {
	for _, task := range []Task{sampleTask(f), dividedTask(f), fallbackTask(f), noisyTask(f, bit), noisyTask(f, central), weighedTask(f)} {
		f.Add(task.Terms.Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if terms, err := DecodeTerms(b); err == nil {
			requireSame(t, b, terms.Encode())
			require.NoError(t, terms.Check())
		}
	})
}

func FuzzDecodeTask(f *testing.F) {
	for _, task := range []Task{sampleTask(f), dividedTask(f), fallbackTask(f), noisyTask(f, bit), noisyTask(f, central), weighedTask(f)} {
		f.Add(task.Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if task, err := DecodeTask(b); err == nil {
			requireSame(t, b, task.Encode())
			_, err := task.Session(sampleRoster(t), make(Announcements, task.Terms.Committee.Len()))
			require.NoError(t, err, "what a client decoded it can take part in")
		}
	})
}

func FuzzDecodeEnvelope(f *testing.F) {
	f.Add(Envelope{Round: RoundID{"job", 1, 2}, Step: 7, Roster: []byte{1}, Committee: []byte{3}, Body: []byte{2}, Over: true, Completed: true, Reason: "r"}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := DecodeEnvelope(b); err == nil {
			requireSame(t, b, m.Encode())
		}
	})
}

func FuzzOpenCommit(f *testing.F) {
	context := Hash("context")
	alice := enrolled("alice", 2)
	frame := SignCommit(signer(2), context, Commit{Content: Hash("content"), Size: 1234})
	detailed := SignCommit(signer(2), context, Commit{Content: Hash("content"), Size: 1234, Detail: []byte("detail")})
	f.Add(frame)
	f.Add(detailed)
	f.Add(Commit{}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		peeked, peekErr := PeekCommit(b)
		if peekErr == nil {
			d := NewDecoder(b)
			requireSame(t, d.Bytes(1), peeked.encode())
		}
		if c, err := OpenCommit(alice, context, b); err == nil {
			require.NoError(t, peekErr)
			require.Equal(t, peeked, c)
			// Two frames have these signatures, and nobody can make another; a detail can
			// be taken away, but not changed.
			again, sig := c.encode(), []byte(nil)
			d := NewDecoder(b)
			d.Bytes(1)
			sig = d.Bytes(2)
			var e Encoder
			e.Bytes(1, again)
			e.Bytes(2, sig)
			e.Bytes(3, c.Detail)
			requireSame(t, b, e.Encoded())
			whole := frame
			if c.Bound != (Digest{}) {
				whole = detailed
			}
			require.True(t, bytes.HasPrefix(whole, b))
		}
	})
}
