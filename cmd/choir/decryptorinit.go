package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/choir-fl/choir/decryptor/filestate"
	"github.com/choir-fl/choir/secagg"
)

// make makes the member, in an order in which the committee file names nobody whose key
// and state are not durable. What it made it removes if a later step fails.
func (m newMember) make(source passphraseSource) (committeeFile, error) {
	c, err := m.joins()
	if err != nil {
		return c, err
	}
	for _, path := range []string{m.key, m.state} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return c, errInit.At("%s", path).Because(errors.Join(errors.New("it is there already"), err))
		}
	}
	passphrase, err := source.read(true)
	if err != nil {
		return c, err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return c, err
	}
	defer clear(key)
	if err := writeKey(m.key, key, passphrase); err != nil {
		return c, err
	}
	err = m.makeState(key)
	if err == nil {
		c.Members = append(c.Members, encodeMember(secagg.Join(key, c.Name, secagg.PartyID(m.name))))
		err = c.write(m.committee)
	}
	if err != nil {
		err = errors.Join(err, os.RemoveAll(m.state), os.Remove(m.key))
	}
	return c, err
}

// joins reads the committee that the member joins, or begins it.
func (m newMember) joins() (committeeFile, error) {
	refuse := func(format string, args ...any) error {
		return errInit.At("choir decryptor init").Because(fmt.Errorf(format, args...))
	}
	if !secagg.PartyID(m.name).Valid() {
		return committeeFile{}, errUsage.At("choir decryptor init: --name %.70q", m.name).Because(errors.New("use 1 to 64 characters a-z, 0-9, '.', '_', '-'"))
	}
	if _, err := os.Lstat(m.committee); errors.Is(err, fs.ErrNotExist) {
		if !secagg.PartyID(m.committeeName).Valid() {
			return committeeFile{}, errUsage.At("choir decryptor init: %s is not there", m.committee).
				Because(errors.New("name the file of your committee, or a new committee with --committee-name: 1 to 64 characters a-z, 0-9, '.', '_', '-'"))
		}
		return committeeFile{Schema: committeeSchema, Name: m.committeeName}, nil
	}
	c, members, err := readCommitteeFile(m.committee)
	switch {
	case err != nil:
		return c, err
	case m.committeeName != "" && m.committeeName != c.Name:
		return c, refuse("%s is of committee %s, not %s", m.committee, c.Name, m.committeeName)
	case slices.ContainsFunc(members, func(d secagg.Decryptor) bool { return string(d.ID) == m.name }):
		return c, refuse("%s has a member %q", m.committee, m.name)
	case len(members) >= secagg.MaxCommittee:
		return c, refuse("%s has %d members, which is the most", m.committee, len(members))
	}
	return c, nil
}

func (m newMember) makeState(key ed25519.PrivateKey) error {
	stateKey, err := filestate.Key(key)
	if err != nil {
		return err
	}
	defer clear(stateKey)
	return filestate.Create(m.state, stateKey)
}
