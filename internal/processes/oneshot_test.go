package processes

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
)

// seat is a committee member: what its process is started with, and the process.
type seat struct {
	*process
	name, config string
}

// convene makes a committee of job "job" and starts its members.
func (w *world) convene(names ...string) []*seat {
	w.t.Helper()
	seats := make([]*seat, len(names))
	for i, name := range names {
		seats[i] = &seat{name: name, config: w.member(name, "job")}
	}
	for _, s := range seats {
		w.sit(s)
	}
	return seats
}

// sit starts a member's process, for the first time or again.
func (w *world) sit(s *seat) {
	w.t.Helper()
	s.process = w.start(s.name, "", choir, "decryptor", "-c", s.config)
}

// answered waits until a member's answer to a step of an attempt was taken: phase
// context is step 1, and so on.
func (s *seat) answered(attempt string, step int) {
	s.board.t.Helper()
	s.await(fmt.Sprintf("msg=answered round=%s step=%d ", attempt, step))
}

// closed waits until the coordinator closed a phase.
func (w *world) closed(attempt, phase, how string, missing int) {
	w.t.Helper()
	w.coordinator.await(fmt.Sprintf(`"attempt":"%s","entry":"phase %s closed (%s), %d missing"`, attempt, phase, how, missing))
}

// pinning enrols the clients 0 to n-1, which pin the committee.
func (w *world) pinning(n int) []device {
	w.t.Helper()
	root := w.root()
	devices := make([]device, n)
	for i := range devices {
		devices[i] = w.device(i, n)
		devices[i].Committees = []secagg.Digest{root}
	}
	return devices
}

// A fifth of the clients vanish after they were admitted, some in training and some
// in mid-upload. Of seven committee members one is killed after it signed the context
// and before it revealed its nonce: that ends the attempt, the next one does without
// it. Another one is killed while uploads come in. The five that are left open the
// sum, and it is that of the clients that stayed. All but one come back for the second
// round.
func TestOneshotRoundsOutliveVanishedClientsAndKilledDecryptors(t *testing.T) {
	clients := *clientsFlag
	require.GreaterOrEqual(t, clients, 16)
	require.GreaterOrEqual(t, *valuesFlag, 400_000, "an upload must be longer than what the device sends before it stops in it")
	vanish := (clients + 4) / 5
	w := newWorld(t)
	seats := w.convene("city", "hill", "lake", "north", "river", "south", "west")
	withholds, dies, slow := seats[1], seats[4], seats[6]
	devices := w.pinning(clients)
	model := w.begin(terms{clients: clients, minimum: clients - vanish, dropout: 0.2, rounds: 2, values: *valuesFlag,
		exchange: *exchangeFlag, upload: *uploadFlag, committee: "committee.yaml"})
	watch := w.watch()
	running := make([]*process, clients)
	launch := func(i int) {
		d := devices[i]
		switch {
		case i < vanish:
			d.Stop, d.StopRound = []string{atTrain, atPart}[i%2], 1
		case i == clients-1:
			d.Stop, d.StopRound = atUpload, 1
		}
		running[i] = w.launch(d)
	}
	for i := range clients - 1 {
		launch(i)
	}
	for _, s := range seats {
		s.await("msg=announced round=job/1/1")
	}
	slow.freeze() // phase context waits for it
	launch(clients - 1)
	withholds.answered("job/1/1", 1)
	withholds.kill()
	slow.thaw()
	first := w.ended(watch, 1).Attempt
	require.False(t, first.Released)
	require.Equal(t, []string{"decryptor:" + withholds.name}, first.Culprits)
	require.Contains(t, first.Reason, "phase reveal")
	w.closed("job/1/1", "context", "complete", 0)

	for i, p := range running[:vanish] {
		p.await(fmt.Sprintf("stopped at %s of round 1", []string{atTrain, atPart}[i%2]))
	}
	running[clients-1].await("stopped at " + atUpload)
	w.any(": acknowledged upload of round 1")
	dies.answered("job/1/2", 3)
	dies.kill()
	for _, p := range running[:vanish] {
		p.kill()
	}
	running[clients-1].say("go on")
	a := w.ending(watch, `"attempt":{"round":1,"attempt":2,`).Attempt
	require.True(t, a.Released, a.Reason)
	require.Equal(t, []int{clients, clients - vanish}, []int{a.Admitted, a.Survivors})
	w.closed("job/1/2", "upload", "deadline", vanish)
	w.closed("job/1/2", "records", "deadline", 1)
	w.closed("job/1/2", "unmask", "complete", 0)
	model = w.requireExact(model, 1, clients, all(clients)[vanish:])

	w.sit(dies)
	for i := range vanish {
		w.launch(devices[i])
	}
	a = w.ended(watch, 2).Attempt
	require.Equal(t, 1, a.Attempt, a.Reason)
	require.True(t, a.Released, a.Reason)
	require.Equal(t, []int{clients, clients}, []int{a.Admitted, a.Survivors})
	w.requireExact(model, 2, clients, all(clients))
	require.Zero(t, watch.wait())
	require.Contains(t, watch.output(), `"status":"finished"`)
}

// The coordinator is killed in mid-upload, with one upload in its bucket already and
// with letters in its spool that a committee member did not get yet; and a member is
// killed after it signed who survives and before it answered with the shares of their
// sums. Both go on with what they keep, each bucket opens, and the mean of their means
// is that of the clients that stayed.
func TestBucketMeansOpenAfterCoordinatorAndDecryptorWereKilled(t *testing.T) {
	const clients, lost = 16, 0
	w := newWorld(t)
	seats := w.convene("city", "lake", "north", "south")
	restarts, holds, late := seats[1], seats[2], seats[3]
	devices := w.pinning(clients)
	model := w.begin(terms{clients: clients, minimum: 8, rounds: 1, values: 400_000, exchange: patience, upload: patience, committee: "committee.yaml",
		// Buckets of four, of which at most one vanishes. Divisors are powers of two: nothing is rounded.
		buckets: plan.Buckets{Size: 4, Minimum: 3}, closeAt: clients - 1})
	watch := w.watch()
	for i := range devices {
		devices[i].Stop, devices[i].StopRound = atUpload, 1
	}
	devices[lost].Stop = atPart
	vanishes := w.launch(devices[lost])
	last := w.launch(devices[1])
	others := w.launch(devices[2:]...)

	for i := 2; i < clients; i++ {
		others.await(fmt.Sprintf("client-%02d: stopped at %s", i, atUpload))
	}
	others.say("go on") // one upload that all members judge, so that it is in its sum
	for _, s := range seats {
		s.answered("job/1/1", 4)
	}
	late.freeze()
	for range devices[3:] {
		others.say("go on")
	}
	for i := 2; i < clients; i++ {
		others.await(fmt.Sprintf("client-%02d: acknowledged upload of round 1", i))
	}
	last.await("stopped at " + atUpload)
	vanishes.await("stopped at " + atPart)
	vanishes.kill()
	w.coordinator.kill()
	require.Equal(t, clients-2, w.posts())
	requirePartOfUpload(t, w, lost)
	w.serve()
	w.coordinator.await("attempt job/1/1 resumes in state uploading")

	last.say("go on") // the last one: phase records begins
	holds.answered("job/1/1", 5)
	holds.freeze() // phase agree will wait for it
	late.thaw()
	late.answered("job/1/1", 5)
	restarts.answered("job/1/1", 6)
	restarts.kill()
	w.sit(restarts)
	holds.thaw()
	restarts.await(`msg="attempt is resumed" round=job/1/1`)
	restarts.answered("job/1/1", 7)
	a := w.ended(watch, 1).Attempt
	require.Equal(t, 1, a.Attempt, a.Reason)
	require.True(t, a.Released, a.Reason)
	require.Equal(t, []int{clients, clients - 1, 4}, []int{a.Admitted, a.Survivors, a.Buckets})
	for _, phase := range []string{"records", "agree", "unmask"} {
		w.closed("job/1/1", phase, "complete", 0)
	}
	w.requireExact(model, 1, clients, slices.Delete(all(clients), lost, lost+1))
	require.Zero(t, watch.wait())
}

// posts counts the uploads whose letters are in the spool of the coordinator, which
// does not run.
func (w *world) posts() (n int) {
	w.t.Helper()
	found, err := filepath.Glob(w.path("data", "runs", "job", "store", "spool", "*-post+*.part"))
	require.NoError(w.t, err)
	for _, name := range found {
		info, err := os.Stat(name)
		require.NoError(w.t, err)
		if info.Size() > 4<<10 { // more than the header: room is reserved when an upload begins
			n++
		}
	}
	return n
}
