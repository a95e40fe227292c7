package secaggtest

import (
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// Config says how a scheme is put to the test.
type Config struct {
	// Policy is what the plan states. Clients and Minimum are set for each cohort:
	// the minimum is what is left when all declared drop-outs are gone, and all that
	// corrupt members of a committee may have left out.
	Policy secagg.Policy
	// Cohorts are the sizes that are tried.
	Cohorts []int
	// Divided is what is tried under the view of bucket means instead; nil for a
	// scheme that does not have it.
	Divided *Divided
	// Committees are the sizes of the committees that are tried; nil for a scheme
	// without one. Reveal is the phase up to whose end no member of a committee may
	// vanish without ending the attempt, but those that never announced themselves.
	Committees []int
	Reveal     string
	// MaxWordBits is the widest word that the scheme takes; 0 for 32.
	MaxWordBits int
	// NoWrap says that the scheme adds integers: a sum must stay below 2^WordBits, as
	// package field promises of what it encodes.
	NoWrap bool
	// Seeds is how many random attempts are run; each draws cohort, committee, width,
	// length and drop-outs.
	Seeds int
	// Forger plays the dishonest coordinator in Attacks, and CommitteeForger the one
	// of a scheme with a committee. A scheme that trusts its coordinator has none.
	Forger          *Forger
	CommitteeForger CommitteeForger
}

// Divided is a Config's policy, with buckets, and cohorts under bucket means.
type Divided struct {
	Policy  secagg.Policy
	Cohorts []int
}

// divided is the same test under bucket means.
func (c Config) divided() Config {
	c.Policy, c.Cohorts = c.Divided.Policy, c.Divided.Cohorts
	c.Policy.View = secagg.ViewBucketMeans
	return c
}

// dropouts is how many of n members may vanish: the declared share, rounded up.
func (c Config) dropouts(n int) int { return secagg.ShareOf(n, c.Policy.Dropout) }

func (c Config) width(w int) int {
	if c.MaxWordBits == 0 {
		return w
	}
	return min(w, c.MaxWordBits)
}

// session makes a cohort of n, with a committee of the first size, and the session
// of an attempt.
func (c Config) session(t testing.TB, scheme Scheme, n int, shape Shape) (secagg.Session, Cohort) {
	t.Helper()
	m := 0
	if len(c.Committees) > 0 {
		m = c.Committees[0]
	}
	return c.sessionOf(t, scheme, n, m, shape)
}

// sessionOf chooses the size of the committee too.
func (c Config) sessionOf(t testing.TB, scheme Scheme, n, m int, shape Shape) (secagg.Session, Cohort) {
	t.Helper()
	cohort := NewCohort(t, n, uint64(n))
	if m > 0 {
		cohort = cohort.WithCommittee(t, m, uint64(m))
	}
	if shape.Minimum == 0 {
		// Each corrupt member of a committee may cost the corrupt clients their place.
		evicted := max(0, m-1) / 3 * secagg.ShareOf(n, c.Policy.Corrupt)
		shape.Minimum = n - c.dropouts(n) - evicted
	}
	return NewSession(t, scheme, c.Policy, cohort, shape), cohort
}

// attempt makes an attempt whose vectors the scheme can add.
func (c Config) attempt(t testing.TB, scheme Scheme, s secagg.Session, cohort Cohort, seed uint64) *Attempt {
	t.Helper()
	a := NewAttempt(t, scheme, s, cohort, seed)
	if c.NoWrap {
		for _, v := range a.Vectors {
			for k := range v {
				v[k] /= uint32(len(a.Vectors))
			}
		}
	}
	return a
}

// small is the session of tests that need no more than one.
func (c Config) small(t testing.TB, scheme Scheme) (secagg.Session, Cohort) {
	return c.session(t, scheme, c.Cohorts[0], Shape{Words: 40, WordBits: 19})
}

// Conformance holds a scheme to the contracts of package secagg, in each view that
// it declares.
func Conformance(t *testing.T, scheme Scheme, c Config) {
	t.Run("declares itself", func(t *testing.T) { declared(t, scheme, c) })
	conform(t, scheme, c)
	if slices.Contains(scheme.Views(), secagg.ViewBucketMeans) {
		t.Run("bucket means", func(t *testing.T) { conform(t, scheme, c.divided()) })
	}
}

func declared(t *testing.T, scheme Scheme, c Config) {
	require.True(t, secagg.PartyID(scheme.Name()).Valid())
	require.Contains(t, scheme.Roles(), secagg.RoleClient)
	require.Contains(t, scheme.Views(), secagg.ViewSum)
	require.Equal(t, slices.Contains(scheme.Views(), secagg.ViewBucketMeans), c.Divided != nil)
	_, committee := scheme.(secagg.CommitteeScheme)
	require.Equal(t, committee, slices.Contains(scheme.Roles(), secagg.RoleDecryptor))
	require.Equal(t, committee, len(c.Committees) > 0)
}

func conform(t *testing.T, scheme Scheme, c Config) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Scheme, Config)
	}{
		{"sum equals the plain sum whoever drops out", sumsEqual},
		{"sum of long vectors in several pieces", longVectors},
		{"too many drop-outs open nothing", tooFew},
		{"snapshots merge into the same sum", snapshots},
		{"snapshots are refused when malformed", badSnapshots},
		{"control moves and refuses as its contract says", controlContract},
		{"repeated instructions get the same reply", repeats},
		{"seal works once and erases the vector", sealOnce},
		{"seal refuses a wrong vector", wrongVectors},
		{"seal that cannot be written ends the party", brokenWriter},
		{"restart after each phase", restarts},
		{"record holds no coins of the party", recordHoldsNoCoins},
		{"erased party refuses everything", erased},
		{"session that does not fit is refused", badSessions},
		{"pieces are checked", badPieces},
		{"malformed instructions never panic", malformedInstructions},
		{"malformed messages cost their sender only", malformedMessages},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, scheme, c) })
	}
	if len(c.Committees) == 0 {
		return
	}
	t.Run("committee restarts after each phase", func(t *testing.T) { committeeRestarts(t, scheme, c) })
	t.Run("committee repeats its answers", func(t *testing.T) { committeeRepeats(t, scheme, c) })
	t.Run("erased committee member refuses everything", func(t *testing.T) { committeeErased(t, scheme, c) })
	t.Run("letters that break off change nothing", func(t *testing.T) { brokenLetters(t, scheme, c) })
	t.Run("malformed instructions to the committee never panic", func(t *testing.T) { malformedToCommittee(t, scheme, c) })
}
