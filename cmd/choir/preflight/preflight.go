// Package preflight says, before anything runs, what a plan means: how floats are
// encoded, what the scheme demands, how likely a round is to fail, what it costs in
// bytes, time and memory, and what each party and coalition could learn.
//
// Sizes are computed from the same encodings that travel. Times are estimates from
// stated unit costs. What a party could learn is what follows from the protocol for
// a party that does all it can; nothing here is a promise that the plan does not make.
package preflight

import (
	"math"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
)

// Schema names the version of the JSON document.
const Schema = "choir.check/1"

// ErrScheme is a scheme whose properties this package does not know.
var ErrScheme = fault.New(fault.Refused, "preflight/scheme", "what this scheme reveals is not known here", "use choir of the version that brings the scheme")

// Report is the JSON document of `choir plan check --json`. Fields are added, never
// changed; what does not apply is null. A refused plan has Refusals and nothing else.
type Report struct {
	Schema   string   `json:"schema"`
	File     string   `json:"file"`
	Accepted bool     `json:"accepted"`
	Refusals []string `json:"refusals"`
	*Findings
}

// Findings is what there is to say about an accepted plan.
type Findings struct {
	Job        string      `json:"job"`
	Digest     string      `json:"plan_digest"`
	Scheme     string      `json:"scheme"`
	Parameters int         `json:"parameters"` // of the model
	Optimizer  string      `json:"optimizer"`  // of the server
	Rounds     Rounds      `json:"rounds"`
	Privacy    Privacy     `json:"privacy"`
	Encoding   Encoding    `json:"encoding"`
	View       string      `json:"view"`
	Robustness Robustness  `json:"robustness"`
	Graph      *Graph      `json:"pairwise"`
	Oneshot    *Oneshot    `json:"oneshot"`
	Buckets    *Buckets    `json:"buckets"`
	Failure    []Failure   `json:"failure"`
	Bytes      Bytes       `json:"bytes_per_client"`
	Time       Time        `json:"time_estimate"`
	Memory     Memory      `json:"coordinator_bytes"`
	Knowledge  []Knowledge `json:"knowledge"`
	Warnings   []string    `json:"warnings"`
	Advice     *Advice     `json:"recommendation"`

	corrupt int // clients, at most
	passes  int // at one step of the model, of rule rfa; 0 under others
}

// Rounds says how many clients and attempts there are.
type Rounds struct {
	Count    int  `json:"count"`
	Attempts int  `json:"attempts"`
	Invited  int  `json:"invited"`
	Cohort   int  `json:"cohort"`
	Minimum  int  `json:"minimum"`
	Early    bool `json:"closes_early"` // uploads close once CloseAt of them are complete
	CloseAt  int  `json:"close_at"`     // 0: they do not
}

// Encoding is how floats become integers; see package field.
type Encoding struct {
	ClipNorm float64 `json:"clip_norm"`
	Scale    float64 `json:"scale"` // integers per unit of the update
	Step     float64 `json:"step"`  // 1/Scale
	Bits     int     `json:"bits"`
	Range    int64   `json:"range"`
	WordBits int     `json:"word_bits"`
	Words    int     `json:"words"`  // of a client's vector, extras included
	Extras   int     `json:"extras"` // words that are no part of the update
	// MaxClients is how many clients a sum could hold before it wraps.
	MaxClients int64 `json:"max_clients"`
	// BudgetUsed is clients * 2^bits / 2^word_bits, at most 1.
	BudgetUsed float64 `json:"budget_used"`
	// Clamps: single coordinates may be cut at Range even below the clip norm.
	Clamps bool `json:"clamps"`
	// RoundingNorm bounds the root mean square norm of one client's rounding error.
	RoundingNorm float64 `json:"rounding_norm"`
	// NoiseTail is the largest share of the noise that a client adds to a coordinate.
	NoiseTail int64 `json:"noise_tail"`
	// CorruptNorm is the largest norm of a sum that passes decoding: as far as one
	// corrupt client can push it.
	CorruptNorm float64 `json:"corrupt_norm"`
}

// Examine reports on a checked plan.
func Examine(p plan.Plan) (*Findings, error) {
	f, err := findings(p)
	if err == nil {
		f.Advice = f.advise(p)
	}
	return f, err
}

// findings reports on a plan without a look at other schemes.
func findings(p plan.Plan) (*Findings, error) {
	l := p.Literal()
	f := &Findings{
		Job: p.Job(), Digest: p.Digest().String(), Scheme: p.Scheme().Name(), Parameters: p.Terms().Tensors.Total(), Optimizer: l.Optimizer.Name,
		Rounds: Rounds{Count: p.Rounds(), Attempts: p.Attempts(), Invited: p.Invited(), Cohort: p.CohortSize(), Minimum: p.Minimum(),
			Early: p.CloseAt() > 0, CloseAt: p.CloseAt()},
		Encoding: encodingOf(p), View: p.Terms().View.String(), Buckets: bucketsOf(p), Warnings: []string{},
		corrupt: share(p.Invited(), l.Scheme.Corrupt), passes: p.Terms().Weiszfeld.Passes,
	}
	var err error
	if f.Privacy, err = privacyOf(p); err != nil {
		return nil, err
	}
	switch f.Scheme {
	case plain.Name:
		f.Bytes, f.Knowledge = plainBytes(p), plainKnowledge(f)
	case pairwise.Name:
		g, err := graphOf(p)
		if err != nil {
			return nil, err
		}
		f.Graph, f.Bytes, f.Knowledge = &g, pairwiseBytes(p, g), nil
		f.Knowledge = pairwiseKnowledge(f)
	case oneshot.Name:
		o, err := oneshotOf(p)
		if err != nil {
			return nil, err
		}
		f.Oneshot = o
		f.Bytes, o.Member = oneshotBytes(p, o)
		o.MemberMS = memberTime(f)
		f.Knowledge = oneshotKnowledge(f)
	default:
		return nil, ErrScheme.At("scheme %q", f.Scheme)
	}
	f.Robustness = robustnessOf(p, f)
	f.Failure = f.failures(l.Scheme.Dropout)
	f.Time = timeOf(f)
	f.Memory = memoryOf(p, f)
	f.warn(l)
	return f, nil
}

func encodingOf(p plan.Plan) Encoding {
	q := p.Quantizer()
	s, layout := q.Spec(), q.Layout()
	root := math.Sqrt(float64(s.Dimension))
	return Encoding{
		ClipNorm: s.ClipNorm, Scale: s.Scale, Step: 1 / s.Scale, Bits: s.Bits, Range: s.Range, WordBits: s.WordBits,
		Words: layout.Len(), Extras: layout.Len() - layout.Main(), MaxClients: 1 << (s.WordBits - s.Bits),
		BudgetUsed: float64(s.Clients) * math.Pow(2, float64(s.Bits-s.WordBits)), Clamps: s.Scale*s.ClipNorm > float64(s.Range), NoiseTail: s.NoiseTail,
		RoundingNorm: root / 2 / s.Scale, CorruptNorm: float64(s.Clients) * float64(s.Range+s.NoiseTail) * root / s.Scale,
	}
}
