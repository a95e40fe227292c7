package coordinator

import (
	"bytes"
	"math"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/secagg"
)

// fullHead has a value of its own in every field.
func fullHead() head {
	d := func(s string) secagg.Digest { return secagg.Hash(s) }
	return head{plan: d("plan"), status: Paused, reason: "why", rounds: 3, round: 5, attempt: 2, model: d("model"), modelSize: 1234,
		optimizer: d("optimizer"), moments: "fedadam", seed: d("seed"), ledger: d("ledger"), audit: d("audit"), bestLoss: 0.25, waited: 7, ended: "{}",
		fallback: true, leftOut: []secagg.PartyID{"decryptor:a"}, absent: []secagg.PartyID{"decryptor:b", "decryptor:c"}}
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
		"a field of a later version": append(good, 21, 1, 1)} {
		_, err := decodeHead(b)
		require.ErrorIs(t, err, ErrHead, name)
	}
}

func TestHeadWithoutWhatARunNeedsIsRefused(t *testing.T) {
	for name, change := range map[string]func(*head){
		"plan": func(h *head) { h.plan = secagg.Digest{} }, "model": func(h *head) { h.model = secagg.Digest{} },
		"seed": func(h *head) { h.seed = secagg.Digest{} }, "round": func(h *head) { h.round = 0 }, "attempt": func(h *head) { h.attempt = 0 },
		"status": func(h *head) { h.status = 0 }, "known status": func(h *head) { h.status = Stopped + 1 },
	} {
		h := fullHead()
		change(&h)
		_, err := decodeHead(h.encode())
		require.ErrorIs(t, err, ErrHead, "no %s", name)
	}
}

func TestStatusesKeepTheirNames(t *testing.T) {
	require.Equal(t, []string{"unknown", "running", "paused", "finished", "stopped", "unknown"},
		[]string{Status(0).String(), Running.String(), Paused.String(), Finished.String(), Stopped.String(), Status(5).String()})
}

func TestBeginningOfAnAttemptSurvivesItsRecord(t *testing.T) {
	for _, at := range []round.Instant{0, 1, 1_700_000_000_000_000_000, math.MaxInt64} {
		back, err := decodeBegan(encodeBegan(at))
		require.NoError(t, err)
		require.Equal(t, at, back)
	}
	for name, b := range map[string][]byte{"nothing": nil, "later version": {1, 1, 2}, "more": append(encodeBegan(5), 3, 1, 1)} {
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
