package round

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg"
)

// panel is a scheme with a committee in small: the members say that they saw the
// context, judge the letters in uploads with a + or - for each, and then unmask. A
// member that answers "held" holds back what the attempt needs. Member i is in
// bucket i mod the number of buckets.
type panel struct{}

func (panel) Name() string                            { return "panel" }
func (panel) Configure(secagg.Policy) ([]byte, error) { return nil, nil }
func (panel) Roles() []secagg.Role {
	return []secagg.Role{secagg.RoleClient, secagg.RoleDecryptor}
}
func (panel) Views() []secagg.View {
	return []secagg.View{secagg.ViewSum, secagg.ViewBucketMeans}
}

func (panel) CheckAnnouncement(_ secagg.RoundID, c secagg.Committee, member int, body []byte) error {
	if string(body) != string(c.At(member).ID)+" is here" {
		return secagg.ErrCommittee.At("member %s", c.At(member).ID)
	}
	return nil
}

func (panel) NewControl(s secagg.Session) (secagg.Control, error) {
	return &panelControl{session: s, active: s.Announcements.Present(), answers: map[int][]byte{}, frames: map[int][]byte{}, decided: map[int]bool{}}, nil
}

func (panel) NewAccumulator(secagg.Session) (secagg.Accumulator, error) { return nil, nil }

var panelPhases = []secagg.Phase{{Name: "context", Kind: secagg.PhaseExchange}, {Name: "upload", Kind: secagg.PhaseUpload},
	{Name: "records", Kind: secagg.PhaseExchange}, {Name: "unmask", Kind: secagg.PhaseUnmask}, {Name: "open", Kind: secagg.PhaseOpen}}

type panelControl struct {
	session   secagg.Session
	phase     int
	active    []int          // members of the committee
	answers   map[int][]byte // of the committee; verdicts stay from the upload phase on
	order     []int          // clients that uploaded
	frames    map[int][]byte
	decided   map[int]bool // by client, whether it is ready
	ready     []int
	survivors [][]int
}

func (c *panelControl) Phase() secagg.Phase { return panelPhases[c.phase] }

func (c *panelControl) member(party int) int { return party - c.session.Roster.Len() }

func (c *panelControl) Instruction(party int) ([]byte, bool) {
	asked := slices.Contains(c.active, c.member(party)) && c.phase < 4
	if c.member(party) < 0 {
		asked = c.Phase().Kind == secagg.PhaseUpload
	}
	return []byte(c.Phase().Name), asked
}

func (c *panelControl) Receive(party int, body []byte) (bool, error) {
	if _, asked := c.Instruction(party); !asked {
		return false, secagg.ErrNotAsked.At("party %d", party)
	}
	j := c.member(party)
	if j < 0 {
		return c.upload(party, body)
	}
	old, answered := c.answers[j]
	judging := c.phase == 1 || c.phase == 2
	switch {
	case judging && (len(body) > len(c.order) || strings.Trim(string(body), "+-") != ""):
		return false, secagg.ErrEncoding.At("verdicts %q on %d letters", body, len(c.order))
	case judging && bytes.HasPrefix(old, body) || answered && bytes.Equal(old, body):
		return false, nil
	case answered && !(judging && bytes.HasPrefix(body, old)):
		return false, secagg.ErrRepeated.At("party %d", party)
	}
	c.answers[j] = body
	if judging {
		c.decide()
	}
	return true, nil
}

func (c *panelControl) upload(client int, frame []byte) (bool, error) {
	if old, ok := c.frames[client]; ok {
		if !bytes.Equal(old, frame) {
			return false, secagg.ErrRepeated
		}
		return false, nil
	}
	if _, err := secagg.OpenCommit(c.session.Roster.At(client), c.session.Context, frame); err != nil {
		return false, err
	}
	c.frames[client] = frame
	c.order = append(c.order, client)
	return true, nil
}

// decide decides on the clients that all active members have judged.
func (c *panelControl) decide() {
	for k, client := range c.order {
		if _, done := c.decided[client]; done {
			continue
		}
		good := true
		for _, j := range c.active {
			if len(c.answers[j]) <= k {
				return
			}
			good = good && c.answers[j][k] == '+'
		}
		c.decided[client] = good
		if good {
			c.ready = append(c.ready, client)
		}
	}
}

func (c *panelControl) Ready() []int {
	out := c.ready
	c.ready = nil
	return out
}

func (c *panelControl) Bucket(client int) int { return client % c.session.Buckets }

func (c *panelControl) Waiting() []int {
	var out []int
	for i := range c.session.Roster.Len() {
		if _, ok := c.frames[i]; c.phase == 1 && !ok {
			out = append(out, i)
		}
	}
	for _, j := range c.active {
		if c.phase != 1 && c.phase != 4 && !c.done(j) {
			out = append(out, c.session.Roster.Len()+j)
		}
	}
	return out
}

func (c *panelControl) done(j int) bool {
	answer, ok := c.answers[j]
	return ok && (c.phase != 2 || len(answer) == len(c.order))
}

func (c *panelControl) Advance() error {
	if c.phase == 1 {
		c.phase++
		return nil
	}
	blame := &secagg.Blame{Err: secagg.ErrDead.At("held back")}
	here := slices.DeleteFunc(slices.Clone(c.active), func(j int) bool { return !c.done(j) })
	for _, j := range here {
		if string(c.answers[j]) == "held" {
			blame.Members = append(blame.Members, c.session.Roster.Len()+j)
		}
	}
	if len(blame.Members) > 0 {
		return blame
	}
	if len(here) < c.session.Committee.Quorum() {
		return secagg.ErrCommittee.At("phase %s: %d answers", c.Phase().Name, len(here))
	}
	c.active = here
	if c.phase == 2 {
		c.decide()
		if err := c.count(); err != nil {
			return err
		}
	}
	if c.phase != 1 {
		c.answers = map[int][]byte{}
	}
	c.phase++
	return nil
}

// count fixes who is in which sum.
func (c *panelControl) count() error {
	c.survivors = make([][]int, c.session.Buckets)
	all := 0
	for client, good := range c.decided {
		if good {
			b := c.Bucket(client)
			c.survivors[b] = append(c.survivors[b], client)
		}
	}
	for b, members := range c.survivors {
		slices.SortFunc(members, cmp.Compare[int])
		if len(members) < c.session.BucketMinimum {
			c.survivors[b] = nil
		}
		all += len(c.survivors[b])
	}
	if all < c.session.Minimum {
		return secagg.ErrTooFew.At("%d clients", all)
	}
	return nil
}

func (c *panelControl) Survivors() [][]int { return c.survivors }

func (c *panelControl) Opening() (secagg.Opening, error) { return nothing{}, nil }

// honest is what an honest member answers now.
func (c *panelControl) honest(name string) []byte {
	if c.phase == 1 || c.phase == 2 {
		return bytes.Repeat([]byte("+"), len(c.order))
	}
	return []byte(name + " in " + c.Phase().Name)
}

// committeeOf is a committee of the members d0, d1, ...
func committeeOf(t testing.TB, n int) secagg.Committee {
	members := make([]secagg.Decryptor, n)
	for j := range members {
		name := fmt.Sprintf("d%d", j)
		members[j] = secagg.Join(keyOf(name), "panel", secagg.PartyID(name))
	}
	c, err := secagg.NewCommittee("panel", members, 1)
	require.NoError(t, err)
	return c
}

// address is the address of a party on the stage: d0, d1, ... are committee members.
func address(name string) secagg.PartyID {
	if len(name) == 2 && name[0] == 'd' {
		return secagg.DecryptorAddress(secagg.PartyID(name))
	}
	return secagg.PartyID(name)
}

// numbers reads a list such as 1,3; - is none.
func numbers(t testing.TB, list string) []int {
	if list == "-" {
		return nil
	}
	var out []int
	for _, w := range strings.Split(list, ",") {
		n, err := strconv.Atoi(w)
		require.NoError(t, err)
		out = append(out, n)
	}
	return out
}
