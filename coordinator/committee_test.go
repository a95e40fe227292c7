package coordinator_test

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/choir-fl/choir/secagg"
)

func TestCommitteeOpensTheSumThatPlainHas(t *testing.T) {
	w := inMemory("plain", 4, 2, sealed)(t)
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	requireWhole(w)
	reference := inMemory("plain", 4, 2)(t)
	reference.start()
	require.Equal(t, coordinator.Finished, reference.run().Status)
	require.Equal(t, reference.engine.State().Model, w.engine.State().Model)
	for _, m := range w.members {
		require.Empty(t, m.refused)
	}
}

func TestCommitteeRunSurvivesDeathAtEveryWrite(t *testing.T) {
	failAtEveryWrite(t, true, checkpointing(inMemory("plain", 3, 1, sealed)), requireWhole)
}

// A single write fails and the machine lives on: begin, append and sync of letters as
// well. An attempt may be lost to it; then the history says so.
func TestCommitteeRunSurvivesEverySingleFailedWrite(t *testing.T) {
	failAtEveryWrite(t, false, inMemory("plain", 3, 1, sealed), func(w *world) {
		w.requireModel(1)
		history := w.history()
		for _, h := range history[:len(history)-1] {
			require.False(w.t, h.Released)
			require.Contains(w.t, h.Reason, errInjected.Error())
		}
		require.Equal(w.t, 3, history[len(history)-1].Survivors)
		requireClean(w)
	})
}

// Letters stay when a checkpoint frees the uploads that they came with: members read
// them a second time to open the sum.
func TestLettersOutliveTheUploads(t *testing.T) {
	w := checkpointing(inMemory("plain", 3, 1, sealed))(t)
	w.start()
	w.until("unmasking", func() bool { return w.engine.State().Phase == "unmask" })
	w.drain()
	parts, err := w.store.Spool.List()
	require.NoError(t, err)
	require.Len(t, parts, 3)
	for i, p := range parts {
		require.Equal(t, fmt.Sprintf("1-1-post/client-%d", i), p.ID)
		require.Equal(t, p.Size, p.Offset)
	}
	w.start() // and a restart
	require.Equal(t, coordinator.Finished, w.run().Status)
	requireWhole(w)
}

func TestMembersGetTheirOwnLettersInOrder(t *testing.T) {
	w := inMemory("plain", 3, 1, sealed)(t)
	w.members[1].gone = func(secagg.RoundID) bool { return true }
	w.start()
	w.quiet()
	w.tick() // without member 1
	id := w.engine.State().ID
	w.until("all letters", w.uploading(3))
	read := func(to secagg.PartyID, first int) []secagg.Letter {
		r, n, err := w.engine.Letters(to, id, first)
		require.NoError(t, err)
		var out []secagg.Letter
		for {
			l, err := secagg.ReadLetter(r)
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			out = append(out, l)
		}
		require.NoError(t, r.Close())
		require.Len(t, out, n)
		return out
	}
	bodies := map[string]bool{}
	for _, j := range []int{0, 2, 3} {
		all := read(w.members[j].address(), 0)
		require.Len(t, all, 3)
		for k, l := range all {
			c, err := secagg.PeekCommit(l.Frame)
			require.NoError(t, err)
			require.Equal(t, w.acked[id][k], secagg.PartyID(fmt.Sprintf("client-%d", l.Member)))
			require.NotZero(t, c.Content)
			bodies[string(l.Body)] = true
		}
		require.Equal(t, all[2:], read(w.members[j].address(), 2))
		require.Empty(t, read(w.members[j].address(), 3))
		require.Empty(t, read(w.members[j].address(), 4))
		require.Empty(t, read(w.members[j].address(), -1))
	}
	require.Len(t, bodies, 9, "no two members read the same")
	for _, other := range []secagg.PartyID{w.members[1].address(), "client-0", "stranger", "decryptor:stranger", "org-0"} {
		require.Empty(t, read(other, 0), other)
	}
	later := id
	later.Attempt++
	_, _, err := w.engine.Letters(w.members[0].address(), later, 0)
	require.ErrorIs(t, err, coordinator.ErrNoRound)
	require.Equal(t, coordinator.Finished, w.run().Status)
	requireWhole(w)
	r, n, err := w.engine.Letters(w.members[0].address(), w.engine.State().ID, 0)
	require.ErrorIs(t, err, coordinator.ErrNoRound)
	require.Zero(t, n)
	require.Nil(t, r)
}

func TestOnlyTheCommitteeIsOfferedItsPart(t *testing.T) {
	w := inMemory("plain", 3, 1, sealed)(t)
	w.start()
	_, err := w.engine.CheckIn("decryptor:stranger", coordinator.Conditions{})
	require.Error(t, err)
	require.ErrorContains(t, err, "stranger")
	m := w.members[0]
	require.True(t, m.act())
	require.True(t, m.act())
	offer, err := w.engine.CheckIn(m.address(), coordinator.Conditions{})
	require.NoError(t, err)
	require.Nil(t, offer.Task, "it has announced itself")
	require.Positive(t, offer.Wait)
	require.Equal(t, coordinator.Finished, w.run().Status)
	requireWhole(w)
}

// A member that is away costs the admission deadline once, and an eighth of an
// exchange's time from then on.
func TestAbsentMemberIsWaitedForOnce(t *testing.T) {
	w := inMemory("plain", 3, 3, sealed, func(l *plan.Literal) { l.Deadlines.Admission = time.Hour })(t)
	w.members[2].gone = func(id secagg.RoundID) bool { return id.Round < 3 }
	w.start()
	for round := 1; round <= 3; round++ {
		w.until("a release", func() bool { w.rest(); return len(w.reports) == round })
		w.start() // what was learned survives a restart
	}
	require.Equal(t, coordinator.Finished, w.run().Status)
	took := func(i int) time.Duration { return w.reports[i].Ended.Sub(w.reports[i].Began) }
	require.Equal(t, time.Hour, took(0))
	require.Equal(t, time.Minute/8, took(1))
	require.Zero(t, took(2), "it is back")
	requireWhole(w)
}

// rest lets the clock go on if nothing else does.
func (w *world) rest() {
	if !w.pass() && !w.wake.IsZero() {
		w.tick()
	}
}

// A member that holds back its nonce ends an attempt, and has no say in the next ones
// of that round; in the next round it is trusted again.
func TestMemberThatEndsAnAttemptIsLeftOutOfTheNext(t *testing.T) {
	w := inMemory("plain", 3, 2, sealed)(t)
	w.members[1].silent = func(id secagg.RoundID, phase string) bool { return phase == "reveal" }
	w.start()
	for len(w.reports) < 4 {
		before := len(w.reports)
		w.until("an end", func() bool { w.rest(); return len(w.reports) > before })
		w.start()
	}
	require.Equal(t, coordinator.Finished, w.run().Status)
	for i, want := range []bool{false, true, false, true} {
		r := w.reports[i]
		require.Equal(t, want, r.Released, "%d: %s", i, r.Reason)
		if !want {
			require.Equal(t, []secagg.PartyID{w.members[1].address()}, r.Culprits)
		}
	}
	w.requireModel(2)
	requireClean(w)
}

// One wrong answer is corrected, and its owner is named.
func TestLiarIsCorrectedAndNamed(t *testing.T) {
	w := inMemory("plain", 3, 1, sealed)(t)
	w.members[3].lie = func(phase string, body []byte) []byte {
		if phase == "unmask" {
			body = slices.Clone(body)
			body[len(body)/2] ^= 1
		}
		return body
	}
	w.start()
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.Equal(t, []secagg.PartyID{w.members[3].address()}, w.reports[0].Culprits)
	requireWhole(w)
}

// Were the letters' room found only when an upload is complete, three uploads would
// fill this spool and none of them would ever be accepted.
func TestUploadBeginsOnlyWithRoomForItsLetters(t *testing.T) {
	w := inMemory("plain", 3, 1, sealed)(t)
	w.start()
	w.until("an upload", w.uploading(1))
	parts, err := w.store.Spool.List()
	require.NoError(t, err)
	require.Len(t, parts, 2)
	post, upload := parts[0].Size, parts[1].Size

	w = inMemory("plain", 3, 1, sealed)(t)
	w.onDisk(mem.New(3*upload + 2*post))
	w.hold["verify"] = true
	w.start()
	w.quiet() // everybody has uploaded what it may
	w.hold["verify"] = false
	require.Equal(t, coordinator.Finished, w.run().Status)
	require.Equal(t, 2, w.history()[0].Survivors)
	refused := w.devices[2].refused
	require.NotEmpty(t, refused)
	for _, err := range refused[:len(refused)-1] {
		require.ErrorIs(t, err, coordinator.ErrBusy)
	}
	requireClean(w)
}

// A part that cannot have room for its letters has none itself.
func TestRefusedUploadHoldsNoRoom(t *testing.T) {
	sized := inMemory("plain", 3, 1, sealed)(t)
	sized.start()
	sized.ready(sized.devices[0])
	size := int64(len(sized.devices[0].sealed))

	w := inMemory("plain", 3, 1, sealed)(t)
	w.onDisk(mem.New(size + 10))
	w.start()
	d := w.devices[0]
	w.ready(d)
	_, err := w.engine.UploadBegin(d.name(), d.id, d.frame.Step, size)
	require.ErrorIs(t, err, coordinator.ErrBusy)
	parts, err := w.store.Spool.List()
	require.NoError(t, err)
	require.Empty(t, parts)
}

// An upload that was refused leaves no letters behind that a later one would append to.
func TestLettersOfARefusedUploadAreReplaced(t *testing.T) {
	w := inMemory("plain", 3, 1, sealed)(t)
	d := w.devices[0]
	w.start()
	w.ready(d)
	_, err := w.engine.UploadBegin(d.name(), d.id, d.frame.Step, int64(len(d.sealed)))
	require.NoError(t, err)
	require.NoError(t, w.engine.UploadChunk(d.name(), d.id, 0, d.sealed))
	var refusal error
	w.engine.UploadDone(d.name(), d.id, d.frame.Step+1, d.frame.Body, func(err error) { refusal = err })
	w.drain()
	require.Error(t, refusal, "its step is not there yet")
	parts, err := w.store.Spool.List()
	require.NoError(t, err)
	require.Len(t, parts, 2)
	require.Equal(t, parts[0].Size, parts[0].Offset, "its letters were kept")
	require.Equal(t, coordinator.Finished, w.run().Status)
	requireWhole(w)
}

// A verification that outlasts its attempt keeps no letters.
func TestLettersOfAnEndedAttemptAreNotKept(t *testing.T) {
	w := inMemory("plain", 3, 1, sealed)(t)
	w.hold["verify"] = true
	w.start()
	w.until("held work", func() bool { return len(w.works) > 0 })
	require.NoError(t, w.engine.Pause())
	w.hold["verify"] = false
	require.True(t, w.drain())
	parts, err := w.store.Spool.List()
	require.NoError(t, err)
	require.Empty(t, parts)
}

func TestRunWithACommitteeCanBePausedAtAnyMoment(t *testing.T) {
	for _, phase := range []string{"admitting", "context", "reveal", "seed", "upload", "records", "agree", "unmask", "adding", "opening"} {
		t.Run(phase, func(t *testing.T) {
			w := inMemory("plain", 3, 1, sealed)(t)
			w.hold["open"] = phase == "opening"
			w.hold["add"] = phase == "adding"
			w.start()
			w.until(phase, func() bool { return w.engine.State().Phase == phase })
			require.NoError(t, w.engine.Pause())
			w.pass()
			w.start()
			require.Equal(t, coordinator.Paused, w.engine.State().Status)
			w.hold["open"], w.hold["add"] = false, false
			w.quiet()
			require.NoError(t, w.engine.Resume())
			require.Equal(t, coordinator.Finished, w.run().Status)
			w.requireModel(1)
			history := w.history()
			require.Len(t, history, 2)
			require.Equal(t, "paused by an operator", history[0].Reason)
			requireClean(w)
		})
	}
}
