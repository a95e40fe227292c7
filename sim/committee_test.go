package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
)

// allSchemes are those that a plan may name.
var allSchemes = []Scheme{plain.Scheme{}, pairwise.Scheme{}, oneshot.Scheme{}}

// under is a small simulation of oneshot with a committee of m.
func under(t *testing.T, clients, cohort, rounds, m int, seed uint64) Config {
	cfg := small(t, oneshot.Name, clients, cohort, rounds, seed)
	cfg.Schemes = allSchemes
	cfg.Plan.Scheme.Committee.Members = make([]plan.Member, m)
	return cfg
}

func TestOneshotPublishesTheModelOfPlain(t *testing.T) {
	digest := func(scheme string, f Fidelity) string {
		cfg := under(t, 40, 30, 3, 5, 1)
		cfg.Plan.Scheme.Name = scheme
		if scheme != oneshot.Name {
			cfg.Plan.Scheme.Committee = plan.Committee{}
		}
		cfg.Fidelity = f
		cfg.Faults.Dropout = 0.2
		res, err := Run(cfg)
		require.NoError(t, err)
		require.Zero(t, res.Final.RoundsFailed)
		return res.Final.ModelDigest
	}
	want := digest(plain.Name, Full)
	require.Equal(t, want, digest(oneshot.Name, Full))
	require.Equal(t, want, digest(oneshot.Name, Fast))
	require.Equal(t, want, digest(pairwise.Name, Full))
}

// members of the buckets of each released round of a run.
func partitions(t *testing.T, cfg Config) (string, map[secagg.RoundID][][]string) {
	res, err := Run(cfg)
	require.NoError(t, err)
	out := map[secagg.RoundID][][]string{}
	for _, r := range res.Rounds {
		if r.Outcome == Released {
			out[r.id] = r.byBucket
		}
	}
	return res.Final.ModelDigest, out
}

func TestBucketMeansPublishTheModelOfPlainBucketsWithTheSamePartition(t *testing.T) {
	for _, scheme := range []string{oneshot.Name, pairwise.Name} {
		t.Run(scheme, func(t *testing.T) {
			cfg := under(t, 60, 60, 2, 4, 2)
			cfg.Plan.Scheme.Name, cfg.Plan.Scheme.Corrupt = scheme, 0.01
			if scheme == pairwise.Name {
				cfg.Plan.Scheme.Committee = plan.Committee{}
			}
			cfg.Plan.Aggregation = plan.Aggregation{View: "bucket_means", Buckets: plan.Buckets{Size: 20, Minimum: 12}}
			cfg.Faults.Dropout = 0.2
			want, buckets := partitions(t, cfg)
			require.Len(t, buckets, 2)
			for id, members := range buckets {
				require.Len(t, members, 3, id)
			}

			same := cfg
			same.Plan.Scheme.Name, same.Plan.Scheme.Committee = plain.Name, plan.Committee{}
			same.Schemes = []Scheme{plain.Scheme{Partition: func(s secagg.Session) []int {
				out := make([]int, s.Roster.Len()) // who dropped out may be anywhere
				for b, members := range buckets[s.Binding.Round] {
					for _, id := range members {
						out[s.Roster.Index(secagg.PartyID(id))] = b
					}
				}
				return out
			}}}
			got, _ := partitions(t, same)
			require.Equal(t, want, got)
		})
	}
}

func TestCommitteeMembersThatFailCostNoRound(t *testing.T) {
	for name, c := range map[string]struct {
		m      int
		faults []MemberFault
	}{
		"one of four never announces":         {4, []MemberFault{{Member: 1, Kind: MemberGone}}},
		"two of seven vanish after the nonce": {7, []MemberFault{{Member: 0, Step: 3, Kind: MemberGone}, {Member: 6, Step: 5, Kind: MemberGone}}},
		"all of four restart, each at a step of its own": {4, []MemberFault{{Member: 0, Step: 1, Kind: MemberRestarts},
			{Member: 1, Step: 3, Kind: MemberRestarts}, {Member: 2, Step: 6, Kind: MemberRestarts}, {Member: 3, Step: 7, Kind: MemberRestarts}}},
		"two of seven lie at the end": {7, []MemberFault{{Member: 2, Step: 7, Kind: MemberGarbles}, {Member: 3, Step: 7, Kind: MemberGarbles}}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := under(t, 30, 24, 2, c.m, 3)
			cfg.Plan.Scheme.Corrupt = 0.01
			cfg.Faults = Faults{Dropout: 0.1, Committee: c.faults, Outage: 3 * time.Second}
			res, err := Run(cfg)
			require.NoError(t, err)
			require.Equal(t, 2, res.Final.RoundsCompleted)
			for _, r := range res.Rounds {
				t.Log(r.Round, r.Attempt, r.Outcome, r.Reason, r.Survivors, r.Culprits, r.VirtualSeconds)
			}
			require.Zero(t, res.Final.RoundsFailed)
		})
	}
}

func TestWithheldNonceCostsAnAttemptAndItsOwnerTheNextNonceSet(t *testing.T) {
	cfg := under(t, 30, 24, 1, 7, 4)
	cfg.Faults.Committee = []MemberFault{{Member: 3, Step: 2, Attempt: 1, Kind: MemberGone}, {Member: 5, Step: 2, Attempt: 2, Kind: MemberGone}}
	res, err := Run(cfg)
	require.NoError(t, err)
	require.Len(t, res.Rounds, 3)
	for i, culprit := range []string{"decryptor:decryptor-03", "decryptor:decryptor-05"} {
		require.Equal(t, Failed, res.Rounds[i].Outcome)
		require.Equal(t, []string{culprit}, res.Rounds[i].Culprits)
	}
	require.Equal(t, Released, res.Rounds[2].Outcome)
}

func TestSlowClientMayUploadUntilTheCutAndABufferedRoundClosesAtK(t *testing.T) {
	for _, k := range []int{0, 15} {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			cfg := under(t, 30, 24, 1, 4, 5)
			cfg.Plan.Cohort.CloseAt = k
			cfg.Devices.Spread = 1.5 // stragglers
			res, err := Run(cfg)
			require.NoError(t, err)
			want := 24
			if k > 0 {
				want = k
			}
			require.Equal(t, want, res.Rounds[0].Survivors)
		})
	}
}
