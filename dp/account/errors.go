package account

import (
	"math"

	"github.com/choir-fl/choir/fault"
)

// Refusals of the accountants.
var (
	ErrTarget      = fault.New(fault.Usage, "account/target", "not a privacy target", "give a delta in (0,1) and a finite epsilon, positive where it is a budget")
	ErrUnsupported = fault.New(fault.Refused, "account/unsupported", "this accountant does not cover the event", "use another accountant, or state the event without sampling")
	ErrOrder       = fault.New(fault.Invalid, "account/order", "not a Renyi order that this bound holds at", "use an order above 1, and a whole one where the bound asks for it")
	ErrTooLarge    = fault.New(fault.Exhausted, "account/too-large", "the grid would not fit in memory", "use the rdp accountant, or more noise")
	ErrBudget      = fault.New(fault.Refused, "account/budget", "the privacy budget does not allow this event", "stop the run, or begin another with its own budget")
	ErrNoSolution  = fault.New(fault.Refused, "account/no-solution", "no value in the range reaches the target", "widen the range, or ask for less")
)

func checkDelta(delta float64) error {
	if !(delta > 0 && delta < 1) {
		return ErrTarget.At("delta %g", delta)
	}
	return nil
}

func checkEpsilon(epsilon float64) error {
	if !(epsilon >= 0) || math.IsInf(epsilon, 1) {
		return ErrTarget.At("epsilon %g", epsilon)
	}
	return nil
}
