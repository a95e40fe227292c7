package secagg

import (
	"math"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/tensor"
)

// PlanSchema is the version of the plan that this module understands.
const PlanSchema = "choir.plan/1"

// ErrTerms refuses terms that contradict themselves.
var ErrTerms = fault.New(fault.Invalid, "secagg/terms", "terms of the plan are not acceptable", "correct the plan")

// Names of the extra coordinates that follow the update in a client's vector.
// All are sums of values that a client scaled to integers in 0..ExtraScale.
const (
	// ExtraWeight is the client's weight in [0,1].
	ExtraWeight = "weight"
	// ExtraEvalWeight is the weight of its evaluation data in [0,1].
	ExtraEvalWeight = "eval_weight"
	// ExtraEvalCorrect is eval weight * accuracy.
	ExtraEvalCorrect = "eval_correct"
	// ExtraEvalLoss is eval weight * min(loss, MaxEvalLoss) / MaxEvalLoss.
	ExtraEvalLoss = "eval_loss"

	// ExtraScale is the integer that stands for 1 in an extra coordinate.
	ExtraScale = 1 << 12
	// MaxEvalLoss caps a client's reported mean loss.
	MaxEvalLoss = 16
)

// Denominator says what a sum of updates is divided by.
type Denominator string

const (
	// DenominatorWeights divides by the securely summed weight extra.
	DenominatorWeights Denominator = "weights"
	// DenominatorFixed divides by the expected cohort size.
	DenominatorFixed Denominator = "fixed"
)

// Training holds what a plan asks of local training. Trainers read what applies
// to them.
type Training struct {
	Architecture string // names the model for trainers that build their own
	Epochs       int
	BatchSize    int
	LearningRate float64
	Momentum     float64
	Prox         float64 // mu of the FedProx term mu/2 ||w - w_global||^2
	// WeightCap is the number of examples that counts as weight 1. Zero means
	// every client weighs 1.
	WeightCap int
	// WorkerMomentum is beta in [0,1): in place of its update u a client sends the mean
	// m = beta m + (1-beta) u of its updates so far. 0: it sends u.
	WorkerMomentum float64
}

// Terms are what a plan asks of a client and promises it: everything that the
// device's Consent decides on and the client computes with. They are bound by the
// plan digest, hence by every attempt's context.
type Terms struct {
	Job              string
	Scheme           string
	SchemeParameters []byte // in the scheme's canonical encoding
	// Minimum is the fewest clients in an opened sum.
	Minimum int
	// Privacy is the mode of noise; TrustCoordinator states that exact sums may be seen.
	Privacy          PrivacyMode
	TrustCoordinator bool
	Encoding         field.Spec
	Tensors          tensor.Schema
	Training         Training
	Denominator      Denominator
	// Evaluate asks clients that can to evaluate the model they received.
	Evaluate bool
	// View is what is opened: ViewSum; ViewBucketMeans, with Buckets; or ViewVectors, with
	// buckets of one client each, by a trusted coordinator. Under ViewSum with Fallback,
	// attempts after one whose sum was spoiled open Buckets.
	View     View
	Buckets  Buckets
	Fallback bool
	// Committee opens the sums; zero if the scheme has none.
	Committee Committee
	// Noise protects what is opened; zero under PrivacyNone.
	Noise Noise
	// Weiszfeld asks clients to weigh their updates; zero under every rule but rfa.
	Weiszfeld Weiszfeld
}

// Smallest is the fewest clients in any sum that may be opened under the terms.
func (t Terms) Smallest() int {
	if t.Buckets != (Buckets{}) {
		return min(t.Minimum, t.Buckets.Minimum)
	}
	return t.Minimum
}

const (
	maxTensors = 1 << 16
	maxExtras  = 64
	maxCount   = 1 << 31 // for integers without a tighter bound of their own
)

func (t Terms) encode(e *Encoder, withScheme bool) {
	e.String(1, PlanSchema)
	e.String(2, t.Job)
	if withScheme {
		e.String(3, t.Scheme)
		e.Bytes(4, t.SchemeParameters)
	}
	e.Uint(5, uint64(t.Minimum))
	e.String(6, string(t.Privacy))
	if withScheme || t.Noise == (Noise{}) { // under noise it is what scheme plain asks for
		e.Bool(7, t.TrustCoordinator)
	}
	e.Message(8, func(e *Encoder) { encodeEncoding(e, t.Encoding) })
	e.List(9, encodeTensors(t.Tensors))
	e.Message(10, func(e *Encoder) { t.Training.encode(e) })
	e.String(11, string(t.Denominator))
	e.Bool(12, t.Evaluate)
	if t.View != ViewSum { // absent as before there was another
		e.Uint(13, uint64(t.View))
	}
	e.Uint(14, uint64(t.Buckets.Size))
	e.Uint(15, uint64(t.Buckets.Minimum))
	e.Bool(16, t.Fallback)
	if withScheme {
		e.Bytes(17, t.Committee.Encode())
	}
	if t.Noise != (Noise{}) {
		e.Message(18, t.Noise.encode)
	}
	if t.Weiszfeld != (Weiszfeld{}) {
		e.Message(19, t.Weiszfeld.encode)
	}
}

// Encode returns the canonical encoding.
func (t Terms) Encode() []byte {
	var e Encoder
	t.encode(&e, true)
	return e.Encoded()
}

// PlanDigest is the digest of a whole plan: its terms, and the digest of what
// concerns the coordinator alone.
func (t Terms) PlanDigest(rest Digest) Digest { return Hash(PlanSchema, t.Encode(), rest[:]) }

// PublicSeed labels public randomness that must not depend on the scheme: the
// digest of the terms without it.
func (t Terms) PublicSeed(label string) Digest {
	var e Encoder
	t.encode(&e, false)
	return Hash(label, e.Encoded())
}

// DecodeTerms parses what Encode wrote and checks what can be checked without
// knowing the scheme.
func DecodeTerms(b []byte) (Terms, error) {
	d := NewDecoder(b)
	if s := d.String(1); s != PlanSchema && d.err == nil {
		return Terms{}, ErrTerms.At("schema %.40q is not %s", s, PlanSchema)
	}
	t := Terms{Job: d.String(2), Scheme: d.String(3), SchemeParameters: d.Bytes(4),
		Minimum: d.Int(5, MaxRoster), Privacy: PrivacyMode(d.String(6)), TrustCoordinator: d.Bool(7)}
	var err error
	if t.Encoding, err = decodeEncoding(d.Bytes(8)); err != nil {
		return Terms{}, err
	}
	if t.Tensors, err = decodeTensors(d.List(9, maxTensors)); err != nil {
		return Terms{}, err
	}
	if t.Training, err = decodeTraining(d.Bytes(10)); err != nil {
		return Terms{}, err
	}
	t.Denominator = Denominator(d.String(11))
	t.Evaluate = d.Bool(12)
	t.View = ViewSum
	if v := d.Int(13, int(ViewVectors)); v != 0 {
		t.View = View(v)
		if t.View == ViewSum {
			return Terms{}, ErrEncoding.At("terms")
		}
	}
	t.Buckets = Buckets{Size: d.Int(14, MaxRoster), Minimum: d.Int(15, MaxRoster)}
	t.Fallback = d.Bool(16)
	if t.Committee, err = DecodeCommittee(d.Bytes(17)); err != nil {
		return Terms{}, err
	}
	if t.Noise, err = decodeNoise(d.Bytes(18)); err != nil {
		return Terms{}, err
	}
	if t.Weiszfeld, err = decodeWeiszfeld(d.Bytes(19)); err != nil {
		return Terms{}, err
	}
	if err := d.Close(); err != nil {
		return Terms{}, err
	}
	return t, t.Check()
}

// Check refuses terms that contradict themselves.
func (t Terms) Check() error {
	switch {
	case !PartyID(t.Job).Valid():
		return ErrTerms.At("job %q", t.Job)
	case !PartyID(t.Scheme).Valid():
		return ErrTerms.At("scheme %q", t.Scheme)
	case t.Minimum < 1:
		return ErrTerms.At("minimum of %d clients", t.Minimum)
	case t.Denominator != DenominatorWeights && t.Denominator != DenominatorFixed:
		return ErrTerms.At("denominator %.40q", t.Denominator)
	case t.View != ViewSum && t.View != ViewBucketMeans && t.View != ViewVectors:
		return ErrTerms.At("view %q", t.View)
	case t.View == ViewVectors && (t.Buckets != Each() || !t.TrustCoordinator):
		return ErrTerms.At("view %q with buckets of %d, or without trust_coordinator", t.View, t.Buckets.Size)
	case t.View == ViewVectors && t.Privacy != PrivacyNone && t.Privacy != PrivacyLocal:
		return ErrTerms.At("view %q in privacy mode %q: no share of noise suffices alone", t.View, t.Privacy)
	case (t.View != ViewSum || t.Fallback) != (t.Buckets != Buckets{}):
		return ErrTerms.At("view %q with buckets of %d", t.View, t.Buckets.Size)
	case t.Fallback && t.View != ViewSum:
		return ErrTerms.At("view %q falls back on itself", t.View)
	case t.Buckets.Minimum > t.Minimum:
		return ErrTerms.At("minimum of %d clients and buckets of at least %d", t.Minimum, t.Buckets.Minimum)
	case t.Privacy == PrivacyNone && t.Encoding.Dimension != t.Tensors.Total():
		return ErrTerms.At("encoding has %d coordinates and the model %d", t.Encoding.Dimension, t.Tensors.Total())
	case t.Encoding.Clients > MaxRoster:
		return ErrTerms.At("sums of %d clients, at most %d are possible", t.Encoding.Clients, MaxRoster)
	case t.Minimum > t.Encoding.Clients:
		return ErrTerms.At("minimum of %d clients in sums of at most %d", t.Minimum, t.Encoding.Clients)
	case t.Tensors.Len() > maxTensors || len(t.Encoding.Extras) > maxExtras:
		return ErrTerms.At("%d tensors and %d extras, at most %d and %d are possible", t.Tensors.Len(), len(t.Encoding.Extras), maxTensors, maxExtras)
	}
	if err := t.Buckets.Check(); err != nil {
		return ErrTerms.At("buckets").Because(err)
	}
	if _, err := t.Encoding.Check(); err != nil {
		return ErrTerms.At("encoding").Because(err)
	}
	if err := t.checkWeiszfeld(); err != nil {
		return err
	}
	if err := t.checkNoise(); err != nil {
		return err
	}
	return t.Training.check()
}

// LeastWeight is the least weight above 0 of a client: that of one example, in steps of
// 1/ExtraScale.
func (t Training) LeastWeight() float64 {
	if t.WeightCap == 0 {
		return 1
	}
	return max(1, math.Round(ExtraScale/float64(t.WeightCap))) / ExtraScale
}

func (t Training) encode(e *Encoder) {
	e.String(1, t.Architecture)
	e.Uint(2, uint64(t.Epochs))
	e.Uint(3, uint64(t.BatchSize))
	e.Float(4, t.LearningRate)
	e.Float(5, t.Momentum)
	e.Float(6, t.Prox)
	e.Uint(7, uint64(t.WeightCap))
	e.Float(8, t.WorkerMomentum)
}

func decodeTraining(b []byte) (Training, error) {
	d := NewDecoder(b)
	t := Training{Architecture: d.String(1), Epochs: d.Int(2, maxCount-1), BatchSize: d.Int(3, maxCount-1),
		LearningRate: d.Float(4), Momentum: d.Float(5), Prox: d.Float(6), WeightCap: d.Int(7, maxCount-1), WorkerMomentum: d.Float(8)}
	return t, d.Close()
}

func (t Training) check() error {
	switch {
	case !counts(t.Epochs, t.BatchSize, t.WeightCap):
		return ErrTerms.At("training: epochs, batch size or weight cap is not in 0..%d", maxCount-1)
	case !(t.LearningRate >= 0) || math.IsInf(t.LearningRate, 0):
		return ErrTerms.At("training: learning rate %v", t.LearningRate)
	case !(t.Momentum >= 0 && t.Momentum < 1):
		return ErrTerms.At("training: momentum %v is not in [0,1)", t.Momentum)
	case !(t.WorkerMomentum >= 0 && t.WorkerMomentum < 1):
		return ErrTerms.At("training: worker momentum %v is not in [0,1)", t.WorkerMomentum)
	case !(t.Prox >= 0) || math.IsInf(t.Prox, 0):
		return ErrTerms.At("training: prox %v", t.Prox)
	}
	return nil
}

// counts reports whether all values are in 0..maxCount-1.
func counts(values ...int) bool {
	for _, v := range values {
		if v < 0 || v > maxCount-1 {
			return false
		}
	}
	return true
}

func encodeEncoding(e *Encoder, s field.Spec) {
	e.Uint(1, uint64(s.Dimension))
	e.Uint(2, uint64(s.Clients))
	e.Float(3, s.ClipNorm)
	e.Uint(4, uint64(s.Bits))
	e.Uint(5, uint64(s.Range))
	e.Float(6, s.Scale)
	e.Uint(7, uint64(s.NoiseTail))
	e.Uint(8, uint64(s.WordBits))
	items := make([][]byte, len(s.Extras))
	for i, x := range s.Extras {
		var n Encoder
		n.String(1, x.Name)
		n.Uint(2, x.Bound)
		items[i] = n.Encoded()
	}
	e.List(9, items)
}

func decodeEncoding(b []byte) (field.Spec, error) {
	d := NewDecoder(b)
	s := field.Spec{Dimension: d.Int(1, maxCount-1), Clients: d.Int(2, MaxRoster), ClipNorm: d.Float(3), Bits: d.Int(4, 32),
		Range: d.Size(5, maxCount-1), Scale: d.Float(6), NoiseTail: d.Size(7, maxCount-1), WordBits: d.Int(8, 32)}
	for _, it := range d.List(9, maxExtras) {
		n := NewDecoder(it)
		s.Extras = append(s.Extras, field.Extra{Name: n.String(1), Bound: n.Uint(2)})
		if err := n.Close(); err != nil {
			return field.Spec{}, err
		}
	}
	return s, d.Close()
}

func encodeTensors(s tensor.Schema) [][]byte {
	specs := s.Specs()
	items := make([][]byte, len(specs))
	for i, spec := range specs {
		var e, dims Encoder
		e.String(1, spec.Name)
		shape := make([][]byte, len(spec.Shape))
		for j, n := range spec.Shape {
			dims = Encoder{}
			dims.Uint(1, uint64(n))
			shape[j] = dims.Encoded()
		}
		e.List(2, shape)
		items[i] = e.Encoded()
	}
	return items
}

func decodeTensors(items [][]byte) (tensor.Schema, error) {
	specs := make([]tensor.Spec, len(items))
	for i, it := range items {
		d := NewDecoder(it)
		specs[i].Name = d.String(1)
		for _, dim := range d.List(2, tensor.MaxRank) {
			n := NewDecoder(dim)
			specs[i].Shape = append(specs[i].Shape, n.Int(1, maxCount-1))
			if err := n.Close(); err != nil {
				return tensor.Schema{}, err
			}
		}
		if err := d.Close(); err != nil {
			return tensor.Schema{}, err
		}
	}
	s, err := tensor.NewSchema(specs)
	if err != nil {
		return tensor.Schema{}, ErrTerms.At("tensors").Because(err)
	}
	return s, nil
}
