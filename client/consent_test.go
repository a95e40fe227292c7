package client_test

import (
	"math"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/plain"
)

func TestLimitsAllowWhatTheySayAndNothingElse(t *testing.T) {
	terms := testPlan(t, 30, 20, 1).Terms() // clip norm 100, exact sums
	task := secagg.Task{Round: secagg.RoundID{Job: "job", Round: 1, Attempt: 1}, Terms: terms, ModelSize: 1000}
	for name, row := range map[string]struct {
		limits  client.Limits
		refusal string
	}{
		"zero value":                  {client.Limits{}, "opens exact sums"},
		"exact sums allowed":          {client.Limits{TrustCoordinator: true}, ""},
		"its job":                     {client.Limits{TrustCoordinator: true, Jobs: []string{"other", "job"}}, ""},
		"another job":                 {client.Limits{TrustCoordinator: true, Jobs: []string{"other"}}, `job "job"`},
		"just enough clients":         {client.Limits{TrustCoordinator: true, Minimum: 20}, ""},
		"too few clients":             {client.Limits{TrustCoordinator: true, Minimum: 21}, "as few as 20 clients"},
		"just the clip norm":          {client.Limits{TrustCoordinator: true, MaxClipNorm: 100}, ""},
		"too large a clip norm":       {client.Limits{TrustCoordinator: true, MaxClipNorm: 99.9}, "clip norm 100"},
		"just the size":               {client.Limits{TrustCoordinator: true, MaxModelBytes: 1000}, ""},
		"too large a model":           {client.Limits{TrustCoordinator: true, MaxModelBytes: 999}, "model of 1000 bytes"},
		"a negative minimum":          {client.Limits{TrustCoordinator: true, Minimum: -1}, "limits"},
		"a negative size":             {client.Limits{TrustCoordinator: true, MaxModelBytes: -1}, "limits"},
		"a clip norm without meaning": {client.Limits{TrustCoordinator: true, MaxClipNorm: math.NaN()}, "limits"},
	} {
		t.Run(name, func(t *testing.T) {
			err := row.limits.Allow(task)
			if row.refusal == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, row.refusal)
		})
	}
	t.Run("a file said to be small", func(t *testing.T) {
		task := task
		task.ModelSize = 1
		require.ErrorIs(t, client.Limits{TrustCoordinator: true, MaxModelBytes: 50}.Allow(task), client.ErrConsent,
			"the tensors count, whatever the coordinator says of the file")
	})
	t.Run("default minimum", func(t *testing.T) {
		task := task
		task.Terms.Minimum = client.DefaultMinimum - 1
		require.ErrorIs(t, client.Limits{TrustCoordinator: true}.Allow(task), client.ErrConsent)
	})
}

func TestARefusedTaskSendsNothing(t *testing.T) {
	for name, row := range map[string]struct {
		options []client.Option
		change  func(*secagg.Task)
		want    error
	}{
		"strict limits":        {options: []client.Option{client.WithConsent(client.Limits{})}, want: client.ErrConsent},
		"too few clients":      {options: []client.Option{client.WithConsent(client.Limits{Minimum: 3, TrustCoordinator: true})}, want: client.ErrConsent},
		"another scheme":       {options: []client.Option{client.WithSchemes(plain.Scheme{})}, want: client.ErrScheme},
		"another job":          {options: []client.Option{client.WithJob("other")}, want: client.ErrJob},
		"terms that lie":       {change: func(t *secagg.Task) { t.Terms.TrustCoordinator = false }, want: secagg.ErrTerms},
		"terms of another job": {change: func(t *secagg.Task) { t.Round.Job = "other" }, want: secagg.ErrTerms},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t, whole...)
				if row.change != nil {
					row.change(s.offers[0].Task)
				}
				_, err := s.against(t, client.NewMemory(), adder(1), row.options...).RunOnce(t.Context())
				require.ErrorIs(t, err, row.want)
				require.Equal(t, []string{"check-in"}, s.told())
			})
		})
	}
}

func TestConsentWithdrawnBeforeTheUploadKeepsItHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, whole...)
		s.fail = failOn("upload 3", 1, errUnavailable)
		memory := client.NewMemory()
		_, err := s.against(t, memory, adder(1)).RunOnce(t.Context())
		require.ErrorIs(t, err, errUnavailable)
		s.fail, s.calls = nil, map[string]int{}
		s.offers = []client.Offer{{}}
		_, err = s.against(t, memory, adder(1), client.WithConsent(client.Limits{})).RunOnce(t.Context())
		require.NoError(t, err)
		require.Zero(t, s.calls["upload 3"])
	})
}
