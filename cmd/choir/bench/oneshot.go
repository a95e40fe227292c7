package bench

import (
	"bytes"
	"io"
	"slices"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/oneshot/rlwe"
)

const (
	// largeCohort is the cohort of the measurements of scheme oneshot with long
	// vectors, and decryptors its committee.
	largeCohort = 1000
	decryptors  = 5
	// sumWord is the word of a sum of largeCohort integers of 16 bits, and narrowWord
	// that of narrowCohort integers of 12 bits.
	sumWord      = 26
	narrowCohort = 512
	narrowWord   = 21
	// letterCohort is the cohort of the measurements without long vectors, whose
	// uploads are one chunk of set M.
	letterCohort = 100
	chunkWords   = 3 * 4096
)

// large is an attempt at one round of a large cohort.
func large(d int) (*attempt, error) {
	return newAttempt(oneshot.Scheme{}, shape{clients: largeCohort, words: d, width: sumWord, committee: decryptors, dropout: vanish})
}

// ciphertext is an encrypted vector, chunk after chunk, and the secret it is under.
type ciphertext struct {
	ring   rlwe.Parameters
	secret []int32
	body   []byte
}

// benchContext is the context of what is encrypted without an attempt.
var benchContext = [32]byte{5}

func newRing(d int) (rlwe.Parameters, error) {
	return rlwe.Literal{Clients: largeCohort, Words: d, WordBits: sumWord}.Check()
}

// encrypt encrypts a vector as a client does; body is nil to discard what comes.
func encrypt(ring rlwe.Parameters, vector []uint32, coins io.Reader, body []byte) ([]int32, error) {
	secret, err := ring.NewSecret(coins)
	if err != nil {
		return nil, err
	}
	sealer, err := rlwe.NewSealer(ring, benchContext, secret, coins)
	if err != nil {
		return nil, err
	}
	defer sealer.Erase()
	size := ring.ChunkBytes()
	chunk := make([]byte, size)
	for i := range ring.Chunks() {
		if body != nil {
			chunk = body[i*size : (i+1)*size]
		}
		if err := sealer.Seal(chunk, i, vector[i*ring.ChunkWords():][:ring.WordsOf(i)]); err != nil {
			return nil, err
		}
	}
	return secret, nil
}

// longLayer measures a client's encryption, the noise and the packing of words
// included, and the digest of what it uploads.
func longLayer(s *suite) error {
	ring, err := newRing(s.d)
	if err != nil {
		return err
	}
	vector, coins := small(s.d), field.NewStream([32]byte{6})
	body := make([]byte, ring.Bytes())
	times, err := race(always,
		contestant{run: func() error { _, err := encrypt(ring, vector, coins, nil); return err }},
		contestant{run: func() error {
			_, err := secagg.NewCommitWriter(io.Discard).Write(body)
			return err
		}})
	if err != nil {
		return err
	}
	s.add("oneshot/encrypt", PerCoordinate, per(times[0], s.d), largeCohort, s.d, sumWord)
	s.add("oneshot/digest", PerCoordinateClient, per(times[1], s.d), largeCohort, s.d, sumWord)
	return nil
}

// small fills a vector with integers of 16 bits, of which sums do not carry.
func small(d int) []uint32 { return words(d, 16) }

// oneshotSums measures the coordinator's adding of one upload. It is checked when it
// has come and again when it is added, maybe after a restart.
func oneshotSums(s *suite) error {
	a, err := large(s.d)
	if err != nil {
		return err
	}
	ring, err := newRing(s.d)
	if err != nil {
		return err
	}
	body := make([]byte, ring.Bytes())
	if _, err := encrypt(ring, small(s.d), field.NewStream([32]byte{6}), body); err != nil {
		return err
	}
	return aggregate(s, "oneshot/aggregate", a, body)
}

// cohorts are those of which sums are opened.
var cohorts = []int{10, 100, largeCohort}

// oneshotUnmasking measures the opening of one sum of cohorts of several sizes. A sum
// is of two ciphertexts, each added for half of the cohort: noise and secrets grow
// with the cohort as they may at most, and the arithmetic is the same.
func oneshotUnmasking(s *suite) error {
	ring, err := newRing(s.d)
	if err != nil {
		return err
	}
	two, err := distinct(ring, 2)
	if err != nil {
		return err
	}
	contestants := make([]contestant, len(cohorts))
	for i, n := range cohorts {
		if contestants[i], err = opening(ring, two, n); err != nil {
			return err
		}
	}
	times, err := race(always, contestants...)
	if err != nil {
		return err
	}
	for i, n := range cohorts {
		s.add("oneshot/unmask", PerCoordinate, per(times[i], s.d), n, s.d, sumWord)
	}
	return nil
}

// distinct encrypts so many vectors.
func distinct(ring rlwe.Parameters, n int) ([]ciphertext, error) {
	coins, out := field.NewStream([32]byte{7}), make([]ciphertext, n)
	for i := range out {
		out[i] = ciphertext{ring: ring, body: make([]byte, ring.Bytes())}
		var err error
		if out[i].secret, err = encrypt(ring, small(ring.Words()), coins, out[i].body); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// opening opens the sum of n ciphertexts, which are those given, over and over.
func opening(ring rlwe.Parameters, of []ciphertext, n int) (contestant, error) {
	sum, secret := rlwe.NewSum(ring), make([]int32, ring.N())
	size := ring.ChunkBytes()
	for i := range n {
		c := of[i%len(of)]
		for k := range ring.Chunks() {
			if err := sum.Add(k, c.body[k*size:(k+1)*size]); err != nil {
				return contestant{}, err
			}
		}
		for k, v := range c.secret {
			secret[k] += v
		}
	}
	out := make([]uint32, ring.ChunkWords())
	return contestant{run: func() error {
		opener, err := rlwe.NewOpener(ring, benchContext, secret, n)
		if err != nil {
			return err
		}
		defer opener.Erase()
		for k := range ring.Chunks() {
			if err := opener.Open(sum, k, out[:ring.WordsOf(k)]); err != nil {
				return err
			}
		}
		return nil
	}}, nil
}

// oneshotUploads counts everything that a client sends: ciphertext, letters, frame.
func oneshotUploads(s *suite) error {
	for _, one := range []shape{{clients: largeCohort, width: sumWord}, {clients: narrowCohort, width: narrowWord}} {
		one.words, one.committee, one.dropout = s.d, decryptors, vanish
		a, err := newAttempt(oneshot.Scheme{}, one)
		if err != nil {
			return err
		}
		if err := a.advanceTo("upload"); err != nil {
			return err
		}
		if _, err := a.step(0); err != nil {
			return err
		}
		var sent counter
		if err := a.seal(0, words(s.d, one.width), &sent); err != nil {
			return err
		}
		s.add("oneshot/upload", BytesPerCoordinate, float64(int64(sent)+a.up["upload"])/float64(s.d), one.clients, s.d, one.width)
	}
	return nil
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// oneshotPhases are the phases in which a committee is asked, before which it
// announces itself. Clients are asked to upload, and nothing else.
var oneshotPhases = []string{announcing, "context", "reveal", "seed", "upload", "records", "agree", "unmask"}

func oneshotPhaseNames() []string {
	out := []string{"oneshot/down/upload", "oneshot/up/upload"}
	for _, phase := range oneshotPhases {
		if phase != announcing {
			out = append(out, "oneshot/member/down/"+phase)
		}
		out = append(out, "oneshot/member/up/"+phase)
	}
	return out
}

// announcing is answered to a task, not to an instruction.
const announcing = "announce"

// oneshotMessages counts the bytes of each phase for a client, its upload apart from
// its commit frame, and for a member of the committee, with all letters.
func oneshotMessages(s *suite) error {
	a, err := judged()
	if err != nil {
		return err
	}
	if err := a.advanceTo("open"); err != nil {
		return err
	}
	a.up["upload"] -= a.bulk
	s.add("oneshot/down/upload", BytesPerClient, float64(a.down["upload"])/letterCohort, letterCohort, 0, 0)
	s.add("oneshot/up/upload", BytesPerClient, float64(a.up["upload"])/letterCohort, letterCohort, 0, 0)
	for _, phase := range oneshotPhases {
		var down, up int64
		for _, m := range a.committee {
			down, up = down+m.down[phase], up+m.up[phase]
		}
		if phase != announcing {
			s.add("oneshot/member/down/"+phase, BytesPerMember, float64(down)/decryptors, letterCohort, 0, 0)
		}
		s.add("oneshot/member/up/"+phase, BytesPerMember, float64(up)/decryptors, letterCohort, 0, 0)
	}
	return nil
}

// judged is an attempt with short vectors in which all clients have uploaded.
func judged() (*attempt, error) {
	a, err := newAttempt(oneshot.Scheme{}, shape{clients: letterCohort, words: chunkWords, width: sumWord, committee: decryptors, dropout: vanish})
	if err != nil {
		return nil, err
	}
	if err := a.advanceTo("upload"); err != nil {
		return nil, err
	}
	acc, err := a.sealAll(letterCohort)
	if err != nil {
		return nil, err
	}
	a.bulk = acc.Pieces().Total() * letterCohort
	for j := range a.committee {
		if err := a.ask(letterCohort + j); err != nil {
			return nil, err
		}
	}
	return a, a.control.Advance()
}

// oneshotLetters measures what a member of the committee does with letters: it judges
// them when they come, and reads those of the survivors again to add them up.
func oneshotLetters(s *suite) error {
	a, err := judged()
	if err != nil {
		return err
	}
	first, err := a.reading(0, "records")
	if err != nil {
		return err
	}
	if err := a.advanceTo("unmask"); err != nil {
		return err
	}
	second, err := a.reading(0, "unmask")
	if err != nil {
		return err
	}
	times, err := race(once, first, second)
	if err != nil {
		return err
	}
	for i, pass := range []string{"first", "second"} {
		s.add("oneshot/letters/"+pass, PerThousandLetters, per(times[i], letterCohort)*1000/1e6, letterCohort, 0, 0)
	}
	return nil
}

// reading lets a member that was just restarted read all letters in the present phase.
func (a *attempt) reading(j int, phase string) (contestant, error) {
	if now := a.control.Phase().Name; now != phase {
		return contestant{}, secagg.ErrPhase.At("phase %s, not %s", now, phase)
	}
	body, _ := a.control.Instruction(len(a.parties) + j)
	instruction, record := slices.Clone(body), slices.Clone(a.committee[j].record)
	letters := a.stream(j, 0).Bytes()
	var party secagg.CommitteeParty
	return contestant{
		prepare: func() (err error) {
			party, err = a.scheme.(secagg.CommitteeScheme).NewCommitteeParty(a.session, j, a.committee[j].keys, record)
			if err == nil {
				_, err = party.Step(instruction)
			}
			return err
		},
		run: func() error {
			_, err := party.Letters(bytes.NewReader(letters))
			return err
		}}, nil
}
