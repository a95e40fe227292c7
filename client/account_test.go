package client

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg"
)

// attemptOf is a task of a job with noise, as far as an account looks at it.
func attemptOf(job string, round, attempt uint32) secagg.Task {
	return secagg.Task{Round: secagg.RoundID{Job: job, Round: round, Attempt: attempt}, Terms: secagg.Terms{Job: job, Noise: secagg.Noise{Sigma: 1}}}
}

// units is a cost of that many 2^-40 of rho.
func units(n uint64) Cost { return Cost{rho: n} }

func charged(t *testing.T, a Account, task secagg.Task, c Cost) Account {
	t.Helper()
	a, err := a.Charge(task, c)
	require.NoError(t, err)
	return a
}

func TestAnAttemptIsChargedOnce(t *testing.T) {
	a := charged(t, Account{}, attemptOf("a", 1, 1), units(1<<40))
	require.Equal(t, a, charged(t, a, attemptOf("a", 1, 1), units(1<<40)))
	require.Equal(t, 1, a.Attempts())
	b := charged(t, a, attemptOf("b", 1, 1), units(1<<40))
	require.Equal(t, b, charged(t, b, attemptOf("a", 1, 1), units(1<<40)), "the latest of its job, after another job's")
	require.Equal(t, 2, b.Attempts())
	c := charged(t, b, attemptOf("a", 1, 2), units(1<<40))
	require.Equal(t, 3, c.Attempts(), "another attempt at the round has noise and a cost of its own")
	require.InDelta(t, dp.Epsilon(3, 1e-5, false), c.Epsilon(1e-5), 1e-9)
	require.Equal(t, 1, a.Attempts(), "accounts do not change")
	require.Equal(t, dp.Epsilon(1, 1e-5, false), a.Epsilon(1e-5))
}

func TestTheBudgetSpansAllJobs(t *testing.T) {
	a := Account{}
	for i := range 5 {
		a = charged(t, a, attemptOf(fmt.Sprintf("job-%d", i), 1, 1), units(1<<39))
	}
	require.InDelta(t, dp.Epsilon(2.5, 1e-5, false), a.Epsilon(1e-5), 1e-9)
	require.Zero(t, Account{}.Epsilon(1e-5))
	for _, delta := range []float64{0, 1, -1, math.NaN()} {
		require.Equal(t, math.Inf(1), a.Epsilon(delta))
	}
}

func TestSkellamOnceHoldsTheAccountToWholeOrders(t *testing.T) {
	skellam := units(1 << 30)
	skellam.whole = true
	a := charged(t, Account{}, attemptOf("a", 1, 1), units(1<<30))
	require.Equal(t, dp.Epsilon(0x1p-10, 1e-5, false), a.Epsilon(1e-5))
	a = charged(t, a, attemptOf("a", 2, 1), skellam)
	a = charged(t, a, attemptOf("a", 3, 1), units(1<<30))
	require.Equal(t, dp.Epsilon(3*0x1p-10, 1e-5, true), a.Epsilon(1e-5))
	require.Greater(t, dp.Epsilon(3*0x1p-10, 1e-5, true), dp.Epsilon(3*0x1p-10, 1e-5, false))
}

func TestRhoIsNeverBelowWhatWasSpent(t *testing.T) {
	sum, exact := Cost{}, new(big.Rat)
	add := func(rho float64) {
		c := Cost{rho: unbounded}
		if n := rhoUnits(rho); n != unbounded {
			c = units(n)
		}
		sum = sum.plus(c)
		exact.Add(exact, new(big.Rat).SetFloat64(rho))
		require.GreaterOrEqual(t, new(big.Rat).SetFloat64(sum.rhoUp()).Cmp(exact), 0)
	}
	for i := range 1000 {
		add(0.1 + float64(i)*1e-7)
	}
	for range 1000 {
		add(1e-30)
	}
	add(1 << 20) // from here on a float64 does not hold all units
	add(1e-30)
	slack := new(big.Rat).Sub(new(big.Rat).SetFloat64(sum.rhoUp()), exact)
	require.Equal(t, -1, slack.Cmp(big.NewRat(2100, 1<<40)), "a unit for each")
}

func TestWhatCannotBeCountedIsUnbounded(t *testing.T) {
	for _, rho := range []float64{0, -1, math.NaN(), math.Inf(1), 1 << 23, -5e-324} {
		require.Equal(t, uint64(unbounded), rhoUnits(rho), "%v", rho)
	}
	require.Equal(t, uint64(1), rhoUnits(5e-324))
	half := units(1 << 62)
	require.True(t, half.plus(half).rho == unbounded, "no sum wraps")
	require.True(t, units(unbounded).plus(units(1)).rho == unbounded)
	require.True(t, units(1).plus(units(unbounded)).rho == unbounded)
	a := charged(t, Account{}, attemptOf("a", 1, 1), costOf(secagg.Terms{}, ddp.Mechanism{}))
	require.Equal(t, math.Inf(1), a.Epsilon(1e-5), "a contribution without noise")
	a = charged(t, a, attemptOf("a", 2, 1), units(1))
	require.Equal(t, math.Inf(1), a.Epsilon(0.5), "for ever")
}

func TestWhatIsLeftOutOfTailsAndBucketsIsTakenOffDelta(t *testing.T) {
	plain := charged(t, Account{}, attemptOf("a", 1, 1), units(1<<39))
	tailed, bucketed, both := units(1<<39), units(1<<39), units(1<<39)
	tailed.tail, bucketed.delta = 1e-8, 5e-6
	both.tail, both.delta = tailed.tail, bucketed.delta
	const delta = 1e-5
	a := charged(t, Account{}, attemptOf("a", 1, 1), bucketed)
	require.Equal(t, dp.Epsilon(0.5, delta-5e-6, false), a.Epsilon(delta))
	for _, c := range []Cost{tailed, both} {
		a := charged(t, Account{}, attemptOf("a", 1, 1), c)
		e := a.Epsilon(delta)
		require.Greater(t, e, plain.Epsilon(delta))
		require.LessOrEqual(t, dp.Epsilon(0.5, delta-c.delta-(1+math.Exp(e))*c.tail, false), e, "it holds")
		require.Greater(t, dp.Epsilon(0.5, delta-c.delta-(1+math.Exp(e))*c.tail, false), e*(1-1e-4), "and is no more than it must be")
	}
	tailed.tail = 1e-6
	require.Equal(t, math.Inf(1), charged(t, Account{}, attemptOf("a", 1, 1), tailed).Epsilon(delta))
	bucketed.delta = delta
	require.Equal(t, math.Inf(1), charged(t, Account{}, attemptOf("a", 1, 1), bucketed).Epsilon(delta))
	twice := charged(t, charged(t, Account{}, attemptOf("a", 1, 1), both), attemptOf("a", 2, 1), both)
	require.InEpsilon(t, 2e-8, twice.spent.tail, 1e-12)
	require.InEpsilon(t, 1e-5, twice.spent.delta, 1e-12)
}

func TestADeviceTakesPartNoMoreOftenThanTheTermsSay(t *testing.T) {
	task := func(job string, round, attempt uint32, participations, separation int) secagg.Task {
		out := attemptOf(job, round, attempt)
		out.Terms.Noise.Participations, out.Terms.Noise.Separation = participations, separation
		return out
	}
	a := charged(t, Account{}, task("a", 10, 1, 2, 5), units(1))
	for name, row := range map[string]struct {
		task secagg.Task
		want error
	}{
		"the same attempt":               {task("a", 10, 1, 2, 5), nil},
		"another at the same round":      {task("a", 10, 2, 2, 5), ErrOften},
		"a round too near":               {task("a", 14, 1, 2, 5), ErrOften},
		"far enough":                     {task("a", 15, 1, 2, 5), nil},
		"an earlier round":               {task("a", 1, 1, 2, 5), ErrOften},
		"no separation":                  {task("a", 10, 2, 2, 0), nil},
		"no room for another":            {task("a", 15, 1, 1, 5), ErrOften},
		"another job, which may be near": {task("b", 11, 1, 2, 5), nil},
	} {
		_, err := a.Charge(row.task, units(1))
		require.ErrorIs(t, err, row.want, name)
	}
	a = charged(t, a, task("a", 15, 1, 2, 5), units(1))
	_, err := a.Charge(task("a", 30, 1, 2, 5), units(1))
	require.ErrorIs(t, err, ErrOften, "two were allowed")
}

func TestALedgerThatWasPutBackIsRefused(t *testing.T) {
	at := func(count uint64, digest string) secagg.Task {
		out := attemptOf("a", 1, 1)
		out.Ledger = secagg.LedgerHead{Count: count, Digest: secagg.Hash(digest)}
		return out
	}
	none := attemptOf("a", 1, 1)
	a, err := Account{}.See(at(7, "seven"))
	require.NoError(t, err)
	exact := secagg.Task{Round: secagg.RoundID{Job: "a", Round: 1, Attempt: 1}}
	other := at(1, "one")
	other.Round.Job, other.Terms.Job = "b", "b"
	for name, row := range map[string]struct {
		task secagg.Task
		want error
	}{
		"the same head":                  {at(7, "seven"), nil},
		"a later one":                    {at(8, "eight"), nil},
		"an earlier one":                 {at(6, "six"), ErrRolledBack},
		"another of the same count":      {at(7, "other"), ErrRolledBack},
		"none":                           {none, ErrRolledBack},
		"no noise, and so no ledger":     {exact, nil},
		"another job, under its own one": {other, nil},
	} {
		_, err := a.See(row.task)
		require.ErrorIs(t, err, row.want, name)
	}
	a, err = a.See(at(9, "nine"))
	require.NoError(t, err)
	_, err = a.See(at(8, "eight"))
	require.ErrorIs(t, err, ErrRolledBack, "the newest counts")
	a = charged(t, a, attemptOf("a", 1, 1), units(1))
	_, err = a.See(at(8, "eight"))
	require.ErrorIs(t, err, ErrRolledBack, "a charge forgets nothing")
	_, err = charged(t, Account{}, none, units(1)).See(at(0, "first"))
	require.NoError(t, err, "where none was seen any will do")
}

func TestNoJobIsForgottenForAnother(t *testing.T) {
	a := Account{}
	var err error
	for i := range MaxJobs {
		a, err = a.See(attemptOf(fmt.Sprintf("%s%d", strings.Repeat("j", 60), i), math.MaxInt32, math.MaxInt32))
		require.NoError(t, err)
		a.jobs[len(a.jobs)-1].head = secagg.LedgerHead{Count: math.MaxUint64, Digest: secagg.Hash("head")}
	}
	_, err = a.See(attemptOf("another", 1, 1))
	require.ErrorIs(t, err, ErrJobs)
	_, err = a.Charge(attemptOf("another", 1, 1), units(1))
	require.ErrorIs(t, err, ErrJobs)
	exact := secagg.Task{Round: secagg.RoundID{Job: "another", Round: 1, Attempt: 1}}
	charged(t, a, exact, units(1))
	require.Less(t, len(a.Encode()), MaxAccount*3/4)
	again, err := DecodeAccount(a.Encode())
	require.NoError(t, err)
	require.Equal(t, a, again)
}

func TestAnAccountIsReadAsItWasWritten(t *testing.T) {
	a := charged(t, Account{}, attemptOf("b", 3, 2), Cost{rho: 5, whole: true, tail: 1e-20, delta: 1e-9})
	seen := attemptOf("a", 1, 1)
	seen.Ledger = secagg.LedgerHead{Count: 4, Digest: secagg.Hash("four")}
	a, err := a.See(seen)
	require.NoError(t, err)
	for _, a := range []Account{{}, a, charged(t, a, attemptOf("a", 1, 1), units(unbounded))} {
		again, err := DecodeAccount(a.Encode())
		require.NoError(t, err)
		require.Equal(t, a, again)
	}
	spoil := func(change func(*Account)) []byte {
		b := a
		b.jobs = append([]jobAccount{}, a.jobs...)
		change(&b)
		return b.Encode()
	}
	for name, b := range map[string][]byte{
		"nothing":                {},
		"a third version":        {1, 1, 3},
		"attempts and none last": spoil(func(a *Account) { a.last = secagg.RoundID{} }),
		"one last and none":      spoil(func(a *Account) { a.attempts = 0 }),
		"rho between":            spoil(func(a *Account) { a.spent.rho = 1 << 63 }),
		"a negative tail":        spoil(func(a *Account) { a.spent.tail = -1 }),
		"a negative delta":       spoil(func(a *Account) { a.spent.delta = -1 }),
		"jobs out of order":      spoil(func(a *Account) { a.jobs[0], a.jobs[1] = a.jobs[1], a.jobs[0] }),
		"a job twice":            spoil(func(a *Account) { a.jobs[1] = a.jobs[0] }),
		"a job without a name":   spoil(func(a *Account) { a.jobs[0].name = "" }),
		"attempts and no round":  spoil(func(a *Account) { a.jobs[0].attempts = 1 }),
		"a round and no attempt": spoil(func(a *Account) { a.jobs[1].attempt = 0 }),
		"too many attempts":      spoil(func(a *Account) { a.attempts = math.MaxInt32 + 1 }),
	} {
		_, err := DecodeAccount(b)
		require.ErrorIs(t, err, ErrAccount, name)
	}
}

func FuzzDecodeAccount(f *testing.F) {
	a, err := Account{}.Charge(attemptOf("a", 1, 1), Cost{rho: 5, whole: true, tail: 1e-20, delta: 1e-9})
	require.NoError(f, err)
	f.Add(a.Encode())
	f.Add(Account{}.Encode())
	f.Add([]byte{1, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := DecodeAccount(b)
		if err != nil {
			return
		}
		if b[2] == accountVersion {
			require.Equal(t, b, a.Encode())
		}
		again, err := DecodeAccount(a.Encode())
		require.NoError(t, err)
		require.Equal(t, a, again)
	})
}
