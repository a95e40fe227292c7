package round

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg"
)

// TestAnyHistorySurvivesACrashAtAnyMoment plays random events, good and bad, and
// restores the machine after each from what it had persisted.
func TestAnyHistorySurvivesACrashAtAnyMoment(t *testing.T) {
	for name, c := range map[string]struct {
		plan  []string
		seeds uint64
		ends  []State
	}{
		"clients alone": {[]string{"scheme=ue", "size=4", "minimum=2"}, 150, []State{Released, Failed, Adding}},
		"committee": {[]string{"scheme=panel", "committee=4", "size=4", "minimum=2", "absent=d3", "leftout=d1"},
			50, []State{Released, Failed, Exchanging, Unmasking}},
		"buckets, buffered": {[]string{"scheme=panel", "committee=4", "size=5", "minimum=2", "view=bucket_means", "bucket=2", "least=1", "close=3"},
			50, []State{Released, Failed, Exchanging}},
	} {
		t.Run(name, func(t *testing.T) {
			ended := map[State]int{}
			for seed := range c.seeds {
				s, _ := newStage(t, c.plan...)
				randomHistory(t, s, seed)
				ended[s.machine.state]++
			}
			for _, state := range c.ends {
				require.NotZero(t, ended[state], "no history ends %s: %v", state, ended)
			}
		})
	}
}

func randomHistory(t *testing.T, s *stage, seed uint64) {
	coins := rand.New(rand.NewPCG(seed, 1))
	names := []string{"a", "b", "c", "e", "f"}
	length, pace, crash, leave := 60, 4000, 10, 4
	for j := range s.machine.task.Terms.Committee.Len() {
		names = append(names, fmt.Sprintf("d%d", j))
		length, pace, crash, leave = 250, 500, 50, 40
	}
	for range length {
		s.now += Instant(coins.IntN(pace)-pace/8) * Instant(time.Millisecond)
		_, _ = s.step(s.random(coins, names[coins.IntN(len(names))], leave)) // refusals are other tests' business
		if s.machine.state == Released {
			return
		}
		requireSurvives(t, s, seed)
		if coins.IntN(crash) == 0 {
			_, err := s.crash()
			require.NoError(t, err)
		}
	}
}

// random is something that may happen, more or less at a good moment.
func (s *stage) random(coins *rand.Rand, name string, leave int) Event {
	_, decryptor := secagg.DecryptorID(address(name))
	switch coins.IntN(12) {
	case 0, 1:
		if decryptor {
			return Announce{s.now, address(name), []byte(name + " is here")}
		}
		return CheckIn{s.now, s.member(name).id}
	case 2, 3, 4, 5:
		m, ok := s.member(name).last.(Message)
		if ok && coins.IntN(8) == 0 {
			return m
		}
		r, err := s.reply(name)
		if err != nil {
			break
		}
		s.member(name).last = r
		if m, ok := r.(Message); ok && decryptor && coins.IntN(4) == 0 { // it has not judged all, or found fault
			m.Body = m.Body[:coins.IntN(len(m.Body)+1)]
			if len(m.Body) > 0 && coins.IntN(12) == 0 {
				m.Body[len(m.Body)-1] = '-'
			}
			return m
		}
		return r
	case 6:
		if coins.IntN(leave) == 0 {
			return Leave{s.now, address(name)}
		}
	case 7, 8:
		if len(s.tasks) > 0 {
			task := s.tasks[0]
			s.tasks = s.tasks[1:]
			return TaskDone{At: s.now, Task: task.ID}
		}
	case 9:
		var in []int
		for i, u := range s.machine.uploads {
			if u.added {
				in = append(in, i)
			}
		}
		return Checkpoint{s.now, secagg.Hash("checkpoint", fmt.Append(nil, in)), in}
	case 10:
		if s.machine.state == Releasing {
			return Committed{s.now}
		}
	}
	return Tick{s.now}
}

// requireSurvives requires that a machine restored from what was persisted is the one
// that is there, but for what members released to unmask: that is asked for again.
func requireSurvives(t *testing.T, s *stage, seed uint64) {
	t.Helper()
	m := s.machine
	r, fx, err := Restore(s.set, s.records)
	require.NoError(t, err, "seed %d", seed)
	require.Equal(t, m.joined, r.joined, "seed %d", seed)
	require.Equal(t, m.heard, r.heard, "seed %d", seed)
	require.Equal(t, m.closed, r.closed, "seed %d", seed)
	require.Equal(t, m.greeted, r.greeted, "seed %d", seed)
	require.Equal(t, m.order, r.order, "seed %d", seed)
	require.Equal(t, m.left, r.left, "seed %d", seed)
	again := r.state == Unmasking
	if again {
		require.GreaterOrEqual(t, m.state, Unmasking, "seed %d", seed)
		require.True(t, m.unmasked && r.renew, "seed %d", seed)
	} else {
		require.Equal(t, m.deadline, r.deadline, "seed %d", seed)
		require.Equal(t, min(m.state, Adding) == Adding, min(r.state, Adding) == Adding, "seed %d", seed)
		require.Equal(t, m.state == Failed, r.state == Failed, "seed %d", seed)
	}
	if !again || m.state == Unmasking {
		requireSameWords(t, m, r, seed)
	}
	if r.state.Over() {
		require.Empty(t, fx.Tasks)
		return
	}
	requireSameSum(t, m, r, fx, seed)
}

// requireSameWords requires that both say the same to everybody.
func requireSameWords(t *testing.T, m, r *Machine, seed uint64) {
	t.Helper()
	require.Equal(t, m.step, r.step, "seed %d", seed)
	if m.control == nil {
		require.Nil(t, r.control, "seed %d", seed)
		return
	}
	require.Equal(t, m.session, r.session, "seed %d", seed)
	for i := range m.session.Parties() {
		id := m.session.Party(i)
		had, ok := m.Envelope(id)
		has, still := r.Envelope(id)
		require.Equal(t, ok, still, "seed %d", seed)
		require.Equal(t, had, has, "seed %d", seed)
		require.Equal(t, m.Posted(id, 0), r.Posted(id, 0), "seed %d", seed)
	}
}

// requireSameSum requires that a restored machine asks to add what may be added, once each.
func requireSameSum(t *testing.T, m, r *Machine, fx Effects, seed uint64) {
	t.Helper()
	var in, want []int
	for _, task := range fx.Tasks {
		switch task.Kind {
		case TaskMerge:
			_, members := r.Checkpointed()
			in = append(in, members...)
		case TaskAdd:
			in = append(in, task.Member)
			require.Equal(t, m.uploads[task.Member].content, task.Blob)
			require.Equal(t, m.control.Bucket(task.Member), task.Bucket)
		}
	}
	for i, u := range m.uploads {
		if u.ready {
			want = append(want, i)
		}
		require.Equal(t, u.frame, r.Frame(i))
	}
	require.ElementsMatch(t, want, in, "seed %d: each upload is added once", seed)
	require.Equal(t, r.state == Opening, len(fx.Tasks) == 1 && fx.Tasks[0].Kind == TaskOpen, "seed %d", seed)
}
