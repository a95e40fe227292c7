package secagg

import "crypto/ed25519"

// Task is what the coordinator offers a client that checked in: one attempt under
// stated terms, starting from one model.
type Task struct {
	Round RoundID
	Terms Terms
	// Rest is the digest of the plan's parts that concern the coordinator alone.
	Rest      Digest
	Model     Digest
	ModelSize int64 // bytes of the model's canonical safetensors file
	// Fallback says that this attempt opens buckets because the sum of an earlier
	// one was spoiled. Only terms that say so allow it.
	Fallback bool
	// Authority is AuthorityDigest of the enrolment authority that the committee holds
	// the roster against, so that clients need not verify every credential themselves;
	// zero without a committee.
	Authority Digest
	// ClipNorm is the norm that this round's updates are clipped to; zero without noise.
	// It is Terms.Encoding.ClipNorm but where terms adapt it.
	ClipNorm float64
	// Ledger is the head of the privacy ledger that the attempt is charged to; zero
	// without noise.
	Ledger LedgerHead
	// Centre is the blob of the aggregate that a pass of Terms.Weiszfeld weighs updates by: a
	// file of the model's schema, tensor.Size(Terms.Tensors) long. Zero for a centre of zero.
	Centre Digest
}

// LedgerHead says how far a privacy ledger has got: the number of its records and the
// hash that chains them all. Whoever remembers the latest notices one that was put back.
type LedgerHead struct {
	Count  uint64
	Digest Digest
}

// AuthorityDigest identifies an enrolment authority by its key.
func AuthorityDigest(key ed25519.PublicKey) Digest { return Hash("choir authority/1", key) }

// Encode returns the canonical encoding.
func (t Task) Encode() []byte {
	var e Encoder
	e.Message(1, t.Round.encode)
	e.Bytes(2, t.Terms.Encode())
	e.Digest(3, t.Rest)
	e.Digest(4, t.Model)
	e.Uint(5, uint64(t.ModelSize))
	e.Bool(6, t.Fallback)
	e.Digest(7, t.Authority)
	e.Float(8, t.ClipNorm)
	e.Uint(9, t.Ledger.Count)
	e.Digest(10, t.Ledger.Digest)
	e.Digest(11, t.Centre)
	return e.Encoded()
}

// DecodeTask parses what Encode wrote and checks its terms.
func DecodeTask(b []byte) (Task, error) {
	d := NewDecoder(b)
	round, terms := d.Bytes(1), d.Bytes(2)
	t := Task{Rest: d.Digest(3), Model: d.Digest(4), ModelSize: d.Size(5, MaxUpload), Fallback: d.Bool(6), Authority: d.Digest(7),
		ClipNorm: d.Float(8), Ledger: LedgerHead{Count: d.Uint(9), Digest: d.Digest(10)}, Centre: d.Digest(11)}
	err := d.Close()
	if err == nil {
		t.Round, err = DecodeRoundID(round)
	}
	if err == nil {
		t.Terms, err = DecodeTerms(terms)
	}
	if err == nil && t.Terms.Job != t.Round.Job {
		err = ErrTerms.At("job %q under the terms of %q", t.Round.Job, t.Terms.Job)
	}
	if err == nil && (t.Authority == Digest{}) != (t.Terms.Committee.Len() == 0) {
		err = ErrTerms.At("attempt %s: an authority belongs to a committee, and to nothing else", t.Round)
	}
	if err == nil && t.Fallback && !t.Terms.Fallback {
		err = ErrTerms.At("attempt %s falls back on buckets, which its terms do not allow", t.Round)
	}
	if err == nil {
		err = t.checkNoise()
	}
	if err == nil {
		err = t.checkCentre()
	}
	if err != nil {
		return Task{}, err
	}
	return t, nil
}

// Session derives the session of an attempt from what a client was offered, the
// roster that was admitted and what the committee announced.
func (t Task) Session(roster Roster, announced Announcements) (Session, error) {
	q, err := t.Terms.Encoding.Check()
	if err != nil {
		return Session{}, ErrTerms.At("encoding").Because(err)
	}
	c := t.Terms.Committee
	if len(announced) != c.Len() {
		return Session{}, ErrCommittee.At("%d announcements of %d members", len(announced), c.Len())
	}
	b := Binding{Round: t.Round, Plan: t.Terms.PlanDigest(t.Rest), Model: t.Model, Roster: roster.Root(), Committee: announced.Root(c),
		Scheme: t.Terms.Scheme, Parameters: t.Terms.SchemeParameters, Fallback: t.Fallback, Authority: t.Authority,
		ClipNorm: t.ClipNorm, Ledger: t.Ledger, Centre: t.Centre}
	s := Session{Binding: b, Context: b.Context(), Roster: roster, Committee: c, Announcements: announced, Minimum: t.Terms.Minimum,
		Buckets: 1, BucketMinimum: t.Terms.Minimum, Words: q.Layout().Len(), WordBits: q.WordBits()}
	if t.Terms.View != ViewSum || t.Fallback {
		s.Buckets, s.BucketMinimum = t.Terms.Buckets.Count(roster.Len()), t.Terms.Buckets.Minimum
	}
	return s, nil
}

// Envelope is what the coordinator has to say to one client: at any time at most
// one envelope per client is outstanding, so delivery may be repeated, polled or
// pushed. Step counts from 1 and never repeats with other content in an attempt.
type Envelope struct {
	Round RoundID
	Step  uint32
	// Roster and Committee are set in a party's first envelope of an attempt: the
	// admitted clients, and what the committee announced, if there is one.
	Roster, Committee []byte
	// Body is an instruction to the scheme's Party. Absent when the attempt is over.
	Body []byte
	// Over ends the attempt for this client; Reason says why in words for a log.
	// Completed is set if its contribution was used.
	Over      bool
	Completed bool
	Reason    string
}

// Encode returns the canonical encoding.
func (m Envelope) Encode() []byte {
	var e Encoder
	e.Message(1, m.Round.encode)
	e.Uint(2, uint64(m.Step))
	e.Bytes(3, m.Roster)
	e.Bytes(4, m.Body)
	e.Bool(5, m.Over)
	e.Bool(6, m.Completed)
	e.String(7, m.Reason)
	e.Bytes(8, m.Committee)
	return e.Encoded()
}

// DecodeEnvelope parses what Encode wrote.
func DecodeEnvelope(b []byte) (Envelope, error) {
	d := NewDecoder(b)
	round := d.Bytes(1)
	m := Envelope{Step: uint32(d.Int(2, 1<<31-1)), Roster: d.Bytes(3), Body: d.Bytes(4), Over: d.Bool(5),
		Completed: d.Bool(6), Reason: d.String(7), Committee: d.Bytes(8)}
	err := d.Close()
	if err == nil {
		m.Round, err = DecodeRoundID(round)
	}
	if err != nil {
		return Envelope{}, err
	}
	if m.Step == 0 || len(m.Reason) > 1000 {
		return Envelope{}, ErrEncoding.At("envelope")
	}
	return m, nil
}
