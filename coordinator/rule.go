package coordinator

import (
	"io"
	"math"

	"github.com/choir-fl/choir/coordinator/robust"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/internal/parallel"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/tensor"
)

// ErrVector is an opened vector that no rule may see. It names the bucket, or the client
// where single vectors are opened.
var ErrVector = fault.New(fault.Aborted, "coordinator/vector", "an opened vector is not finite", "nothing was learned; the next attempt draws another cohort")

// opened is a vector that came out of a sum: the mean of a bucket, or a client's own.
type opened struct {
	source
	mean []float64
}

// source says whose a vector is.
type source struct {
	bucket  int
	clients int
	client  secagg.PartyID // where single vectors are opened; else empty
}

// at names it in errors.
func (s source) at(err *fault.Error) *fault.Error {
	if s.client != "" {
		return err.At("client %s", s.client)
	}
	return err.At("bucket %d", s.bucket)
}

// checkFinite refuses a vector that a rule cannot square. Sums of integers cannot give
// one; dividing them must not either.
func (o opened) checkFinite() error {
	for _, x := range o.mean {
		if !(math.Abs(x) <= 1e150) {
			return o.at(ErrVector)
		}
	}
	return nil
}

// ruleCoins are the coins of an attempt's rule: secret, so that nobody who sends a vector
// knows them, and the same again after a crash.
func ruleCoins(h head, id secagg.RoundID, what string) *field.Stream {
	key := field.Derive(h.seed, what+" "+id.String())
	s := field.NewStream(key)
	clear(key[:])
	return s
}

// apply lets the plan's rule combine what was opened, and notes what it did. A number of
// vectors that the rule does not admit, because buckets were short or spoiled, ends the
// attempt: it does not fall back on another rule.
func (e *Engine) apply(res *result, vectors []opened, s secagg.Session, h head) ([]float64, error) {
	rule, id := e.cfg.Plan.Rule(), s.Binding.Round
	means := make([][]float64, len(vectors))
	for i, v := range vectors {
		if err := v.checkFinite(); err != nil {
			return nil, err
		}
		means[i] = v.mean
	}
	if err := rule.Admits(len(means)); err != nil {
		return nil, err
	}
	checked, err := robust.Float64(means)
	if err != nil {
		return nil, err
	}
	last, err := e.loadStep(h)
	if err != nil {
		return nil, err
	}
	each := parallel.Workers(e.cfg.Workers)
	update := make([]float64, e.cfg.Plan.Terms().Tensors.Total())
	in := robust.Input{Vectors: checked, Coins: ruleCoins(h, id, "rule"), Each: each}
	if e.cfg.Plan.RuleSpec().Rule == "centered-clipping" && last != nil {
		in.Reference = make([]float64, len(last))
		for i, x := range last {
			in.Reference[i] = float64(x)
		}
	}
	out, err := rule.Combine(update, in)
	if err != nil {
		return nil, err
	}
	res.figures = e.figures(s, vectors, res.left, out, update, last, ruleCoins(h, id, "figures"), each)
	return update, nil
}

// loadStep reads what the rule made in the last accepted round; nil in the first. It
// cannot be found from the models, which the optimiser's moments and rounding are in.
func (e *Engine) loadStep(h head) ([]float32, error) {
	if h.step == (secagg.Digest{}) {
		return nil, nil
	}
	schema := e.cfg.Plan.Terms().Tensors
	var m tensor.Model
	err := e.readBlob(h.step, func(r io.Reader) (err error) {
		m, err = tensor.ReadSafetensors(r, tensor.HeaderSize(schema)+4*int64(schema.Total()))
		return err
	})
	if err != nil {
		return nil, ErrCarried.At("last step").Because(err)
	}
	return m.Values(), nil
}

// ErrCarried is something that a run carries from round to round and that cannot be read.
var ErrCarried = fault.New(fault.Internal, "coordinator/carried", "what the run carries from its last round cannot be read", "restore the store from a backup")

// writeStep stores an aggregate, in the single precision of models.
func (e *Engine) writeStep(update []float64) (secagg.Digest, error) {
	m := tensor.Zero(e.cfg.Plan.Terms().Tensors)
	for i, x := range update {
		m.Values()[i] = float32(x)
	}
	d, _, err := e.writeBlob(func(w io.Writer) error { return tensor.WriteSafetensors(w, m) })
	return d, err
}
