package coordinator

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"

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
	clipNorm         float64 // of the next round
	spoiled, liars   []int   // buckets, parties; also if there is no model

	segment              string // set when it is committed
	parent, oldOptimizer secagg.Digest
	report               Report
}

// open unmasks the sums and applies them to the model.
func (e *Engine) open(t round.Task) {
	machine, acc, h := e.machine, e.acc, e.head
	session, _ := machine.Session()
	e.cfg.Host.Work(Work{Name: "open", Bytes: acc.Pieces().Total()}, func() func() {
		res, err := e.openSums(acc, t.Open, session, h)
		return func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			if e.machine != machine {
				return
			}
			e.pending, e.acc = res, nil
			e.fail(e.step(round.TaskDone{At: e.now(), Task: t.ID, Err: err, Spoiled: res.spoiled, Liars: res.liars}))
		}
	})
}

func (e *Engine) openSums(acc secagg.Accumulator, rebuild func() (secagg.Opening, error), session secagg.Session, h head) (*result, error) {
	res := &result{clipNorm: h.clipNorm}
	d, err := e.newDecoder(session, h)
	if err != nil {
		return res, err
	}
	defer d.erase()
	o, err := rebuild()
	if err != nil {
		return res, err
	}
	defer o.Erase()
	res.liars = slices.Clone(o.Liars())
	if err := unmask(acc, o, e.cfg.Workers); err != nil {
		return res, err
	}
	sums, err := acc.Sums(o)
	if err != nil {
		return res, err
	}
	update, err := e.combine(res, sums, d)
	if err != nil {
		return res, err
	}
	var squares float64
	for _, u := range update {
		squares += float64(u * u)
	}
	res.norm = math.Sqrt(squares)
	return res, e.applyMean(res, update, h)
}

// combine makes one update of the opened sums by the plan's rule, and adds up what
// else is in them. What cannot be the sum of its clients' vectors is left out, as far as
// the plan's minimum of clients allows; so is a sum whose weights are zero, which says
// nothing.
func (e *Engine) combine(res *result, sums []secagg.Sum, d *decoder) ([]float64, error) {
	q := e.cfg.Plan.Quantizer()
	var means [][]float64
	totals := make([]float64, len(q.Layout().Extras()))
	var spoiled error
	clients := 0
	for i := range sums {
		sum := &sums[i]
		mean := make([]float64, e.cfg.Plan.Terms().Tensors.Total())
		extras, err := d.decode(mean, sum)
		if errors.Is(err, secagg.ErrSpoiled) {
			res.spoiled, spoiled = append(res.spoiled, sum.Bucket), err
			var blame *secagg.Blame
			if errors.As(err, &blame) {
				res.liars = append(res.liars, blame.Members...)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		sum.Words = nil // the next bucket needs the memory
		clients += len(sum.Members)
		for j, x := range extras {
			totals[j] += x
		}
		if e.divide(mean, extras, d.buckets) {
			means = append(means, mean)
		}
	}
	switch least := e.cfg.Plan.Minimum(); {
	case clients == 0 && spoiled != nil:
		return nil, spoiled
	case clients < least:
		return nil, secagg.ErrTooFew.At("%d in the sums that opened, of at least %d", clients, least)
	case len(means) == 0:
		return nil, ErrWeights
	}
	total := func(name string) float64 {
		if i, ok := q.Layout().Extra(name); ok {
			return totals[i]
		}
		return 0
	}
	res.weight = total(secagg.ExtraWeight)
	if w := total(secagg.ExtraEvalWeight); w > 0 {
		res.evaluation = &Evaluation{Weight: w, Accuracy: total(secagg.ExtraEvalCorrect) / w,
			Loss: total(secagg.ExtraEvalLoss) * secagg.MaxEvalLoss / w}
	}
	if i, ok := q.Layout().Extra(secagg.ExtraClipBit); ok {
		var err error
		if res.clipNorm, err = e.nextClipNorm(res.clipNorm, totals[i]); err != nil {
			return nil, err
		}
	}
	update := make([]float64, e.cfg.Plan.Terms().Tensors.Total())
	return update, e.cfg.Plan.Rule().Combine(update, means)
}

// divide makes a sum of updates a mean: by the weights in it, or by the clients that
// are expected in one of the attempt's sums. It reports false if there is nothing to
// divide by.
func (e *Engine) divide(sum []float64, extras []float64, buckets int) bool {
	var divisor float64
	if i, ok := e.cfg.Plan.Quantizer().Layout().Extra(secagg.ExtraWeight); ok {
		divisor = extras[i]
	}
	if e.cfg.Plan.Terms().Denominator == secagg.DenominatorFixed {
		divisor = float64(e.cfg.Plan.CohortSize()) / float64(buckets)
	}
	if !(divisor > 0) {
		return false
	}
	for i := range sum {
		sum[i] /= divisor
	}
	return true
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
