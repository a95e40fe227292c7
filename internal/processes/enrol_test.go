package processes

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client/grpctransport"
)

// requireOneLine demands that a message is one line that says something.
func requireOneLine(t *testing.T, text string, says ...string) {
	t.Helper()
	require.Equal(t, 1, strings.Count(text, "\n"), text)
	require.True(t, strings.HasPrefix(text, "choir: "), text)
	for _, s := range says {
		require.Contains(t, text, s)
	}
}

// requireNoFile demands that no file has a name like that.
func requireNoFile(t *testing.T, pattern string) {
	t.Helper()
	found, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestUsedTokenEnrolsNobodyElseAndLeavesNothing(t *testing.T) {
	w := newWorld(t)
	token := w.do("token")
	enroll := func(name string) (string, int) {
		_, errOut, code := w.run("enroll", "--address", w.address, "--token", token, "--name", name, "--file", w.path(name+".pem"))
		return errOut, code
	}
	errOut, code := enroll("ward-1")
	require.Zero(t, code, errOut)
	errOut, code = enroll("ward-2")
	require.Equal(t, 1, code)
	requireOneLine(t, errOut, "token was used before", "choir token")
	requireNoFile(t, w.path("ward-2.pem*"))

	before, err := os.ReadFile(w.path("ward-1.pem"))
	require.NoError(t, err)
	errOut, code = enroll("ward-1")
	require.Equal(t, 1, code)
	requireOneLine(t, errOut, "holds credentials already")
	after, err := os.ReadFile(w.path("ward-1.pem"))
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// A token on a command line can be seen by every user of a machine.
func TestTokenIsReadFromStandardInputOrTheEnvironment(t *testing.T) {
	w := newWorld(t)
	for name, how := range map[string]func(cmd *exec.Cmd, token string){
		"ward-1": func(cmd *exec.Cmd, token string) {
			cmd.Args = append(cmd.Args, "--token", "-")
			cmd.Stdin = strings.NewReader(token + "\n")
		},
		"ward-2": func(cmd *exec.Cmd, token string) { cmd.Env = append(os.Environ(), "CHOIR_TOKEN="+token) },
	} {
		cmd := exec.CommandContext(t.Context(), choir, "enroll", "--address", w.address, "--file", w.path(name+".pem"))
		how(cmd, w.do("token", "--client", name))
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "enrolled as "+name)
	}
}

func TestTokenThatIsNoneIsAUsageError(t *testing.T) {
	w := newWorld(t)
	_, errOut, code := w.run("enroll", "--address", w.address, "--token", "choir1-nonsense", "--file", w.path("a.pem"))
	require.Equal(t, 2, code)
	requireOneLine(t, errOut, "not an enrolment token")
	requireNoFile(t, w.path("a.pem*"))
}

func TestCoordinatorUnderAnotherAuthorityIsNotTalkedTo(t *testing.T) {
	right, wrong := newWorld(t), newWorld(t)

	// A device that enrols: the token holds the authority's fingerprint.
	_, errOut, code := wrong.run("enroll", "--address", wrong.address, "--token", right.do("token"), "--name", "a", "--file", wrong.path("a.pem"))
	require.Equal(t, 1, code)
	requireOneLine(t, errOut, "not the one that made the token")
	requireNoFile(t, wrong.path("a.pem*"))

	// An operator: its file holds the authority.
	_, errOut, code = runChoir(t, wrong.address, right.path("data", "operators", "operator.pem"), "run", "list")
	require.Equal(t, 1, code)
	requireOneLine(t, errOut, "unknown authority")

	// A client that is enrolled goes on trying: somebody may be in between.
	d := right.device(0, 1)
	d.Address = wrong.address
	p := right.launch(d)
	p.await("unknown authority")
	p.kill()
	require.NotContains(t, wrong.coordinator.output(), "client-00")
}

func TestEnrolmentGoesOnWithItsKeyOnceTheCoordinatorIsThere(t *testing.T) {
	w := newWorld(t)
	token := w.do("token", "--client", "ward-1")
	w.coordinator.signal(syscall.SIGTERM)
	require.Zero(t, w.coordinator.wait())
	args := []string{"enroll", "--address", w.address, "--token", token, "--file", w.path("ward-1.pem"), "--timeout", "1s"}
	_, errOut, code := w.run(args...)
	require.Equal(t, 1, code)
	requireOneLine(t, errOut, "cannot be reached", "connection refused")
	requireNoFile(t, w.path("ward-1.pem"))
	key, err := os.ReadFile(w.path("ward-1.pem.enrolling"))
	require.NoError(t, err)

	w.serve()
	args[len(args)-1] = "1m"
	w.do(args...)
	requireNoFile(t, w.path("ward-1.pem.enrolling"))
	c, err := grpctransport.Load(w.path("ward-1.pem"))
	require.NoError(t, err)
	require.Equal(t, "ward-1", c.Name())
	whole, err := os.ReadFile(w.path("ward-1.pem"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(whole), string(key)), "the same key")
}

func TestRevokedClientIsTurnedAwayAndEnrolsAnew(t *testing.T) {
	w := newWorld(t)
	d := w.device(0, 1)
	w.do("revoke", "--client", "client-00", "--reason", "stolen")
	p := w.launch(d)
	require.Equal(t, 1, p.wait(), "trying again is useless")
	require.Contains(t, p.output(), "was revoked")
	require.NoError(t, os.Remove(d.Credentials))
	w.enrol("client-00")
}

func TestGivenAuthorityIsUsedAndAnotherRefused(t *testing.T) {
	w := newWorld(t)
	authority := w.path("data", "authority", "authority.pem")
	given := "listen: 127.0.0.1:0\ndata_dir: second\nlog: {format: json}\nauthority: {certificate: " + authority + ", key: " + authority + "}\n"
	second := w.start("second", "", choir, "coordinator", "-c", w.file("second.yaml", given))
	second.await(`"msg":"operator enrolled"`)
	second.signal(syscall.SIGTERM)
	require.Zero(t, second.wait())
	mine, err := grpctransport.Load(w.path("data", "operators", "operator.pem"))
	require.NoError(t, err)
	theirs, err := grpctransport.Load(w.path("second", "operators", "operator.pem"))
	require.NoError(t, err)
	require.True(t, mine.Authority.Equal(theirs.Authority))
	requireNoFile(t, w.path("second", "authority"))

	_, errOut, code := w.run("coordinator", "-c", w.file("third.yaml", "listen: 127.0.0.1:0\ndata_dir: second\n"))
	require.Equal(t, 1, code)
	requireOneLine(t, errOut, "belongs to another enrolment authority")
}
