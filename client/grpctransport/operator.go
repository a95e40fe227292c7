package grpctransport

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/proto/choir/v1/choirv1grpc"
)

// Operator makes an operator's calls. Nothing is tried again: a person is waiting
// and sees what failed. Safe for concurrent use.
type Operator struct {
	conn *grpc.ClientConn
	stub choirv1grpc.OperatorClient
}

// NewOperator prepares a connection with an operator's credentials.
func NewOperator(address string, c Credentials) (*Operator, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	conn, err := dial(address, partyTLS(c), shortestPause, longestPause)
	if err != nil {
		return nil, err
	}
	return &Operator{conn: conn, stub: choirv1grpc.NewOperatorClient(conn)}, nil
}

// Close ends the connection.
func (o *Operator) Close() error { return o.conn.Close() }

// Run is a run to start.
type Run struct {
	// Name is what the plan is called in errors, such as its file name.
	Name string
	// Plan is the plan in YAML.
	Plan []byte
	// Model holds ModelSize bytes of safetensors to start from; nil if the
	// coordinator is to make the model that the plan names.
	Model     io.Reader
	ModelSize int64
	// Resume continues the run of this job from its last model, under this plan.
	Resume bool
}

// StartRun begins or resumes a run.
func (o *Operator) StartRun(ctx context.Context, r Run) (*choirv1.RunState, error) {
	if len(r.Plan) == 0 || len(r.Plan) > maxMessage || r.ModelSize < 0 || (r.Model == nil) != (r.ModelSize == 0) {
		return nil, errPlan.At("%s", r.Name)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := o.stub.StartRun(ctx)
	if err != nil {
		return nil, Fault(err)
	}
	send := func(p []byte) error { return stream.Send(&choirv1.StartRunRequest{Data: p}) }
	err = stream.Send(&choirv1.StartRunRequest{Header: &choirv1.StartRunHeader{Name: r.Name, PlanSize: uint32(len(r.Plan)),
		ModelSize: uint64(r.ModelSize), Resume: r.Resume}})
	if err == nil {
		err = parts(r.Plan, send)
	}
	buf := make([]byte, min(r.ModelSize, maxPart))
	for rest := r.ModelSize; err == nil && rest > 0; {
		p := buf[:min(rest, maxPart)]
		if _, err := io.ReadFull(r.Model, p); err != nil {
			return nil, errPlan.At("%s: model", r.Name).Because(err)
		}
		err = send(p)
		rest -= int64(len(p))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, Fault(err)
	}
	state, err := stream.CloseAndRecv()
	return state, Fault(err)
}

// Runs lists all runs.
func (o *Operator) Runs(ctx context.Context) ([]*choirv1.RunState, error) {
	r, err := o.stub.ListRuns(ctx, &choirv1.ListRunsRequest{})
	return r.GetRuns(), Fault(err)
}

// Watch calls fn for each change of a run until it is finished or stopped, ctx
// ends, or fn returns an error, which is returned.
func (o *Operator) Watch(ctx context.Context, job string, fn func(*choirv1.WatchRunResponse) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := o.stub.WatchRun(ctx, &choirv1.RunRequest{Job: job})
	if err != nil {
		return Fault(err)
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return Fault(err)
		}
		if err := fn(m); err != nil {
			return err
		}
	}
}

// Pause ends the attempt under way; none begins until Resume.
func (o *Operator) Pause(ctx context.Context, job string) (*choirv1.RunState, error) {
	s, err := o.stub.Pause(ctx, &choirv1.RunRequest{Job: job})
	return s, Fault(err)
}

// Resume continues a paused run.
func (o *Operator) Resume(ctx context.Context, job string) (*choirv1.RunState, error) {
	s, err := o.stub.Resume(ctx, &choirv1.RunRequest{Job: job})
	return s, Fault(err)
}

// Abort ends a run.
func (o *Operator) Abort(ctx context.Context, job string) (*choirv1.RunState, error) {
	s, err := o.stub.Abort(ctx, &choirv1.RunRequest{Job: job})
	return s, Fault(err)
}

// Quarantine leaves a client out of a run from its next attempt on, for a reason that is
// kept.
func (o *Operator) Quarantine(ctx context.Context, job, client, reason string) (*choirv1.RunState, error) {
	s, err := o.stub.Quarantine(ctx, &choirv1.QuarantineRequest{Job: job, Client: client, Reason: reason})
	return s, Fault(err)
}

// Release ends a client's quarantine from the run's next attempt on.
func (o *Operator) Release(ctx context.Context, job, client, reason string) (*choirv1.RunState, error) {
	s, err := o.stub.Release(ctx, &choirv1.QuarantineRequest{Job: job, Client: client, Reason: reason})
	return s, Fault(err)
}

// Export writes the latest model as a safetensors file.
func (o *Operator) Export(ctx context.Context, job string, w io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := o.stub.Export(ctx, &choirv1.RunRequest{Job: job})
	if err != nil {
		return Fault(err)
	}
	_, err = receiveFile(stream.Recv, 0, w)
	return Fault(err)
}

// CreateToken makes a one-time token of enrolment.
func (o *Operator) CreateToken(ctx context.Context, req *choirv1.CreateTokenRequest) (*choirv1.CreateTokenResponse, error) {
	r, err := o.stub.CreateToken(ctx, req)
	return r, Fault(err)
}

// Revoke refuses a party from now on.
func (o *Operator) Revoke(ctx context.Context, req *choirv1.RevokeRequest) error {
	_, err := o.stub.Revoke(ctx, req)
	return Fault(err)
}
