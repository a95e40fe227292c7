package oneshot

import (
	"crypto/sha256"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot/share"
)

// judge is what a member found of the letters so far. It keeps no shares.
type judge struct {
	list   []verdict       // in the order of acceptance
	sent   int             // how many of them a message of phase upload was about
	frames []secagg.Digest // of the commit frame by client; zero before its letter came
	good   set
}

func newJudge(clients int) judge {
	return judge{frames: make([]secagg.Digest, clients), good: newSet(clients)}
}

func (j *judge) judged(client int) bool { return j.frames[client] != secagg.Digest{} }

// take judges the next letter. What only the coordinator can have done, such as a
// frame that is not its client's, is an error; what the client can have done is a
// verdict. A letter that comes again is passed over, and never judged twice: a
// member publishes one value of each vector of shares (package share).
func (p *member) take(l secagg.Letter) error {
	if l.Member >= p.attempt.clients() {
		return ErrLetter.At("client %d of %d", l.Member, p.attempt.clients())
	}
	frame := secagg.Digest(sha256.Sum256(l.Frame))
	if p.judge.judged(l.Member) {
		if frame != p.judge.frames[l.Member] {
			return ErrLetter.At("client %d: a second upload", l.Member)
		}
		return nil
	}
	commit, err := p.attempt.openFrame(l.Member, l.Frame)
	if err != nil {
		return ErrLetter.At("client %d", l.Member).Because(err)
	}
	if len(l.Body) != p.attempt.pieces.LetterSize {
		return ErrLetter.At("client %d: %d bytes", l.Member, len(l.Body))
	}
	var v verdict
	if shares := p.open(l, commit); shares != nil {
		v.ok = true
		v.values = share.NewChecker(checkSeed(p.attempt.Context, l.Member, commit), p.attempt.ring.N()).Check(shares)
		clear(shares)
		p.judge.good.add(l.Member)
	}
	p.judge.frames[l.Member] = frame
	p.judge.list = append(p.judge.list, v)
	return nil
}

// open returns the shares in a letter that came with a verified frame, or nil if it
// is not the letter that the client signed or holds no shares.
func (p *member) open(l secagg.Letter, commit secagg.Commit) []uint32 {
	const size = sha256.Size
	if digest := sha256.Sum256(l.Body); string(digest[:]) != string(commit.Detail[size*(1+p.place):][:size]) {
		return nil
	}
	plain, err := openLetter(p.key, p.attempt.Context, l.Member, p.self, secagg.Digest(commit.Detail[:size]), l.Body)
	if err != nil {
		return nil
	}
	defer clear(plain)
	shares := make([]uint32, letterElements(p.attempt.ring))
	if err := share.Decode(shares, plain); err != nil {
		return nil
	}
	return shares
}

// sums are the shares of the survivors' secrets, added up by bucket. Secret.
type sums struct {
	bucketOf []int           // by client: its place among the opened buckets, or -1
	sums     [][]uint32      // by opened bucket
	frames   []secagg.Digest // by client that was added
	added    set             // the survivors that were
	seen     set             // the clients whose letters came in this pass
}

func newSums(a *attempt, buckets [][]int) sums {
	s := sums{bucketOf: make([]int, a.clients()), sums: make([][]uint32, 0, opened(buckets)), frames: make([]secagg.Digest, a.clients())}
	for i := range s.bucketOf {
		s.bucketOf[i] = -1
	}
	for _, members := range buckets {
		if members == nil {
			continue
		}
		for _, i := range members {
			s.bucketOf[i] = len(s.sums)
		}
		s.sums = append(s.sums, make([]uint32, a.ring.N()))
	}
	s.added, s.seen = newSet(a.clients()), newSet(a.clients())
	return s
}

// reset erases the sums and begins anew.
func (s *sums) reset() {
	for _, sum := range s.sums {
		clear(sum)
	}
	clear(s.added)
	clear(s.seen)
}

// add adds the shares in a survivor's letter to its bucket, once. The blinds are
// not added: their sum together with what was published would tell something.
func (p *member) add(l secagg.Letter) error {
	s := &p.sums
	if l.Member >= p.attempt.clients() {
		return ErrLetter.At("client %d of %d", l.Member, p.attempt.clients())
	}
	bucket := s.bucketOf[l.Member]
	if bucket < 0 || s.added.has(l.Member) {
		s.seen.add(l.Member)
		return nil
	}
	commit, err := p.attempt.openFrame(l.Member, l.Frame)
	if err != nil {
		return ErrLetter.At("client %d", l.Member).Because(err)
	}
	frame := secagg.Digest(sha256.Sum256(l.Frame))
	if p.judge.judged(l.Member) && p.judge.frames[l.Member] != frame {
		return ErrLetter.At("client %d: a second upload", l.Member)
	}
	shares := p.open(l, commit)
	if shares == nil {
		return ErrLetter.At("client %d: letter was good before", l.Member)
	}
	defer clear(shares)
	share.Accumulate(s.sums[bucket], shares[:p.attempt.ring.N()])
	s.frames[l.Member] = frame
	s.added.add(l.Member)
	s.seen.add(l.Member)
	return nil
}

// encode is the body of the member's answer.
func (s *sums) encode() ([]byte, error) {
	var out []byte
	for _, sum := range s.sums {
		at := len(out)
		out = append(out, make([]byte, share.ElementBytes*len(sum))...)
		if err := share.Encode(out[at:], sum); err != nil {
			return nil, secagg.ErrSession.Because(err)
		}
	}
	return out, nil
}
