package oneshot

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot/share"
	"github.com/choir-fl/choir/secagg/secaggtest"
)

var conformanceConfig = secaggtest.Config{
	Policy:  secagg.Policy{Corrupt: 50_000, Dropout: 300_000, Attempts: MaxAttempts, CrossSilo: true},
	Cohorts: []int{16, 19}, Committees: []int{4, 5, 7}, Reveal: "reveal", MaxWordBits: 28, NoWrap: true, Seeds: 12,
	Divided: &secaggtest.Divided{
		Policy:  secagg.Policy{Corrupt: 50_000, Dropout: 200_000, Attempts: MaxAttempts, CrossSilo: true, Buckets: secagg.Buckets{Size: 4, Minimum: 3}},
		Cohorts: []int{16, 18},
	},
	CommitteeForger: forger{},
}

func TestConformance(t *testing.T) { secaggtest.Conformance(t, Scheme{}, conformanceConfig) }

func TestAttacks(t *testing.T) { secaggtest.Attacks(t, Scheme{}, conformanceConfig) }

// forger implements secaggtest.CommitteeForger.
type forger struct{}

func (forger) Phases() secaggtest.CommitteePhases {
	return secaggtest.CommitteePhases{Context: "context", Reveal: "reveal", Seed: "seed", Records: "records", Agree: "agree"}
}

// inner is the body of a message, or nothing where there is no message.
func inner(message []byte) []byte {
	_, _, body, err := openEnvelope(message)
	if err != nil {
		panic(err)
	}
	return body
}

func quorumOf(s secagg.Session, signed map[int][]byte) *quorum {
	var q quorum
	for j := range s.Committee.Len() {
		if m, ok := signed[j]; ok {
			q.add(j, inner(m))
		}
	}
	return &q
}

func noncesOf(s secagg.Session, revealed map[int][]byte) []byte {
	var out []byte
	for j := range s.Committee.Len() {
		if m, ok := revealed[j]; ok {
			out = append(out, inner(m)...)
		}
	}
	return out
}

func (forger) Reveal(s secagg.Session, signed map[int][]byte) []byte {
	return envelope(s.Context, phaseReveal, quorumOf(s, signed).encode())
}

func (forger) Deal(s secagg.Session, revealed map[int][]byte) []byte {
	return envelope(s.Context, phaseSeed, noncesOf(s, revealed))
}

func (forger) Show(s secagg.Session, revealed, signed map[int][]byte) []byte {
	m := start{nonces: noncesOf(s, revealed), quorum: *quorumOf(s, signed)}
	return envelope(s.Context, phaseUpload, m.encode())
}

func (forger) Agree(s secagg.Session, survivors []int) []byte {
	u := newSet(s.Roster.Len())
	for _, i := range survivors {
		u.add(i)
	}
	return envelope(s.Context, phaseAgree, u)
}

func (forger) Unmask(s secagg.Session, agreed map[int][]byte) []byte {
	return envelope(s.Context, phaseUnmask, quorumOf(s, agreed).encode())
}

func (forger) Lie(s secagg.Session, answer []byte) []byte {
	body := bytes.Clone(inner(answer))
	// Another element, still below the prime.
	for at := 0; at < len(body); at += share.ElementBytes {
		body[at] ^= 1
	}
	return envelope(s.Context, phaseUnmask, body)
}

func (forger) Detail(_ secagg.Session, pieces secagg.Pieces, upload []byte) []byte {
	digest := sha256.Sum256(upload[:pieces.Body])
	out := digest[:]
	for rest := upload[pieces.Body:]; len(rest) > 0; rest = rest[pieces.LetterSize:] {
		digest := sha256.Sum256(rest[:pieces.LetterSize])
		out = append(out, digest[:]...)
	}
	return out
}
