package grpctransport

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/choir-fl/choir/client"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/proto/choir/v1/choirv1grpc"
	"github.com/choir-fl/choir/secagg"
)

const (
	shortestPause = 250 * time.Millisecond
	longestPause  = 30 * time.Second
	// callTimeout bounds one try of a short call: a coordinator that accepts
	// connections and does not answer is tried again.
	callTimeout = 40 * time.Second
)

// Config is what a transport is made of.
type Config struct {
	// Address is the coordinator's host and port. The host must be among the names
	// in the coordinator's certificate.
	Address string
	// Credentials are those of Enrol or Load.
	Credentials Credentials
	// File is where the credentials came from and where renewed ones go; empty to
	// keep them in memory only.
	File string
	// ShortestPause and LongestPause bound the pauses between tries. Defaults 250 ms and 30 s.
	ShortestPause, LongestPause time.Duration
	// Log gets what is tried again; nil for nobody.
	Log *slog.Logger
}

// Transport implements client.Transport. Safe for concurrent use.
type Transport struct {
	cfg   Config
	retry retrier

	mu     sync.Mutex // owns the fields below
	creds  Credentials
	link   *grpc.ClientConn
	closed bool
}

var _ client.Transport = (*Transport)(nil)

func newRetrier(shortest, longest time.Duration, log *slog.Logger) retrier {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return retrier{shortest: cmp.Or(shortest, shortestPause), longest: cmp.Or(longest, longestPause), log: log}
}

// New prepares a transport. It connects when the first call needs it.
func New(cfg Config) (*Transport, error) {
	if cfg.Credentials.Certificate == nil || cfg.Credentials.Authority == nil {
		return nil, ErrNotEnrolled
	}
	if cfg.ShortestPause < 0 || cfg.LongestPause < 0 {
		return nil, ErrConfig.At("negative pause")
	}
	t := &Transport{cfg: cfg, retry: newRetrier(cfg.ShortestPause, cfg.LongestPause, cfg.Log)}
	return t, t.use(cfg.Credentials)
}

// use replaces the credentials and the connection.
func (t *Transport) use(c Credentials) error {
	if err := c.check(); err != nil {
		return err
	}
	link, err := dial(t.cfg.Address, partyTLS(c), t.retry.shortest, t.retry.longest)
	if err != nil {
		return err
	}
	t.mu.Lock()
	old := t.link
	if t.closed {
		old, link = link, t.link
	}
	t.creds, t.link = c, link
	t.mu.Unlock()
	if old != nil {
		return old.Close()
	}
	return nil
}

func (t *Transport) credentials() Credentials {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.creds
}

// conn returns the present connection, ready to be made at once.
func (t *Transport) conn() *grpc.ClientConn {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.link.ResetConnectBackoff() // the retrier alone decides when to try
	return t.link
}

func (t *Transport) round() choirv1grpc.RoundClient { return choirv1grpc.NewRoundClient(t.conn()) }

// ErrClosed is a call of a transport that was closed.
var errClosed = ErrConfig.Because(errors.New("the transport was closed"))

// Close ends all calls and the connection.
func (t *Transport) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	return t.link.Close()
}

// do is retrier.do, ended by Close.
func (t *Transport) do(ctx context.Context, name string, try func(context.Context) (bool, error)) error {
	return t.retry.do(ctx, name, func() (bool, error) {
		t.mu.Lock()
		closed := t.closed
		t.mu.Unlock()
		if closed {
			return false, errClosed
		}
		ctx, cancel := context.WithCancel(ctx) // a stream that is left ends with it
		defer cancel()
		return try(ctx)
	})
}

func wireRound(r secagg.RoundID) *choirv1.RoundId {
	return &choirv1.RoundId{Job: r.Job, Round: r.Round, Attempt: r.Attempt}
}

// collect reads the parts of a canonical message until the stream ends.
func collect(next func() ([]byte, error)) ([]byte, error) {
	var message []byte
	for {
		part, err := next()
		if errors.Is(err, io.EOF) {
			return message, nil
		}
		if err != nil {
			return nil, err
		}
		if len(message)+len(part) > secagg.MaxMessage {
			return nil, ErrAnswer.At("message above %d bytes", secagg.MaxMessage)
		}
		message = append(message, part...)
	}
}

// CheckIn implements client.Mailbox.
func (t *Transport) CheckIn(ctx context.Context, job string, c client.Conditions) (client.Offer, error) {
	var offer client.Offer
	err := t.do(ctx, "CheckIn", func(ctx context.Context) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		stream, err := t.round().CheckIn(ctx, &choirv1.CheckInRequest{Job: job, Charging: c.Charging, Unmetered: c.Unmetered, Idle: c.Idle})
		if err != nil {
			return false, err
		}
		var wait uint64
		task, err := collect(func() ([]byte, error) {
			m, err := stream.Recv()
			wait = max(wait, m.GetWaitMillis())
			return m.GetTask(), err
		})
		if err != nil {
			return false, err
		}
		if len(task) == 0 {
			offer = client.Offer{Wait: time.Duration(min(wait, maxWait)) * time.Millisecond}
			return true, nil
		}
		decoded, err := secagg.DecodeTask(task)
		if err != nil {
			return false, err
		}
		offer = client.Offer{Task: &decoded}
		return true, nil
	})
	return offer, err
}

// maxWait is the longest pause that a coordinator may ask for, in milliseconds.
const maxWait = 7 * 24 * 60 * 60 * 1000

// Send implements client.Mailbox. Nil also means that the attempt has gone beyond
// the step: the message was taken by an earlier call, or came too late.
func (t *Transport) Send(ctx context.Context, m client.Message) error {
	return t.do(ctx, "Send", func(ctx context.Context) (bool, error) {
		stream, err := t.round().Send(ctx)
		if err != nil {
			return false, err
		}
		err = stream.Send(&choirv1.SendRequest{Header: header(m)})
		if err == nil {
			err = parts(m.Body, func(p []byte) error { return stream.Send(&choirv1.SendRequest{Data: p}) })
		}
		return finish(err, func() error { _, err := stream.CloseAndRecv(); return err })
	})
}

func header(m client.Message) *choirv1.MessageHeader {
	return &choirv1.MessageHeader{Round: wireRound(m.Round), Step: m.Step, Size: uint32(len(m.Body))}
}

// parts cuts a message.
func parts(body []byte, send func([]byte) error) error {
	if len(body) > secagg.MaxMessage {
		return ErrLarge.At("message of %d bytes", len(body))
	}
	for len(body) > 0 {
		n := min(len(body), maxPart)
		if err := send(body[:n]); err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}

// finish ends a stream of requests. If sending failed with io.EOF the coordinator
// has ended the stream before, and its answer says why.
func finish(sent error, answer func() error) (bool, error) {
	if sent != nil && !errors.Is(sent, io.EOF) {
		return false, sent
	}
	err := answer()
	if err == nil && sent != nil {
		err = ErrAnswer.At("success before the end of the message")
	}
	return err == nil, err
}

// Receive implements client.Mailbox.
func (t *Transport) Receive(ctx context.Context, round secagg.RoundID, after uint32) (secagg.Envelope, error) {
	for {
		var message []byte
		err := t.do(ctx, "Receive", func(ctx context.Context) (bool, error) {
			stream, err := t.round().Receive(ctx, &choirv1.ReceiveRequest{Round: wireRound(round), After: after})
			if err != nil {
				return false, err
			}
			message, err = collect(func() ([]byte, error) {
				m, err := stream.Recv()
				return m.GetData(), err
			})
			return false, err
		})
		if err != nil {
			return secagg.Envelope{}, err
		}
		if len(message) == 0 {
			continue // nothing yet
		}
		env, err := secagg.DecodeEnvelope(message)
		if err != nil {
			return secagg.Envelope{}, err
		}
		if env.Round != round || env.Step <= after {
			return secagg.Envelope{}, ErrAnswer.At("envelope %s, step %d, for %s after %d", env.Round, env.Step, round, after)
		}
		return env, nil
	}
}
