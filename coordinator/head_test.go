package coordinator

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/plain"
)

// fullHead has a value of its own in every field.
func fullHead() head {
	d := func(s string) secagg.Digest { return secagg.Hash(s) }
	return head{plan: d("plan"), status: Paused, reason: "why", rounds: 3, round: 5, attempt: 2, model: d("model"), modelSize: 1234,
		optimizer: d("optimizer"), moments: "fedadam", seed: d("seed"), ledger: secagg.LedgerHead{Count: 9, Digest: d("ledger")}, audit: d("audit"), bestLoss: 0.25, waited: 7, ended: "{}",
		fallback: true, leftOut: []secagg.PartyID{"decryptor:a"}, absent: []secagg.PartyID{"decryptor:b", "decryptor:c"},
		clipNorm: 1.5, lastRound: 4, lastAttempt: 6, noise: d("noise"),
		step: d("step"), reputation: d("reputation"), best: best{d("best"), 4321, 0.75, 2, 3}, refused: 1, opposed: 8,
		trend: trend{7, smoothed{0.5, 0.25}, smoothed{1.5, 0.125}, 2.5}}
}

func TestHeadSurvivesItsEncodingWithEveryField(t *testing.T) {
	h := fullHead()
	v := reflect.ValueOf(h)
	for i := range v.NumField() {
		require.False(t, v.Field(i).IsZero(), "give %s a value above, so that this test sees it", v.Type().Field(i).Name)
	}
	back, err := decodeHead(h.encode())
	require.NoError(t, err)
	require.Equal(t, h, back)
	h.bestLoss = math.MaxFloat64 // before anybody evaluated
	back, err = decodeHead(h.encode())
	require.NoError(t, err)
	require.Equal(t, h, back)
}

func TestHeadOfAnotherVersionIsRefused(t *testing.T) {
	good := fullHead().encode()
	require.Equal(t, []byte{1, 1, 1}, good[:3], "field 1, one byte, version 1")
	later := bytes.Clone(good)
	later[2] = 2
	for name, b := range map[string][]byte{"later version": later, "no version": good[3:], "nothing": nil, "cut": good[:40],
		"a field of a later version": append(good, 32, 1, 1)} {
		_, err := decodeHead(b)
		require.ErrorIs(t, err, ErrHead, name)
	}
}

func TestHeadWithoutWhatARunNeedsIsRefused(t *testing.T) {
	for name, change := range map[string]func(*head){
		"plan": func(h *head) { h.plan = secagg.Digest{} }, "model": func(h *head) { h.model = secagg.Digest{} },
		"noise": func(h *head) { h.noise = secagg.Digest{} },
		"seed":  func(h *head) { h.seed = secagg.Digest{} }, "round": func(h *head) { h.round = 0 }, "attempt": func(h *head) { h.attempt = 0 },
		"status": func(h *head) { h.status = 0 }, "known status": func(h *head) { h.status = BudgetExhausted + 1 },
	} {
		h := fullHead()
		change(&h)
		_, err := decodeHead(h.encode())
		require.ErrorIs(t, err, ErrHead, "no %s", name)
	}
}

func TestStatusesKeepTheirNames(t *testing.T) {
	require.Equal(t, []string{"unknown", "running", "paused", "finished", "stopped", "budget_exhausted", "unknown"},
		[]string{Status(0).String(), Running.String(), Paused.String(), Finished.String(), Stopped.String(), BudgetExhausted.String(), Status(6).String()})
}

func TestBeginningOfAnAttemptSurvivesItsRecord(t *testing.T) {
	for _, b := range []began{{}, {at: 1}, {at: 1_700_000_000_000_000_000}, {at: math.MaxInt64},
		{at: 5, ledger: secagg.LedgerHead{Count: 3, Digest: secagg.Hash("ledger")}, drawn: []secagg.PartyID{"a", "b"}}} {
		back, err := decodeBegan(b.encode())
		require.NoError(t, err)
		require.Equal(t, b, back)
	}
	require.Equal(t, []byte{1, 1, 1, 2, 1, 5}, began{at: 5}.encode(), "as it was before there was a ledger")
	for name, b := range map[string][]byte{"nothing": nil, "later version": {1, 1, 2}, "more": append(began{at: 5}.encode(), 6, 1, 1)} {
		_, err := decodeBegan(b)
		require.Error(t, err, name)
	}
}

func FuzzDecodeHead(f *testing.F) {
	f.Add(fullHead().encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := decodeHead(b); err == nil && !bytes.Equal(b, h.encode()) {
			t.Fatalf("%x became %x", b, h.encode())
		}
	})
}

// Who steals a head finds in it what the noise of later attempts is drawn from, and not
// of those whose sums were released.
func TestNoiseOfEarlierAttemptsIsForgotten(t *testing.T) {
	h := fullHead()
	seen := map[secagg.Digest]bool{h.noise: true}
	for _, move := range [][2]uint32{{5, 3}, {6, 1}, {7, 1}} {
		before := h
		h.next(move[0], move[1])
		require.Equal(t, move, [2]uint32{h.round, h.attempt})
		require.False(t, seen[h.noise])
		require.NotContains(t, string(h.encode()), string(before.noise[:]))
		seen[h.noise] = true
	}
	none := head{round: 1, attempt: 1}
	none.next(2, 1)
	require.Equal(t, head{round: 2, attempt: 1}, none, "nor is there any where there was none")
}

// Kept are the blobs that the head leads to, each once, in ascending order.
func (e *Engine) Kept() []secagg.Digest {
	kept := slices.DeleteFunc(e.head.blobs(), func(d secagg.Digest) bool { return d == secagg.Digest{} })
	slices.SortFunc(kept, func(a, b secagg.Digest) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(kept)
}

// Step is the blob of the last accepted aggregate.
func (e *Engine) Step() secagg.Digest { return e.head.step }

// QuarantineRecord and ReadQuarantineRecord are the journal's form of a decision.
func QuarantineRecord(c QuarantineChange) []byte { return c.encode() }

func ReadQuarantineRecord(b []byte) (QuarantineChange, error) { return decodeQuarantineChange(b) }

// Seed is what cohorts are drawn from, as the head holds it.
func (e *Engine) Seed() secagg.Digest { return e.head.seed }

// vectorPlan combines the vectors of ten clients by trimmed means, but for a change.
func vectorPlan(t *testing.T, change func(*plan.Literal)) plan.Plan {
	t.Helper()
	l := plan.Literal{
		Schema: secagg.PlanSchema, Job: "job", Model: plan.Model{Architecture: "points", Tensors: []plan.Tensor{{Name: "w", Shape: []int{2}}}},
		Scheme: plan.Scheme{Name: plain.Name, CrossSilo: true}, Cohort: plan.Cohort{Size: 10, Minimum: 10}, Rounds: plan.Rounds{Count: 1},
		Encoding: plan.Encoding{ClipNorm: 10}, Training: plan.Training{Epochs: 1, BatchSize: 1, LearningRate: 0.1},
		Privacy:     plan.Privacy{Mode: "none", TrustCoordinator: true},
		Aggregation: plan.Aggregation{View: "vectors", Rule: "trimmed-mean", F: 1},
	}
	change(&l)
	p, err := l.Check(plain.Scheme{})
	require.NoError(t, err)
	return p
}
