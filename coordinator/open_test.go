package coordinator_test

import (
	"crypto/ed25519"
	"errors"
	"io"
	"math"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/tensor"
)

// requireUntouched requires that nothing was begun.
func requireUntouched(w *world) {
	w.t.Helper()
	w.halt()
	s, err := w.reopen()
	require.NoError(w.t, err)
	value, revision, err := s.Head.Load()
	require.NoError(w.t, err)
	require.Nil(w.t, value)
	require.Zero(w.t, revision)
	segments, err := s.Journal.Segments()
	require.NoError(w.t, err)
	require.Empty(w.t, segments)
}

var errCoins = errors.New("no coins")

func TestEngineThatCannotBeginBeginsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*coordinator.Config)
		err    error
	}{
		"no plan":                   {func(c *coordinator.Config) { c.Plan = plan.Plan{} }, coordinator.ErrConfig},
		"no store":                  {func(c *coordinator.Config) { c.Store = nil }, coordinator.ErrConfig},
		"no host":                   {func(c *coordinator.Config) { c.Host = nil }, coordinator.ErrConfig},
		"no registry":               {func(c *coordinator.Config) { c.Registry = nil }, coordinator.ErrConfig},
		"no source of coins":        {func(c *coordinator.Config) { c.Coins = nil }, coordinator.ErrConfig},
		"no worker":                 {func(c *coordinator.Config) { c.Workers = 0 }, coordinator.ErrConfig},
		"no initial model":          {func(c *coordinator.Config) { c.Initial = tensor.Model{} }, coordinator.ErrConfig},
		"initial model not finite":  {func(c *coordinator.Config) { c.Initial.Values()[1] = float32(math.NaN()) }, coordinator.ErrConfig},
		"initial model of a name":   {func(c *coordinator.Config) { c.Initial = named("v", 3) }, coordinator.ErrConfig},
		"initial model of a length": {func(c *coordinator.Config) { c.Initial = named("w", 4) }, coordinator.ErrConfig},
		"coins that fail":           {func(c *coordinator.Config) { c.Coins = iotest.ErrReader(errCoins) }, errCoins},
		"coins that end":            {func(c *coordinator.Config) { c.Coins = io.LimitReader(seeded("x"), 31) }, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			w := inMemory("plain", 3, 1)(t)
			w.change = c.change
			require.ErrorIs(t, w.tryStart(), c.err)
			requireUntouched(w)
		})
	}
}

func named(name string, n int) tensor.Model {
	s, err := tensor.NewSchema([]tensor.Spec{{Name: name, Shape: []int{n}}})
	if err != nil {
		panic(err)
	}
	return tensor.Zero(s)
}

// What cannot be understood is not gone over: the engine does not start.
func TestStoreThatCannotBeReadStopsTheStart(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(s *store.Store) error
		err   error
	}{
		"head of a later version": {func(s *store.Store) error { return s.Head.Swap(1, []byte{1, 1, 9}) }, coordinator.ErrHead},
		"head cut":                {func(s *store.Store) error { return s.Head.Swap(1, []byte{1, 1, 1}) }, coordinator.ErrHead},
		"record unknown":          {func(s *store.Store) error { return s.Journal.Append("1/1", []byte("what?")) }, round.ErrJournal},
		"record that was refused": {func(s *store.Store) error { return s.Journal.Append("1/1", []byte{1, 1, 1, 2, 1, 8, 3, 1, 1}) }, round.ErrJournal},
	} {
		t.Run(name, func(t *testing.T) {
			w := inMemory("plain", 3, 1)(t)
			w.start()
			require.NoError(t, c.spoil(w.store))
			require.ErrorIs(t, w.tryStart(), c.err)
			require.ErrorIs(t, w.tryStart(), c.err, "nor at the next try")
		})
	}
}

func TestFixedDenominatorIsTheCohortWhoeverCame(t *testing.T) {
	for denominator, divisor := range map[string]float64{"fixed": 4, "weights": 3} {
		t.Run(denominator, func(t *testing.T) {
			w := inMemory("plain", 4, 1, func(l *plan.Literal) { l.Aggregation.Denominator = denominator })(t)
			w.devices[2].gone = func(*device, secagg.RoundID) bool { return true }
			w.start()
			require.Equal(t, coordinator.Finished, w.run().Status)
			for i, v := range w.values() {
				want := step / divisor
				if i == 2 {
					want = 0
				}
				require.InDelta(t, want, v, tiny)
			}
			require.InDelta(t, 3, w.reports[0].Weight, tiny)
			require.InDelta(t, step*math.Sqrt(3)/divisor, w.reports[0].UpdateNorm, tiny)
			require.Equal(t, []float64{w.reports[0].UpdateNorm}, []float64{w.history()[0].UpdateNorm})
		})
	}
}

// overflowing is a client that does not keep to its bounds.
type overflowing struct {
	plain.Scheme
	when func(secagg.RoundID) bool
}

type overflowingParty struct {
	secagg.Party
	word uint32
}

func (o overflowing) NewParty(s secagg.Session, self int, key ed25519.PrivateKey, coins io.Reader) (secagg.Party, error) {
	p, err := o.Scheme.NewParty(s, self, key, coins)
	if err != nil || !o.when(s.Binding.Round) {
		return p, err
	}
	return overflowingParty{p, 5 << (s.WordBits - 3)}, nil // with two honest ones beyond 3 * 2^18, and no wrap
}

func (p overflowingParty) Seal(vector []uint32, out io.Writer) (secagg.Reply, error) {
	for i := range vector {
		vector[i] = p.word
	}
	return p.Party.Seal(vector, out)
}

func TestSumThatNoHonestClientsHaveIsNotReleased(t *testing.T) {
	w := inMemory("plain", 3, 1)(t)
	w.devices[1].policy.Schemes = []secagg.ClientScheme{overflowing{when: func(id secagg.RoundID) bool { return id.Attempt == 1 }}}
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	history := w.history()
	require.Len(t, history, 2)
	require.False(t, history[0].Released)
	require.Contains(t, history[0].Reason, "sum out of range")
	require.True(t, history[1].Released)
	w.requireModel(1)
	requireClean(w)
}

func TestMessageThatNoRecordCouldHoldIsRefused(t *testing.T) {
	w := inMemory("plain", 3, 1)(t)
	w.start()
	for _, at := range []uint32{0, 1} {
		err := w.engine.Message("client-0", w.engine.State().ID, at, make([]byte, store.MaxAppend-100))
		require.ErrorIs(t, err, secagg.ErrEncoding)
		require.ErrorContains(t, err, "16777116 bytes")
	}
	require.Equal(t, coordinator.Finished, w.run().Status)
	requireWhole(w)
}
