package oneshot

import "github.com/choir-fl/choir/fault"

const dishonest = "the coordinator is faulty or dishonest: leave the round"

// What the scheme itself demands of a plan and of a session.
var (
	// ErrParameters refuses parameters that are malformed or cannot be met.
	ErrParameters = fault.New(fault.Refused, "oneshot/parameters", "parameters of scheme oneshot are not acceptable", "correct the plan")
	// ErrCohort refuses an attempt with too few or too many admitted clients.
	ErrCohort = fault.New(fault.Refused, "oneshot/cohort", "number of admitted clients is not acceptable to scheme oneshot", "admit at least 16, or declare cross_silo and name every party")
	// ErrHonest refuses sums that may hold fewer than two honest clients.
	ErrHonest = fault.New(fault.Refused, "oneshot/honest", "an opened sum may hold fewer than two honest clients", "raise the minimum, or lower the corrupt share")
	// ErrAnnouncement refuses what a committee member announced, or a session that
	// holds another announcement of a member than its own.
	ErrAnnouncement = fault.New(fault.Refused, "oneshot/announcement", "announcement of a committee member is missing, malformed or not its own", dishonest)
)

// Why a party refuses an instruction (beside those of package secagg).
var (
	// ErrContext refuses a message of another round, attempt, model, roster or plan.
	ErrContext = fault.New(fault.Conflict, "oneshot/context", "message belongs to another attempt", "drop it")
	// ErrTwoContexts: this committee member signed another context for this attempt.
	ErrTwoContexts = fault.New(fault.Refused, "oneshot/two-contexts", "another context was already signed for this attempt", dishonest)
	// ErrQuorum: too few committee members signed the same statement.
	ErrQuorum = fault.New(fault.Refused, "oneshot/quorum", "fewer than a quorum of the committee signed the same statement", dishonest)
	// ErrNonce: a nonce is not the one that its owner committed to.
	ErrNonce = fault.New(fault.Refused, "oneshot/nonce", "nonce of a committee member differs from its commitment, or is missing", dishonest)
	// ErrBucket: a bucket of the survivors is smaller than may be opened.
	ErrBucket = fault.New(fault.Refused, "oneshot/bucket", "a bucket has fewer survivors than may be opened", dishonest)
	// ErrFailed: the survivors hold a client whose letter this member could not use.
	ErrFailed = fault.New(fault.Refused, "oneshot/failed", "survivors hold a client whose letter was found bad", dishonest)
	// ErrLetter: a letter is not what its client signed, or not the one judged before.
	ErrLetter = fault.New(fault.Refused, "oneshot/letter", "letter does not belong to an accepted upload", dishonest)
	// ErrCoins: the source of randomness failed.
	ErrCoins = fault.New(fault.Internal, "oneshot/coins", "no randomness", "repair the device's random number generator")
	// ErrWrite: the sealed vector or a snapshot could not be written out.
	ErrWrite = fault.New(fault.Unavailable, "oneshot/write", "bytes could not be written", "wait for the next round")
)

// Why the coordinator refuses a message or gives an attempt up.
var (
	// ErrMessage refuses a message whose parts are not what the phase asks for.
	ErrMessage = fault.New(fault.Invalid, "oneshot/message", "message is not what the phase asks for", "the sender must be repaired or updated")
	// ErrWithheld: a nonce that the attempt needs did not come.
	ErrWithheld = fault.New(fault.Aborted, "oneshot/withheld", "a committee member held its nonce back", "leave its nonce out of the next attempt")
	// ErrAbsent: too few committee members are left.
	ErrAbsent = fault.New(fault.Aborted, "oneshot/absent", "fewer committee members are left than the attempt needs", "start another attempt when they are back")
	// ErrSums: what the committee members answered does not open a bucket.
	ErrSums = fault.New(fault.Aborted, "oneshot/sums", "answers of the committee do not open the sum", "leave the bucket out: clients or committee members are faulty or dishonest")
	// ErrOpening refuses an opening of another attempt, or one that was erased.
	ErrOpening = fault.New(fault.Invalid, "oneshot/opening", "opening does not belong to this sum", "open each sum with its own attempt's opening")
	// ErrPieces: a piece was added or unmasked another number of times than it must.
	ErrPieces = fault.New(fault.Aborted, "oneshot/pieces", "sum lacks a piece of an upload or holds one twice", "start another attempt")
	// ErrSnapshot refuses bytes that are not a snapshot of such a sum.
	ErrSnapshot = fault.New(fault.Invalid, "oneshot/snapshot", "not a snapshot of this attempt's sums", "rebuild the sums from the uploads")
)
