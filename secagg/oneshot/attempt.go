package oneshot

import (
	"crypto/sha256"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot/rlwe"
	"github.com/choir-fl/choir/secagg/oneshot/share"
)

// attempt is what all parties compute from a session before anything else.
type attempt struct {
	secagg.Session
	ring    rlwe.Parameters
	corrupt int // f: clients that may be corrupt
	// announced holds what the members announced, by committee index; present lists
	// those that did, and nonced those of them whose nonce counts.
	announced       []announcement
	present, nonced []int
	pieces          secagg.Pieces
}

// begin checks a session. No party trusts another for any of this.
func begin(s secagg.Session) (*attempt, error) {
	if s.Binding.Scheme != Name || s.Binding.Context() != s.Context || s.Binding.Roster != s.Roster.Root() ||
		s.Binding.Within != (secagg.Digest{}) || s.Binding.Committee != s.Announcements.Root(s.Committee) {
		return nil, secagg.ErrSession.At("binding of scheme %.40q", s.Binding.Scheme)
	}
	p, err := DecodeParameters(s.Binding.Parameters)
	if err != nil {
		return nil, err
	}
	if int64(s.Binding.Round.Attempt) > int64(p.Attempts) {
		return nil, ErrParameters.At("attempt %d of at most %d", s.Binding.Round.Attempt, p.Attempts)
	}
	n := s.Roster.Len()
	if err := p.cohort(n); err != nil {
		return nil, err
	}
	if s.Minimum < 1 || s.Minimum > n || s.Buckets < 1 || s.Buckets > n || s.BucketMinimum < 1 {
		return nil, secagg.ErrSession.At("minimum of %d among %d clients, %d buckets of at least %d", s.Minimum, n, s.Buckets, s.BucketMinimum)
	}
	if _, err := p.honest(n, s.Minimum, s.Buckets, s.BucketMinimum); err != nil {
		return nil, err
	}
	a := &attempt{Session: s, corrupt: secagg.ShareOf(n, p.Corrupt)}
	if a.ring, err = p.ring(s.Words, s.WordBits); err != nil {
		return nil, err
	}
	if err := checkAnswer(a.ring, s.Buckets); err != nil {
		return nil, err
	}
	if err := a.hear(); err != nil {
		return nil, err
	}
	a.pieces = pieces(a.ring, len(a.present))
	return a, nil
}

// hear checks the announcements: whose they are, and that a quorum's nonces count, of
// which at least one is an honest member's. So a quorum is there to hold shares.
func (a *attempt) hear() error {
	m, q := a.Committee.Len(), a.Committee.Quorum()
	if m == 0 || len(a.Announcements) != m {
		return secagg.ErrSession.At("%d announcements of %d committee members", len(a.Announcements), m)
	}
	a.announced, a.present = make([]announcement, m), a.Announcements.Present()
	for _, j := range a.present {
		var err error
		if a.announced[j], err = checkAnnouncement(a.Binding.Round, a.Committee, j, a.Announcements[j].Body); err != nil {
			return err
		}
		if !a.Announcements[j].LeftOut {
			a.nonced = append(a.nonced, j)
		}
	}
	if len(a.nonced) < q {
		return ErrQuorum.At("%d committee members announced and the nonces of %d count, of at least %d", len(a.present), len(a.nonced), q)
	}
	return nil
}

// pieces cuts an upload: the chunks of the long layer, then a letter for each of
// so many committee members.
func pieces(ring rlwe.Parameters, letters int) secagg.Pieces {
	return secagg.Pieces{Count: ring.Chunks(), Size: ring.ChunkBytes(), Body: ring.Bytes(), Letters: letters, LetterSize: letterSize(ring)}
}

// members is m, the size of the committee.
func (a *attempt) members() int { return a.Committee.Len() }

// clients is n, the length of the roster.
func (a *attempt) clients() int { return a.Roster.Len() }

// degree is that of the shares: c corrupt members learn nothing.
func (a *attempt) degree() int { return a.Committee.Corrupt() }

// point is where a member's shares lie: never zero, and one for each member.
func point(member int) int { return member + 1 }

// detailSize is the length of the detail of a commit frame: the digest of the
// ciphertext, then that of each letter.
func (a *attempt) detailSize() int { return sha256.Size * (1 + len(a.present)) }

// openFrame verifies a client's commit frame, as the coordinator and every member do.
func (a *attempt) openFrame(client int, frame []byte) (secagg.Commit, error) {
	commit, err := secagg.OpenCommit(a.Roster.At(client), a.Context, frame)
	if err != nil {
		return secagg.Commit{}, err
	}
	if commit.Size != a.pieces.Total() || len(commit.Detail) != a.detailSize() {
		return secagg.Commit{}, secagg.ErrUpload.At("client %d: %d bytes, detail of %d", client, commit.Size, len(commit.Detail))
	}
	return commit, nil
}

// seed verifies the nonces, in the order of their owners, against what was
// committed to, and returns the seed that the partition is drawn from. There is one
// seed only to a context.
func (a *attempt) seed(nonces []byte) (secagg.Digest, error) {
	if len(nonces) != nonceSize*len(a.nonced) {
		return secagg.Digest{}, ErrNonce.At("%d bytes for %d nonces", len(nonces), len(a.nonced))
	}
	for i, j := range a.nonced {
		if !a.committed(j, nonces[i*nonceSize:(i+1)*nonceSize]) {
			return secagg.Digest{}, ErrNonce.At("member %q", a.Committee.At(j).ID)
		}
	}
	return secagg.Hash("oneshot/1 seed", a.Context[:], nonces), nil
}

// committed reports whether a nonce is the one that its owner announced.
func (a *attempt) committed(member int, nonce []byte) bool {
	digest := commitNonce(a.Binding.Round, member, nonce)
	return len(nonce) == nonceSize && string(digest[:]) == string(a.announced[member].commitment)
}

// partition is the bucket of each client.
func (a *attempt) partition(seed secagg.Digest) []int {
	return secagg.Partition(seed, a.clients(), a.Buckets)
}

// divide returns the survivors in each bucket, and refuses sets that must not be
// opened: a bucket or all of them too small.
func (a *attempt) divide(u set, seed secagg.Digest) ([][]int, error) {
	if n := u.count(); n < a.Minimum {
		return nil, secagg.ErrTooFew.At("%d survivors, of at least %d", n, a.Minimum)
	}
	out := make([][]int, a.Buckets)
	for i, b := range a.partition(seed) {
		if u.has(i) {
			out[b] = append(out[b], i)
		}
	}
	for b, members := range out {
		if len(members) > 0 && len(members) < a.BucketMinimum {
			return nil, ErrBucket.At("bucket %d: %d survivors, of at least %d", b, len(members), a.BucketMinimum)
		}
	}
	return out, nil
}

// opened counts the buckets that have survivors.
func opened(buckets [][]int) int {
	n := 0
	for _, members := range buckets {
		if members != nil {
			n++
		}
	}
	return n
}

// verifyQuorum checks that a quorum of the committee signed a statement.
func (a *attempt) verifyQuorum(q quorum, label string, parts ...[]byte) error {
	if n := q.count(); n < a.Committee.Quorum() {
		return ErrQuorum.At("%s: %d signatures, of at least %d", label, n, a.Committee.Quorum())
	}
	signatures := q.signatures
	for j := range a.members() {
		if !q.has(j) {
			continue
		}
		if err := a.Committee.At(j).VerifyStatement(signatures[:signatureSize], label, a.Context, parts...); err != nil {
			return ErrQuorum.At("%s", label).Because(err)
		}
		signatures = signatures[signatureSize:]
	}
	return nil
}

// uploadsDigest digests the commit frames of the survivors, in order, so that the
// members agree on uploads and not on names alone.
func uploadsDigest(u set, frame func(client int) secagg.Digest) secagg.Digest {
	b := make([]byte, 0, len(secagg.Digest{})*u.count())
	for i := range u.all() {
		d := frame(i)
		b = append(b, d[:]...)
	}
	return secagg.Hash("oneshot/1 uploads", b)
}

// checkSeed is the seed of the coefficients with which members check a client's
// shares. It binds the whole upload, every letter included: the client signed the
// detail, and each member holds its own letter against it (package share).
func checkSeed(context secagg.Digest, client int, c secagg.Commit) secagg.Digest {
	return secagg.Hash("oneshot/1 check", context[:], index(client), c.Content[:], c.Detail)
}

// letterElements is how many elements a letter holds: the shares of the secret and the blinds.
func letterElements(ring rlwe.Parameters) int { return ring.N() + share.Blinds }
