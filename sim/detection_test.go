package sim

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
)

// flipped is a run of three rounds of 20 clients, four of which flip their signs, under such
// an aggregation.
func flipped(t *testing.T, a plan.Aggregation) (*simulation, Result) {
	t.Helper()
	cfg := attacked(t, small(t, "plain", 20, 20, 3, 1), "sign-flip:scale=10", 0.2)
	cfg.Plan.Cohort.Minimum = 20
	cfg.Plan.Aggregation = a
	s := prepared(t, cfg)
	res, err := s.run(0)
	require.NoError(t, err)
	return s, res
}

func TestDetectionCountsWhatTheRuleTheAlertsAndReputationsName(t *testing.T) {
	one, first := 1., 1
	_, res := flipped(t, plan.Aggregation{View: "vectors", Rule: "multi-krum", F: 4, Byzantine: 0.2})
	d := res.Detection
	require.Equal(t, &Detector{Named: 12, Right: 12, Bad: 12, Precision: &one, Recall: &one, First: &first}, d.Rule)
	require.Equal(t, &Detector{Named: 4, Right: 4, Bad: 4, Precision: &one, Recall: &one, First: &first}, d.Reputation)
	require.Equal(t, []int{12, 3, 3}, []int{d.Alerts.Bad, d.Alerts.Named, d.Alerts.Right}, "an alert names the longest")
	require.Equal(t, 0.25, *d.Alerts.Recall)
}

func TestDetectionIsNullWhereNobodyCanBeNamed(t *testing.T) {
	_, res := flipped(t, plan.Aggregation{})
	require.Equal(t, &Detection{}, res.Detection, "one sum")
	_, res = flipped(t, plan.Aggregation{View: "vectors", Rule: "trimmed-mean", F: 4, Byzantine: 0.2})
	require.Nil(t, res.Detection.Rule, "it leaves out values, not vectors")
	require.Nil(t, res.Detection.Reputation)
	require.NotNil(t, res.Detection.Alerts)
	for _, attack := range []string{"none", ""} {
		cfg := small(t, "plain", 20, 20, 1, 1)
		if attack != "" {
			cfg = attacked(t, cfg, attack, 0.2)
		}
		res, err := Run(cfg)
		require.NoError(t, err)
		require.Nil(t, res.Detection)
	}
}

func TestBucketIsBadIfAByzantineClientIsInIt(t *testing.T) {
	s, res := flipped(t, plan.Aggregation{View: "bucket_means", Rule: "median", F: 4, Byzantine: 0.2, Buckets: plan.Buckets{Size: 2, Minimum: 2}})
	bad := 0
	for _, r := range s.rounds {
		for _, members := range r.byBucket {
			if slices.ContainsFunc(members, func(name string) bool { return s.byzantine(secagg.PartyID(name)) }) {
				bad++
			}
		}
	}
	require.Equal(t, bad, res.Detection.Alerts.Bad)
	require.Less(t, bad, 3*10)
	require.Nil(t, res.Detection.Reputation, "buckets have none")
}

// What the gate refused was opened, and named those who are to blame.
func TestDetectionCountsRefusedAttempts(t *testing.T) {
	cfg := attacked(t, small(t, "plain", 20, 20, 1, 1), "model-replacement:goal=reverse", 0.2)
	cfg.Plan.Cohort.Minimum = 20
	cfg.Plan.Aggregation = plan.Aggregation{View: "vectors", Rule: "mean"}
	cfg.Plan.Screening = plan.Screening{RecallDrop: 0.2}
	cfg.Plan.Rounds.Attempts = 2
	res, err := Run(cfg)
	require.ErrorContains(t, err, "failed in all its attempts")
	require.Equal(t, 8, res.Detection.Alerts.Bad)
}

func TestDetectorsCount(t *testing.T) {
	ann := func(id secagg.PartyID) bool { return id == "ann" }
	bucket := 1
	r := func(round uint32, excluded bool) coordinator.Report {
		return coordinator.Report{ID: secagg.RoundID{Round: round}, Members: [][]secagg.PartyID{{"bob"}, {"ann"}, {"cy"}, nil}, Figures: &coordinator.Figures{Each: []coordinator.Figure{
			{Bucket: 0, Client: "bob", Excluded: true}, {Bucket: 1, Client: "ann", Excluded: excluded}, {Bucket: 2, Client: "cy"}, {Bucket: 3, Client: "dan", Spoiled: true}}},
			Alerts: []coordinator.Alert{{Name: coordinator.AlertCosine}, {Name: coordinator.AlertNormRatio, Bucket: &bucket}}}
	}
	var d detection
	d.over(r(1, false), true, ann)
	require.Equal(t, &Detection{}, d.result(), "attackers that did not attack")
	d.over(r(1, false), false, ann)
	require.Nil(t, d.result().Rule.First)
	require.Equal(t, 0., *d.result().Rule.Precision)
	d.judge([]coordinator.Reputation{{Client: "ann", Inclusion: 0.5}, {Client: "bob", Inclusion: 0.4}, {Client: "dan"}}, 1, ann)
	d.over(r(2, true), false, ann)
	d.judge([]coordinator.Reputation{{Client: "ann", Inclusion: 0.4}, {Client: "bob", Inclusion: 0.2}, {Client: "dan"}}, 2, ann)
	third, half, one, two, first := 1./3, 0.5, 1., 2, 1
	require.Equal(t, &Detection{
		Rule:       &Detector{Named: 3, Right: 1, Bad: 2, Precision: &third, Recall: &half, First: &two},
		Alerts:     &Detector{Named: 2, Right: 2, Bad: 2, Precision: &one, Recall: &one, First: &first},
		Reputation: &Detector{Named: 2, Right: 1, Bad: 1, Precision: &half, Recall: &one, First: &two},
	}, d.result())
}
