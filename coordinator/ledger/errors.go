package ledger

import "github.com/choir-fl/choir/fault"

// Refusals of the ledger.
var (
	ErrGenesis     = fault.New(fault.Refused, "ledger/genesis", "not a budget that can be enforced", "state population, unit client, relation, clients, delta, and a positive epsilon at an order of the accountant for each observer")
	ErrOtherBudget = fault.New(fault.Refused, "ledger/other-budget", "the population has a ledger with another budget", "state the budget on record, or name another population")
	ErrCharge      = fault.New(fault.Refused, "ledger/charge", "not a charge that this ledger can hold", "state events that can be priced, under the relation of the ledger")
	ErrBudget      = fault.New(fault.Refused, "ledger/budget", "the privacy budget of the population does not allow this", "stop the run; what was released stays charged")
	ErrConflict    = fault.New(fault.Conflict, "ledger/conflict", "the attempt is on record with something else", "release nothing; begin another attempt")
	ErrUnknown     = fault.New(fault.NotFound, "ledger/unknown", "the attempt was never reserved", "reserve before anything is asked of clients")
	ErrRecord      = fault.New(fault.Invalid, "ledger/record", "the ledger is damaged or was changed", "restore a copy that is not older; a budget is never begun anew")
	ErrRolledBack  = fault.New(fault.Refused, "ledger/rolled-back", "the ledger is older than one that was seen", "restore the newest copy; what it holds was released")
	ErrAccountant  = fault.New(fault.Refused, "ledger/accountant", "this accountant prices the same facts lower than the one on record", "use the version that wrote the ledger, or find out which of them is wrong")
	ErrFenced      = fault.New(fault.Conflict, "ledger/fenced", "another writer has the ledger", "share one book among all jobs of the population, or reopen it")
	ErrBroken      = fault.New(fault.Unavailable, "ledger/broken", "an append failed, so what is on record is unknown", "reopen the store and the ledger")
	ErrRetired     = fault.New(fault.Refused, "ledger/retired", "the ledger was closed for good", "name another population")
	ErrReadOnly    = fault.New(fault.Refused, "ledger/read-only", "the ledger was opened to be read", "open it for writing")
	ErrFull        = fault.New(fault.Exhausted, "ledger/full", "the ledger holds as many records as it can", "name another population")
)
