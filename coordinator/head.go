package coordinator

import (
	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// Status is what a run is doing.
type Status uint8

const (
	// Running: rounds are under way.
	Running Status = 1
	// Paused: no new attempt begins until the run is resumed.
	Paused Status = 2
	// Finished: all rounds are done, or a stop rule ended the run.
	Finished Status = 3
	// Stopped: an operator ended the run, or a round failed in all its attempts.
	Stopped Status = 4
)

var statusNames = [...]string{"unknown", "running", "paused", "finished", "stopped"}

// String names the status.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return statusNames[0]
}

// ErrHead is a head record that this version cannot read.
var ErrHead = fault.New(fault.Internal, "coordinator/head", "head record cannot be read", "use the version that wrote it, or restore a backup")

// head is the one small record that says where a run stands. It is replaced by
// compare-and-swap and is the single source of truth: blobs and journals that it
// does not lead to are leftovers.
type head struct {
	plan      secagg.Digest
	status    Status
	reason    string // why the run stopped or finished
	rounds    uint32 // completed
	round     uint32 // number of the round under way; a round that failed for good keeps its number
	attempt   uint32 // of the round under way
	model     secagg.Digest
	modelSize int64
	optimizer secagg.Digest // blob of the optimiser's moments; zero if it has none
	moments   string        // the optimiser that they are of
	seed      secagg.Digest // secret: draws the cohorts
	ledger    secagg.Digest
	audit     secagg.Digest
	bestLoss  float64 // lowest federated loss so far
	waited    uint32  // rounds since then
	ended     string  // the history's line of the latest attempt that ended
	// Of the round under way: what its failed attempts lead to (round.Settings).
	fallback        bool
	leftOut, absent []secagg.PartyID
}

const headVersion = 1

func addresses(ids []secagg.PartyID) [][]byte {
	out := make([][]byte, len(ids))
	for i, id := range ids {
		out[i] = []byte(id)
	}
	return out
}

func partyIDs(items [][]byte) []secagg.PartyID {
	var out []secagg.PartyID
	for _, it := range items {
		out = append(out, secagg.PartyID(it))
	}
	return out
}

func (h head) encode() []byte {
	var e secagg.Encoder
	e.Uint(1, headVersion)
	e.Digest(2, h.plan)
	e.Uint(3, uint64(h.status))
	e.String(4, h.reason)
	e.Uint(5, uint64(h.rounds))
	e.Uint(6, uint64(h.attempt))
	e.Digest(7, h.model)
	e.Uint(8, uint64(h.modelSize))
	e.Digest(9, h.optimizer)
	e.Digest(10, h.seed)
	e.Digest(11, h.ledger)
	e.Digest(12, h.audit)
	e.Float(13, h.bestLoss)
	e.Uint(14, uint64(h.waited))
	e.Uint(15, uint64(h.round))
	e.String(16, h.ended)
	e.String(17, h.moments)
	e.Bool(18, h.fallback)
	e.List(19, addresses(h.leftOut))
	e.List(20, addresses(h.absent))
	return e.Encoded()
}

func decodeHead(b []byte) (head, error) {
	d := secagg.NewDecoder(b)
	if v := d.Uint(1); v != headVersion {
		return head{}, ErrHead.At("version %d", v)
	}
	h := head{plan: d.Digest(2), status: Status(d.Int(3, 255)), reason: d.String(4), rounds: uint32(d.Size(5, 1<<31)),
		attempt: uint32(d.Size(6, 1<<31)), model: d.Digest(7), modelSize: d.Size(8, secagg.MaxUpload), optimizer: d.Digest(9),
		seed: d.Digest(10), ledger: d.Digest(11), audit: d.Digest(12), bestLoss: d.Float(13), waited: uint32(d.Size(14, 1<<31)), round: uint32(d.Size(15, 1<<31)),
		ended: d.String(16), moments: d.String(17), fallback: d.Bool(18), leftOut: partyIDs(d.List(19, secagg.MaxCommittee)),
		absent: partyIDs(d.List(20, secagg.MaxCommittee))}
	if err := d.Close(); err != nil {
		return head{}, ErrHead.Because(err)
	}
	if h.plan == (secagg.Digest{}) || h.model == (secagg.Digest{}) || h.seed == (secagg.Digest{}) || h.round == 0 || h.attempt == 0 ||
		h.status < Running || h.status > Stopped {
		return head{}, ErrHead.At("a part without which no run can go on")
	}
	return h, nil
}

// encodeBegan is the first record of an attempt's journal: when it began.
func encodeBegan(at round.Instant) []byte {
	var e secagg.Encoder
	e.Uint(1, 1)
	e.Uint(2, uint64(at))
	return e.Encoded()
}

func decodeBegan(b []byte) (round.Instant, error) {
	d := secagg.NewDecoder(b)
	v, at := d.Uint(1), round.Instant(d.Size(2, 1<<63-1))
	if err := d.Close(); err != nil {
		return 0, err
	}
	if v != 1 {
		return 0, round.ErrJournal.At("journal of version %d", v)
	}
	return at, nil
}
