package oneshot

import (
	"bytes"
	"crypto/sha256"

	"github.com/choir-fl/choir/secagg"
)

// control implements secagg.Control. Parties are numbered as secagg.Session does:
// clients below n, committee member j as n+j.
type control struct {
	attempt *attempt
	phase   int
	asked   []bool   // by party, in the present phase
	raw     [][]byte // accepted messages of the present phase, by party
	common  []byte   // the instruction, which is the same for everybody

	signatures [][]byte // accepted in the present phase, by member
	nonces     [][]byte // by member
	seed       secagg.Digest
	bucketOf   []int // by client; nil before phase upload

	order  []int           // clients in the order of their accepted uploads
	frames []secagg.Digest // of the commit frames, by client
	jury   jury
	ready  []int // clients that Ready did not return yet

	u       set
	buckets [][]int // survivors by bucket; nil before they are known
	uploads secagg.Digest
	answers [][][]uint32 // of phase unmask: by member and opened bucket
}

// NewControl implements secagg.ServerScheme.
func (Scheme) NewControl(s secagg.Session) (secagg.Control, error) {
	a, err := begin(s)
	if err != nil {
		return nil, err
	}
	n, m := a.clients(), a.members()
	c := &control{attempt: a, nonces: make([][]byte, m), frames: make([]secagg.Digest, n), jury: newJury(a), answers: make([][][]uint32, m)}
	c.enter(phaseContext, a.present, nil)
	return c, nil
}

// enter begins a phase in which the members listed are asked.
func (c *control) enter(phase int, members []int, body []byte) {
	n, m := c.attempt.clients(), c.attempt.members()
	c.phase, c.common = phase, envelope(c.attempt.Context, phase, body)
	c.asked, c.raw, c.signatures = make([]bool, n+m), make([][]byte, n+m), make([][]byte, m)
	for _, j := range members {
		c.asked[n+j] = true
	}
}

// Phase implements secagg.Control.
func (c *control) Phase() secagg.Phase { return phases[c.phase] }

func (c *control) isAsked(party int) bool {
	return party >= 0 && party < len(c.asked) && c.asked[party]
}

// Instruction implements secagg.Control.
func (c *control) Instruction(party int) ([]byte, bool) {
	if !c.isAsked(party) {
		return nil, false
	}
	return c.common, true
}

// Waiting implements secagg.Control. Uploads are complete without the members'
// verdicts, for which phase records waits.
func (c *control) Waiting() []int {
	var out []int
	n := c.attempt.clients()
	for i, asked := range c.asked {
		switch {
		case !asked:
		case c.phase == phaseUpload && i >= n:
		case c.phase == phaseRecords && len(c.jury.verdicts[i-n]) == len(c.order):
		case c.raw[i] == nil:
			out = append(out, i)
		}
	}
	return out
}

// answered lists the members that answered in the present phase.
func (c *control) answered() []int {
	var out []int
	for j := range c.attempt.members() {
		if c.raw[c.attempt.clients()+j] != nil {
			out = append(out, j)
		}
	}
	return out
}

// Receive implements secagg.Control.
func (c *control) Receive(party int, message []byte) (bool, error) {
	if !c.isAsked(party) {
		return false, secagg.ErrNotAsked.At("phase %s, party %d", c.Phase().Name, party)
	}
	if c.isVerdict(party) {
		return c.takeVerdicts(party-c.attempt.clients(), message)
	}
	if old := c.raw[party]; old != nil {
		if bytes.Equal(old, message) {
			return false, nil
		}
		return false, secagg.ErrRepeated.At("phase %s, party %d", c.Phase().Name, party)
	}
	message = bytes.Clone(message)
	if err := c.take(party, message); err != nil {
		return false, err
	}
	c.raw[party] = message
	return true, nil
}

// isVerdict reports whether a party sends verdicts in the present phase, of which
// there may be many.
func (c *control) isVerdict(party int) bool {
	return c.phase == phaseRecords || c.phase == phaseUpload && party >= c.attempt.clients()
}

// open returns the body of a message of the present phase.
func (c *control) open(party int, message []byte) ([]byte, error) {
	context, phase, body, err := openEnvelope(message)
	switch {
	case err != nil:
		return nil, err
	case context != c.attempt.Context:
		return nil, ErrContext.At("phase %s, party %d", c.Phase().Name, party)
	case phase != c.phase:
		return nil, secagg.ErrPhase.At("phase %s, party %d", c.Phase().Name, party)
	}
	return body, nil
}

func (c *control) take(party int, message []byte) error {
	n := c.attempt.clients()
	if party < n {
		return c.takeCommit(party, message)
	}
	body, err := c.open(party, message)
	if err != nil {
		return err
	}
	switch c.phase {
	case phaseContext:
		return c.takeSignature(party-n, body, labelContext)
	case phaseReveal:
		return c.takeNonce(party-n, body)
	case phaseSeed:
		return c.takeSignature(party-n, body, labelSeed, c.seed[:])
	case phaseAgree:
		return c.takeSignature(party-n, body, labelAgree, survivors(c.seed, c.u, c.uploads)...)
	}
	return c.takeSums(party-n, body)
}

func (c *control) takeSignature(member int, body []byte, label string, parts ...[]byte) error {
	signature, err := decodeSignature(body)
	if err != nil {
		return err
	}
	if err := c.attempt.Committee.At(member).VerifyStatement(signature, label, c.attempt.Context, parts...); err != nil {
		return err
	}
	c.signatures[member] = signature
	return nil
}

func (c *control) takeNonce(member int, body []byte) error {
	if c.attempt.Announcements[member].LeftOut {
		if len(body) != 0 {
			return ErrMessage.At("phase reveal, member %d: nonce that does not count", member)
		}
		return nil
	}
	if !c.attempt.committed(member, body) {
		return ErrNonce.At("phase reveal, member %d", member)
	}
	c.nonces[member] = body
	return nil
}

func (c *control) takeCommit(client int, frame []byte) error {
	if _, err := c.attempt.openFrame(client, frame); err != nil {
		return err
	}
	c.frames[client] = sha256.Sum256(frame)
	c.order = append(c.order, client)
	return nil
}

// takeVerdicts takes what a member found of some letters. Verdicts that were taken
// before may come again, and those that follow must be next.
func (c *control) takeVerdicts(member int, message []byte) (bool, error) {
	body, err := c.open(c.attempt.clients()+member, message)
	if err != nil {
		return false, err
	}
	m, err := decodeVerdicts(body, len(c.order))
	if err != nil {
		return false, err
	}
	fresh, err := c.jury.take(member, m)
	if err != nil || !fresh {
		return false, err
	}
	c.decide()
	return true, nil
}

// decide finds who may be added, and asks members no more that named too many.
func (c *control) decide() {
	c.ready = append(c.ready, c.jury.decide(c.order)...)
	for j, active := range c.jury.active {
		if !active {
			c.asked[c.attempt.clients()+j] = false
		}
	}
}

func (c *control) takeSums(member int, body []byte) error {
	sums, err := decodeSums(body, opened(c.buckets), c.attempt.ring.N())
	if err != nil {
		return err
	}
	c.answers[member] = sums
	return nil
}

// Ready implements secagg.Control: a client is added once all active members found
// its letters good and its shares consistent.
func (c *control) Ready() []int {
	out := c.ready
	c.ready = nil
	return out
}

// Bucket implements secagg.Control; it is -1 before phase upload.
func (c *control) Bucket(client int) int {
	if client < 0 || client >= len(c.bucketOf) {
		return -1
	}
	return c.bucketOf[client]
}

// Survivors implements secagg.Control.
func (c *control) Survivors() [][]int {
	if c.buckets == nil {
		return nil
	}
	out := make([][]int, len(c.buckets))
	for b, members := range c.buckets {
		out[b] = append(out[b], members...)
	}
	return out
}
