package pairwise

import (
	"bytes"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/bucketed"
)

// control implements secagg.Control.
type control struct {
	attempt *attempt
	phase   int
	asked   set      // who is asked in the present phase
	raw     [][]byte // accepted messages of the present phase by member
	common  []byte   // body of the instruction, where all members get the same

	list       listing
	root       secagg.Digest
	ads        [][]byte // bodies of accepted advertisements by member
	choices    [][]byte // bodies of accepted choices by member
	chosen     []set    // out-neighbours by member
	neighbours []set    // mask neighbours by member, both directions
	dealt      []dealing
	sharers    set      // U2
	survivors  set      // U3
	frames     [][]byte // accepted commit frames by member
	ready      []int    // members of frames that Ready did not return yet
	signatures [][]byte
	quorum     quorum   // of phase unmask, without what differs between members
	answers    []answer // of phase unmask; no owners for a member without one
}

// dealing is an accepted message of phase share.
type dealing struct {
	sharing
	tree tree
}

// NewControl implements secagg.ServerScheme.
func (p Scheme) NewControl(s secagg.Session) (secagg.Control, error) {
	if s.Buckets > 1 {
		return bucketed.NewControl(p, s, bucketed.Partition(s))
	}
	c, err := newControl(s)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func newControl(s secagg.Session) (*control, error) {
	a, err := begin(s)
	if err != nil {
		return nil, err
	}
	n := a.members()
	c := &control{
		attempt: a, ads: make([][]byte, n), choices: make([][]byte, n), chosen: make([]set, n), neighbours: make([]set, n),
		dealt: make([]dealing, n), frames: make([][]byte, n), signatures: make([][]byte, n), answers: make([]answer, n),
	}
	all := newSet(n)
	for i := range n {
		all.add(i)
	}
	c.enter(phaseAdvertise, all, nil)
	return c, nil
}

func (c *control) enter(phase int, asked set, common []byte) {
	c.phase, c.asked, c.common = phase, asked, common
	c.raw = make([][]byte, c.attempt.members())
}

func (c *control) verify(member int, signature []byte, label string, parts ...[]byte) error {
	return c.attempt.Roster.At(member).VerifyStatement(signature, label, c.attempt.Context, parts...)
}

// Phase implements secagg.Control.
func (c *control) Phase() secagg.Phase { return phases[c.phase] }

// Instruction implements secagg.Control.
func (c *control) Instruction(member int) ([]byte, bool) {
	if member < 0 || member >= len(c.raw) || !c.asked.has(member) {
		return nil, false
	}
	body := c.common
	switch c.phase {
	case phaseShare:
		body = c.introduce(member)
	case phaseUpload:
		body = c.deliver(member)
	case phaseUnmask:
		body = c.confirm(member)
	}
	return envelope(c.attempt.Context, c.phase, body), true
}

// introduce builds a member's instruction of phase share.
func (c *control) introduce(member int) []byte {
	m := introduction{members: c.neighbours[member]}
	for j := range m.members.all() {
		m.advertisements = append(m.advertisements, c.ads[j])
		m.choice = append(m.choice, c.choices[j])
	}
	return m.encode()
}

// deliver builds a member's instruction of phase upload.
func (c *control) deliver(member int) []byte {
	m := delivery{sharers: c.sharers}
	for j := range c.neighbours[member].all() {
		if !c.sharers.has(j) {
			continue
		}
		place := c.neighbours[j].before(member)
		out := parcel{part: c.dealt[j].parts[place], place: place, path: c.dealt[j].tree.path(place), signature: c.dealt[j].signature}
		m.parcels = append(m.parcels, out.encode())
	}
	return m.encode()
}

// Waiting implements secagg.Control.
func (c *control) Waiting() []int {
	var out []int
	for i := range c.asked.all() {
		if c.raw[i] == nil {
			out = append(out, i)
		}
	}
	return out
}

// received returns who answered in the present phase.
func (c *control) received() set {
	s := newSet(len(c.raw))
	for i, m := range c.raw {
		if m != nil {
			s.add(i)
		}
	}
	return s
}

// receivers take the messages of each phase.
var receivers = [...]func(c *control, member int, body []byte) error{
	phaseAdvertise: (*control).takeAdvertisement,
	phaseChoose:    (*control).takeChoice,
	phaseShare:     (*control).takeSharing,
	phaseAgree:     (*control).takeAgreement,
	phaseUnmask:    (*control).takeAnswer,
}

// Receive implements secagg.Control.
func (c *control) Receive(member int, message []byte) (bool, error) {
	if member < 0 || member >= len(c.raw) || !c.asked.has(member) {
		return false, secagg.ErrNotAsked.At("phase %s, member %d", c.Phase().Name, member)
	}
	if old := c.raw[member]; old != nil {
		if bytes.Equal(old, message) {
			return false, nil
		}
		return false, secagg.ErrRepeated.At("phase %s, member %d", c.Phase().Name, member)
	}
	message = bytes.Clone(message)
	if err := c.take(member, message); err != nil {
		return false, err
	}
	c.raw[member] = message
	return true, nil
}

// Ready implements secagg.Control: an accepted upload is added at once.
func (c *control) Ready() []int {
	out := c.ready
	c.ready = nil
	return out
}

// Bucket implements secagg.Control: this is the control of one.
func (c *control) Bucket(int) int { return 0 }

func (c *control) take(member int, message []byte) error {
	if c.phase == phaseUpload {
		return c.takeCommit(member, message)
	}
	context, phase, body, err := openEnvelope(message)
	switch {
	case err != nil:
		return err
	case context != c.attempt.Context:
		return ErrContext.At("phase %s, member %d", c.Phase().Name, member)
	case phase != c.phase:
		return secagg.ErrPhase.At("phase %s, member %d", c.Phase().Name, member)
	}
	return receivers[phase](c, member, body)
}

func (c *control) takeAdvertisement(member int, body []byte) error {
	m, err := decodeAdvertisement(body)
	if err != nil {
		return err
	}
	for _, packed := range [][]byte{m.mask, m.channel} {
		if _, err := parseKey(packed); err != nil {
			return err
		}
	}
	if err := c.verify(member, m.signature, labelAdvertise, m.signed()...); err != nil {
		return err
	}
	c.ads[member] = body
	return nil
}

func (c *control) takeChoice(member int, body []byte) error {
	m, err := decodeChoice(body, c.attempt.members())
	if err != nil {
		return err
	}
	if !bytes.Equal(m.list, c.root[:]) || m.neighbours.has(member) || m.neighbours.count() != c.attempt.Degree {
		return ErrMessage.At("phase choose, member %d", member)
	}
	if err := c.verify(member, m.signature, labelChoose, m.signed()...); err != nil {
		return err
	}
	c.choices[member], c.chosen[member] = body, m.neighbours
	return nil
}

func (c *control) takeSharing(member int, body []byte) error {
	m, err := decodeSharing(body, c.attempt.members())
	if err != nil {
		return err
	}
	neighbours := c.neighbours[member]
	if len(m.parts) != neighbours.count() {
		return ErrMessage.At("phase share, member %d: %d parts", member, len(m.parts))
	}
	parts := m.parts
	for j := range neighbours.all() {
		p, err := decodePart(parts[0], c.attempt.members())
		if err != nil {
			return err
		}
		if !p.fits(member, j, c.chosen[member].has(j)) {
			return ErrMessage.At("phase share, member %d: part for member %d", member, j)
		}
		parts = parts[1:]
	}
	t := newTree(m.parts)
	root := t.root()
	if err := c.verify(member, m.signature, labelShare, c.root[:], root[:]); err != nil {
		return err
	}
	c.dealt[member] = dealing{m, t}
	return nil
}

func (c *control) takeCommit(member int, frame []byte) error {
	commit, err := secagg.OpenCommit(c.attempt.Roster.At(member), c.attempt.Context, frame)
	if err != nil {
		return err
	}
	if commit.Size != c.attempt.pieces.Total() {
		return secagg.ErrUpload.At("member %d: %d bytes", member, commit.Size)
	}
	if commit.Bound != masked(c.root, c.sharers) {
		return ErrMessage.At("phase upload, member %d: masks for other members than those that shared", member)
	}
	c.frames[member] = frame
	c.ready = append(c.ready, member)
	return nil
}

func (c *control) takeAgreement(member int, body []byte) error {
	signature, err := decodeAgreement(body)
	if err != nil {
		return err
	}
	if err := c.verify(member, signature, labelAgree, c.root[:], c.sharers, c.survivors); err != nil {
		return err
	}
	c.signatures[member] = signature
	return nil
}

func (c *control) takeAnswer(member int, body []byte) error {
	m, err := decodeAnswer(body, c.attempt.members())
	if err != nil {
		return err
	}
	for owner := range m.owners.all() {
		if !c.sharers.has(owner) || !c.chosen[owner].has(member) {
			return ErrMessage.At("phase unmask, member %d: share of member %d", member, owner)
		}
	}
	c.answers[member] = m
	return nil
}

// Advance implements secagg.Control.
func (c *control) Advance() error {
	if c.phase == phaseOpen {
		return secagg.ErrPhase.At("phase open")
	}
	here := c.received()
	if c.phase == phaseChoose || c.phase == phaseShare {
		c.keepHeld(here)
	}
	if c.phase < phaseAgree {
		if err := c.attempt.enough(c.Phase().Name, here.count()); err != nil {
			return err
		}
	}
	switch c.phase {
	case phaseAdvertise:
		c.list.members = here
		for i := range here.all() {
			digest := digestAdvertisement(c.ads[i])
			c.list.digests = append(c.list.digests, digest[:]...)
		}
		c.root = c.list.root()
		c.enter(phaseChoose, here, c.list.encode())
	case phaseChoose:
		c.connect(here)
		c.enter(phaseShare, here, nil)
	case phaseShare:
		c.sharers = here
		c.enter(phaseUpload, here, nil)
	case phaseUpload:
		c.survivors = here
		c.enter(phaseAgree, here, encodeSurvivors(here))
	case phaseAgree:
		if n := here.count(); n < c.attempt.Quorum {
			return secagg.ErrTooFew.At("phase agree: %d of at least %d", n, c.attempt.Quorum)
		}
		c.gather(here)
		c.enter(phaseUnmask, here, nil)
	case phaseUnmask:
		if err := c.enoughShares(here); err != nil {
			return err
		}
		c.enter(phaseOpen, newSet(len(c.raw)), nil)
	}
	return nil
}

// keepHeld removes members of whose share holders too few are left, until none
// is: they would refuse to go on, and nobody could rebuild their secrets.
func (c *control) keepHeld(s set) {
	for again := true; again; {
		again = false
		for i := range s.all() {
			if c.chosen[i].countBoth(s) < c.attempt.Threshold {
				s.remove(i)
				again = true
			}
		}
	}
}

// connect makes the mask graph among the members that chose.
func (c *control) connect(choosers set) {
	for i := range choosers.all() {
		c.neighbours[i] = newSet(len(c.raw))
	}
	for i := range choosers.all() {
		for j := range c.chosen[i].all() {
			if choosers.has(j) {
				c.neighbours[i].add(j)
				c.neighbours[j].add(i)
			}
		}
	}
}

// gather keeps the signatures of a quorum; more would only cost bytes and time.
func (c *control) gather(signers set) {
	m := quorum{signers: newSet(len(c.raw))}
	left := c.attempt.Quorum
	for i := range signers.all() {
		if left == 0 {
			break
		}
		m.signers.add(i)
		m.signatures = append(m.signatures, c.signatures[i]...)
		left--
	}
	c.quorum = m
}

// confirm builds a member's instruction of phase unmask: the quorum, and the
// commit frames of the survivors whose shares the member holds.
func (c *control) confirm(member int) []byte {
	m := c.quorum
	m.owners = newSet(len(c.raw))
	for owner := range c.survivors.all() {
		if c.chosen[owner].has(member) {
			m.owners.add(owner)
			m.frames = append(m.frames, c.frames[owner])
		}
	}
	return m.encode()
}

// Survivors implements secagg.Control.
func (c *control) Survivors() [][]int {
	if c.survivors == nil {
		return nil
	}
	return [][]int{c.survivors.members()}
}
