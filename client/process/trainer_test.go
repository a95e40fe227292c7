package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// TestMain makes the test binary its own trainer program.
func TestMain(m *testing.M) {
	if behaviour := os.Getenv("CHOIR_TEST_TRAINER"); behaviour != "" {
		os.Exit(program0(behaviour))
	}
	os.Exit(m.Run())
}

// program0 is a trainer program that adds one to every value, except for one
// peculiar behaviour.
func program0(behaviour string) int {
	say := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	if behaviour == "child" { // calls the test, and lives
		if _, err := net.Dial("tcp", os.Getenv("CHOIR_TEST_CALL")); err != nil {
			return 6
		}
		select {}
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var r request
		if err := json.Unmarshal(in.Bytes(), &r); err != nil || r.Version != Version {
			return 9
		}
		fmt.Fprintf(os.Stderr, "%s\n", r.Command)
		on, what, _ := strings.Cut(behaviour, ":")
		if r.Command == on {
			switch what {
			case "exit":
				return 3
			case "hang":
				select {}
			case "child": // hangs, and leaves a child that holds the pipes
				c := exec.Command(os.Args[0])
				c.Env = append(os.Environ(), "CHOIR_TEST_TRAINER=child")
				c.Stdout, c.Stderr = os.Stdout, os.Stderr
				if c.Start() != nil {
					return 8
				}
				select {}
			case "fail":
				say(`{"version":1,"id":%d,"error":"no data today"}`, r.ID)
				continue
			case "long":
				say("%s", strings.Repeat("x", maxLine))
			case "nothing":
				say(`{"version":1,"id":%d,"examples":3}`, r.ID)
				continue
			default:
				say("%s", strings.ReplaceAll(what, "ID", fmt.Sprint(r.ID)))
				continue
			}
		}
		switch r.Command {
		case "hello":
			say(`{"version":1,"id":%d,"evaluates":%v}`, r.ID, behaviour != "no-evaluation")
		case "train":
			if err := addOne(r.Model, r.Output, behaviour); err != nil {
				return 7
			}
			say(`{"version":1,"id":%d,"examples":%d}`, r.ID, 10+r.Task.Epochs)
		case "evaluate":
			say(`{"version":1,"id":%d,"examples":4,"accuracy":0.75,"loss":0.5}`, r.ID)
		case "bye":
			fmt.Fprintln(os.Stderr, "ends well")
			return 0
		}
	}
	return 0
}

func addOne(from, to, behaviour string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	m, err := tensor.ReadSafetensors(f, 1<<20)
	if err != nil {
		return err
	}
	specs := m.Schema().Specs()
	for i := range m.Values() {
		m.Values()[i]++
	}
	b := &bytes.Buffer{}
	switch behaviour {
	case "reordered", "renamed", "reshaped", "more":
		w, _ := m.Tensor(specs[0].Name)
		v, _ := m.Tensor(specs[1].Name)
		switch behaviour {
		case "renamed":
			specs[0].Name = "other"
		case "reshaped":
			specs[0].Shape = []int{len(w)}
		case "more":
			specs = append(specs, tensor.Spec{Name: "more", Shape: []int{1}})
		}
		specs[0], specs[1] = specs[1], specs[0]
		s, err := tensor.NewSchema(specs)
		if err != nil {
			return err
		}
		values := append(append([]float32{}, v...), w...)
		m, err = tensor.NewModel(s, append(values, make([]float32, s.Total()-len(values))...))
		if err != nil {
			return err
		}
	}
	if err := tensor.WriteSafetensors(b, m); err != nil {
		return err
	}
	switch file := b.Bytes(); behaviour {
	case "infinite":
		copy(file[len(file)-4:], []byte{0, 0, 0x80, 0x7f})
	case "cut":
		b.Truncate(b.Len() - 1)
	case "garbage":
		clear(file)
	case "directory":
		return os.Mkdir(to, 0o700)
	}
	return os.WriteFile(to, b.Bytes(), 0o600)
}

// lines collects standard error and tells of each line.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	seen chan string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range strings.Split(strings.TrimSpace(string(p)), "\n") {
		select {
		case l.seen <- line:
		default:
		}
	}
	return l.text.Write(p)
}

// await returns once a line was written.
func (l *lines) await(line string) {
	for seen := range l.seen {
		if seen == line {
			return
		}
	}
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newTrainer(t *testing.T, behaviour string) (*Trainer, *lines) {
	t.Setenv("CHOIR_TEST_TRAINER", behaviour)
	l := &lines{seen: make(chan string, 100)}
	tr, err := New(Config{Command: []string{os.Args[0]}, TempDir: t.TempDir(), Stderr: l})
	require.NoError(t, err)
	t.Cleanup(func() { _ = tr.Close(t.Context()) })
	return tr, l
}

// model has two tensors that no library would write in this order.
func model(t *testing.T) tensor.Model {
	s, err := tensor.NewSchema([]tensor.Spec{{Name: "w", Shape: []int{2, 3}}, {Name: "b", Shape: []int{3}}})
	require.NoError(t, err)
	m := tensor.Zero(s)
	for i := range m.Values() {
		m.Values()[i] = float32(i)
	}
	return m
}

func job() secagg.Task {
	return secagg.Task{Round: secagg.RoundID{Job: "job", Round: 2, Attempt: 1}, Terms: secagg.Terms{Training: secagg.Training{Epochs: 5, LearningRate: 0.1}}}
}

func TestAProgramTrainsAndEvaluates(t *testing.T) {
	for _, behaviour := range []string{"plain", "reordered"} {
		tr, stderr := newTrainer(t, behaviour)
		for range 2 {
			e, err := tr.Evaluate(t.Context(), model(t), job())
			require.NoError(t, err)
			require.Equal(t, client.Evaluation{Examples: 4, Accuracy: 0.75, Loss: 0.5}, e)
			u, err := tr.Train(t.Context(), model(t), job())
			require.NoError(t, err)
			require.Equal(t, 15, u.Examples)
			require.True(t, u.Model.Schema().Equal(model(t).Schema()))
			for i, v := range u.Model.Values() {
				require.Equal(t, float32(i)+1, v)
			}
		}
		require.NoError(t, tr.Close(t.Context()))
		require.Equal(t, "hello\nevaluate\ntrain\nevaluate\ntrain\nbye\nends well\n", stderr.String(), "one program for all requests")
		left, err := os.ReadDir(tr.config.TempDir)
		require.NoError(t, err)
		require.Empty(t, left)
		_, err = tr.Train(t.Context(), model(t), job())
		require.ErrorIs(t, err, ErrClosed)
	}
}

func TestAProgramThatDoesNotEvaluateIsNotAsked(t *testing.T) {
	tr, stderr := newTrainer(t, "no-evaluation")
	e, err := tr.Evaluate(t.Context(), model(t), job())
	require.NoError(t, err)
	require.Equal(t, client.Evaluation{}, e)
	require.NotContains(t, stderr.String(), "evaluate")
}

func TestWorkerMomentumIsRefusedBeforeAProgramIsAsked(t *testing.T) {
	tr, stderr := newTrainer(t, "plain")
	asked := job()
	asked.Terms.Training.WorkerMomentum = 0.9
	_, err := tr.Train(t.Context(), model(t), asked)
	require.ErrorIs(t, err, ErrMomentum)
	require.Empty(t, stderr.String())
}

func TestWhatAProgramDoesWrongIsSaid(t *testing.T) {
	for behaviour, row := range map[string]struct {
		want error
		text string
	}{
		"hello:exit":         {ErrEnded, "exit status 3"},
		"train:exit":         {ErrEnded, "exit status 3"},
		"train:fail":         {ErrProgram, "no data today"},
		"train:long":         {ErrProtocol, "more than 65536 bytes"},
		"train:nothing":      {ErrModel, "no such file"},
		"train:epoch 1 of 5": {ErrProtocol, "epoch 1 of 5"},
		"train:":             {ErrProtocol, ""},
		"train:{}":           {ErrProtocol, "version 0"},
		`train:{"version":2,"id":ID,"examples":3}`:                {ErrProtocol, "version 2"},
		`train:{"version":1,"id":99,"examples":3}`:                {ErrProtocol, "request 99"},
		`train:{"version":1,"id":ID,"examples":3,"loss_curve":1}`: {ErrProtocol, "loss_curve"},
		`train:{"version":1,"id":ID,"examples":3} {}`:             {ErrProtocol, "more than one"},
		`train:{"version":1,"id":ID}`:                             {ErrProtocol, "examples"},
		`train:{"version":1,"id":ID,"examples":-1}`:               {ErrProtocol, "examples"},
		`train:{"version":1,"id":ID,"examples":1.5}`:              {ErrProtocol, "examples"},
		`train:{"version":1,"id":ID,"examples":3000000000}`:       {ErrProtocol, "examples"},
		"renamed":   {ErrModel, `tensor "w" is missing`},
		"reshaped":  {ErrModel, "shape [6] instead of [2 3]"},
		"more":      {ErrModel, `"more" is not in the model`},
		"infinite":  {ErrModel, "not finite"},
		"cut":       {ErrModel, "truncated"},
		"garbage":   {ErrModel, ""},
		"directory": {ErrModel, "is not a file"},
	} {
		t.Run(behaviour, func(t *testing.T) {
			tr, _ := newTrainer(t, behaviour)
			_, err := tr.Train(t.Context(), model(t), job())
			require.ErrorIs(t, err, row.want)
			require.ErrorContains(t, err, row.text)
			require.NotContains(t, err.Error(), "\n")
			_, err = tr.Train(t.Context(), model(t), job())
			require.ErrorIs(t, err, row.want, "and again, by a new program if that one ended")
		})
	}
	for name, answer := range map[string]string{
		"no examples":          `{"version":1,"id":ID,"accuracy":1,"loss":1}`,
		"no accuracy":          `{"version":1,"id":ID,"examples":1,"loss":1}`,
		"an accuracy above 1":  `{"version":1,"id":ID,"examples":1,"accuracy":1.01,"loss":1}`,
		"no loss":              `{"version":1,"id":ID,"examples":1,"accuracy":1}`,
		"a loss below zero":    `{"version":1,"id":ID,"examples":1,"accuracy":1,"loss":-1}`,
		"a loss that is a NaN": `{"version":1,"id":ID,"examples":1,"accuracy":1,"loss":NaN}`,
	} {
		t.Run("evaluation with "+name, func(t *testing.T) {
			tr, _ := newTrainer(t, "evaluate:"+answer)
			_, err := tr.Evaluate(t.Context(), model(t), job())
			require.ErrorIs(t, err, ErrProtocol)
		})
	}
}

func TestAProgramIsKilledWhenItsContextEnds(t *testing.T) {
	for _, on := range []string{"hello", "train"} {
		tr, stderr := newTrainer(t, on+":hang")
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			stderr.await(on)
			stop()
		}()
		_, err := tr.Train(ctx, model(t), job())
		require.ErrorIs(t, err, context.Canceled)
		left, err := os.ReadDir(tr.config.TempDir)
		require.NoError(t, err)
		require.Empty(t, left, "no model is left behind")
	}
}

func TestWhatAProgramStartedIsKilledWithIt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	t.Setenv("CHOIR_TEST_CALL", l.Addr().String())
	tr, _ := newTrainer(t, "train:child")
	ctx, stop := context.WithCancel(t.Context())
	called := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		called <- c
		stop()
	}()
	_, err = tr.Train(ctx, model(t), job())
	require.ErrorIs(t, err, context.Canceled)
	_, err = (<-called).Read(make([]byte, 1))
	require.Error(t, err, "the child's connection ended with it")
}

func TestAProgramThatBrokeTheProtocolIsNotListenedToAnyMore(t *testing.T) {
	tr, _ := newTrainer(t, "train:epoch 1 of 5")
	_, err := tr.Train(t.Context(), model(t), job())
	require.ErrorIs(t, err, ErrProtocol)
	require.True(t, tr.run.ended)
}

func TestCloseKillsAProgramThatDoesNotLeave(t *testing.T) {
	tr, stderr := newTrainer(t, "bye:hang")
	_, err := tr.Train(t.Context(), model(t), job())
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		stderr.await("bye")
		stop()
	}()
	_ = tr.Close(ctx)
	require.True(t, tr.run.ended)
}

func TestACommandThatCannotBeStartedIsRefused(t *testing.T) {
	for _, c := range []Config{{}, {Command: []string{""}}} {
		_, err := New(c)
		require.ErrorIs(t, err, ErrCommand)
	}
	for _, c := range []Config{{Command: []string{filepath.Join(t.TempDir(), "nothing")}}, {Command: []string{os.Args[0]}, WorkDir: filepath.Join(t.TempDir(), "nowhere")}} {
		tr, err := New(c)
		require.NoError(t, err)
		_, err = tr.Train(t.Context(), model(t), job())
		require.ErrorIs(t, err, ErrCommand)
	}
}

func TestWords(t *testing.T) {
	for command, want := range map[string][]string{
		"python3 train.py":           {"python3", "train.py"},
		"  a\t b\n":                  {"a", "b"},
		`a "b c" 'd "e"' f'g h'i ""`: {"a", "b c", `d "e"`, "fg hi", ""},
		`C:\x\y $HOME *`:             {`C:\x\y`, "$HOME", "*"},
	} {
		got, err := Words(command)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, command := range []string{"", "  ", `a "b`, "'"} {
		_, err := Words(command)
		require.ErrorIs(t, err, ErrCommand)
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte(`{"version":1,"id":7,"examples":3}`))
	f.Add([]byte(`{"version":1,"id":7,"examples":3,"accuracy":0.5,"loss":1e300}`))
	f.Add([]byte(`{"version":1,"id":7,"error":"x"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, line []byte) {
		a, err := parseAnswer(line, 7)
		if err != nil {
			require.True(t, errors.Is(err, ErrProtocol) || errors.Is(err, ErrProgram))
			require.NotContains(t, err.Error(), "\n")
			return
		}
		b, err := json.Marshal(a)
		require.NoError(t, err)
		again, err := parseAnswer(b, 7)
		require.NoError(t, err)
		require.Equal(t, a, again)
		if e, err := a.evaluation(); err == nil {
			require.True(t, e.Examples >= 0 && e.Accuracy >= 0 && e.Accuracy <= 1 && e.Loss >= 0 && !math.IsInf(e.Loss, 0))
		}
	})
}
