package secaggtest

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// moments of an attempt at which a member can vanish.
const (
	beforeUpload = iota
	duringUpload
	afterUpload
	momentCount
)

// fate is what becomes of an attempt's members.
type fate struct {
	uploaded []int // their uploads are complete
	stayed   []int // they answer to the end
}

// planDropouts draws which clients vanish when.
func planDropouts(a *Attempt, coins *rand.Rand, count int) (f fate) {
	moment := map[int]int{}
	early := map[int]int{} // how many exchanges an early leaver still answers
	for _, i := range coins.Perm(len(a.Parties))[:count] {
		moment[i] = coins.IntN(momentCount)
		early[i] = coins.IntN(3)
	}
	a.Leaves = func(phase secagg.Phase, member int) bool {
		m, leaves := moment[member]
		if !leaves {
			return false
		}
		if m == beforeUpload && phase.Kind == secagg.PhaseExchange {
			early[member]--
			return early[member] < 0
		}
		return m == beforeUpload && phase.Kind == secagg.PhaseUpload || m == afterUpload && a.Sealed[member]
	}
	a.Upload = func(member int, sealed []byte) []byte {
		if m, leaves := moment[member]; leaves && m == duringUpload {
			a.dismiss(member)
			return sealed[:len(sealed)*2/3] // the connection breaks
		}
		return sealed
	}
	for i := range a.Parties {
		m, leaves := moment[i]
		if !leaves || m == afterUpload {
			f.uploaded = append(f.uploaded, i)
		}
		if !leaves {
			f.stayed = append(f.stayed, i)
		}
	}
	return f
}

// planCommittee draws which of the committee's members vanish when, after the phase
// up to which all of them are needed. It comes after planDropouts.
func planCommittee(a *Attempt, coins *rand.Rand, reveal string, count int) {
	after := map[int]int{} // how many phases after reveal a leaver still answers in
	present := a.Session.Announcements.Present()
	for _, k := range coins.Perm(len(present))[:count] {
		after[a.Number(present[k])] = coins.IntN(5)
	}
	clients, at, since := a.Leaves, "", -1
	a.Leaves = func(phase secagg.Phase, party int) bool {
		if phase.Name != at {
			at = phase.Name
			if since >= 0 || at == reveal {
				since++
			}
		}
		stays, leaves := after[party]
		return clients(phase, party) || leaves && since > stays
	}
}

// requireOpened checks the sums of an attempt whose members had that fate. A bucket
// in which enough members stayed is opened; where enough uploaded, it may be.
func requireOpened(t *testing.T, a *Attempt, f fate, sums []secagg.Sum, err error) {
	t.Helper()
	certain, possible := 0, 0
	stayed := a.divide(f.stayed)
	for b, members := range a.divide(f.uploaded) {
		if len(stayed[b]) >= a.Session.BucketMinimum {
			certain += len(members)
		}
		if len(members) >= a.Session.BucketMinimum {
			possible += len(members)
		}
	}
	if possible < a.Session.Minimum {
		require.ErrorIs(t, err, secagg.ErrTooFew)
		return
	}
	if err != nil && certain < a.Session.Minimum {
		require.ErrorIs(t, err, secagg.ErrTooFew)
		return
	}
	require.NoError(t, err)
	a.RequireSums(t, sums)
	uploaded := a.divide(f.uploaded)
	opened := map[int]bool{}
	for _, s := range sums {
		require.NoError(t, s.Spoiled)
		require.Equal(t, uploaded[s.Bucket], s.Members)
		opened[s.Bucket] = true
	}
	for b, members := range stayed {
		require.True(t, opened[b] || len(members) < a.Session.BucketMinimum, "bucket %d is not opened", b)
	}
}

func sumsEqual(t *testing.T, scheme Scheme, c Config) {
	for seed := range uint64(c.Seeds) {
		coins := rand.New(rand.NewPCG(seed, 11))
		n, m := c.Cohorts[coins.IntN(len(c.Cohorts))], 0
		shape := Shape{Words: 1 + coins.IntN(300), WordBits: c.width(8 + int(7*seed%25))}
		absent, vanish := 0, 0
		if len(c.Committees) > 0 {
			m = c.Committees[int(seed)%len(c.Committees)]
			gone := m - ((m+(m-1)/3)/2 + 1) // what a quorum may be without
			absent = coins.IntN(gone + 1)
			vanish = coins.IntN(gone - absent + 1)
			shape.Absent = coins.Perm(m)[:absent]
		}
		s, cohort := c.sessionOf(t, scheme, n, m, shape)
		a := c.attempt(t, scheme, s, cohort, seed)
		f := planDropouts(a, coins, coins.IntN(c.dropouts(n)+1))
		planCommittee(a, coins, c.Reveal, vanish)
		sums, err := a.Run()
		require.Empty(t, a.Refusals, "seed %d", seed)
		requireOpened(t, a, f, sums, err)
		require.Empty(t, a.Liars)
	}
}

func longVectors(t *testing.T, scheme Scheme, c Config) {
	n := c.Cohorts[0]
	for _, width := range []int{8, 13, 32} {
		s, cohort := c.session(t, scheme, n, Shape{Words: 1<<17 - 2, WordBits: c.width(width)})
		a := c.attempt(t, scheme, s, cohort, uint64(width))
		require.Greater(t, a.Accumulator.Pieces().Count, 1)
		f := planDropouts(a, rand.New(rand.NewPCG(1, uint64(width))), min(2, c.dropouts(n)))
		sums, err := a.Run()
		requireOpened(t, a, f, sums, err)
	}
}

func tooFew(t *testing.T, scheme Scheme, c Config) {
	s, cohort := c.small(t, scheme)
	a := c.attempt(t, scheme, s, cohort, 1)
	a.Leaves = func(phase secagg.Phase, party int) bool {
		return phase.Kind == secagg.PhaseUpload && party >= s.Minimum-1 && party < s.Roster.Len()
	}
	_, err := a.Run()
	require.ErrorIs(t, err, secagg.ErrTooFew)
	_, err = a.Control.Opening()
	require.Error(t, err)
	require.Len(t, slices.DeleteFunc(a.Parties, func(p secagg.Party) bool { return p == nil }), s.Minimum-1)
}
