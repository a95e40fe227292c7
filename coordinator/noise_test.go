package coordinator_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/choir-fl/choir/secagg"
)

// multiplier is that of the noise in these tests, of which the model is to be told apart.
const multiplier = 0.5

// noised adds noise in a mode of privacy to a plan with a larger model, of which clients
// move the first weights.
func noised(mode string) func(*plan.Literal) {
	return func(l *plan.Literal) {
		l.Model.Tensors[0].Shape = []int{64}
		l.Encoding = plan.Encoding{ClipNorm: 1}
		l.Aggregation.Denominator = "fixed"
		l.Privacy = plan.Privacy{Mode: mode, TrustCoordinator: mode == "central" || l.Scheme.Name == "plain", Relation: "zero-out",
			Delta: 1e-3, Epsilon: 500, NoiseMultiplier: multiplier}
	}
}

// noisedWorld is a world under a scheme and a view, with noise.
func noisedWorld(scheme, mode string, rounds int, buckets bool, change ...func(*plan.Literal)) func(t *testing.T) *world {
	clients := 6
	if buckets {
		clients = 12
	}
	make := inMemory(scheme, clients, rounds, append([]func(*plan.Literal){func(l *plan.Literal) {
		if scheme == "oneshot" {
			sealed(l)
		}
		noised(mode)(l)
		if buckets {
			inBuckets(6, 5, 11)(l)
		}
	}}, change...)...)
	return func(t *testing.T) *world {
		w := make(t)
		w.onDisk(mem.New(4 << 20))
		return w
	}
}

// deviation is the standard deviation of the noise in a model after some rounds in which
// everybody took part.
func (w *world) deviation(rounds, buckets int) float64 {
	n, clients := w.plan.Guarantee().Noise(), float64(len(w.devices))
	sum := n.Sigma * n.Sigma // in one opened sum
	if w.plan.Terms().Privacy != secagg.PrivacyCentral {
		sum *= clients / float64(buckets) / float64(n.Shares())
	}
	// Each sum is divided by its share of the cohort; the mean of the buckets adds them.
	return math.Sqrt(float64(rounds)*sum*float64(buckets)) / clients
}

func TestModelUnderNoiseIsTheMeanAndTheNoiseThatIsPromised(t *testing.T) {
	for _, scheme := range []string{"plain", "pairwise", "oneshot"} {
		for _, mode := range []string{"central", "distributed", "local"} {
			for _, buckets := range []int{1, 2} {
				t.Run(fmt.Sprintf("%s %s %d", scheme, mode, buckets), func(t *testing.T) {
					const rounds = 3
					w := noisedWorld(scheme, mode, rounds, buckets > 1)(t)
					w.start()
					require.Equal(t, coordinator.Finished, w.run().Status)
					values, clients := w.values(), len(w.devices)
					want, squares := w.deviation(rounds, buckets), 0.0
					for i, v := range values {
						x := float64(v)
						if i < clients {
							x -= rounds * step / float64(clients)
						}
						require.Less(t, math.Abs(x), 6*want, "weight %d", i)
						squares += x * x
					}
					// Of 64 weights, five standard deviations about the mean of the squares; the
					// rounding of contributions adds a little.
					ratio := squares / float64(len(values)) / (want * want)
					require.InDelta(t, 1, ratio, 5*math.Sqrt(2.0/64))
					for _, r := range w.reports {
						require.Equal(t, buckets, r.Buckets)
						require.Equal(t, clients, r.Survivors)
						require.Equal(t, 1.0, r.ClipNorm)
						require.Zero(t, r.Weight)
					}
					requireCharged(w)
				})
			}
		}
	}
}

// The noise that a coordinator draws itself is the same for the same attempt, so that a
// crash does not release the same sum twice, and another for any other.
func TestCentralNoiseBelongsToItsAttempt(t *testing.T) {
	clean := noisedWorld("plain", "central", 2, false)(t)
	clean.start()
	require.Equal(t, coordinator.Finished, clean.run().Status)

	w := noisedWorld("plain", "central", 2, false)(t)
	w.start()
	diesOpening(w)
	requireSameModels(clean, w)

	// Everybody adds the same in both rounds: without noise the rounds would not differ.
	first, second := clean.models[0].Values(), clean.models[1].Values()
	same := 0 // weights lie on a grid, where some may meet
	for i := range first {
		if first[i] == second[i]-first[i] {
			same++
		}
	}
	require.Less(t, same, len(first)/8)

	again := noisedWorld("plain", "central", 1, false)(t)
	again.start()
	failOpening(again)
	require.Equal(t, coordinator.Finished, again.run().Status)
	require.Len(t, again.reports, 2)
	require.Equal(t, uint32(2), again.reports[1].ID.Attempt)
	for i, v := range again.values() {
		require.NotEqual(t, first[i], v, "weight %d", i)
	}
	requireCharged(again)
}

// failOpening lets the attempt under way fail after it was unmasked, by an operator who
// pauses the run.
func failOpening(w *world) {
	w.t.Helper()
	w.hold["open"] = true
	w.until("the opening", func() bool { return w.engine.State().Phase == "opening" })
	require.NoError(w.t, w.engine.Pause())
	w.hold["open"] = false
	w.quiet()
	require.NoError(w.t, w.engine.Resume())
}

// failUploading lets the attempt under way fail before anything was unmasked.
func failUploading(w *world) {
	w.t.Helper()
	w.until("an upload", w.uploading(1))
	require.NoError(w.t, w.engine.Pause())
	w.quiet()
	require.NoError(w.t, w.engine.Resume())
}

// diesOpening lets the coordinator die when it has opened the sums of the attempt under
// way, and nobody has heard of it, and start again.
func diesOpening(w *world) {
	w.t.Helper()
	opens := func(x work) bool { return x.name == "open" }
	w.hold["open"] = true
	w.until("the opening", func() bool { return slices.ContainsFunc(w.works, opens) })
	w.works[slices.IndexFunc(w.works, opens)].run()
	w.hold["open"] = false
	w.start()
}

// requireSameModels runs w to its end, and requires that each round released what it did
// in a run in which nothing happened.
func requireSameModels(clean, w *world) {
	w.t.Helper()
	require.Equal(w.t, coordinator.Finished, w.run().Status)
	require.Len(w.t, w.reports, len(clean.reports))
	for i := range w.reports {
		require.Equal(w.t, clean.reports[i].Model, w.reports[i].Model, "round %d", i+1)
	}
}

func TestAttemptThatFailsAfterUnmaskingStaysCharged(t *testing.T) {
	for _, scheme := range []string{"plain", "pairwise", "oneshot"} {
		t.Run(scheme, func(t *testing.T) {
			w := noisedWorld(scheme, "distributed", 1, false)(t)
			w.start()
			failOpening(w)
			require.Equal(t, coordinator.Finished, w.run().Status)
			require.Equal(t, []string{"1/1 reserved", "1/2 committed"}, w.charges())
			require.Len(t, w.reports, 2)
			w.requireSpent(w.reports[0], 1)
			w.requireSpent(w.reports[1], 2)
			requireCharged(w)
		})
	}
}

func TestAttemptThatFailsBeforeUnmaskingCostsNothing(t *testing.T) {
	for _, scheme := range []string{"plain", "pairwise", "oneshot"} {
		t.Run(scheme, func(t *testing.T) {
			w := noisedWorld(scheme, "distributed", 1, false)(t)
			w.start()
			failUploading(w)
			require.Equal(t, coordinator.Finished, w.run().Status)
			require.Equal(t, []string{"1/1 voided", "1/2 committed"}, w.charges())
			w.requireSpent(w.reports[0], 0)
			w.requireSpent(w.reports[1], 1)
			requireCharged(w)
		})
	}
}

// Under scheme plain the coordinator sees each contribution as it comes, and what it was
// told is known to it whether or not there is ever a sum.
func TestContributionsThatAreSeenAreCharged(t *testing.T) {
	w := noisedWorld("plain", "local", 1, false)(t)
	w.start()
	failUploading(w)
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.Equal(t, []string{"1/1 reserved", "1/2 committed"}, w.charges())
	w.requireSpent(w.reports[1], 2)
}

func TestRoundWithFewerSurvivorsThanTheMinimumIsNeverUnmasked(t *testing.T) {
	for _, scheme := range []string{"plain", "pairwise", "oneshot"} {
		t.Run(scheme, func(t *testing.T) {
			w := noisedWorld(scheme, "distributed", 1, false, func(l *plan.Literal) { l.Rounds.Attempts = 2 })(t)
			w.start()
			for _, d := range w.devices[4:] { // of six, five are needed
				w.until("the task", func() bool { return d.frame != nil || d.train || d.seal })
				require.NoError(t, w.engine.Leave(d.name(), d.id))
				d.forget()
				d.gone = func(*device, secagg.RoundID) bool { return true }
			}
			require.Equal(t, coordinator.Stopped, w.run().Status)
			require.Equal(t, []string{"1/1 voided"}, w.charges(), "the second attempt is not even admitted")
			require.Len(t, w.reports, 2)
			require.Contains(t, w.reports[0].Reason, "fewer")
			require.Contains(t, w.reports[1].Reason, "admission: 4 of at least 5")
			for _, v := range w.values() {
				require.Zero(t, v)
			}
		})
	}
}

// adaptive lets the clip norm move to a quantile of the updates' norms.
func adaptive(l *plan.Literal) {
	l.Privacy.Clipping = plan.Clipping{Quantile: 0.5, Rate: 0.5, Floor: 0.01, Ceiling: 10, BitNoise: 2}
	l.Rounds.Count = 6
}

func TestClipNormMovesToTheQuantileAndLasts(t *testing.T) {
	for name, size := range map[string]float32{"smaller updates": 0.05, "larger updates": 5} {
		for _, mode := range []string{"central", "distributed"} {
			t.Run(name+" "+mode, func(t *testing.T) {
				make := noisedWorld("pairwise", mode, 6, false, adaptive)
				clean, w := make(t), make(t)
				for _, x := range []*world{clean, w} {
					for _, d := range x.devices {
						d.size = func(secagg.RoundID) float32 { return size }
					}
				}
				clean.start()
				require.Equal(t, coordinator.Finished, clean.run().Status)
				norm := 1.0
				for i, r := range clean.reports {
					require.Equal(t, r.ClipNorm, clean.history()[i].ClipNorm)
					require.Equal(t, r.Clipped, clean.history()[i].Clipped)
					norm = r.ClipNorm
					if i > 0 { // as the clip norm moved, so many were clipped (Andrew et al., 2021, algorithm 1)
						before := clean.reports[i-1]
						require.InDelta(t, norm, before.ClipNorm*math.Exp(-0.5*(max(0, min(1, 1-*before.Clipped))-0.5)), 1e-9)
					}
				}
				require.Equal(t, 1.0, clean.reports[0].ClipNorm)
				if size < 1 {
					require.Less(t, norm, 0.8)
				} else {
					require.Greater(t, norm, 1.25)
					// Each client adds what it is clipped to, and the noise goes with that.
					var want, squares, got float64
					for _, r := range clean.reports {
						want, squares = want+r.ClipNorm, squares+r.ClipNorm*r.ClipNorm
					}
					for _, v := range clean.values()[:6] {
						got += float64(v)
					}
					require.Greater(t, want, 8.0, "as against 6 without adapting")
					require.InDelta(t, want, got, 3*clean.deviation(1, 1)*math.Sqrt(6*squares))
				}

				// The same in a coordinator that dies in the middle of each round.
				w.start()
				for round := range 6 {
					w.until("an upload", func() bool { return w.engine.State().Rounds == round && w.engine.State().Uploads == 1 })
					var tasks int
					for _, d := range w.devices {
						if d.p != nil {
							tasks++
							require.Equal(t, clean.reports[round].ClipNorm, d.p.Task().ClipNorm)
						}
					}
					require.Positive(t, tasks)
					w.start()
				}
				requireSameModels(clean, w)
			})
		}
	}
}
