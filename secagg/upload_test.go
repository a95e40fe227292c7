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
