package secaggtest

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// Scheme is both halves of a scheme.
type Scheme interface {
	secagg.ClientScheme
	secagg.ServerScheme
}

// Cohort is a roster with the members' signing keys.
type Cohort struct {
	Roster secagg.Roster
	Keys   []ed25519.PrivateKey // by roster index
}

// NewCohort enrols n members; the seed fixes their keys.
func NewCohort(t testing.TB, n int, seed uint64) Cohort {
	t.Helper()
	coins := Coins(seed, "cohort")
	_, authority, err := ed25519.GenerateKey(coins)
	require.NoError(t, err)
	c := Cohort{Keys: make([]ed25519.PrivateKey, n)}
	members := make([]secagg.Identity, n)
	for i := range members {
		public, private, err := ed25519.GenerateKey(coins)
		require.NoError(t, err)
		c.Keys[i] = private
		members[i] = secagg.Enrol(authority, secagg.PartyID(fmt.Sprintf("client-%05d", i)), public)
	}
	c.Roster, err = secagg.NewRoster(members)
	require.NoError(t, err)
	return c
}

// Shape is the session of a test.
type Shape struct {
	Members, Minimum, Words, WordBits int
	Round                             secagg.RoundID // job/1/1 if zero
	Model                             secagg.Digest
}

// NewSession makes the session of one attempt.
func NewSession(t testing.TB, scheme secagg.ServerScheme, policy secagg.Policy, c Cohort, shape Shape) secagg.Session {
	t.Helper()
	policy.Clients, policy.Minimum = c.Roster.Len(), shape.Minimum
	parameters, err := scheme.Configure(policy)
	require.NoError(t, err)
	if shape.Round == (secagg.RoundID{}) {
		shape.Round = secagg.RoundID{Job: "job", Round: 1, Attempt: 1}
	}
	b := secagg.Binding{
		Round: shape.Round, Plan: secagg.Hash("plan"), Model: shape.Model, Roster: c.Roster.Root(),
		Scheme: scheme.Name(), Parameters: parameters,
	}
	return secagg.Session{
		Binding: b, Context: b.Context(), Roster: c.Roster, Minimum: shape.Minimum,
		Words: shape.Words, WordBits: shape.WordBits,
	}
}

// Vectors draws one vector a member, each word below 2^w, the first member's
// words all at the top of the range so that sums wrap.
func Vectors(s secagg.Session, seed uint64) [][]uint32 {
	coins := rand.New(rand.NewPCG(seed, 7))
	out := make([][]uint32, s.Roster.Len())
	mask := uint32(1<<s.WordBits - 1)
	for i := range out {
		out[i] = make([]uint32, s.Words)
		for j := range out[i] {
			out[i][j] = coins.Uint32() & mask
			if i == 0 {
				out[i][j] = mask
			}
		}
	}
	return out
}

// PlainSum is the modular sum of the members' vectors.
func PlainSum(s secagg.Session, vectors [][]uint32, members []int) []uint32 {
	out := make([]uint32, s.Words)
	for _, i := range members {
		for j, v := range vectors[i] {
			out[j] = (out[j] + v) & uint32(1<<s.WordBits-1)
		}
	}
	return out
}

// Attempt drives one attempt in memory, as the coordinator and its clients do over
// a network. Its hooks, all optional, steer what happens on the way.
type Attempt struct {
	Scheme      Scheme
	Session     secagg.Session
	Cohort      Cohort
	Vectors     [][]uint32
	Parties     []secagg.Party // by member; nil for one that left
	Control     secagg.Control
	Accumulator secagg.Accumulator

	// Leaves says whether a member vanishes before it answers in the phase.
	Leaves func(phase secagg.Phase, member int) bool
	// Instruction and Message may replace what is delivered; nil delivers nothing.
	Instruction func(phase secagg.Phase, member int, body []byte) []byte
	Message     func(phase secagg.Phase, member int, body []byte) []byte
	// Upload may replace what arrives of an upload.
	Upload func(member int, sealed []byte) []byte
	// Answered sees each reply of a party and may replace the party, as a restart does.
	Answered func(phase secagg.Phase, member int, reply secagg.Reply) secagg.Party

	// Refusals holds, by member, why a party refused an instruction; Rejected, why
	// the coordinator rejected what a member sent. Sealed says whose vector left.
	Refusals map[int]error
	Rejected map[int]error
	Sealed   map[int]bool

	shuffle *rand.Rand
}

// NewAttempt makes all parties and the coordinator of one attempt.
func NewAttempt(t testing.TB, scheme Scheme, s secagg.Session, c Cohort, seed uint64) *Attempt {
	t.Helper()
	a := &Attempt{
		Scheme: scheme, Session: s, Cohort: c, Vectors: Vectors(s, seed), Parties: make([]secagg.Party, s.Roster.Len()),
		Refusals: map[int]error{}, Rejected: map[int]error{}, Sealed: map[int]bool{}, shuffle: rand.New(rand.NewPCG(seed, 3)),
	}
	var err error
	for i := range a.Parties {
		a.Parties[i], err = scheme.NewParty(s, i, c.Keys[i], Coins(seed, fmt.Sprintf("party %d", i)))
		require.NoError(t, err)
	}
	a.Control, err = scheme.NewControl(s)
	require.NoError(t, err)
	a.Accumulator, err = scheme.NewAccumulator(s)
	require.NoError(t, err)
	return a
}

// Run drives the attempt to its sums.
func (a *Attempt) Run() ([]secagg.Sum, error) {
	if err := a.RunTo(secagg.PhaseOpen); err != nil {
		return nil, err
	}
	return a.Open()
}

// RunTo drives the attempt until the coordinator is in a phase of the kind.
func (a *Attempt) RunTo(kind secagg.PhaseKind) error {
	for a.Control.Phase().Kind != kind {
		if err := a.Advance(); err != nil {
			return err
		}
	}
	return nil
}

// RunToPhase drives the attempt until the coordinator is in the named phase.
func (a *Attempt) RunToPhase(name string) error {
	for a.Control.Phase().Name != name {
		if err := a.Advance(); err != nil {
			return err
		}
	}
	return nil
}

// Advance lets all members answer in the present phase, in an order of its own,
// and enters the next.
func (a *Attempt) Advance() error {
	for _, i := range a.shuffle.Perm(len(a.Parties)) {
		a.Ask(i)
	}
	return a.Control.Advance()
}

// Ask delivers the present instruction to one member and its answer back.
func (a *Attempt) Ask(i int) {
	phase := a.Control.Phase()
	body, asked := a.Control.Instruction(i)
	if !asked || a.Parties[i] == nil {
		return
	}
	if a.Leaves != nil && a.Leaves(phase, i) {
		a.Parties[i] = nil
		return
	}
	if a.Instruction != nil {
		if body = a.Instruction(phase, i, body); body == nil {
			return
		}
	}
	reply, err := a.Parties[i].Step(body)
	if err != nil {
		a.Refusals[i] = err
		return
	}
	var upload []byte
	if reply.Seal {
		var out bytes.Buffer
		if reply, err = a.Parties[i].Seal(slices.Clone(a.Vectors[i]), &out); err != nil {
			a.Refusals[i] = err
			return
		}
		a.Sealed[i] = true
		upload = out.Bytes()
	}
	if a.Answered != nil {
		a.Parties[i] = a.Answered(phase, i, reply)
	}
	if a.Message != nil && reply.Message != nil {
		reply.Message = a.Message(phase, i, reply.Message)
	}
	if reply.Message == nil {
		return
	}
	if phase.Kind == secagg.PhaseUpload {
		if a.Upload != nil {
			upload = a.Upload(i, upload)
		}
		err = a.Receive(i, reply.Message, upload)
	} else {
		err = a.Control.Receive(i, reply.Message)
	}
	if err != nil {
		a.Rejected[i] = err
	}
}

// Receive takes an upload as the coordinator must: nothing is added before all of
// it arrived, matches its frame and is well-formed. Pieces are added in any order.
func (a *Attempt) Receive(member int, frame, upload []byte) error {
	commit, err := secagg.PeekCommit(frame)
	if err != nil {
		return err
	}
	arrived := secagg.NewCommitWriter(io.Discard)
	if _, err := arrived.Write(upload); err != nil {
		return err
	}
	if got := arrived.Commit(); got.Content != commit.Content || got.Size != commit.Size {
		return secagg.ErrUpload.At("member %d", member)
	}
	pieces, err := Cut(a.Accumulator, upload)
	if err != nil {
		return err
	}
	if err := a.Control.Receive(member, frame); err != nil {
		return err
	}
	for _, i := range a.shuffle.Perm(len(pieces)) {
		if err := a.Accumulator.Add(0, i, pieces[i]); err != nil {
			return err
		}
	}
	return nil
}

// Cut divides an upload into pieces and checks each.
func Cut(acc secagg.Accumulator, upload []byte) ([][]byte, error) {
	ps := acc.Pieces()
	if int64(len(upload)) != ps.Total {
		return nil, secagg.ErrUpload.At("%d bytes for %d", len(upload), ps.Total)
	}
	out := make([][]byte, ps.Count)
	for i := range out {
		out[i], upload = upload[:ps.Len(i)], upload[ps.Len(i):]
		if err := acc.Check(i, out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Open unmasks and returns the sums.
func (a *Attempt) Open() ([]secagg.Sum, error) {
	o, err := a.Control.Opening()
	if err != nil {
		return nil, err
	}
	defer o.Erase()
	for _, i := range a.shuffle.Perm(a.Accumulator.Pieces().Count) {
		if err := a.Accumulator.Unmask(o, i); err != nil {
			return nil, err
		}
	}
	return a.Accumulator.Sums(o)
}

// RequireSum checks that the one sum is that of exactly the given members.
func (a *Attempt) RequireSum(t testing.TB, sums []secagg.Sum, members []int) {
	t.Helper()
	require.Len(t, sums, 1)
	require.Equal(t, members, sums[0].Members)
	require.Equal(t, PlainSum(a.Session, a.Vectors, members), sums[0].Words)
}
