package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/tensor"
)

var errFault = errors.New("injected fault")

// life is a client's life up to one fault: a call of a point fails, before its
// effect or after it. Then the client is killed, or goes on.
type life struct {
	point     string
	nth       int // call of the point, from 1
	persisted bool
	kill      context.CancelFunc // nil to let it go on

	mu    sync.Mutex
	calls int // of the point
	fired bool
}

func (l *life) do(point string, op func() error) error {
	l.mu.Lock()
	if point == l.point {
		l.calls++
	}
	first := !l.fired && point == l.point && l.calls == l.nth
	dead := l.fired && l.kill != nil
	l.fired = l.fired || first
	l.mu.Unlock()
	if dead {
		return errFault
	}
	if !first {
		return op()
	}
	if l.persisted {
		_ = op() // its effect stays, its result is lost
	}
	if l.kill != nil {
		l.kill()
	}
	return errFault
}

type mortalState struct {
	client.State
	*life
}

func (s mortalState) Put(id secagg.RoundID, record []byte) error {
	point := "put"
	if record == nil {
		point = "erase"
	}
	return s.do(point, func() error { return s.State.Put(id, record) })
}

func (s mortalState) Create(id secagg.RoundID) (w io.WriteCloser, err error) {
	err = s.do("create", func() error { w, err = s.State.Create(id); return err })
	return mortalWriter{w, s.life}, err
}

func (s mortalState) Open(id secagg.RoundID) (r io.ReadSeekCloser, size int64, err error) {
	err = s.do("open", func() error { r, size, err = s.State.Open(id); return err })
	return r, size, err
}

func (s mortalState) Remove(id secagg.RoundID) error {
	return s.do("remove", func() error { return s.State.Remove(id) })
}

func (s mortalState) Keep(a client.Account) error {
	return s.do("keep", func() error { return s.State.Keep(a) })
}

type mortalWriter struct {
	io.WriteCloser
	*life
}

func (w mortalWriter) Write(p []byte) (n int, err error) {
	err = w.do("write", func() error { n, err = w.WriteCloser.Write(p); return err })
	return n, err
}

func (w mortalWriter) Close() error { return w.do("close", w.WriteCloser.Close) }

type mortalTransport struct {
	client.Transport
	*life
}

func (m mortalTransport) CheckIn(ctx context.Context, job string, d client.Conditions) (o client.Offer, err error) {
	err = m.do("check-in", func() error { o, err = m.Transport.CheckIn(ctx, job, d); return err })
	return o, err
}

func (m mortalTransport) Send(ctx context.Context, msg client.Message) error {
	return m.do("send", func() error { return m.Transport.Send(ctx, msg) })
}

func (m mortalTransport) Receive(ctx context.Context, id secagg.RoundID, after uint32) (env secagg.Envelope, err error) {
	err = m.do("receive", func() error { env, err = m.Transport.Receive(ctx, id, after); return err })
	return env, err
}

func (m mortalTransport) Fetch(ctx context.Context, id secagg.RoundID, d secagg.Digest, offset int64, w io.Writer) error {
	return m.do("fetch", func() error { return m.Transport.Fetch(ctx, id, d, offset, w) })
}

func (m mortalTransport) Upload(ctx context.Context, msg client.Message, r io.ReadSeeker, size int64) error {
	return m.do("upload", func() error { return m.Transport.Upload(ctx, msg, r, size) })
}

func TestAFaultAtAnyPointLosesAtMostOneContribution(t *testing.T) {
	const rejoins, lost, resumes, done = "joins again", "is lost", "resumes", "was done"
	for _, row := range []struct {
		point     string
		persisted bool
		then      string
	}{
		{"check-in", false, rejoins},
		{"check-in", true, rejoins},
		{"send", false, rejoins},
		{"send", true, rejoins},
		{"receive", false, lost},
		{"receive", true, lost},
		{"fetch", false, lost},
		{"fetch", true, lost},
		{"create", false, lost},
		{"create", true, lost},
		{"write", false, lost},
		{"write", true, lost},
		{"close", false, lost},
		{"close", true, lost},
		{"put", false, lost},
		{"put", true, resumes},
		{"open", false, resumes},
		{"open", true, resumes},
		{"keep", false, resumes},
		{"keep", true, resumes},
		{"upload", false, resumes},
		{"upload", true, resumes},
		{"remove", false, done},
		{"remove", true, done},
		{"erase", false, done},
		{"erase", true, done},
	} {
		for _, killed := range []bool{false, true} {
			name := row.point + " failed"
			if row.persisted {
				name += " but persisted"
			}
			if killed {
				name += ", killed"
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { faultAt(t, row.point, row.persisted, killed, row.then == rejoins, row.then) })
			})
		}
	}
}

// faultAt runs one round of three clients, of which c0 meets a fault, and checks
// what becomes of c0 and of the round.
func faultAt(t *testing.T, point string, persisted, killed, alone bool, then string) {
	names := clientNames(3)
	s := newServer(t, testPlan(t, 3, 2, 1), names...)
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	train := make(chan struct{}) // the others train once c0 has met its fault
	others := func() {
		for i, n := range names[1:] {
			c := newClient(t, s.connect(n), trainerFunc(func(ctx context.Context, m tensor.Model, task secagg.Task) (client.Update, error) {
				<-train
				return adder(i+1).Train(ctx, m, task)
			}), as(n)...)
			all.Go(func() { _ = c.Run(ctx) })
		}
	}
	if !alone {
		others()
		synctest.Wait() // they have joined, and the round begins with c0
	}

	memory := client.NewMemory()
	l := &life{point: point, nth: 1, persisted: persisted}
	first, kill := context.WithCancel(ctx)
	if killed {
		l.kill = kill
	}
	if then == "was done" {
		close(train)
	}
	c := newClient(t, mortalTransport{s.connect("c0"), l}, adder(30), as("c0", client.WithState(mortalState{memory, l}))...)
	r, err := c.RunOnce(first)
	require.True(t, l.fired, "the point is not reached")
	require.Error(t, err)
	kill()
	if then != "was done" {
		close(train)
	}
	if killed {
		c = newClient(t, s.connect("c0"), adder(30), as("c0", client.WithState(memory))...)
	}
	members := [][]secagg.PartyID{{"c0", "c1", "c2"}}
	charged := 1
	switch then {
	case "is lost":
		r, err = c.RunOnce(ctx)
		require.NoError(t, err)
		require.Zero(t, r.Round, "nothing is offered, nothing is resumed")
		require.NoError(t, s.engine.Leave("c0", secagg.RoundID{Job: "job", Round: 1, Attempt: 1}))
		members, charged = [][]secagg.PartyID{{"c1", "c2"}}, 0
	case "was done":
		require.True(t, r.Completed)
	default:
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			r, err = c.RunOnce(ctx)
		}()
		if alone {
			synctest.Wait() // it has joined again
			others()
		}
		<-finished
		require.NoError(t, err)
		require.True(t, r.Completed)
	}
	report := s.rounds(t, 1)[0]
	require.True(t, report.Released, report.Reason)
	require.Equal(t, members, report.Members)
	mean := 0.0
	for _, m := range members[0] {
		mean += map[secagg.PartyID]float64{"c0": 30, "c1": 1, "c2": 2}[m] / float64(len(members[0]))
	}
	require.InDelta(t, mean, s.models[0].Values()[0], 1e-3)

	_, err = c.RunOnce(ctx) // after the round: what was left over is cleaned up
	require.NoError(t, err)
	records, err := memory.All()
	require.NoError(t, err)
	require.Empty(t, records)
	if !killed {
		_, _, err = memory.Open(secagg.RoundID{Job: "job", Round: 1, Attempt: 1})
		require.ErrorIs(t, err, client.ErrSealed)
	}
	account, err := memory.Account()
	require.NoError(t, err)
	require.Equal(t, charged, account.Attempts())
}

func TestAFaultUnderPairwiseNeverSpoilsTheRound(t *testing.T) {
	for _, row := range []struct {
		point string
		nth   int
		in    bool // c0 is in the sum if the fault was before the effect
		then  bool // and if it was after it
	}{
		{"send", 2, false, false},   // advertise
		{"send", 3, false, false},   // choose
		{"put", 1, false, false},    // the tombstone
		{"send", 4, false, false},   // shares
		{"create", 1, false, false}, // the ciphertext
		{"close", 1, false, false},
		{"put", 2, false, true}, // what is resumed
		{"keep", 1, true, true},
		{"upload", 1, true, true},
		{"put", 3, true, true}, // agree
		{"send", 5, true, true},
		{"put", 4, true, true}, // unmask
		{"send", 6, true, true},
	} {
		for _, persisted := range []bool{false, true} {
			name := fmt.Sprintf("%s %d failed", row.point, row.nth)
			in := row.in
			if persisted {
				name, in = name+" but persisted", row.then
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { pairwiseFault(t, row.point, row.nth, persisted, in) })
			})
		}
	}
}

// pairwiseFault runs one round of four clients, of which c0 is killed and started
// again; it is in the sum or not.
func pairwiseFault(t *testing.T, point string, nth int, persisted, in bool) {
	names := clientNames(4)
	l := testLiteral(4, 3, 1)
	l.Scheme = plan.Scheme{Name: pairwise.Name, CrossSilo: true, Dropout: 0.25}
	p, err := l.Check(pairwise.Scheme{})
	require.NoError(t, err)
	s := newServer(t, p, names...)
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	schemes := client.WithSchemes(pairwise.Scheme{})
	for i, n := range names[1:] {
		c := newClient(t, s.connect(n), adder(i+1), as(n, schemes)...)
		all.Go(func() { _ = c.Run(ctx) })
	}
	memory := client.NewMemory()
	first, kill := context.WithCancel(ctx)
	f := &life{point: point, nth: nth, persisted: persisted, kill: kill}
	c := newClient(t, mortalTransport{s.connect("c0"), f}, adder(30), as("c0", schemes, client.WithState(mortalState{memory, f}))...)
	_, err = c.RunOnce(first)
	require.True(t, f.fired, "the point is not reached")
	require.Error(t, err)

	c = newClient(t, s.connect("c0"), adder(30), as("c0", schemes, client.WithState(memory))...)
	all.Go(func() { _ = c.Run(ctx) })
	report := s.rounds(t, 1)[0] // by its deadlines, where c0 is missing
	require.True(t, report.Released, report.Reason)
	members := []secagg.PartyID{"c1", "c2", "c3"}
	mean := 2.0
	if in {
		members, mean = append([]secagg.PartyID{"c0"}, members...), 9
	}
	require.Equal(t, [][]secagg.PartyID{members}, report.Members)
	require.InDelta(t, mean, s.models[0].Values()[0], 1e-3)
	synctest.Wait()
	records, err := memory.All()
	require.NoError(t, err)
	require.Empty(t, records, "a tombstone is forgotten when its attempt is over")
}
