package coordinator

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/choir-fl/choir/coordinator/optimizer"
	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/internal/parallel"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// ErrWeights is a sum of weights that nothing can be divided by.
var ErrWeights = fault.New(fault.Aborted, "coordinator/weights", "the survivors' weights sum to zero", "nothing was learned; invite clients that have data")

// ErrSpoiledVector names the client whose vector, opened alone, was out of range.
var ErrSpoiledVector = fault.New(fault.Aborted, "coordinator/spoiled-vector", "a client's vector is out of range", "look at the client; an operator can quarantine it")

// result is what opening a round made.
type result struct {
	model, optimizer secagg.Digest
	moments          string // the optimiser whose moments they are
	modelSize        int64
	values           tensor.Model
	weight, norm     float64
	evaluation       *Evaluation
	clipNorm         float64 // of the next round
	clipped          *float64
	spoiled, liars   []int // buckets, parties; also if there is no model

	// What of it is known also if there is no model.
	figures    *Figures
	left       []left
	measured   *Measurement // of the new model, and
	before     *Measurement // of its parent
	refused    bool         // by the gate
	step       secagg.Digest
	reputation secagg.Digest

	segment string // set when it is committed
	report  Report
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
	update, err := e.combine(res, sums, d, session, h)
	if err != nil {
		return res, err
	}
	var squares float64
	for _, u := range update {
		squares += float64(u * u)
	}
	res.norm = math.Sqrt(squares)
	if e.moves(h) {
		err = e.applyMean(res, update, h)
	} else {
		err = e.stay(res, h)
	}
	if err != nil {
		return res, err
	}
	return res, e.carry(res, update, h)
}

// carry stores what the next round needs of this one beside its model.
func (e *Engine) carry(res *result, update []float64, h head) (err error) {
	if res.step, err = e.writeStep(update); err != nil {
		return err
	}
	res.reputation, err = e.judge(res.figures, h)
	return err
}

// combine makes one update of the opened sums by the plan's rule, and adds up what
// else is in them. What cannot be the sum of its clients' vectors is left out, as far as
// the plan's minimum of clients allows; so is a sum whose weights are zero, which says
// nothing.
func (e *Engine) combine(res *result, sums []secagg.Sum, d *decoder, s secagg.Session, h head) ([]float64, error) {
	q := e.cfg.Plan.Quantizer()
	var means []opened
	totals := make([]float64, len(q.Layout().Extras()))
	var spoiled error
	clients := 0
	for i := range sums {
		sum := &sums[i]
		whose := source{bucket: sum.Bucket, clients: len(sum.Members)}
		if e.cfg.Plan.Terms().View == secagg.ViewVectors && len(sum.Members) == 1 {
			whose.client = s.Party(sum.Members[0])
		}
		mean := make([]float64, e.cfg.Plan.Terms().Tensors.Total())
		extras, err := d.decode(mean, sum)
		if errors.Is(err, secagg.ErrSpoiled) {
			res.spoiled, spoiled = append(res.spoiled, sum.Bucket), err
			var blame *secagg.Blame
			if errors.As(err, &blame) {
				res.liars = append(res.liars, blame.Members...)
			}
			if whose.client != "" { // there is nobody else whose fault it could be
				res.liars, spoiled = append(res.liars, sum.Members...), ErrSpoiledVector.At("client %s", whose.client).Because(err)
			}
			res.left = append(res.left, left{whose, true})
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
			means = append(means, opened{whose, mean})
		} else {
			res.left = append(res.left, left{whose, false})
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
		below := e.belowClipNorm(totals[i])
		if res.clipNorm, err = e.nextClipNorm(res.clipNorm, below); err != nil {
			return nil, err
		}
		res.clipped = figure(1 - below)
	}
	return e.apply(res, means, s, h)
}

// divide makes a sum of updates a mean: by the weights in it, or by the clients that
// are expected in one of the attempt's sums. It reports false if there is nothing to
// divide by.
//
// A mean by weights is clipped to the longest that honest clients can have: else a client
// could send a weight that is none, to leave the others nearly none to be divided by, and
// move the mean as far as it liked.
func (e *Engine) divide(sum []float64, extras []float64, buckets int) bool {
	terms := e.cfg.Plan.Terms()
	var divisor float64
	if i, ok := e.cfg.Plan.Quantizer().Layout().Extra(secagg.ExtraWeight); ok {
		divisor = extras[i]
	}
	switch {
	case terms.Denominator != secagg.DenominatorFixed:
	case terms.View == secagg.ViewVectors:
		divisor = 1 // a vector is one client's, whoever else came
	default:
		divisor = float64(e.cfg.Plan.CohortSize()) / float64(buckets)
	}
	if !(divisor > 0) {
		return false
	}
	for i := range sum {
		sum[i] /= divisor
	}
	if norm, most := math.Sqrt(dot(sum, sum)), e.cfg.Plan.LongestMean(); terms.Denominator != secagg.DenominatorFixed && norm > most {
		for i := range sum {
			sum[i] *= most / norm
		}
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
	if err := e.gate(res, model, h); err != nil {
		return err
	}
	res.values, res.moments = model, e.cfg.Plan.Optimizer().Name
	if res.model, res.modelSize, err = e.writeBlob(func(w io.Writer) error { return tensor.WriteSafetensors(w, model) }); err != nil {
		return err
	}
	if opt.Size() > 0 {
		res.optimizer, _, err = e.writeBlob(opt.Write)
	}
	return err
}

// unmask spreads the pieces over workers. Of several errors it returns the first piece's.
func unmask(acc secagg.Accumulator, o secagg.Opening, workers int) error {
	errs := make([]error, acc.Pieces().Count)
	parallel.Workers(workers)(len(errs), func(i int) { errs[i] = acc.Unmask(o, i) })
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
