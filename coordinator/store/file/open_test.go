package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/coordinator/store/storetest"
	"github.com/stretchr/testify/require"
)

// directory is a storetest.Disk on the real file system.
type directory struct {
	dir  string
	max  int64
	open *store.Store
}

func (d *directory) Open() (s *store.Store, err error) {
	s, err = Open(d.dir, d.max)
	if err == nil {
		d.open = s
	}
	return s, err
}

// Crash closes the store: the most that can be taken from a directory without the power switch.
func (d *directory) Crash() { _ = d.open.Close() }

// machine is a storetest.Disk whose Crash is a power cut.
type machine struct {
	*crashFS
	max int64
}

func (m machine) Open() (*store.Store, error) { return open(m.crashFS, crashDir, m.max) }
func (m machine) Crash()                      { m.restart(lose) }

func TestStoreKeepsTheContractsOnDisk(t *testing.T) {
	storetest.Run(t, func(t *testing.T, max int64) storetest.Disk {
		return &directory{dir: filepath.Join(t.TempDir(), "store"), max: max}
	})
}

func TestStoreKeepsTheContractsThroughPowerCuts(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, max int64) storetest.Disk { return machine{newCrashFS(), max} })
}

// fill brings an open store to a state that requireFilled knows again, with work in progress besides.
func fill(t *testing.T, s *store.Store) {
	require.NoError(t, s.Journal.Append("a", []byte("1")))
	require.NoError(t, s.Journal.Append("a", []byte("2")))
	require.NoError(t, s.Journal.Append("B/c", []byte("3")))
	require.NoError(t, s.Head.Swap(0, []byte("head")))
	_, err := store.WriteBlob(s.Blobs, []byte("blob"))
	require.NoError(t, err)
	require.NoError(t, s.Spool.Begin("u", 8))
	require.NoError(t, s.Spool.Append("u", 0, []byte("abcd")))
	require.NoError(t, s.Spool.Sync("u"))
	require.NoError(t, s.Spool.Append("u", 4, []byte("ef")))
	w, err := s.Blobs.Create()
	require.NoError(t, err)
	_, err = w.Write([]byte("never committed"))
	require.NoError(t, err)
}

func requireFilled(t *testing.T, s *store.Store) {
	t.Helper()
	var all []string
	names, err := s.Journal.Segments()
	require.NoError(t, err)
	for _, name := range names {
		require.NoError(t, s.Journal.Read(name, func(r []byte) error { all = append(all, name+string(r)); return nil }))
	}
	require.Equal(t, []string{"B/c3", "a1", "a2"}, all)
	value, revision, err := s.Head.Load()
	require.NoError(t, err)
	require.Equal(t, "head 1", fmt.Sprintf("%s %d", value, revision))
	digests, err := s.Blobs.List()
	require.NoError(t, err)
	require.Len(t, digests, 1)
	require.NoError(t, store.Verify(s.Blobs, digests[0]))
	parts, err := s.Spool.List()
	require.NoError(t, err)
	require.Len(t, parts, 1)
	require.Contains(t, []int64{4, 6}, parts[0].Offset)
}

func TestFaultsDuringOpenLoseNothing(t *testing.T) {
	prepare := map[string]func(t *testing.T, c *crashFS){
		"new": func(*testing.T, *crashFS) {},
		"filled": func(t *testing.T, c *crashFS) {
			fill(t, openCrash(t, c))
			c.restart(kill)
			torn := c.now["/s/journal/a.log"]
			torn.data, torn.dirty = append(torn.data, 1, 2, 3), append(torn.dirty, true, true, true)
		},
	}
	for name, prepare := range prepare {
		t.Run(name, func(t *testing.T) {
			c := newCrashFS()
			prepare(t, c)
			c.arm(-1, failed)
			openCrash(t, c)
			calls := c.calls()
			for at, call := range calls {
				for _, mode := range []faultMode{failed, persisted, short} {
					for _, how := range []restart{kill, lose, keep} {
						c := newCrashFS()
						prepare(t, c)
						c.arm(at, mode)
						_, err := open(c, crashDir, 1000)
						if err != nil { // a fault that concerns one segment or part shows only when that is used
							require.ErrorIs(t, err, errFault, call)
						}
						c.restart(how)
						s := openCrash(t, c)
						if name == "new" {
							fill(t, s)
							c.restart(lose)
							s = openCrash(t, c)
						}
						requireFilled(t, s)
					}
				}
			}
		})
	}
}

func TestPartThatCanNeitherBeFlushedNorRemovedIsPoisonedUntilDeleted(t *testing.T) {
	c := newCrashFS()
	s := openCrash(t, c)
	require.NoError(t, s.Spool.Begin("u", 1000))
	broken := &brokenFS{crashFS: c}
	s.Spool.(*spool).fsys = broken
	broken.on = true
	require.ErrorIs(t, s.Spool.Sync("u"), store.ErrPoisoned)
	_, err := s.Spool.Offset("u")
	require.ErrorIs(t, err, store.ErrPoisoned)
	_, err = s.Spool.Open("u")
	require.ErrorIs(t, err, store.ErrPoisoned)
	require.ErrorIs(t, s.Spool.Append("u", 0, []byte("x")), store.ErrPoisoned)
	require.ErrorIs(t, s.Spool.Begin("u", 1000), store.ErrPoisoned)
	require.ErrorIs(t, s.Spool.Begin("v", 1), store.ErrFull, "its reservation stays")
	require.ErrorIs(t, s.Spool.Delete("u"), store.ErrPoisoned)
	broken.on = false
	require.NoError(t, s.Spool.Delete("u"))
	require.NoError(t, s.Spool.Begin("v", 1000))
}

// brokenFS fails to flush and to remove while it is on.
type brokenFS struct {
	*crashFS
	on bool
}

func (b *brokenFS) OpenFile(name string, flag int) (handle, error) {
	h, err := b.crashFS.OpenFile(name, flag)
	return brokenFile{h, b}, err
}

func (b *brokenFS) Remove(name string) error {
	if b.on {
		return errFault
	}
	return b.crashFS.Remove(name)
}

type brokenFile struct {
	handle
	fs *brokenFS
}

func (f brokenFile) Sync() error {
	if f.fs.on {
		return errFault
	}
	return f.handle.Sync()
}

func TestFilesAndDirectoriesAreForTheirOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s, err := Open(dir, 1000)
	require.NoError(t, err)
	fill(t, s)
	var files []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		require.NoError(t, err)
		if e.IsDir() {
			require.Equal(t, fs.FileMode(0o700), info.Mode().Perm(), path)
			return nil
		}
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), path)
		rel, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		files = append(files, rel)
		return nil
	}))
	require.Equal(t, []string{
		"blobs/2.tmp", "blobs/fa2c8cc4f28176bbeed4b736df569a34c79cd3723e9ec42f9674b4d46ac6b8b8",
		"format", "head", "journal/=b+c.log", "journal/a.log", "lock", "spool/u.part",
	}, files)

	require.NoError(t, s.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "head.tmp"), []byte("unfinished"), 0o600))
	s, err = Open(dir, 1000)
	require.NoError(t, err)
	requireFilled(t, s)
	for _, unfinished := range []string{"blobs/2.tmp", "head.tmp"} {
		_, err = os.Stat(filepath.Join(dir, unfinished))
		require.ErrorIs(t, err, fs.ErrNotExist, "unfinished files go when the store is opened")
	}
	require.NoError(t, s.Close())
}

func TestOpenRefuses(t *testing.T) {
	write := func(name, content string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
		}
	}
	flip := func(name string, at int) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			p, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			p[(at+len(p))%len(p)] ^= 1
			write(name, string(p))(t, dir)
		}
	}
	for name, test := range map[string]struct {
		damage func(t *testing.T, dir string)
		want   error
		says   string
	}{
		"a later format":              {write("format", "choir.store/2\n"), store.ErrVersion, "choir.store/1"},
		"a long format":               {write("format", strings.Repeat("x", 1<<20)), store.ErrVersion, "format"},
		"an empty format":             {write("format", ""), store.ErrVersion, "format"},
		"a head of another kind":      {flip("head", 0), store.ErrCorrupt, "head"},
		"a head of another version":   {flip("head", 8), store.ErrVersion, "head"},
		"a head of another revision":  {flip("head", 9), store.ErrCorrupt, "head"},
		"a head with a changed value": {flip("head", headerSize), store.ErrCorrupt, "head"},
		"a head with a changed sum":   {flip("head", -1), store.ErrCorrupt, "head"},
		"an empty head":               {write("head", ""), store.ErrCorrupt, "head"},
		"a head cut short":            {write("head", string(encodeHead(1, nil)[:headerSize+3])), store.ErrCorrupt, "head"},
		"a huge head":                 {write("head", strings.Repeat("x", store.MaxHead+100)), store.ErrCorrupt, "head"},
		"a head of a terabyte":        {func(t *testing.T, dir string) { require.NoError(t, os.Truncate(filepath.Join(dir, "head"), 1<<40)) }, store.ErrCorrupt, "head"},
		"a stranger in journal":       {write("journal/notes.txt", "x"), store.ErrCorrupt, "notes.txt"},
		"a stranger's segment":        {write("journal/A.log", "x"), store.ErrCorrupt, "A.log"},
		"a stranger in blobs":         {write("blobs/ABCD", "x"), store.ErrCorrupt, "ABCD"},
		"a blob in capitals":          {write("blobs/"+strings.Repeat("AB", 32), ""), store.ErrCorrupt, "ABAB"},
		"a stranger in spool":         {write("spool/core", "x"), store.ErrCorrupt, "core"},
		"a stranger's part":           {write("spool/..part", "x"), store.ErrCorrupt, "..part"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := Open(dir, 1000)
			require.NoError(t, err)
			fill(t, s)
			require.NoError(t, s.Close())
			test.damage(t, dir)
			for range 2 { // the second time shows that the lock was released
				_, err = Open(dir, 1000)
				require.ErrorIs(t, err, test.want)
				require.ErrorContains(t, err, dir)
				require.ErrorContains(t, err, test.says)
			}
		})
	}
	t.Run("a directory without a parent", func(t *testing.T) {
		_, err := Open(filepath.Join(t.TempDir(), "no", "store"), 1000)
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
	t.Run("a negative bound", func(t *testing.T) {
		_, err := Open(t.TempDir(), -1)
		require.ErrorIs(t, err, store.ErrSize)
	})
}

func TestDamagedPartIsListedAndOnlyDeleted(t *testing.T) {
	for name, damage := range map[string]func(*inode){
		"header changed": func(n *inode) { n.data[10] ^= 1 },
		"header cut":     func(n *inode) { n.data = n.data[:headerSize-1] },
		"too long":       func(n *inode) { n.data = append(n.data, 1, 2, 3) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrashFS()
			fill(t, openCrash(t, c))
			c.restart(keep)
			damage(c.now["/s/spool/u.part"])
			s := openCrash(t, c)
			parts, err := s.Spool.List()
			require.NoError(t, err)
			require.Equal(t, []store.Part{{ID: "u"}}, parts)
			_, err = s.Spool.Offset("u")
			require.ErrorIs(t, err, store.ErrCorrupt)
			require.ErrorIs(t, s.Spool.Begin("u", 8), store.ErrCorrupt)
			require.NoError(t, s.Spool.Delete("u"))
			require.NoError(t, s.Spool.Begin("u", 8))
		})
	}
}

func TestVerifyAndReadBlobNoticeChangedBytes(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, 0)
	require.NoError(t, err)
	digest, err := store.WriteBlob(s.Blobs, []byte("blob"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "blobs", digest.String()), []byte("blot"), 0o600))
	require.ErrorIs(t, store.Verify(s.Blobs, digest), store.ErrCorrupt)
	_, err = store.ReadBlob(s.Blobs, digest, 10)
	require.ErrorIs(t, err, store.ErrCorrupt)
	require.NoError(t, errors.Join(s.Blobs.Delete(digest), s.Close()))
}

func TestBlobIsGivenUpWhenAWriteFails(t *testing.T) {
	c := newCrashFS()
	s := openCrash(t, c)
	w, err := s.Blobs.Create()
	require.NoError(t, err)
	c.arm(0, short)
	_, err = w.Write([]byte("blob"))
	require.ErrorIs(t, err, errFault)
	_, _, err = w.Commit()
	require.ErrorIs(t, err, store.ErrClosed)
	digests, err := s.Blobs.List()
	require.NoError(t, err)
	require.Empty(t, digests)
	require.Nil(t, c.now["/s/blobs/1.tmp"], "its room is free at once")
}
