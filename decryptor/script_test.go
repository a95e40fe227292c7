package decryptor

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/tensor"
)

// keyOf is a party's key.
func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// committeeOf makes a committee.
func committeeOf(t testing.TB, name string, members ...secagg.PartyID) secagg.Committee {
	t.Helper()
	var all []secagg.Decryptor
	for _, m := range members {
		all = append(all, secagg.Join(keyOf("member "+string(m)), name, m))
	}
	c, err := secagg.NewCommittee(name, all, 1)
	require.NoError(t, err)
	return c
}

func four(t testing.TB) secagg.Committee { return committeeOf(t, "four", "a", "b", "c", "d") }

// taskOf is the first attempt at a job under the committee of four.
func taskOf(t testing.TB, job string) secagg.Task {
	t.Helper()
	schema, err := tensor.NewSchema([]tensor.Spec{{Name: "w", Shape: []int{8}}})
	require.NoError(t, err)
	q, err := field.Spec{Dimension: 8, Clients: 40, ClipNorm: 10, Bits: 18, Extras: []field.Extra{{Name: secagg.ExtraWeight, Bound: secagg.ExtraScale}}}.Check()
	require.NoError(t, err)
	return secagg.Task{Round: secagg.RoundID{Job: job, Round: 3, Attempt: 1}, Model: secagg.Digest{1}, ModelSize: 300, Rest: secagg.Digest{2},
		Authority: secagg.AuthorityDigest(keyOf("authority").Public().(ed25519.PublicKey)),
		Terms: secagg.Terms{Job: job, Scheme: "script", Minimum: 16, Privacy: secagg.PrivacyNone, TrustCoordinator: true, Encoding: q.Spec(), Tensors: schema,
			Denominator: secagg.DenominatorWeights, View: secagg.ViewBucketMeans, Buckets: secagg.Buckets{Size: 16, Minimum: 12}, Committee: four(t)}}
}

// policyOf is that of member b.
func policyOf(t testing.TB, jobs ...string) Policy {
	return Policy{Committee: four(t), Name: "b", Keys: secagg.DecryptorKeys{Sign: keyOf("member b"), Epochs: []secagg.EpochSeed{{Number: 1, Seed: [32]byte{1}}}},
		Authority: keyOf("authority").Public().(ed25519.PublicKey), Schemes: []secagg.CommitteeScheme{scripted{}}, Limits: Limits{Jobs: jobs, Exact: true}}
}

// rosterOf enrols n clients.
func rosterOf(t testing.TB, authority ed25519.PrivateKey, n int) secagg.Roster {
	t.Helper()
	var all []secagg.Identity
	for i := range n {
		name := fmt.Sprintf("client-%02d", i)
		all = append(all, secagg.Enrol(authority, secagg.PartyID(name), keyOf(name).Public().(ed25519.PublicKey)))
	}
	r, err := secagg.NewRoster(all)
	require.NoError(t, err)
	return r
}

// first is the first envelope of an attempt, with an instruction.
func first(t testing.TB, id secagg.RoundID, roster secagg.Roster, announcement []byte, body string) secagg.Envelope {
	t.Helper()
	said := secagg.Announcements{{Body: []byte("a")}, {Body: announcement}, {Body: []byte("c")}, {}}
	return secagg.Envelope{Round: id, Step: 1, Roster: roster.Encode(), Committee: said.Encode(), Body: []byte(body)}
}

// scripted is a scheme with a committee that protects nothing: a member signs one
// thing in an attempt, judges letters as they come, and counts them in the end.
type scripted struct{}

func (scripted) Name() string { return "script" }

func (scripted) Announce(id secagg.RoundID, c secagg.Committee, self int, keys secagg.DecryptorKeys, coins io.Reader) (secagg.Reply, error) {
	nonce := make([]byte, 16)
	if _, err := io.ReadFull(coins, nonce); err != nil {
		return secagg.Reply{}, err
	}
	said := fmt.Sprintf("%s %s %d", id, hex.EncodeToString(nonce), keys.Epochs[len(keys.Epochs)-1].Number)
	return secagg.Reply{Message: []byte(said), Record: []byte(said + "|")}, nil
}

var errLost = errors.New("the epoch's key is gone")

func (scripted) NewCommitteeParty(s secagg.Session, self int, keys secagg.DecryptorKeys, record []byte) (secagg.CommitteeParty, error) {
	said, promised, _ := strings.Cut(string(record), "|")
	if string(s.Announcements[self].Body) != said {
		return nil, secagg.ErrCommittee.At("announcement of %d", self)
	}
	for _, e := range keys.Epochs {
		if strings.HasSuffix(said, fmt.Sprintf(" %d", e.Number)) {
			return &scriptedParty{said: said, promised: promised}, nil
		}
	}
	return nil, errLost
}

type scriptedParty struct {
	said, promised string
	wants          string // letters, and what for
	letters, all   int
	erased         bool
}

func (p *scriptedParty) Step(body []byte) (secagg.Reply, error) {
	p.wants, p.letters = "", 0
	switch what, which, _ := strings.Cut(string(body), " "); what {
	case "sign":
		if p.promised != "" && p.promised != which {
			return secagg.Reply{}, secagg.ErrMembership.At("signed %s before", p.promised)
		}
		p.promised = which
		return secagg.Reply{Message: []byte("signed " + which), Record: []byte(p.said + "|" + which)}, nil
	case "judge", "count":
		p.wants = what
		_, _ = fmt.Sscan(which, &p.all)
		return secagg.Reply{Letters: true}, nil
	case "stale":
		return secagg.Reply{}, secagg.ErrPhase
	}
	return secagg.Reply{}, secagg.ErrMembership
}

func (p *scriptedParty) Letters(r io.Reader) (secagg.Reply, error) {
	from := p.letters
	for {
		l, err := secagg.ReadLetter(r)
		if err == io.EOF {
			break
		}
		if err != nil {
			p.letters = from
			return secagg.Reply{}, err
		}
		if l.Member != p.letters {
			return secagg.Reply{}, secagg.ErrMembership.At("letter %d as number %d", l.Member, p.letters)
		}
		p.letters++
	}
	reply := secagg.Reply{Letters: true, From: p.letters, Message: fmt.Appendf(nil, "judged %d-%d", from, p.letters)}
	if p.wants == "count" {
		if reply.Message = nil; p.letters == p.all {
			reply = secagg.Reply{Message: fmt.Appendf(nil, "counted %d", p.letters)}
		}
	}
	return reply, nil
}

func (p *scriptedParty) Erase() { p.erased = true }

// memory is a State in memory.
type memory struct {
	mu      sync.Mutex
	records map[string][]byte
}

func newMemory() *memory { return &memory{records: map[string][]byte{}} }

func (m *memory) Load(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.records[name]), nil
}

func (m *memory) Save(name string, record []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records[name] = bytes.Clone(record)
	return nil
}

// line is what the script says in a step: the instruction, or "over"; and how many
// letters have come when it is said.
type line struct {
	body    string
	letters int
}

// coordinator is one that says what it was told to say: the lines of one attempt for
// each job, one after another as they are answered.
type coordinator struct {
	t      testing.TB
	lines  []line
	roster secagg.Roster
	// fail may refuse a call, "check-in", "send 2", "letters" and so on, when it was made
	// for the nth time.
	fail func(call string, nth int) error

	mu      sync.Mutex
	tasks   map[string]secagg.Task
	jobs    map[string]*progress
	log     []string
	calls   map[string]int
	changed chan struct{}
}

type progress struct {
	announced []byte
	step      int
	letters   int
}

func newCoordinator(t testing.TB, lines ...line) *coordinator {
	return &coordinator{t: t, lines: lines, roster: rosterOf(t, keyOf("authority"), 20), tasks: map[string]secagg.Task{}, jobs: map[string]*progress{},
		calls: map[string]int{}, changed: make(chan struct{})}
}

// offer begins the attempts of a job.
func (c *coordinator) offer(job string) {
	c.tasks[job], c.jobs[job] = taskOf(c.t, job), &progress{}
}

func (c *coordinator) note(call string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, call)
	c.calls[call]++
	if c.fail != nil {
		return c.fail(call, c.calls[call])
	}
	return nil
}

func (c *coordinator) CheckIn(_ context.Context, job string, _ client.Conditions) (client.Offer, error) {
	if err := c.note("check-in"); err != nil {
		return client.Offer{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.jobs[job]
	if !ok || p.announced != nil {
		return client.Offer{Wait: time.Second}, nil
	}
	task := c.tasks[job]
	return client.Offer{Task: &task}, nil
}

// tell notes that something changed. The lock is held.
func (c *coordinator) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// proceed enters a step. The lock is held.
func (c *coordinator) proceed(p *progress, step int) {
	if p.step = step; step <= len(c.lines) {
		p.letters = max(p.letters, c.lines[step-1].letters)
	}
	c.tell()
}

func (c *coordinator) Send(_ context.Context, m client.Message) error {
	c.mu.Lock()
	p := c.jobs[m.Round.Job]
	c.mu.Unlock()
	if err := c.note(fmt.Sprintf("send %d", m.Step)); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Step == 0 {
		if p.announced != nil && !bytes.Equal(p.announced, m.Body) {
			c.log = append(c.log, "TWO ANNOUNCEMENTS")
			return secagg.ErrRepeated
		}
		if p.announced == nil {
			p.announced = m.Body
			c.proceed(p, 1)
		}
		return nil
	}
	c.log = append(c.log, string(m.Body))
	if int(m.Step) == p.step && !strings.HasPrefix(string(m.Body), "judged") {
		c.proceed(p, p.step+1)
	}
	return nil
}

func (c *coordinator) Receive(ctx context.Context, id secagg.RoundID, after uint32) (secagg.Envelope, error) {
	if err := c.note("receive"); err != nil {
		return secagg.Envelope{}, err
	}
	for {
		c.mu.Lock()
		p, changed := c.jobs[id.Job], c.changed
		step, announced := p.step, p.announced
		c.mu.Unlock()
		if step > int(after) {
			if step > len(c.lines) {
				return secagg.Envelope{Round: id, Step: uint32(step), Over: true, Reason: "done"}, nil
			}
			env := first(c.t, id, c.roster, announced, c.lines[step-1].body)
			if env.Step = uint32(step); step > 1 {
				env.Roster, env.Committee = nil, nil
			}
			return env, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return secagg.Envelope{}, ctx.Err()
		}
	}
}

func (c *coordinator) Letters(ctx context.Context, id secagg.RoundID, from int, w io.Writer) error {
	failed := c.note("letters")
	for {
		c.mu.Lock()
		n, changed := c.jobs[id.Job].letters, c.changed
		c.mu.Unlock()
		for i := from; i < n; i++ {
			var b bytes.Buffer
			if err := secagg.WriteLetter(&b, secagg.Letter{Member: i, Frame: []byte("frame"), Body: []byte("body")}); err != nil {
				return err
			}
			if failed != nil && i == (from+n)/2 {
				_, _ = w.Write(b.Bytes()[:b.Len()/2])
				return failed
			}
			if _, err := w.Write(b.Bytes()); err != nil {
				return err
			}
		}
		if n > from || failed != nil {
			return failed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// said returns what was sent in answer to instructions.
func (c *coordinator) said() (out []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.log {
		if strings.HasPrefix(l, "signed") || strings.HasPrefix(l, "judged") || strings.HasPrefix(l, "counted") || strings.HasPrefix(l, "TWO") {
			out = append(out, l)
		}
	}
	return out
}

// over reports whether the attempt of a job has been told to the end.
func (c *coordinator) over(job string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.jobs[job].step > len(c.lines)
}

// memberOf makes member b a committee member of the coordinator's.
func memberOf(t testing.TB, c *coordinator, s State, jobs ...string) *Decryptor {
	t.Helper()
	p := policyOf(t, jobs...)
	p.Keys.Epochs = nil
	d, err := New(Config{Policy: p, Transport: c, State: s, Epoch: 24 * time.Hour, Now: time.Now})
	require.NoError(t, err)
	return d
}
