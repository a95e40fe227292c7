package processes

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// victims are the clients that are killed, by index: where, and in which round.
var victims = []struct {
	step  string
	round uint32
	lost  bool // its update is not in the sum
}{
	{atAdvertise, 1, true},
	{atChoose, 1, true},
	{atUpload, 1, true},
	{atPart, 1, true},
	{atShare, 2, true},
	{atAgree, 2, false},
	{atUnmask, 3, false},
}

// requirePartOfUpload demands that a part of a client's upload, and no more, is on
// the disk of the coordinator, which does not run.
func requirePartOfUpload(t *testing.T, w *world, client int) {
	t.Helper()
	found, err := filepath.Glob(w.path("data", "runs", "job", "store", "spool", fmt.Sprintf("*-[0-9]+client-%02d.part", client)))
	require.NoError(t, err)
	require.Len(t, found, 1)
	info, err := os.Stat(found[0])
	require.NoError(t, err)
	require.Greater(t, info.Size(), int64(256<<10))
	require.LessOrEqual(t, info.Size(), int64(stopAfter+1<<10)) // the store's header comes first
}

// One client is killed with SIGKILL at each named phase, and the coordinator after
// the first committed upload. All rounds complete in their first attempt with the
// survivors that are due, and each sum is exactly that of their updates.
func TestRoundsOutliveProcessesKilledAtEveryPhase(t *testing.T) {
	clients := *clientsFlag
	require.GreaterOrEqual(t, clients, 16)
	require.GreaterOrEqual(t, *valuesFlag, 400_000, "an upload must be longer than what the device sends before it stops in it")
	w := newWorld(t)
	devices := make([]device, clients)
	for i := range devices {
		devices[i] = w.device(i, clients)
	}
	minimum := 8
	if clients-4 >= 16 {
		minimum = 16
	}
	model := w.begin(terms{clients: clients, minimum: minimum, rounds: 3, values: *valuesFlag, exchange: *exchangeFlag, upload: *uploadFlag})
	watch := w.watch()
	running := make([]*process, clients)
	for i, d := range devices {
		if i < len(victims) {
			d.Stop, d.StopRound = victims[i].step, victims[i].round
		}
		running[i] = w.launch(d)
	}

	for round := uint32(1); round <= 3; round++ {
		var survivors []int
		for i := range clients {
			if i >= len(victims) || victims[i].round != round {
				survivors = append(survivors, i)
				continue
			}
			if victims[i].step == atUpload {
				w.any(": acknowledged upload of round 1")
				running[i+1].await("stopped at " + atPart)
				w.coordinator.kill()
				requirePartOfUpload(t, w, i+1)
				w.serve()
				w.coordinator.await("attempt job/1/1 resumes in state uploading")
			}
			running[i].await(fmt.Sprintf("stopped at %s of round %d", victims[i].step, round))
			running[i].kill()
			if !victims[i].lost {
				survivors = append(survivors, i)
			}
		}
		a := w.ended(watch, int(round)).Attempt
		require.Equal(t, 1, a.Attempt, a.Reason)
		require.True(t, a.Released, a.Reason)
		require.Equal(t, clients, a.Admitted)
		require.Equal(t, len(survivors), a.Survivors)
		model = w.requireExact(model, round, clients, survivors)
		for i, v := range victims {
			if v.round == round && round < 3 {
				running[i] = w.launch(devices[i]) // the next round waits for all
			}
		}
	}
	require.Zero(t, watch.wait())
	require.Contains(t, watch.output(), `"status":"finished"`)
}
