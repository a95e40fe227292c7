package main

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client/datacheck"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/sim/model"
	"github.com/choir-fl/choir/tensor"
)

func readClient(t *testing.T, text string) (clientConfig, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "client.yaml")
	require.NoError(t, os.WriteFile(path, []byte("address: a:1\nstate: s\n"+text), 0o600))
	var c clientConfig
	if err := readConfig(path, &c); err != nil {
		return c, err
	}
	return c, c.check(path)
}

func TestDataChecksAreRead(t *testing.T) {
	c, err := readClient(t, `data: {of: 2, index: 0}
data_checks:
  features: 784
  classes: 10
  columns: [{first: 0, last: 783, kind: real, min: 0, max: 1, clamp: true}]
  schema: refuse
  finite: off
  range: repair
  duplicates: {mode: refuse, tolerate: 0.01, grid: 0.5}
  balance: {mode: report, largest_share: 0.5, fewest_classes: 2, fewest_per_class: 3}
  losses: {mode: repair, k: 4, floor: 2.3, from_round: 5}
  max_left_out: 0.3
`)
	require.NoError(t, err)
	require.Equal(t, datacheck.Rules{Features: 784, Classes: 10, Columns: []datacheck.Column{{Last: 783, Kind: datacheck.Real, Max: 1, Clamp: true}},
		Schema: datacheck.ModeRefuse, Finite: datacheck.ModeOff, Range: datacheck.ModeRepair,
		Duplicates: datacheck.Duplicates{Mode: datacheck.ModeRefuse, Tolerate: .01, Grid: .5},
		Balance:    datacheck.Balance{Mode: datacheck.ModeReport, LargestShare: .5, FewestClasses: 2, FewestPerClass: 3},
		Losses:     datacheck.Losses{Mode: datacheck.ModeRepair, K: 4, Floor: 2.3, FromRound: 5}, MaxLeftOut: .3}, c.DataChecks)

	_, err = readClient(t, "trainer: t\ndata_checks: {finite: refuse}\n")
	require.ErrorIs(t, err, errConfig)
	require.ErrorContains(t, err, "a trainer program checks its own")
	_, err = readClient(t, "trainer: t\ndata_checks: {finte: refuse}\n")
	require.ErrorIs(t, err, errConfig)
}

func TestATrainerThatIsAskedForChecksMakesThemFirst(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	data := dataConfig{Of: 10, Index: 3}
	start := func(rules datacheck.Rules) (*localTrainer, error) {
		return newLocalTrainer(data, rules, "", "client.yaml", logger)
	}

	trainer, err := start(datacheck.Rules{Schema: datacheck.ModeRefuse, Balance: datacheck.Balance{Mode: datacheck.ModeReport, LargestShare: .5}})
	require.NoError(t, err)
	require.Equal(t, 600, trainer.data.Len())
	require.Contains(t, log.String(), "check=balance")
	require.Contains(t, log.String(), "largest_share=0.")

	_, err = start(datacheck.Rules{Balance: datacheck.Balance{Mode: datacheck.ModeRefuse, FewestPerClass: 400}})
	require.ErrorIs(t, err, datacheck.ErrFailed)
	require.Equal(t, fault.Refused, fault.ClassOf(err))
	require.Contains(t, log.String(), "level=WARN")
	_, err = start(datacheck.Rules{Features: 783, Schema: datacheck.ModeRefuse})
	require.ErrorIs(t, err, datacheck.ErrFailed)
	_, err = start(datacheck.Rules{MaxLeftOut: 2})
	require.ErrorIs(t, err, errConfig)
	require.ErrorIs(t, err, datacheck.ErrRules)

	trainer, err = start(datacheck.Rules{Range: datacheck.ModeRepair, Columns: []datacheck.Column{{Last: 783, Max: .5, Clamp: true}}})
	require.NoError(t, err)
	require.Equal(t, 600, trainer.data.Len())
	for i := range trainer.data.Len() {
		for _, v := range trainer.data.Features(i) {
			require.LessOrEqual(t, v, float32(.5), "it trains on the clamped values")
		}
	}
}

func TestRepeatedExamplesAreTrainedOnOnce(t *testing.T) {
	set, _, err := dataset.FashionSubset()
	require.NoError(t, err)
	kept, _, err := checkedData(set.Subset([]int{7, 1, 7, 2, 1}), datacheck.Rules{Duplicates: datacheck.Duplicates{Mode: datacheck.ModeRepair}}, "", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Equal(t, set.Subset([]int{7, 1, 2}).Labels(), kept.Labels())
	require.Equal(t, set.Features(7), kept.Features(0))
}

// flipped is a data set in which a share of the examples has another label, uniformly,
// and which of them do.
func flipped(t *testing.T, set dataset.Dataset, share float64, seed uint64) (dataset.Dataset, []bool) {
	t.Helper()
	coins := rand.New(rand.NewPCG(seed, 1))
	changed, features, labels := make([]bool, set.Len()), []float32{}, set.Labels()
	for _, i := range coins.Perm(set.Len())[:int(share*float64(set.Len()))] {
		changed[i], labels[i] = true, (labels[i]+1+coins.IntN(set.Classes()-1))%set.Classes()
	}
	for i := range set.Len() {
		features = append(features, set.Features(i)...)
	}
	out, err := dataset.New(features, labels, set.Shape(), set.Classes())
	require.NoError(t, err)
	return out, changed
}

// TestLossesFindFlippedLabels trains ten reference clients of 600 images, a fifth of whose
// labels is wrong, by plain federated averaging, and trims them from the fourth round on.
// docs/SDK.md says what the figures are.
func TestLossesFindFlippedLabels(t *testing.T) {
	t.Parallel()
	const clients, rounds, from = 10, 6, 4
	train, _, err := dataset.FashionSubset()
	require.NoError(t, err)
	wrong, changed := flipped(t, train, .2, 5)
	parts, err := dataset.IID(wrong.Labels(), clients, 1)
	require.NoError(t, err)
	arch, err := model.ParseArchitecture("mlp:32")
	require.NoError(t, err)
	net, err := model.New(arch, train.Shape(), train.Classes())
	require.NoError(t, err)
	checks, err := datacheck.New(datacheck.Rules{Losses: datacheck.Losses{Mode: datacheck.ModeRepair, K: 3, Floor: 2.3, FromRound: from}})
	require.NoError(t, err)

	global := net.Init(1)
	task := secagg.Task{Round: secagg.RoundID{Job: "flip", Attempt: 1}}
	task.Terms.Training = secagg.Training{Architecture: "mlp:32", Epochs: 2, BatchSize: 20, LearningRate: .05}
	for range rounds {
		task.Round.Round++
		found, right, all := 0, 0, 0
		sum := make([]float64, len(global.Values()))
		for _, part := range parts {
			trainer := &localTrainer{data: wrong.Subset(part), checks: checks, log: slog.New(slog.DiscardHandler), net: net}
			update, err := trainer.Train(t.Context(), global.Clone(), task)
			require.NoError(t, err)
			for j, v := range update.Model.Values() {
				sum[j] += float64(v) / clients
			}
			clean, report, err := checks.CheckLosses(rowsOf{trainer.data}, trainer.losses(net, global))
			require.NoError(t, err)
			if task.Round.Round < from {
				require.Equal(t, len(part), update.Examples)
				continue
			}
			require.Equal(t, clean.Rows(), update.Examples, "what is not believed is not trained on")
			found += report.Checks[0].LeftOut
			right += flips(changed, part)
			all += flips(changed, part)
			for _, k := range clean.Keep() {
				right -= flips(changed, part[k:k+1])
			}
		}
		values := make([]float32, len(sum))
		for j, v := range sum {
			values[j] = float32(v)
		}
		global, err = tensor.NewModel(global.Schema(), values)
		require.NoError(t, err)
		if found == 0 {
			continue
		}
		precision, recall := float64(right)/float64(found), float64(right)/float64(all)
		t.Logf("round %d: %d found, precision %.3f, recall %.3f", task.Round.Round, found, precision, recall)
		floors := map[uint32][2]float64{4: {.95, .55}, 5: {.88, .75}, 6: {.83, .82}}[task.Round.Round]
		require.Greater(t, precision, floors[0])
		require.Greater(t, recall, floors[1])
	}
	require.Equal(t, uint32(rounds), task.Round.Round)
}

// flips is how many of the examples were changed.
func flips(changed []bool, examples []int) (n int) {
	for _, i := range examples {
		if changed[i] {
			n++
		}
	}
	return n
}

func TestExamplesThatAreNotBelievedAreNotTrainedOn(t *testing.T) {
	rules := datacheck.Rules{Losses: datacheck.Losses{Mode: datacheck.ModeRepair, K: 1, FromRound: 2}}
	trainer, err := newLocalTrainer(dataConfig{Of: 100, Index: 0}, rules, "", "", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	net, err := model.New(model.Architecture{Name: model.Softmax}, trainer.data.Shape(), trainer.data.Classes())
	require.NoError(t, err)
	global := net.Init(1)
	for round, least := range map[uint32]int{1: 60, 2: 31} { // at least half of the losses are no further off than the MAD
		update, err := trainer.Train(t.Context(), global.Clone(), averaging("a", round, 1, 0))
		require.NoError(t, err)
		require.GreaterOrEqual(t, update.Examples, least)
		require.Equal(t, round == 1, update.Examples == 60)
	}
	trainer.checks, err = datacheck.New(datacheck.Rules{Losses: datacheck.Losses{Mode: datacheck.ModeRefuse, K: 1}})
	require.NoError(t, err)
	_, err = trainer.Train(t.Context(), global.Clone(), averaging("a", 1, 1, 0))
	require.ErrorIs(t, err, datacheck.ErrFailed)
}
