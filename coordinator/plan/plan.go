package plan

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/choir-fl/choir/coordinator/optimizer"
	"github.com/choir-fl/choir/coordinator/robust"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/tensor"
)

// ErrContradiction is one thing in a plan that cannot stand; Where names the key.
var ErrContradiction = fault.New(fault.Refused, "plan/contradiction", "plan is refused", "correct the plan")

// Selection is how a cohort is chosen.
type Selection string

const (
	// SelectUniform draws a fixed-size sample of the registered clients.
	SelectUniform Selection = "uniform"
	// SelectPoisson draws each registered client by a coin of its own.
	SelectPoisson Selection = "poisson"
	// SelectCheckIn takes clients as they come.
	SelectCheckIn Selection = "check-in"
)

// Plan is a checked plan. Immutable; safe for concurrent use.
type Plan struct {
	literal   Literal // with defaults filled in
	terms     secagg.Terms
	rest      secagg.Digest
	quantizer field.Quantizer
	optimizer optimizer.Spec
	scheme    secagg.ServerScheme
	invited   int
	guarantee Guarantee

	rule       robust.Rule
	byDistance bool // the rule chooses by distances
	robustness Robustness
}

// Terms returns what the clients see of the plan.
func (p Plan) Terms() secagg.Terms { return p.terms }

// Rest is the digest of what concerns the coordinator alone.
func (p Plan) Rest() secagg.Digest { return p.rest }

// Digest is the digest of the whole plan.
func (p Plan) Digest() secagg.Digest { return p.terms.PlanDigest(p.rest) }

// Quantizer returns the encoding.
func (p Plan) Quantizer() field.Quantizer { return p.quantizer }

// Optimizer returns the server optimiser's specification.
func (p Plan) Optimizer() optimizer.Spec { return p.optimizer }

// Policy is what the plan demands of its scheme.
func (p Plan) Policy() secagg.Policy {
	s := p.literal.Scheme
	return secagg.Policy{Clients: p.Invited(), Minimum: p.Minimum(), CloseAt: p.CloseAt(), Corrupt: perMillion(s.Corrupt), Dropout: perMillion(s.Dropout),
		CrossSilo: s.CrossSilo, Attempts: p.Attempts(), View: p.terms.View, Buckets: p.terms.Buckets, Committee: p.terms.Committee,
		Words: p.quantizer.Layout().Len(), WordBits: p.quantizer.WordBits()}
}

// Rule combines what is opened into one update.
func (p Plan) Rule() robust.Rule { return p.rule }

// Guarantee is what the plan's noise promises; the zero one under mode none.
func (p Plan) Guarantee() Guarantee { return p.guarantee }

// Scheme returns the coordinator's half of the scheme.
func (p Plan) Scheme() secagg.ServerScheme { return p.scheme }

// Literal returns the plan as written, defaults filled in.
func (p Plan) Literal() Literal { return p.literal }

// Job is the job's name.
func (p Plan) Job() string { return p.literal.Job }

// Rounds is the number of rounds of the run, Attempts the most attempts at one.
func (p Plan) Rounds() int { return p.literal.Rounds.Count }

// Attempts is the most attempts at one round.
func (p Plan) Attempts() int { return p.literal.Rounds.Attempts }

// CohortSize is the number of clients wanted in a round's sum.
func (p Plan) CohortSize() int { return p.literal.Cohort.Size }

// Invited is the most clients admitted to an attempt: the cohort and its over-selection,
// or more than coins of their own will ever draw.
func (p Plan) Invited() int { return p.invited }

// Minimum is the fewest clients in an opened sum.
func (p Plan) Minimum() int { return p.literal.Cohort.Minimum }

// CloseAt is the number of complete uploads at which uploads close; 0 for none.
func (p Plan) CloseAt() int {
	if k := p.literal.Cohort.CloseAt; k > 0 {
		return k
	}
	if p.literal.Cohort.OverSelection > 1 {
		return p.CohortSize()
	}
	return 0
}

// Selection is how cohorts are chosen.
func (p Plan) Selection() Selection { return Selection(p.literal.Cohort.Selection) }

// Deadlines returns the phases' durations.
func (p Plan) Deadlines() Deadlines { return p.literal.Deadlines }

// Devices returns the conditions of check-in.
func (p Plan) Devices() Devices { return p.literal.Devices }

// Screening returns what is asked of an aggregate before it is accepted.
func (p Plan) Screening() Screening { return p.literal.Screening }

// Stop returns the stop rules.
func (p Plan) Stop() Stop { return p.literal.Stop }

func (l Literal) invited() int {
	c := l.Cohort
	if Selection(c.Selection) == SelectPoisson {
		return capacity(c.Population, float64(c.Size)/float64(c.Population), l.overflowBits())
	}
	return int(math.Ceil(float64(c.Size) * c.OverSelection))
}

// maxPopulation is the most clients that coins are tossed for.
const maxPopulation = 10_000_000

// checker collects contradictions.
type checker struct{ errs []error }

func (c *checker) refuse(key, format string, args ...any) {
	c.errs = append(c.errs, ErrContradiction.At("%s", key).Because(fmt.Errorf(format, args...)))
}

func (c *checker) unless(ok bool, key, format string, args ...any) {
	if !ok {
		c.refuse(key, format, args...)
	}
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// Check returns the plan under one of the given schemes, or all contradictions
// joined into one error.
func (l Literal) Check(schemes ...secagg.ServerScheme) (Plan, error) {
	setDefault(&l.Cohort.OverSelection, 1)
	setDefault(&l.Cohort.Selection, string(SelectUniform))
	setDefault(&l.Rounds.Attempts, 3)
	setDefault(&l.Deadlines.Admission, time.Minute)
	setDefault(&l.Deadlines.Exchange, time.Minute)
	setDefault(&l.Deadlines.Upload, 30*time.Minute)
	l.resolvePrivacy()
	if !noisy(l.Privacy.Mode) {
		setDefault(&l.Encoding.Bits, 18)
	}
	setDefault(&l.Aggregation.Rule, "mean")
	setDefault(&l.Aggregation.Denominator, string(secagg.DenominatorWeights))
	setDefault(&l.Aggregation.View, secagg.ViewSum.String())
	setDefault(&l.Optimizer.Name, "fedavg")
	l.resolveBuckets()

	c := &checker{}
	c.unless(l.Schema == secagg.PlanSchema, "schema", "%q is not %s", l.Schema, secagg.PlanSchema)
	c.unless(secagg.PartyID(l.Job).Valid(), "job", "%q is not a name of 1 to 64 characters a-z, 0-9, '.', '_', '-'", l.Job)
	c.unless(l.Rounds.Count >= 1 && l.Rounds.Count <= 1_000_000, "rounds.count", "%d is not in 1..1000000", l.Rounds.Count)
	c.unless(l.Rounds.Attempts >= 1 && l.Rounds.Attempts <= 8, "rounds.attempts", "%d is not in 1..8", l.Rounds.Attempts)
	checkCohort(c, l)
	counted := len(c.errs) == 0 // what follows from the numbers so far makes sense
	checkDeadlines(c, l.Deadlines)
	checkTraining(c, l.Training)
	checkScreening(c, l.Screening)
	c.unless(l.Aggregation.Denominator == string(secagg.DenominatorWeights) || l.Aggregation.Denominator == string(secagg.DenominatorFixed),
		"aggregation.denominator", "%q is neither weights nor fixed", l.Aggregation.Denominator)
	p := Plan{literal: l}
	p.checkRule(c)
	c.unless(l.Stop.Accuracy >= 0 && l.Stop.Accuracy <= 1, "stop.accuracy", "%v is not in [0,1]", l.Stop.Accuracy)
	c.unless(l.Stop.Patience >= 0, "stop.patience", "%d is negative", l.Stop.Patience)
	c.unless(l.Evaluation.Clients || (l.Stop.Accuracy == 0 && l.Stop.Patience == 0), "stop", "accuracy and patience need evaluation.clients")
	before := len(c.errs)
	checkPrivacy(c, l)
	stated := len(c.errs) == before

	if counted {
		p.invited = l.invited()
	}
	var err error
	if p.optimizer, err = optimizer.Spec(l.Optimizer).Check(); err != nil {
		c.refuse("optimizer", "%w", err)
	}
	l.Optimizer = Optimizer(p.optimizer)
	p.literal = l
	p.findScheme(c, schemes)
	before = len(c.errs)
	p.checkView(c)
	viewed := len(c.errs) == before
	p.checkTerms(c, counted)
	p.checkScheme(c, counted && viewed && stated)
	if len(c.errs) == 0 {
		p.checkRobustness(c)
	}
	if len(c.errs) == 0 {
		// What a client could not decode must not become a plan.
		if _, err := secagg.DecodeTerms(p.terms.Encode()); err != nil {
			c.refuse("plan", "%w", err)
		}
	}
	if len(c.errs) > 0 {
		return Plan{}, errors.Join(c.errs...)
	}
	p.rest = p.literal.rest()
	return p, nil
}

func checkCohort(c *checker, l Literal) {
	k := l.Cohort
	c.unless(k.Size >= 1 && k.Size <= secagg.MaxRoster, "cohort.size", "%d is not in 1..%d", k.Size, secagg.MaxRoster)
	c.unless(k.Minimum >= 1 && k.Minimum <= max(k.Size, 1), "cohort.minimum", "%d is not in 1..size (%d)", k.Minimum, k.Size)
	if !(k.OverSelection >= 1 && k.OverSelection <= 10) {
		c.refuse("cohort.over_selection", "%v is not in [1,10]", k.OverSelection)
	} else if n := l.invited(); k.Size <= secagg.MaxRoster && Selection(k.Selection) != SelectPoisson && n > secagg.MaxRoster {
		c.refuse("cohort.over_selection", "%v invites %d clients, more than %d", k.OverSelection, n, secagg.MaxRoster)
	}
	c.unless(k.CloseAt >= 0 && k.CloseAt <= max(k.Size, 1) && (k.CloseAt == 0 || k.CloseAt >= k.Minimum), "cohort.close_at", "%d is not in minimum..size (%d..%d)", k.CloseAt, k.Minimum, k.Size)
	switch s := Selection(k.Selection); {
	case s == SelectPoisson:
		c.unless(k.Population > k.Size && k.Population <= maxPopulation, "cohort.population", "%d: selection poisson draws from more than size (%d) and at most %d clients", k.Population, k.Size, maxPopulation)
		c.unless(k.OverSelection == 1 && k.CloseAt == 0, "cohort", "selection poisson draws by coins: over_selection and close_at have no place in it")
		c.unless(k.Population <= k.Size || l.invited() <= secagg.MaxRoster, "cohort.size", "%d in expectation may be more than %d", k.Size, secagg.MaxRoster)
	case s == SelectUniform || s == SelectCheckIn:
		c.unless(k.Population == 0, "cohort.population", "%d belongs to selection poisson", k.Population)
	default:
		c.refuse("cohort.selection", "%q is none of uniform, poisson, check-in", k.Selection)
	}
}

func checkDeadlines(c *checker, d Deadlines) {
	for _, x := range []struct {
		key string
		d   time.Duration
	}{{"admission", d.Admission}, {"exchange", d.Exchange}, {"upload", d.Upload}} {
		c.unless(x.d >= time.Millisecond && x.d <= 30*24*time.Hour, "deadlines."+x.key, "%v is not in 1ms..720h", x.d)
	}
}

func checkTraining(c *checker, t Training) {
	for _, x := range []struct {
		key   string
		count int
	}{{"epochs", t.Epochs}, {"batch_size", t.BatchSize}, {"weight_cap", t.WeightCap}} {
		c.unless(x.count >= 0 && x.count <= math.MaxInt32, "training."+x.key, "%d is not in 0..%d", x.count, math.MaxInt32)
	}
	c.unless(t.LearningRate >= 0 && t.LearningRate <= math.MaxFloat64, "training.learning_rate", "%v is negative or no number", t.LearningRate)
	c.unless(t.Momentum >= 0 && t.Momentum < 1, "training.momentum", "%v is not in [0,1)", t.Momentum)
	c.unless(t.WorkerMomentum >= 0 && t.WorkerMomentum < 1, "training.worker_momentum", "%v is not in [0,1)", t.WorkerMomentum)
	c.unless(t.Prox >= 0 && t.Prox <= math.MaxFloat64, "training.prox", "%v is negative or no number", t.Prox)
}

// findScheme takes the one that is named.
func (p *Plan) findScheme(c *checker, schemes []secagg.ServerScheme) {
	names := ""
	for _, candidate := range schemes {
		names += " " + candidate.Name()
		if candidate.Name() == p.literal.Scheme.Name {
			p.scheme = candidate
		}
	}
	if p.scheme == nil {
		c.refuse("scheme.name", "%q is not known; known:%s", p.literal.Scheme.Name, names)
	}
}

// checkScheme lets the scheme, if what it depends on makes sense, judge what it must
// withstand.
func (p *Plan) checkScheme(c *checker, sound bool) {
	s := p.literal.Scheme
	if p.scheme == nil {
		return
	}
	for _, x := range []struct {
		key   string
		share float64
	}{{"corrupt", s.Corrupt}, {"dropout", s.Dropout}} {
		if !(x.share >= 0 && x.share < 1) {
			c.refuse("scheme."+x.key, "%v is not in [0,1)", x.share)
			sound = false
		}
	}
	if !sound || p.terms.Encoding.Dimension == 0 && !noisy(p.literal.Privacy.Mode) || p.terms.Tensors.Total() == 0 { // the encoding or the model was refused
		return
	}
	if !slices.Contains(p.scheme.Views(), p.terms.View) {
		c.refuse("aggregation.view", "scheme %s does not yield %s", s.Name, p.terms.View)
		return
	}
	if p.terms.Fallback && !slices.Contains(p.scheme.Views(), secagg.ViewBucketMeans) {
		c.refuse("aggregation.fallback", "scheme %s does not yield %s", s.Name, secagg.ViewBucketMeans)
		return
	}
	if slices.Contains(p.scheme.Roles(), secagg.RoleDecryptor) != (p.terms.Committee.Len() > 0) {
		c.refuse("scheme.committee", "a committee belongs to a scheme with decryptors, and to no other; scheme %s: name its committee_file, or take it out", s.Name)
		return
	}
	if noisy(p.literal.Privacy.Mode) {
		before := len(c.errs)
		if p.checkNoiseLevel(c, p.scheme); len(c.errs) > before {
			return
		}
	}
	params, err := p.scheme.Configure(p.Policy())
	if err != nil {
		c.refuse("scheme", "%w", err)
	}
	p.terms.SchemeParameters = params
}

// checkView reads what is opened, and who opens it.
func (p *Plan) checkView(c *checker) {
	a, t := p.literal.Aggregation, &p.terms
	switch a.View {
	case secagg.ViewSum.String():
		t.View = secagg.ViewSum
	case secagg.ViewBucketMeans.String():
		t.View = secagg.ViewBucketMeans
	case secagg.ViewVectors.String():
		t.View = secagg.ViewVectors
		p.checkVectors(c)
	default:
		c.refuse("aggregation.view", "%q is none of sum, bucket_means, vectors", a.View)
		return
	}
	t.Fallback = a.Fallback != ""
	c.unless(a.Fallback == "" || a.Fallback == secagg.ViewBucketMeans.String() && t.View == secagg.ViewSum,
		"aggregation.fallback", "%q: only view sum falls back, on bucket_means", a.Fallback)
	t.Buckets = secagg.Buckets(a.Buckets)
	divided := t.View != secagg.ViewSum || t.Fallback
	if t.View == secagg.ViewBucketMeans && a.resists() && a.Buckets == (Buckets{}) {
		c.refuse("aggregation.buckets", "%s", p.noBuckets())
		return
	}
	c.unless(divided == (t.Buckets != secagg.Buckets{}), "aggregation.buckets", "size and minimum belong to bucket_means, as view or fallback, and to nothing else")
	if err := t.Buckets.Check(); err != nil {
		c.refuse("aggregation.buckets", "%w", err)
	}
	c.unless(!divided || t.Buckets.Size <= p.literal.Cohort.Size, "aggregation.buckets.size", "%d is more than the cohort", t.Buckets.Size)
	if f := p.literal.Scheme.CommitteeFile; f != "" && p.literal.Scheme.Committee.Name == "" {
		c.refuse("scheme.committee_file", "%q was not loaded: put its content under scheme.committee", f)
		return
	}
	var err error
	if t.Committee, err = p.literal.Scheme.Committee.Check(); err != nil {
		c.refuse("scheme.committee", "%w", err)
	}
}

func perMillion(share float64) int { return int(math.Round(share * 1e6)) }

// checkTerms makes what the clients see of the plan. If the cohort is not counted,
// the encoding is judged for one client.
func (p *Plan) checkTerms(c *checker, counted bool) {
	l := p.literal
	specs := make([]tensor.Spec, len(l.Model.Tensors))
	for i, t := range l.Model.Tensors {
		specs[i] = tensor.Spec{Name: t.Name, Shape: t.Shape}
	}
	schema, err := tensor.NewSchema(specs)
	if err != nil {
		c.refuse("model.tensors", "%w", err)
		return
	}
	t := &p.terms
	t.Job, t.Scheme, t.Minimum = l.Job, l.Scheme.Name, l.Cohort.Minimum
	t.Privacy, t.TrustCoordinator = secagg.PrivacyMode(l.Privacy.Mode), l.Privacy.TrustCoordinator
	t.Tensors = schema
	t.Training = secagg.Training{Architecture: l.Model.Architecture, Epochs: l.Training.Epochs, BatchSize: l.Training.BatchSize,
		LearningRate: l.Training.LearningRate, Momentum: l.Training.Momentum, Prox: l.Training.Prox, WeightCap: l.Training.WeightCap,
		WorkerMomentum: l.Training.WorkerMomentum}
	t.Denominator = secagg.Denominator(l.Aggregation.Denominator)
	t.Evaluate = l.Evaluation.Clients
	clients := max(p.invited, 1)
	if noisy(l.Privacy.Mode) { // the encoding follows from the noise: checkNoiseLevel
		return
	}
	spec := field.Spec{Dimension: schema.Total(), Clients: clients, ClipNorm: l.Encoding.ClipNorm, Bits: l.Encoding.Bits,
		Range: l.Encoding.Range, Scale: l.Encoding.Scale, WordBits: l.Encoding.WordBits,
		Extras: []field.Extra{{Name: secagg.ExtraWeight, Bound: secagg.ExtraScale}}}
	if l.Evaluation.Clients {
		for _, name := range []string{secagg.ExtraEvalWeight, secagg.ExtraEvalCorrect, secagg.ExtraEvalLoss} {
			spec.Extras = append(spec.Extras, field.Extra{Name: name, Bound: secagg.ExtraScale})
		}
	}
	if p.quantizer, err = spec.Check(); err != nil {
		c.refuse("encoding", "%w", err)
		return
	}
	t.Encoding = p.quantizer.Spec()
}

// rest digests, by field number, what the clients' terms do not hold.
func (l Literal) rest() secagg.Digest {
	var e secagg.Encoder
	e.Uint(1, uint64(l.Cohort.Size))
	e.Float(2, l.Cohort.OverSelection)
	e.String(3, l.Cohort.Selection)
	e.Uint(4, uint64(l.Rounds.Count))
	e.Uint(5, uint64(l.Rounds.Attempts))
	e.Uint(6, uint64(l.Deadlines.Admission))
	e.Uint(7, uint64(l.Deadlines.Exchange))
	e.Uint(8, uint64(l.Deadlines.Upload))
	e.Bool(9, l.Devices.Charging)
	e.Bool(10, l.Devices.Unmetered)
	e.Bool(11, l.Devices.Idle)
	e.String(12, l.Aggregation.Rule)
	e.Message(13, func(e *secagg.Encoder) {
		o := l.Optimizer
		e.String(1, o.Name)
		e.Float(2, o.LearningRate)
		e.Float(3, o.Momentum)
		e.Float(4, o.Beta1)
		e.Float(5, o.Beta2)
		e.Float(6, o.Tau)
	})
	e.Float(14, l.Stop.Accuracy)
	e.Uint(15, uint64(l.Stop.Patience))
	e.Uint(16, uint64(l.Cohort.CloseAt))
	if noisy(l.Privacy.Mode) {
		e.Message(17, l.restOfPrivacy)
	}
	e.Message(18, l.Aggregation.restOfRule)
	e.Message(19, l.Screening.encode)
	return secagg.Hash("choir plan rest/1", e.Encoded())
}

// restOfPrivacy encodes what the promise to the clients does not hold.
func (l Literal) restOfPrivacy(e *secagg.Encoder) {
	p := l.Privacy
	e.String(1, p.Population)
	e.String(2, p.Mechanism)
	e.Uint(3, uint64(p.Bands))
	e.Uint(4, uint64(p.Buffers))
	e.Float(5, p.NoiseMultiplier)
	e.Float(6, p.Epsilon)
	e.Float(7, p.EpsilonCoordinator)
	e.Float(8, p.Clipping.Quantile)
	e.Float(9, p.Clipping.Rate)
	e.Float(10, p.Clipping.Floor)
	e.Float(11, p.Clipping.Ceiling)
	e.Uint(12, uint64(l.Cohort.Population))
}
