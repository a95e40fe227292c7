package sim

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
)

// mauler is oneshot with one corrupt client: it signs an upload whose ciphertext does
// not belong to the secret that it shared. Nobody can tell whose fault that is.
type mauler struct {
	oneshot.Scheme
	client secagg.PartyID
}

func (m mauler) NewParty(s secagg.Session, self int, key ed25519.PrivateKey, coins io.Reader) (secagg.Party, error) {
	p, err := m.Scheme.NewParty(s, self, key, coins)
	if err != nil || s.Roster.At(self).ID != m.client {
		return p, err
	}
	return mauled{p, s, key}, nil
}

type mauled struct {
	secagg.Party
	session secagg.Session
	key     ed25519.PrivateKey
}

func (m mauled) Seal(vector []uint32, out io.Writer) (secagg.Reply, error) {
	var b bytes.Buffer
	reply, err := m.Party.Seal(vector, &b)
	if err != nil {
		return reply, err
	}
	commit, err := secagg.PeekCommit(reply.Message)
	if err != nil {
		return reply, err
	}
	b.Bytes()[100] ^= 1
	commit.Content = sha256.Sum256(b.Bytes())
	_, err = out.Write(b.Bytes())
	frame := secagg.SignCommit(m.key, m.session.Context, commit)
	return secagg.Reply{Message: frame, Record: reply.Record}, err
}

func TestSpoiledSumFailsTheAttemptAndFallsBackOnBuckets(t *testing.T) {
	cfg := under(t, 48, 48, 2, 4, 6)
	cfg.Schemes = []Scheme{mauler{client: "client-00007"}}
	cfg.Plan.Scheme.Corrupt, cfg.Plan.Scheme.Dropout = 0.02, 0.1
	cfg.Plan.Aggregation = plan.Aggregation{Fallback: "bucket_means", Buckets: plan.Buckets{Size: 12, Minimum: 9}}
	res, err := Run(cfg)
	require.NoError(t, err)
	require.Len(t, res.Rounds, 4)
	for i, r := range res.Rounds {
		if i%2 == 0 {
			require.Equal(t, Failed, r.Outcome)
			require.Contains(t, r.Reason, "no client's vector")
			continue
		}
		require.Equal(t, Released, r.Outcome)
		require.Equal(t, 4, r.Buckets)
		require.Equal(t, 1, r.Spoiled)
		require.Equal(t, 36, r.Survivors, "nobody of the spoiled bucket is counted")
		require.NotContains(t, r.members, "client-00007")
	}
}

func TestSpoiledSumWithoutFallbackStopsTheRunAndIsNeverPublished(t *testing.T) {
	cfg := under(t, 24, 24, 1, 4, 6)
	cfg.Schemes = []Scheme{mauler{client: "client-00007"}}
	res, err := Run(cfg)
	require.ErrorContains(t, err, "failed in all its attempts")
	for _, r := range res.Rounds {
		require.Equal(t, Failed, r.Outcome)
	}
}
