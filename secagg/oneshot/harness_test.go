package oneshot

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/stretchr/testify/require"
)

func coins(parts ...any) *field.Stream {
	return field.NewStream(secagg.Hash("test coins", fmt.Append(nil, parts...)))
}

func signingKey(parts ...any) ed25519.PrivateKey {
	seed := secagg.Hash("test key", fmt.Append(nil, parts...))
	return ed25519.NewKeyFromSeed(seed[:])
}

// shape is the session of a test.
type shape struct {
	n, m, c        int
	corrupt        int // parts per million
	minimum        int
	buckets        secagg.Buckets
	words, bits    int
	round          secagg.RoundID
	absent         []int // members that do not announce
	leftOut        []int
	parametersOf   func(*Parameters)
	announcementOf func(member int, body []byte) []byte
}

func (s shape) defaults() shape {
	if s.n == 0 {
		s.n = 8
	}
	if s.m == 0 {
		s.m = 4
	}
	if s.c == 0 {
		s.c = (s.m - 1) / 3
	}
	if s.corrupt == 0 {
		s.corrupt = 200_000
	}
	if s.minimum == 0 {
		s.minimum = 4
	}
	if s.words == 0 {
		s.words, s.bits = 40, 16
	}
	if s.round == (secagg.RoundID{}) {
		s.round = secagg.RoundID{Job: "job", Round: 1, Attempt: 1}
	}
	return s
}

// scene is one attempt in memory with all its parties.
type scene struct {
	t          testing.TB
	shape      shape
	session    secagg.Session
	clientKeys []ed25519.PrivateKey
	keys       []secagg.DecryptorKeys
	vectors    [][]uint32
	control    secagg.Control
	sum        secagg.Accumulator
	members    []secagg.CommitteeParty // nil for one that did not announce
	records    [][]byte                // by member
	letters    [][]secagg.Letter       // by member, in the order of acceptance
	uploaded   map[int][]byte
	refused    map[int]error // by party: why it refused an instruction
	rejected   map[int]error // by party: why the coordinator rejected what it sent

	gone        func(phase string, party int) bool
	instruction func(phase string, party int, body []byte) []byte
	message     func(phase string, party int, body []byte) []byte
	upload      func(client int, sealed, frame []byte) ([]byte, []byte)
	// restart says whether a member restarts from its record: before it answers, or
	// after its record was stored and before its message left, as lost says.
	restart func(phase string, member int) (before, lost bool)
	deliver func(member int, l []secagg.Letter) []secagg.Letter
}

func testCommittee(t testing.TB, m, c int) (secagg.Committee, []secagg.DecryptorKeys) {
	t.Helper()
	keys, list := make([]secagg.DecryptorKeys, m), make([]secagg.Decryptor, m)
	for j := range keys {
		keys[j].Sign = signingKey("member", j)
		keys[j].Epochs = []secagg.EpochSeed{{Number: 1, Seed: secagg.Hash("old", index(j))}, {Number: 2, Seed: secagg.Hash("epoch", index(j))}}
		list[j] = secagg.Join(keys[j].Sign, "committee", secagg.PartyID(fmt.Sprintf("silo-%02d", j)))
	}
	committee, err := secagg.NewCommittee("committee", list, c)
	require.NoError(t, err)
	return committee, keys
}

func policyOf(s shape, committee secagg.Committee) secagg.Policy {
	p := secagg.Policy{Clients: s.n, Minimum: s.minimum, Corrupt: s.corrupt, CrossSilo: true, Attempts: MaxAttempts, View: secagg.ViewSum,
		Committee: committee, Words: s.words, WordBits: s.bits}
	if s.buckets != (secagg.Buckets{}) {
		p.View, p.Buckets = secagg.ViewBucketMeans, s.buckets
	}
	return p
}

func newScene(t testing.TB, s shape) *scene {
	t.Helper()
	s = s.defaults()
	w := &scene{t: t, shape: s, uploaded: map[int][]byte{}, refused: map[int]error{}, rejected: map[int]error{}, records: make([][]byte, s.m), letters: make([][]secagg.Letter, s.m)}
	committee, keys := testCommittee(t, s.m, s.c)
	w.keys = keys
	identities := make([]secagg.Identity, s.n)
	authority := signingKey("authority")
	for i := range identities {
		key := signingKey("client", i)
		w.clientKeys = append(w.clientKeys, key)
		identities[i] = secagg.Enrol(authority, secagg.PartyID(fmt.Sprintf("client-%05d", i)), key.Public().(ed25519.PublicKey))
	}
	roster, err := secagg.NewRoster(identities)
	require.NoError(t, err)
	parameters, err := Scheme{}.Configure(policyOf(s, committee))
	require.NoError(t, err)
	if s.parametersOf != nil {
		p, err := DecodeParameters(parameters)
		require.NoError(t, err)
		s.parametersOf(&p)
		parameters = p.Encode()
	}
	announced := make(secagg.Announcements, s.m)
	for j := range announced {
		r, err := Scheme{}.Announce(s.round, committee, j, keys[j], coins("announce", s.round, j))
		require.NoError(t, err)
		require.NoError(t, Scheme{}.CheckAnnouncement(s.round, committee, j, r.Message))
		w.records[j], announced[j].Body = r.Record, r.Message
		if s.announcementOf != nil {
			announced[j].Body = s.announcementOf(j, r.Message)
		}
	}
	for _, j := range s.absent {
		announced[j] = secagg.Announcement{}
	}
	for _, j := range s.leftOut {
		announced[j].LeftOut = true
	}
	w.session = secagg.Session{Roster: roster, Committee: committee, Announcements: announced, Minimum: s.minimum, Buckets: 1, BucketMinimum: s.minimum, Words: s.words, WordBits: s.bits}
	if s.buckets != (secagg.Buckets{}) {
		w.session.Buckets, w.session.BucketMinimum = s.buckets.Count(s.n), s.buckets.Minimum
	}
	w.session.Binding = secagg.Binding{Round: s.round, Plan: secagg.Hash("plan"), Model: secagg.Hash("model"), Roster: roster.Root(), Scheme: Name, Parameters: parameters}
	w.session.Binding.Committee = w.session.Announcements.Root(w.session.Committee)
	w.session.Context = w.session.Binding.Context()
	w.begin()
	return w
}

// begin makes all parties of the session.
func (w *scene) begin() {
	var err error
	w.control, err = Scheme{}.NewControl(w.session)
	require.NoError(w.t, err)
	w.sum, err = Scheme{}.NewAccumulator(w.session)
	require.NoError(w.t, err)
	w.members = make([]secagg.CommitteeParty, w.shape.m)
	for _, j := range w.session.Announcements.Present() {
		w.restarted(j)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range w.shape.n {
		v := make([]uint32, w.shape.words)
		for k := range v {
			v[k] = uint32(rng.Uint64N(1<<w.shape.bits) / uint64(w.shape.n))
		}
		w.vectors = append(w.vectors, v)
	}
}

func (w *scene) restarted(j int) {
	w.t.Helper()
	var err error
	w.members[j], err = Scheme{}.NewCommitteeParty(w.session, j, w.keys[j], w.records[j])
	require.NoError(w.t, err, "member %d", j)
}

func (w *scene) number(member int) int { return w.shape.n + member }

// stream is what a driver gives a member: its letters from a number on.
func (w *scene) stream(j, from int) *bytes.Buffer {
	l := w.letters[j]
	if w.deliver != nil {
		l = w.deliver(j, l)
	}
	return lettersOf(w.t, l[min(from, len(l)):])
}

func lettersOf(t testing.TB, list []secagg.Letter) *bytes.Buffer {
	b := new(bytes.Buffer)
	for _, l := range list {
		require.NoError(t, secagg.WriteLetter(b, l))
	}
	return b
}

// ask steps a member to its message, giving it the letters it wants.
func (w *scene) ask(j int, instruction []byte) (secagg.Reply, error) {
	reply, err := w.members[j].Step(instruction)
	if err == nil && reply.Letters && reply.Message == nil {
		reply, err = w.members[j].Letters(w.stream(j, reply.From))
	}
	if err == nil && reply.Record != nil {
		w.records[j] = reply.Record
	}
	return reply, err
}

// phase delivers the present phase's instruction to one party and its answer to the
// coordinator.
func (w *scene) turn(party int) {
	phase := w.control.Phase().Name
	body, asked := w.control.Instruction(party)
	if !asked || w.gone != nil && w.gone(phase, party) {
		return
	}
	if w.instruction != nil {
		if body = w.instruction(phase, party, body); body == nil {
			return
		}
	}
	if party < w.shape.n {
		w.client(party, body)
		return
	}
	j := party - w.shape.n
	before, lost := false, false
	if w.restart != nil {
		before, lost = w.restart(phase, j)
	}
	if before {
		w.restarted(j)
	}
	reply, err := w.ask(j, body)
	if err == nil && lost {
		w.restarted(j)
		reply, err = w.ask(j, body)
	}
	if err != nil {
		w.refused[party] = err
		return
	}
	w.receive(phase, party, reply.Message)
}

func (w *scene) receive(phase string, party int, message []byte) {
	if message != nil && w.message != nil {
		message = w.message(phase, party, message)
	}
	if message == nil {
		return
	}
	if _, err := w.control.Receive(party, message); err != nil {
		w.rejected[party] = err
	}
}

// client lets a client upload, and the coordinator take it.
func (w *scene) client(i int, instruction []byte) {
	p, err := Scheme{}.NewParty(w.session, i, w.clientKeys[i], coins("client", i, w.session.Context))
	require.NoError(w.t, err)
	reply, err := p.Step(instruction)
	if err != nil {
		w.refused[i] = err
		return
	}
	require.True(w.t, reply.Seal)
	out := new(bytes.Buffer)
	reply, err = p.Seal(append([]uint32(nil), w.vectors[i]...), out)
	require.NoError(w.t, err)
	sealed, frame := out.Bytes(), reply.Message
	if w.upload != nil {
		if sealed, frame = w.upload(i, sealed, frame); sealed == nil {
			return
		}
	}
	commit, err := secagg.PeekCommit(frame)
	require.NoError(w.t, err)
	require.Equal(w.t, commit.Content, secagg.Digest(sha256.Sum256(sealed)), "the engine refuses such an upload")
	if _, err := w.control.Receive(i, frame); err != nil {
		w.rejected[i] = err
		return
	}
	w.uploaded[i] = sealed
	ps := w.sum.Pieces()
	require.EqualValues(w.t, ps.Total(), len(sealed))
	for k, j := range w.session.Announcements.Present() {
		w.letters[j] = append(w.letters[j], secagg.Letter{Member: i, Frame: frame, Body: sealed[int(ps.Body)+k*ps.LetterSize:][:ps.LetterSize]})
	}
}

// fold adds the uploads that are ready.
func (w *scene) fold() {
	ps := w.sum.Pieces()
	for _, i := range w.control.Ready() {
		for k := range ps.Count {
			p := w.uploaded[i][k*ps.Size:][:ps.Len(k)]
			require.NoError(w.t, w.sum.Check(k, p))
			require.NoError(w.t, w.sum.Add(w.control.Bucket(i), k, p))
		}
	}
}

// to runs the attempt up to the phase of that name; it returns the error that ended it.
func (w *scene) to(name string) error {
	for w.control.Phase().Name != name {
		w.exchange()
		if err := w.control.Advance(); err != nil {
			return err
		}
		w.fold()
	}
	return nil
}

// exchange gives every party its turn in the present phase.
func (w *scene) exchange() {
	for party := range w.session.Parties() {
		w.turn(party)
		w.fold()
	}
}

// open runs the attempt to its end.
func (w *scene) open() ([]secagg.Sum, secagg.Opening, error) {
	if err := w.to("open"); err != nil {
		return nil, nil, err
	}
	o, err := w.control.Opening()
	if err != nil {
		return nil, nil, err
	}
	for k := range w.sum.Pieces().Count {
		if err := w.sum.Unmask(o, k); err != nil {
			return nil, nil, err
		}
	}
	sums, err := w.sum.Sums(o)
	return sums, o, err
}

// opens requires that the attempt opens all of its buckets, right.
func (w *scene) opens() ([]secagg.Sum, secagg.Opening) {
	w.t.Helper()
	sums, o, err := w.open()
	require.NoError(w.t, err)
	w.right(sums)
	return sums, o
}

// right requires the sums to be the plain ones of their members.
func (w *scene) right(sums []secagg.Sum) {
	w.t.Helper()
	survivors := w.control.Survivors()
	for _, s := range sums {
		require.NoError(w.t, s.Spoiled)
		require.Equal(w.t, survivors[s.Bucket], s.Members)
		want := make([]uint32, w.shape.words)
		for _, i := range s.Members {
			for k, v := range w.vectors[i] {
				want[k] = (want[k] + v) & (1<<w.shape.bits - 1)
			}
		}
		require.Equal(w.t, want, s.Words)
	}
}

// signed replaces letters of an upload and signs it again, as its client could.
func (w *scene) signed(i int, sealed []byte, letter func(place, member int, letter []byte) []byte) ([]byte, []byte) {
	ps := w.sum.Pieces()
	body := sealed[:ps.Body]
	digest := sha256.Sum256(body)
	detail, out := digest[:], append([]byte(nil), body...)
	for k, j := range w.session.Announcements.Present() {
		l := append([]byte(nil), sealed[int(ps.Body)+k*ps.LetterSize:][:ps.LetterSize]...)
		l = letter(k, j, l)
		digest := sha256.Sum256(l)
		detail, out = append(detail, digest[:]...), append(out, l...)
	}
	c := secagg.Commit{Content: sha256.Sum256(out), Size: int64(len(out)), Detail: detail}
	return out, secagg.SignCommit(w.clientKeys[i], w.session.Context, c)
}

// rewritten is a letter with another plaintext.
func (w *scene) rewritten(i, j int, sealed, letter []byte, change func(plain []byte) []byte) []byte {
	digest := secagg.Digest(sha256.Sum256(sealed[:w.sum.Pieces().Body]))
	sk, packed := epochKey(w.keys[j].Epochs[1].Seed)
	plain, err := openLetter(sk, w.session.Context, i, j, digest, letter)
	require.NoError(w.t, err)
	pk, err := parseKey(packed)
	require.NoError(w.t, err)
	out, err := sealLetter(pk, coins("rewritten", i, j), w.session.Context, i, j, digest, change(plain))
	require.NoError(w.t, err)
	return out
}
