package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/ledger"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/coordinator/store/file"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg"
)

// childTask is the environment variable that makes the test binary a coordinator of its
// own: "DIR N before|after" says in which directory it works, and that it dies before
// or after its append number N is durable; N is 0 for one that lives.
const childTask = "CHOIR_LEDGER_TEST_TASK"

func TestMain(m *testing.M) {
	if task := os.Getenv(childTask); task != "" {
		if err := coordinate(strings.Fields(task)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// mortal is a log whose process is killed at an append.
type mortal struct {
	store.Journal
	at    int
	after bool
}

func (m *mortal) Append(segment string, records ...[]byte) error {
	m.at--
	if m.at == 0 && !m.after {
		die()
	}
	err := m.Journal.Append(segment, records...)
	if m.at == 0 {
		die()
	}
	return err
}

// die is SIGKILL: nothing runs after it.
func die() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {}
}

const lastRound = 4

func killed(round int) secagg.RoundID {
	return secagg.RoundID{Job: "a", Round: uint32(round), Attempt: 1}
}

// coordinate runs all rounds that are not over, and says on standard output what it
// releases, at that moment.
func coordinate(task []string) error {
	at, err := strconv.Atoi(task[1])
	if err != nil {
		return err
	}
	s, err := file.Open(task[0], 0)
	if err != nil {
		return err
	}
	b, err := ledger.Open(&mortal{s.Journal, at, task[2] == "after"}, segment, budget)
	if err != nil {
		return err
	}
	var t testing.T
	reserved, actual := noise(&t, 3), noise(&t, 4)
	for round := 1; round <= lastRound; round++ {
		id := killed(round)
		err := b.Reserve(id, secagg.Hash("plan"), reserved)
		switch {
		case errors.Is(err, ledger.ErrConflict): // over
			continue
		case err != nil:
			return err
		case round == 3:
			err = b.Void(id)
		default:
			fmt.Println("release", round)
			err = b.Commit(id, actual, bytesOf(id))
		}
		if err != nil {
			return err
		}
	}
	return s.Close()
}

// inChild runs coordinate in a process of its own and returns the rounds that it released.
func inChild(t *testing.T, dir string, at int, variant string) (released map[secagg.RoundID]ledger.Charge, died bool) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %s", childTask, dir, at, variant))
	var out, errOut bytes.Buffer
	child.Stdout, child.Stderr = &out, &errOut
	err := child.Run()
	require.Empty(t, errOut.String())
	released = map[secagg.RoundID]ledger.Charge{}
	for line := range strings.Lines(out.String()) {
		var round int
		_, err := fmt.Sscanf(line, "release %d", &round)
		require.NoError(t, err)
		released[killed(round)] = noise(t, 4)
	}
	return released, err != nil
}

func TestSIGKILLAtEachWriteLeavesALedgerThatChargesAllReleases(t *testing.T) {
	const writes = 1 + 2*lastRound
	for at := 1; at <= writes; at++ {
		for _, variant := range []string{"before", "after"} {
			t.Run(fmt.Sprintf("%s write %d", variant, at), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				released, died := inChild(t, dir, at, variant)
				require.True(t, died)

				s, err := file.Open(dir, 0)
				require.NoError(t, err)
				if at > 1 {
					_, err = ledger.Load(s.Journal, segment)
					require.NoError(t, err)
				}
				b, err := ledger.Open(s.Journal, segment, budget)
				require.NoError(t, err)
				requireCharged(t, b, released)
				require.NoError(t, s.Close())

				again, died := inChild(t, dir, 0, "before")
				require.False(t, died)
				for id, c := range again {
					released[id] = c
				}
				s, err = file.Open(dir, 0)
				require.NoError(t, err)
				b, err = ledger.Load(s.Journal, segment)
				require.NoError(t, err)
				requireCharged(t, b, released)
				require.Len(t, released, lastRound-1)
				require.Len(t, b.Entries(), lastRound)
				for _, e := range b.Entries() {
					require.NotEqual(t, ledger.Reserved, e.State, "all rounds are over")
				}
				spent, ok := b.Spent(dp.ObserverReleases)
				require.True(t, ok)
				require.Positive(t, spent)
				require.NoError(t, s.Close())
			})
		}
	}
}
