package bench

import (
	"errors"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/fault"
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
	value := map[string]float64{}
	for _, r := range doc.Results {
		names = append(names, r.Name)
		value[r.Name] = r.Value
		require.Positive(t, r.Value, r.Name)
		require.NotEmpty(t, r.Unit, r.Name)
	}
	require.ElementsMatch(t, Names(), names)
	for _, asked := range []string{"pairwise/mask", "pairwise/unmask", "pairwise/advertise", "pairwise/share", "pairwise/shamir", "plain/aggregate",
		"pairwise/aggregate", "field/encode", "field/pack", "field/unpack", "limit/add", "limit/aesctr", "limit/sha256", "pairwise/upload"} {
		require.Contains(t, names, asked)
	}
	require.InDelta(t, 4*(1+4.0/MinD), value["pairwise/upload"], 1e-9, "4 bytes a word, and four words of known answers")
	// What goes down in phase share is what went up in the phases before, for all
	// other clients; see package pairwise.
	require.InEpsilon(t, (cohortSize-1)*(value["pairwise/up/advertise"]+value["pairwise/up/choose"]), value["pairwise/down/share"], 0.05)
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
