package sim

import (
	"crypto/ed25519"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/choir-fl/choir/secagg"
)

// Scheme is both halves of a scheme.
type Scheme interface {
	secagg.ClientScheme
	secagg.ServerScheme
	secagg.HonestScheme
	secagg.HonestSession
}

// witness stands beside a scheme and remembers every vector that a client sealed,
// to compare each opened sum with the plain sum of the survivors' vectors. It
// sees what nobody sees outside a simulator.
type witness struct {
	Scheme
	violate func(format string, args ...any)
	shares  int // of noise that every opened sum must hold; 0 where none rests on clients
	// cheats says that some clients put into sums what no client may: a sum that then
	// passes the modulus is the scheme's own affair.
	cheats bool

	mu      sync.Mutex
	vectors map[secagg.RoundID]map[int][]uint32
	opened  map[secagg.RoundID]string // who was in the sums that were opened
}

// Name, Roles and Views are the scheme's own.
func (w *witness) Name() string { return w.Scheme.Name() }

// CheckAnnouncement implements secagg.CommitteeServer for a scheme that does.
func (w *witness) CheckAnnouncement(round secagg.RoundID, c secagg.Committee, member int, body []byte) error {
	s, ok := w.Scheme.(secagg.CommitteeServer)
	if !ok {
		return secagg.ErrCommittee.At("scheme %s has none", w.Scheme.Name())
	}
	return s.CheckAnnouncement(round, c, member, body)
}

type witnessedParty struct {
	secagg.Party
	w     *witness
	round secagg.RoundID
	self  int
}

func (w *witness) NewParty(s secagg.Session, self int, key ed25519.PrivateKey, coins io.Reader) (secagg.Party, error) {
	p, err := w.Scheme.NewParty(s, self, key, coins)
	if err != nil {
		return nil, err
	}
	return witnessedParty{p, w, s.Binding.Round, self}, nil
}

func (p witnessedParty) Seal(vector []uint32, out io.Writer) (secagg.Reply, error) {
	seen := slices.Clone(vector)
	reply, err := p.Party.Seal(vector, out)
	if err != nil {
		return reply, err
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	round := p.w.vectors[p.round]
	if round == nil {
		round = map[int][]uint32{}
		p.w.vectors[p.round] = round
	}
	if round[p.self] != nil {
		p.w.violate("member %d of %s sealed twice", p.self, p.round)
	}
	round[p.self] = seen
	return reply, nil
}

type witnessedAccumulator struct {
	secagg.Accumulator
	w       *witness
	session secagg.Session
}

func (w *witness) NewAccumulator(s secagg.Session) (secagg.Accumulator, error) {
	a, err := w.Scheme.NewAccumulator(s)
	if err != nil {
		return nil, err
	}
	return witnessedAccumulator{a, w, s}, nil
}

func (a witnessedAccumulator) Sums(o secagg.Opening) ([]secagg.Sum, error) {
	sums, err := a.Accumulator.Sums(o)
	if err != nil {
		return nil, err
	}
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	vectors := a.w.vectors[a.session.Binding.Round]
	members := fmt.Sprint(membersOf(sums))
	if before, again := a.w.opened[a.session.Binding.Round]; again && before != members {
		a.w.violate("%s was opened for %s and for %s", a.session.Binding.Round, before, members)
	}
	a.w.opened[a.session.Binding.Round] = members
	total := 0
	for _, sum := range sums {
		total += len(sum.Members)
	}
	seen := map[int]bool{}
	mask := uint64(1)<<a.session.WordBits - 1
	for _, sum := range sums {
		if len(sum.Members) < a.w.shares {
			a.w.violate("%s: a sum with noise of %d clients was opened; the plan's is that of %d", a.session.Binding.Round, len(sum.Members), a.w.shares)
		}
		if len(sum.Members) < a.session.BucketMinimum {
			a.w.violate("%s: a sum of %d clients was opened; the minimum is %d", a.session.Binding.Round, len(sum.Members), a.session.BucketMinimum)
		}
		if sum.Spoiled != nil {
			continue
		}
		plain := make([]uint64, a.session.Words)
		for _, m := range sum.Members {
			if seen[m] {
				a.w.violate("%s: member %d is counted twice", a.session.Binding.Round, m)
			}
			seen[m] = true
			v := vectors[m]
			if v == nil {
				a.w.violate("%s: member %d is in a sum and sealed nothing", a.session.Binding.Round, m)
				continue
			}
			for i := range plain {
				plain[i] += uint64(v[i])
			}
		}
		if i := slices.IndexFunc(plain, func(x uint64) bool { return x > mask }); i >= 0 {
			if !a.w.cheats {
				a.w.violate("%s: the plain sum passes the modulus at word %d", a.session.Binding.Round, i)
			}
			continue
		}
		for i := range plain {
			if plain[i] != uint64(sum.Words[i]) {
				a.w.violate("%s: opened sum differs from the plain sum at word %d", a.session.Binding.Round, i)
				break
			}
		}
	}
	if total < a.session.Minimum {
		a.w.violate("%s: sums of %d clients were opened; the minimum is %d", a.session.Binding.Round, total, a.session.Minimum)
	}
	return sums, nil
}

func membersOf(sums []secagg.Sum) [][]int {
	var out [][]int
	for _, s := range sums {
		out = append(out, s.Members)
	}
	return out
}

// forget drops what is known of an attempt, and reports whether a sum of it was opened.
func (w *witness) forget(round secagg.RoundID) (opened bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, opened = w.opened[round]
	delete(w.vectors, round)
	delete(w.opened, round)
	return opened
}
