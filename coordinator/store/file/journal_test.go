package file

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/choir-fl/choir/coordinator/store"
	"github.com/stretchr/testify/require"
)

// threeAppends returns a disk whose segment "a" holds three appends, with the bytes of its file and where each frame begins and the
// last one ends.
func threeAppends(t *testing.T) (c *crashFS, data []byte, frames []int) {
	c = newCrashFS()
	s := openCrash(t, c)
	for _, records := range [][][]byte{{[]byte("one")}, {[]byte("two"), {}}, {[]byte("three"), []byte("four")}} {
		frames = append(frames, max(headerSize, len(data)))
		require.NoError(t, s.Journal.Append("a", records...))
		data = bytes.Clone(c.now["/s/journal/a.log"].data)
	}
	require.NoError(t, s.Journal.Append("b", []byte("sound")))
	c.restart(lose)
	return c, data, append(frames, len(data))
}

// withSegment opens the store with these bytes as segment "a".
func withSegment(t *testing.T, c *crashFS, data []byte) *store.Store {
	t.Helper()
	c.restart(lose)
	n := c.now["/s/journal/a.log"]
	n.data, n.dirty = bytes.Clone(data), make([]bool, len(data))
	for i := range n.dirty {
		n.dirty[i] = true
	}
	return openCrash(t, c)
}

func readSegment(s *store.Store, name string) (string, error) {
	var all []string
	err := s.Journal.Read(name, func(r []byte) error { all = append(all, string(r)); return nil })
	return strings.Join(all, ","), err
}

func TestAppendCutShortIsRemovedWhole(t *testing.T) {
	c, data, frames := threeAppends(t)
	last, end := frames[2], frames[3]
	check := func(p []byte) {
		t.Helper()
		s := withSegment(t, c, p)
		got, err := readSegment(s, "a")
		require.NoError(t, err)
		require.Equal(t, "one,two,", got)
		require.NoError(t, s.Journal.Append("a", []byte("next")))
		c.restart(lose)
		got, err = readSegment(openCrash(t, c), "a")
		require.NoError(t, err)
		require.Equal(t, "one,two,,next", got)
	}
	for at := last; at < end; at++ {
		check(data[:at])
		zeroed := bytes.Clone(data) // the length had reached the disk, these bytes had not
		clear(zeroed[at:])
		check(zeroed)
		swapped := bytes.Clone(data) // the later bytes had reached the disk, the earlier ones had not
		clear(swapped[last : at+1])
		check(swapped)
		mangled := bytes.Clone(data)
		mangled[at] ^= 0x40
		check(mangled)
	}
}

func TestDamageBeforeTheLastAppendIsAnErrorThatNamesTheSegment(t *testing.T) {
	c, data, frames := threeAppends(t)
	for at := range frames[2] {
		for _, bit := range []byte{1, 0x80} {
			bad := bytes.Clone(data)
			bad[at] ^= bit
			s := withSegment(t, c, bad)
			_, err := readSegment(s, "a")
			if at == 8 {
				require.ErrorIs(t, err, store.ErrVersion)
			} else {
				require.ErrorIs(t, err, store.ErrCorrupt, "byte %d", at)
			}
			require.ErrorContains(t, err, `"a"`)
		}
	}
	s := withSegment(t, c, data[:frames[1]-1])
	require.ErrorIs(t, s.Journal.Append("a", []byte("x")), store.ErrCorrupt, "a first append is never cut short")
	names, err := s.Journal.Segments()
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, names)
	got, err := readSegment(s, "b")
	require.NoError(t, err)
	require.Equal(t, "sound", got, "other segments are not affected")
	require.NoError(t, s.Journal.Drop("a"))
	require.NoError(t, s.Journal.Append("a", []byte("anew")))
}

func TestDamageBehindTheBackOfAnOpenStoreIsNoticed(t *testing.T) {
	c, data, frames := threeAppends(t)
	s := withSegment(t, c, data)
	c.now["/s/journal/a.log"].data[frames[3]-1] ^= 1
	_, err := readSegment(s, "a")
	require.ErrorIs(t, err, store.ErrCorrupt, "the last append was acknowledged, so it cannot have been cut short")
	delete(c.now, "/s/journal/a.log")
	_, err = readSegment(s, "a")
	require.ErrorIs(t, err, store.ErrCorrupt)
}

func TestUnknownVersionOfASegmentIsRefused(t *testing.T) {
	c, data, _ := threeAppends(t)
	data[8] = 2
	le.PutUint32(data[17:], checksum(data[:17]))
	_, err := readSegment(withSegment(t, c, data), "a")
	require.ErrorIs(t, err, store.ErrVersion)
}

func TestBytesWithinARecordAreNotTakenForALaterFrame(t *testing.T) {
	c, data, frames := threeAppends(t)
	off := int64(frames[3])
	inner := off + frameHeaderSize + store.RecordOverhead
	forged := appendFrame(nil, 0, inner, [][]byte{[]byte("forged")}) // the right place, but the salt has to be guessed
	torn := appendFrame(bytes.Clone(data), le.Uint64(data[9:]), off, [][]byte{forged})
	torn[off] ^= 1
	got, err := readSegment(withSegment(t, c, torn), "a")
	require.NoError(t, err)
	require.Equal(t, "one,two,,three,four", got)
}

func TestHugeLengthsAllocateNothing(t *testing.T) {
	var before, after runtime.MemStats
	for _, length := range []uint32{store.MaxAppend, store.MaxAppend + 1, 1<<32 - 1} {
		data := encodeHeader(magicJournal, 7)
		head := le.AppendUint32(nil, length)
		head = le.AppendUint32(head, 0)
		head = le.AppendUint32(head, frameCheck(7, headerSize, head))
		data = append(append(data, head...), 1, 2, 3)
		runtime.ReadMemStats(&before)
		_, _, err := scanFrames(bytes.NewReader(data), int64(len(data)), nil)
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, store.ErrCorrupt)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
	}
}

func TestTailLongerThanAnyAppendIsCorrupt(t *testing.T) {
	data := appendFrame(encodeHeader(magicJournal, 7), 7, headerSize, [][]byte{[]byte("one")})
	tail := make([]byte, frameHeaderSize+store.MaxAppend+1)
	scan := func(p []byte) (int64, error) {
		_, end, err := scanFrames(bytes.NewReader(p), int64(len(p)), func(int64, []byte) error { return nil })
		return end, err
	}
	end, err := scan(append(bytes.Clone(data), tail[1:]...))
	require.NoError(t, err)
	require.Equal(t, int64(len(data)), end)
	_, err = scan(append(bytes.Clone(data), tail...))
	require.ErrorIs(t, err, store.ErrCorrupt)
	_, err = scan(appendFrame(data, 7, int64(len(data)), [][]byte{make([]byte, store.MaxAppend)}))
	require.ErrorIs(t, err, store.ErrCorrupt, "a frame that no append has written")
}

func TestSecondTornAppendIsCutTooWhenItIsShorterThanTheFirst(t *testing.T) {
	c, data, _ := threeAppends(t)
	s := withSegment(t, c, append(data, bytes.Repeat([]byte{7}, 200)...))
	c.arm(1, short)
	require.ErrorIs(t, s.Journal.Append("a", []byte("a record of some length")), errFault)
	c.restart(keep)
	got, err := readSegment(openCrash(t, c), "a")
	require.NoError(t, err)
	require.Equal(t, "one,two,,three,four", got)
}

func TestSegmentWhoseFirstAppendFailedIsNotListed(t *testing.T) {
	c := newCrashFS()
	s := openCrash(t, c)
	c.arm(0, failed)
	require.ErrorIs(t, s.Journal.Append("a", []byte("x")), store.ErrPoisoned)
	names, err := s.Journal.Segments()
	require.NoError(t, err)
	require.Empty(t, names)
	require.NoError(t, s.Journal.Drop("a"))
	require.NoError(t, s.Journal.Append("a", []byte("x")), "after a drop its state is known again")
}
