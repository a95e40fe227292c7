package file

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/choir-fl/choir/coordinator/store"
	"github.com/stretchr/testify/require"
)

// childDir is the environment variable that makes the test binary a child of TestSIGKILL: it names the directory of the store.
const childDir = "CHOIR_STORE_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, appendForever(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// appendForever goes on where the store ends, and writes a line to standard output for each append and swap that was acknowledged.
func appendForever(dir string) error {
	s, err := Open(dir, 0)
	if err != nil {
		return err
	}
	_, n, err := s.Head.Load()
	for ; err == nil; n++ {
		if err = s.Journal.Append("job/1/1", fmt.Appendf(nil, "%d first", n), fmt.Appendf(nil, "%d second", n)); err != nil {
			break
		}
		fmt.Println("journal", n)
		if err = s.Head.Swap(n, fmt.Appendf(nil, "%d", n)); err != nil {
			break
		}
		fmt.Println("head", n)
	}
	return err
}

func TestSIGKILLLosesNothingThatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	var journal, head uint64 // how many were acknowledged
	for _, lines := range []int{1, 20, 101} {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childDir+"="+dir)
		child.Stderr = os.Stderr
		stdout, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())

		acknowledged := bufio.NewScanner(stdout)
		read := func() {
			var what string
			var n uint64
			_, err := fmt.Sscan(acknowledged.Text(), &what, &n)
			require.NoError(t, err)
			if what == "journal" {
				journal = n + 1
			} else {
				head = n + 1
			}
		}
		for range lines {
			require.True(t, acknowledged.Scan())
			read()
		}
		_, err = Open(dir, 0)
		require.ErrorIs(t, err, store.ErrLocked, "the child has it open")
		require.NoError(t, child.Process.Kill())
		for acknowledged.Scan() { // what it wrote before it died
			read()
		}
		require.NoError(t, acknowledged.Err())
		require.Error(t, child.Wait())

		s, err := Open(dir, 0)
		require.NoError(t, err)
		value, revision, err := s.Head.Load()
		require.NoError(t, err)
		require.Contains(t, []uint64{head, head + 1}, revision)
		if revision > 0 {
			require.Equal(t, fmt.Sprint(revision-1), string(value))
		}
		requireAppends(t, s, journal, revision)
		require.NoError(t, s.Close())
	}
}

// requireAppends checks that the segment holds at least the acknowledged appends, each whole, in order, without a gap. An append that was
// there before a restart, its swap not, is repeated by the next child.
func requireAppends(t *testing.T, s *store.Store, acknowledged, revision uint64) {
	var next uint64 // the append that the next pair of records belongs to
	var records []string
	err := s.Journal.Read("job/1/1", func(r []byte) error { records = append(records, string(r)); return nil })
	if acknowledged > 0 {
		require.NoError(t, err)
	}
	require.Zero(t, len(records)%2, "an append is there whole or not at all")
	for i := 0; i < len(records); i += 2 {
		var n uint64
		_, err := fmt.Sscanf(records[i], "%d first", &n)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%d second", n), records[i+1])
		require.True(t, n == next || n+1 == next, "append %d after %d", n, next)
		next = n + 1
	}
	require.GreaterOrEqual(t, next, acknowledged)
	require.GreaterOrEqual(t, next, revision, "a swap follows its append")
	require.LessOrEqual(t, next, revision+1)
}
