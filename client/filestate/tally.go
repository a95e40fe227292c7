package filestate

import (
	"math"

	"github.com/choir-fl/choir/secagg"
)

// tally counts attempts. The latest one is kept so that charging it again, after
// a restart, changes nothing.
type tally struct {
	count uint64
	last  []byte // canonical encoding of the attempt
}

const tallyVersion = 1

func (t tally) encode() []byte {
	var e secagg.Encoder
	e.Uint(1, tallyVersion)
	e.Uint(2, t.count)
	e.Bytes(3, t.last)
	return e.Encoded()
}

func decodeTally(b []byte) (tally, bool) {
	d := secagg.NewDecoder(b)
	version := d.Uint(1)
	t := tally{count: uint64(d.Int(2, math.MaxInt32)), last: d.Bytes(3)}
	return t, d.Close() == nil && version == tallyVersion
}

func (s *State) loadTally() (tally, error) {
	b, err := s.readFile(s.path(tallyName), 1<<12)
	if err != nil {
		return tally{}, err
	}
	content, ok := s.box.open(tallyName, b)
	if !ok {
		return tally{}, ErrKey.At("%s", s.path(tallyName))
	}
	t, ok := decodeTally(content)
	if !ok {
		return tally{}, ErrKey.At("%s is of another version", s.path(tallyName))
	}
	return t, nil
}

func (s *State) storeTally(t tally) error {
	return s.write(".", tallyName, s.box.seal(tallyName, t.encode()))
}

// Charge implements client.Tally.
func (s *State) Charge(round secagg.RoundID) error {
	if _, err := nameOf(round); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.loadTally()
	if err != nil || string(t.last) == string(round.Encode()) {
		return err
	}
	return s.storeTally(tally{t.count + 1, round.Encode()})
}

// Charged implements client.Tally.
func (s *State) Charged() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.loadTally()
	return int(t.count), err
}
