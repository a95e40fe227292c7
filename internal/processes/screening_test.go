package processes

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/sim/model"
	"github.com/choir-fl/choir/tensor"
)

// screenedPlan begins with a softmax that has learned, which the coordinator's holdout
// measures.
func (w *world) screenedPlan(rounds, attempts, rollback int) (planFile string, begun tensor.Model) {
	w.t.Helper()
	train, _, err := dataset.FashionSubset()
	require.NoError(w.t, err)
	u, err := softmax(train, nil, model.Training{Epochs: 5, Batch: 50, LearningRate: 0.1})
	require.NoError(w.t, err)
	w.initial(u.Model)
	return w.file("plan.yaml", fmt.Sprintf(`schema: choir.plan/1
job: job
model: {architecture: softmax, initial: initial.safetensors}
scheme: {name: pairwise, cross_silo: true}
cohort: {size: 3, minimum: 3}
rounds: {count: %d, attempts: %d}
deadlines: {admission: 2m, exchange: 2m, upload: 2m}
encoding: {clip_norm: 100}
training: {epochs: 5, batch_size: 10, learning_rate: 0.1}
privacy: {mode: none, trust_coordinator: true}
screening: {recall_drop: 0.5, rollback: %d}
`, rounds, attempts, rollback)), u.Model
}

// standing is where the run stands, of what choir run list prints: nothing of it changes
// while an attempt goes on.
type standing struct {
	Status, Reason, Model string
	Rounds                int
	Round, Attempt        *int
	Alerts                []alert
	Quarantined           []string
}

func (w *world) standing() standing {
	w.t.Helper()
	var list struct{ Runs []standing }
	require.NoError(w.t, json.Unmarshal([]byte(w.do("run", "list", "--json")), &list))
	require.Len(w.t, list.Runs, 1)
	return list.Runs[0]
}

func alertNames(alerts []alert) (names []string) {
	for _, a := range alerts {
		names = append(names, a.Name)
	}
	return names
}

// Clients whose labels are wrong are real ones that know no better.
func TestGateRefusesWhatWronglyLabelledDataTeach(t *testing.T) {
	w := newWorld(t, "holdout: embedded")
	const clients = 3
	planFile, begun := w.screenedPlan(1, 2, 0)
	dir := dataDir(t, 10)
	for i := range clients {
		w.device(i, clients)
	}
	w.do("run", "start", planFile)
	watch := w.watch()
	for i := range clients {
		w.start("choir client", "", choir, "client", "-c", w.clientFile(i, fmt.Sprintf("data: {dir: %s, index: %d, of: %d}", dir, i, clients)))
	}
	require.Equal(t, 1, watch.wait(), "no attempt is left")
	for attempt := 1; attempt <= 2; attempt++ {
		a := w.ending(watch, fmt.Sprintf(`"attempt":{"round":1,"attempt":%d,`, attempt)).Attempt
		require.False(t, a.Released)
		require.Regexp(t, `gate: recall of class \d fell from 0\.\d+ to 0\.\d+, by more than 0\.5`, a.Reason)
		require.Equal(t, clients, a.Admitted, "all had sent their part")
		require.Contains(t, alertNames(a.Alerts), "gate")
		require.Less(t, a.Holdout.Accuracy, 0.5)
		require.Equal(t, secagg.Digest(begun.Digest()).String(), a.Model)
	}
	s := w.standing()
	require.Equal(t, "stopped", s.Status)
	require.Zero(t, s.Rounds)
	require.Contains(t, alertNames(s.Alerts), "gate")
	require.Regexp(t, `job +stopped .* gate`, w.do("run", "list"))
	require.Equal(t, begun.Digest(), w.export().Digest())
}

// The second attempt of round 2 is refused like the first, so the run goes back from what
// round 1 made, which is worse, to the model it began with. The coordinator is killed
// between the two refusals, and after the run went back.
func TestRunGoesBackToItsBestModelAlsoIfItsCoordinatorIsKilled(t *testing.T) {
	w := newWorld(t, "holdout: embedded")
	const clients = 3
	planFile, begun := w.screenedPlan(2, 3, 2)
	best := secagg.Digest(begun.Digest()).String()
	right, doubtful, wrong := dataDir(t, 0), dataDir(t, 2), dataDir(t, 10)
	devices := make([]device, clients)
	for i := range devices {
		devices[i] = w.device(i, clients)
		devices[i].Data = map[string]string{"": right, "1/1": doubtful, "2/1": wrong, "2/2": wrong}
	}
	devices[0].Stop, devices[0].StopRound = atUpload, 2
	w.do("run", "start", planFile)
	watch := w.watch()
	running := w.launch(devices...)
	// killed kills the coordinator in an attempt, and demands that the run stands as it stood.
	killed := func(attempt int) standing {
		running.await(fmt.Sprintf("stopped at upload of round 2, attempt %d", attempt))
		before := w.standing()
		w.restart()
		w.coordinator.await(fmt.Sprintf("attempt job/2/%d resumes in state uploading", attempt))
		require.Equal(t, before, w.standing())
		return before
	}
	refused := func(n int) attempt {
		a := w.ending(watch, fmt.Sprintf(`"attempt":{"round":2,"attempt":%d,`, n))
		require.False(t, a.Attempt.Released)
		require.Contains(t, a.Attempt.Reason, "gate: recall of class")
		return a
	}

	first := w.ended(watch, 1).Attempt
	require.True(t, first.Released, first.Reason)
	require.NotEqual(t, best, first.Model)
	running.await("stopped at upload of round 2, attempt 1")
	running.say("go on")
	a := refused(1).Attempt
	require.False(t, a.RolledBack)
	require.Equal(t, first.Model, a.Model)

	s := killed(2)
	require.Equal(t, first.Model, s.Model)
	require.Equal(t, 1, s.Rounds)
	require.Contains(t, alertNames(s.Alerts), "gate")
	running.say("go on")
	a = refused(2).Attempt
	require.True(t, a.RolledBack)
	require.Equal(t, best, a.Model)

	s = killed(3)
	require.Equal(t, best, s.Model)
	require.Subset(t, alertNames(s.Alerts), []string{"gate", "rollback"})
	require.Equal(t, begun.Digest(), w.export().Digest())
	running.say("go on")
	require.Zero(t, watch.wait(), watch.output())
	last := w.ending(watch, `"attempt":{"round":2,"attempt":3,`).Attempt
	require.True(t, last.Released, last.Reason)
	require.Greater(t, last.Holdout.Accuracy, first.Holdout.Accuracy)
	require.NotContains(t, []string{best, first.Model}, w.standing().Model)
}
