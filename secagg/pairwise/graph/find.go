package graph

import (
	"errors"
	"fmt"
	"math"
)

// Refusals of Find and Draw. Errors wrap one of them and say what to change.
var (
	// ErrClients: the number of clients is not one this package serves.
	ErrClients = errors.New("graph: number of clients out of range")
	// ErrShares: a share of corrupt clients or of drop-outs is not in [0, 1).
	ErrShares = errors.New("graph: share not in [0, 1)")
	// ErrTargets: PrivacyBits, FailureBits or Attempts is out of range.
	ErrTargets = errors.New("graph: target out of range")
	// ErrHonest: fewer than three clients are honest.
	ErrHonest = errors.New("graph: fewer than 3 honest clients")
	// ErrQuorum: with all drop-outs gone the rest is no quorum.
	ErrQuorum = errors.New("graph: survivors are fewer than the quorum")
	// ErrThreshold: with all drop-outs gone no threshold is both safe and reachable.
	ErrThreshold = errors.New("graph: no threshold is both safe and reachable")
	// ErrDraw: Draw was asked for an impossible list.
	ErrDraw = errors.New("graph: impossible draw")
	// ErrCoins: the source of randomness failed or is not random.
	ErrCoins = errors.New("graph: no randomness")
)

// Bounds on what Find accepts.
const (
	MaxClients     = 100_000
	MinClients     = 16  // without CrossSilo
	MinHonest      = 3   // always
	CompleteBelow  = 150 // fewer clients than this use the complete graph
	MinPrivacyBits = 40
	MaxPrivacyBits = 128
	MaxFailureBits = 64
	MaxAttempts    = 8
)

// shares are read to nine decimals.
const shareUnit = 1_000_000_000

// Spec says what a session must withstand.
type Spec struct {
	// Clients is n, the number of admitted clients: 16 (CrossSilo: 3) to MaxClients.
	Clients int
	// Corrupt is the largest share of the clients that collude with the server,
	// in [0, 1): at most ceil(Corrupt*Clients) of them. Nine decimals count.
	Corrupt float64
	// Dropout is the largest share of the clients that fail to answer at the end,
	// in [0, 1), read in the same way. It matters for success, not for secrecy.
	Dropout float64
	// CrossSilo admits fewer than 16 clients: every party is named and known to
	// the others.
	CrossSilo bool
	// PrivacyBits is b: all attempts of one session together fail to be private
	// with probability at most 2^-b, computational assumptions aside. 40 to 128;
	// the design says 40. Whoever runs B sessions side by side, one a bucket, adds
	// log2(B).
	PrivacyBits int
	// FailureBits is b: an attempt fails for want of holders with probability at
	// most 2^-b if no more drop out than declared. 1 to 64; the design says 20.
	FailureBits int
	// Attempts is the number of graphs the server may have drawn for one round
	// before it must use one, 1 to 8; it costs log2(Attempts) bits of privacy.
	Attempts int
}

// Parameters are a checked choice of degree and threshold. They are a plain value
// and equal specs give equal parameters on every platform, so a client can run
// Find itself and compare.
type Parameters struct {
	// Clients is n, the number of admitted clients.
	Clients int
	// Degree is k: how many out-neighbours, its share holders, each client draws.
	Degree int
	// Threshold is t: how many of its k holders rebuild a client's secret.
	Threshold int
	// Quorum is q: how many admitted clients must have signed the same survivor
	// set before an honest client releases anything.
	Quorum int
	// MaxCorrupt is f, the number of corrupt clients the guarantees allow for.
	MaxCorrupt int
	// MaxDropouts is D, the number of clients that may fail to answer.
	MaxDropouts int
	// Complete says that every client holds shares of every other; then the
	// guarantees are certain and not only likely.
	Complete bool
	// HonestFloor is the least number of honest inputs in any sum that can be
	// opened, whatever the server does. See HonestInSum.
	HonestFloor int
	// MaxIsolated is the largest number of honest members of a survivor set that a
	// deviating server can leave out of the sum it opens. See HonestInSum.
	MaxIsolated int
}

// Find returns the smallest degree, and with it the smallest threshold, that meet
// every condition of the package comment. The degree sets a client's cost; at
// that degree any admissible threshold keeps the privacy promised, and the
// smallest one leaves the most room for drop-outs and rebuilds fastest.
// Below CompleteBelow clients the graph is complete.
//
// Errors: ErrClients, ErrShares, ErrTargets, ErrHonest, ErrQuorum, ErrThreshold.
func Find(spec Spec) (Parameters, error) {
	c, err := spec.check()
	if err != nil {
		return Parameters{}, err
	}
	from := 1
	if c.clients < CompleteBelow {
		from = c.clients - 1
	}
	degree, threshold, found := c.search(from)
	if !found {
		return Parameters{}, fmt.Errorf("%w: of %d clients %d may be corrupt and %d drop out; declare fewer of either",
			ErrThreshold, c.clients, c.corrupt, c.dropouts)
	}
	pool := c.leastPool(degree, threshold, c.clients)
	return Parameters{
		Clients: c.clients, Degree: degree, Threshold: threshold, Quorum: c.quorum,
		MaxCorrupt: c.corrupt, MaxDropouts: c.dropouts, Complete: degree == c.clients-1,
		HonestFloor: pool - c.corrupt, MaxIsolated: c.mostIsolated(degree, pool),
	}, nil
}

// HonestInSum returns how many honest inputs an opened sum is sure to hold when
// the signed survivor set has the given number of members: the number that noise
// has to be calibrated for. It is 0 for so few survivors that nothing is opened.
func (p Parameters) HonestInSum(survivors int) int {
	if survivors < max(p.Quorum, p.HonestFloor) {
		return 0
	}
	return max(p.HonestFloor, survivors-p.MaxCorrupt-p.MaxIsolated)
}

// check turns the spec into numbers, or refuses it.
func (s Spec) check() (conditions, error) {
	n := s.Clients
	switch {
	case n < MinHonest || n > MaxClients:
		return conditions{}, fmt.Errorf("%w: %d, not %d to %d", ErrClients, n, MinHonest, MaxClients)
	case n < MinClients && !s.CrossSilo:
		return conditions{}, fmt.Errorf("%w: %d; fewer than %d need cross_silo, where every party is named", ErrClients, n, MinClients)
	case s.PrivacyBits < MinPrivacyBits || s.PrivacyBits > MaxPrivacyBits:
		return conditions{}, fmt.Errorf("%w: PrivacyBits %d, not %d to %d", ErrTargets, s.PrivacyBits, MinPrivacyBits, MaxPrivacyBits)
	case s.FailureBits < 1 || s.FailureBits > MaxFailureBits:
		return conditions{}, fmt.Errorf("%w: FailureBits %d, not 1 to %d", ErrTargets, s.FailureBits, MaxFailureBits)
	case s.Attempts < 1 || s.Attempts > MaxAttempts:
		return conditions{}, fmt.Errorf("%w: Attempts %d, not 1 to %d", ErrTargets, s.Attempts, MaxAttempts)
	}
	corrupt, err := countOf(s.Corrupt, n)
	if err != nil {
		return conditions{}, fmt.Errorf("corrupt: %w", err)
	}
	dropouts, err := countOf(s.Dropout, n)
	if err != nil {
		return conditions{}, fmt.Errorf("dropout: %w", err)
	}
	if n-corrupt < MinHonest {
		return conditions{}, fmt.Errorf("%w: %d of %d may be corrupt; admit more clients", ErrHonest, corrupt, n)
	}
	privacy := powerOfTwo(-s.PrivacyBits).scale(1, float64(s.Attempts))
	c := newConditions(n, corrupt, dropouts, privacy, powerOfTwo(-s.FailureBits))
	if n-dropouts < c.quorum {
		return conditions{}, fmt.Errorf("%w: %d of %d clients left, quorum %d; corrupt + 2*dropout must stay below 1",
			ErrQuorum, n-dropouts, n, c.quorum)
	}
	return c, nil
}

// newConditions splits the privacy target: half for (S), a quarter for (C) and a
// quarter for (I). Each bound is lowered by one part in 2^16, more than rounding
// errors add up to at MaxClients.
func newConditions(clients, corrupt, dropouts int, privacy, failure wide) conditions {
	const slack = 1 - 1.0/(1<<16)
	return conditions{
		clients: clients, corrupt: corrupt, dropouts: dropouts,
		quorum:       (clients+corrupt)/2 + 1,
		secrecy:      privacy.scale(slack, 2),
		connectivity: privacy.scale(slack, 4),
		isolation:    privacy.scale(slack, 4),
		survival:     failure.scale(slack, 1),
	}
}

// countOf returns ceil(share * n) for a share in [0, 1) read to nine decimals.
func countOf(share float64, n int) (int, error) {
	if !(share >= 0 && share < 1) {
		return 0, fmt.Errorf("%w: %v", ErrShares, share)
	}
	parts := int64(math.Round(float64(share * shareUnit)))
	return int((parts*int64(n) + shareUnit - 1) / shareUnit), nil
}
