package file

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkJournalAppend(b *testing.B) {
	s, err := Open(b.TempDir(), 0)
	require.NoError(b, err)
	record := make([]byte, 1000)
	for b.Loop() {
		require.NoError(b, s.Journal.Append("a", record))
	}
	require.NoError(b, s.Close())
}

func BenchmarkHeadSwap(b *testing.B) {
	s, err := Open(b.TempDir(), 0)
	require.NoError(b, err)
	value := make([]byte, 1000)
	for n := uint64(0); b.Loop(); n++ {
		require.NoError(b, s.Head.Swap(n, value))
	}
	require.NoError(b, s.Close())
}

// One upload of 40 MB in chunks of 1 MiB: begin, append, sync, delete.
func BenchmarkSpoolUpload(b *testing.B) {
	const size, chunk = 40 << 20, 1 << 20
	s, err := Open(b.TempDir(), size)
	require.NoError(b, err)
	p := make([]byte, chunk)
	b.SetBytes(size)
	for n := 0; b.Loop(); n++ {
		id := fmt.Sprint(n)
		require.NoError(b, s.Spool.Begin(id, size))
		for at := int64(0); at < size; at += chunk {
			require.NoError(b, s.Spool.Append(id, at, p))
		}
		require.NoError(b, s.Spool.Sync(id))
		require.NoError(b, s.Spool.Delete(id))
	}
	require.NoError(b, s.Close())
}
