package filestate

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/decryptor"
)

var testKey = bytes.Repeat([]byte{7}, KeySize)

// made makes a state and opens it.
func made(t *testing.T, sys fsys, dir string) *State {
	t.Helper()
	require.NoError(t, create(sys, dir, testKey))
	return opened(t, sys, dir)
}

func opened(t *testing.T, sys fsys, dir string) *State {
	t.Helper()
	s, err := open(sys, dir, testKey)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func loaded(t *testing.T, s *State, name string) string {
	t.Helper()
	b, err := s.Load(name)
	require.NoError(t, err)
	return string(b)
}

func TestWhatWasSavedIsThereAfterARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := made(t, system{}, dir)
	require.NoError(t, s.Save("job", []byte("first")))
	require.NoError(t, s.Save("job", []byte("second")))
	require.NoError(t, s.Save(decryptor.Epochs, []byte("seeds")))
	require.NoError(t, s.Close())
	s = opened(t, system{}, dir)
	require.Equal(t, "second", loaded(t, s, "job"))
	require.Equal(t, "seeds", loaded(t, s, decryptor.Epochs))
	b, err := s.Load("other")
	require.NoError(t, err)
	require.Nil(t, b)
}

func TestNothingIsInClearAndNobodyElseCanRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := made(t, system{}, dir)
	require.NoError(t, s.Save("job", []byte("a secret of sixteen")))
	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, path)
		if !d.IsDir() {
			files++
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NotContains(t, string(b), "secret", path)
		}
		return nil
	}))
	require.Equal(t, 3, files, "lock, check, record")
}

// A record that was damaged, cut or taken from another job is no record, and not taken
// for none either.
func TestADamagedRecordIsAnError(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := made(t, system{}, dir)
	file := func(name string) string { return filepath.Join(dir, recordsDir, name) }
	for name, damage := range map[string]func([]byte) []byte{
		"a bit":     func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"cut":       func(b []byte) []byte { return b[:boxExtra-1] },
		"empty":     func([]byte) []byte { return nil },
		"a version": func(b []byte) []byte { b[0]++; return b },
	} {
		require.NoError(t, s.Save("job", []byte("record")))
		b, err := os.ReadFile(file("job"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file("job"), damage(b), 0o600))
		_, err = s.Load("job")
		require.ErrorIs(t, err, decryptor.ErrRecord, name)
	}
	require.NoError(t, s.Save("job", []byte("record")))
	require.NoError(t, os.Rename(file("job"), file("other")))
	_, err := s.Load("other")
	require.ErrorIs(t, err, decryptor.ErrRecord)
}

func TestOpenRefusesWhatIsNotAStateOfItsOwn(t *testing.T) {
	for name, row := range map[string]struct {
		spoil func(t *testing.T, dir string)
		key   []byte
		want  error
	}{
		"another key":     {func(*testing.T, string) {}, bytes.Repeat([]byte{8}, KeySize), ErrKey},
		"a short key":     {func(*testing.T, string) {}, testKey[1:], ErrKey},
		"readable by all": {func(t *testing.T, dir string) { require.NoError(t, os.Chmod(dir, 0o755)) }, testKey, ErrOpen},
		"gone":            {func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir)) }, testKey, ErrMissing},
		"not whole":       {func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, checkName))) }, testKey, ErrMissing},
		"without records": {func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, recordsDir))) }, testKey, ErrMissing},
		"damaged": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, checkName), []byte("x"), 0o600))
		}, testKey, ErrKey},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			require.NoError(t, Create(dir, testKey))
			row.spoil(t, dir)
			_, err := Open(dir, row.key)
			require.ErrorIs(t, err, row.want)
			if row.want == ErrMissing {
				_, err = os.Stat(filepath.Join(dir, checkName))
				if name != "without records" {
					require.ErrorIs(t, err, os.ErrNotExist, "it is not made anew")
				}
			}
		})
	}
}

func TestAStateIsMadeOnceAndHeldByOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	require.NoError(t, Create(dir, testKey))
	require.ErrorIs(t, Create(dir, testKey), ErrExists)
	s, err := Open(dir, testKey)
	require.NoError(t, err)
	_, err = Open(dir, testKey)
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorIs(t, Create(dir, testKey), ErrInUse)
	require.NoError(t, s.Close())
	opened(t, system{}, dir)
	require.ErrorIs(t, Create(filepath.Join(t.TempDir(), "no", "state"), testKey), ErrOpen)
	require.ErrorIs(t, Create(filepath.Join(t.TempDir(), "state"), nil), ErrKey)
}

func TestNamesAndSizesOutsideTheirFormAreRefused(t *testing.T) {
	s := made(t, system{}, filepath.Join(t.TempDir(), "state"))
	for _, name := range []string{"", ".", "..", "../check", "a/b", "Job", "job.tmp~", "@other"} {
		require.ErrorIs(t, s.Save(name, []byte("x")), ErrName, name)
		_, err := s.Load(name)
		require.ErrorIs(t, err, ErrName, name)
	}
	require.ErrorIs(t, s.Save("job", make([]byte, maxRecord)), ErrSize)
	require.ErrorIs(t, s.Save("job", nil), ErrSize)
}

func TestTheKeyIsThatOfTheSigningKey(t *testing.T) {
	sign := ed25519.NewKeyFromSeed(make([]byte, 32))
	a, err := Key(sign)
	require.NoError(t, err)
	require.Len(t, a, KeySize)
	require.NotEqual(t, sign.Seed(), a)
	other := sign.Seed()
	other[0]++
	b, err := Key(ed25519.NewKeyFromSeed(other))
	require.NoError(t, err)
	require.NotEqual(t, a, b)
}

func FuzzOpenBox(f *testing.F) {
	b, err := newBox(testKey)
	require.NoError(f, err)
	f.Add(b.seal("job", []byte("record")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if content, ok := b.open("job", data); ok {
			require.Equal(t, len(data), len(content)+boxExtra)
		}
	})
}
