package share

import "github.com/choir-fl/choir/fault"

// Refusals of this package. None carries a secret or a share.
var (
	// ErrPoints: a point is outside 1..MaxPoint, or two are equal. Point 0 is the secret itself.
	ErrPoints = fault.New(fault.Invalid, "oneshot-share/points", "points are not distinct numbers from 1 to 16", "give each member of the committee its own index")
	// ErrDegree: the degree is outside 1..MaxDegree.
	ErrDegree = fault.New(fault.Invalid, "oneshot-share/degree", "degree is not from 1 to 5", "take the number of members that may be corrupt")
	// ErrTooFew: Split has not more points than the degree; Combine and Consistent have fewer than 2*degree+1.
	ErrTooFew = fault.New(fault.Invalid, "oneshot-share/too-few", "too few members for the degree", "wait for more: opening takes twice as many as may be corrupt, and one")
	// ErrLength: a vector or its encoding has another length than the others demand.
	ErrLength = fault.New(fault.Invalid, "oneshot-share/length", "vector of shares has a wrong length", "use the number of secrets that the plan gives")
	// ErrRange: an element is not below Prime.
	ErrRange = fault.New(fault.Invalid, "oneshot-share/range", "element is not below 2^31-1", "reject the message")
	// ErrCoins: the source of randomness failed or is not random.
	ErrCoins = fault.New(fault.Internal, "oneshot-share/coins", "no randomness for the shares", "give a cryptographically secure source")
	// ErrUndecodable: more answers are wrong than can be corrected.
	ErrUndecodable = fault.New(fault.Refused, "oneshot-share/undecodable", "answers do not lie on one polynomial, and too many are wrong to tell which", "drop this sum; if more members can answer, ask them")
)
