package oneshot

import (
	"bytes"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// TestMembersRestartAtEveryPhase restarts all members from their records, before
// they answer, after their record was stored and their message lost, and both.
func TestMembersRestartAtEveryPhase(t *testing.T) {
	plain := newScene(t, shape{})
	want, _ := plain.opens()
	for phase := phaseContext; phase < phaseOpen; phase++ {
		for _, how := range [][2]bool{{true, false}, {false, true}, {true, true}} {
			w := newScene(t, shape{})
			w.restart = func(name string, _ int) (bool, bool) {
				if name != phases[phase].Name {
					return false, false
				}
				return how[0], how[1]
			}
			sums, o := w.opens()
			require.Equal(t, want, sums)
			require.Empty(t, o.Liars())
			require.Empty(t, w.refused)
			require.Empty(t, w.rejected)
			require.Equal(t, plain.records, w.records)
		}
	}
}

func TestTheSameEventsGiveTheSameBytes(t *testing.T) {
	var runs [2]bytes.Buffer
	for k := range runs {
		w := newScene(t, shape{m: 5})
		w.message = func(_ string, _ int, body []byte) []byte { runs[k].Write(body); return body }
		w.instruction = func(_ string, _ int, body []byte) []byte { runs[k].Write(body); return body }
		w.opens()
	}
	require.Equal(t, runs[0].Bytes(), runs[1].Bytes())
}

func TestRecordsHoldNoKeysAndNoShares(t *testing.T) {
	w := newScene(t, shape{})
	w.opens()
	for j, r := range w.records {
		require.Less(t, len(r), 300)
		for _, e := range w.keys[j].Epochs {
			require.NotContains(t, string(r), string(e.Seed[:]))
		}
		require.NotContains(t, string(r), string(w.keys[j].Sign.Seed()))
	}
}

func TestTombstones(t *testing.T) {
	w := newScene(t, shape{})
	refused := func(session secagg.Session, self int, keys secagg.DecryptorKeys, record []byte) {
		t.Helper()
		_, err := Scheme{}.NewCommitteeParty(session, self, keys, record)
		require.ErrorIs(t, err, secagg.ErrTombstone)
	}
	older := w.keys[0]
	older.Epochs = older.Epochs[:1]
	refused(w.session, 0, older, w.records[0])
	refused(w.session, 0, w.keys[0], nil)
	refused(w.session, 0, w.keys[0], w.records[0][1:])
	refused(w.session, 0, w.keys[0], w.records[1])
	other := newScene(t, shape{round: secagg.RoundID{Job: "job", Round: 2, Attempt: 1}})
	refused(w.session, 0, w.keys[0], other.records[0])

	newer := w.keys[0]
	newer.Epochs = append(append([]secagg.EpochSeed(nil), newer.Epochs...), secagg.EpochSeed{Number: 3, Seed: secagg.Hash("new")})
	_, err := Scheme{}.NewCommitteeParty(w.session, 0, newer, w.records[0])
	require.NoError(t, err, "a new epoch does not end attempts of the one before")
}
