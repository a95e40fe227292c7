package mem_test

import (
	"testing"

	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/choir-fl/choir/coordinator/store/storetest"
	"github.com/stretchr/testify/require"
)

func TestDiskKeepsTheContractsOfStore(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, spoolMax int64) storetest.Disk { return mem.New(spoolMax) })
}

func TestCrashLosesExactlyWhatWasNotSynced(t *testing.T) {
	d := mem.New(100)
	s, err := d.Open()
	require.NoError(t, err)
	require.NoError(t, s.Spool.Begin("a", 10))
	require.NoError(t, s.Spool.Append("a", 0, []byte("kept")))
	require.NoError(t, s.Spool.Sync("a"))
	require.NoError(t, s.Spool.Append("a", 4, []byte("lost")))
	old, err := s.Spool.Open("a")
	require.NoError(t, err)
	d.Crash()

	s, err = d.Open()
	require.NoError(t, err)
	offset, err := s.Spool.Offset("a")
	require.NoError(t, err)
	require.Equal(t, int64(4), offset)
	require.NoError(t, s.Spool.Append("a", 4, []byte("new!")))
	p := make([]byte, 8)
	_, err = old.Read(p)
	require.NoError(t, err)
	require.Equal(t, "keptlost", string(p), "a reader from before the crash sees nothing of what came after")
}
