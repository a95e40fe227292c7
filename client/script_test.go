package client_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// phased is a scheme of many phases that protects nothing: its secrets begin to
// leave with "share", and "agree" may be answered in one way only.
type phased struct{}

func (phased) Name() string { return "phased" }

func (phased) NewParty(s secagg.Session, self int, key ed25519.PrivateKey, coins io.Reader) (secagg.Party, error) {
	p := &phasedParty{context: s.Context, key: key}
	_, err := io.ReadFull(coins, p.secret[:])
	return p, err
}

func (phased) ResumeParty(s secagg.Session, self int, key ed25519.PrivateKey, record []byte) (secagg.Party, error) {
	agreed, commit, ok := strings.Cut(string(record), "|")
	if !ok {
		return nil, secagg.ErrTombstone
	}
	return &phasedParty{context: s.Context, key: key, agreed: agreed, commit: []byte(commit)}, nil
}

type phasedParty struct {
	context secagg.Digest
	key     ed25519.PrivateKey
	secret  [32]byte
	commit  []byte
	agreed  string
}

func (p *phasedParty) Step(body []byte) (secagg.Reply, error) {
	switch what := string(body); {
	case what == "advertise":
		return secagg.Reply{Message: p.secret[:]}, nil
	case what == "share":
		return secagg.Reply{Message: []byte("shares"), Record: []byte("tombstone")}, nil
	case what == "upload" && p.commit != nil:
		return secagg.Reply{Message: p.commit, Record: p.record()}, nil
	case what == "upload":
		return secagg.Reply{Seal: true}, nil
	case strings.HasPrefix(what, "agree ") && p.commit != nil:
		if p.agreed != "" && p.agreed != what {
			return secagg.Reply{}, secagg.ErrRepeated
		}
		p.agreed = what
		return secagg.Reply{Message: body, Record: p.record()}, nil
	case what == "cheat":
		return secagg.Reply{}, secagg.ErrMembership
	}
	return secagg.Reply{}, secagg.ErrPhase
}

func (p *phasedParty) record() []byte { return []byte(p.agreed + "|" + string(p.commit)) }

func (p *phasedParty) Seal(vector []uint32, out io.Writer) (secagg.Reply, error) {
	w := secagg.NewCommitWriter(out)
	for _, v := range vector {
		if _, err := w.Write(binary.LittleEndian.AppendUint32(nil, v)); err != nil {
			return secagg.Reply{}, err
		}
	}
	p.commit = secagg.SignCommit(p.key, p.context, w.Commit())
	return secagg.Reply{Message: p.commit, Record: p.record()}, nil
}

func (p *phasedParty) Erase() { clear(p.secret[:]) }

// script is a coordinator that says what it was told to say: the instructions of
// one attempt, one after another as they are answered.
type script struct {
	offers       []client.Offer // one for each check-in, the last one again and again
	roster       secagg.Roster
	announced    []byte   // by the committee; nil without one
	instructions []string // of steps 1 and on; "over" and "completed" end the attempt
	model        []byte
	// fail may refuse a call, "check-in", "send 2", "fetch" and so on, when it was
	// made for the nth time.
	fail func(call string, nth int) error

	mu      sync.Mutex
	open    int // instructions that may be told
	changed chan struct{}
	log     []string
	calls   map[string]int
	bodies  map[string][]byte // of what was sent, by call
}

// newScript offers one task of three members, c0 among them.
func newScript(t testing.TB, instructions ...string) *script {
	return scriptOf(t, testPlan(t, 3, 2, 1).Terms(), instructions...)
}

// scriptOf offers one task under terms, of three members, c0 among them.
func scriptOf(t testing.TB, terms secagg.Terms, instructions ...string) *script {
	terms.Scheme = "phased"
	s := &script{instructions: instructions, open: 1, changed: make(chan struct{}), calls: map[string]int{}, bodies: map[string][]byte{}}
	model := tensor.Zero(terms.Tensors)
	var file bytes.Buffer
	require.NoError(t, tensor.WriteSafetensors(&file, model))
	s.model = file.Bytes()
	var err error
	s.roster, err = secagg.NewRoster([]secagg.Identity{identityOf("c0"), identityOf("c1"), identityOf("c2")})
	require.NoError(t, err)
	task := &secagg.Task{Round: s.id(), Terms: terms, Model: model.Digest(), ModelSize: int64(len(s.model))}
	if terms.Noise != (secagg.Noise{}) {
		task.ClipNorm, task.Ledger = terms.Encoding.ClipNorm, secagg.LedgerHead{Count: 7, Digest: secagg.Hash("seven")}
	}
	s.offers = []client.Offer{{Task: task}, {}}
	return s
}

func (s *script) id() secagg.RoundID { return secagg.RoundID{Job: "job", Round: 1, Attempt: 1} }

// note logs a call and says whether it fails.
func (s *script) note(call string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, call)
	s.calls[call]++
	if s.fail != nil {
		return s.fail(call, s.calls[call])
	}
	return nil
}

// tell opens the instructions up to a step.
func (s *script) tell(step int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = max(s.open, step)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *script) CheckIn(context.Context, string, client.Conditions) (client.Offer, error) {
	if err := s.note("check-in"); err != nil {
		return client.Offer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offers[min(s.calls["check-in"], len(s.offers))-1], nil
}

func (s *script) Send(_ context.Context, m client.Message) error {
	call := fmt.Sprintf("send %d", m.Step)
	if err := s.note(call); err != nil {
		return err
	}
	s.mu.Lock()
	s.bodies[call] = m.Body
	s.mu.Unlock()
	if m.Step > 0 {
		s.tell(int(m.Step) + 1)
	}
	return nil
}

func (s *script) Receive(ctx context.Context, id secagg.RoundID, after uint32) (secagg.Envelope, error) {
	if err := s.note("receive"); err != nil {
		return secagg.Envelope{}, err
	}
	for {
		s.mu.Lock()
		open, changed := min(s.open, len(s.instructions)), s.changed
		s.mu.Unlock()
		if open > int(after) {
			return s.envelope(id, open), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return secagg.Envelope{}, ctx.Err()
		}
	}
}

func (s *script) envelope(id secagg.RoundID, step int) secagg.Envelope {
	env := secagg.Envelope{Round: id, Step: uint32(step)}
	switch what := s.instructions[step-1]; what {
	case "over", "completed":
		env.Over, env.Completed, env.Reason = true, what == "completed", what
	default:
		env.Body = []byte(what)
		if step == 1 {
			env.Roster, env.Committee = s.roster.Encode(), s.announced
		}
	}
	return env
}

func (s *script) Fetch(_ context.Context, _ secagg.RoundID, _ secagg.Digest, offset int64, w io.Writer) error {
	err := s.note(fmt.Sprintf("fetch %d", offset))
	part := s.model[offset:]
	if err != nil {
		part = part[:len(part)/2]
	}
	if _, err := w.Write(part); err != nil {
		return err
	}
	return err
}

func (s *script) Upload(_ context.Context, m client.Message, sealed io.ReadSeeker, size int64) error {
	call := fmt.Sprintf("upload %d", m.Step)
	if err := s.note(call); err != nil {
		return err
	}
	b, err := io.ReadAll(sealed)
	if err != nil {
		return err
	}
	c, err := secagg.PeekCommit(m.Body)
	if err != nil {
		return err
	}
	if c.Size != size || c.Size != int64(len(b)) || c.Content != sha256.Sum256(b) {
		return secagg.ErrUpload
	}
	s.mu.Lock()
	s.bodies[call] = b
	s.mu.Unlock()
	s.tell(int(m.Step) + 1)
	return nil
}

// told returns the log without what happens beside: receiving and fetching.
func (s *script) told() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.log {
		if l != "receive" && !strings.HasPrefix(l, "fetch") {
			out = append(out, l)
		}
	}
	return out
}

// watched is a State that logs what is done to it.
type watched struct {
	client.State
	*script
}

func (w watched) Put(id secagg.RoundID, record []byte) error {
	call := "put"
	if record == nil {
		call = "erase"
	}
	if err := w.note(call); err != nil {
		return err
	}
	return w.State.Put(id, record)
}

func (w watched) Create(id secagg.RoundID) (io.WriteCloser, error) {
	if err := w.note("create"); err != nil {
		return nil, err
	}
	out, err := w.State.Create(id)
	return watchedWriter{out, w.script}, err
}

func (w watched) Remove(id secagg.RoundID) error {
	if err := w.note("remove"); err != nil {
		return err
	}
	return w.State.Remove(id)
}

func (w watched) Keep(a client.Account) error {
	if err := w.note("keep"); err != nil {
		return err
	}
	return w.State.Keep(a)
}

type watchedWriter struct {
	io.WriteCloser
	*script
}

func (w watchedWriter) Close() error {
	if err := w.note("close"); err != nil {
		return err
	}
	return w.WriteCloser.Close()
}

// against makes c0 a client of the script.
func (s *script) against(t *testing.T, state client.State, trainer client.Trainer, more ...client.Option) *client.Client {
	opts := as("c0", client.WithSchemes(phased{}), client.WithState(watched{state, s}))
	return newClient(t, s, trainer, append(opts, more...)...)
}

// attempts is how many attempts a state has charged.
func attempts(s client.State) (int, error) {
	a, err := s.Account()
	return a.Attempts(), err
}
