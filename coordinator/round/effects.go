package round

import "github.com/choir-fl/choir/secagg"

// TaskID names a task within its attempt.
type TaskID uint32

// TaskKind says what a task does.
type TaskKind uint8

const (
	// TaskAdd adds a member's stored upload to its bucket.
	TaskAdd TaskKind = 1
	// TaskMerge loads a checkpoint into the empty accumulator.
	TaskMerge TaskKind = 2
	// TaskOpen unmasks the sums, applies them to the model and stores the result.
	TaskOpen TaskKind = 3
)

// Task is vector work for the caller, whose result comes back as TaskDone.
type Task struct {
	ID     TaskID
	Kind   TaskKind
	Member int           // TaskAdd
	Bucket int           // TaskAdd
	Blob   secagg.Digest // TaskAdd, TaskMerge
	// Open rebuilds the secret for TaskOpen, which whoever runs the task erases. It
	// is heavy; it only reads, and may run while the machine takes events.
	Open func() (secagg.Opening, error)
}

// Charge is what an attempt asks of the privacy ledger. Amounts follow from the
// plan; the machine says when. After a restart the last charge may be asked for
// again: a ledger takes it once.
type Charge uint8

const (
	// ChargeReserve must be durable before keys are requested.
	ChargeReserve Charge = 1
	// ChargeSettle follows a release.
	ChargeSettle Charge = 2
	// ChargeVoid frees the reservation of an attempt that failed before unmasking began.
	ChargeVoid Charge = 3
)

// Effects is what must be done about an event, in the order of the fields:
// what is persisted must be durable before anything else happens.
type Effects struct {
	// Persist is the event's journal record; nil if the event need not survive.
	Persist []byte
	// Charge is zero if the ledger is not concerned.
	Charge Charge
	// Notify lists the parties for whom Envelope or Posted has something new.
	Notify []int
	// Dismiss lists the parties that came to an attempt which failed before they had
	// numbers: Envelope tells them so.
	Dismiss []secagg.PartyID
	Tasks   []Task
	// Commit asks to make the result of TaskOpen the head of the run, then to
	// step with Committed.
	Commit bool
	// Audit lists what an auditor should know.
	Audit []string
	// Wake is when the machine wants its next Tick; zero for never.
	Wake Instant
	// Outcome is set once, when the attempt is over.
	Outcome *Outcome
}

// Outcome is how an attempt ended.
type Outcome struct {
	Released bool
	Reason   string // why it failed
	// Culprits are the parties whose cheating was proven, or who held back what the
	// attempt cannot do without.
	Culprits []secagg.PartyID
	// Survivors are the members in each bucket, if it got that far: none in a bucket
	// that too few were left in. Spoiled are the buckets that could not be opened.
	Survivors [][]secagg.PartyID
	Spoiled   []int
	// SumSpoiled says that the attempt failed because no sum could be opened for
	// what was in it.
	SumSpoiled bool
	// Liars are the parties whose answers were found wrong when the sums were opened,
	// whether or not they could be corrected.
	Liars []secagg.PartyID
	// Absent are the committee members that had not announced when admission closed.
	Absent []secagg.PartyID
}
