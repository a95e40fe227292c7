package coordinator

import (
	"cmp"
	"io"
	"maps"
	"slices"

	"github.com/choir-fl/choir/secagg"
)

// Reputation is how often a client's vector had a part in what the rule made of all,
// where a coordinator is trusted with vectors. It is for a person to look at: nobody is
// ever left out for it.
type Reputation struct {
	Client secagg.PartyID `json:"client"`
	// Inclusion is the moving average of 1 for a vector with a part in the result, 0 for one
	// that was left out or out of range; the latest attempt counts for a fifth, the first
	// one whole.
	Inclusion float64 `json:"inclusion"`
	// Rounds is in how many released rounds it was looked at.
	Rounds uint64 `json:"rounds"`
}

// reputationRate is what the latest round counts.
const reputationRate = 0.2

// judge stores the reputations after a round whose vectors were opened; those of before
// under another view.
func (e *Engine) judge(f *Figures, h head) (secagg.Digest, error) {
	if f == nil || f.View != secagg.ViewVectors.String() {
		return h.reputation, nil
	}
	known, err := e.loadReputation(h)
	if err != nil {
		return secagg.Digest{}, err
	}
	for _, v := range f.Each {
		if v.Weightless || v.Client == "" {
			continue
		}
		included := 1.0
		if v.Excluded || v.Spoiled {
			included = 0
		}
		r, seen := known[v.Client]
		if seen {
			included = r.Inclusion + float64(reputationRate*(included-r.Inclusion))
		}
		known[v.Client] = Reputation{v.Client, included, r.Rounds + 1}
	}
	for len(known) > secagg.MaxRoster { // more than are read back: the best are forgotten
		delete(known, slices.MaxFunc(slices.Collect(maps.Values(known)), func(a, b Reputation) int {
			return cmp.Or(cmp.Compare(a.Inclusion, b.Inclusion), cmp.Compare(a.Client, b.Client))
		}).Client)
	}
	var out secagg.Encoder
	out.Uint(1, 1)
	lines := make([][]byte, 0, len(known))
	for _, id := range slices.Sorted(maps.Keys(known)) {
		var l secagg.Encoder
		l.String(1, string(id))
		l.Float(2, known[id].Inclusion)
		l.Uint(3, known[id].Rounds)
		lines = append(lines, l.Encoded())
	}
	out.List(2, lines)
	d, _, err := e.writeBlob(func(w io.Writer) error {
		_, err := w.Write(out.Encoded())
		return err
	})
	return d, err
}

// loadReputation reads what the head leads to.
func (e *Engine) loadReputation(h head) (map[secagg.PartyID]Reputation, error) {
	known := map[secagg.PartyID]Reputation{}
	if h.reputation == (secagg.Digest{}) {
		return known, nil
	}
	err := e.readBlob(h.reputation, func(r io.Reader) error {
		b, err := io.ReadAll(io.LimitReader(r, secagg.MaxMessage+1))
		if err != nil {
			return err
		}
		return decodeReputation(b, known)
	})
	if err != nil {
		return nil, ErrCarried.At("reputations").Because(err)
	}
	return known, nil
}

func decodeReputation(b []byte, into map[secagg.PartyID]Reputation) error {
	d := secagg.NewDecoder(b)
	version, lines := d.Uint(1), d.List(2, secagg.MaxRoster)
	if err := d.Close(); err != nil {
		return err
	}
	if version != 1 {
		return ErrCarried.At("version %d", version)
	}
	for _, l := range lines {
		d := secagg.NewDecoder(l)
		r := Reputation{secagg.PartyID(d.String(1)), d.Float(2), d.Uint(3)}
		if err := d.Close(); err != nil {
			return err
		}
		into[r.Client] = r
	}
	return nil
}

// Reputations returns those of all clients whose vectors were seen, the lowest first.
func (e *Engine) Reputations() ([]Reputation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	known, err := e.loadReputation(e.head)
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(known), func(a, b Reputation) int {
		return cmp.Or(cmp.Compare(a.Inclusion, b.Inclusion), cmp.Compare(a.Client, b.Client))
	}), nil
}
