package rpc_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/auth"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/coordinator/rpc"
	"github.com/choir-fl/choir/decryptor"
	"github.com/choir-fl/choir/fault"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
)

var memberNames = []secagg.PartyID{"city", "lake", "north", "south"}

// memberKey is a committee member's long-lived key.
func memberKey(name secagg.PartyID) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func testCommittee(t *testing.T) secagg.Committee {
	t.Helper()
	var all []secagg.Decryptor
	for _, name := range memberNames {
		all = append(all, secagg.Join(memberKey(name), "hospitals", name))
	}
	c, err := secagg.NewCommittee("hospitals", all, 1)
	require.NoError(t, err)
	return c
}

// committeePlan is a plan whose sums the committee opens.
func committeePlan(c secagg.Committee, dimension, clients, rounds int) plan.Literal {
	l := testPlan(oneshot.Name, dimension, clients, clients, rounds)
	l.Scheme.Committee = plan.CommitteeOf(c)
	return l
}

// memory is a decryptor.State that a test keeps over restarts.
type memory struct {
	mu      sync.Mutex
	records map[string][]byte
}

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

// serve runs the members of the committee that are named until the test ends, or until
// stop is called for one.
func (w *world) serve(c secagg.Committee, names ...secagg.PartyID) (stop map[secagg.PartyID]func(), again func(secagg.PartyID)) {
	w.t.Helper()
	stop = map[secagg.PartyID]func(){}
	states, transports := map[secagg.PartyID]*memory{}, map[secagg.PartyID]decryptor.Transport{}
	authority := w.registry.Authority().PublicKey()
	again = func(name secagg.PartyID) {
		d, err := decryptor.New(decryptor.Config{
			Policy: decryptor.Policy{Committee: c, Name: name, Keys: secagg.DecryptorKeys{Sign: memberKey(name)}, Authority: authority,
				Schemes: []secagg.CommitteeScheme{oneshot.Scheme{}}, Limits: decryptor.Limits{Jobs: []string{"job"}, Minimum: 1, BucketMinimum: 1, Exact: true}},
			Transport: transports[name], State: states[name], Epoch: time.Hour, Now: time.Now,
			Log: slog.New(slog.NewTextHandler(w.logs, nil)).With("member", name),
		})
		require.NoError(w.t, err)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = d.Run(ctx) }()
		stop[name] = sync.OnceFunc(func() { cancel(); <-ended })
	}
	for _, name := range names {
		states[name] = &memory{records: map[string][]byte{}}
		transports[name] = w.transport(w.enrol(auth.RoleDecryptor, string(name)))
		again(name)
	}
	w.t.Cleanup(func() {
		for _, s := range stop {
			s()
		}
	})
	return stop, again
}

// A run over the network whose sums a committee opens, one member of which is not
// there: the model must be the initial one plus the plain mean of the updates, exactly.
func TestACommitteeOverTheNetworkOpensThePlainSum(t *testing.T) {
	const clients, dimension, rounds = 8, 20_001, 2
	w := newWorld(t, rpc.Limits{Poll: 300 * time.Millisecond}) // so that polls end in every phase
	o := w.operator()
	c := testCommittee(t)
	people := w.people(clients)
	var transports []client.Transport
	for _, p := range people {
		transports = append(transports, w.transport(p))
	}
	initial := ramp(t, dimension)
	l := committeePlan(c, dimension, clients, rounds)
	l.Deadlines = plan.Deadlines{Admission: 2 * time.Second, Exchange: time.Minute, Upload: time.Minute}
	w.begin(o, l, initial)
	stop, again := w.serve(c, memberNames[:3]...)
	w.crowd(transports, people, c.Root())
	stop["lake"]() // and back again: it goes on from its record, or joins now
	again("lake")
	state, reports := w.await(o)
	require.Equal(t, "finished", state.GetStatus(), "%s\n%s", state.GetReason(), w.logs)
	released := 0
	for _, r := range reports {
		if r.GetReleased() {
			released++
			require.EqualValues(t, clients, r.GetSurvivors())
		}
	}
	require.Equal(t, rounds, released)
	want := initial.Clone()
	for range rounds {
		for i := range want.Values() {
			var sum float64
			for c := range clients {
				sum += float64(c+1+i%5) * step
			}
			want.Values()[i] = float32(float64(want.Values()[i]) + sum/clients)
		}
	}
	require.Equal(t, want.Values(), w.export(o).Values())
}

func TestCommitteeMembersAreTheirCertificates(t *testing.T) {
	w := newWorld(t, rpc.Limits{Poll: time.Millisecond})
	o := w.operator()
	c := testCommittee(t)
	w.begin(o, committeePlan(c, 100, 3, 1), ramp(t, 100))
	city, stranger := w.transport(w.enrol(auth.RoleDecryptor, "city")), w.transport(w.enrol(auth.RoleDecryptor, "stranger"))
	client1 := w.transport(w.enrol(auth.RoleClient, "lake"))

	for _, job := range []string{"", "job"} {
		offer, err := city.CheckIn(t.Context(), job, client.Conditions{})
		require.NoError(t, err)
		require.Equal(t, c.Root(), offer.Task.Terms.Committee.Root())
	}
	_, err := stranger.CheckIn(t.Context(), "job", client.Conditions{})
	require.ErrorIs(t, err, round.ErrNotMember)
	offer, err := stranger.CheckIn(t.Context(), "", client.Conditions{})
	require.NoError(t, err, "no run is under a committee of its own")
	require.Nil(t, offer.Task)
	require.Positive(t, offer.Wait)

	task, err := city.CheckIn(t.Context(), "job", client.Conditions{})
	require.NoError(t, err)
	id := task.Task.Round
	announce := func(name secagg.PartyID) []byte {
		r, err := oneshot.Scheme{}.Announce(id, c, c.Index(name), secagg.DecryptorKeys{Sign: memberKey(name), Epochs: []secagg.EpochSeed{{Number: 1}}}, zeros{})
		require.NoError(t, err)
		return r.Message
	}
	require.Error(t, client1.Send(t.Context(), client.Message{Round: id, Body: announce("lake")}), "a client of a member's name is no member")
	require.Error(t, city.Send(t.Context(), client.Message{Round: id, Body: announce("lake")}), "nor is another member")
	require.ErrorIs(t, stranger.Send(t.Context(), client.Message{Round: id, Body: announce("lake")}), round.ErrNotMember)
	require.NoError(t, city.Send(t.Context(), client.Message{Round: id, Body: announce("city")}))
	require.NoError(t, city.Send(t.Context(), client.Message{Round: id, Body: announce("city")}), "may be repeated")

	var letters bytes.Buffer
	require.NoError(t, city.Letters(t.Context(), id, 0, &letters), "there are none yet")
	require.Zero(t, letters.Len())
	other := id
	other.Attempt++
	require.ErrorIs(t, city.Letters(t.Context(), other, 0, &letters), coordinator.ErrNoRound)
	require.ErrorIs(t, client1.Letters(t.Context(), id, 0, &letters), auth.ErrDenied)
	require.Equal(t, fault.Usage, fault.ClassOf(city.Letters(t.Context(), id, -1, &letters)))
	require.ErrorIs(t, city.Fetch(t.Context(), id, task.Task.Model, 0, io.Discard), auth.ErrDenied, "a member has no use for models")
}

func TestARevokedCommitteeMemberIsTurnedAway(t *testing.T) {
	w := newWorld(t, rpc.Limits{})
	o := w.operator()
	c := testCommittee(t)
	w.begin(o, committeePlan(c, 100, 3, 1), ramp(t, 100))
	made, err := o.CreateToken(t.Context(), &choirv1.CreateTokenRequest{Role: choirv1.Role_ROLE_DECRYPTOR, Name: "city"})
	require.NoError(t, err)
	creds, err := grpctransport.Enrol(t.Context(), grpctransport.Enrolment{Address: w.address, Token: made.GetToken(), File: filepath.Join(t.TempDir(), "choir.pem")})
	require.NoError(t, err)
	require.Equal(t, "city", creds.Name())
	require.Zero(t, creds.Identity, "a member is no client")
	city := w.transport(creds)
	_, err = city.CheckIn(t.Context(), "job", client.Conditions{})
	require.NoError(t, err)
	require.NoError(t, o.Revoke(t.Context(), &choirv1.RevokeRequest{Role: choirv1.Role_ROLE_DECRYPTOR, Name: "city"}))
	_, err = city.CheckIn(t.Context(), "job", client.Conditions{})
	require.ErrorIs(t, err, auth.ErrRevoked)
}
