package sim

import (
	"fmt"
	"time"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// Schema names the JSON document's version.
const Schema = "choir.sim/1"

// Outcomes of an attempt.
const (
	Released = "released"
	Failed   = "failed"
)

// Result is a finished simulation: the JSON document of `choir sim --json`. A
// value that does not apply is null. Fields are added, never changed.
type Result struct {
	Schema string   `json:"schema"`
	Seed   uint64   `json:"seed"`
	Config Settings `json:"config"`
	Rounds []Round  `json:"rounds"`
	Final  Final    `json:"final"`
	Audit  *Audited `json:"audit,omitempty"`
	// Detection is null where nobody attacks.
	Detection *Detection `json:"detection"`
	// Model is the last model published.
	Model tensor.Model `json:"-"`
}

// Settings repeats what was simulated.
type Settings struct {
	Scheme     string   `json:"scheme"`
	Rule       string   `json:"rule"`
	Attack     *string  `json:"attack"`
	DPMode     string   `json:"dp_mode"`
	Clients    int      `json:"clients"`
	Cohort     int      `json:"cohort"`
	Rounds     int      `json:"rounds"`
	Dropout    float64  `json:"dropout"`
	Byzantine  float64  `json:"byzantine"`
	Fidelity   Fidelity `json:"fidelity"`
	Model      string   `json:"model"`
	Dataset    string   `json:"dataset"`
	Parameters int      `json:"parameters"`
}

// Round is one attempt at a round. ClientNanos, ServerNanos and WallMS are
// measured and differ from run to run; everything else repeats with the seed.
type Round struct {
	Round              int      `json:"round"`
	Attempt            int      `json:"attempt"`
	Invited            int      `json:"invited"`
	Admitted           int      `json:"admitted"`
	Survivors          int      `json:"survivors"`
	Dropped            int      `json:"dropped"`
	Buckets            int      `json:"buckets"`
	Short              int      `json:"buckets_short"`   // left out: too few clients
	Spoiled            int      `json:"buckets_spoiled"` // left out: no client's vector
	Culprits           []string `json:"culprits,omitempty"`
	Outcome            string   `json:"outcome"`
	Reason             string   `json:"reason,omitempty"`
	RolledBack         bool     `json:"rolled_back,omitempty"` // to the run's best model
	Pass               int      `json:"pass,omitempty"`        // at a step of the model, under rule rfa
	TestAccuracy       *float64 `json:"test_accuracy"`
	TestLoss           *float64 `json:"test_loss"`
	AttackSuccess      *float64 `json:"attack_success"`           // of a backdoor: share of probes taken for its target
	Attackers          int      `json:"attackers,omitempty"`      // Byzantine clients that were admitted
	Idle               int      `json:"attackers_idle,omitempty"` // of these, those that knew too little to attack
	EpsilonReleased    *float64 `json:"epsilon_released"`
	EpsilonCoordinator *float64 `json:"epsilon_coordinator"`
	ClipNorm           *float64 `json:"clip_norm"` // under noise
	BytesUp            float64  `json:"bytes_up_per_client"`
	BytesDown          float64  `json:"bytes_down_per_client"`
	ClientNanos        *float64 `json:"client_ns_per_coord"`
	ServerNanos        *float64 `json:"server_ns_per_coord_client"`
	WallMS             float64  `json:"wall_ms"`
	VirtualSeconds     float64  `json:"virtual_seconds"`

	id       secagg.RoundID
	model    secagg.Digest
	members  []string
	byBucket [][]string
	admitted int
	up, down int64
}

// settle computes means once all traffic of the attempt is known.
func (r *Round) settle() {
	if r.admitted > 0 {
		r.BytesUp = float64(r.up) / float64(r.admitted)
		r.BytesDown = float64(r.down) / float64(r.admitted)
	}
}

// Final is how the run ended.
type Final struct {
	TestAccuracy       *float64 `json:"test_accuracy"`
	TestLoss           *float64 `json:"test_loss"`
	AttackSuccess      *float64 `json:"attack_success"`
	RoundsCompleted    int      `json:"rounds_completed"`
	RoundsFailed       int      `json:"rounds_failed"`
	EpsilonReleased    *float64 `json:"epsilon_released"`
	EpsilonCoordinator *float64 `json:"epsilon_coordinator"`
	Delta              *float64 `json:"delta"`
	ModelDigest        string   `json:"model_digest"`
	WallMS             float64  `json:"wall_ms"`
	Status             string   `json:"status"`
	Reason             string   `json:"reason,omitempty"`
	Crashes            int      `json:"coordinator_crashes"`
}

// ErrBudget is a run that its privacy budget stopped: its result stands.
var ErrBudget = fault.New(fault.Refused, "sim/budget", "the privacy budget is spent before the last round", "state fewer rounds, more noise or a larger budget")

// ErrInvariant is a broken invariant: a bug of Choir's, never a mere bad result.
var ErrInvariant = fmt.Errorf("an invariant was broken")

// result sums the run up.
func (s *simulation) result(wall time.Duration) (Result, error) {
	s.settleEvaluations(0)
	lit := s.plan.Literal()
	out := Result{Schema: Schema, Seed: s.cfg.Seed, Rounds: s.rounds, Config: Settings{Scheme: s.cfg.Plan.Scheme.Name, Rule: lit.Aggregation.Rule,
		DPMode: lit.Privacy.Mode, Clients: len(s.parties), Cohort: lit.Cohort.Size, Rounds: lit.Rounds.Count, Dropout: s.faults.Dropout,
		Fidelity: s.cfg.Fidelity, Model: lit.Model.Architecture, Parameters: s.net.Schema().Total()}}
	if a := s.cfg.Adversary; a.Byzantine > 0 || a.attacks() {
		out.Config.Attack, out.Config.Byzantine = ptr(a.Attack.String()), a.Byzantine
	}
	f := &out.Final
	f.WallMS = milliseconds(wall)
	f.Crashes = s.crashes
	if g := s.plan.Guarantee(); g.Stated() {
		f.Delta = ptr(g.Noise().Delta)
	}
	for _, r := range s.rounds {
		f.EpsilonReleased, f.EpsilonCoordinator = r.EpsilonReleased, r.EpsilonCoordinator
		if r.Outcome == Released {
			f.RoundsCompleted++
			f.TestAccuracy, f.TestLoss, f.AttackSuccess = r.TestAccuracy, r.TestLoss, r.AttackSuccess
		} else {
			f.RoundsFailed++
		}
	}
	if s.detection != nil {
		out.Detection = s.detection.result()
	}
	if v := s.violation.Load(); v != nil {
		return out, fmt.Errorf("seed %d: %w: %s", s.cfg.Seed, ErrInvariant, *v)
	}
	if err := s.stopped.Load(); err != nil {
		return out, fmt.Errorf("seed %d: %w", s.cfg.Seed, *err)
	}
	st := s.engine.State()
	f.ModelDigest, f.Status, f.Reason = st.Model.String(), st.Status.String(), st.Reason
	b, err := s.model(st.Model)
	if err == nil {
		out.Model, err = readModel(b)
	}
	if out.Audit, err = s.auditor.report(s.plan, *f, err); err != nil {
		return out, err
	}
	switch st.Status {
	case coordinator.Finished:
		return out, nil
	case coordinator.BudgetExhausted:
		return out, ErrBudget.At("%s", st.Reason)
	}
	return out, fmt.Errorf("run %s: %s", st.Status, st.Reason)
}
