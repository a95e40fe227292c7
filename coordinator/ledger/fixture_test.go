package ledger

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg"
)

// fleet is the budget of most tests.
var fleet = Genesis{Population: "fleet", Unit: dp.UnitClient, Relation: dp.ZeroOut, Clients: 3000, Delta: 1e-5, Slack: 1e-6,
	Releases: Budget{Epsilon: 8, Order: 8}, Rosters: Budget{Epsilon: 40, Order: 4}}

var segment = Segment("fleet")

// memory is a log that keeps what it is given.
type memory struct{ records map[string][][]byte }

func newMemory() *memory { return &memory{map[string][][]byte{}} }

func (m *memory) Append(segment string, records ...[]byte) error {
	m.records[segment] = append(m.records[segment], records...)
	return nil
}

func (m *memory) Read(segment string, f func([]byte) error) error {
	if m.records[segment] == nil {
		return errors.New("no such segment")
	}
	for _, r := range slices.Clone(m.records[segment]) {
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Segments() ([]string, error) {
	var names []string
	for name := range m.records {
		names = append(names, name)
	}
	return names, nil
}

func event(t testing.TB, s dp.Spec) dp.Event {
	t.Helper()
	e, err := dp.NewEvent(s)
	require.NoError(t, err)
	return e
}

// gaussian is a charge of noise with this standard deviation over a clip of 1, seen at
// rate by those who see releases.
func gaussian(t testing.TB, sigma, rate float64) Charge {
	s := dp.Spec{Mechanism: dp.Gaussian, Relation: dp.ZeroOut, Sampling: dp.Sampling{Mode: dp.SamplingNone}, StdDev: sigma, Clip: 1, Dimension: 10, Count: 1}
	c := Charge{Rosters: event(t, s)}
	if rate < 1 {
		s.Sampling = dp.Sampling{Mode: dp.SamplingPoisson, Rate: rate}
	}
	c.Released = event(t, s)
	return c
}

// discrete is a charge of discrete Gaussian noise.
func discrete(t testing.TB, variance *big.Rat) Charge {
	e := event(t, dp.Spec{Mechanism: dp.DiscreteGaussian, Relation: dp.ZeroOut, Sampling: dp.Sampling{Mode: dp.SamplingNone}, Variance: variance, Clip: 1000, Dimension: 1 << 14, Count: 1})
	return Charge{Released: e, Rosters: e, Delta: 1e-9}
}

func attempt(round int) secagg.RoundID {
	return secagg.RoundID{Job: "job", Round: uint32(round), Attempt: 1}
}

var (
	thePlan = secagg.Hash("plan")
	bytesA  = secagg.Hash("released", []byte("a"))
	bytesB  = secagg.Hash("released", []byte("b"))
)

func mustOpen(t testing.TB, log Log, g Genesis) *Book {
	t.Helper()
	b, err := Open(log, Segment(g.Population), g)
	require.NoError(t, err)
	return b
}

// state is all that a book says.
func state(b *Book) string {
	n, d := b.Head()
	out := fmt.Sprintln(n, d, b.Retired())
	for _, e := range b.Entries() {
		out += fmt.Sprintln(e.ID, e.Record, e.State, e.Plan, e.Released, e.Charge.encoded())
	}
	for _, o := range observers {
		epsilon, ok := b.Spent(o)
		left, stated := b.Left(o)
		out += fmt.Sprintln(o, epsilon, ok, left, stated)
	}
	return out
}
