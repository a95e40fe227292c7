package sim

import (
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/plain"
)

// stand is plain in place of another scheme: noise is shared as under that one, so that
// the integers are the same.
type stand struct {
	plain.Scheme
	replaces Scheme
}

// Honest implements secagg.HonestScheme.
func (s stand) Honest(p secagg.Policy) (int, error) { return s.replaces.Honest(p) }

// FairPartition implements secagg.HonestScheme.
func (s stand) FairPartition() (bits int, fair bool) { return s.replaces.FairPartition() }

// Chance implements secagg.HonestScheme.
func (s stand) Chance(p secagg.Policy) float64 { return s.replaces.Chance(p) }

// Hides implements secagg.HonestScheme: what is promised is what the other one promises.
func (s stand) Hides() bool { return s.replaces.Hides() }
