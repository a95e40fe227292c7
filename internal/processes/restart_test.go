package processes

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// few is a plan for a handful of clients that all answer.
func few(clients, rounds int) terms {
	return terms{clients: clients, minimum: 3, rounds: rounds, values: 1000, exchange: patience, upload: patience}
}

// all lists the clients 0 to n-1.
func all(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestSignalStopsTheCoordinatorInOrderAndTheRoundGoesOnAfterIt(t *testing.T) {
	w := newWorld(t)
	const clients = 4
	devices := make([]device, clients)
	for i := range devices {
		devices[i] = w.device(i, clients)
	}
	devices[0].Stop, devices[0].StopRound = atUpload, 1
	model := w.begin(few(clients, 1))
	watch := w.watch()
	slow := w.launch(devices[0])
	for _, d := range devices[1:] {
		w.launch(d)
	}
	slow.await("stopped at " + atUpload)
	w.any(": acknowledged upload of round 1")
	w.coordinator.signal(syscall.SIGTERM)
	require.Zero(t, w.coordinator.wait())
	require.Contains(t, w.coordinator.output(), `"msg":"stopping"`)
	w.serve()
	w.coordinator.await("attempt job/1/1 resumes in state uploading")
	slow.say("go on")
	a := w.ended(watch, 1).Attempt
	require.Equal(t, 1, a.Attempt, a.Reason)
	require.True(t, a.Released, a.Reason)
	require.Equal(t, clients, a.Survivors)
	w.requireExact(model, 1, clients, all(clients))
}

func TestClientsKeepTryingUntilTheirCoordinatorAppears(t *testing.T) {
	w := newWorld(t)
	const clients = 3
	devices := make([]device, clients)
	for i := range devices {
		devices[i] = w.device(i, clients)
	}
	model := w.begin(few(clients, 1))
	w.coordinator.signal(syscall.SIGTERM)
	require.Zero(t, w.coordinator.wait())
	var running []*process
	for _, d := range devices {
		running = append(running, w.launch(d))
	}
	for _, p := range running {
		p.await(`msg="call is repeated" device=`)
	}
	w.serve()
	a := w.ended(w.watch(), 1).Attempt
	require.True(t, a.Released, a.Reason)
	w.requireExact(model, 1, clients, all(clients))
}

// A client whose state survives takes part again after it was killed with its
// upload finished and not acknowledged: the same bytes are uploaded, and count once.
func TestKilledClientUploadsTheSameBytesAfterItsRestart(t *testing.T) {
	w := newWorld(t)
	const clients = 3
	devices := make([]device, clients)
	for i := range devices {
		devices[i] = w.device(i, clients)
	}
	model := w.begin(few(clients, 1))
	watch := w.watch()
	again := devices[0]
	devices[0].Stop, devices[0].StopRound = atUpload, 1
	first := w.launch(devices[0])
	for _, d := range devices[1:] {
		w.launch(d)
	}
	first.await("stopped at " + atUpload)
	first.kill()
	w.launch(again).await("attempt is resumed")
	a := w.ended(watch, 1).Attempt
	require.True(t, a.Released, a.Reason)
	require.Equal(t, clients, a.Survivors)
	w.requireExact(model, 1, clients, all(clients))
}

// clientFile writes the configuration of a real choir client.
func (w *world) clientFile(i int, more string) string {
	name := fmt.Sprintf("client-%02d", i)
	return w.file(name+".yaml", fmt.Sprintf("address: %s\ncredentials: %s.pem\nstate: %s\nconsent: {minimum: 3, trust_coordinator: true}\n%s\n",
		w.address, name, name, more))
}

func TestTrainerProgramsTrainThroughTheReferenceClient(t *testing.T) {
	w := newWorld(t)
	const clients = 3
	for i := range clients {
		w.device(i, clients)
	}
	model := w.begin(few(clients, 2))
	watch := w.watch()
	var running []*process
	for i := range clients {
		program := fmt.Sprintf("'%s' %d %d", crowd, i, clients)
		if i == 0 { // in the configuration, or on the command line
			running = append(running, w.start("choir client", "trainer", choir, "client", "-c", w.clientFile(i, fmt.Sprintf("trainer: %q", program))))
		} else {
			config := w.clientFile(i, "data: {of: 1}")
			running = append(running, w.start("choir client", "trainer", choir, "client", "-c", config, "--trainer", program))
		}
	}
	require.Zero(t, watch.wait(), watch.output())
	w.requireExact(expected(model, 1, clients, all(clients)), 2, clients, all(clients))
	for _, p := range running {
		p.signal(syscall.SIGTERM)
		require.Zero(t, p.wait(), p.output())
	}
}

func TestBuiltInModelLearnsFromLocalDataSets(t *testing.T) {
	w := newWorld(t)
	const clients = 3
	for i := range clients {
		w.device(i, clients)
	}
	plan := w.file("softmax.yaml", `schema: choir.plan/1
job: job
model: {architecture: softmax}
scheme: {name: pairwise, cross_silo: true}
cohort: {size: 3, minimum: 3}
rounds: {count: 3}
deadlines: {admission: 2m, exchange: 2m, upload: 2m}
encoding: {clip_norm: 10}
training: {epochs: 2, batch_size: 20, learning_rate: 0.05}
privacy: {mode: none, trust_coordinator: true}
evaluation: {clients: true}
`)
	w.do("run", "start", plan)
	watch := w.watch()
	for i := range clients {
		w.start("choir client", "", choir, "client", "-c", w.clientFile(i, fmt.Sprintf("data: {index: %d, of: 30}", i)))
	}
	require.Zero(t, watch.wait(), watch.output())
	accuracy := func(round int) float64 {
		e := w.ended(watch, round).Attempt.Evaluation
		require.NotNil(t, e)
		return e.Accuracy
	}
	require.Less(t, accuracy(1), 0.3)
	require.Greater(t, accuracy(3), 0.5)
	require.Equal(t, 784*10+10, w.export().Schema().Total())
}

func TestSecondCoordinatorIsKeptOutOfADataDirectory(t *testing.T) {
	w := newWorld(t)
	_, errOut, code := w.run("coordinator", "--data-dir", w.path("data"), "-c", w.file("second.yaml", "listen: 127.0.0.1:0\n"))
	require.Equal(t, 1, code)
	requireOneLine(t, errOut, "in use")
}

func TestRunsAreOperatedFromTheCommandLine(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		w.device(i, 3)
	}
	x := few(3, 1)
	x.upload, x.exchange = time.Minute, time.Minute
	planFile, _ := w.plan(x)
	require.Contains(t, w.do("run", "start", planFile), "job: running, 0 of 1 rounds")
	_, errOut, code := w.run("run", "start", planFile)
	require.Equal(t, 1, code)
	requireOneLine(t, errOut, "there is a run of this job")
	require.Contains(t, w.do("run", "pause", "job"), "job: paused")
	require.Contains(t, w.do("run", "list"), "paused by an operator")
	require.Contains(t, w.do("run", "list", "--json"), `{"schema":"choir.runs/1","runs":[{"job":"job","status":"paused"`)
	require.Contains(t, w.do("run", "resume", "job"), "job: running")
	watch := w.watch()
	watch.await(`"status":"running"`)
	require.Contains(t, w.do("run", "abort", "job"), "job: stopped")
	require.Equal(t, 1, watch.wait(), "a run that was stopped did not finish")
	require.Contains(t, w.do("run", "start", "--resume", planFile), "job: running")
	require.Equal(t, 1000, w.export().Schema().Total())

	for _, args := range [][]string{{"run", "watch", "other"}, {"run", "export", "other", "-o", w.path("other.safetensors")}, {"run", "pause", "other"}} {
		_, errOut, code := w.run(args...)
		require.Equal(t, 1, code)
		requireOneLine(t, errOut, `job "other"`)
	}
	requireNoFile(t, w.path("other.safetensors"))
	requireNoFile(t, w.path(".choir-export-*"))
}
