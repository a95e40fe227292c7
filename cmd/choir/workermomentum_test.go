package main

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client/datacheck"
	"github.com/choir-fl/choir/client/filestate"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/sim/model"
)

// stateDir is a state directory as a client of choir has it.
func stateDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	state, err := filestate.Open(dir, nil)
	require.NoError(t, err)
	require.NoError(t, state.Close())
	return dir
}

func averaging(job string, round, attempt uint32, beta float64) secagg.Task {
	task := secagg.Task{Round: secagg.RoundID{Job: job, Round: round, Attempt: attempt}}
	task.Terms.Training = secagg.Training{Architecture: "softmax", Epochs: 1, BatchSize: 60, LearningRate: .1, WorkerMomentum: beta}
	return task
}

func TestTheMeanOfUpdatesAdvancesOnceARound(t *testing.T) {
	dir := stateDir(t)
	step := func(job string, round, attempt uint32, u ...float32) []float32 {
		t.Helper()
		m, err := workerMomentum{dir}.step(averaging(job, round, attempt, .75), u)
		require.NoError(t, err)
		return m
	}
	require.Equal(t, []float32{1, -2}, step("a", 1, 1, 4, -8))
	require.Equal(t, []float32{1, -2}, step("a", 1, 2, 4, -8), "another attempt")
	require.Equal(t, []float32{1.75, -1.5}, step("a", 3, 1, 4, 0))
	require.Equal(t, []float32{4}, step("b", 9, 1, 16), "another job")
	require.Equal(t, []float32{.75, 2.5}, step("a", 3, 2, 0, 16), "another attempt with another update, from the same mean")
	require.Equal(t, []float32{1.5625, 1.875}, step("a", 4, 1, 4, 0))

	for name, c := range map[string]struct {
		round uint32
		u     []float32
	}{"an earlier round": {3, []float32{0, 0}}, "another model": {5, []float32{0}}} {
		_, err := workerMomentum{dir}.step(averaging("a", c.round, 1, .75), c.u)
		require.ErrorIs(t, err, errMomentum, name)
	}
	require.Equal(t, []float32{1.5625, 1.875}, step("a", 4, 2, 4, 0), "a refusal changes nothing")
	require.Equal(t, []float32{float32(math.Inf(1)), 1}, step("a", 5, 1, float32(math.Inf(1)), 1))
	require.True(t, math.IsNaN(float64(step("a", 5, 1, float32(math.NaN()), 1)[0])))
	require.Equal(t, []float32{2.171875, 1.40625}, step("a", 5, 2, 4, 0), "no number changes nothing")
}

func TestTheMeanOfUpdatesIsNotInClearAndNobodyElseCanReadIt(t *testing.T) {
	dir := stateDir(t)
	_, err := workerMomentum{dir}.step(averaging("a", 1, 1, .5), slices.Repeat([]float32{math.Pi}, 20))
	require.NoError(t, err)
	file := filepath.Join(dir, "momentum-a")
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.False(t, bytes.Contains(b, binary.LittleEndian.AppendUint32(nil, math.Float32bits(math.Pi/2))))
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		require.NotContains(t, e.Name(), ".tmp")
	}
	state, err := filestate.Open(dir, nil)
	require.NoError(t, err, "the client's state opens beside it")
	require.NoError(t, state.Close())

	b[len(b)/2] ^= 1
	require.NoError(t, os.WriteFile(file, b, 0o600))
	_, err = workerMomentum{dir}.step(averaging("a", 2, 1, .5), make([]float32, 20))
	require.ErrorIs(t, err, errMomentum, "damaged")
	b[len(b)/2] ^= 1
	require.NoError(t, os.WriteFile(filepath.Join(dir, "momentum-b"), b, 0o600))
	_, err = workerMomentum{dir}.step(averaging("b", 2, 1, .5), make([]float32, 20))
	require.ErrorIs(t, err, errMomentum, "of another job")
	_, err = workerMomentum{t.TempDir()}.step(averaging("a", 1, 1, .5), make([]float32, 20))
	require.ErrorIs(t, err, errMomentum, "no key")
}

func TestAPlanWithWorkerMomentumGetsTheMeanOfUpdates(t *testing.T) {
	trainer, err := newLocalTrainer(dataConfig{Of: 100, Index: 0}, datacheck.Rules{}, stateDir(t), "", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	net, err := model.New(model.Architecture{Name: model.Softmax}, trainer.data.Shape(), trainer.data.Classes())
	require.NoError(t, err)
	global := net.Init(1)
	update := func(round uint32, beta float64) []float32 {
		u, err := trainer.Train(t.Context(), global.Clone(), averaging("a", round, 1, beta))
		require.NoError(t, err)
		out := make([]float32, len(global.Values()))
		for i, v := range u.Model.Values() {
			out[i] = v - global.Values()[i]
		}
		return out
	}
	one, two := update(1, 0), update(2, 0)
	require.NotEqual(t, one, two)
	for i, v := range update(1, .75) {
		require.InDelta(t, .25*float64(one[i]), v, 1e-6)
	}
	for i, v := range update(2, .75) {
		require.InDelta(t, .75*.25*float64(one[i])+.25*float64(two[i]), v, 1e-6)
	}
}
