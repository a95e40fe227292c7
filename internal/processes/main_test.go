package processes

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	clientsFlag  = flag.Int("processes.clients", 16, "number of clients that take part in whole runs, at least 16")
	valuesFlag   = flag.Int("processes.values", 400_000, "number of coordinates of their model")
	exchangeFlag = flag.Duration("processes.exchange", 4*time.Second, "deadline of a message phase")
	uploadFlag   = flag.Duration("processes.upload", 8*time.Second, "deadline of the upload phase")
)

// Built once for all tests.
var (
	choir string // the real binary
	crowd string // this test binary, built plainly: see roles
)

// roleVariable names, in the environment, what this binary is started as.
const roleVariable = "CHOIR_PROCESSES_ROLE"

// roles are what this binary can be beside a test: clients, and a trainer program.
var roles = map[string]func() error{"devices": runDevices, "trainer": runTrainer}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := roles[role](); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	code, err := build(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(code)
}

// build makes the binaries and runs what needs them.
func build(run func() int) (code int, err error) {
	dir, err := os.MkdirTemp("", "choir-processes-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	choir, crowd = filepath.Join(dir, "choir"), filepath.Join(dir, "crowd")
	for _, args := range [][]string{{"build", "-o", choir, "../../cmd/choir"}, {"test", "-c", "-o", crowd, "."}} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return 1, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return run(), nil
}

// watchSources looks at each Go file of the module, so that the go command does
// not serve an old result of a test from its cache after the binaries changed: it
// sees what a test reads, not what the compiler that it started reads.
func watchSources(t testing.TB) {
	t.Helper()
	root := filepath.Join("..", "..")
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") || d.Name() == "go.mod" {
			_, err = os.Stat(path)
		}
		return err
	}))
}
