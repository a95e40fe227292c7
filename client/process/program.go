package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// program is a running trainer program. One goroutine at a time uses it.
type program struct {
	cmd       *exec.Cmd
	in        io.WriteCloser
	out       io.ReadCloser
	lines     *bufio.Reader
	dir       string // private, for model files
	evaluates bool
	latest    uint64 // request
	ended     bool

	mu   sync.Mutex
	dead bool // killed; its number may soon belong to another
}

// drain bounds the wait for standard error of a program that has ended, which
// its own children may hold open.
const drain = 2 * time.Second

// start runs the program and greets it.
func start(ctx context.Context, c Config) (*program, error) {
	p := &program{cmd: exec.Command(c.Command[0], c.Command[1:]...)}
	p.cmd.Dir, p.cmd.Stderr, p.cmd.WaitDelay = c.WorkDir, c.Stderr, drain
	group(p.cmd)
	var err error
	if p.dir, err = os.MkdirTemp(c.TempDir, "choir-trainer-"); err != nil {
		return nil, err
	}
	if p.in, err = p.cmd.StdinPipe(); err == nil {
		p.out, err = p.cmd.StdoutPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(ErrCommand.At("%q", c.Command[0]).Because(err), os.RemoveAll(p.dir))
	}
	p.lines = bufio.NewReaderSize(p.out, maxLine)
	a, err := p.ask(ctx, request{Command: "hello"})
	if err != nil {
		_ = p.end()
		return nil, err
	}
	p.evaluates = a.Evaluates
	return p, nil
}

func (p *program) file(name string) string { return filepath.Join(p.dir, name) }

// ask sends a request and waits for its answer. If ctx ends first the program is
// killed. After an error other than ErrProgram the program has ended.
func (p *program) ask(ctx context.Context, r request) (answer, error) {
	p.latest++
	r.Version, r.ID = Version, p.latest
	line, err := json.Marshal(r)
	if err != nil {
		return answer{}, err
	}
	stop := context.AfterFunc(ctx, p.kill)
	line, err = p.exchange(append(line, '\n'))
	if !stop() { // ctx has ended, or has just before the answer came: the program is lost
		_ = p.end()
		return answer{}, ctx.Err()
	}
	if err != nil {
		return answer{}, p.failed(err)
	}
	a, err := parseAnswer(line, r.ID)
	if errors.Is(err, ErrProtocol) {
		_ = p.end() // what else it may say belongs to nothing
	}
	return a, err
}

func (p *program) exchange(line []byte) ([]byte, error) {
	if _, err := p.in.Write(line); err != nil {
		return nil, err
	}
	return p.lines.ReadSlice('\n')
}

// failed ends the program after its pipes failed, and says how it ended.
func (p *program) failed(err error) error {
	status := p.end()
	if errors.Is(err, bufio.ErrBufferFull) {
		return ErrProtocol.At("an answer of more than %d bytes", maxLine)
	}
	if status != nil {
		err = status
	}
	return ErrEnded.Because(err)
}

// kill ends the program and what it started, once. It may be called from any
// goroutine; what waits for the program's pipes goes on.
func (p *program) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dead {
		p.dead = true
		_ = killGroup(p.cmd.Process) // it may have ended
		_ = p.in.Close()
		_ = p.out.Close()
	}
}

// end kills the program if it still runs, and removes its files. It returns how
// it ended; a program that was killed did not end well.
func (p *program) end() error {
	if p.ended {
		return nil
	}
	p.ended = true
	p.kill()
	status := p.cmd.Wait()
	return errors.Join(status, os.RemoveAll(p.dir))
}

// leave tells the program to end, and waits for it until ctx ends.
func (p *program) leave(ctx context.Context) error {
	stop := context.AfterFunc(ctx, p.kill)
	defer stop()
	p.latest++
	line, err := json.Marshal(request{Version: Version, ID: p.latest, Command: "bye"})
	if err == nil {
		_, err = p.in.Write(append(line, '\n'))
	}
	err = errors.Join(err, p.in.Close())
	_, _ = io.Copy(io.Discard, p.out) // until it closes its end
	_ = p.end()
	return err
}
