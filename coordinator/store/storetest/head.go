package storetest

import (
	"bytes"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/choir-fl/choir/coordinator/store"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func testHead(t *testing.T, d Disk) {
	s := open(t, d)
	requireHead := func(t *testing.T, want string, wantRevision uint64) {
		t.Helper()
		value, revision, err := s.Head.Load()
		require.NoError(t, err)
		require.Equal(t, want, string(value))
		require.Equal(t, wantRevision, revision)
	}

	t.Run("a new head is empty at revision 0", func(t *testing.T) { requireHead(t, "", 0) })

	t.Run("each swap raises the revision by one and survives a crash", func(t *testing.T) {
		require.NoError(t, s.Head.Swap(0, []byte("one")))
		requireHead(t, "one", 1)
		s = crash(t, d)
		requireHead(t, "one", 1)
		require.NoError(t, s.Head.Swap(1, []byte("two")))
		s = crash(t, d)
		requireHead(t, "two", 2)
	})

	t.Run("a swap of another revision is a conflict and has no effect", func(t *testing.T) {
		for _, old := range []uint64{0, 1, 3} {
			require.ErrorIs(t, s.Head.Swap(old, []byte("no")), store.ErrConflict)
		}
		requireHead(t, "two", 2)
	})

	t.Run("neither the slice given nor the slice returned is shared", func(t *testing.T) {
		p := []byte("mine")
		require.NoError(t, s.Head.Swap(2, p))
		copy(p, "gone")
		value, _, err := s.Head.Load()
		require.NoError(t, err)
		copy(value, "gone")
		requireHead(t, "mine", 3)
	})

	t.Run("a value of the greatest size is taken, a greater one has no effect", func(t *testing.T) {
		great := bytes.Repeat([]byte("x"), store.MaxHead)
		require.ErrorIs(t, s.Head.Swap(3, append(great, 'x')), store.ErrSize)
		requireHead(t, "mine", 3)
		require.NoError(t, s.Head.Swap(3, great))
		s = crash(t, d)
		requireHead(t, string(great), 4)
		require.NoError(t, s.Head.Swap(4, nil), "an empty value")
		s = crash(t, d)
		requireHead(t, "", 5)
	})

	t.Run("of swaps at the same time exactly one wins each revision", func(t *testing.T) {
		const swappers, each = 4, 5
		var wins atomic.Int64
		var wg sync.WaitGroup
		for range swappers {
			wg.Go(func() {
				for won := 0; won < each; {
					value, revision, err := s.Head.Load()
					if !assert.NoError(t, err) {
						return
					}
					n, _ := strconv.Atoi(string(value)) // 0 for the first, empty value
					err = s.Head.Swap(revision, []byte(strconv.Itoa(n+1)))
					if err == nil {
						won++
						wins.Add(1)
					} else if !assert.True(t, errors.Is(err, store.ErrConflict), err) {
						return
					}
				}
			})
		}
		wg.Wait()
		requireHead(t, strconv.FormatInt(wins.Load(), 10), 5+swappers*each)
	})
}
