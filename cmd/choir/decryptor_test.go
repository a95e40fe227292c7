package main

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/decryptor/filestate"
	"github.com/choir-fl/choir/secagg"
)

// write writes a file that only its owner can read.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// call runs a command line in a directory, in this process.
func call(t *testing.T, dir string, args ...string) outcome {
	t.Helper()
	t.Chdir(dir)
	var out, errOut bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(""), &out, &errOut)
	return outcome{code, out.String(), errOut.String()}
}

// join makes a committee member with files of its own beside the committee file.
func join(t *testing.T, dir, name string, more ...string) outcome {
	t.Helper()
	return call(t, dir, append([]string{"decryptor", "init", "--name", name, "--key", name + ".key", "--state", name, "--passphrase-file", "passphrase"}, more...)...)
}

func TestMembersMakeACommittee(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "passphrase", "correct horse\n")
	names := []string{"north", "city", "south", "lake"}
	for i, name := range names {
		args := []string{}
		if i == 0 {
			args = []string{"--committee-name", "hospitals"}
		}
		made := join(t, dir, name, args...)
		require.Zero(t, made.code, made.errOut)
		show := call(t, dir, "decryptor", "show", "committee.yaml")
		require.Contains(t, show.out, "committee hospitals")
		require.Contains(t, show.out, name)
		if i < 3 {
			require.Equal(t, exitUsage, show.code)
			require.NotContains(t, show.out, "root", "there is nothing to pin yet")
			require.Len(t, show.errorLines(), 1)
			require.Contains(t, show.errOut, "not 4 to 16")
			continue
		}
		require.Zero(t, show.code, show.errOut)
		c, err := LoadCommittee(filepath.Join(dir, "committee.yaml"))
		require.NoError(t, err)
		require.Equal(t, []int{4, 1, 3}, []int{c.Len(), c.Corrupt(), c.Quorum()})
		require.Contains(t, show.out, "root "+c.Root().String())
		require.Contains(t, show.out, "corrupt 1:")
		require.Contains(t, show.out, "quorum 3:")
	}
	c, err := LoadCommittee(filepath.Join(dir, "committee.yaml"))
	require.NoError(t, err)
	key, err := readKey(filepath.Join(dir, "city.key"), "correct horse")
	require.NoError(t, err)
	require.Equal(t, ed25519.PublicKey(bytes.Clone(keyOf(c, "city"))), key.Public())
	stateKey, err := filestate.Key(key)
	require.NoError(t, err)
	state, err := filestate.Open(filepath.Join(dir, "city"), stateKey)
	require.NoError(t, err)
	require.NoError(t, state.Close())

	before := files(t, dir)
	text, err := os.ReadFile(filepath.Join(dir, "committee.yaml"))
	require.NoError(t, err)
	for name, row := range map[string]struct {
		args []string
		says string
	}{
		"the same name again": {[]string{"--name", "city", "--key", "new.key", "--state", "new"}, `has a member "city"`},
		"a key that is there": {[]string{"--name", "hill", "--key", "city.key", "--state", "new"}, "city.key"},
		"a state that is":     {[]string{"--name", "hill", "--key", "new.key", "--state", "city"}, "there already"},
		"another committee":   {[]string{"--name", "hill", "--key", "new.key", "--state", "new", "--committee-name", "schools"}, "of committee hospitals"},
		"no file, no name":    {[]string{"--name", "hill", "--key", "new.key", "--state", "new", "--committee", "other.yaml"}, "--committee-name"},
		"a name without form": {[]string{"--name", "The Hill", "--key", "new.key", "--state", "new"}, "The Hill"},
		"no passphrase":       {[]string{"--name", "hill", "--key", "new.key", "--state", "new", "--passphrase-file", "none"}, "passphrase"},
		"nobody to ask":       {[]string{"--name", "hill", "--key", "new.key", "--state", "new", "--passphrase-file", ""}, "CHOIR_PASSPHRASE_FILE"},
		"no directory":        {[]string{"--name", "hill", "--key", "no/new.key", "--state", "new"}, "no/new.key"},
		"no room for a state": {[]string{"--name", "hill", "--key", "new.key", "--state", "no/new"}, "no/new"},
	} {
		t.Run(name, func(t *testing.T) {
			got := call(t, dir, append([]string{"decryptor", "init", "--passphrase-file", "passphrase"}, row.args...)...)
			require.NotZero(t, got.code)
			require.Len(t, got.errorLines(), 1, got.errOut)
			require.Contains(t, got.errOut, row.says)
			require.Empty(t, got.out)
			require.Equal(t, before, files(t, dir), "nothing is left")
			after, err := os.ReadFile(filepath.Join(dir, "committee.yaml"))
			require.NoError(t, err)
			require.Equal(t, text, after)
		})
	}
}

func keyOf(c secagg.Committee, id secagg.PartyID) []byte {
	k := c.At(c.Index(id)).Key
	return k[:]
}

// testMembers is a committee file of four whose keys are known.
func testMembers() committeeFile {
	f := committeeFile{Schema: committeeSchema, Name: "hospitals"}
	for i, name := range []secagg.PartyID{"city", "lake", "north", "south"} {
		f.Members = append(f.Members, encodeMember(secagg.Join(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, 32)), f.Name, name)))
	}
	return f
}

func TestCommitteeFilesThatAreNoCommitteeAreRefused(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*committeeFile)
		says   string
	}{
		"another schema":        {func(f *committeeFile) { f.Schema = "choir.committee/2" }, "choir.committee/1"},
		"no name":               {func(f *committeeFile) { f.Name = "" }, "name"},
		"another name":          {func(f *committeeFile) { f.Name = "schools" }, "city"},
		"another member's name": {func(f *committeeFile) { f.Members[1].ID = "pond" }, "pond"},
		"another's key":         {func(f *committeeFile) { f.Members[1].Key = f.Members[2].Key }, "lake"},
		"a member twice":        {func(f *committeeFile) { f.Members = append(f.Members, f.Members[0]) }, "twice"},
		"a key twice": {func(f *committeeFile) {
			f.Members = append(f.Members, encodeMember(secagg.Join(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)), f.Name, "hill")))
		}, "twice"},
		"a short signature":  {func(f *committeeFile) { f.Members[1].Signature = "AAAA" }, "64 bytes"},
		"a key in hex":       {func(f *committeeFile) { f.Members[1].Key = strings.Repeat("0z", 32) }, "base64"},
		"too few":            {func(f *committeeFile) { f.Members = f.Members[:3] }, "not 4 to 16"},
		"too many corrupt":   {func(f *committeeFile) { f.Corrupt = 2 }, "not 1 to 1"},
		"a negative corrupt": {func(f *committeeFile) { f.Corrupt = -1 }, "negative"},
		"too many": {func(f *committeeFile) {
			for len(f.Members) <= secagg.MaxCommittee {
				f.Members = append(f.Members, f.Members[0])
			}
		}, "at most 16"},
	} {
		t.Run(name, func(t *testing.T) {
			f := testMembers()
			row.change(&f)
			path := filepath.Join(t.TempDir(), "committee.yaml")
			require.NoError(t, f.write(path))
			_, err := LoadCommittee(path)
			require.ErrorIs(t, err, errConfig)
			require.Contains(t, err.Error(), row.says)
		})
	}
	path := filepath.Join(t.TempDir(), "committee.yaml")
	require.NoError(t, testMembers().write(path))
	c, err := LoadCommittee(path)
	require.NoError(t, err)
	require.EqualValues(t, "city", c.At(0).ID)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(b, "extra: 1\n"...), 0o600))
	_, err = LoadCommittee(path)
	require.ErrorIs(t, err, errConfig)
}

// Who joins a committee relies on the entries that are in its file already.
func TestForgedEntriesAreFoundBeforeTheCommitteeIsComplete(t *testing.T) {
	dir := t.TempDir()
	f := testMembers()
	f.Members = f.Members[:2]
	require.NoError(t, f.write(filepath.Join(dir, "committee.yaml")))
	_, members, err := readCommitteeFile(filepath.Join(dir, "committee.yaml"))
	require.NoError(t, err)
	require.Len(t, members, 2)
	f.Members[1].Signature = f.Members[0].Signature
	require.NoError(t, f.write(filepath.Join(dir, "committee.yaml")))
	write(t, dir, "passphrase", "correct horse\n")
	got := join(t, dir, "hill")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.errOut, "lake")
	require.Equal(t, []string{"committee.yaml", "passphrase"}, files(t, dir))
}

func TestKeyFilesOpenWithTheirPassphraseOnly(t *testing.T) {
	dir := t.TempDir()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, 32))
	path := filepath.Join(dir, "key")
	require.NoError(t, writeKey(path, key, "correct horse"))
	got, err := readKey(path, "correct horse")
	require.NoError(t, err)
	require.Equal(t, key, got)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	require.ErrorIs(t, writeKey(path, key, "correct horse"), errKeyFile, "a file that is there stays")
	sealed, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(sealed), pemKey)

	refused := func(path, passphrase, says string) {
		t.Helper()
		_, err := readKey(path, passphrase)
		require.ErrorIs(t, err, errKeyFile)
		require.Contains(t, err.Error(), says)
		require.NotContains(t, err.Error(), "horse")
	}
	refused(path, "wrong horse", "passphrase")
	refused(filepath.Join(dir, "none"), "correct horse", "no such file")
	for _, n := range []int{0, 30, len(sealed) - 1} {
		refused(write(t, dir, "cut", string(sealed[:n])), "correct horse", "cut")
	}
	refused(write(t, dir, "long", strings.Repeat("x", maxKeyFile+1)), "correct horse", "longer")
	for _, mode := range []os.FileMode{0o644, 0o640, 0o604} {
		require.NoError(t, os.Chmod(path, mode))
		refused(path, "correct horse", "chmod 600")
	}
	require.NoError(t, os.Chmod(path, 0o600))
	refused(dir, "correct horse", "mode")
}

func TestPassphrasesComeFromAPrivateFile(t *testing.T) {
	dir := t.TempDir()
	good := write(t, dir, "good", "correct horse\r\n")
	read := func(file string) (string, error) {
		return passphraseSource{file: file, in: strings.NewReader("typed"), out: &bytes.Buffer{}}.read(false)
	}
	got, err := read(good)
	require.NoError(t, err)
	require.Equal(t, "correct horse", got)
	t.Setenv("CHOIR_PASSPHRASE_FILE", good)
	got, err = read("")
	require.NoError(t, err)
	require.Equal(t, "correct horse", got)
	t.Setenv("CHOIR_PASSPHRASE_FILE", "")
	_, err = read("")
	require.ErrorIs(t, err, errPassphrase, "what is no terminal is not asked")
	for name, text := range map[string]string{"empty": "\n", "two lines": "one\ntwo\n", "long": strings.Repeat("x", maxKeyFile+1)} {
		_, err = read(write(t, dir, name, text))
		require.ErrorIs(t, err, errPassphrase, name)
	}
	require.NoError(t, os.Chmod(good, 0o644))
	_, err = read(good)
	require.ErrorIs(t, err, errPassphrase)
	require.Contains(t, err.Error(), "chmod 600")
}

func TestDecryptorConfigurationsAreChecked(t *testing.T) {
	good := "address: a:1\nconsent: {jobs: [job]}\n"
	for text, says := range map[string]string{
		"consent: {jobs: [job]}\n": "address",
		"address: a:1\n":           "consent.jobs",
		good + "epoch: 59m\n":      "epoch",
		good + "unknown: 1\n":      "unknown",
		"address: a:1\nconsent: {jobs: [job], minimum: -1}\n":      "consent.minimum",
		"address: a:1\nconsent: {jobs: [job], bucket_minimum: -1}": "consent.bucket_minimum",
		"address: a:1\nconsent: {jobs: [job], schemes: [plain]}\n": "plain",
	} {
		dir := t.TempDir()
		got := call(t, dir, "decryptor", "-c", write(t, dir, "decryptor.yaml", text))
		require.Equal(t, exitUsage, got.code, text)
		require.Len(t, got.errorLines(), 1)
		require.Contains(t, got.errOut, says)
		require.Equal(t, []string{"decryptor.yaml"}, files(t, dir))
	}
	got := call(t, t.TempDir(), "decryptor")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.errOut, "-c is missing")
}
