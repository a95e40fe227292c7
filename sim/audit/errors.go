package audit

import (
	"math"

	"github.com/choir-fl/choir/fault"
)

// Refusals of audits.
var (
	ErrCount    = fault.New(fault.Invalid, "audit/count", "not a count of guesses", "give at least one canary, no more guesses than canaries and no more right than guessed")
	ErrLevel    = fault.New(fault.Usage, "audit/level", "not a level of an audit", "give a significance in (0,1), at least 1e-100, a delta in [0,1), above 0 for f-DP, and an epsilon that is not negative")
	ErrScores   = fault.New(fault.Invalid, "audit/scores", "not scores of canaries", "give one finite score and one coin for each of at least one canary")
	ErrCanaries = fault.New(fault.Usage, "audit/canaries", "not a plan of canaries", "give at least one canary, the dimension of an update, and a clip norm that float32 can hold")
	ErrRelease  = fault.New(fault.Invalid, "audit/release", "not a release that canaries can be scored by", "give finite values, one for each of an update's, and a roster that names canaries once each")
	ErrNoise    = fault.New(fault.Invalid, "audit/noise", "not noise that can be tested", "give at least one finite residual and a positive finite standard deviation")
)

// leastLevel keeps tails that underflow from being taken for refutations.
const leastLevel = 1e-100

func checkLevels(alpha, delta float64) error {
	if !(alpha >= leastLevel && alpha < 1) { // NaN fails
		return ErrLevel.At("significance %g", alpha)
	}
	if !(delta >= 0 && delta < 1) {
		return ErrLevel.At("delta %g", delta)
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
