package sim

import (
	"crypto/ed25519"
	"encoding/binary"
	"io"
	"math"
	"sync"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/sim/adversary"
)

// attacker is one Byzantine client.
type attacker struct {
	*adversaries
	index, place int // of the client; among the attackers

	mu      sync.Mutex
	parties map[secagg.RoundID]*byzantineParty
}

// party is its half of an attempt; nil if it is long over.
func (a *attacker) party(id secagg.RoundID) *byzantineParty {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.parties[id]
}

// forget drops what it knows of earlier attempts.
func (a *attacker) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.parties)
}

// byzantineScheme is a Byzantine client's half of a scheme.
type byzantineScheme struct {
	Scheme
	attacker *attacker
}

// NewParty implements secagg.ClientScheme.
func (b byzantineScheme) NewParty(s secagg.Session, self int, key ed25519.PrivateKey, coins io.Reader) (secagg.Party, error) {
	inner, err := b.inner(s, self, key, coins)
	if err != nil {
		return nil, err
	}
	p := &byzantineParty{Party: inner, attacker: b.attacker, session: s, key: key}
	b.attacker.mu.Lock()
	defer b.attacker.mu.Unlock()
	b.attacker.parties[s.Binding.Round] = p
	return p, nil
}

// inner is the party that masks or encrypts: two in one, to deal out shares that do not
// belong together.
func (b byzantineScheme) inner(s secagg.Session, self int, key ed25519.PrivateKey, coins io.Reader) (secagg.Party, error) {
	if b.attacker.attack.Cheat() == adversary.CheatInconsistentShares && b.Name() == pairwise.Name {
		return newTwins(b.Scheme, s, self, key, coins)
	}
	return b.Scheme.NewParty(s, self, key, coins)
}

// byzantineParty puts another vector into the sum than the client's own software encoded.
type byzantineParty struct {
	secagg.Party
	attacker *attacker
	session  secagg.Session
	key      ed25519.PrivateKey
	nonces   []byte // of the committee, where there is one

	// Set before the vector is sealed, unless there is no attack.
	armed    bool
	update   []float32 // nil: as the software encoded it
	own      []float32 // what it would have sent
	examples int
	task     secagg.Task
	centre   []float32 // nil for zero
}

// arm lays an update ready.
func (p *byzantineParty) arm(update, own []float32, examples int, b *battle) {
	if p != nil {
		p.armed, p.update, p.own, p.examples, p.task, p.centre = true, update, own, examples, b.task, b.centre
	}
}

// Seal implements secagg.Party. An update that is not finite goes the way of the client's
// software, which makes it a vector that counts for nothing: no integer stands for it.
func (p *byzantineParty) Seal(vector []uint32, out io.Writer) (secagg.Reply, error) {
	if !p.armed {
		return p.Party.Seal(vector, out)
	}
	weight, update := weightOf(p.examples, p.task), p.update
	if !finite(update) {
		update = nil
	}
	if err := p.cheatInVector(vector, &update, &weight); err != nil {
		return secagg.Reply{}, err
	}
	if update != nil {
		if p.attacker.attack.Cheat() != adversary.CheatFalseWeight {
			weight = p.weigh(vector, update, weight)
		}
		if err := p.encode(vector, update, weight); err != nil {
			return secagg.Reply{}, err
		}
	}
	return p.cheatInUpload(vector, out)
}

func finite(v []float32) bool {
	for _, x := range v {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return false
		}
	}
	return true
}

// weigh is the weight that keeps to the protocol for an update, which it states in the vector:
// where clients weigh updates by their distance from a centre, that of what is sent.
func (p *byzantineParty) weigh(vector []uint32, update []float32, weight float64) float64 {
	t := p.task.Terms
	if t.Weiszfeld == (secagg.Weiszfeld{}) {
		return weight
	}
	weight = t.Weiszfeld.Weigh(weight, update, p.centre, t.Encoding.ClipNorm)
	p.state(vector, weight*secagg.ExtraScale)
	return weight
}

// encode writes weight times the update in place of the client's own, as packages field
// and dp/ddp do but for what binds honest clients alone: no clip, no test of the
// norm, no noise. The range holds, and the extras stay.
func (p *byzantineParty) encode(vector []uint32, update []float32, weight float64) error {
	q, err := p.task.Terms.Encoding.Check()
	if err != nil {
		return err
	}
	spec := q.Spec()
	values := make([]float32, spec.Dimension)
	noisy := p.task.Terms.Noise != (secagg.Noise{})
	if noisy {
		weight *= spec.ClipNorm / clipNorm(p.task)
	}
	for i, x := range update {
		values[i] = float32(math.Max(-huge, math.Min(huge, float64(x)*weight)))
	}
	if noisy {
		rotation, err := p.task.Terms.Rotation(p.task.Round.Round)
		if err == nil {
			err = rotation.Forward(values)
		}
		if err != nil {
			return err
		}
	}
	coins := p.attacker.sim.coins("rounding of attacker " + clientName(p.attacker.index) + " " + p.task.Round.String())
	limit := float64(spec.Range)
	var b [4]byte
	for i, x := range values {
		if _, err := io.ReadFull(coins, b[:]); err != nil {
			return err
		}
		y := math.Max(-limit, math.Min(limit, float64(x)*spec.Scale))
		y = math.Floor(y + float64(binary.LittleEndian.Uint32(b[:]))*0x1p-32)
		vector[i] = uint32(int64(y) + 1<<(spec.Bits-1))
	}
	return nil
}

// huge is far beyond every range, and its sums of a rotated block are finite in float32.
const huge = 0x1p100
