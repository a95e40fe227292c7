package secagg

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommitOpensForItsSignerAndContextAlone(t *testing.T) {
	c := Commit{Content: Hash("content"), Size: 1234}
	context := Hash("context")
	frame := SignCommit(signer(2), context, c)

	got, err := OpenCommit(enrolled("alice", 2), context, frame)
	require.NoError(t, err)
	require.Equal(t, c, got)
	got, err = PeekCommit(frame)
	require.NoError(t, err)
	require.Equal(t, c, got)

	_, err = OpenCommit(enrolled("bob", 3), context, frame)
	require.ErrorIs(t, err, ErrSignature, "another member")
	_, err = OpenCommit(enrolled("alice", 2), Hash("other"), frame)
	require.ErrorIs(t, err, ErrSignature, "another context")
	body := Commit{Content: Hash("other"), Size: 1234}.encode()
	var e Encoder
	e.Bytes(1, body)
	e.Bytes(2, Sign(signer(2), commitLabel, context, c.encode()))
	_, err = OpenCommit(enrolled("alice", 2), context, e.Encoded())
	require.ErrorIs(t, err, ErrSignature, "another content")
	_, err = OpenCommit(enrolled("alice", 2), context, Sign(signer(2), "agree", context, c.encode()))
	require.Error(t, err, "a bare signature")
}

func TestCommitThatIsNotCanonicalIsRefusedEvenWhenSigned(t *testing.T) {
	context := Hash("context")
	sign := func(body []byte) []byte {
		var e Encoder
		e.Bytes(1, body)
		e.Bytes(2, Sign(signer(2), commitLabel, context, body))
		return e.Encoded()
	}
	content := Hash("content")
	var zero, large, short Encoder
	zero.Bytes(1, make([]byte, 32))
	zero.Uint(2, 5)
	large.Digest(1, content)
	large.Uint(2, MaxUpload+1)
	short.Bytes(1, content[:31])
	for name, body := range map[string][]byte{
		"zero digest": zero.Encoded(), "too large": large.Encoded(), "short digest": short.Encoded(),
		"something after": append(Commit{Content: content, Size: 5}.encode(), 3, 1, 1),
	} {
		_, err := OpenCommit(enrolled("alice", 2), context, sign(body))
		require.ErrorIs(t, err, ErrEncoding, name)
		_, err = PeekCommit(sign(body))
		require.ErrorIs(t, err, ErrEncoding, name)
	}
	_, err := PeekCommit(append(SignCommit(signer(2), context, Commit{Content: content}), 3, 1, 1))
	require.ErrorIs(t, err, ErrEncoding)
}

func TestDetailOfACommitIsBoundByItsSignature(t *testing.T) {
	context, alice := Hash("context"), enrolled("alice", 2)
	c := Commit{Content: Hash("content"), Size: 1234, Detail: []byte("detail")}
	frame := SignCommit(signer(2), context, c)
	c.Bound = BoundTo(c.Detail)
	for _, open := range []func() (Commit, error){
		func() (Commit, error) { return OpenCommit(alice, context, frame) },
		func() (Commit, error) { return PeekCommit(frame) },
	} {
		got, err := open()
		require.NoError(t, err)
		require.Equal(t, c, got)
	}

	with := func(frame, detail []byte) []byte {
		d := NewDecoder(frame)
		var e Encoder
		e.Bytes(1, d.Bytes(1))
		e.Bytes(2, d.Bytes(2))
		e.Bytes(3, detail)
		return e.Encoded()
	}
	require.Equal(t, frame, with(frame, c.Detail))
	other := SignCommit(signer(2), context, Commit{Content: c.Content, Size: c.Size, Bound: Hash("other")})
	bare := SignCommit(signer(2), context, Commit{Content: c.Content, Size: c.Size})
	for name, bad := range map[string][]byte{
		"another detail": with(frame, []byte("detaik")), "a longer one": with(frame, []byte("detail ")),
		"one of another bound": with(other, c.Detail), "one of no bound": with(bare, c.Detail),
	} {
		_, err := OpenCommit(alice, context, bad)
		require.ErrorIs(t, err, ErrEncoding, name)
		_, err = PeekCommit(bad)
		require.ErrorIs(t, err, ErrEncoding, name)
	}
	// Who relays a frame can take its detail away, which schemes must expect.
	got, err := OpenCommit(alice, context, with(frame, nil))
	require.NoError(t, err)
	require.Nil(t, got.Detail)
	require.Equal(t, c.Bound, got.Bound)
}

// shortWriter takes some bytes and then no more.
type shortWriter struct{ left int }

var errFull = errors.New("full")

func (w *shortWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		n := w.left
		w.left = 0
		return n, errFull
	}
	w.left -= len(p)
	return len(p), nil
}

func TestCommitWriterCountsWhatWasWrittenAndNoMore(t *testing.T) {
	var out bytes.Buffer
	w := NewCommitWriter(&out)
	require.Equal(t, Commit{Content: sha256.Sum256(nil)}, w.Commit())
	for _, part := range []string{"a", "", "bcd"} {
		_, err := io.WriteString(w, part)
		require.NoError(t, err)
	}
	require.Equal(t, "abcd", out.String())
	require.Equal(t, Commit{Content: sha256.Sum256([]byte("abcd")), Size: 4}, w.Commit())
	require.Equal(t, w.Commit(), w.Commit(), "asking changes nothing")

	short := NewCommitWriter(&shortWriter{left: 3})
	n, err := io.WriteString(short, "abcd")
	require.ErrorIs(t, err, errFull)
	require.Equal(t, 3, n)
	require.Equal(t, Commit{Content: sha256.Sum256([]byte("abc")), Size: 3}, short.Commit())
}
