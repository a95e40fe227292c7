package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/choir-fl/choir/secagg"
)

// committeeSchema is the version of committee files.
const committeeSchema = "choir.committee/1"

// committeeFile is a committee as its members pass it around until all are in it, and
// as plans and clients name it afterwards. The order of the members does not matter.
type committeeFile struct {
	Schema string `yaml:"schema"`
	Name   string `yaml:"name"`
	// Corrupt is how many members may collude with the coordinator. Left out: the
	// most that so many members allow.
	Corrupt int               `yaml:"corrupt,omitempty"`
	Members []committeeMember `yaml:"members"`
}

// committeeMember is a member's signed entry.
type committeeMember struct {
	ID        string `yaml:"id"`
	Key       string `yaml:"key"`       // base64
	Signature string `yaml:"signature"` // base64
}

// readCommitteeFile reads a file, whose members may not all be in it yet, and verifies
// each entry.
func readCommitteeFile(path string) (committeeFile, []secagg.Decryptor, error) {
	var f committeeFile
	if err := readConfig(path, &f); err != nil {
		return f, nil, err
	}
	refuse := func(err error) error { return errConfig.At("%s", path).Because(err) }
	switch {
	case f.Schema != committeeSchema:
		return f, nil, refuse(fmt.Errorf("schema %.40q is not %s", f.Schema, committeeSchema))
	case !secagg.PartyID(f.Name).Valid():
		return f, nil, refuse(fmt.Errorf("name %.70q is not 1 to 64 characters a-z, 0-9, '.', '_', '-'", f.Name))
	case f.Corrupt < 0:
		return f, nil, refuse(errors.New("corrupt is negative"))
	case len(f.Members) > secagg.MaxCommittee:
		return f, nil, refuse(fmt.Errorf("%d members, at most %d are possible", len(f.Members), secagg.MaxCommittee))
	}
	var members []secagg.Decryptor
	for _, m := range f.Members {
		d, err := m.decode()
		if err == nil {
			err = d.Verify(f.Name)
		}
		if err == nil && slices.ContainsFunc(members, func(o secagg.Decryptor) bool { return o.ID == d.ID || o.Key == d.Key }) {
			err = fmt.Errorf("member %q, or its key, is there twice", d.ID)
		}
		if err != nil {
			return f, nil, refuse(err)
		}
		members = append(members, d)
	}
	return f, members, nil
}

func (m committeeMember) decode() (secagg.Decryptor, error) {
	d := secagg.Decryptor{ID: secagg.PartyID(m.ID)}
	for _, part := range []struct {
		name, text string
		into       []byte
	}{{"key", m.Key, d.Key[:]}, {"signature", m.Signature, d.Signature[:]}} {
		b, err := base64.StdEncoding.Strict().DecodeString(part.text)
		if err != nil || len(b) != len(part.into) {
			return d, fmt.Errorf("member %.70q: %s is not %d bytes in base64", m.ID, part.name, len(part.into))
		}
		copy(part.into, b)
	}
	return d, nil
}

func encodeMember(d secagg.Decryptor) committeeMember {
	return committeeMember{ID: string(d.ID), Key: base64.StdEncoding.EncodeToString(d.Key[:]), Signature: base64.StdEncoding.EncodeToString(d.Signature[:])}
}

// LoadCommittee reads a complete committee. Any fault of it is an error.
func LoadCommittee(path string) (secagg.Committee, error) {
	f, members, err := readCommitteeFile(path)
	if err != nil {
		return secagg.Committee{}, err
	}
	return f.complete(path, members)
}

func (f committeeFile) complete(path string, members []secagg.Decryptor) (secagg.Committee, error) {
	corrupt := f.Corrupt
	if corrupt == 0 {
		corrupt = (len(members) - 1) / 3
	}
	c, err := secagg.NewCommittee(f.Name, members, corrupt)
	if err != nil {
		return c, errConfig.At("%s", path).Because(err)
	}
	return c, nil
}

// write replaces the file, whole and durable or not at all.
func (f committeeFile) write(path string) error {
	slices.SortFunc(f.Members, func(a, b committeeMember) int { return strings.Compare(a.ID, b.ID) })
	text, err := yaml.Marshal(f)
	if err != nil {
		return err
	}
	draft, err := os.CreateTemp(filepath.Dir(path), ".choir-*")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name()) // gone already, unless something failed
	_, err = draft.Write(text)
	if err := errors.Join(err, draft.Chmod(0o644), draft.Sync(), draft.Close()); err != nil { // public: it is passed around
		return err
	}
	if err := os.Rename(draft.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// showCommittee prints a committee's members, and what clients pin once it is complete.
func showCommittee(w io.Writer, path string) error {
	f, members, err := readCommitteeFile(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "committee %s, %d members\n", f.Name, len(members))
	for _, m := range f.Members {
		fmt.Fprintf(w, "  %s  %s\n", m.Key, m.ID)
	}
	c, err := f.complete(path, members)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "corrupt %d: so many may collude with the coordinator\nquorum %d: so many must agree\nroot %s\n", c.Corrupt(), c.Quorum(), c.Root())
	return nil
}
