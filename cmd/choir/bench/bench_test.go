package bench

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
)

func TestEveryMeasurementIsMadeOnce(t *testing.T) {
	threads := runtime.GOMAXPROCS(0)
	var told []string
	doc, err := Run(Options{D: MinD, Progress: func(what string) { told = append(told, what) }})
	require.NoError(t, err)
	require.Equal(t, Schema, doc.Schema)
	require.Equal(t, threads, runtime.GOMAXPROCS(0), "restored")
	require.Len(t, told, len(groups))
	var names []string
	value, seen := map[string]float64{}, map[string]bool{}
	for _, r := range doc.Results {
		names = append(names, r.Name)
		value[r.Name] = r.Value
		at := fmt.Sprint(r.Name, optional(r.N), optional(r.W))
		require.False(t, seen[at], "%s twice", at)
		seen[at] = true
		require.Equal(t, r.Name == "pairwise/client" || r.Name == "pairwise/coordinator", r.Computed, r.Name)
		require.Positive(t, r.Value, r.Name)
		require.NotEmpty(t, r.Unit, r.Name)
	}
	require.Subset(t, names, Names())
	require.Subset(t, Names(), names)
	for _, asked := range []string{"pairwise/mask", "pairwise/unmask", "pairwise/advertise", "pairwise/share", "pairwise/shamir", "plain/aggregate",
		"pairwise/aggregate", "field/encode", "field/pack", "field/unpack", "limit/add", "limit/aesctr", "limit/sha256", "pairwise/upload", "oneshot/encrypt",
		"oneshot/digest", "oneshot/aggregate", "oneshot/unmask", "oneshot/upload", "oneshot/letters/first", "oneshot/letters/second", "oneshot/client",
		"oneshot/coordinator", "pairwise/client", "pairwise/coordinator", "noise/dgauss", "noise/skellam", "ddp/encode", "ddp/decode", "ddp/64blocks",
		"account/pld", "account/rdp", "account/calibrate", "mf/sensitivity", "robust/krum", "robust/nnm-krum", "robust/nnm-trimmed-mean", "robust/median",
		"robust/trimmed-mean", "robust/geometric-median"} {
		require.Contains(t, names, asked)
	}
	require.InDelta(t, 4*(1+4.0/MinD), value["pairwise/upload"], 1e-9, "4 bytes a word, and four words of known answers")
	// What goes down in phase share is what went up in the phases before, for all
	// other clients; see package pairwise.
	require.InEpsilon(t, (cohortSize-1)*(value["pairwise/up/advertise"]+value["pairwise/up/choose"]), value["pairwise/down/share"], 0.05)
}

// optional tells absent numbers from zero.
func optional(v *int) string {
	if v == nil {
		return "/-"
	}
	return fmt.Sprint("/", *v)
}

func TestUploadsAndLettersAreCountedInFull(t *testing.T) {
	doc, err := Run(Options{D: MinD, Filter: regexp.MustCompile("^oneshot/(upload|unmask|(member/)?(up|down)/)")})
	require.NoError(t, err)
	var cohortsOpened []int
	sent := map[string]float64{}
	for _, r := range doc.Results {
		switch r.Name {
		case "oneshot/unmask":
			cohortsOpened = append(cohortsOpened, *r.N)
		case "oneshot/upload":
			p := shape{clients: *r.N, words: MinD, width: *r.W, dropout: vanish}.policy()
			p.Committee = committeeOf(t)
			f, err := oneshot.Measure(p)
			require.NoError(t, err)
			require.InDelta(t, float64(f.Upload)+float64(f.Frame), r.Value*MinD, 1e-6)
		default:
			sent[r.Name] = r.Value
		}
	}
	require.Equal(t, cohorts, cohortsOpened)
	p := shape{clients: letterCohort, words: chunkWords, width: sumWord, dropout: vanish}.policy()
	p.Committee = committeeOf(t)
	f, err := oneshot.Measure(p)
	require.NoError(t, err)
	require.EqualValues(t, f.Frame, sent["oneshot/up/upload"])
	for _, pass := range []string{"upload", "unmask"} { // each with an instruction beside the letters
		require.InDelta(t, float64(f.MemberLetters), sent["oneshot/member/down/"+pass], 1000, pass)
	}
	require.InDelta(t, float64(f.MemberVerdicts), sent["oneshot/member/up/upload"], 100)
	require.InDelta(t, float64(f.MemberAnswer), sent["oneshot/member/up/unmask"], 100)
}

// committeeOf is a committee of the size that is measured.
func committeeOf(t *testing.T) secagg.Committee {
	a, err := newAttempt(oneshot.Scheme{}, shape{clients: letterCohort, words: 1, width: sumWord, committee: decryptors, dropout: vanish})
	require.NoError(t, err)
	return a.session.Committee
}

func TestFilterSelectsMeasurements(t *testing.T) {
	doc, err := Run(Options{D: MinD, Filter: regexp.MustCompile("^limit/add$|unpack")})
	require.NoError(t, err)
	require.Len(t, doc.Results, 2)
	require.Equal(t, "limit/add", doc.Results[0].Name)
	require.Nil(t, doc.Results[0].N)
	require.Equal(t, MinD, *doc.Results[0].D)
	require.Equal(t, oddWord, *doc.Results[1].W)
}

func TestManyVectorsAreCombinedOnlyWhereAFilterAsksForIt(t *testing.T) {
	doc, err := Run(Options{D: MinD, Filter: regexp.MustCompile("^robust/(krum|median)$")})
	require.NoError(t, err)
	var sizes []string
	for _, r := range doc.Results {
		require.Equal(t, Milliseconds, r.Unit)
		sizes = append(sizes, fmt.Sprint(r.Name, " ", *r.N, " ", *r.D))
	}
	require.Equal(t, []string{"robust/krum 100 1024", "robust/krum 1000 1024", "robust/median 100 1024"}, sizes)
	all, few := &suite{d: DefaultD}, &suite{d: DefaultD, selective: true}
	require.Equal(t, [][2]int{{100, 100_000}}, all.robustSizes("robust/krum"))
	require.Equal(t, [][2]int{{100, 100_000}, {100, 1_000_000}, {1000, 100_000}}, few.robustSizes("robust/krum"))
	require.Equal(t, [][2]int{{100, 100_000}, {100, 1_000_000}}, few.robustSizes("robust/median"))
}

func TestAContestantMayBringItsClock(t *testing.T) {
	now := time.Duration(0)
	times, err := race(2, contestant{prepare: func() error { return nil }, run: func() error { now += time.Hour; return nil }, clock: func() time.Duration { return now }})
	require.NoError(t, err)
	require.Equal(t, []time.Duration{time.Hour}, times)
}

func TestImpossibleMeasurementsAreRefused(t *testing.T) {
	for name, o := range map[string]Options{
		"too short":       {D: MinD - 1},
		"too long":        {D: MaxD + 1},
		"no such measure": {D: MinD, Filter: regexp.MustCompile("hope")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Run(o)
			require.ErrorIs(t, err, ErrOptions)
			require.Equal(t, fault.Usage, fault.ClassOf(err))
		})
	}
}

func TestLimitsAreMeasured(t *testing.T) {
	for _, name := range Names() {
		for _, limit := range Limits(name) {
			require.Contains(t, Names(), limit)
			require.True(t, strings.HasPrefix(limit, "limit/"))
		}
	}
	require.Equal(t, []string{"limit/aesctr", "limit/add"}, Limits("pairwise/unmask"))
}

func TestRaceTakesTheLeastOfEachInTurn(t *testing.T) {
	var order []string
	times, err := race(3,
		contestant{prepare: func() error { order = append(order, "prepare a"); return nil }, run: func() error { order = append(order, "a"); return nil }},
		contestant{prepare: func() error { return nil }, run: func() error { order = append(order, "b"); spin(); return nil }})
	require.NoError(t, err)
	require.Equal(t, slices.Repeat([]string{"prepare a", "a", "b"}, 3), order)
	require.Greater(t, times[1], times[0])
}

func TestShortWorkIsMeasuredInBatches(t *testing.T) {
	calls := 0
	times, err := race(2, contestant{run: func() error { calls++; return nil }})
	require.NoError(t, err)
	require.Greater(t, calls, 100)
	require.Less(t, times[0], time.Millisecond)
}

func TestRaceEndsWithTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	_, err := race(always, contestant{run: func() error { return broken }})
	require.ErrorIs(t, err, broken)
	_, err = race(always, contestant{prepare: func() error { return broken }, run: func() error { return nil }})
	require.ErrorIs(t, err, broken)
}

// spin takes some milliseconds of processor time.
func spin() {
	x := uint32(1)
	for range 10_000_000 {
		x = x*1664525 + 1013904223
	}
	sink = x
}

var sink uint32
