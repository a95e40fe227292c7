package noise

import "github.com/choir-fl/choir/fault"

// What this package refuses. Compare with errors.Is. No error holds a sample
// or a coin.
var (
	// ErrParameter is a variance, scale or mean outside the range of its sampler.
	ErrParameter = fault.New(fault.Usage, "noise/parameter", "the parameter is outside the sampler's range",
		"choose another noise or scale")
	// ErrSampler is a sampler that no constructor made.
	ErrSampler = fault.New(fault.Usage, "noise/sampler", "the sampler is empty", "make it with its constructor")
	// ErrCoins is a reader of coins that is missing, ended, failed, or gave
	// what no random source gives (less likely than 2^-500).
	ErrCoins = fault.New(fault.Unavailable, "noise/coins", "the coins failed", "check the source of randomness and draw again")
	// ErrPool is a pool that is asked for more than it holds, or is filled
	// with noise that no int32 holds.
	ErrPool = fault.New(fault.Usage, "noise/pool", "the pool cannot do this", "fill the pool for the whole round first")
	// ErrOverflow is noise that does not fit the value it is added to.
	ErrOverflow = fault.New(fault.Invalid, "noise/overflow", "the sum of value and noise leaves its type",
		"bound the values so that the noise fits above them")
	// ErrPrecision is a cumulative table whose digits no precision settles.
	ErrPrecision = fault.New(fault.Internal, "noise/precision", "the digits of the cumulative table do not settle",
		"report the parameters")
)
