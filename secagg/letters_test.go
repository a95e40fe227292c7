package secagg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func sampleLetters(t testing.TB) ([]Letter, []byte) {
	letters := []Letter{
		{Member: 0, Frame: []byte("frame"), Body: []byte("body of the letter")},
		{Member: MaxRoster - 1, Frame: []byte{}, Body: []byte{}},
		{Member: 7, Frame: bytes.Repeat([]byte{1}, maxFrame), Body: bytes.Repeat([]byte{2}, 5000)},
	}
	var out bytes.Buffer
	for _, l := range letters {
		require.NoError(t, WriteLetter(&out, l))
	}
	return letters, out.Bytes()
}

// readAll reads letters to the end of a stream.
func readAll(r io.Reader) (out []Letter, err error) {
	for {
		l, err := ReadLetter(r)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, l)
	}
}

func TestLettersSurviveTheirStream(t *testing.T) {
	want, b := sampleLetters(t)
	got, err := readAll(bytes.NewReader(b))
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = readAll(iotest.OneByteReader(bytes.NewReader(b)))
	require.NoError(t, err)
	require.Equal(t, want, got)
	none, err := readAll(bytes.NewReader(nil))
	require.NoError(t, err)
	require.Empty(t, none)
	got[0].Frame = append(got[0].Frame, 'x')
	require.Equal(t, want[0].Body, got[0].Body, "a longer frame does not run into the body")
}

func TestStreamThatEndsWithinALetterIsNoEnd(t *testing.T) {
	want, b := sampleLetters(t)
	ends := map[int]bool{0: true}
	at := 0
	for _, l := range want {
		at += 12 + len(l.Frame) + len(l.Body)
		ends[at] = true
	}
	for cut := 0; cut <= len(b); cut++ {
		if cut > 100 && cut < len(b)-5100 && cut%257 != 0 {
			continue
		}
		_, err := readAll(bytes.NewReader(b[:cut]))
		if ends[cut] {
			require.NoError(t, err, "cut at %d", cut)
			continue
		}
		require.ErrorIs(t, err, ErrLetters, "cut at %d", cut)
		require.NotErrorIs(t, err, io.EOF, "cut at %d", cut)
	}
}

func TestErrorOfAReaderIsPassedOn(t *testing.T) {
	_, b := sampleLetters(t)
	broken := errors.New("broken")
	for _, n := range []int{0, 5, 12, 13, 40} {
		_, err := readAll(io.MultiReader(bytes.NewReader(b[:n]), iotest.ErrReader(broken)))
		require.ErrorIs(t, err, broken, "after %d bytes", n)
	}
}

func TestLettersPromisingTooMuchAreRefusedBeforeTheyAreRead(t *testing.T) {
	head := func(member, frame, body uint32) []byte {
		b := binary.BigEndian.AppendUint32(nil, member)
		b = binary.BigEndian.AppendUint32(b, frame)
		return binary.BigEndian.AppendUint32(b, body)
	}
	for name, b := range map[string][]byte{
		"member": head(MaxRoster, 0, 0), "frame": head(0, maxFrame+1, 0), "body": head(0, 0, maxLetter+1),
		"both of them run over": head(0, 1<<31, 1<<31), "all": head(1<<32-1, 1<<32-1, 1<<32-1),
	} {
		r := bytes.NewReader(append(b, make([]byte, 100)...))
		_, err := ReadLetter(r)
		require.ErrorIs(t, err, ErrLetters, name)
		require.Equal(t, 100, r.Len(), "%s: nothing behind the head was read", name)
	}
}

func FuzzReadLetter(f *testing.F) {
	_, b := sampleLetters(f)
	f.Add(b)
	f.Add(b[:20])
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 5, 6})
	f.Fuzz(func(t *testing.T, b []byte) {
		letters, err := readAll(bytes.NewReader(b))
		if err != nil {
			require.ErrorIs(t, err, ErrLetters)
		}
		var again bytes.Buffer
		for _, l := range letters {
			require.NoError(t, WriteLetter(&again, l))
		}
		require.True(t, bytes.HasPrefix(b, again.Bytes()))
		if err == nil {
			requireSame(t, b, again.Bytes())
		}
	})
}
