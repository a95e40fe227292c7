package round

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/secagg/secaggtest"
)

const began = Instant(1_000_000 * time.Second)

// phased is a scheme whose control asks for whatever phases its name lists, one
// letter each: e(xchange), u(pload), m (unmask). It protects nothing, and lets
// the machine be led along moves that no real scheme needs today.
type phased string

func (s phased) Name() string                          { return string(s) }
func (phased) Roles() []secagg.Role                    { return []secagg.Role{secagg.RoleClient} }
func (phased) Views() []secagg.View                    { return []secagg.View{secagg.ViewSum} }
func (phased) Configure(secagg.Policy) ([]byte, error) { return nil, nil }
func (s phased) NewControl(x secagg.Session) (secagg.Control, error) {
	c := &phasedControl{session: x, phases: string(s)}
	for i := range x.Roster.Len() {
		c.asked = append(c.asked, i)
	}
	c.answers = map[int][]byte{}
	return c, nil
}
func (phased) NewAccumulator(secagg.Session) (secagg.Accumulator, error) { return nil, nil }

type phasedControl struct {
	session secagg.Session
	phases  string // those not over, the present one first
	asked   []int
	answers map[int][]byte
	in      []int
	ready   []int
}

func (c *phasedControl) Phase() secagg.Phase {
	if c.phases == "" {
		return secagg.Phase{Name: "open", Kind: secagg.PhaseOpen}
	}
	return map[byte]secagg.Phase{'e': {Name: "exchange", Kind: secagg.PhaseExchange}, 'u': {Name: "upload", Kind: secagg.PhaseUpload},
		'm': {Name: "unmask", Kind: secagg.PhaseUnmask}}[c.phases[0]]
}

func (c *phasedControl) Instruction(i int) ([]byte, bool) {
	return []byte(c.phases), slices.Contains(c.asked, i)
}

func (c *phasedControl) Receive(i int, body []byte) (bool, error) {
	if !slices.Contains(c.asked, i) {
		return false, secagg.ErrNotAsked
	}
	if had, ok := c.answers[i]; ok {
		if !bytes.Equal(had, body) {
			return false, secagg.ErrRepeated
		}
		return false, nil
	}
	c.answers[i] = body
	if c.phases[0] == 'u' {
		c.ready = append(c.ready, i)
	}
	return true, nil
}

func (c *phasedControl) Ready() []int {
	out := c.ready
	c.ready = nil
	return out
}

func (c *phasedControl) Bucket(int) int { return 0 }

func (c *phasedControl) Waiting() []int {
	return slices.DeleteFunc(slices.Clone(c.asked), func(i int) bool { _, ok := c.answers[i]; return ok })
}

func (c *phasedControl) Advance() error {
	here := slices.DeleteFunc(c.asked, func(i int) bool { _, ok := c.answers[i]; return !ok })
	if len(here) < c.session.Minimum {
		return secagg.ErrTooFew.At("phase %s: %d of at least %d", c.Phase().Name, len(here), c.session.Minimum)
	}
	if c.phases[0] == 'u' {
		c.in = slices.Clone(here)
	}
	c.phases, c.asked, c.answers = c.phases[1:], here, map[int][]byte{}
	if c.phases == "" {
		c.asked = nil
	}
	return nil
}

func (c *phasedControl) Survivors() [][]int {
	if c.in == nil {
		return nil
	}
	return [][]int{c.in}
}

func (c *phasedControl) Opening() (secagg.Opening, error) { return nothing{}, nil }

type nothing struct{}

func (nothing) Liars() []int { return nil }

func (nothing) Erase() {}

// member is a client on the stage: its key, its party once there is a session, and
// the last event that it caused.
type member struct {
	key    ed25519.PrivateKey
	id     secagg.Identity
	party  secagg.Party
	sealed secagg.Commit
	last   Event
}

// stage drives one machine as the engine would, with real parties.
type stage struct {
	t       testing.TB
	set     Settings
	machine *Machine
	now     Instant
	cast    map[string]*member
	records [][]byte
	tasks   []Task // handed out and not done
	seen    func(from, to State)
}

func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("key of " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// newStage begins an attempt under a plan of key=value words.
func newStage(t testing.TB, words ...string) (*stage, Effects) {
	l := plan.DemonstrationWithoutNoise()
	l.Model = plan.Model{Tensors: []plan.Tensor{{Name: "w", Shape: []int{3}}}}
	l.Scheme = plan.Scheme{Name: plain.Name}
	l.Cohort = plan.Cohort{Size: 3, Minimum: 2}
	l.Deadlines = plan.Deadlines{Admission: 10 * time.Second, Exchange: 20 * time.Second, Upload: 100 * time.Second}
	l.Evaluation.Clients, l.Aggregation = false, plan.Aggregation{}
	var err error
	var absent, leftOut []secagg.PartyID
	fallback := false
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "scheme":
			l.Scheme.Name = v
			l.Scheme.CrossSilo = v == pairwise.Name
		case "size":
			l.Cohort.Size, err = strconv.Atoi(v)
		case "minimum":
			l.Cohort.Minimum, err = strconv.Atoi(v)
		case "over":
			l.Cohort.OverSelection, err = strconv.ParseFloat(v, 64)
		case "dropout":
			l.Scheme.Dropout, err = strconv.ParseFloat(v, 64)
		case "close":
			l.Cohort.CloseAt, err = strconv.Atoi(v)
		case "view":
			l.Aggregation.View = v
		case "fallback":
			l.Aggregation.Fallback = v
		case "privacy":
			l.Privacy = plan.Privacy{Mode: v, TrustCoordinator: true, Relation: "zero-out", NoiseMultiplier: 1, Delta: 1e-5, Epsilon: 100}
			l.Aggregation.Denominator, l.Encoding.Bits = "fixed", 0
		case "population":
			l.Cohort.Population, err = strconv.Atoi(v)
			l.Cohort.Selection = "poisson"
		case "quantile":
			l.Privacy.Clipping = plan.Clipping{Floor: 1, Ceiling: 100}
			l.Privacy.Clipping.Quantile, err = strconv.ParseFloat(v, 64)
		case "bucket":
			l.Aggregation.Buckets.Size, err = strconv.Atoi(v)
		case "least":
			l.Aggregation.Buckets.Minimum, err = strconv.Atoi(v)
		case "committee":
			var n int
			n, err = strconv.Atoi(v)
			l.Scheme.Committee = plan.CommitteeOf(committeeOf(t, n))
		case "absent":
			absent = append(absent, address(v))
		case "leftout":
			leftOut = append(leftOut, address(v))
		case "falling":
			fallback, err = strconv.ParseBool(v)
		default:
			err = fmt.Errorf("unknown word %q", w)
		}
		require.NoError(t, err)
	}
	p, err := l.Check(plain.Scheme{}, pairwise.Scheme{}, phased("ue"), phased("um"), phased("eum"), panel{})
	require.NoError(t, err)
	s := &stage{t: t, now: began, cast: map[string]*member{}, set: Settings{Plan: p, Began: began, Model: secagg.Hash("model"), ModelSize: 100,
		ID: secagg.RoundID{Job: p.Job(), Round: 1, Attempt: 1}, Absent: absent, LeftOut: leftOut, Fallback: fallback}}
	var fx Effects
	s.machine, fx = New(s.set)
	return s, fx
}

func (s *stage) member(name string) *member {
	m, ok := s.cast[name]
	if !ok {
		key := keyOf(name)
		m = &member{key: key, id: secagg.Enrol(keyOf("authority"), address(name), key.Public().(ed25519.PublicKey))}
		s.cast[name] = m
	}
	return m
}

// step feeds an event and keeps the journal and the tasks as the engine would.
func (s *stage) step(ev Event) (Effects, error) {
	from, at := s.machine.state, s.machine.step
	fx, err := s.machine.Step(ev)
	if err == nil && s.seen != nil && (from != s.machine.state || at != s.machine.step) {
		s.seen(from, s.machine.state)
	}
	s.keep(fx)
	return fx, err
}

func (s *stage) keep(fx Effects) {
	if fx.Persist != nil {
		s.records = append(s.records, fx.Persist)
	}
	s.tasks = append(s.tasks, fx.Tasks...)
	if fx.Outcome != nil {
		s.tasks = nil
	}
}

// crash rebuilds the machine from its journal. Members keep running.
func (s *stage) crash() (Effects, error) {
	m, fx, err := Restore(s.set, s.records)
	if err == nil {
		s.machine, s.tasks = m, nil
		s.keep(fx)
	}
	return fx, err
}

// reply makes a member answer its present instruction. It returns nil if it has none
// or refuses it.
func (s *stage) reply(name string) (Event, error) {
	m := s.member(name)
	env, ok := s.machine.Envelope(m.id.ID)
	if !ok || env.Over {
		return nil, fmt.Errorf("no instruction for %s", name)
	}
	if _, decryptor := secagg.DecryptorID(m.id.ID); decryptor {
		return Message{s.now, m.id.ID, env.Step, s.machine.control.(*panelControl).honest(name)}, nil
	}
	if _, real := s.set.Plan.Scheme().(secaggtest.Scheme); !real {
		if s.machine.State() != Uploading {
			return Message{s.now, m.id.ID, env.Step, []byte(name)}, nil
		}
		m.sealed = secagg.Commit{Content: secagg.Hash("upload of " + name), Size: 10}
		return s.uploaded(m, env.Step, secagg.SignCommit(m.key, s.session().Context, m.sealed)), nil
	}
	if m.party == nil {
		i := s.session().Roster.Index(m.id.ID)
		var err error
		m.party, err = s.set.Plan.Scheme().(secaggtest.Scheme).NewParty(s.session(), i, m.key, secaggtest.Coins(uint64(i), "party"))
		require.NoError(s.t, err)
	}
	reply, err := m.party.Step(env.Body)
	if err != nil {
		return nil, err
	}
	if !reply.Seal && s.machine.State() == Uploading { // repeated: it was sealed before
		return s.uploaded(m, env.Step, reply.Message), nil
	}
	if !reply.Seal {
		return Message{s.now, m.id.ID, env.Step, reply.Message}, nil
	}
	var out bytes.Buffer
	w := secagg.NewCommitWriter(&out)
	vector := make([]uint32, s.session().Words)
	for i := range vector {
		vector[i] = uint32(name[0]) // no two uploads alike
	}
	if reply, err = m.party.Seal(vector, w); err != nil {
		return nil, err
	}
	m.sealed = w.Commit()
	return s.uploaded(m, env.Step, reply.Message), nil
}

func (s *stage) uploaded(m *member, step uint32, frame []byte) Event {
	return Uploaded{s.now, m.id.ID, step, frame, m.sealed.Content, m.sealed.Size}
}

func (s *stage) session() secagg.Session {
	x, ok := s.machine.Session()
	require.True(s.t, ok)
	return x
}

// indices are the members' places in the roster.
func (s *stage) indices(names []string) []int {
	out := make([]int, len(names))
	for k, n := range names {
		out[k] = s.session().Roster.Index(secagg.PartyID(n))
	}
	return out
}

// everybody names the members in the roster.
func (s *stage) everybody() []string {
	var out []string
	for i := range s.machine.roster.Len() {
		out = append(out, string(s.machine.roster.At(i).ID))
	}
	return out
}

// fingerprint renders all that a machine is, so that two can be compared.
func fingerprint(m *Machine) string {
	var b strings.Builder
	fmt.Fprintln(&b, m.state, m.deadline, m.at, m.joined, m.roster.Root(), m.step, m.left, m.uploads, m.nextTask, m.unmasked, m.saved, m.outcome)
	fmt.Fprintln(&b, m.heard, m.closed, m.greeted, m.order, m.spoiled, m.liars, m.renew)
	var tasks []Task
	for _, t := range m.tasks {
		t.Open = nil
		tasks = append(tasks, t)
	}
	slices.SortFunc(tasks, func(a, b Task) int { return cmp.Compare(a.ID, b.ID) })
	fmt.Fprintln(&b, tasks)
	if m.control != nil {
		fmt.Fprintln(&b, m.session.Context, m.control.Phase(), m.control.Waiting(), m.control.Survivors())
		for i := range m.session.Parties() {
			env, ok := m.Envelope(m.session.Party(i))
			fmt.Fprintf(&b, "%x %v %v\n", env.Encode(), ok, m.Posted(m.session.Party(i), 0))
		}
	}
	return b.String()
}
