package coordinator

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/choir-fl/choir/coordinator/optimizer"
	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// ErrWeights is a sum of weights that nothing can be divided by.
var ErrWeights = fault.New(fault.Aborted, "coordinator/weights", "the survivors' weights sum to zero", "nothing was learned; invite clients that have data")

// result is what opening a round made.
type result struct {
	model, optimizer secagg.Digest
	modelSize        int64
	values           tensor.Model
	weight, norm     float64
	evaluation       *Evaluation

	segment              string // set when it is committed
	parent, oldOptimizer secagg.Digest
	report               Report
}

// run hands a task to the host. Tasks run one after another, and none while a
// checkpoint is written: each touches every piece of the accumulator.
func (e *Engine) run(t round.Task) {
	e.adds = append(e.adds, t)
	e.nextAdd()
}

func (e *Engine) nextAdd() {
	if e.adding || len(e.adds) == 0 {
		return
	}
	t := e.adds[0]
	e.adds = e.adds[1:]
	if t.Kind == round.TaskOpen {
		e.open(t)
		return
	}
	e.adding = true
	machine, acc := e.machine, e.acc
	session, _ := machine.Session()
	e.cfg.Host.Work(Work{Name: "add", Bytes: acc.Pieces().Total}, func() func() {
		var err error
		if t.Kind == round.TaskMerge {
			err = e.merge(acc, t.Blob)
		} else {
			err = e.add(acc, partID(session.Binding.Round, session.Roster.At(t.Member).ID), t.Bucket)
		}
		return func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			if e.machine != machine {
				return
			}
			e.adding = false
			if err == nil && t.Kind == round.TaskAdd {
				e.added = append(e.added, t.Member)
				e.dirty += acc.Pieces().Total
			}
			e.fail(e.step(round.TaskDone{At: e.now(), Task: t.ID, Err: err}))
			if e.machine == machine {
				e.checkpoint()
				e.nextAdd()
			}
		}
	})
}

// checkpoint stores the sum so far and then frees the uploads that are in it. No
// upload is added meanwhile.
func (e *Engine) checkpoint() {
	if e.cfg.CheckpointBytes == 0 || e.dirty < e.cfg.CheckpointBytes || e.adding || e.machine.State() >= round.Adding {
		return
	}
	machine, acc, members := e.machine, e.acc, slices.Clone(e.added)
	e.adding = true
	e.cfg.Host.Work(Work{Name: "checkpoint", Bytes: e.bytes}, func() func() {
		blob, _, err := e.writeBlob(acc.Snapshot)
		return func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			if e.machine != machine || e.fail(err) {
				return
			}
			e.adding = false
			old, had := machine.Checkpointed()
			// A checkpoint that comes too late to matter is refused by the machine.
			if err := e.step(round.Checkpoint{At: e.now(), Blob: blob, Members: members}); err != nil {
				if e.failed == nil && (len(had) == 0 || old != blob) {
					e.fail(e.cfg.Store.Blobs.Delete(store.Digest(blob)))
				}
			} else {
				e.dirty = 0
				e.fail(e.free(members[len(had):]))
				if len(had) > 0 && old != blob {
					e.fail(e.cfg.Store.Blobs.Delete(store.Digest(old)))
				}
			}
			if e.machine == machine {
				e.nextAdd()
			}
		}
	})
}

// free deletes the uploads of members that a durable checkpoint holds.
func (e *Engine) free(members []int) error {
	session, _ := e.machine.Session()
	for _, i := range members {
		if err := e.cfg.Store.Spool.Delete(partID(e.set.ID, session.Roster.At(i).ID)); err != nil {
			return err
		}
	}
	return nil
}

// add adds a verified upload to its bucket.
func (e *Engine) add(acc secagg.Accumulator, part string, bucket int) error {
	r, err := e.cfg.Store.Spool.Open(part)
	if err != nil {
		return err
	}
	defer r.Close()
	return eachPiece(acc.Pieces(), r, func(i int, p []byte) error { return acc.Add(bucket, i, p) })
}

func (e *Engine) merge(acc secagg.Accumulator, blob secagg.Digest) error {
	return e.readBlob(blob, acc.Merge)
}

// readBlob gives read the bytes of a blob, after they were found to be those it was
// stored with.
func (e *Engine) readBlob(digest secagg.Digest, read func(io.Reader) error) error {
	if err := store.Verify(e.cfg.Store.Blobs, store.Digest(digest)); err != nil {
		return err
	}
	r, err := e.cfg.Store.Blobs.Open(store.Digest(digest))
	if err != nil {
		return err
	}
	defer r.Close()
	return read(r)
}

// eachPiece reads an upload piece by piece.
func eachPiece(ps secagg.Pieces, r io.Reader, do func(i int, p []byte) error) error {
	buf := make([]byte, ps.Size)
	for i := range ps.Count {
		p := buf[:ps.Len(i)]
		if _, err := io.ReadFull(r, p); err != nil {
			return secagg.ErrUpload.At("piece %d", i).Because(err)
		}
		if err := do(i, p); err != nil {
			return err
		}
	}
	return nil
}

// verify checks a spooled upload against its commit frame, piece by piece.
func (e *Engine) verify(acc secagg.Accumulator, part string, c secagg.Commit) error {
	r, err := e.cfg.Store.Spool.Open(part)
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Size() != c.Size {
		return secagg.ErrUpload.At("%d bytes of %d", r.Size(), c.Size)
	}
	h := sha256.New()
	if err := eachPiece(acc.Pieces(), r, func(i int, p []byte) error {
		h.Write(p)
		return acc.Check(i, p)
	}); err != nil {
		return err
	}
	if secagg.Digest(h.Sum(nil)) != c.Content {
		return secagg.ErrUpload.At("content digest")
	}
	return nil
}

// open unmasks the sums and applies them to the model.
func (e *Engine) open(t round.Task) {
	machine, acc, h := e.machine, e.acc, e.head
	e.cfg.Host.Work(Work{Name: "open", Bytes: acc.Pieces().Total}, func() func() {
		res, err := e.openSums(acc, t.Open, h)
		return func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			if e.machine != machine {
				return
			}
			e.pending, e.acc = res, nil
			e.fail(e.step(round.TaskDone{At: e.now(), Task: t.ID, Err: err}))
		}
	})
}

func (e *Engine) openSums(acc secagg.Accumulator, rebuild func() (secagg.Opening, error), h head) (*result, error) {
	o, err := rebuild()
	if err != nil {
		return nil, err
	}
	defer o.Erase()
	if err := unmask(acc, o, e.cfg.Workers); err != nil {
		return nil, err
	}
	sums, err := acc.Sums(o)
	if err != nil {
		return nil, err
	}
	if len(sums) != 1 {
		return nil, fmt.Errorf("%d sums where the rule takes one", len(sums))
	}
	q := e.cfg.Plan.Quantizer()
	mean := make([]float64, q.Layout().Main())
	extras, err := q.Decode(mean, sums[0].Words, len(sums[0].Members))
	if err != nil {
		return nil, err
	}
	res := &result{}
	extra := func(name string) float64 {
		if i, ok := q.Layout().Extra(name); ok {
			return float64(extras[i]) / secagg.ExtraScale
		}
		return 0
	}
	res.weight = extra(secagg.ExtraWeight)
	divisor := res.weight
	if e.cfg.Plan.Terms().Denominator == secagg.DenominatorFixed {
		divisor = float64(e.cfg.Plan.CohortSize())
	}
	if !(divisor > 0) {
		return nil, ErrWeights
	}
	if w := extra(secagg.ExtraEvalWeight); w > 0 {
		res.evaluation = &Evaluation{Weight: w, Accuracy: extra(secagg.ExtraEvalCorrect) / w,
			Loss: extra(secagg.ExtraEvalLoss) * secagg.MaxEvalLoss / w}
	}
	var squares float64
	for i := range mean {
		mean[i] /= divisor
		squares += float64(mean[i] * mean[i])
	}
	res.norm = math.Sqrt(squares)
	return res, e.applyMean(res, mean, h)
}

// applyMean takes one step of the server optimiser and stores the new model.
func (e *Engine) applyMean(res *result, mean []float64, h head) error {
	model, err := e.loadModel(h)
	if err != nil {
		return err
	}
	opt := optimizer.New(e.cfg.Plan.Optimizer(), len(mean))
	// Under a changed plan another optimiser begins with moments of its own.
	if h.optimizer != (secagg.Digest{}) && h.moments == e.cfg.Plan.Optimizer().Name {
		if err := e.readBlob(h.optimizer, opt.Read); err != nil {
			return fmt.Errorf("moments of the optimiser: %w", err)
		}
	}
	opt.Apply(model.Values(), mean)
	if err := model.CheckFinite(); err != nil {
		return fmt.Errorf("new model: %w", err)
	}
	res.values = model
	if res.model, res.modelSize, err = e.writeBlob(func(w io.Writer) error { return tensor.WriteSafetensors(w, model) }); err != nil {
		return err
	}
	if opt.Size() > 0 {
		res.optimizer, _, err = e.writeBlob(opt.Write)
	}
	return err
}

// unmask spreads the pieces over workers.
func unmask(acc secagg.Accumulator, o secagg.Opening, workers int) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, workers)
	pieces := acc.Pieces().Count
	for w := range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= pieces {
					return
				}
				if errs[w] = acc.Unmask(o, i); errs[w] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// loadModel reads the model that a head names.
func (e *Engine) loadModel(h head) (tensor.Model, error) {
	r, err := e.cfg.Store.Blobs.Open(store.Digest(h.model))
	if err != nil {
		return tensor.Model{}, err
	}
	defer r.Close()
	m, err := tensor.ReadSafetensors(r, h.modelSize)
	if err != nil {
		return tensor.Model{}, err
	}
	if m.Digest() != h.model {
		return tensor.Model{}, fmt.Errorf("model %s: %w", h.model, store.ErrCorrupt)
	}
	return m, nil
}

// writeBlob stores what write produces.
func (e *Engine) writeBlob(write func(io.Writer) error) (secagg.Digest, int64, error) {
	w, err := e.cfg.Store.Blobs.Create()
	if err != nil {
		return secagg.Digest{}, 0, err
	}
	if err := write(w); err != nil {
		_ = w.Discard() // the error of write says more
		return secagg.Digest{}, 0, err
	}
	d, size, err := w.Commit()
	return secagg.Digest(d), size, err
}

// report sums up an attempt that ended with model as the head's.
func (e *Engine) report(out *round.Outcome, model secagg.Digest) Report {
	r := Report{ID: e.set.ID, Began: time.Unix(0, int64(e.set.Began)), Ended: e.cfg.Host.Now(), Invited: e.cfg.Plan.Invited(),
		Admitted: e.machine.Admitted(), Buckets: len(out.Survivors), Released: out.Released, Reason: out.Reason, Culprits: out.Culprits,
		Members: out.Survivors, UploadBytes: e.bytes, Parent: e.set.Model, Model: model}
	for _, b := range out.Survivors {
		r.Survivors += len(b)
	}
	if p := e.pending; out.Released && p != nil {
		r.Weight, r.UpdateNorm, r.Evaluation = p.weight, p.norm, p.evaluation
	}
	return r
}

// announce tells the observer how an attempt ended and removes what it superseded.
func (e *Engine) announce(r Report) {
	var model tensor.Model
	if p := e.pending; r.Released {
		model = p.values
		for _, d := range []secagg.Digest{p.parent, p.oldOptimizer} {
			if d != e.head.model && d != e.head.optimizer && d != (secagg.Digest{}) {
				e.fail(e.cfg.Store.Blobs.Delete(store.Digest(d)))
			}
		}
	}
	e.fail(e.cfg.Store.Journal.Append(historySegment, []byte(e.head.ended)))
	e.cfg.Observer.RoundOver(r, model)
	e.pending = nil
}

// Ended is a line of a run's history: one attempt that ended.
type Ended struct {
	Round      uint32      `json:"round"`
	Attempt    uint32      `json:"attempt"`
	Began      time.Time   `json:"began"`
	Ended      time.Time   `json:"ended"`
	Invited    int         `json:"invited"`
	Admitted   int         `json:"admitted"`
	Survivors  int         `json:"survivors"`
	Released   bool        `json:"released"`
	Reason     string      `json:"reason,omitempty"`
	Model      string      `json:"model"`
	UpdateNorm float64     `json:"update_norm"`
	Evaluation *Evaluation `json:"evaluation,omitempty"`
}

// line is the attempt's line in the run's history.
func (r Report) line() (string, error) {
	b, err := json.Marshal(Ended{Round: r.ID.Round, Attempt: r.ID.Attempt, Began: r.Began, Ended: r.Ended, Invited: r.Invited,
		Admitted: r.Admitted, Survivors: r.Survivors, Released: r.Released, Reason: r.Reason, Model: r.Model.String(),
		UpdateNorm: r.UpdateNorm, Evaluation: r.Evaluation})
	return string(b), err
}

// remember makes up for a crash between the swap of the head, which holds the line
// of the latest attempt that ended, and the line's arrival in the history.
func (e *Engine) remember() error {
	var last string
	err := e.cfg.Store.Journal.Read(historySegment, func(record []byte) error {
		last = string(record)
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if e.head.ended == last {
		return nil
	}
	return e.cfg.Store.Journal.Append(historySegment, []byte(e.head.ended))
}

// History returns the attempts that ended, oldest first.
func (e *Engine) History() ([]Ended, error) {
	var out []Ended
	err := e.cfg.Store.Journal.Read(historySegment, func(record []byte) error {
		var h Ended
		if err := json.Unmarshal(record, &h); err != nil {
			return err
		}
		out = append(out, h)
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return out, err
}

// sweep deletes the blobs that nothing leads to: leftovers of a crash, or of work
// that outlasted its attempt.
func (e *Engine) sweep() error {
	keep := map[secagg.Digest]bool{e.head.model: true, e.head.optimizer: true}
	if e.machine != nil {
		blob, _ := e.machine.Checkpointed()
		keep[blob] = true
	}
	blobs, err := e.cfg.Store.Blobs.List()
	if err != nil {
		return err
	}
	for _, d := range blobs {
		if !keep[secagg.Digest(d)] {
			if err := e.cfg.Store.Blobs.Delete(d); err != nil {
				return err
			}
		}
	}
	return nil
}
