package coordinator

import (
	"time"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// Host is what an engine runs on: the wall clock, a worker pool and the network
// in a server; virtual time in the simulator.
type Host interface {
	// Now returns the present. It is not called from within Work.
	Now() time.Time
	// Wake asks for Engine.Tick at the given time; a later call replaces an earlier one.
	Wake(at time.Time)
	// Work runs run, possibly concurrently with everything else, and afterwards
	// calls what it returned. It does not call run before Work has returned.
	Work(w Work, run func() (finish func()))
	// Notify says that Envelope or Letters has something new for these parties.
	Notify(parties []secagg.PartyID)
}

// Work describes a piece of vector work, so that a simulator can model its time.
type Work struct {
	Name  string // verify, add, merge, checkpoint, open
	Bytes int64  // of input
}

// Registry lists the clients that are enrolled and not revoked.
type Registry interface {
	Clients() []secagg.PartyID
}

// Ledger keeps the privacy budget that a job's attempts are charged to. What an attempt
// costs follows from the plan. Calls are durable when they return.
type Ledger interface {
	Charges
	Balance
}

// Charges books attempts. Each call may be repeated, and counts once.
type Charges interface {
	// Reserve is called before keys are requested. An error of class Refused says that
	// the budget does not allow the attempt, and ends the run.
	Reserve(id secagg.RoundID) error
	// Settle follows a release of the given digest; Void an attempt that failed before
	// unmasking began, whether or not it was reserved.
	Settle(id secagg.RoundID, released secagg.Digest) error
	Void(id secagg.RoundID) error
}

// Balance says where the budget stands.
type Balance interface {
	// Room returns nil if another attempt could be reserved, or the refusal.
	Room() error
	// Spent bounds what an observer has learned of a client from the job's attempts that
	// are charged, at the plan's delta; false if nothing is promised against it.
	Spent(o dp.Observer) (epsilon float64, ok bool)
	// Has reports whether an attempt is on record, whatever became of it.
	Has(id secagg.RoundID) bool
	// Head is the ledger's present state.
	Head() secagg.LedgerHead
	// NotOlder refuses a ledger that lacks what an earlier head says.
	NotOlder(secagg.LedgerHead) error
}

// noLedger is that of plans without noise, which spend no budget because they promise
// no privacy beyond that of the scheme.
type noLedger struct{}

func (noLedger) Reserve(secagg.RoundID) error               { return nil }
func (noLedger) Settle(secagg.RoundID, secagg.Digest) error { return nil }
func (noLedger) Void(secagg.RoundID) error                  { return nil }
func (noLedger) Room() error                                { return nil }
func (noLedger) Spent(dp.Observer) (float64, bool)          { return 0, false }
func (noLedger) Has(secagg.RoundID) bool                    { return false }
func (noLedger) Head() secagg.LedgerHead                    { return secagg.LedgerHead{} }
func (noLedger) NotOlder(secagg.LedgerHead) error           { return nil }

// Observer is told what happens. It is called with the engine locked: it returns
// quickly and does not call the engine.
type Observer interface {
	// RoundBegan reports an attempt that admits clients; nil means anybody.
	RoundBegan(id secagg.RoundID, invited []secagg.PartyID)
	// RoundOver reports an attempt that ended. model is the new model if it was
	// released, to look at and not to change.
	RoundOver(r Report, model tensor.Model)
	// Audit records a fact about an attempt, without payloads or secrets.
	Audit(id secagg.RoundID, entry string)
}

// Report is what is known of one attempt after it ended.
type Report struct {
	ID        secagg.RoundID
	Began     time.Time
	Ended     time.Time
	Invited   int
	Admitted  int
	Survivors int
	Buckets   int
	Released  bool
	Reason    string // why it failed
	Culprits  []secagg.PartyID
	Members   [][]secagg.PartyID // survivors in each bucket; none in one that was not used
	Short     int                // buckets that too few clients were left in
	Spoiled   int                // buckets that could not be opened for what was in them
	// Model and its predecessor.
	Model, Parent secagg.Digest
	// UploadBytes is the size of one client's upload.
	UploadBytes int64
	// Weight is the summed weight, in clients; 0 under noise, which nobody weighs under.
	Weight float64
	// ClipNorm is what updates were clipped to, and Spent what has been learned of a
	// client since the run began, this attempt included; zero without noise.
	ClipNorm float64
	Spent    Spent
	// Clipped is the share of the expected clients whose updates were clipped, from the sum
	// of their bits, which is noised: it may be below 0 or above 1, and who did not come
	// counts a half. Nil where the plan does not adapt the clip norm: nothing else tells.
	Clipped *float64
	// UpdateNorm is the L2 norm of the mean update.
	UpdateNorm float64
	// Figures say what the rule did and what it saw; nil if nothing was opened.
	Figures *Figures
	// Holdout measures the new model, or the one that was refused; nil without a holdout.
	Holdout *Measurement
	// Trend is what Holdout leads to expect of the next attempt's model; nil without one.
	Trend *Trend
	// RolledBack says that Model is the run's best one, to which it went back.
	RolledBack bool
	Alerts     []Alert
	// Quarantined is how many clients were left out of the attempt.
	Quarantined int
	// Pass is which of the passes at a step of the model it was, of rule rfa; 0 under others.
	Pass int
	// Federated evaluation of the parent model; nil if nobody evaluated.
	Evaluation *Evaluation
}

// Evaluation is the clients' own measurement of a model, summed securely.
type Evaluation struct {
	Weight   float64 `json:"weight"` // summed weight, in clients
	Accuracy float64 `json:"accuracy"`
	Loss     float64 `json:"loss"` // mean per example
}

// Spent is what has been learned of one client, at a delta: nil where nothing is promised.
type Spent struct {
	// Released is for those who see released models, Coordinator for those who see
	// rosters: the coordinator, decryptors, peers, readers of its logs.
	Released    *float64 `json:"epsilon_released,omitempty"`
	Coordinator *float64 `json:"epsilon_coordinator,omitempty"`
	Delta       *float64 `json:"delta,omitempty"`
}
