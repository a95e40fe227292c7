package adversary

import "github.com/choir-fl/choir/fault"

// Refusals.
var (
	// ErrSpec is text that names no attack, or a parameter that the attack does not have
	// or cannot take.
	ErrSpec = fault.New(fault.Usage, "adversary/spec", "the attack cannot be read", "write NAME or NAME:PARAMETER=VALUE,... with a name and parameters from the list of attacks")
	// ErrKnown is a Known that contradicts itself or lacks what the attack needs.
	ErrKnown = fault.New(fault.Invalid, "adversary/known", "the attackers lack what the attack needs", "hand it in, or choose another attack")
	// ErrAlone is an attack that hides in the deviation of the updates it knows, where it
	// knows only one.
	ErrAlone = fault.New(fault.Refused, "adversary/alone", "one known update has no deviation to hide in", "set knowledge=all or more attackers, or leave the attacker honest this round and say so")
	// ErrData are data that the attack cannot poison.
	ErrData = fault.New(fault.Usage, "adversary/data", "the attack does not fit the data", "choose classes that exist and a trigger that fits into an example")
)
