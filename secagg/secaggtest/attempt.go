package secaggtest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// Attempt drives one attempt in memory, as the coordinator, its clients and its
// committee do over a network. Parties have the numbers that Session.Party gives
// them. The hooks, all optional, steer what happens on the way.
type Attempt struct {
	Scheme      Scheme
	Session     secagg.Session
	Cohort      Cohort
	Vectors     [][]uint32
	Parties     []secagg.Party // by member; nil for one that left
	Control     secagg.Control
	Accumulator secagg.Accumulator
	// Decryptors are the committee's members by index, nil for one that left or never
	// announced itself; Records is what each last made durable.
	Decryptors []secagg.CommitteeParty
	Records    [][]byte

	// Leaves says whether a party vanishes before it answers in the phase.
	Leaves func(phase secagg.Phase, party int) bool
	// Instruction and Message may replace what is delivered; nil delivers nothing.
	Instruction func(phase secagg.Phase, party int, body []byte) []byte
	Message     func(phase secagg.Phase, party int, body []byte) []byte
	// Upload may replace what arrives of an upload, and Post the letters, all there
	// are so far, that a member of the committee (by its index) is given.
	Upload func(member int, sealed []byte) []byte
	Post   func(phase secagg.Phase, j int, letters []secagg.Letter) []secagg.Letter
	// Into names the accumulator that a member's upload is added to.
	Into func(member int) secagg.Accumulator
	// Answered sees each reply of a client and may replace the party, as a restart
	// does; Served does the same for members of the committee, by index.
	Answered func(phase secagg.Phase, member int, reply secagg.Reply) secagg.Party
	Served   func(phase secagg.Phase, j int, reply secagg.Reply) secagg.CommitteeParty

	// Refusals holds, by party, why it refused an instruction; Rejected, why the
	// coordinator rejected what a party sent. Sealed says whose vector left, Added
	// whose upload was added to a sum. Liars are those that the opening named.
	Refusals map[int]error
	Rejected map[int]error
	Sealed   map[int]bool
	Added    map[int]bool
	Liars    []int

	sealed  map[int][]byte   // what Seal wrote
	spool   map[int][][]byte // pieces of accepted uploads that were not added yet
	mail    []mail           // of accepted uploads, in their order
	reading [][]byte         // by committee member: the instruction it reads letters for
	from    []int            // the first letter that it wants
	shuffle *rand.Rand
}

// NewAttempt makes all parties and the coordinator of one attempt.
func NewAttempt(t testing.TB, scheme Scheme, s secagg.Session, c Cohort, seed uint64) *Attempt {
	t.Helper()
	m := s.Committee.Len()
	a := &Attempt{
		Scheme: scheme, Session: s, Cohort: c, Vectors: Vectors(s, seed), Parties: make([]secagg.Party, s.Roster.Len()),
		Decryptors: make([]secagg.CommitteeParty, m), Records: make([][]byte, m), reading: make([][]byte, m), from: make([]int, m),
		Refusals: map[int]error{}, Rejected: map[int]error{}, Sealed: map[int]bool{}, Added: map[int]bool{},
		sealed: map[int][]byte{}, spool: map[int][][]byte{}, shuffle: rand.New(rand.NewPCG(seed, 3)),
	}
	var err error
	for i := range a.Parties {
		a.Parties[i], err = scheme.NewParty(s, i, c.Keys[i], Coins(seed, fmt.Sprintf("party %d", i)))
		require.NoError(t, err)
	}
	for _, j := range s.Announcements.Present() {
		a.Records[j] = Announce(t, scheme, s.Binding.Round, c, j).Record
		a.Decryptors[j] = a.Restart(t, j)
	}
	a.Control, err = scheme.NewControl(s)
	require.NoError(t, err)
	a.Accumulator, err = scheme.NewAccumulator(s)
	require.NoError(t, err)
	return a
}

// Restart makes a member of the committee anew from its latest record.
func (a *Attempt) Restart(t testing.TB, j int) secagg.CommitteeParty {
	t.Helper()
	p, err := committeeOf(t, a.Scheme).NewCommitteeParty(a.Session, j, a.Cohort.Decryptors[j], a.Records[j])
	require.NoError(t, err)
	a.reading[j] = nil
	return p
}

// Number is the party number of committee member j.
func (a *Attempt) Number(j int) int { return len(a.Parties) + j }

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

// Advance lets all parties answer in the present phase, in an order of its own, and
// enters the next. While uploads come in, the committee is asked twice.
func (a *Attempt) Advance() error {
	n, m := len(a.Parties), len(a.Decryptors)
	times := n + m
	if a.Control.Phase().Kind == secagg.PhaseUpload {
		times += m
	}
	for _, i := range a.shuffle.Perm(times) {
		if i >= n+m {
			i -= m
		}
		a.Ask(i)
	}
	return a.Close()
}

// Close enters the next phase with the answers there are.
func (a *Attempt) Close() error {
	if err := a.Control.Advance(); err != nil {
		return err
	}
	return a.add()
}

// Ask delivers the present instruction to one party and its answer back.
func (a *Attempt) Ask(i int) {
	phase := a.Control.Phase()
	body, asked := a.Control.Instruction(i)
	if !asked || a.gone(i) {
		return
	}
	if a.Leaves != nil && a.Leaves(phase, i) {
		a.dismiss(i)
		return
	}
	if a.Instruction != nil {
		if body = a.Instruction(phase, i, body); body == nil {
			return
		}
	}
	var err error
	if i < len(a.Parties) {
		err = a.askClient(phase, i, body)
	} else {
		err = a.askDecryptor(phase, i-len(a.Parties), body)
	}
	if err != nil {
		a.Refusals[i] = err
	}
}

func (a *Attempt) gone(i int) bool {
	if n := len(a.Parties); i >= n {
		return a.Decryptors[i-n] == nil
	}
	return a.Parties[i] == nil
}

func (a *Attempt) dismiss(i int) {
	if n := len(a.Parties); i >= n {
		a.Decryptors[i-n] = nil
	} else {
		a.Parties[i] = nil
	}
}

func (a *Attempt) askClient(phase secagg.Phase, i int, body []byte) error {
	reply, err := a.Parties[i].Step(body)
	if err != nil {
		return err
	}
	if reply.Seal {
		var out bytes.Buffer
		if reply, err = a.Parties[i].Seal(slices.Clone(a.Vectors[i]), &out); err != nil {
			return err
		}
		a.Sealed[i], a.sealed[i] = true, out.Bytes()
	}
	if a.Answered != nil {
		a.Parties[i] = a.Answered(phase, i, reply)
	}
	upload := a.sealed[i] // sent again if the party was asked again
	if phase.Kind == secagg.PhaseUpload && a.Upload != nil && reply.Message != nil {
		upload = a.Upload(i, upload)
	}
	a.deliver(phase, i, reply.Message, upload)
	return nil
}

// deliver gives a party's message, with its upload if it has one, to the coordinator.
func (a *Attempt) deliver(phase secagg.Phase, i int, message, upload []byte) {
	if a.Message != nil && message != nil {
		message = a.Message(phase, i, message)
	}
	if message == nil {
		return
	}
	var err error
	if phase.Kind == secagg.PhaseUpload && i < len(a.Parties) {
		err = a.Receive(i, message, upload)
	} else if _, err = a.Control.Receive(i, message); err == nil {
		err = a.add()
	}
	if err != nil {
		a.Rejected[i] = err
	}
}
