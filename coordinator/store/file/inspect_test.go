package file

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/choir-fl/choir/coordinator/store"
	"github.com/stretchr/testify/require"
)

// inspected reads a segment without opening the store.
func inspected(c *crashFS, name string) (string, error) {
	i, err := inspect(c, crashDir)
	if err != nil {
		return "", err
	}
	var all []string
	err = i.Read(name, func(r []byte) error { all = append(all, string(r)); return nil })
	return strings.Join(all, ","), err
}

func TestInspectionShowsAnOpenStoreAndChangesNothing(t *testing.T) {
	c := newCrashFS()
	s := openCrash(t, c)
	fill(t, s)
	c.arm(-1, failed)
	i, err := inspect(c, crashDir)
	require.NoError(t, err)
	names, err := i.Segments()
	require.NoError(t, err)
	require.Equal(t, []string{"B/c", "a"}, names)
	got, err := inspected(c, "a")
	require.NoError(t, err)
	require.Equal(t, "1,2", got)
	for _, call := range c.calls() {
		require.Contains(t, []string{"open", "seek", "readat", "close", "readdir"}, strings.Fields(call)[0])
	}
	require.NoError(t, s.Journal.Append("a", []byte("3")))
	got, err = inspected(c, "a")
	require.NoError(t, err)
	require.Equal(t, "1,2,3", got)
}

func TestInspectionDoesNotShowAnAppendThatIsNotWhole(t *testing.T) {
	c, data, frames := threeAppends(t)
	n := c.now["/s/journal/a.log"]
	for at := frames[2]; at < frames[3]; at++ {
		n.data = bytes.Clone(data[:at])
		got, err := inspected(c, "a")
		require.NoError(t, err)
		require.Equal(t, "one,two,", got)
		require.Len(t, n.data, at, "it is left for the next one who opens the store")
	}
}

func TestInspectionNamesDamage(t *testing.T) {
	c, data, frames := threeAppends(t)
	n := c.now["/s/journal/a.log"]
	n.data = bytes.Clone(data)
	n.data[frames[1]-1] ^= 1
	_, err := inspected(c, "a")
	require.ErrorIs(t, err, store.ErrCorrupt)
	require.ErrorContains(t, err, `"a"`)
	_, err = inspected(c, "none")
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = inspected(c, "../format")
	require.ErrorIs(t, err, store.ErrName)
	boom := bytes.ErrTooLarge
	i, err := inspect(c, crashDir)
	require.NoError(t, err)
	require.ErrorIs(t, i.Read("b", func([]byte) error { return boom }), boom)

	c.now["/s/format"].data = []byte("choir.store/2\n")
	_, err = inspect(c, crashDir)
	require.ErrorIs(t, err, store.ErrVersion)
}

func TestInspectionMakesNoStore(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "none")} {
		_, err := Inspect(path)
		require.ErrorContains(t, err, path)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Empty(t, files)
	s, err := Open(dir, 0)
	require.NoError(t, err)
	require.NoError(t, s.Journal.Append("a", []byte("1")))
	i, err := Inspect(dir)
	require.NoError(t, err)
	names, err := i.Segments()
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, names)
	require.NoError(t, s.Close())
}
