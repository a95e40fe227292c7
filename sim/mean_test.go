package sim

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/dp/account"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/tensor"
)

var (
	meanRepetitions = flag.Int("mean.repetitions", 4, "rounds of mean estimation at each epsilon")
	meanClients     = flag.Int("mean.clients", 60, "clients whose means are estimated under oneshot as well")
)

// meanPlan estimates the mean of vectors of norm 10 in 250 dimensions, one round a
// repetition, at the exact noise multiplier of one Gaussian release.
func meanPlan(scheme string, clients, rounds int, z float64) plan.Literal {
	return plan.Literal{Schema: "choir.plan/1", Job: "mean", Model: plan.Model{Architecture: "softmax"},
		Scheme: plan.Scheme{Name: scheme}, Cohort: plan.Cohort{Size: clients, Minimum: clients}, Rounds: plan.Rounds{Count: rounds},
		Encoding: plan.Encoding{ClipNorm: 10}, Training: plan.Training{Epochs: 1, BatchSize: 1, LearningRate: 1},
		Aggregation: plan.Aggregation{Denominator: "fixed"},
		Privacy:     plan.Privacy{Mode: "distributed", Relation: "zero-out", NoiseMultiplier: z, Delta: 1e-5, Epsilon: 1e6}}
}

// estimate runs repetitions and returns the mean squared error of a coordinate, the
// epsilon that one repetition is reported with, and the digest of the last model.
func estimate(t *testing.T, cfg Config) (mse, epsilon float64, digest string) {
	t.Helper()
	const dimension = 250
	clients := cfg.Plan.Cohort.Size
	vectors, mean := make([][]float32, clients), make([]float64, dimension)
	rng := rand.New(rand.NewPCG(7, cfg.Seed))
	for i := range vectors {
		v, norm := make([]float64, dimension), 0.0
		for j := range v {
			v[j] = rng.NormFloat64()
			norm += v[j] * v[j]
		}
		vectors[i] = make([]float32, dimension)
		for j := range v {
			vectors[i][j] = float32(v[j] * 10 / math.Sqrt(norm) * (1 - 1e-6)) // not clipped
			mean[j] += float64(vectors[i][j]) / float64(clients)
		}
	}
	data, err := dataset.New(make([]float32, clients*24), make([]int, clients), [3]int{1, 24, 1}, 10) // 24*10+10 parameters
	require.NoError(t, err)
	for i := range clients {
		cfg.Partition = append(cfg.Partition, []int{i})
	}
	var last tensor.Model
	var start []float32 // of the round
	var mu sync.Mutex
	cfg.Train, cfg.Schemes = data, []Scheme{plain.Scheme{}, pairwise.Scheme{}, oneshot.Scheme{}}
	cfg.Trainer = func(index int, global tensor.Model, _ secagg.Task) (client.Update, error) {
		local := global.Clone()
		mu.Lock()
		defer mu.Unlock()
		start = global.Values()
		for j, x := range vectors[index] {
			local.Values()[j] += x
		}
		return client.Update{Model: local, Examples: 1}, nil
	}
	rounds := 0
	cfg.Released = func(r coordinator.Report, m tensor.Model) {
		for j, v := range m.Values() {
			d := float64(v) - float64(start[j]) - mean[j]
			mse += d * d / dimension
		}
		if rounds++; rounds == 1 {
			epsilon = *r.Spent.Released
		}
		last = m
	}
	_, err = Run(cfg)
	require.NoError(t, err)
	return mse / float64(rounds), epsilon, secagg.Digest(last.Digest()).String()
}

// The reference is the mean squared error of a continuous Gaussian on an exact sum,
// (z 10/n)^2 a coordinate, at the least z for epsilon: 1.3918e-3, 3.9753e-4, 1.1689e-4 and
// 3.6027e-5 for epsilon 1, 2, 4, 8 at n = 1000 (dp_accounting).
func TestDistributedNoiseEstimatesMeansAsCentralGaussianNoiseDoes(t *testing.T) {
	const clients = 1000
	for _, c := range []struct{ epsilon, reference float64 }{{1, 1.3918e-3}, {2, 3.9753e-4}, {4, 1.1689e-4}, {8, 3.6027e-5}} {
		t.Run(fmt.Sprint("epsilon ", c.epsilon), func(t *testing.T) {
			z, err := account.GDPNoise(c.epsilon, 1e-5)
			require.NoError(t, err)
			require.InEpsilon(t, c.reference, math.Pow(z*10/clients, 2), 1e-4)
			var sum, reported float64
			repetitions := *meanRepetitions
			for left, seed := repetitions, uint64(1); left > 0; seed++ {
				rounds := min(left, 64) // float32 holds the sum of so many means
				mse, epsilon, _ := estimate(t, Config{Plan: meanPlan("oneshot", clients, rounds, multiplier(t, c.epsilon)), Fidelity: Fast, Seed: seed})
				sum, reported, left = sum+mse*float64(rounds), epsilon, left-rounds
			}
			mse := sum / float64(repetitions)
			t.Logf("epsilon %g: reported %.4f; mean squared error %.5g, of central Gaussian noise %.5g, ratio %.4f over %d repetitions",
				c.epsilon, reported, mse, c.reference, mse/c.reference, repetitions)
			require.LessOrEqual(t, reported, c.epsilon)
			require.InEpsilon(t, c.epsilon, reported, 0.003)
			// One coordinate's error has a relative deviation of sqrt(2); there are 250 of them.
			allowed := math.Max(0.01, 5*math.Sqrt(2.0/250/float64(repetitions)))
			require.InEpsilon(t, c.reference, mse, allowed)
		})
	}
}

// multiplier is that of a plan which spends epsilon in one round: what it sets aside of
// delta, and the grid, take a little more than a Gaussian on real numbers.
func multiplier(t *testing.T, epsilon float64) float64 {
	t.Helper()
	z, err := account.GDPNoise(epsilon, 0.99e-5)
	require.NoError(t, err)
	return z * 1.0023
}

func TestMeansUnderOneshotAreThoseOfPlainSumsBitForBit(t *testing.T) {
	clients := *meanClients
	for seed := uint64(1); seed <= 3; seed++ {
		var digests []string
		for _, fidelity := range []Fidelity{Fast, Full} {
			_, _, digest := estimate(t, Config{Plan: meanPlan("oneshot", clients, 1, multiplier(t, 2)), Fidelity: fidelity, Seed: seed})
			digests = append(digests, digest)
		}
		require.Len(t, slices.Compact(digests), 1, "seed %d", seed)
	}
}
