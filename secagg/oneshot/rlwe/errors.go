package rlwe

import "github.com/choir-fl/choir/fault"

var (
	// ErrParameters refuses parameters that contradict each other or leave the allowed ranges.
	ErrParameters = fault.New(fault.Refused, "rlwe/parameters", "parameters of the encrypted sum are not acceptable", "correct the plan")
	// ErrArgument is a call that breaks its contract: a wrong length, a chunk that does not exist,
	// a word or a secret out of its range, a value that was erased or never made.
	ErrArgument = fault.New(fault.Internal, "rlwe/argument", "encrypted sum is used wrongly", "report this as a fault of the program")
	// ErrCoins says that the source of randomness failed.
	ErrCoins = fault.New(fault.Internal, "rlwe/coins", "no randomness", "repair the device's random number generator")
	// ErrPiece refuses bytes that are not an encrypted chunk.
	ErrPiece = fault.New(fault.Invalid, "rlwe/piece", "not an encrypted chunk of this sum", "the sender must be repaired or updated")
	// ErrSnapshot refuses bytes that are not a snapshot of such a sum, and a sum that such bytes spoiled.
	ErrSnapshot = fault.New(fault.Invalid, "rlwe/snapshot", "not a snapshot of this sum", "rebuild the sum from the uploads")
	// ErrWrite says that a snapshot could not be written out.
	ErrWrite = fault.New(fault.Unavailable, "rlwe/write", "snapshot of a sum could not be written", "free some space and try again")
	// ErrKey refuses a sum of secrets that so many honest secrets cannot have.
	ErrKey = fault.New(fault.Aborted, "rlwe/key", "sum of the secrets is out of its bounds", "leave the bucket out: a client or a decryptor is faulty or dishonest")
	// ErrNoise refuses a sum whose noise is beyond what so many honest chunks can have.
	ErrNoise = fault.New(fault.Aborted, "rlwe/noise", "sum does not open: its noise is out of its bounds", "leave the bucket out: a client or a decryptor is faulty or dishonest")
)
