package processes

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// A client is quarantined in round 1 and released in round 3, and the coordinator is
// killed after each decision: the client's update is in the sums of rounds 1 and 4.
func TestQuarantinedClientIsInNoCohortUntilItIsReleased(t *testing.T) {
	w := newWorld(t)
	const clients, out = 4, "client-03"
	devices := make([]device, clients)
	for i := range devices {
		devices[i] = w.device(i, clients)
	}
	devices[0].Stop = atUpload
	model := w.begin(few(clients, 4))
	watch := w.watch()
	running := w.launch(devices[:clients-1]...)
	left := w.launch(devices[clients-1])
	decide := map[int]func(){
		1: func() {
			w.do("run", "quarantine", "job", out, "--reason", "it sends nonsense")
			_, errOut, code := w.run("run", "quarantine", "job", out, "--reason", "again")
			require.Equal(t, 1, code)
			requireOneLine(t, errOut, out, "is quarantined")
		},
		3: func() { w.do("run", "release", "job", out, "--reason", "mended") },
	}
	for round := 1; round <= 4; round++ {
		if round == 4 { // what was not invited asks again later: so do not wait for that
			w.coordinator.await("attempt job/4/1 begins")
			left.kill()
			w.launch(devices[clients-1])
		}
		running.await(fmt.Sprintf("stopped at upload of round %d, attempt 1", round))
		quarantined, survivors := []string{}, all(clients)
		if round == 1 || round == 2 {
			quarantined = append(quarantined, out)
		}
		if round == 2 || round == 3 {
			survivors = all(clients - 1)
		}
		if do := decide[round]; do != nil { // the attempt under way is not touched
			do()
			w.restart()
			w.coordinator.await(fmt.Sprintf("attempt job/%d/1 resumes in state uploading", round))
		}
		require.Equal(t, quarantined, w.standing().Quarantined)
		running.say("go on")
		a := w.ended(watch, round).Attempt
		require.True(t, a.Released, a.Reason)
		require.Equal(t, len(survivors), a.Admitted)
		require.Equal(t, clients-len(survivors), a.Quarantined)
		model = w.requireExact(model, uint32(round), clients, survivors)
	}
	require.Zero(t, watch.wait(), watch.output())
}
