package processes

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A configuration that cannot be used is refused in one line that says where, with
// the exit code of a wrong usage, before anything was made.
func TestBadConfigurationIsRefusedBeforeAnythingIsMade(t *testing.T) {
	w := newWorld(t)
	ok, err := os.ReadFile(w.enrol("ok"))
	require.NoError(t, err)
	operator, err := os.ReadFile(w.path("data", "operators", "operator.pem"))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		command, text string
		says          []string
	}{
		"unknown key":        {"coordinator", "listen: 127.0.0.1:0\ndata_dir: data\nports: 3\n", []string{"[3:1]", "ports"}},
		"unknown limit":      {"coordinator", "data_dir: data\nlimits:\n  streems: 3\n", []string{"[3:3]", "streems"}},
		"not a number":       {"coordinator", "data_dir: data\nworkers: many\n", []string{"[2:10]"}},
		"not a size":         {"coordinator", "data_dir: data\nspool: 3 furlongs\n", []string{"3 furlongs", "GiB"}},
		"size too large":     {"coordinator", "data_dir: data\nspool: 9999999999TiB\n", []string{"9999999999TiB"}},
		"not a duration":     {"coordinator", "data_dir: data\nlimits: {idle: 3 apples}\n", []string{"[2:16]"}},
		"negative limit":     {"coordinator", "listen: 127.0.0.1:0\ndata_dir: data\nlimits: {uploads: -1}\n", []string{"limits.uploads"}},
		"not an address":     {"coordinator", "data_dir: data\nlisten: here\n", []string{"listen", "here"}},
		"not YAML":           {"coordinator", "data_dir: [data\n", []string{"[1:"}},
		"two documents":      {"coordinator", "data_dir: data\n---\nworkers: 1\n", []string{"more than one document"}},
		"no directory":       {"coordinator", "listen: 127.0.0.1:0\n", []string{"data_dir is missing"}},
		"operator's name":    {"coordinator", "data_dir: data\noperator: ../x\n", []string{"../x"}},
		"host":               {"coordinator", "listen: 127.0.0.1:0\ndata_dir: data\nhosts: [a b]\n", []string{`"a b"`}},
		"half an authority":  {"coordinator", "data_dir: data\nauthority: {key: a.pem}\n", []string{"authority", "certificate"}},
		"absent authority":   {"coordinator", "data_dir: data\nauthority: {certificate: a.pem, key: a.pem}\n", []string{"a.pem"}},
		"log level":          {"coordinator", "data_dir: data\nlog: {level: loud}\n", []string{"loud", "known: debug"}},
		"client without":     {"client", "state: data\n", []string{"address"}},
		"client key":         {"client", "address: a:1\nstate: data\nconsent:\n  minimun: 3\n", []string{"[4:3]", "minimun"}},
		"no trainer":         {"client", "address: a:1\nstate: data\n", []string{"trainer", "data"}},
		"two trainers":       {"client", "address: a:1\nstate: data\ntrainer: a\ndata: {of: 1}\n", []string{"one of them"}},
		"unknown scheme":     {"client", "address: a:1\nstate: data\ntrainer: a\nconsent: {schemes: [none]}\n", []string{"consent.schemes", "none"}},
		"no state":           {"client", "address: a:1\ntrainer: a\n", []string{"state"}},
		"negative minimum":   {"client", "address: a:1\nstate: data\ntrainer: a\nconsent: {minimum: -1}\n", []string{"consent.minimum"}},
		"clip norm":          {"client", "address: a:1\nstate: data\ntrainer: a\nconsent: {max_clip_norm: .nan}\n", []string{"consent.max_clip_norm"}},
		"job":                {"client", "address: a:1\nstate: data\ntrainer: a\njob: No Name\n", []string{"job", "No Name"}},
		"negative lifetime":  {"client", "address: a:1\nstate: data\ntrainer: a\nconsent: {lifetime: -1}\n", []string{"consent.lifetime"}},
		"no such part":       {"client", "address: a:1\nstate: data\ncredentials: ok.pem\ndata: {index: 3, of: 3}\n", []string{"index"}},
		"no such data":       {"client", "address: a:1\nstate: data\ncredentials: ok.pem\ndata: {dir: nowhere, of: 3}\n", []string{"nowhere"}},
		"unknown partition":  {"client", "address: a:1\nstate: data\ncredentials: ok.pem\ndata: {partition: fair, of: 3}\n", []string{"fair"}},
		"unclosed quote":     {"client", "address: a:1\nstate: data\ncredentials: ok.pem\ntrainer: \"a 'b\"\n", []string{"quote"}},
		"operator as client": {"client", "address: a:1\nstate: data\ncredentials: operator.pem\ntrainer: a\n", []string{"operator's credentials"}},
		"not an endpoint":    {"client", "address: a\nstate: data\ncredentials: ok.pem\ntrainer: a\n", []string{`address "a"`}},
		"bad credentials":    {"client", "address: a:1\nstate: data\ncredentials: bad.pem\ntrainer: a\n", []string{"bad.pem"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range map[string][]byte{"config.yaml": []byte(c.text), "ok.pem": ok, "operator.pem": operator, "bad.pem": []byte("nonsense\n")} {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), text, 0o600))
			}
			_, errOut, code := runChoir(t, "", "", c.command, "-c", filepath.Join(dir, "config.yaml"))
			require.Equal(t, 2, code, errOut)
			requireOneLine(t, errOut, c.says...)
			requireNoFile(t, filepath.Join(dir, "data"))
		})
	}
}

func TestPortInUseIsSaidBeforeAnythingIsMade(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	require.NoError(t, os.WriteFile(config, []byte("data_dir: data\nlisten: "+listener.Addr().String()+"\n"), 0o600))
	_, errOut, code := runChoir(t, "", "", "coordinator", "-c", config)
	require.Equal(t, 1, code)
	requireOneLine(t, errOut, listener.Addr().String(), "in use")
	requireNoFile(t, filepath.Join(dir, "data"))
}

func TestClientWithoutCredentialsIsToldToEnrol(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	require.NoError(t, os.WriteFile(config, []byte("address: a:1\nstate: data\ntrainer: a\n"), 0o600))
	_, errOut, code := runChoir(t, "", "", "client", "-c", config)
	require.Equal(t, 1, code)
	requireOneLine(t, errOut, "choir.pem", "choir enroll")
	requireNoFile(t, filepath.Join(dir, "data"))
}
