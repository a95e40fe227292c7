package ddp

import "github.com/choir-fl/choir/fault"

var (
	// ErrParameters refuses parameters that contradict themselves or leave their range.
	ErrParameters = fault.New(fault.Refused, "ddp/parameters", "parameters of distributed differential privacy are not acceptable", "correct the plan")
	// ErrNarrow refuses noise shares below MinShareWidth: their sum is not close to one discrete Gaussian.
	ErrNarrow = fault.New(fault.Refused, "ddp/narrow", "noise share of one client is narrower than 2 grid steps", "raise the scale or the noise")
	// ErrHonest refuses sums that hold too few honest noise shares.
	ErrHonest = fault.New(fault.Refused, "ddp/honest", "a released sum may hold too few honest noise shares", "raise the minimum of survivors, or lower the corrupt share")
	// ErrRelation refuses a relation that a secure sum has no guarantee under.
	ErrRelation = fault.New(fault.Refused, "ddp/relation", "a secure sum promises nothing under this relation", "state zero-out or replace-one")
	// ErrClip refuses a division of the noise between update and clip-quantile bit.
	ErrClip = fault.New(fault.Refused, "ddp/clip", "adaptive clipping is not possible with these numbers", "raise the noise of the bit, or lower the noise multiplier")
	// ErrArgument refuses a call that breaks its contract.
	ErrArgument = fault.New(fault.Usage, "ddp/argument", "argument is not what the parameters say", "pass vectors of the lengths and extras of the bounds that were checked")
	// ErrNoise refuses noise that is missing, was used before, or was drawn for something else.
	ErrNoise = fault.New(fault.Internal, "ddp/noise", "noise is missing, was used before or is of another mechanism", "draw fresh noise with this mechanism for each contribution")
	// ErrCoins says that the source of randomness failed.
	ErrCoins = fault.New(fault.Internal, "ddp/coins", "no randomness", "repair the device's random number generator")
)
