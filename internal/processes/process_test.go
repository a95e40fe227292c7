package processes

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for a line or for the end of a process, and how
// long what must not happen may take in a plan. It only ends tests that fail.
const patience = 2 * time.Minute

// board holds what all processes of a test have printed, in order of arrival.
type board struct {
	t        testing.TB
	patience time.Duration

	mu      sync.Mutex // owns the fields below
	lines   []line
	changed chan struct{} // closed at the next change
}

type line struct {
	from *process
	text string
}

func newBoard(t testing.TB) *board {
	b := &board{t: t, patience: patience, changed: make(chan struct{})}
	t.Cleanup(func() {
		if t.Failed() {
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, l := range b.lines[max(0, len(b.lines)-400):] {
				t.Log(l.from.name+":", l.text)
			}
		}
	})
	return b
}

// change applies do and wakes everybody who waits.
func (b *board) change(do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	do()
	close(b.changed)
	b.changed = make(chan struct{})
}

// await waits until look finds something; what says what it waits for.
func await[T any](b *board, what string, look func(lines []line) (T, bool)) T {
	b.t.Helper()
	late := time.After(b.patience)
	for {
		found, ok, changed := func() (T, bool, chan struct{}) {
			b.mu.Lock()
			defer b.mu.Unlock()
			found, ok := look(b.lines)
			return found, ok, b.changed
		}()
		if ok {
			return found
		}
		select {
		case <-changed:
		case <-late:
			require.FailNow(b.t, "waited in vain for "+what)
		}
	}
}

// any waits for a line of any process.
func (b *board) any(text string) line {
	b.t.Helper()
	return await(b, text, func(lines []line) (line, bool) {
		i := slices.IndexFunc(lines, func(l line) bool { return strings.Contains(l.text, text) })
		if i < 0 {
			return line{}, false
		}
		return lines[i], true
	})
}

// process is one that a test has started.
type process struct {
	name  string
	board *board
	cmd   *exec.Cmd
	in    io.WriteCloser
	ended bool // the board's lock owns it
	code  int  // once it has ended; -1 after a signal
}

// start starts a program; role makes it this test binary in a role of its own.
func (b *board) start(name, role, program string, args ...string) *process {
	b.t.Helper()
	p := &process{name: name, board: b, cmd: exec.Command(program, args...)}
	p.cmd.Env = append(os.Environ(), "GOMEMLIMIT=off", "GOGC=100", roleVariable+"="+role)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a signal to the test is not one to it
	out, w, err := os.Pipe()
	require.NoError(b.t, err)
	p.cmd.Stdout, p.cmd.Stderr = w, w
	p.in, err = p.cmd.StdinPipe()
	require.NoError(b.t, err)
	require.NoError(b.t, p.cmd.Start())
	require.NoError(b.t, w.Close())
	go p.collect(out)
	b.t.Cleanup(func() { p.signal(syscall.SIGKILL); p.wait() })
	return p
}

// collect reads what the process prints, until it has ended.
func (p *process) collect(out *os.File) {
	defer out.Close()
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		text := scanner.Text()
		p.board.change(func() { p.board.lines = append(p.board.lines, line{p, text}) })
	}
	_ = p.cmd.Wait() // the exit code says it
	p.board.change(func() { p.ended, p.code = true, p.cmd.ProcessState.ExitCode() })
}

// await waits for a line of this process and returns it.
func (p *process) await(text string) string {
	p.board.t.Helper()
	return await(p.board, p.name+": "+text, func(lines []line) (string, bool) {
		for _, l := range lines {
			if l.from == p && strings.Contains(l.text, text) {
				return l.text, true
			}
		}
		require.False(p.board.t, p.ended, "%s ended with code %d before it said %q", p.name, p.code, text)
		return "", false
	})
}

// output returns everything that the process has printed.
func (p *process) output() string {
	p.board.mu.Lock()
	defer p.board.mu.Unlock()
	var text []string
	for _, l := range p.board.lines {
		if l.from == p {
			text = append(text, l.text)
		}
	}
	return strings.Join(text, "\n")
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) } // it may be gone

// wait waits for the end of the process and returns its exit code.
func (p *process) wait() int {
	p.board.t.Helper()
	return await(p.board, "the end of "+p.name, func([]line) (int, bool) { return p.code, p.ended })
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	p.board.t.Helper()
	p.signal(syscall.SIGKILL)
	require.Equal(p.board.t, -1, p.wait(), "%s was to be killed and had ended by itself:\n%s", p.name, p.output())
}

// freeze stops a process where it is, until thaw: nothing of it moves when this returns.
func (p *process) freeze() {
	p.board.t.Helper()
	p.signal(syscall.SIGSTOP)
	var status syscall.WaitStatus
	_, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WUNTRACED, nil)
	require.NoError(p.board.t, err)
	require.True(p.board.t, status.Stopped(), "%s was to be frozen and had ended", p.name)
}

func (p *process) thaw() { p.signal(syscall.SIGCONT) }

// say writes a line to the process's standard input.
func (p *process) say(text string) {
	p.board.t.Helper()
	_, err := io.WriteString(p.in, text+"\n")
	require.NoError(p.board.t, err)
}
