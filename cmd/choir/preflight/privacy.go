package preflight

import (
	"math"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg"
)

// Privacy is what is stated for the two observers. Null: nothing is.
type Privacy struct {
	Mode string `json:"mode"`
	// EpsilonReleased bounds what whoever sees all released models learns of one client,
	// EpsilonCoordinator what whoever sees rosters and opened sums too: after all rounds,
	// one charged attempt for each.
	EpsilonReleased    *float64 `json:"epsilon_released"`
	EpsilonCoordinator *float64 `json:"epsilon_coordinator"`
	Delta              *float64 `json:"delta"`
	TrustCoordinator   bool     `json:"trust_coordinator"`
	// ReleasedReason and CoordinatorReason say why an epsilon is null.
	ReleasedReason    *string `json:"released_reason"`
	CoordinatorReason *string `json:"coordinator_reason"`
	Noise             *Noise  `json:"noise"` // null under mode none
}

// Noise is what the noise of a plan is, what it rests on and what it costs.
type Noise struct {
	Mechanism  string   `json:"mechanism"`
	Unit       string   `json:"unit"`
	Relation   string   `json:"relation"`
	Population string   `json:"population"` // whose budget is spent
	Sampling   Sampling `json:"sampling"`
	// Multiplier is that of the plan: the noise in each opened sum over the clip norm,
	// or of the joint release where the clip norm adapts. JointMultiplier is that of
	// everything that a sum holds, over its sensitivity under the relation.
	Multiplier      float64 `json:"noise_multiplier"`
	JointMultiplier float64 `json:"joint_multiplier"`
	// Sigma is the standard deviation of the noise that is reckoned with in an opened
	// sum, in each coordinate and in units of the update; ShareSigma that of what one
	// client adds, 0 under mode central. SigmaReleased is Sigma for those who see released
	// models only: that of Filled - FilledCorrupt shares where sums are filled up.
	Sigma         float64 `json:"sigma"`
	ShareSigma    float64 `json:"share_sigma"`
	SigmaReleased float64 `json:"sigma_released"`
	Scale         float64 `json:"scale"` // grid steps per unit of the update
	// SensitivityCost is by how much rounding to the grid raises the sensitivity: 0.01
	// is one per cent.
	SensitivityCost float64 `json:"sensitivity_cost"`
	PaddedDimension int     `json:"padded_dimension"`
	// Survivors is the fewest clients in a sum, Corrupt how many of their shares are
	// reckoned as known: those of corrupt clients (c* where buckets are opened), and at
	// least one, as whoever is in a sum knows its own. Shares is the difference (h there).
	Survivors int `json:"survivors"`
	Corrupt   int `json:"corrupt"`
	Shares    int `json:"shares"`
	// Filled is the number of shares that the coordinator fills each released sum up to, so
	// that how much noise is in it does not tell how many clients coins drew; FilledCorrupt
	// how many of them corrupt clients may take off. 0 where nothing is claimed from coins,
	// and under mode central. At least one is, as in Corrupt.
	Filled        int `json:"filled_shares"`
	FilledCorrupt int `json:"filled_corrupt"`

	Slack  Slack  `json:"slack"`
	Budget Budget `json:"budget"`
	// ExtraReleased and ExtraCoordinator are what one more charged attempt than there are
	// rounds adds to each epsilon, as one that fails after unmasking does.
	ExtraReleased    *float64 `json:"extra_attempt_released"`
	ExtraCoordinator *float64 `json:"extra_attempt_coordinator"`
	// Unamplified is EpsilonReleased if nobody's coin were secret; null without sampling,
	// and above 16 where nothing is stated for who sees rosters.
	Unamplified *float64 `json:"epsilon_unamplified"`
	// NoiseNorm is the root mean square norm of the noise of Shares, over all padded
	// coordinates, and MeanNoise that of the noise in the mean of a full cohort or
	// bucket, over the model's, both over the clip norm. SignalToNoise is 1/MeanNoise: what
	// is reached if all updates have the clip norm and agree, and never more.
	NoiseNorm     float64 `json:"noise_norm"`
	MeanNoise     float64 `json:"mean_noise"`
	SignalToNoise float64 `json:"signal_to_noise"`
	// Surplus is how many times the noise Sigma is in a released sum: of a full cohort or
	// bucket, or of any where sums are filled up.
	Surplus float64 `json:"surplus"`
	// Participations and Separation bound a client; 0 and 1 do not.
	Participations int       `json:"participations"`
	Separation     int       `json:"separation"`
	Clipping       *Clipping `json:"clipping"` // null: the clip norm is fixed

	clients int // that the budget is stated for
	full    int // clients in a full cohort or bucket
}

// Sampling is what is claimed about who is drawn.
type Sampling struct {
	Mode       string   `json:"mode"` // poisson or none
	Rate       *float64 `json:"rate"`
	Population *int     `json:"population"`
	Vouched    *string  `json:"vouched_by"`
}

// Slack is what is taken off delta before anything is accounted for.
type Slack struct {
	Buckets  float64 `json:"buckets"`
	Sampling float64 `json:"sampling"`
	Tails    float64 `json:"tails"`
	Total    float64 `json:"total"`
}

// Budget says when a run ends for the sake of privacy.
type Budget struct {
	Released    float64  `json:"epsilon_released"`
	Coordinator *float64 `json:"epsilon_coordinator"` // null: none is stated
	// AttemptsReleased is how many attempts the population's ledger admits under the
	// budget for released models, if no other job draws on it; Attempts under both.
	// At most rounds times attempts.
	AttemptsReleased int `json:"attempts_released"`
	Attempts         int `json:"attempts"`
}

// Clipping is how the clip norm adapts.
type Clipping struct {
	Quantile float64 `json:"quantile"`
	Rate     float64 `json:"rate"`
	Floor    float64 `json:"floor"`
	Ceiling  float64 `json:"ceiling"`
	BitSigma float64 `json:"bit_sigma"` // noise in the sum of the clients' bits, in bits
}

// vouched says on whose word the sampling rests.
const vouched = "the coordinator, whose secret coins draw the cohorts: nobody else can check them"

func privacyOf(p plan.Plan) (Privacy, error) {
	l, g := p.Literal(), p.Guarantee()
	out := Privacy{Mode: l.Privacy.Mode, TrustCoordinator: l.Privacy.TrustCoordinator}
	if !g.Stated() {
		none := "mode none adds no noise"
		out.ReleasedReason, out.CoordinatorReason = &none, &none
		return out, nil
	}
	n, rounds := noiseOf(p), p.Rounds()
	out.Noise, out.Delta = n, pointer(g.Noise().Delta)
	out.EpsilonReleased, out.ReleasedReason = stated(g, dp.ObserverReleases, rounds), nil
	if out.EpsilonReleased == nil {
		out.ReleasedReason = pointer("no finite bound after all rounds")
	}
	if out.EpsilonCoordinator = stated(g, dp.ObserverCoordinator, rounds); out.EpsilonCoordinator == nil {
		out.CoordinatorReason = pointer(whyNot(p))
	}
	n.ExtraReleased = difference(stated(g, dp.ObserverReleases, rounds+1), out.EpsilonReleased)
	n.ExtraCoordinator = difference(stated(g, dp.ObserverCoordinator, rounds+1), out.EpsilonCoordinator)
	if n.Sampling.Rate != nil {
		n.Unamplified = out.EpsilonCoordinator
		if _, ok := g.Event(dp.ObserverCoordinator); !ok {
			n.Unamplified = unamplified(p, rounds)
		}
	}
	var err error
	n.Budget, err = budgetOf(p)
	return out, err
}

// whyNot says why nothing is promised against those who see rosters.
func whyNot(p plan.Plan) string {
	_, ok := p.Guarantee().Event(dp.ObserverCoordinator)
	switch {
	case ok:
		return "no finite bound after all rounds"
	case p.Terms().Privacy == secagg.PrivacyCentral:
		return "mode central: the coordinator sees exact sums and adds the noise itself; it is trusted"
	}
	if h, ok := p.Scheme().(secagg.HonestScheme); ok && h.Hides() {
		return "trust_coordinator: no client checks that a sum holds as many honest shares as noise is reckoned for; the coordinator is trusted with that"
	}
	return "scheme " + p.Scheme().Name() + " shows the coordinator each client's vector, with a share of the noise only; it is trusted"
}

func noiseOf(p plan.Plan) *Noise {
	l, g := p.Literal(), p.Guarantee()
	told, m := g.Noise(), g.Mechanism()
	s, shares := m.Sensitivity(), m.Shares()
	spec := p.Quantizer().Spec()
	n := &Noise{Mechanism: l.Privacy.Mechanism, Unit: dp.UnitClient.String(), Relation: told.Relation.String(), Population: l.Privacy.Population,
		Sampling:   Sampling{Mode: dp.SamplingNone.String()},
		Multiplier: l.Privacy.NoiseMultiplier, JointMultiplier: m.Multiplier(told.Relation), Sigma: told.Sigma, Scale: spec.Scale,
		SensitivityCost: ddp.SensitivityCost(s, spec.Scale*spec.ClipNorm), PaddedDimension: s.Dimension,
		Survivors: told.Survivors, Corrupt: told.Corrupt, Shares: told.Shares(),
		Slack:          Slack{Buckets: g.Slack().Buckets, Sampling: g.Slack().Sampling, Tails: g.Slack().Tails, Total: g.Slack().Total()},
		Participations: told.Participations, Separation: told.Separation, Surplus: 1, clients: p.Genesis().Clients}
	n.full, n.SigmaReleased = p.CohortSize(), n.Sigma
	if b := bucketsOf(p); b != nil && !b.Fallback {
		n.full = b.Largest
	}
	if p.Terms().Privacy != secagg.PrivacyCentral {
		n.ShareSigma = shares.Width() / spec.Scale
		summed := n.full
		if n.Filled = g.Shares(); n.Filled > 0 {
			summed, n.FilledCorrupt = n.Filled, max(1, share(n.Filled, l.Scheme.Corrupt)) // whoever is in a sum knows its own
			n.SigmaReleased = n.ShareSigma * math.Sqrt(float64(n.Filled-n.FilledCorrupt))
		}
		n.Surplus = math.Sqrt(float64(summed) / float64(n.Shares))
	}
	n.NoiseNorm = told.Sigma * math.Sqrt(float64(s.Dimension)) / spec.ClipNorm
	n.MeanNoise = n.Surplus * told.Sigma * math.Sqrt(float64(p.Terms().Tensors.Total())) / float64(n.full) / spec.ClipNorm
	n.SignalToNoise = 1 / n.MeanNoise
	if told.Rate > 0 {
		n.Sampling = Sampling{Mode: dp.SamplingPoisson.String(), Rate: pointer(told.Rate), Population: pointer(l.Cohort.Population), Vouched: pointer(vouched)}
	}
	if rule, adapts := p.ClipRule(); adapts {
		n.Clipping = &Clipping{Quantile: rule.Quantile, Rate: rule.Rate, Floor: rule.Floor, Ceiling: rule.Ceiling, BitSigma: told.BitSigma}
	}
	return n
}

// stated is an epsilon after so many charged attempts; null where nothing is promised.
func stated(g plan.Guarantee, o dp.Observer, attempts int) *float64 {
	v, ok := g.Epsilon(o, attempts)
	if !ok || math.IsInf(v, 1) {
		return nil
	}
	return &v
}

// maxUnamplified is up to which epsilon unamplified is printed: it is about noise that is
// never redrawn, which holds for noise that is as long as e^epsilon is no large factor.
const maxUnamplified = 16

// unamplified is what whoever sees released models would learn if it knew who was drawn.
func unamplified(p plan.Plan, attempts int) *float64 {
	g := p.Guarantee()
	if g.Most() > 0 {
		attempts = min(attempts, g.Most())
	}
	event, err := g.Mechanism().Event(g.Noise().Relation, dp.Sampling{Mode: dp.SamplingNone}, int64(attempts))
	if err != nil {
		return nil
	}
	curve, err := account.NewCurve([]dp.Event{event})
	if err != nil {
		return nil
	}
	bound, err := curve.Epsilon(g.Noise().Delta - g.Slack().Total())
	if err != nil || !(bound.Epsilon <= maxUnamplified) {
		return nil
	}
	return &bound.Epsilon
}

func difference(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	return pointer(*a - *b)
}

func pointer[T any](v T) *T { return &v }
