package sim

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/sim/dataset"
)

// smallPlan is a job of a few rounds over a tiny data set.
func smallPlan(scheme string, cohort, rounds int) plan.Literal {
	return plan.Literal{
		Schema: "choir.plan/1", Job: "small",
		Model:      plan.Model{Architecture: "softmax"},
		Scheme:     plan.Scheme{Name: scheme, Corrupt: 0.05, Dropout: 0.3},
		Cohort:     plan.Cohort{Size: cohort, Minimum: cohort / 2},
		Rounds:     plan.Rounds{Count: rounds},
		Encoding:   plan.Encoding{ClipNorm: 10},
		Training:   plan.Training{Epochs: 5, BatchSize: 5, LearningRate: 0.5, WeightCap: 50},
		Privacy:    plan.Privacy{Mode: "none", TrustCoordinator: true},
		Deadlines:  plan.Deadlines{Admission: 30 * time.Second, Exchange: 30 * time.Second, Upload: 5 * time.Minute},
		Evaluation: plan.Evaluation{Clients: true},
	}
}

// blobs is a separable data set of the given number of classes in few dimensions.
func blobs(t *testing.T, n, dim, classes int) dataset.Dataset {
	t.Helper()
	features := make([]float32, n*dim)
	labels := make([]int, n)
	for i := range n {
		labels[i] = i % classes
		for j := range dim {
			features[i*dim+j] = float32((i*7919+j*104729)%1000) / 5000
		}
		features[i*dim+labels[i]%dim] += 0.8
	}
	d, err := dataset.New(features, labels, [3]int{1, dim, 1}, classes)
	require.NoError(t, err)
	return d
}

func small(t *testing.T, scheme string, clients, cohort, rounds int, seed uint64) Config {
	t.Helper()
	train, test := blobs(t, clients*10, 12, 4), blobs(t, 200, 12, 4)
	parts, err := dataset.IID(train.Labels(), clients, seed)
	require.NoError(t, err)
	return Config{Plan: smallPlan(scheme, cohort, rounds), Schemes: []Scheme{plain.Scheme{}}, Train: train, Test: test, Partition: parts, Seed: seed}
}

func TestRunLearns(t *testing.T) {
	res, err := Run(small(t, "plain", 40, 20, 10, 1))
	require.NoError(t, err)
	b, _ := json.Marshal(res.Final)
	t.Log(string(b))
	require.Greater(t, *res.Final.TestAccuracy, 0.9)
	require.Equal(t, 10, res.Final.RoundsCompleted)
}
