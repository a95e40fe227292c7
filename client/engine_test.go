package client_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/tensor"
)

// keyOf gives a party's key in tests.
func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

var authority = keyOf("authority")

func identityOf(name string) secagg.Identity {
	return secagg.Enrol(authority, secagg.PartyID(name), keyOf(name).Public().(ed25519.PublicKey))
}

// as is what every client of these tests is made of.
func as(name string, more ...client.Option) []client.Option {
	return append([]client.Option{
		client.WithIdentity(identityOf(name), keyOf(name), authority.Public().(ed25519.PublicKey)),
		client.WithSchemes(plain.Scheme{}),
		client.WithConsent(client.Limits{Minimum: 1, TrustCoordinator: true}),
	}, more...)
}

// testPlan is a plan for that many rounds over clients of which minimum must remain.
func testPlan(t testing.TB, clients, minimum, rounds int) plan.Plan {
	p, err := testLiteral(clients, minimum, rounds).Check(plain.Scheme{})
	require.NoError(t, err)
	return p
}

func testLiteral(clients, minimum, rounds int) plan.Literal {
	return plan.Literal{
		Schema: secagg.PlanSchema, Job: "job",
		Model:      plan.Model{Architecture: "affine", Tensors: []plan.Tensor{{Name: "w", Shape: []int{3, 2}}, {Name: "b", Shape: []int{2}}}},
		Scheme:     plan.Scheme{Name: plain.Name},
		Cohort:     plan.Cohort{Size: clients, Minimum: minimum},
		Rounds:     plan.Rounds{Count: rounds, Attempts: 1},
		Deadlines:  plan.Deadlines{Admission: time.Hour, Exchange: time.Hour, Upload: time.Hour},
		Encoding:   plan.Encoding{ClipNorm: 100, Bits: 24},
		Training:   plan.Training{Epochs: 1, BatchSize: 1, LearningRate: 0.1},
		Privacy:    plan.Privacy{Mode: "none", TrustCoordinator: true},
		Evaluation: plan.Evaluation{Clients: true},
	}
}

// server runs an engine in the time of the test and is what its clients talk to.
type server struct {
	engine *coordinator.Engine
	ctx    context.Context

	mu      sync.Mutex
	changed chan struct{} // closed when there may be news
	wake    context.CancelFunc
	reports []coordinator.Report
	models  []tensor.Model
}

func newServer(t *testing.T, p plan.Plan, names ...string) *server {
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	s := &server{ctx: ctx, changed: make(chan struct{})}
	disk, err := mem.New(1 << 20).Open()
	require.NoError(t, err)
	s.engine, err = coordinator.Open(coordinator.Config{Plan: p, Initial: tensor.Zero(p.Terms().Tensors), Store: disk, Host: s,
		Registry: registry(names), Authority: authority.Public().(ed25519.PublicKey), Observer: s,
		Coins: bytes.NewReader(make([]byte, 32)), Workers: 1})
	require.NoError(t, err)
	require.NoError(t, s.engine.Start())
	return s
}

type registry []string

func (r registry) Clients() (ids []secagg.PartyID) {
	for _, n := range r {
		ids = append(ids, secagg.PartyID(n))
	}
	return ids
}

// server implements coordinator.Host and coordinator.Observer.
func (s *server) Now() time.Time { return time.Now() }

func (s *server) Wake(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wake != nil {
		s.wake()
	}
	var ctx context.Context
	ctx, s.wake = context.WithCancel(s.ctx)
	go func() {
		select {
		case <-time.After(time.Until(at)):
			s.engine.Tick()
		case <-ctx.Done():
		}
	}()
}

func (s *server) Work(_ coordinator.Work, run func() func()) { go func() { run()() }() }

func (s *server) Notify([]secagg.PartyID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *server) Audit(secagg.RoundID, string) {}

func (s *server) RoundBegan(secagg.RoundID, []secagg.PartyID) { s.Notify(nil) }

func (s *server) RoundOver(r coordinator.Report, m tensor.Model) {
	s.mu.Lock()
	s.reports, s.models = append(s.reports, r), append(s.models, m)
	s.mu.Unlock()
	s.Notify(nil)
}

// news is closed when something changed after the call.
func (s *server) news() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// rounds waits until n attempts are over and returns their reports.
func (s *server) rounds(t *testing.T, n int) []coordinator.Report {
	for {
		news := s.news()
		s.mu.Lock()
		reports := s.reports
		s.mu.Unlock()
		if len(reports) >= n {
			return reports
		}
		select {
		case <-news:
		case <-time.After(24 * time.Hour):
			require.FailNow(t, "the round does not end")
		}
	}
}

// transport is one client's connection.
type transport struct {
	*server
	id secagg.PartyID
}

func (s *server) connect(name string) *transport { return &transport{s, secagg.PartyID(name)} }

func (c *transport) CheckIn(_ context.Context, _ string, d client.Conditions) (client.Offer, error) {
	o, err := c.engine.CheckIn(c.id, coordinator.Conditions(d))
	return client.Offer(o), err
}

func (c *transport) Send(_ context.Context, m client.Message) error {
	return c.engine.Message(c.id, m.Round, m.Step, m.Body)
}

func (c *transport) Receive(ctx context.Context, id secagg.RoundID, after uint32) (secagg.Envelope, error) {
	for {
		news := c.news()
		if env, ok := c.engine.Envelope(c.id, id, after); ok {
			return env, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return secagg.Envelope{}, ctx.Err()
		}
	}
}

func (c *transport) Fetch(_ context.Context, _ secagg.RoundID, model secagg.Digest, offset int64, w io.Writer) error {
	r, err := c.engine.Model(model)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := r.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return err
}

func (c *transport) Upload(ctx context.Context, m client.Message, sealed io.ReadSeeker, size int64) error {
	offset, err := c.engine.UploadBegin(c.id, m.Round, m.Step, size)
	if err != nil {
		return err
	}
	if _, err := sealed.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	for chunk := make([]byte, 7); ; {
		n, err := io.ReadFull(sealed, chunk)
		if n > 0 {
			if err := c.engine.UploadChunk(c.id, m.Round, offset, chunk[:n]); err != nil {
				return err
			}
			offset += int64(n)
		}
		if err != nil {
			break
		}
	}
	done := make(chan error, 1)
	c.engine.UploadDone(c.id, m.Round, m.Step, m.Body, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// adder is a trainer that adds a constant to every value.
type adder float32

func (d adder) Train(_ context.Context, m tensor.Model, _ secagg.Task) (client.Update, error) {
	for i := range m.Values() {
		m.Values()[i] += float32(d)
	}
	return client.Update{Model: m, Examples: 10}, nil
}

// measurer is one that also evaluates.
type measurer struct {
	adder
	client.Evaluation
}

func (e measurer) Evaluate(context.Context, tensor.Model, secagg.Task) (client.Evaluation, error) {
	return e.Evaluation, nil
}

func newClient(t *testing.T, tr client.Transport, trainer client.Trainer, opts ...client.Option) *client.Client {
	c, err := client.New(tr, trainer, opts...)
	require.NoError(t, err)
	return c
}

// clientNames gives c0, c1 and so on.
func clientNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("c%d", i))
	}
	return names
}
