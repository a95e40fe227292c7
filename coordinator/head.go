package coordinator

import (
	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
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
	// BudgetExhausted: the privacy budget allows no further attempt.
	BudgetExhausted Status = 5
)

var statusNames = [...]string{"unknown", "running", "paused", "finished", "stopped", "budget_exhausted"}

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
	ledger    secagg.LedgerHead
	audit     secagg.Digest
	bestLoss  float64 // lowest federated loss so far
	waited    uint32  // rounds since then
	ended     string  // the history's line of the latest attempt that ended
	// Of the round under way: what its failed attempts lead to (round.Settings).
	fallback        bool
	leftOut, absent []secagg.PartyID
	clipNorm        float64 // of the round under way; zero without noise
	// The latest release, which the ledger may not have heard of.
	lastRound, lastAttempt uint32
	// noise is secret: what the coordinator's own noise in the attempt under way is drawn
	// from; zero in a run without noise. That of earlier attempts cannot be found from it, so that
	// whoever steals a head cannot take the noise off what was released.
	noise secagg.Digest
	// step is a blob of the aggregate that led to the model, and reputation one of the
	// clients'; zero if there is none.
	step, reputation secagg.Digest
	best             best
	refused          uint32 // attempts that the gate refused since it let one pass
	opposed          uint32 // released rounds in a row whose aggregate turned against the last
	trend            trend
}

// blobs are those that the head leads to, zero ones included.
func (h head) blobs() []secagg.Digest {
	return []secagg.Digest{h.model, h.optimizer, h.step, h.reputation, h.best.model}
}

// next moves on to the next attempt at a round, or to the first of the next round.
func (h *head) next(round, attempt uint32) {
	h.round, h.attempt = round, attempt
	if h.noise != (secagg.Digest{}) {
		h.noise = field.Derive(h.noise, "next attempt")
	}
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
	e.Digest(11, h.ledger.Digest)
	e.Digest(12, h.audit)
	e.Float(13, h.bestLoss)
	e.Uint(14, uint64(h.waited))
	e.Uint(15, uint64(h.round))
	e.String(16, h.ended)
	e.String(17, h.moments)
	e.Bool(18, h.fallback)
	e.List(19, addresses(h.leftOut))
	e.List(20, addresses(h.absent))
	e.Uint(21, h.ledger.Count)
	e.Float(22, h.clipNorm)
	e.Uint(23, uint64(h.lastRound))
	e.Uint(24, uint64(h.lastAttempt))
	e.Digest(25, h.noise)
	e.Digest(26, h.step)
	e.Digest(27, h.reputation)
	e.Message(28, h.best.encode)
	e.Uint(29, uint64(h.refused))
	e.Uint(30, uint64(h.opposed))
	e.Message(31, h.trend.encode)
	return e.Encoded()
}

func decodeHead(b []byte) (head, error) {
	d := secagg.NewDecoder(b)
	if v := d.Uint(1); v != headVersion {
		return head{}, ErrHead.At("version %d", v)
	}
	h := head{plan: d.Digest(2), status: Status(d.Int(3, 255)), reason: d.String(4), rounds: uint32(d.Size(5, 1<<31)),
		attempt: uint32(d.Size(6, 1<<31)), model: d.Digest(7), modelSize: d.Size(8, secagg.MaxUpload), optimizer: d.Digest(9),
		seed: d.Digest(10), ledger: secagg.LedgerHead{Digest: d.Digest(11)}, audit: d.Digest(12), bestLoss: d.Float(13),
		waited: uint32(d.Size(14, 1<<31)), round: uint32(d.Size(15, 1<<31)), ended: d.String(16), moments: d.String(17), fallback: d.Bool(18), leftOut: partyIDs(d.List(19, secagg.MaxCommittee)),
		absent: partyIDs(d.List(20, secagg.MaxCommittee))}
	h.ledger.Count, h.clipNorm = d.Uint(21), d.Float(22)
	h.lastRound, h.lastAttempt = uint32(d.Size(23, 1<<31)), uint32(d.Size(24, 1<<31))
	h.noise = d.Digest(25)
	h.step, h.reputation = d.Digest(26), d.Digest(27)
	chosen := d.Bytes(28)
	h.refused, h.opposed = uint32(d.Size(29, 1<<31)), uint32(d.Size(30, 1<<31))
	expected := d.Bytes(31)
	err := d.Close()
	if err == nil && len(chosen) > 0 {
		h.best, err = decodeBest(chosen)
	}
	if err == nil && len(expected) > 0 {
		h.trend, err = decodeTrend(expected)
	}
	if err != nil {
		return head{}, ErrHead.Because(err)
	}
	if h.plan == (secagg.Digest{}) || h.model == (secagg.Digest{}) || h.seed == (secagg.Digest{}) || h.round == 0 || h.attempt == 0 ||
		h.status < Running || h.status > BudgetExhausted || (h.ledger == secagg.LedgerHead{}) != (h.noise == secagg.Digest{}) {
		return head{}, ErrHead.At("a part without which no run can go on")
	}
	return h, nil
}

func (b best) encode(e *secagg.Encoder) {
	e.Digest(1, b.model)
	e.Uint(2, uint64(b.size))
	e.Float(3, b.accuracy)
	e.Uint(4, uint64(b.round))
	e.Uint(5, uint64(b.attempt))
}

func decodeBest(b []byte) (best, error) {
	d := secagg.NewDecoder(b)
	out := best{model: d.Digest(1), size: d.Size(2, secagg.MaxUpload), accuracy: d.Float(3), round: uint32(d.Size(4, 1<<31)), attempt: uint32(d.Size(5, 1<<31))}
	return out, d.Close()
}

// began is the first record of an attempt's journal: when it began, what the ledger's
// head was then, which its context binds, and who was drawn, which must not be drawn
// again after a restart, when others may be enrolled.
type began struct {
	at     round.Instant
	ledger secagg.LedgerHead
	drawn  []secagg.PartyID
}

func (b began) encode() []byte {
	var e secagg.Encoder
	e.Uint(1, 1)
	e.Uint(2, uint64(b.at))
	e.Uint(3, b.ledger.Count)
	e.Digest(4, b.ledger.Digest)
	e.List(5, addresses(b.drawn))
	return e.Encoded()
}

func decodeBegan(b []byte) (began, error) {
	d := secagg.NewDecoder(b)
	v, out := d.Uint(1), began{at: round.Instant(d.Size(2, 1<<63-1)), ledger: secagg.LedgerHead{Count: d.Uint(3), Digest: d.Digest(4)},
		drawn: partyIDs(d.List(5, secagg.MaxRoster))}
	if err := d.Close(); err != nil {
		return began{}, err
	}
	if v != 1 {
		return began{}, round.ErrJournal.At("journal of version %d", v)
	}
	return out, nil
}
