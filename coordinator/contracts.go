package coordinator

import (
	"time"

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

// Ledger keeps the privacy budget. Calls are durable when they return.
type Ledger interface {
	// Reserve is called before keys are requested; an error ends the attempt. After
	// a restart the latest Reserve or Void may be repeated, and counts once.
	Reserve(id secagg.RoundID) error
	// Settle follows a release; Void an attempt that failed before unmasking began.
	Settle(id secagg.RoundID) error
	Void(id secagg.RoundID) error
	// Digest identifies the ledger's present state.
	Digest() secagg.Digest
}

// NullLedger charges nothing: for plans without noise, which spend no budget
// because they promise no privacy beyond that of the scheme.
type NullLedger struct{}

// Reserve implements Ledger.
func (NullLedger) Reserve(secagg.RoundID) error { return nil }

// Settle implements Ledger.
func (NullLedger) Settle(secagg.RoundID) error { return nil }

// Void implements Ledger.
func (NullLedger) Void(secagg.RoundID) error { return nil }

// Digest implements Ledger.
func (NullLedger) Digest() secagg.Digest { return secagg.Digest{} }

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
	// Weight is the summed weight, in clients.
	Weight float64
	// UpdateNorm is the L2 norm of the mean update.
	UpdateNorm float64
	// Federated evaluation of the parent model; nil if nobody evaluated.
	Evaluation *Evaluation
}

// Evaluation is the clients' own measurement of a model, summed securely.
type Evaluation struct {
	Weight   float64 `json:"weight"` // summed weight, in clients
	Accuracy float64 `json:"accuracy"`
	Loss     float64 `json:"loss"` // mean per example
}
