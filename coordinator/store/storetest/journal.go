package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/choir-fl/choir/coordinator/store"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func records(t *testing.T, s *store.Store, segment string) []string {
	t.Helper()
	var all []string
	require.NoError(t, s.Journal.Read(segment, func(r []byte) error {
		all = append(all, string(r))
		return nil
	}))
	return all
}

func testJournal(t *testing.T, d Disk) {
	s := open(t, d)
	j := s.Journal

	t.Run("records come back in order from their own segment", func(t *testing.T) {
		require.NoError(t, j.Append("job/1/1", []byte("a"), []byte(""), []byte("b")))
		require.NoError(t, j.Append("job/1/2", []byte("other")))
		require.NoError(t, j.Append("job/1/1", []byte("c")))
		require.Equal(t, []string{"a", "", "b", "c"}, records(t, s, "job/1/1"))
		require.Equal(t, []string{"other"}, records(t, s, "job/1/2"))
	})

	t.Run("records survive a crash and more can follow", func(t *testing.T) {
		s = crash(t, d)
		j = s.Journal
		require.NoError(t, j.Append("job/1/1", []byte("d")))
		s = crash(t, d)
		j = s.Journal
		require.Equal(t, []string{"a", "", "b", "c", "d"}, records(t, s, "job/1/1"))
	})

	t.Run("the slices given to append are not kept", func(t *testing.T) {
		p := []byte("mine")
		require.NoError(t, j.Append("alias", p))
		copy(p, "gone")
		require.Equal(t, []string{"mine"}, records(t, s, "alias"))
	})

	t.Run("names that differ in case are distinct, and listed in order", func(t *testing.T) {
		require.NoError(t, j.Append("JOB/1/1", []byte("capital")))
		names, err := j.Segments()
		require.NoError(t, err)
		require.Equal(t, []string{"JOB/1/1", "alias", "job/1/1", "job/1/2"}, names)
		require.Equal(t, []string{"capital"}, records(t, s, "JOB/1/1"))
	})

	t.Run("read returns the error of its function at once", func(t *testing.T) {
		stop, calls := errors.New("stop"), 0
		err := j.Read("job/1/1", func([]byte) error { calls++; return stop })
		require.Equal(t, stop, err)
		require.Equal(t, 1, calls)
	})

	t.Run("read shows the segment as it was when it began, and may append to it", func(t *testing.T) {
		require.NoError(t, j.Append("self", []byte("1"), []byte("2")))
		calls := 0
		require.NoError(t, j.Read("self", func(r []byte) error { calls++; return j.Append("self", []byte("copy of "+string(r))) }))
		require.Equal(t, 2, calls)
		require.Equal(t, []string{"1", "2", "copy of 1", "copy of 2"}, records(t, s, "self"))
	})

	t.Run("an unknown segment is not found", func(t *testing.T) {
		require.ErrorIs(t, j.Read("nothing", nil), store.ErrNotFound)
	})

	t.Run("no records make no segment", func(t *testing.T) {
		require.NoError(t, j.Append("nothing"))
		require.ErrorIs(t, j.Read("nothing", nil), store.ErrNotFound)
	})

	t.Run("a dropped segment is gone after a crash and may begin again", func(t *testing.T) {
		require.NoError(t, j.Drop("job/1/1"))
		require.NoError(t, j.Drop("job/1/1"), "dropping what is not there")
		require.ErrorIs(t, j.Read("job/1/1", nil), store.ErrNotFound)
		s = crash(t, d)
		j = s.Journal
		require.ErrorIs(t, j.Read("job/1/1", nil), store.ErrNotFound)
		require.NoError(t, j.Append("job/1/1", []byte("again")))
		require.Equal(t, []string{"again"}, records(t, s, "job/1/1"))
	})

	t.Run("an append of the greatest size is taken, a greater one has no effect", func(t *testing.T) {
		half := make([]byte, store.MaxAppend/2-store.RecordOverhead)
		require.NoError(t, j.Append("great", half, half))
		require.ErrorIs(t, j.Append("great", half, half, nil), store.ErrSize)
		require.NoError(t, j.Append("great", []byte("small")))
		require.Len(t, records(t, s, "great"), 3)
		require.NoError(t, j.Drop("great"))
	})

	t.Run("names that could leave their place are refused", func(t *testing.T) {
		for _, name := range badNames() {
			require.ErrorIs(t, j.Append(name, []byte("x")), store.ErrName, "%q", name)
			require.NoError(t, j.Drop(name), "%q", name)
		}
	})

	t.Run("appends by many goroutines stay whole and in the order of each", func(t *testing.T) {
		const writers, appends = 4, 10
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range appends {
					assert.NoError(t, j.Append("crowd", fmt.Appendf(nil, "%d %d", w, i), []byte("second of the same")))
				}
			})
		}
		wg.Wait()
		all := records(t, s, "crowd")
		require.Len(t, all, 2*writers*appends)
		var next [writers]int
		for i := 0; i < len(all); i += 2 {
			var w, n int
			_, err := fmt.Sscanf(all[i], "%d %d", &w, &n)
			require.NoError(t, err)
			require.Equal(t, next[w], n)
			next[w]++
			require.Equal(t, "second of the same", all[i+1])
		}
	})
}

// badNames are names that store.CheckName refuses.
func badNames() []string {
	return []string{
		"", "/", "a/", "/a", "a//b", ".", "..", "../a", "a/../b", "a/.b", ".hidden", "a b", "a\x00b", "a\nb", `a\b`, "a:b", "a+b", "a=b", "ä",
		strings.Repeat("a", store.MaxName+1),
	}
}
