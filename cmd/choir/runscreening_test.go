package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
)

func TestStateOfARunSaysWhatToLookAtAndWhatCannotBeSeen(t *testing.T) {
	bucket := uint32(3)
	s := newRunState(&choirv1.RunState{Job: "job", Status: "running", View: "bucket_means", Unseen: "no client's vector",
		Alerts:      []*choirv1.Alert{{Name: "norm_ratio", What: "long", Bucket: &bucket, Value: 4, Threshold: 3}, {Name: "gate", What: "refused"}},
		Quarantined: []string{"ann"}, Reputations: []*choirv1.Reputation{{Client: "bob", Inclusion: 0.25, Rounds: 4}}})
	require.Equal(t, "job: running, 0 of 0 rounds; alerts: norm_ratio, gate; 1 clients quarantined", s.line())
	b, err := json.Marshal(s.runScreening)
	require.NoError(t, err)
	require.JSONEq(t, `{"view":"bucket_means","unseen":"no client's vector","alerts":[{"name":"norm_ratio","what":"long","bucket":3,"value":4,"threshold":3},
		{"name":"gate","what":"refused","value":0,"threshold":0}],"quarantined":["ann"],"reputations":[{"client":"bob","inclusion":0.25,"rounds":4}]}`, string(b))
	b, err = json.Marshal(newRunState(&choirv1.RunState{}).runScreening)
	require.NoError(t, err)
	require.JSONEq(t, `{"view":"","unseen":"","alerts":[],"quarantined":[]}`, string(b))
}

// The sentence comes once, first of all, in words and not in JSON lines of their own.
func TestWatcherSaysOnceWhatCannotBeSeen(t *testing.T) {
	var out strings.Builder
	w := watcher{job: "job", out: &out, seen: map[[2]uint32]bool{}}
	state := &choirv1.WatchRunResponse{State: &choirv1.RunState{Job: "job", View: "sum", Unseen: "Attributing poison is unavailable in this mode."}}
	for range 2 {
		require.NoError(t, w.show(state))
	}
	require.Equal(t, "job: view sum: Attributing poison is unavailable in this mode.\n", out.String())
	require.Empty(t, newRunState(&choirv1.RunState{Job: "job"}).notice(), "an older coordinator says nothing")
}

func TestWatchedAttemptSaysHowManyWereClippedWhereItIsKnown(t *testing.T) {
	r := &choirv1.RoundReport{Released: true, Privacy: &choirv1.Privacy{Delta: 1e-5, ClipNorm: 2}}
	require.Contains(t, newRunAttempt(r).line(), "clip norm 2, clipped share unavailable;")
	clipped := -0.0625
	r.Clipped = &clipped
	require.Contains(t, newRunAttempt(r).line(), "clip norm 2, clipped share -0.0625 with noise;")
}

func TestWatchedAttemptShowsFiguresHoldoutAndAlerts(t *testing.T) {
	cosine, weight, score, clipped, probe := -0.5, 0.0, 7.5, 0.25, 0.125
	a := newRunAttempt(&choirv1.RoundReport{Reason: "gate: refused", RolledBack: true, Quarantined: 2,
		Figures: &choirv1.Figures{View: "vectors", Rule: "krum", Vectors: 5, F: 1, Norms: []float64{1, 2, 3, 4, 5}, Excluded: 0.8, Cosine: &cosine, Duplicates: 2, Omitted: 1,
			Each: []*choirv1.Figure{{Bucket: 1, Client: "ann", Clients: 1, Excluded: true, Weight: &weight, Score: &score, Rank: 3, Group: 1}}},
		Holdout: &choirv1.Measurement{Recall: []float64{1, -1}, Accuracy: 0.5, Loss: 2, Probe: &probe}, Clipped: &clipped,
		Trend:  &choirv1.Trend{Models: 6, Accuracy: 0.4, AccuracyDeviation: 0.1, Loss: 3, LossDeviation: 0.5, Cusum: 1},
		Alerts: []*choirv1.Alert{{Name: "rollback", What: "the run went back"}}})
	require.Equal(t, "round 0 attempt 0: failed after 0s with 0 admitted: gate: refused; cosine to the last -0.5000; 0.8 of 5 vectors left out, f/n 0.2; "+
		"holdout accuracy 0.5000, loss 2.0000, backdoor probes 0.1250; alert rollback: the run went back", a.line())
	for _, c := range []struct {
		v    any
		want string
	}{
		{a.Figures, `{"view":"vectors","rule":"krum","vectors":5,"f":1,"norms":[1,2,3,4,5],"excluded":0.8,"cosine":-0.5,"top_eigenvalue":null,"duplicates":2,"omitted":1,
			"each":[{"bucket":1,"client":"ann","clients":1,"excluded":true,"weight":0,"score":7.5,"rank":3,"group":1}]}`},
		{a.Holdout, `{"recall":[1,-1],"accuracy":0.5,"loss":2,"probe":0.125}`},
		{a.Trend, `{"models":6,"accuracy":0.4,"accuracy_deviation":0.1,"loss":3,"loss_deviation":0.5,"cusum":1}`},
		{a.Clipped, "0.25"},
	} {
		b, err := json.Marshal(c.v)
		require.NoError(t, err)
		require.JSONEq(t, c.want, string(b))
	}
	require.True(t, a.RolledBack)
	require.EqualValues(t, 2, a.Quarantined)
	empty := newRunAttempt(&choirv1.RoundReport{})
	require.Nil(t, empty.Figures)
	require.Nil(t, empty.Holdout)
	require.Nil(t, empty.Trend)
	require.Nil(t, empty.Clipped)
}

func TestWatchedAttemptTellsWhichBucketsWereLeftOut(t *testing.T) {
	a := newRunAttempt(&choirv1.RoundReport{Buckets: 5, Short: 2, Spoiled: 1})
	require.Equal(t, []uint32{5, 2, 1}, []uint32{a.Buckets, a.Short, a.Spoiled})
}
