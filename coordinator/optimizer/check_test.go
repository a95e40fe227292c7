package optimizer_test

import (
	"math"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/optimizer"
)

// settings are the keys a plan may set, by the field of Spec; ones are those that
// stay below 1.
var (
	settings = map[string]string{"LearningRate": "learning_rate", "Momentum": "momentum", "Beta1": "beta1", "Beta2": "beta2", "Tau": "tau"}
	ones     = map[string]bool{"Momentum": true, "Beta1": true, "Beta2": true}
)

func TestCheckFillsInTheDefaults(t *testing.T) {
	for _, want := range []optimizer.Spec{
		{Name: "fedavg", LearningRate: 1},
		{Name: "fedavgm", LearningRate: 1, Momentum: 0.9},
		{Name: "fedadam", LearningRate: 0.01, Beta1: 0.9, Beta2: 0.99, Tau: 1e-3},
		{Name: "fedyogi", LearningRate: 0.01, Beta1: 0.9, Beta2: 0.99, Tau: 1e-3},
		{Name: "fedadagrad", LearningRate: 0.01, Beta1: 0, Tau: 1e-3},
	} {
		got := checked(t, optimizer.Spec{Name: want.Name})
		require.Equal(t, want, got)
		require.Equal(t, want, checked(t, got), "a checked Spec stays as it is")
	}
}

func TestCheckNamesTheOptimisersItKnows(t *testing.T) {
	for _, name := range []string{"", "FedAvg", "fedavg ", "sgd", "fedprox"} {
		got, err := optimizer.Spec{Name: name, LearningRate: 1}.Check()
		require.ErrorIs(t, err, optimizer.ErrSpec)
		require.ErrorContains(t, err, "fedavg, fedavgm, fedadam, fedyogi, fedadagrad")
		require.Zero(t, got)
	}
}

// Every setting of every optimiser: kept if it belongs to it and is in range, and
// otherwise refused under the plan's key.
func TestCheckKeepsOrRefusesEachSetting(t *testing.T) {
	belongs := map[string]map[string]bool{
		"fedavg":     {"LearningRate": true},
		"fedavgm":    {"LearningRate": true, "Momentum": true},
		"fedadam":    {"LearningRate": true, "Beta1": true, "Beta2": true, "Tau": true},
		"fedyogi":    {"LearningRate": true, "Beta1": true, "Beta2": true, "Tau": true},
		"fedadagrad": {"LearningRate": true, "Beta1": true, "Tau": true},
	}
	require.Equal(t, len(settings)+1, reflect.TypeFor[optimizer.Spec]().NumField(), "a new setting belongs into this table")
	for _, name := range names {
		for field, key := range settings {
			for _, v := range []float64{
				math.SmallestNonzeroFloat64, 0.5, math.Nextafter(1, 0), 1, 7, math.MaxFloat64,
				-math.SmallestNonzeroFloat64, -1, math.Inf(1), math.Inf(-1), math.NaN(),
			} {
				spec := optimizer.Spec{Name: name}
				reflect.ValueOf(&spec).Elem().FieldByName(field).SetFloat(v)
				got, err := spec.Check()
				inRange := v > 0 && !math.IsInf(v, 0) && (v < 1 || !ones[field])
				if belongs[name][field] && inRange {
					require.NoError(t, err, "%s %s %v", name, key, v)
					require.Equal(t, v, reflect.ValueOf(got).FieldByName(field).Float())
					continue
				}
				require.ErrorIs(t, err, optimizer.ErrSpec, "%s %s %v", name, key, v)
				require.ErrorContains(t, err, key)
				require.Zero(t, got)
			}
		}
	}
}
