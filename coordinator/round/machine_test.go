package round

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg"
)

// at leads a new attempt under the scheme exchange, upload, unmask into a state.
// Client c left in the upload phase; the uploads of a and b are still to be added
// unless the state is past that.
func at(t *testing.T, state State) *stage {
	s, _ := newStage(t, "scheme=eum", "size=3", "minimum=2")
	must := func(ev Event) {
		_, err := s.step(ev)
		require.NoError(t, err)
	}
	answer := func(names ...string) {
		for _, n := range names {
			ev, err := s.reply(n)
			require.NoError(t, err)
			s.member(n).last = ev
			must(ev)
		}
	}
	done := func() {
		tasks := s.tasks
		s.tasks = nil
		for _, task := range tasks {
			must(TaskDone{At: s.now, Task: task.ID})
		}
	}
	steps := map[State]func(){
		Exchanging: func() {
			for _, n := range []string{"a", "b", "c"} {
				must(CheckIn{s.now, s.member(n).id})
			}
		},
		Uploading: func() { answer("a", "b", "c") },
		Unmasking: func() { answer("a", "b"); must(Leave{s.now, "c"}) },
		Adding:    func() { answer("a", "b") },
		Opening:   done,
		Releasing: func() { must(TaskDone{At: s.now, Task: 3}) },
		Released:  func() { must(Committed{s.now}) },
	}
	if state == Failed {
		steps[Exchanging]()
		must(Abort{s.now, "test"})
	} else {
		for to := Exchanging; to <= state; to++ {
			steps[to]()
		}
	}
	require.Equal(t, state, s.machine.State())
	return s
}

// sample is an event of a kind that would be welcome in the states that take it.
func sample(t *testing.T, s *stage, k kind) Event {
	last := func() Event { // what a said last, or would have said
		if ev := s.member("a").last; ev != nil && ev.kind() == k {
			return ev
		}
		if ev, err := s.reply("a"); err == nil && ev.kind() == k {
			return ev
		}
		return nil
	}
	switch k {
	case kindTick:
		return Tick{s.now}
	case kindCheckIn:
		return CheckIn{s.now, s.member("d").id}
	case kindMessage:
		if ev := last(); ev != nil {
			return ev
		}
		return Message{s.now, "a", s.machine.step, []byte("a")}
	case kindUploaded:
		if ev := last(); ev != nil {
			return ev
		}
		c := secagg.Commit{Content: secagg.Hash("x"), Size: 1}
		return Uploaded{s.now, "a", s.machine.step, secagg.SignCommit(keyOf("a"), secagg.Digest{}, c), c.Content, c.Size}
	case kindLeave:
		return Leave{s.now, "b"}
	case kindTaskDone:
		if len(s.tasks) > 0 {
			return TaskDone{At: s.now, Task: s.tasks[0].ID}
		}
		return TaskDone{At: s.now, Task: 1}
	case kindCheckpoint:
		return Checkpoint{At: s.now, Blob: secagg.Hash("blob")}
	case kindCommitted:
		return Committed{s.now}
	case kindAbort:
		return Abort{s.now, "test"}
	case kindAnnounce:
		return Announce{s.now, address("d0"), []byte("d0 is here")}
	}
	t.Fatalf("no event of kind %d", k)
	return nil
}

func TestEachStateTakesTheEventsOfItsRowAndNoOther(t *testing.T) {
	require.Len(t, moves, int(Failed), "a row for each state")
	for state := Admitting; state <= Failed; state++ {
		require.NotEmpty(t, state.String())
		require.NotEmpty(t, state.Meaning())
		for k := kindTick; k <= kindAnnounce; k++ {
			t.Run(fmt.Sprintf("%s_%s", state, kindNames[k]), func(t *testing.T) {
				s := at(t, state)
				ev := sample(t, s, k)
				before := fingerprint(s.machine)
				fx, err := s.machine.Step(ev)
				if slices.Contains(moves[state].events, k) {
					switch {
					case k == kindTaskDone && state < Unmasking:
						require.ErrorIs(t, err, ErrTask, "there is no task yet")
					case k == kindAnnounce:
						require.ErrorIs(t, err, ErrNotMember, "there is no committee")
					case k == kindMessage && state == Uploading:
						require.ErrorIs(t, err, ErrStep, "it answered the exchange before")
					default:
						require.NoError(t, err)
					}
					return
				}
				require.ErrorIs(t, err, ErrState)
				require.Equal(t, Effects{}, fx)
				require.Equal(t, before, fingerprint(s.machine), "a refused event changes nothing")
			})
		}
	}
}

func TestWhatAnEventSaysIsCheckedInEveryStateThatTakesIt(t *testing.T) {
	late := 1000 * Instant(time.Hour) // a refused event does not even move time
	commit := secagg.Commit{Content: secagg.Hash("x"), Size: 1}
	for _, c := range []struct {
		name  string
		state State
		event func(s *stage) Event
		want  error
	}{
		{"message of a stranger", Exchanging, func(s *stage) Event { return Message{s.now + late, "z", 1, []byte("z")} }, ErrNotMember},
		{"message to a past step", Unmasking, func(s *stage) Event { return Message{s.now + late, "a", 1, []byte("a")} }, ErrStep},
		{"message to a coming step", Exchanging, func(s *stage) Event { return Message{s.now + late, "a", 2, []byte("a")} }, ErrStep},
		{"message of one not asked", Unmasking, func(s *stage) Event { return Message{s.now + late, "c", 3, []byte("c")} }, secagg.ErrNotAsked},
		{"upload of a stranger", Uploading, func(s *stage) Event {
			return Uploaded{s.now + late, "z", 2, secagg.SignCommit(keyOf("z"), s.session().Context, commit), commit.Content, commit.Size}
		}, ErrNotMember},
		{"upload to a past step", Uploading, func(s *stage) Event {
			return Uploaded{s.now + late, "a", 1, secagg.SignCommit(keyOf("a"), s.session().Context, commit), commit.Content, commit.Size}
		}, ErrStep},
		{"upload of other content than its frame", Uploading, func(s *stage) Event {
			return Uploaded{s.now + late, "a", 2, secagg.SignCommit(keyOf("a"), s.session().Context, commit), secagg.Hash("y"), commit.Size}
		}, secagg.ErrUpload},
		{"upload of another size than its frame", Uploading, func(s *stage) Event {
			return Uploaded{s.now + late, "a", 2, secagg.SignCommit(keyOf("a"), s.session().Context, commit), commit.Content, 2}
		}, secagg.ErrUpload},
		{"upload without a frame", Uploading, func(s *stage) Event { return Uploaded{s.now + late, "a", 2, []byte("frame"), commit.Content, 1} }, secagg.ErrEncoding},
		{"task that was never given out", Adding, func(s *stage) Event { return TaskDone{At: s.now + late, Task: 99} }, ErrTask},
		{"checkpoint of one who did not upload", Unmasking, func(s *stage) Event { return Checkpoint{s.now + late, commit.Content, []int{0, 2}} }, ErrTask},
		{"checkpoint of nobody's index", Unmasking, func(s *stage) Event { return Checkpoint{s.now + late, commit.Content, []int{-1}} }, ErrTask},
		{"checkpoint of one member twice", Unmasking, func(s *stage) Event { return Checkpoint{s.now + late, commit.Content, []int{0, 0}} }, ErrTask},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			s := at(t, c.state)
			before := fingerprint(s.machine)
			fx, err := s.machine.Step(c.event(s))
			require.ErrorIs(t, err, c.want)
			require.Equal(t, Effects{}, fx)
			require.Equal(t, before, fingerprint(s.machine), "a refused event changes nothing")
		})
	}
}

func TestCheckpointHoldsAllThatTheLastOneHeld(t *testing.T) {
	s := at(t, Unmasking)
	_, err := s.step(Checkpoint{s.now, secagg.Hash("1"), []int{1}})
	require.NoError(t, err)
	_, err = s.step(Checkpoint{s.now, secagg.Hash("2"), []int{0}})
	require.ErrorIs(t, err, ErrTask)
	blob, members := s.machine.Checkpointed()
	require.Equal(t, secagg.Hash("1"), blob)
	require.Equal(t, []int{1}, members)
	_, err = s.step(Checkpoint{s.now, secagg.Hash("2"), []int{0, 1}})
	require.NoError(t, err)
}

func TestWhatMembersReleaseToUnmaskIsNeverWritten(t *testing.T) {
	s := at(t, Unmasking)
	secret := []byte("released share")
	fx, err := s.step(Message{s.now, "a", s.machine.step, secret})
	require.NoError(t, err)
	require.Nil(t, fx.Persist)
	for _, r := range s.records {
		require.NotContains(t, string(r), string(secret))
	}
}

func TestUploadedTellsWhatWasAcceptedOfWhom(t *testing.T) {
	s := at(t, Unmasking)
	got, ok := s.machine.Uploaded("a")
	require.True(t, ok)
	require.Equal(t, s.member("a").sealed.Content, got)
	for _, id := range []secagg.PartyID{"c", "z"} {
		_, ok = s.machine.Uploaded(id)
		require.False(t, ok)
	}
}

func TestTaskOfferedIsTheOneThatTheSessionBinds(t *testing.T) {
	s := at(t, Exchanging)
	offered, err := secagg.DecodeTask(s.machine.Task().Encode())
	require.NoError(t, err)
	require.Equal(t, s.set.Model, offered.Model)
	require.Equal(t, s.set.ModelSize, offered.ModelSize)
	session, err := offered.Session(s.session().Roster, nil)
	require.NoError(t, err)
	require.Equal(t, s.session(), session)
}

func TestFailureNamesTheCulprits(t *testing.T) {
	s := at(t, Opening)
	cheat := &secagg.Blame{Members: []int{1}, Err: errors.New("shares do not open")}
	fx, err := s.step(TaskDone{At: s.now, Task: 3, Err: fmt.Errorf("opening: %w", cheat)})
	require.NoError(t, err)
	require.Equal(t, []secagg.PartyID{"b"}, fx.Outcome.Culprits)
	require.Equal(t, "opening: shares do not open", fx.Outcome.Reason)
	require.Zero(t, fx.Charge, "what was reserved stays charged once unmasking began")
	require.Nil(t, fx.Persist, "opening is tried again after a restart, and finds them again")
}

func TestLongReasonsAreCutAtACharacter(t *testing.T) {
	s := at(t, Uploading)
	_, err := s.step(Abort{s.now, "x" + strings.Repeat("é", 400)})
	require.NoError(t, err)
	env, ok := s.machine.Envelope("a")
	require.True(t, ok)
	require.Equal(t, "x"+strings.Repeat("é", 249), env.Reason)
	_, err = secagg.DecodeEnvelope(env.Encode())
	require.NoError(t, err)
}

func TestRestoreRefusesAJournalThatDoesNotReplay(t *testing.T) {
	s := at(t, Unmasking)
	for name, records := range map[string][][]byte{
		"garbage":          {[]byte("garbage")},
		"a record missing": s.records[1:],
		"a record twice":   append(slices.Clone(s.records), s.records[len(s.records)-2]),
		"an upload first":  {s.records[6]},
	} {
		_, _, err := Restore(s.set, records)
		require.ErrorIs(t, err, ErrJournal, name)
	}
}
