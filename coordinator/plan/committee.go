package plan

import (
	"encoding/base64"
	"fmt"

	"github.com/choir-fl/choir/secagg"
)

// CommitteeOf writes a committee as a plan names it.
func CommitteeOf(c secagg.Committee) Committee {
	out := Committee{Name: c.Name(), Corrupt: c.Corrupt()}
	for j := range c.Len() {
		d := c.At(j)
		out.Members = append(out.Members, Member{ID: string(d.ID), Key: base64.StdEncoding.EncodeToString(d.Key[:]),
			Signature: base64.StdEncoding.EncodeToString(d.Signature[:])})
	}
	return out
}

// Check returns the committee that a plan names; the zero one if it names none.
func (c Committee) Check() (secagg.Committee, error) {
	if c.Name == "" && c.Corrupt == 0 && len(c.Members) == 0 {
		return secagg.Committee{}, nil
	}
	members := make([]secagg.Decryptor, len(c.Members))
	for j, m := range c.Members {
		members[j].ID = secagg.PartyID(m.ID)
		for _, x := range []struct {
			to    []byte
			value string
			name  string
		}{{members[j].Key[:], m.Key, "key"}, {members[j].Signature[:], m.Signature, "signature"}} {
			b, err := base64.StdEncoding.Strict().DecodeString(x.value)
			if err != nil || len(b) != len(x.to) {
				return secagg.Committee{}, fmt.Errorf("%s of member %q is not %d bytes in base64", x.name, m.ID, len(x.to))
			}
			copy(x.to, b)
		}
	}
	corrupt := c.Corrupt
	if corrupt == 0 {
		corrupt = (len(members) - 1) / 3
	}
	return secagg.NewCommittee(c.Name, members, corrupt)
}
