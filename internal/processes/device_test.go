package processes

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/client/filestate"
	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/tensor"
)

// device is a client, as it is told to a process.
type device struct {
	Address     string
	Credentials string // file
	State       string // directory
	Index       int    // among Clients, which the pattern of its updates depends on
	Clients     int
	Committees  []secagg.Digest // pinned
	// Data are directories of examples that the device trains the built-in softmax on, by
	// "round/attempt"; those of all other attempts under "". None: it adds the pattern.
	Data map[string]string
	// Stop is where the device stops in round StopRound, or in each if that is 0, until
	// it is killed or told to go on: one of the steps below. Empty: nowhere.
	Stop      string
	StopRound uint32
}

// Steps at which a device can stop: when it is about to send the message of a phase,
// before it trained, before the first byte of its upload, and after the first part of it.
const (
	atTrain     = "training"
	atAdvertise = "advertise"
	atChoose    = "choose"
	atShare     = "share"
	atUpload    = "upload"
	atPart      = "part of the upload"
	atAgree     = "agree"
	atUnmask    = "unmask"
)

// sendSteps are the steps of the messages, which follow the scheme's phases.
var sendSteps = map[uint32]string{1: atAdvertise, 2: atChoose, 3: atShare, 5: atAgree, 6: atUnmask}

// runDevices is the role of clients: one for each device, until one fails or the
// process is killed. Two at a time hold a model.
func runDevices() error {
	var devices []device
	if err := json.Unmarshal([]byte(os.Args[1]), &devices); err != nil {
		return err
	}
	var orders sync.Mutex
	input := bufio.NewScanner(os.Stdin)
	wait := func() { // for one line
		orders.Lock()
		defer orders.Unlock()
		if !input.Scan() {
			select {}
		}
	}
	turns := make(chan struct{}, 2)
	failed := make(chan error)
	for _, d := range devices {
		go func() { failed <- d.run(wait, turns) }()
	}
	return <-failed
}

// run takes part until the process ends.
func (d device) run(wait func(), turns chan struct{}) error {
	creds, err := grpctransport.Load(d.Credentials)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, nil)).With("device", creds.Name())
	link, err := grpctransport.New(grpctransport.Config{Address: d.Address, Credentials: creds, File: d.Credentials, Log: log})
	if err != nil {
		return err
	}
	defer link.Close()
	state, err := filestate.Open(d.State, nil)
	if err != nil {
		return err
	}
	defer state.Close()
	r := &reporting{Transport: link, device: d, name: creds.Name(), wait: wait, turns: turns}
	c, err := client.New(r, r,
		client.WithIdentity(creds.Identity, creds.Key, creds.AuthorityKey()),
		client.WithSchemes(pairwise.Scheme{}, oneshot.Scheme{}),
		client.WithConsent(client.Limits{Minimum: 1, TrustCoordinator: true, Committees: d.Committees}),
		client.WithState(state),
		client.WithLogger(log))
	if err != nil {
		return err
	}
	return c.Run(context.Background())
}

// reporting is a transport that prints what goes through it, and a trainer. It stops
// where it is told.
type reporting struct {
	client.Transport
	device
	name  string
	wait  func()
	turns chan struct{} // held from before the model is fetched until the update is sealed

	mu   sync.Mutex
	held bool
}

// stop prints where the device is, and stops if that is the place.
func (r *reporting) stop(round secagg.RoundID, step string) {
	if step != "" && step == r.Stop && (round.Round == r.StopRound || r.StopRound == 0) {
		fmt.Printf("%s: stopped at %s of round %d, attempt %d\n", r.name, step, round.Round, round.Attempt)
		r.wait()
	}
}

// Send implements client.Mailbox.
func (r *reporting) Send(ctx context.Context, m client.Message) error {
	r.stop(m.Round, sendSteps[m.Step])
	return r.Transport.Send(ctx, m)
}

// Fetch implements client.Bulk.
func (r *reporting) Fetch(ctx context.Context, round secagg.RoundID, model secagg.Digest, offset int64, w io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.held {
		select {
		case r.turns <- struct{}{}:
			r.held = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return r.Transport.Fetch(ctx, round, model, offset, w)
}

// Train implements client.Trainer.
func (r *reporting) Train(ctx context.Context, m tensor.Model, task secagg.Task) (client.Update, error) {
	r.stop(task.Round, atTrain)
	if len(r.Data) > 0 {
		return r.learn(m, task)
	}
	return pattern{r.Index, r.Clients}.Train(ctx, m, task)
}

// release lets another client of the process have its turn.
func (r *reporting) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held {
		<-r.turns
		r.held = false
	}
}

// Upload implements client.Bulk.
func (r *reporting) Upload(ctx context.Context, m client.Message, sealed io.ReadSeeker, size int64) error {
	r.release()
	r.stop(m.Round, atUpload)
	if r.Stop == atPart {
		sealed = &cut{ReadSeeker: sealed, at: func() { r.stop(m.Round, atPart) }}
	}
	err := r.Transport.Upload(ctx, m, sealed, size)
	if err == nil {
		fmt.Printf("%s: acknowledged upload of round %d\n", r.name, m.Round.Round)
	}
	return err
}

// Receive implements client.Mailbox.
func (r *reporting) Receive(ctx context.Context, round secagg.RoundID, after uint32) (secagg.Envelope, error) {
	env, err := r.Transport.Receive(ctx, round, after)
	if err == nil && env.Over {
		r.release() // whatever became of it
	}
	return env, err
}

// stopAfter is how many bytes of an upload a device sends before it stops in it:
// five parts, of which the transport lets at most two be on their way, and one wait,
// while the coordinator has not read those before.
const stopAfter = 5 * 256 << 10

// cut is a ciphertext that stops its reader after some bytes.
type cut struct {
	io.ReadSeeker
	at   func()
	read int
}

// Read implements io.Reader.
func (c *cut) Read(p []byte) (int, error) {
	if c.read >= stopAfter {
		c.at()
	}
	n, err := c.ReadSeeker.Read(p[:min(len(p), max(stopAfter-c.read, 1<<10))])
	c.read += n
	return n, err
}

// pattern is a trainer that adds a known multiple of the plan's resolution to each
// value: exactly representable, so that nothing of the update is rounded.
type pattern struct{ index, clients int }

// resolution is the step of the plan's encoding; values of models are multiples of it.
const resolution = 1.0 / 1024

// at is what a client adds to a value in a round, in units. The first values tell
// the clients apart: each belongs to one of them.
func (p pattern) at(i int, round uint32) int {
	if i < p.clients {
		if i == p.index {
			return 1
		}
		return 0
	}
	return (31*i + 7*p.index + 13*int(round)) % 5
}

// Train implements client.Trainer. An update is divided by the cohort's size, so it
// is a multiple of that, and the mean is exact too.
func (p pattern) Train(_ context.Context, m tensor.Model, task secagg.Task) (client.Update, error) {
	for i, v := range m.Values() {
		m.Values()[i] = v + float32(p.at(i, task.Round.Round)*p.clients)*resolution
	}
	return client.Update{Model: m, Examples: 1}, nil
}

// expected is the model after a round in which some clients' updates were summed.
func expected(before tensor.Model, round uint32, clients int, survivors []int) tensor.Model {
	after := before.Clone()
	for i := range after.Values() {
		sum := 0
		for _, s := range survivors {
			sum += pattern{s, clients}.at(i, round)
		}
		after.Values()[i] += float32(sum) * resolution
	}
	return after
}
