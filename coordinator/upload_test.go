package coordinator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/choir-fl/choir/secagg"
)

func TestCorruptUploadIsRefusedAndStartsAgain(t *testing.T) {
	for name, spoil := range map[string]func([]byte){
		"first byte": func(b []byte) { b[0] ^= 1 },
		"last byte":  func(b []byte) { b[len(b)-1] ^= 0x80 },
	} {
		t.Run(name, func(t *testing.T) {
			w := inMemory("plain", 3, 1)(t)
			d := w.devices[1]
			d.bad = spoil
			w.start()
			w.until("a refusal", func() bool { return len(d.refused) > 0 })
			require.Len(t, d.refused, 1)
			require.ErrorIs(t, d.refused[0], secagg.ErrUpload)
			offset, err := w.engine.UploadBegin(d.name(), d.id, d.frame.Step, int64(len(d.sealed)))
			require.NoError(t, err)
			require.Zero(t, offset)
			require.Equal(t, coordinator.Finished, w.run().Status)
			requireWhole(w)
		})
	}
}

// ready lets everything happen until d is about to upload.
func (w *world) ready(d *device) {
	w.t.Helper()
	w.until("the seal", func() bool { return d.frame != nil })
}

func TestIncompleteUploadIsRefused(t *testing.T) {
	w := inMemory("plain", 3, 1)(t)
	d := w.devices[0]
	w.start()
	w.ready(d)
	_, err := w.engine.UploadBegin(d.name(), d.id, d.frame.Step, int64(len(d.sealed)))
	require.NoError(t, err)
	require.NoError(t, w.engine.UploadChunk(d.name(), d.id, 0, d.sealed[:len(d.sealed)-1]))
	var refusal error
	w.engine.UploadDone(d.name(), d.id, d.frame.Step, d.frame.Body, func(err error) { refusal = err })
	w.drain()
	require.ErrorIs(t, refusal, secagg.ErrUpload)
	require.Equal(t, coordinator.Finished, w.run().Status)
	requireWhole(w)
}

func TestUploadOfAnotherSizeOrStepIsRefused(t *testing.T) {
	w := inMemory("plain", 3, 1)(t)
	d := w.devices[0]
	w.start()
	w.ready(d)
	for _, size := range []int64{0, int64(len(d.sealed)) - 1, int64(len(d.sealed)) + 1, 1 << 40} {
		_, err := w.engine.UploadBegin(d.name(), d.id, d.frame.Step, size)
		require.ErrorIs(t, err, secagg.ErrUpload)
	}
	_, err := w.engine.UploadBegin(d.name(), d.id, d.frame.Step+1, int64(len(d.sealed)))
	require.ErrorIs(t, err, coordinator.ErrNotOpen)
	_, err = w.engine.UploadBegin("stranger", d.id, d.frame.Step, int64(len(d.sealed)))
	require.ErrorIs(t, err, coordinator.ErrNotOpen)
	later := d.id
	later.Attempt++
	_, err = w.engine.UploadBegin(d.name(), later, d.frame.Step, int64(len(d.sealed)))
	require.ErrorIs(t, err, coordinator.ErrNoRound)
	parts, err := w.store.Spool.List()
	require.NoError(t, err)
	require.Empty(t, parts)
}

// A client that completes its upload twice at once, the second time with another
// frame, must not get a part refused and deleted that was accepted.
func TestUploadIsVerifiedOnceAtATime(t *testing.T) {
	w := inMemory("plain", 3, 1)(t)
	d := w.devices[0]
	w.hold["verify"] = true
	w.start()
	w.until("the upload", func() bool { return d.waiting })
	c, err := secagg.PeekCommit(d.frame.Body)
	require.NoError(t, err)
	c.Content[0] ^= 1
	other := secagg.SignCommit(d.policy.Key, secagg.Digest{}, c)
	var refusal error
	w.engine.UploadDone(d.name(), d.id, d.frame.Step, other, func(err error) { refusal = err })
	require.ErrorIs(t, refusal, coordinator.ErrVerifying)
	frame := *d.frame
	w.hold["verify"] = false
	w.until("its acceptance", w.uploading(1))

	refusal = secagg.ErrUpload // if it is not called
	w.engine.UploadDone(d.name(), d.id, frame.Step, frame.Body, func(err error) { refusal = err })
	require.NoError(t, refusal)
	w.engine.UploadDone(d.name(), d.id, frame.Step, other, func(err error) { refusal = err })
	require.ErrorIs(t, refusal, secagg.ErrRepeated)
	offset, err := w.engine.UploadBegin(d.name(), d.id, frame.Step, c.Size)
	require.NoError(t, err)
	require.Equal(t, c.Size, offset, "nothing is left to send")
	require.Equal(t, coordinator.Finished, w.run().Status)
	requireWhole(w)
}

func uploadBytes(t *testing.T) int64 {
	w := inMemory("plain", 3, 1)(t)
	w.start()
	w.run()
	return w.reports[0].UploadBytes
}

func TestFullSpoolHoldsClientsOffUntilTheDeadline(t *testing.T) {
	w := inMemory("plain", 3, 1)(t)
	w.onDisk(mem.New(2 * uploadBytes(t)))
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.Equal(t, 2, w.history()[0].Survivors)
	refused := w.devices[2].refused
	require.NotEmpty(t, refused)
	for _, err := range refused[:len(refused)-1] {
		require.ErrorIs(t, err, coordinator.ErrBusy)
	}
	requireClean(w)
}

func TestCheckpointsMakeRoomInTheSpool(t *testing.T) {
	size := uploadBytes(t)
	w := checkpointing(inMemory("plain", 5, 1))(t)
	w.onDisk(mem.New(2 * size))
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	requireWhole(w)
}

// A sum that is being written to a checkpoint is not unmasked meanwhile: what lay
// on the disk would be partly open.
func TestOpeningWaitsForTheCheckpoint(t *testing.T) {
	size := uploadBytes(t)
	for name, crash := range map[string]bool{"and is then done": false, "and is lost in a crash": true} {
		t.Run(name, func(t *testing.T) {
			w := inMemory("plain", 3, 1)(t)
			w.change = func(c *coordinator.Config) { c.CheckpointBytes = 2 * size }
			w.hold["checkpoint"] = true
			w.start()
			w.ready(w.devices[2])
			w.devices[2].forget() // and is not heard of again
			w.quiet()
			require.Equal(t, 2, w.engine.State().Uploads)
			w.tick() // uploads close
			require.Equal(t, "opening", w.engine.State().Phase)
			require.Len(t, w.works, 1)
			require.Equal(t, "checkpoint", w.works[0].name)
			w.hold["checkpoint"] = false
			if crash {
				w.start()
			}
			require.Equal(t, coordinator.Finished, w.run().Status)
			require.Equal(t, 2, w.history()[0].Survivors)
			blobs, err := w.store.Blobs.List()
			require.NoError(t, err)
			require.Len(t, blobs, 1, "the late checkpoint is deleted")
			for i, v := range w.values() {
				require.InDelta(t, map[bool]float32{true: step / 2}[i < 2], v, tiny)
			}
			requireClean(w)
		})
	}
}

// Work that outlasts its attempt changes nothing, and what it stored goes.
func TestWorkOfAnEndedAttemptIsForgotten(t *testing.T) {
	for _, kind := range []string{"verify", "add", "checkpoint", "open"} {
		t.Run(kind, func(t *testing.T) {
			w := checkpointing(inMemory("plain", 3, 2))(t)
			w.hold[kind] = true
			w.start()
			w.until("held work", func() bool { return len(w.works) > 0 && w.works[0].name == kind })
			require.NoError(t, w.engine.Pause())
			require.NoError(t, w.engine.Resume())
			w.hold[kind] = false
			require.Equal(t, coordinator.Finished, w.run().Status)
			w.requireModel(2)
			require.Len(t, w.history(), 3)
			requireKept(w)
		})
	}
}

func TestOverSelectionLeavesLateUploadsOut(t *testing.T) {
	w := inMemory("plain", 4, 1, func(l *plan.Literal) { l.Cohort.Size, l.Cohort.Minimum, l.Cohort.OverSelection = 2, 2, 2 })(t)
	require.Len(t, w.devices, 4)
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.Equal(t, 2, w.history()[0].Survivors)
	counted := 0
	for i, v := range w.values() {
		if v != 0 {
			counted++
			require.InDelta(t, step/2, v, tiny, "client %d", i)
		}
	}
	require.Equal(t, 2, counted)
}
