package filestate

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/secagg"
)

var (
	roundA = secagg.RoundID{Job: "a.job", Round: 1, Attempt: 1}
	roundB = secagg.RoundID{Job: "a.job", Round: 12, Attempt: 3}
)

func mustOpen(t *testing.T, dir string, key []byte) *State {
	s, err := Open(dir, key)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// seal writes a ciphertext.
func seal(s *State, id secagg.RoundID, content string) error {
	w, err := s.Create(id)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, content)
	return errors.Join(err, w.Close())
}

// noisy is a task of an attempt with noise.
func noisy(id secagg.RoundID) secagg.Task {
	return secagg.Task{Round: id, Terms: secagg.Terms{Job: id.Job, Noise: secagg.Noise{Sigma: 1}}}
}

// charge counts an attempt, as a client does before it uploads.
func charge(s *State, id secagg.RoundID) error {
	a, err := s.Account()
	if err != nil {
		return err
	}
	if a, err = a.Charge(noisy(id), client.Cost{}); err != nil {
		return err
	}
	return s.Keep(a)
}

// see remembers a ledger head, as a client does before it joins.
func see(s *State, count uint64) error {
	a, err := s.Account()
	if err != nil {
		return err
	}
	task := noisy(roundA)
	task.Ledger = secagg.LedgerHead{Count: count, Digest: secagg.Hash("head")}
	if a, err = a.See(task); err != nil {
		return err
	}
	return s.Keep(a)
}

func sealedText(t *testing.T, s *State, id secagg.RoundID) string {
	r, size, err := s.Open(id)
	require.NoError(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, size, int64(len(b)))
	return string(b)
}

func TestWhatWasPutIsThereAfterARestart(t *testing.T) {
	for name, key := range map[string][]byte{"a key of the app": bytes.Repeat([]byte{7}, KeySize), "a key file": nil} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			s := mustOpen(t, dir, key)
			require.NoError(t, s.Put(roundA, []byte("first")))
			require.NoError(t, s.Put(roundA, []byte("second")))
			require.NoError(t, s.Put(roundB, []byte("other")))
			require.NoError(t, seal(s, roundB, "ciphertext"))
			require.NoError(t, charge(s, roundA))
			require.NoError(t, charge(s, roundB))
			require.NoError(t, charge(s, roundB))
			require.NoError(t, see(s, 7))
			require.NoError(t, s.Close())

			s = mustOpen(t, dir, key)
			all, err := s.All()
			require.NoError(t, err)
			require.Equal(t, map[secagg.RoundID][]byte{roundA: []byte("second"), roundB: []byte("other")}, all)
			require.Equal(t, "ciphertext", sealedText(t, s, roundB))
			a, err := s.Account()
			require.NoError(t, err)
			require.Equal(t, 2, a.Attempts(), "the same attempt counts once")
			require.ErrorIs(t, see(s, 6), client.ErrRolledBack)

			require.NoError(t, s.Put(roundB, nil))
			require.NoError(t, s.Put(roundB, nil), "erasing again")
			require.NoError(t, s.Remove(roundB))
			require.NoError(t, s.Remove(roundB), "removing again")
			_, _, err = s.Open(roundB)
			require.ErrorIs(t, err, client.ErrSealed)
		})
	}
}

func TestNothingOfARecordIsInClearAndNobodyElseCanRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := mustOpen(t, dir, nil)
	secret := make([]byte, 200)
	_, _ = rand.Read(secret)
	require.NoError(t, s.Put(roundA, secret))
	require.NoError(t, seal(s, roundA, "ciphertext"))
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
			require.False(t, bytes.Contains(b, secret[:16]), path)
		}
		return nil
	}))
	require.Equal(t, 5, files, "lock, key, tally, record, ciphertext")
}

func TestADamagedOrMisplacedRecordIsATombstone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := mustOpen(t, dir, nil)
	file := func(id secagg.RoundID) string {
		name, err := nameOf(id)
		require.NoError(t, err)
		return filepath.Join(dir, recordsDir, name)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"a bit":     func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"cut":       func(b []byte) []byte { return b[:boxExtra-1] },
		"empty":     func([]byte) []byte { return nil },
		"a version": func(b []byte) []byte { b[0]++; return b },
		"too long":  func([]byte) []byte { return make([]byte, maxRecord+1) },
	} {
		require.NoError(t, s.Put(roundA, []byte("record")))
		b, err := os.ReadFile(file(roundA))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file(roundA), damage(b), 0o600))
		all, err := s.All()
		require.NoError(t, err)
		require.Equal(t, map[secagg.RoundID][]byte{roundA: {}}, all, name)
	}
	require.NoError(t, s.Put(roundA, []byte("record")))
	require.NoError(t, os.Rename(file(roundA), file(roundB)))
	all, err := s.All()
	require.NoError(t, err)
	require.Equal(t, map[secagg.RoundID][]byte{roundB: {}}, all, "a record of another attempt")
}

func TestOpenRefusesWhatIsNotAStateOfItsOwn(t *testing.T) {
	key := bytes.Repeat([]byte{7}, KeySize)
	for name, row := range map[string]struct {
		spoil func(t *testing.T, dir string)
		key   []byte
		want  error
	}{
		"another key":       {func(*testing.T, string) {}, bytes.Repeat([]byte{8}, KeySize), ErrKey},
		"a short key":       {func(*testing.T, string) {}, key[1:], ErrKey},
		"no key":            {func(*testing.T, string) {}, nil, ErrKey},
		"readable by all":   {func(t *testing.T, dir string) { require.NoError(t, os.Chmod(dir, 0o755)) }, key, ErrOpen},
		"a missing tally":   {func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, tallyName))) }, key, ErrOpen},
		"a damaged tally":   {func(t *testing.T, dir string) { write(t, filepath.Join(dir, tallyName)) }, key, ErrKey},
		"a file of another": {func(t *testing.T, dir string) { write(t, filepath.Join(dir, recordsDir, "notes.txt")) }, key, ErrOpen},
		"and a ciphertext":  {func(t *testing.T, dir string) { write(t, filepath.Join(dir, sealedDir, "notes.txt")) }, key, ErrOpen},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			require.NoError(t, mustOpen(t, dir, key).Close())
			row.spoil(t, dir)
			_, err := Open(dir, row.key)
			require.ErrorIs(t, err, row.want)
		})
	}
	t.Run("a missing parent", func(t *testing.T) {
		_, err := Open(filepath.Join(t.TempDir(), "no", "state"), key)
		require.ErrorIs(t, err, ErrOpen)
	})
	t.Run("a key file for all", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state")
		require.NoError(t, mustOpen(t, dir, nil).Close())
		require.NoError(t, os.Chmod(filepath.Join(dir, keyName), 0o644))
		_, err := Open(dir, nil)
		require.ErrorIs(t, err, ErrKey)
	})
	t.Run("a lost key file", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state")
		require.NoError(t, mustOpen(t, dir, nil).Close())
		require.NoError(t, os.Remove(filepath.Join(dir, keyName)))
		_, err := Open(dir, nil)
		require.ErrorIs(t, err, ErrKey)
		require.NoFileExists(t, filepath.Join(dir, keyName))
	})
}

// The tally of the version before held a count of attempts, all of them without noise.
func TestATallyOfTheVersionBeforeIsRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := mustOpen(t, dir, nil)
	var e secagg.Encoder
	e.Uint(1, 1)
	e.Uint(2, 3)
	e.Bytes(3, roundA.Encode())
	require.NoError(t, s.write(".", tallyName, s.box.seal(tallyName, e.Encoded())))
	require.NoError(t, s.Close())
	s = mustOpen(t, dir, nil)
	require.NoError(t, charge(s, roundA), "the latest attempt again")
	a, err := s.Account()
	require.NoError(t, err)
	require.Equal(t, 3, a.Attempts())
	require.Equal(t, math.Inf(1), a.Epsilon(1e-5))
	require.NoError(t, charge(s, roundB))
	a, err = s.Account()
	require.NoError(t, err)
	require.Equal(t, 4, a.Attempts())
}

func write(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, []byte("x"), 0o600)) }

func TestOneClientHoldsTheDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := mustOpen(t, dir, nil)
	_, err := Open(dir, nil)
	require.ErrorIs(t, err, ErrInUse)
	require.NoError(t, s.Close())
	mustOpen(t, dir, nil)
}

func TestLeftoversOfACrashAreRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := mustOpen(t, dir, nil)
	require.NoError(t, s.Put(roundA, []byte("record")))
	require.NoError(t, seal(s, roundA, "kept"))
	require.NoError(t, seal(s, roundB, "without a record"))
	write(t, filepath.Join(dir, recordsDir, "a.job@12@3"+tmp))
	all, err := s.All()
	require.NoError(t, err)
	require.Len(t, all, 1, "a draft is no record")
	require.NoError(t, s.Close())
	s = mustOpen(t, dir, nil)
	require.Equal(t, "kept", sealedText(t, s, roundA))
	_, _, err = s.Open(roundB)
	require.ErrorIs(t, err, client.ErrSealed)
	require.NoFileExists(t, filepath.Join(dir, recordsDir, "a.job@12@3"+tmp))
}

func TestNamesOutsideTheirFormAreRefused(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "state"), nil)
	for _, id := range []secagg.RoundID{
		{}, {Job: "job"}, {Job: "job", Round: 1}, {Job: "job", Attempt: 1}, {Job: "../job", Round: 1, Attempt: 1},
		{Job: "a/b", Round: 1, Attempt: 1}, {Job: "Job", Round: 1, Attempt: 1}, {Job: strings.Repeat("a", 65), Round: 1, Attempt: 1},
	} {
		require.ErrorIs(t, s.Put(id, []byte("x")), ErrName)
		require.ErrorIs(t, s.Remove(id), ErrName)
		_, err := s.Create(id)
		require.ErrorIs(t, err, ErrName)
		_, _, err = s.Open(id)
		require.ErrorIs(t, err, ErrName)
	}
	require.ErrorIs(t, s.Put(roundA, make([]byte, maxRecord)), ErrSize)
}

func FuzzParseName(f *testing.F) {
	for _, name := range []string{"job@1@1", "a.job@12@3", "job@01@1", "job@1@1@1", "job@0@1", "Job@1@1", "", "@@", "job@4294967296@1"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		id, ok := parseName(name)
		if !ok {
			return
		}
		again, err := nameOf(id)
		require.NoError(t, err)
		require.Equal(t, name, again)
		require.False(t, slices.Contains([]string{".", ".."}, name) || strings.ContainsAny(name, "/\\"))
	})
}

func FuzzOpenBox(f *testing.F) {
	b, err := newBox(make([]byte, KeySize))
	require.NoError(f, err)
	f.Add(b.seal(tallyName, client.Account{}.Encode()))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if content, ok := b.open(tallyName, data); ok {
			require.Equal(t, len(data), len(content)+boxExtra)
		}
	})
}
