package processes

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg"
)

// member makes and enrols a committee member, and returns its configuration.
func (w *world) member(name, job string) (config string) {
	w.t.Helper()
	passphrase := w.file("passphrase", "correct horse\n")
	w.do("decryptor", "init", "--name", name, "--committee", w.path("committee.yaml"), "--committee-name", "hospitals",
		"--key", w.path(name+".key"), "--state", w.path(name+".state"), "--passphrase-file", passphrase)
	w.do("enroll", "--address", w.address, "--token", w.do("token", "--decryptor", name), "--file", w.path(name+".pem"))
	return w.file(name+".yaml", fmt.Sprintf("address: %s\ncredentials: %[2]s.pem\nkey: %[2]s.key\nstate: %[2]s.state\npassphrase_file: passphrase\n"+
		"consent: {jobs: [%s], minimum: 4, bucket_minimum: 3, exact: true}\nlog: {level: debug}\n", w.address, name, job))
}

// root is the digest that clients pin of the committee.
func (w *world) root() (root secagg.Digest) {
	w.t.Helper()
	_, text, ok := strings.Cut(w.do("decryptor", "show", w.path("committee.yaml")), "root ")
	require.True(w.t, ok)
	_, err := fmt.Sscanf(text, "%64x", (*rawDigest)(&root))
	require.NoError(w.t, err)
	return root
}

// rawDigest is read from hexadecimal digits.
type rawDigest secagg.Digest

// Scan implements fmt.Scanner.
func (d *rawDigest) Scan(state fmt.ScanState, _ rune) error {
	var b []byte
	_, err := fmt.Fscanf(state, "%x", &b)
	if err == nil && len(b) != len(d) {
		err = fmt.Errorf("%d bytes", len(b))
	}
	copy(d[:], b)
	return err
}

// Four organisations open the sums of a run, each in a process of its own. One is killed
// in mid-round and started again: it goes on with what it promised, and the sums are
// exact. One that is killed and stays away costs an attempt, and not the round.
func TestACommitteeOfProcessesOpensSums(t *testing.T) {
	w := newWorld(t)
	names := []string{"city", "lake", "north", "south"}
	configs := map[string]string{}
	for _, name := range names {
		configs[name] = w.member(name, "job")
	}
	const clients = 5
	var devices []device
	for i := range clients {
		d := w.device(i, clients)
		d.Committees = []secagg.Digest{w.root()}
		devices = append(devices, d)
	}
	before := w.begin(terms{clients: clients, minimum: 4, rounds: 2, values: 20_000, admission: 20 * time.Second, exchange: 8 * time.Second, upload: 20 * time.Second, committee: "committee.yaml"})
	watch := w.watch()
	members := map[string]*process{}
	for _, name := range names[:3] {
		members[name] = w.start(name, "", choir, "decryptor", "-c", configs[name])
	}
	w.launch(devices...)

	members["lake"].await("msg=announced")
	members["lake"].kill()
	members["lake"] = w.start("lake again", "", choir, "decryptor", "-c", configs["lake"])
	members["lake"].await("attempt is resumed")
	members["south"] = w.start("south", "", choir, "decryptor", "-c", configs["south"]) // admission waits for it
	require.True(t, w.ended(watch, 1).Attempt.Released)
	members["north"].await("msg=announced round=job/2/1")
	members["north"].kill()
	// It has announced and does not go on: that costs the attempt, and the next one does
	// without it.
	failed := w.ended(watch, 2)
	require.False(t, failed.Attempt.Released)
	require.Contains(t, failed.Attempt.Reason, "committee member")
	require.Contains(t, watch.await(`"attempt":{"round":2,"attempt":2,`), `"released":true`)

	got := w.export()
	want := before
	for round := uint32(1); round <= 2; round++ {
		want = expected(want, round, clients, []int{0, 1, 2, 3, 4})
	}
	require.Equal(t, want.Digest(), got.Digest())
	for _, name := range []string{"city", "lake", "south"} {
		members[name].signal(syscall.SIGTERM)
		require.Zero(t, members[name].wait())
		require.Contains(t, members[name].output(), "msg=stopped")
	}

	// A second process on one state would be a second answer.
	first := w.start("city again", "", choir, "decryptor", "-c", configs["city"])
	first.await("msg=serving")
	_, errOut, code := w.run("decryptor", "-c", configs["city"])
	require.Equal(t, 1, code)
	requireOneLine(t, errOut, "state directory is in use")
}
