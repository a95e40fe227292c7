package coordinator_test

import (
	"crypto/ed25519"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
)

// inBuckets opens buckets of size clients, at least minimum in each.
func inBuckets(size, minimum, least int) func(*plan.Literal) {
	return func(l *plan.Literal) {
		l.Aggregation.View, l.Aggregation.Buckets = "bucket_means", plan.Buckets{Size: size, Minimum: minimum}
		l.Cohort.Minimum = least
	}
}

// slowMean is the mean of bucket means, coordinate by coordinate: client i added
// sizes[i] to weight i, with weight one.
func slowMean(buckets [][]int, sizes []float64, fixed float64) []float64 {
	out := make([]float64, len(sizes))
	used := 0
	for _, b := range buckets {
		if len(b) > 0 {
			used++
		}
	}
	for i := range out {
		for _, b := range buckets {
			if !slices.Contains(b, i) {
				continue
			}
			divisor := float64(len(b))
			if fixed > 0 {
				divisor = fixed
			}
			out[i] += sizes[i] / divisor / float64(used)
		}
	}
	return out
}

// bucketsOf are a report's buckets by index of the device.
func (w *world) bucketsOf(r coordinator.Report) [][]int {
	out := make([][]int, len(r.Members))
	for b, members := range r.Members {
		for _, id := range members {
			out[b] = append(out[b], slices.IndexFunc(w.devices, func(d *device) bool { return d.name() == id }))
		}
	}
	return out
}

func (w *world) requireValues(want []float64) {
	w.t.Helper()
	for i, v := range w.values() {
		require.InDelta(w.t, want[i], v, tiny, "client %d", i)
	}
}

func TestMeanOfBucketsCountsEachBucketAlike(t *testing.T) {
	for _, scheme := range []string{"plain", "pairwise", "oneshot"} {
		for denominator, fixed := range map[string]float64{"weights": 0, "fixed": 7.0 / 2} {
			t.Run(scheme+"_"+denominator, func(t *testing.T) {
				w := inMemory(scheme, 7, 1, inBuckets(3, 3, 6), func(l *plan.Literal) {
					if scheme == "oneshot" {
						sealed(l)
					}
					l.Aggregation.Denominator = denominator
				})(t)
				sizes := make([]float64, 7)
				for i, d := range w.devices {
					sizes[i] = float64(i+1) / 4
					d.size = func(secagg.RoundID) float32 { return float32(sizes[i]) }
				}
				w.start()
				require.Equal(t, coordinator.Finished, w.run().Status)
				r := w.reports[0]
				require.Equal(t, []int{2, 7, 0, 0}, []int{r.Buckets, r.Survivors, r.Short, r.Spoiled})
				want := slowMean(w.bucketsOf(r), sizes, fixed)
				w.requireValues(want)
				var squares float64
				for _, x := range want {
					squares += x * x
				}
				require.InDelta(t, math.Sqrt(squares), r.UpdateNorm, tiny)
				require.InDelta(t, 7, r.Weight, tiny)
				requireClean(w)
			})
		}
	}
}

// outOfRange is a client of scheme oneshot that does not keep to its bounds.
type outOfRange struct {
	oneshot.Scheme
	when func(secagg.RoundID) bool
}

func (o outOfRange) NewParty(s secagg.Session, self int, key ed25519.PrivateKey, coins io.Reader) (secagg.Party, error) {
	p, err := o.Scheme.NewParty(s, self, key, coins)
	if err != nil || !o.when(s.Binding.Round) {
		return p, err
	}
	return overflowingParty{p, 1<<s.WordBits - 1}, nil
}

// completed tells which devices hear that they were counted.
func (w *world) completed(id secagg.RoundID) (out []int) {
	for i, d := range w.devices {
		env, ok := w.engine.Envelope(d.name(), id, 0)
		require.True(w.t, ok && env.Over)
		if env.Completed {
			out = append(out, i)
		}
	}
	return out
}

func TestSpoiledBucketIsLeftOutAndItsMembersAreNotTold(t *testing.T) {
	for _, scheme := range []string{"plain", "oneshot"} {
		t.Run(scheme, func(t *testing.T) {
			w := inMemory(scheme, 6, 1, inBuckets(3, 3, 3), func(l *plan.Literal) {
				if scheme == "oneshot" {
					sealed(l)
				}
			})(t)
			always := func(secagg.RoundID) bool { return true }
			w.devices[4].policy.Schemes = []secagg.ClientScheme{overflowing{when: always}, outOfRange{when: always}}
			w.start()
			require.Equal(t, coordinator.Finished, w.run().Status)
			r := w.reports[0]
			require.True(t, r.Released)
			require.Equal(t, []int{2, 3, 0, 1}, []int{r.Buckets, r.Survivors, r.Short, r.Spoiled})
			require.Equal(t, []int{2, 0, 1, len(r.Culprits)}, []int{w.history()[0].Buckets, w.history()[0].Short, w.history()[0].Spoiled, w.history()[0].Culprits})
			require.Equal(t, r.UploadBytes, w.history()[0].Upload)
			buckets := w.bucketsOf(r)
			good := slices.Concat(buckets...)
			require.Len(t, good, 3)
			require.NotContains(t, good, 4)
			require.Equal(t, good, w.completed(r.ID))
			sizes := slices.Repeat([]float64{step}, 6)
			w.requireValues(slowMean(buckets, sizes, 0))
			require.InDelta(t, 3, r.Weight, tiny)
			requireClean(w)
		})
	}
}

// What is left when a bucket was spoiled is fewer than the plan's minimum.
func TestModelOfFewerThanTheMinimumIsNotReleased(t *testing.T) {
	w := inMemory("plain", 6, 1, inBuckets(3, 3, 4))(t)
	w.devices[4].policy.Schemes = []secagg.ClientScheme{overflowing{when: func(id secagg.RoundID) bool { return id.Attempt == 1 }}}
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.False(t, w.reports[0].Released)
	require.Contains(t, w.reports[0].Reason, "3 in the sums that opened, of at least 4")
	require.Equal(t, 1, w.reports[0].Spoiled)
	require.True(t, w.reports[1].Released)
	w.requireModel(1)
}

func TestShortBucketIsNotOpened(t *testing.T) {
	for _, scheme := range []string{"plain", "oneshot"} {
		t.Run(scheme, func(t *testing.T) {
			w := inMemory(scheme, 6, 1, inBuckets(3, 3, 3), func(l *plan.Literal) {
				if scheme == "oneshot" {
					sealed(l)
				}
			})(t)
			w.start()
			w.ready(w.devices[4])
			w.devices[4].frame = nil // it uploads nothing
			require.Equal(t, coordinator.Finished, w.run().Status)
			r := w.reports[0]
			require.True(t, r.Released, r.Reason)
			require.Equal(t, []int{2, 3, 1, 0}, []int{r.Buckets, r.Survivors, r.Short, r.Spoiled})
			require.Equal(t, []coordinator.Alert{{Name: coordinator.AlertShort, What: "1 of 2 buckets had fewer clients than are opened", Value: 1}}, r.Alerts)
			require.Equal(t, []int{2, 1, 0}, []int{w.history()[0].Buckets, w.history()[0].Short, w.history()[0].Spoiled})
			buckets := w.bucketsOf(r)
			require.Equal(t, slices.Concat(buckets...), w.completed(r.ID))
			w.requireValues(slowMean(buckets, slices.Repeat([]float64{step}, 6), 0))
			requireClean(w)
		})
	}
}

// The reason says it all.
func TestAttemptThatOpensNothingRaisesNoAlertOfShortBuckets(t *testing.T) {
	w := inMemory("plain", 3, 1, func(l *plan.Literal) { l.Rounds.Attempts = 1 })(t)
	w.start()
	for _, d := range w.devices {
		w.ready(d)
		d.frame = nil // it uploads nothing
	}
	require.Equal(t, coordinator.Stopped, w.run().Status)
	require.False(t, w.reports[0].Released)
	require.Equal(t, []int{1, 1}, []int{w.reports[0].Buckets, w.reports[0].Short})
	require.Empty(t, w.reports[0].Alerts)
}

// falling opens buckets after a spoiled sum.
func falling(l *plan.Literal) {
	sealed(l)
	l.Aggregation.Fallback, l.Aggregation.Buckets = "bucket_means", plan.Buckets{Size: 3, Minimum: 3}
	l.Cohort.Minimum = 3
}

func spoiling(rounds int) func(t *testing.T) *world {
	return func(t *testing.T) *world {
		w := inMemory("plain", 6, rounds, falling)(t)
		first := func(id secagg.RoundID) bool { return id.Round == 1 }
		w.devices[1].policy.Schemes = []secagg.ClientScheme{outOfRange{when: first}}
		return w
	}
}

func TestSpoiledSumIsTriedAgainInBuckets(t *testing.T) {
	w := spoiling(2)(t)
	w.start()
	w.until("the end of an attempt", func() bool { return len(w.reports) == 1 })
	w.start() // the fallback survives a restart
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.Len(t, w.reports, 3)
	whole, fallback, next := w.reports[0], w.reports[1], w.reports[2]
	require.False(t, whole.Released)
	require.Contains(t, whole.Reason, "sum holds what is no client's vector")
	require.NotContains(t, whole.Reason, "\n")
	require.Equal(t, []int{1, 1}, []int{whole.Buckets, whole.Spoiled})
	require.True(t, fallback.Released)
	require.Equal(t, []int{2, 3, 1}, []int{fallback.Buckets, fallback.Survivors, fallback.Spoiled})
	require.NotContains(t, slices.Concat(fallback.Members...), w.devices[1].name())
	require.True(t, next.Released)
	require.Equal(t, []int{1, 6}, []int{next.Buckets, next.Survivors}, "the next round opens one sum again")
	requireClean(w)
}

func TestSpoiledRunSurvivesDeathAtItsTurningPoint(t *testing.T) {
	clean := spoiling(1)(t)
	clean.start()
	require.Equal(t, coordinator.Finished, clean.run().Status)
	swap := 0
	for i, name := range clean.faults.names { // the first is that of the new run
		if name == "swap head" && i > 10 {
			swap = i + 1
			break
		}
	}
	for _, kept := range []bool{false, true} {
		w := spoiling(1)(t)
		w.faults.at, w.faults.died, w.faults.kept = swap, true, kept
		w.start()
		require.Equal(t, coordinator.Finished, w.run().Status)
		require.Equal(t, "swap head", w.faults.hit)
		history := w.history()
		require.Len(t, history, 2)
		require.False(t, history[0].Released)
		require.Equal(t, 3, history[1].Survivors)
		requireClean(w)
	}
}

// Under a changed plan the lessons of the old one's attempts do not hold.
func TestFallbackEndsWithItsPlan(t *testing.T) {
	w := spoiling(1)(t)
	w.devices[1].policy.Schemes = []secagg.ClientScheme{outOfRange{when: func(id secagg.RoundID) bool { return id.Attempt == 1 }}}
	w.start()
	w.until("the end of an attempt", func() bool { return len(w.reports) == 1 })
	l := w.plan.Literal()
	l.Aggregation.Fallback, l.Aggregation.Buckets = "", plan.Buckets{}
	var err error
	w.plan, err = l.Check(serverSchemes...)
	require.NoError(t, err)
	w.change = resuming
	for _, m := range w.members {
		m.forget()
	}
	for _, d := range w.devices {
		d.forget()
	}
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	w.requireModel(1)
	require.Equal(t, 1, w.reports[1].Buckets)
}
