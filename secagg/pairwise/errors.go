package pairwise

import "github.com/choir-fl/choir/fault"

const dishonest = "the coordinator is faulty or dishonest: leave the round"

// What the scheme itself demands of a session.
var (
	// ErrParameters refuses parameters that are malformed or cannot be met.
	ErrParameters = fault.New(fault.Refused, "pairwise/parameters", "parameters of scheme pairwise are not acceptable", "correct the plan")
	// ErrCohort refuses an attempt with too few admitted clients.
	ErrCohort = fault.New(fault.Refused, "pairwise/cohort", "too few admitted clients for scheme pairwise", "admit at least 16, or declare cross_silo and name every party")
)

// Why a client leaves an attempt (beside those of package secagg: ErrSignature,
// ErrTooFew, ErrMembership, ErrEncoding).
var (
	// ErrContext refuses a message of another round, attempt, model, roster or plan.
	ErrContext = fault.New(fault.Conflict, "pairwise/context", "message belongs to another attempt", "drop it")
	// ErrAdvertisement: the own advertisement is missing from the list or was changed.
	ErrAdvertisement = fault.New(fault.Refused, "pairwise/advertisement", "own advertisement is missing from the list or was changed", dishonest)
	// ErrKey: an advertisement is not the one in the list that was agreed on.
	ErrKey = fault.New(fault.Refused, "pairwise/key", "keys of a neighbour differ from those in the agreed list", dishonest)
	// ErrTwoRosters: a neighbour was shown another list of advertisements.
	ErrTwoRosters = fault.New(fault.Refused, "pairwise/two-rosters", "a neighbour was shown another list of clients", dishonest)
	// ErrNeighbour: the neighbours shown contradict the choices that were made.
	ErrNeighbour = fault.New(fault.Refused, "pairwise/neighbour", "neighbours shown contradict the choices made", dishonest)
	// ErrHolders: too few holders of the own shares are left.
	ErrHolders = fault.New(fault.Aborted, "pairwise/holders", "fewer holders of the own shares are left than the threshold", "the attempt is over for this client; wait for the next round")
	// ErrPart: a neighbour's part of the share message is missing or malformed.
	ErrPart = fault.New(fault.Refused, "pairwise/part", "what a neighbour sent is missing or malformed", dishonest)
	// ErrSurvivors: the named survivors did not all share keys.
	ErrSurvivors = fault.New(fault.Refused, "pairwise/survivors", "survivor set names clients that did not share keys", dishonest)
	// ErrQuorum: too few members signed the same survivor set.
	ErrQuorum = fault.New(fault.Refused, "pairwise/quorum", "fewer than a quorum signed the same survivor set", dishonest)
	// ErrUnconfirmed: a survivor did not confirm that it masked for the agreed members.
	ErrUnconfirmed = fault.New(fault.Refused, "pairwise/unconfirmed", "a survivor masked its vector for other members than were agreed on", dishonest)
	// ErrCoins: the source of randomness failed.
	ErrCoins = fault.New(fault.Internal, "pairwise/coins", "no randomness", "repair the device's random number generator")
	// ErrWrite: the sealed vector could not be written out.
	ErrWrite = fault.New(fault.Unavailable, "pairwise/write", "sealed vector could not be written", "wait for the next round")
)

// Why the coordinator refuses a message or gives an attempt up.
var (
	// ErrMessage refuses a message whose parts are not what the phase asks for.
	ErrMessage = fault.New(fault.Invalid, "pairwise/message", "message is not what the phase asks for", "the sender must be repaired or updated")
	// ErrRebuild: a secret that is needed to open the sum could not be rebuilt.
	ErrRebuild = fault.New(fault.Aborted, "pairwise/rebuild", "a secret needed to open the sum cannot be rebuilt from the shares", "start another attempt")
	// ErrCheating: a member is proved to have sent keys or shares that do not belong together.
	ErrCheating = fault.New(fault.Aborted, "pairwise/cheating", "keys or shares of a client do not belong together", "exclude the client and start another attempt")
	// ErrOpening refuses an opening of another attempt, or one that was erased.
	ErrOpening = fault.New(fault.Invalid, "pairwise/opening", "opening does not belong to this sum", "open each sum with its own attempt's opening")
	// ErrPieces: a piece was added or unmasked another number of times than it must.
	ErrPieces = fault.New(fault.Aborted, "pairwise/pieces", "sum lacks a piece of an upload or holds one twice", "start another attempt")
	// ErrSnapshot refuses bytes that are not a snapshot of such a sum.
	ErrSnapshot = fault.New(fault.Invalid, "pairwise/snapshot", "not a snapshot of this attempt's sum", "rebuild the sum from the uploads")
	// ErrKnownAnswer: the words with a known sum came out wrong.
	ErrKnownAnswer = fault.New(fault.Aborted, "pairwise/known-answer", "opened sum is garbage: some client used wrong masks", "start another attempt")
)
