package client_test

import (
	"context"
	"crypto/ed25519"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/tensor"
)

func TestRunReturnsOnlyForGood(t *testing.T) {
	for name, row := range map[string]struct {
		call  string
		class fault.Class
		ends  bool
	}{
		"unknown":                  {"check-in", fault.Unauthenticated, true},
		"turned away":              {"check-in", fault.Denied, true},
		"unavailable":              {"check-in", fault.Unavailable, false},
		"exhausted":                {"check-in", fault.Exhausted, false},
		"internal":                 {"check-in", fault.Internal, false},
		"not admitted to one":      {"send 0", fault.Denied, false},
		"unknown in an attempt":    {"send 0", fault.Unauthenticated, true},
		"cohort complete":          {"send 0", fault.Exhausted, false},
		"attempt over before join": {"send 0", fault.Aborted, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t, whole...)
				refusal := fault.New(row.class, "test/refusal", "refused", "")
				s.fail = failOn(row.call, 1, refusal)
				ctx, stop := context.WithTimeout(t.Context(), time.Hour)
				defer stop()
				err := s.against(t, client.NewMemory(), adder(1)).Run(ctx)
				if row.ends {
					require.ErrorIs(t, err, refusal)
					require.Equal(t, 1, s.calls["check-in"])
					return
				}
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Greater(t, s.calls["check-in"], 1)
			})
		})
	}
}

func TestRunPacesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, row := range map[string]struct {
			offer    client.Offer
			options  []client.Option
			fail     func(string, int) error
			calls    int // after which the time is taken
			from, to time.Duration
		}{
			"as the coordinator says":            {offer: client.Offer{Wait: 40 * time.Second}, calls: 2, from: 40 * time.Second, to: 50 * time.Second},
			"no sooner than a second":            {calls: 2, from: time.Second, to: 1250 * time.Millisecond},
			"no later than an hour":              {offer: client.Offer{Wait: 1000 * time.Hour}, calls: 2, from: time.Hour, to: 75 * time.Minute},
			"ten minutes after a refusal":        {offer: task(t), options: []client.Option{client.WithConsent(client.Limits{})}, calls: 2, from: 450 * time.Second, to: 600 * time.Second},
			"longer after repeated failures":     {fail: failOn("check-in", -1, errUnavailable), calls: 6, from: 15500 * time.Millisecond, to: 31 * time.Second},
			"no longer than five minutes though": {fail: failOn("check-in", -1, errUnavailable), calls: 101, from: (255 + 91*150) * time.Second, to: (511 + 91*300) * time.Second},
		} {
			s := newScript(t, whole...)
			s.offers = []client.Offer{row.offer}
			ctx, stop := context.WithCancel(t.Context())
			began := time.Now()
			s.fail = func(call string, nth int) error {
				if call == "check-in" && nth == row.calls {
					stop()
				}
				if row.fail != nil {
					return row.fail(call, nth)
				}
				return nil
			}
			err := s.against(t, client.NewMemory(), adder(1), row.options...).Run(ctx)
			require.ErrorIs(t, err, context.Canceled)
			took := time.Since(began)
			require.True(t, row.from <= took && took <= row.to, "%s: %v", name, took)
		}
	})
}

func task(t *testing.T) client.Offer { return newScript(t).offers[0] }

func TestALifetimeIsNeverExceededWhateverBecameOfTheAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := client.NewMemory()
		for i := range 2 {
			s := newScript(t, "advertise", "share", "upload", "over") // taken, and said to be of no use
			s.offers[0].Task.Round.Attempt = uint32(i + 1)
			_, err := s.against(t, memory, adder(1), client.WithLifetime(2)).RunOnce(t.Context())
			require.NoError(t, err)
		}
		s := newScript(t, whole...)
		err := s.against(t, memory, adder(1), client.WithLifetime(2)).Run(t.Context())
		require.ErrorIs(t, err, client.ErrLifetime)
		require.Empty(t, s.told(), "not even a check-in")
	})
}

func TestOneGoroutineRunsAClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, whole[:1]...)
		c := s.against(t, client.NewMemory(), trainerFunc(func(ctx context.Context, _ tensor.Model, _ secagg.Task) (client.Update, error) {
			<-ctx.Done()
			return client.Update{}, ctx.Err()
		}))
		ctx, stop := context.WithCancel(t.Context())
		go func() { _, _ = c.RunOnce(ctx) }()
		synctest.Wait()
		require.ErrorIs(t, c.Run(t.Context()), client.ErrRunning)
		_, err := c.RunOnce(t.Context())
		require.ErrorIs(t, err, client.ErrRunning)
		stop()
	})
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	public := authority.Public().(ed25519.PublicKey)
	identity := client.WithIdentity(identityOf("c0"), keyOf("c0"), public)
	schemes := client.WithSchemes(plain.Scheme{})
	s := newScript(t)
	for name, opts := range map[string][]client.Option{
		"no identity":               {schemes},
		"another's key":             {client.WithIdentity(identityOf("c0"), keyOf("c1"), public), schemes},
		"a short key":               {client.WithIdentity(identityOf("c0"), keyOf("c0")[:10], public), schemes},
		"another authority":         {client.WithIdentity(identityOf("c0"), keyOf("c0"), keyOf("c1").Public().(ed25519.PublicKey)), schemes},
		"no authority":              {client.WithIdentity(identityOf("c0"), keyOf("c0"), nil), schemes},
		"no scheme":                 {identity},
		"a nil scheme":              {identity, client.WithSchemes(plain.Scheme{}, nil)},
		"a scheme twice":            {identity, client.WithSchemes(plain.Scheme{}, plain.Scheme{})},
		"a job that is no name":     {identity, schemes, client.WithJob("Job 1")},
		"limits below zero":         {identity, schemes, client.WithConsent(client.Limits{Minimum: -1})},
		"a lifetime nobody counts":  {identity, schemes, client.WithLifetime(1)},
		"a lifetime below zero":     {identity, schemes, client.WithState(client.NewMemory()), client.WithLifetime(-1)},
		"nothing but the essential": nil,
	} {
		_, err := client.New(s, adder(1), opts...)
		require.ErrorIs(t, err, client.ErrOptions, name)
	}
	_, err := client.New(nil, adder(1), identity, schemes)
	require.ErrorIs(t, err, client.ErrOptions)
	_, err = client.New(s, nil, identity, schemes)
	require.ErrorIs(t, err, client.ErrOptions)
	_, err = client.New(s, adder(1), identity, schemes)
	require.NoError(t, err)
}

func TestConditionsAreAskedForAtEachCheckIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := clientNames(2)
		s := newServer(t, testPlan(t, 2, 2, 1), names...)
		asked := 0
		c := newClient(t, s.connect("c0"), adder(1), as("c0", client.WithConditions(func() client.Conditions {
			asked++
			return client.Conditions{Idle: true}
		}))...)
		ctx, stop := context.WithCancel(t.Context())
		go func() { _ = c.Run(ctx) }()
		synctest.Wait()
		require.Equal(t, 1, asked)
		stop()
	})
}
