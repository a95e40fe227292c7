package matrix

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/choir-fl/choir/fault"
)

// What became of a cell.
const (
	Done    = "done"    // it has a number
	Refused = "refused" // by the plan's check or the simulator's
	Failed  = "failed"  // its run ended before its last round
	Pending = "pending" // it did not run
)

// Refusals of a run.
var (
	// ErrRefused is a cell that cannot run.
	ErrRefused = fault.New(fault.Refused, "matrix/refused", "cell is refused", "correct the matrix, or run the others with --keep-going")
	// ErrResults is a file of results that nothing can go on from.
	ErrResults = fault.New(fault.Usage, "matrix/results", "results cannot be gone on from", "name another directory, or remove the file")
)

// Outcome is what came of a cell, whichever of several it is: a line of results.jsonl.
type Outcome struct {
	Digest string `json:"digest"`
	Build  string `json:"build"` // of the program that ran it
	Cell   string `json:"cell"`  // the first of that digest, for a person
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"` // unless done
	// Accuracy is the mean over the last evaluations on the coordinator's test data, Best
	// and Final the best and the last one of the run. Nil unless done.
	Accuracy *float64 `json:"accuracy"`
	Best     *float64 `json:"best"`
	Final    *float64 `json:"final"`
	// AttackSuccess is the simulator's, of attacks that have an aim of their own; else nil.
	AttackSuccess *float64 `json:"attack_success"`
	RoundsFailed  int      `json:"rounds_failed"` // attempts that released nothing
	// EpsilonReleased and EpsilonCoordinator are what the run cost against who sees released
	// models and who sees rosters, at the plan's delta. Nil where none is stated.
	EpsilonReleased    *float64 `json:"epsilon_released,omitempty"`
	EpsilonCoordinator *float64 `json:"epsilon_coordinator,omitempty"`
}

// check refuses an outcome that no run has.
func (o Outcome) check() error {
	if len(o.Digest) != 64 {
		return errors.New("it names no cell")
	}
	for _, v := range []*float64{o.Accuracy, o.Best, o.Final} {
		if (v != nil) != (o.Status == Done) || v != nil && !(*v >= 0 && *v <= 1) {
			return errors.New("a number is missing, out of range, or where none can be")
		}
	}
	for _, v := range []*float64{o.AttackSuccess, o.EpsilonReleased, o.EpsilonCoordinator} {
		if v != nil && (o.Status != Done || *v < 0) {
			return errors.New("a number is out of range, or where none can be")
		}
	}
	if o.AttackSuccess != nil && *o.AttackSuccess > 1 || o.RoundsFailed < 0 {
		return errors.New("a number is out of range")
	}
	if o.Status != Done && o.Status != Refused && o.Status != Failed {
		return fmt.Errorf("status %.40q is unknown", o.Status)
	}
	return nil
}

// Journal is the file of outcomes, results.jsonl: one JSON document a line, made durable
// before the next. One goroutine uses it at a time, and one process its directory.
type Journal struct {
	file  *os.File
	known map[string]Outcome
}

// Results is the name of the journal's file.
const Results = "results.jsonl"

// OpenJournal opens the journal of a directory, which is made if it is missing, and reads
// what is there; of several outcomes of a cell the last counts. A last line that was torn
// by an interruption is cut off. Any other line that makes no sense is an error, with its
// number. forget, if it is not nil, names outcomes that are not to count.
func OpenJournal(dir string, forget func(Outcome) bool) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, ErrResults.At("%s", dir).Because(cause(err))
	}
	path := filepath.Join(dir, Results)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, ErrResults.At("%s", path).Because(cause(err))
	}
	j := &Journal{file, map[string]Outcome{}}
	if err := j.read(path, forget); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	// The file's name survives a power failure, too.
	d, err := os.Open(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return nil, errors.Join(ErrResults.At("%s", dir).Because(err), file.Close())
	}
	return j, nil
}

func (j *Journal) read(path string, forget func(Outcome) bool) error {
	in := bufio.NewReader(j.file)
	whole := int64(0)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			if len(line) > 0 {
				err = j.file.Truncate(whole)
			} else {
				err = nil
			}
		}
		if err != nil {
			return ErrResults.At("%s", path).Because(err)
		}
		if len(line) == 0 || line[len(line)-1] != '\n' {
			return nil
		}
		whole += int64(len(line))
		o, err := parseOutcome(line)
		if err != nil {
			return ErrResults.At("%s:%d", path, n).Because(err)
		}
		if forget == nil || !forget(o) {
			j.known[o.Digest] = o
		} else {
			delete(j.known, o.Digest)
		}
	}
}

// parseOutcome reads a line.
func parseOutcome(line []byte) (o Outcome, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err = d.Decode(&o); err == nil {
		err = o.check()
	}
	if _, more := d.Token(); err == nil && !errors.Is(more, io.EOF) {
		err = errors.New("something stands after it")
	}
	return o, err
}

// Of returns the outcome of a cell's digest.
func (j *Journal) Of(digest string) (Outcome, bool) {
	o, ok := j.known[digest]
	return o, ok
}

// Append makes an outcome durable.
func (j *Journal) Append(o Outcome) error {
	line, err := json.Marshal(o)
	if err == nil {
		_, err = j.file.Write(append(line, '\n'))
	}
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return ErrResults.At("%s", j.file.Name()).Because(cause(err))
	}
	j.known[o.Digest] = o
	return nil
}

// Close closes the file.
func (j *Journal) Close() error { return j.file.Close() }

// cause takes the path out of an error that will say it anyway.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
