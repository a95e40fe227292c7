package filestate

import "github.com/choir-fl/choir/client"

// maxTally is the length of the longest sealed tally.
const maxTally = client.MaxAccount + boxExtra

func (s *State) loadTally() (client.Account, error) {
	b, err := s.readFile(s.path(tallyName), maxTally)
	if err != nil {
		return client.Account{}, err
	}
	content, ok := s.box.open(tallyName, b)
	if !ok {
		return client.Account{}, ErrKey.At("%s", s.path(tallyName))
	}
	a, err := client.DecodeAccount(content)
	if err != nil {
		return client.Account{}, ErrKey.At("%s", s.path(tallyName)).Because(err)
	}
	return a, nil
}

func (s *State) storeTally(a client.Account) error {
	return s.write(".", tallyName, s.box.seal(tallyName, a.Encode()))
}

// Account implements client.Tally.
func (s *State) Account() (client.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loadTally()
}

// Keep implements client.Tally.
func (s *State) Keep(a client.Account) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.storeTally(a)
}
