package mf

import "github.com/choir-fl/choir/fault"

// Refusals of this package; compare with errors.Is. None holds noise, a buffer or a seed.
var (
	// ErrName is a name of no family or criterion.
	ErrName = fault.New(fault.Usage, "mf/name", "no such name", "name the family tree, bandmf or blt")
	// ErrParticipation is a participation pattern that makes no sense or is out of range.
	ErrParticipation = fault.New(fault.Refused, "mf/participation", "not a participation pattern that can be accounted for",
		"state steps, a cap of participations (0: none) and a separation of at least 1")
	// ErrParameters is a mechanism that contradicts itself or leaves its range.
	ErrParameters = fault.New(fault.Refused, "mf/parameters", "parameters of the matrix mechanism are not acceptable", "correct the plan")
	// ErrNoise is noise that the integer construction cannot carry.
	ErrNoise = fault.New(fault.Refused, "mf/noise", "noise does not fit the integer lattice", "change the scale of the encoding or the noise")
	// ErrRelation is a relation under which there is no guarantee.
	ErrRelation = fault.New(fault.Refused, "mf/relation", "no guarantee under this relation", "state zero-out or replace-one")
	// ErrStep is a step out of order or after the last.
	ErrStep = fault.New(fault.Conflict, "mf/step", "noise of another step is due", "draw each step once and in order, or restore the snapshot taken before it")
	// ErrErased is a generator that was erased, or that failed and erased itself.
	ErrErased = fault.New(fault.Conflict, "mf/erased", "the noise generator is erased", "restore the last snapshot")
	// ErrArgument is a call that breaks its contract.
	ErrArgument = fault.New(fault.Usage, "mf/argument", "argument is not what the run says", "pass vectors of the run's dimension and sums within its range")
	// ErrSnapshot is bytes that are no snapshot of this run.
	ErrSnapshot = fault.New(fault.Invalid, "mf/snapshot", "not a snapshot of this run's noise", "restore the snapshot that the same plan wrote, or end the run")
)
