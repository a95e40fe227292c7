package bucketed_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/bucketed"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/secagg/secaggtest"
	"github.com/stretchr/testify/require"
)

// twelve is a session of three buckets of four, of which three must be left, and
// seven clients in all.
func twelve(t testing.TB) (secagg.Session, secaggtest.Cohort) {
	c := secaggtest.NewCohort(t, 12, 1)
	policy := secagg.Policy{View: secagg.ViewBucketMeans, Buckets: secagg.Buckets{Size: 4, Minimum: 3}}
	return secaggtest.NewSession(t, plain.Scheme{}, policy, c, secaggtest.Shape{Minimum: 7, Words: 6, WordBits: 10}), c
}

func attempt(t *testing.T) (*secaggtest.Attempt, [][]int) {
	s, c := twelve(t)
	return secaggtest.NewAttempt(t, plain.Scheme{}, s, c, 1), secagg.Members(bucketed.Partition(s), 3)
}

// leaving makes some members vanish before they upload.
func leaving(a *secaggtest.Attempt, gone ...int) {
	a.Leaves = func(_ secagg.Phase, member int) bool { return slices.Contains(gone, member) }
}

func without(gone ...int) []int {
	var out []int
	for i := range 12 {
		if !slices.Contains(gone, i) {
			out = append(out, i)
		}
	}
	return out
}

func TestBucketOfTooFewIsLeftOutAndTheOthersAreOpened(t *testing.T) {
	a, buckets := attempt(t)
	leaving(a, buckets[1][0], buckets[1][2], buckets[2][3])
	sums, err := a.Run()
	require.NoError(t, err)
	require.Len(t, sums, 2)
	a.RequireSum(t, sums, without(buckets[1][0], buckets[1][2], buckets[2][3]))
	survivors := a.Control.Survivors()
	require.Nil(t, survivors[1])
	require.Equal(t, buckets[0], survivors[0])
	require.Equal(t, buckets[2][:3], survivors[2])

	left := buckets[1][1] // whose bucket is gone
	_, asked := a.Control.Instruction(left)
	require.False(t, asked)
	_, err = a.Control.Receive(left, []byte("x"))
	require.ErrorIs(t, err, secagg.ErrNotAsked)
}

func TestBucketsTogetherMustHaveTheMinimumOfTheAttempt(t *testing.T) {
	a, buckets := attempt(t)
	leaving(a, append([]int{buckets[0][0], buckets[2][3]}, buckets[1]...)...) // 3 and 3 are left, of 7
	_, err := a.Run()
	require.ErrorIs(t, err, secagg.ErrTooFew)
	_, err = a.Control.Opening()
	require.ErrorIs(t, err, secagg.ErrTooFew, "whoever asks for it all the same")

	a, buckets = attempt(t)
	leaving(a, append([]int{buckets[0][0]}, buckets[1]...)...) // 3 and 4
	sums, err := a.Run()
	require.NoError(t, err)
	require.Len(t, sums, 2)
}

func TestAttemptWithoutAnyBucketFails(t *testing.T) {
	a, buckets := attempt(t)
	leaving(a, slices.Concat(buckets[0][:2], buckets[1][:2], buckets[2][:2])...)
	_, err := a.Run()
	require.ErrorIs(t, err, secagg.ErrTooFew)
	require.Equal(t, secagg.PhaseUpload, a.Control.Phase().Kind)
}

func TestPartitionFollowsFromTheContextAndDealsEverybody(t *testing.T) {
	s, _ := twelve(t)
	of := bucketed.Partition(s)
	for _, members := range secagg.Members(of, 3) {
		require.Len(t, members, 4)
	}
	require.Equal(t, of, bucketed.Partition(s))
	require.Equal(t, secagg.Partition(secagg.Hash("choir partition/1", s.Context[:]), 12, 3), of)
	s.Binding.Round.Attempt++
	s.Context = s.Binding.Context()
	require.NotEqual(t, of, bucketed.Partition(s))
}

// everyWay makes all halves of a session.
func everyWay(t *testing.T, s secagg.Session, c secaggtest.Cohort, of []int, want error) {
	t.Helper()
	_, err := bucketed.NewParty(plain.Scheme{}, s, 0, of, c.Keys[0], nil)
	require.ErrorIs(t, err, want)
	_, err = bucketed.ResumeParty(plain.Scheme{}, s, 0, of, c.Keys[0], nil)
	require.ErrorIs(t, err, want)
	_, err = bucketed.NewControl(plain.Scheme{}, s, of)
	require.ErrorIs(t, err, want)
	_, err = bucketed.NewAccumulator(plain.Scheme{}, s, of)
	require.ErrorIs(t, err, want)
}

func TestSessionsThatCannotBeDividedAreRefused(t *testing.T) {
	good, c := twelve(t)
	of := bucketed.Partition(good)
	for name, change := range map[string]func(*secagg.Session){
		"a part already": func(s *secagg.Session) {
			s.Binding.Within = secagg.Hash("the whole")
			s.Context = s.Binding.Context()
		},
		"no buckets":                 func(s *secagg.Session) { s.Buckets = 0 },
		"more buckets than clients":  func(s *secagg.Session) { s.Buckets = 13 },
		"no minimum of a bucket":     func(s *secagg.Session) { s.BucketMinimum = 0 },
		"no minimum":                 func(s *secagg.Session) { s.Minimum = 0 },
		"more than all":              func(s *secagg.Session) { s.Minimum = 13 },
		"more than a bucket holds":   func(s *secagg.Session) { s.BucketMinimum = 5 },
		"context of another binding": func(s *secagg.Session) { s.Context[0] ^= 1 },
		"roster of another binding": func(s *secagg.Session) {
			s.Binding.Roster[0] ^= 1
			s.Context = s.Binding.Context()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			change(&s)
			everyWay(t, s, c, of, secagg.ErrSession)
		})
	}
	everyWay(t, good, c, of[:11], secagg.ErrSession)
	for _, self := range []int{-1, 12} {
		_, err := bucketed.NewParty(plain.Scheme{}, good, self, of, c.Keys[0], nil)
		require.ErrorIs(t, err, secagg.ErrSession)
	}
}

// frameOf is what a member commits to in a session.
func frameOf(t *testing.T, s secagg.Session, c secaggtest.Cohort, self int, of []int) []byte {
	t.Helper()
	p, err := bucketed.NewParty(plain.Scheme{}, s, self, of, c.Keys[self], nil)
	require.NoError(t, err)
	reply, err := p.Seal(make([]uint32, s.Words), &bytes.Buffer{})
	require.NoError(t, err)
	return reply.Message
}

func TestPartiesOfDifferentBucketsCannotCompleteTogether(t *testing.T) {
	s, c := twelve(t)
	of := bucketed.Partition(s)
	control, err := bucketed.NewControl(plain.Scheme{}, s, of)
	require.NoError(t, err)
	// A coordinator tells member 0 that it is in another bucket.
	moved, to := slices.Clone(of), slices.IndexFunc(of, func(b int) bool { return b != of[0] })
	moved[0], moved[to] = moved[to], moved[0]
	_, err = control.Receive(0, frameOf(t, s, c, 0, moved))
	require.ErrorIs(t, err, secagg.ErrSignature)
	fresh, err := control.Receive(0, frameOf(t, s, c, 0, of))
	require.NoError(t, err)
	require.True(t, fresh)
	require.Equal(t, []int{0}, control.Ready())
	require.Empty(t, control.Ready())
}

func TestPartsOfDifferentAttemptsCannotCompleteTogether(t *testing.T) {
	// Two attempts that differ only in a client of another bucket.
	s, c := twelve(t)
	of := bucketed.Partition(s)
	stranger := slices.IndexFunc(of, func(b int) bool { return b != of[0] })
	members := make([]secagg.Identity, 12)
	for i := range members {
		members[i] = s.Roster.At(i)
	}
	members[stranger].Key = secaggtest.NewCohort(t, 1, 99).Roster.At(0).Key
	other := s
	var err error
	other.Roster, err = secagg.NewRoster(members)
	require.NoError(t, err)
	other.Binding.Roster = other.Roster.Root()
	other.Context = other.Binding.Context()
	control, err := bucketed.NewControl(plain.Scheme{}, other, of)
	require.NoError(t, err)
	_, err = control.Receive(0, frameOf(t, s, c, 0, of))
	require.ErrorIs(t, err, secagg.ErrSignature)
}

func TestSnapshotOfSomethingElseIsRefused(t *testing.T) {
	s, _ := twelve(t)
	fresh := func() secagg.Accumulator {
		a, err := bucketed.NewAccumulator(plain.Scheme{}, s, bucketed.Partition(s))
		require.NoError(t, err)
		return a
	}
	var b bytes.Buffer
	require.NoError(t, fresh().Snapshot(&b))
	whole := b.Bytes()
	require.NoError(t, fresh().Merge(bytes.NewReader(whole)))
	for cut := range whole {
		require.Error(t, fresh().Merge(bytes.NewReader(whole[:cut])), "cut at %d", cut)
	}
	require.ErrorIs(t, fresh().Merge(bytes.NewReader(append(bytes.Clone(whole), 0))), bucketed.ErrSnapshot)
	require.ErrorIs(t, fresh().Merge(bytes.NewReader(whole[:len(whole)*2/3])), bucketed.ErrSnapshot, "two buckets of three")
	for _, at := range []int{0, 7} { // a negative length, and one too long
		bad := bytes.Clone(whole)
		bad[at] ^= 0x81
		require.Error(t, fresh().Merge(bytes.NewReader(bad)))
	}
}

func TestOpeningOfAnotherSchemeIsRefused(t *testing.T) {
	a, _ := attempt(t)
	require.NoError(t, a.RunTo(secagg.PhaseOpen))
	single := secaggtest.NewSession(t, plain.Scheme{}, secagg.Policy{}, a.Cohort, secaggtest.Shape{Minimum: 8, Words: 6, WordBits: 10})
	b := secaggtest.NewAttempt(t, plain.Scheme{}, single, a.Cohort, 1)
	require.NoError(t, b.RunTo(secagg.PhaseOpen))
	other, err := b.Control.Opening()
	require.NoError(t, err)
	require.ErrorIs(t, a.Accumulator.Unmask(other, 0), secagg.ErrSession)
	_, err = a.Accumulator.Sums(other)
	require.ErrorIs(t, err, secagg.ErrSession)
}

// cheated is the plain scheme with controls that catch somebody.
type cheated struct {
	plain.Scheme
	control func(s secagg.Session, c secagg.Control) secagg.Control
}

func (x cheated) NewControl(s secagg.Session) (secagg.Control, error) {
	c, err := x.Scheme.NewControl(s)
	return x.control(s, c), err
}

var errCheat = errors.New("cheat")

// catches is a control that names members, by their places in their bucket.
type catches struct {
	secagg.Control
	advancing, opening, lying []int
}

func (c catches) Advance() error {
	if c.advancing != nil {
		return &secagg.Blame{Members: c.advancing, Err: errCheat}
	}
	return c.Control.Advance()
}

func (c catches) Opening() (secagg.Opening, error) {
	if c.opening != nil {
		return nil, &secagg.Blame{Members: c.opening, Err: errCheat}
	}
	o, err := c.Control.Opening()
	return liars{o, c.lying}, err
}

type liars struct {
	secagg.Opening
	named []int
}

func (l liars) Liars() []int { return l.named }

// caught makes an attempt in which the control of each bucket catches what it is told to.
func caught(t *testing.T, by func(bucket int) catches) (*secaggtest.Attempt, [][]int) {
	t.Helper()
	a, buckets := attempt(t)
	var err error
	a.Control, err = bucketed.NewControl(cheated{control: func(s secagg.Session, c secagg.Control) secagg.Control {
		out := by(slices.IndexFunc(buckets, func(m []int) bool { return a.Session.Roster.At(m[0]).ID == s.Roster.At(0).ID }))
		out.Control = c
		return out
	}}, a.Session, bucketed.Partition(a.Session))
	require.NoError(t, err)
	return a, buckets
}

func TestCheatingInABucketCostsThatBucketOnly(t *testing.T) {
	a, buckets := caught(t, func(b int) catches {
		if b == 1 {
			return catches{advancing: []int{2}}
		}
		return catches{}
	})
	require.NoError(t, a.RunTo(secagg.PhaseOpen))
	require.Equal(t, [][]int{buckets[0], nil, buckets[2]}, a.Control.Survivors())

	a, buckets = caught(t, func(b int) catches {
		if b == 1 {
			return catches{opening: []int{1, 3}}
		}
		return catches{}
	})
	require.NoError(t, a.RunTo(secagg.PhaseOpen))
	o, err := a.Control.Opening()
	require.NoError(t, err, "the others are opened")
	require.Empty(t, o.Liars())
	require.Equal(t, buckets, a.Control.Survivors(), "it counts as spoiled, not as left out")
}

func TestCulpritsHaveTheNumbersOfTheAttempt(t *testing.T) {
	a, buckets := caught(t, func(b int) catches { return catches{advancing: []int{3 - b}} })
	err := a.RunTo(secagg.PhaseOpen)
	require.ErrorIs(t, err, errCheat)
	var blame *secagg.Blame
	require.ErrorAs(t, err, &blame)
	require.Equal(t, []int{buckets[0][3], buckets[1][2], buckets[2][1]}, blame.Members)
}

func TestSpoiledBucketSaysWhoSpoiledIt(t *testing.T) {
	// The plain accumulator takes the plain opening, so the cheat is put into that of
	// the whole attempt.
	a, buckets := caught(t, func(b int) catches {
		if b == 1 {
			return catches{opening: []int{1, 3}}
		}
		return catches{}
	})
	plainParts(a)
	sums, err := a.Run()
	require.NoError(t, err)
	a.RequireSums(t, sums)
	require.Len(t, sums, 3)
	require.NoError(t, sums[0].Spoiled)
	require.NoError(t, sums[2].Spoiled)
	require.ErrorIs(t, sums[1].Spoiled, errCheat)
	var blame *secagg.Blame
	require.ErrorAs(t, sums[1].Spoiled, &blame)
	require.Equal(t, []int{buckets[1][1], buckets[1][3]}, blame.Members)
}

// plainParts lets the accumulators of buckets see the openings of the plain scheme.
func plainParts(a *secaggtest.Attempt) {
	var err error
	a.Accumulator, err = bucketed.NewAccumulator(unwrapping{}, a.Session, bucketed.Partition(a.Session))
	if err != nil {
		panic(err)
	}
}

type unwrapping struct{ plain.Scheme }

func (x unwrapping) NewAccumulator(s secagg.Session) (secagg.Accumulator, error) {
	acc, err := x.Scheme.NewAccumulator(s)
	return unwrapped{acc}, err
}

type unwrapped struct{ secagg.Accumulator }

func (u unwrapped) Unmask(o secagg.Opening, piece int) error {
	return u.Accumulator.Unmask(o.(liars).Opening, piece)
}

func (u unwrapped) Sums(o secagg.Opening) ([]secagg.Sum, error) {
	return u.Accumulator.Sums(o.(liars).Opening)
}

func TestLiarsHaveTheNumbersOfTheAttemptAlsoWhenOthersAreGone(t *testing.T) {
	a, buckets := caught(t, func(b int) catches { return catches{lying: []int{3}} })
	leaving(a, buckets[0][0], buckets[2][1])
	require.NoError(t, a.RunTo(secagg.PhaseOpen))
	o, err := a.Control.Opening()
	require.NoError(t, err)
	want := []int{buckets[0][3], buckets[1][3], buckets[2][3]}
	slices.Sort(want)
	require.Equal(t, want, o.Liars())
}
