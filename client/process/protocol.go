package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// Version is that of the protocol.
const Version = 1

// Refusals of a trainer program.
var (
	ErrCommand  = fault.New(fault.Usage, "process/command", "trainer command cannot be started", "correct the command; it is run without a shell")
	ErrProtocol = fault.New(fault.Invalid, "process/protocol", "the trainer program broke the protocol", "see docs/TRAINER.md; print messages to standard error, not to standard output")
	ErrEnded    = fault.New(fault.Unavailable, "process/ended", "the trainer program ended", "look at what it wrote to standard error")
	ErrProgram  = fault.New(fault.Internal, "process/program", "the trainer program reports a failure", "look at what it wrote to standard error")
	ErrModel    = fault.New(fault.Invalid, "process/model", "the trainer program's model cannot be used", "write every tensor of the model that was given, with its name and shape, as float32")
	ErrMomentum = fault.New(fault.Refused, "process/worker-momentum", "trainer programs do not know worker_momentum", "train with the built-in trainer, or ask for a plan without training.worker_momentum")
	ErrClosed   = fault.New(fault.Aborted, "process/closed", "the trainer was closed", "")
)

// maxLine is the longest answer in bytes.
const maxLine = 64 << 10

// request is one line to the program. Fields that do not apply are absent.
type request struct {
	Version int    `json:"version"`
	ID      uint64 `json:"id"`
	Command string `json:"command"` // hello, train, evaluate or bye
	// Model is the file to read, Output the one to write.
	Model  string `json:"model,omitempty"`
	Output string `json:"output,omitempty"`
	Task   *task  `json:"task,omitempty"`
}

// task is what a plan asks of training.
type task struct {
	Job          string  `json:"job"`
	Round        uint32  `json:"round"`
	Attempt      uint32  `json:"attempt"`
	Architecture string  `json:"architecture"`
	Epochs       int     `json:"epochs"`
	BatchSize    int     `json:"batch_size"`
	LearningRate float64 `json:"learning_rate"`
	Momentum     float64 `json:"momentum"`
	Prox         float64 `json:"prox"`
}

func newTask(t secagg.Task) *task {
	r := t.Terms.Training
	return &task{Job: t.Round.Job, Round: t.Round.Round, Attempt: t.Round.Attempt, Architecture: r.Architecture, Epochs: r.Epochs,
		BatchSize: r.BatchSize, LearningRate: r.LearningRate, Momentum: r.Momentum, Prox: r.Prox}
}

// answer is one line from the program.
type answer struct {
	Version int    `json:"version"`
	ID      uint64 `json:"id"`
	// Error says that the request failed, and why.
	Error string `json:"error"`
	// Evaluates answers hello: the program knows evaluate.
	Evaluates bool `json:"evaluates"`
	// Examples answers train and evaluate; the others evaluate only.
	Examples *int64   `json:"examples"`
	Accuracy *float64 `json:"accuracy"`
	Loss     *float64 `json:"loss"`
}

// parseAnswer reads a line, which must answer the request of that id.
func parseAnswer(line []byte, id uint64) (answer, error) {
	var a answer
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	err := d.Decode(&a)
	if err == nil {
		if _, rest := d.Token(); !errors.Is(rest, io.EOF) {
			err = errors.New("more than one value on a line")
		}
	}
	switch {
	case err != nil:
		return answer{}, ErrProtocol.At("answer %.80q", line).Because(err)
	case a.Version != Version:
		return answer{}, ErrProtocol.At("version %d where %d is spoken", a.Version, Version)
	case a.ID != id:
		return answer{}, ErrProtocol.At("answer to request %d, expected to %d", a.ID, id)
	case a.Error != "":
		return answer{}, ErrProgram.Because(errors.New(shorten(a.Error)))
	}
	return a, nil
}

func shorten(s string) string {
	if len(s) > 500 {
		return s[:500] + "..."
	}
	return s
}

// examples checks the number of examples.
func (a answer) examples() (int, error) {
	if a.Examples == nil || *a.Examples < 0 || *a.Examples > math.MaxInt32 {
		return 0, ErrProtocol.At("examples is missing or not in 0..%d", math.MaxInt32)
	}
	return int(*a.Examples), nil
}

// evaluation checks what answers evaluate.
func (a answer) evaluation() (client.Evaluation, error) {
	n, err := a.examples()
	if err != nil {
		return client.Evaluation{}, err
	}
	if a.Accuracy == nil || !(*a.Accuracy >= 0 && *a.Accuracy <= 1) {
		return client.Evaluation{}, ErrProtocol.At("accuracy is missing or not in [0,1]")
	}
	if a.Loss == nil || !(*a.Loss >= 0) || math.IsInf(*a.Loss, 0) {
		return client.Evaluation{}, ErrProtocol.At("loss is missing or not a number from 0")
	}
	return client.Evaluation{Examples: n, Accuracy: *a.Accuracy, Loss: *a.Loss}, nil
}
