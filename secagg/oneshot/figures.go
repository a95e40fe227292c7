package oneshot

import (
	"crypto/ed25519"
	"crypto/sha256"

	"github.com/choir-fl/choir/secagg"
)

// Figures tell what a plan means under this scheme, for a full cohort and a committee
// that is all there.
type Figures struct {
	// Set names the ring's parameters; Degree is N, Kappa the bits of noise, and
	// Slots the words in a coefficient.
	Set                  string
	Degree, Kappa, Slots int
	// Corrupt is f, the clients that may be corrupt.
	Corrupt int
	// Buckets is the number of sums, BucketSize the clients in the largest,
	// CorruptInBucket c*, the corrupt ones reckoned with in one, and Honest h, the
	// honest clients in an opened one at least. Under the view of one sum that may fall
	// back on buckets, they are those of the buckets.
	Buckets, BucketSize, CorruptInBucket, Honest int
	// Chunks and Body are the ciphertext of one upload, in pieces and bytes; Letters
	// and LetterSize what follows for the committee. Upload is all of it, and Frame the
	// commit frame that comes with it.
	Chunks              int
	Body                int64
	Letters, LetterSize int
	Upload              int64
	Frame               int
	// MemberLetters is what each committee member reads, in bytes, twice; the others
	// are what it sends: MemberVerdicts about all letters, and its MemberAnswer of sums.
	MemberLetters                int64
	MemberVerdicts, MemberAnswer int
}

// Measure returns the figures of a policy that Configure accepts.
func Measure(policy secagg.Policy) (Figures, error) {
	p, ring, err := configure(policy)
	if err != nil {
		return Figures{}, err
	}
	n := policy.Clients
	count, minimum := divided(policy)
	if count == 0 {
		count, minimum = 1, policy.Minimum
	}
	corrupt, err := p.honest(n, policy.Minimum, count, minimum)
	if err != nil {
		return Figures{}, err
	}
	ps := pieces(ring, policy.Committee.Len())
	f := Figures{
		Set: ring.Set(), Degree: ring.N(), Kappa: ring.Kappa(), Slots: ring.Slots(), Corrupt: secagg.ShareOf(n, policy.Corrupt),
		Buckets: count, BucketSize: bucketSize(n, count), CorruptInBucket: corrupt, Honest: minimum - corrupt,
		Chunks: ps.Count, Body: ps.Body, Letters: ps.Letters, LetterSize: ps.LetterSize, Upload: ps.Total(), Frame: frameSize(ps),
		MemberVerdicts: n * (1 + valueSize), MemberAnswer: answerSize(ring, count),
	}
	const letterHead = 12 // secagg.WriteLetter
	f.MemberLetters = int64(n) * int64(letterHead+f.Frame+f.LetterSize)
	return f, nil
}

// frameSize is the length of the commit frame of an upload: that of any other
// frame of as many letters and bytes.
func frameSize(ps secagg.Pieces) int {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	digest := secagg.Digest(sha256.Sum256(nil))
	return len(secagg.SignCommit(key, digest, secagg.Commit{Content: digest, Size: ps.Total(), Detail: make([]byte, sha256.Size*(1+ps.Letters))}))
}
