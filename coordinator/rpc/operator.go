package rpc

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/auth"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/fault"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/proto/choir/v1/choirv1grpc"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// operatorService is what operators call.
type operatorService struct {
	choirv1grpc.UnimplementedOperatorServer
	s *Server
}

const (
	maxPlan      = 1 << 20 // bytes of YAML
	defaultToken = 24 * time.Hour
	maxCulprits  = 100
	// watchInterval is how often a run that is watched is looked at.
	watchInterval = time.Second
)

// errModel is an initial model that cannot be read.
var errModel = fault.New(fault.Invalid, "rpc/model", "initial model is refused", "send a safetensors file of float32 tensors")

// StartRun implements choirv1grpc.OperatorServer.
func (o operatorService) StartRun(stream choirv1grpc.Operator_StartRunServer) error {
	h, err := header[*choirv1.StartRunRequest](stream.Recv)
	if err != nil {
		return err
	}
	in := &incoming[*choirv1.StartRunRequest, *choirv1.StartRunHeader]{recv: stream.Recv}
	l, initial, err := o.readRun(h, in)
	if err != nil {
		return spellOut(err)
	}
	p, err := l.Check(o.s.cfg.Schemes...)
	if err != nil {
		return spellOut(err)
	}
	r, err := o.s.runs.start(p, initial, h.GetResume())
	if err != nil {
		return spellOut(err)
	}
	o.s.log.Info("run started", "job", r.job, "operator", party(stream.Context()).Name, "resumed", h.GetResume())
	return stream.SendAndClose(r.state())
}

// readRun reads a plan and its initial model, if any, and completes the plan.
func (o operatorService) readRun(h *choirv1.StartRunHeader, in io.Reader) (plan.Literal, tensor.Model, error) {
	if h.GetPlanSize() == 0 || h.GetPlanSize() > maxPlan || h.GetModelSize() > uint64(o.s.limits.Model) || len(h.GetName()) > 200 {
		return plan.Literal{}, tensor.Model{}, ErrTooLarge.At("plan of %d bytes, model of %d", h.GetPlanSize(), h.GetModelSize())
	}
	text := io.LimitReader(in, int64(h.GetPlanSize()))
	l, err := plan.Parse(h.GetName(), text)
	if err != nil {
		return l, tensor.Model{}, err
	}
	if h.GetModelSize() == 0 {
		if _, err := in.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			return l, tensor.Model{}, ErrMessage.At("bytes after the plan")
		}
		switch {
		case o.s.cfg.Complete != nil:
			return o.s.cfg.Complete(l)
		case h.GetResume():
			return l, tensor.Model{}, nil
		}
		return l, tensor.Model{}, ErrNoModel
	}
	m, err := tensor.ReadSafetensors(in, int64(h.GetModelSize()))
	if err != nil {
		return l, m, errModel.Because(err)
	}
	if len(l.Model.Tensors) == 0 {
		for _, s := range m.Schema().Specs() {
			l.Model.Tensors = append(l.Model.Tensors, plan.Tensor{Name: s.Name, Shape: s.Shape})
		}
	}
	return l, m, nil
}

// state converts where a run stands.
func (r *run) state() *choirv1.RunState {
	s := r.engine.State()
	digest := r.plan.Digest()
	out := &choirv1.RunState{Job: r.job, Status: s.Status.String(), Reason: s.Reason, Rounds: uint32(s.Rounds), RoundsPlanned: uint32(r.plan.Rounds()),
		Phase: s.Phase, Meaning: s.Meaning, Admitted: uint32(s.Admitted), Uploads: uint32(s.Uploads), Model: s.Model[:],
		ModelSize: uint64(s.ModelSize), Plan: digest[:]}
	if s.ID.Round != 0 {
		out.Id = wireRoundID(s.ID)
	}
	spent, clipNorm := r.engine.Privacy()
	out.Privacy = wirePrivacy(spent, clipNorm)
	r.screening(s, out)
	if s.Failed != nil {
		out.Status, out.Reason = "failed", "the store failed: restart the coordinator; its log says why"
	}
	return out
}

// ListRuns implements choirv1grpc.OperatorServer.
func (o operatorService) ListRuns(context.Context, *choirv1.ListRunsRequest) (*choirv1.ListRunsResponse, error) {
	out := &choirv1.ListRunsResponse{}
	for _, r := range o.s.runs.list() {
		out.Runs = append(out.Runs, r.state())
	}
	return out, nil
}

// WatchRun implements choirv1grpc.OperatorServer.
func (o operatorService) WatchRun(req *choirv1.RunRequest, stream choirv1grpc.Operator_WatchRunServer) error {
	look := time.NewTicker(watchInterval)
	defer look.Stop()
	var last *choirv1.RunState
	for seen := 0; ; {
		r, err := o.s.runs.get(req.GetJob()) // each time: a resumed run is another
		if err != nil {
			return err
		}
		state := r.state() // before the reports: those of a run that is over are all there
		reports, now, changed := r.reportsSince(seen)
		seen = now
		for _, report := range reports {
			if err := stream.Send(&choirv1.WatchRunResponse{Report: wireReport(report)}); err != nil {
				return err
			}
		}
		if !proto.Equal(state, last) {
			if err := stream.Send(&choirv1.WatchRunResponse{State: state}); err != nil {
				return err
			}
			last = state
		}
		switch state.Status {
		case coordinator.Finished.String(), coordinator.Stopped.String(), coordinator.BudgetExhausted.String():
			return nil
		}
		select {
		case <-changed:
		case <-look.C:
		case <-o.s.stopping:
			return ErrStopping
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func wireReport(r coordinator.Report) *choirv1.RoundReport {
	out := &choirv1.RoundReport{Id: wireRoundID(r.ID), Began: timestamppb.New(r.Began), Ended: timestamppb.New(r.Ended), Invited: uint32(r.Invited),
		Admitted: uint32(r.Admitted), Survivors: uint32(r.Survivors), Buckets: uint32(r.Buckets), Released: r.Released, Reason: r.Reason,
		Model: r.Model[:], UploadBytes: uint64(r.UploadBytes), UpdateNorm: r.UpdateNorm,
		Privacy: wirePrivacy(r.Spent, r.ClipNorm), Figures: wireFigures(r.Figures), Holdout: wireMeasurement(r.Holdout),
		RolledBack: r.RolledBack, Alerts: wireAlerts(r.Alerts), Quarantined: uint32(r.Quarantined),
		Clipped: r.Clipped, Trend: wireTrend(r.Trend), Short: uint32(r.Short), Spoiled: uint32(r.Spoiled)}
	for _, c := range r.Culprits[:min(len(r.Culprits), maxCulprits)] {
		out.Culprits = append(out.Culprits, string(c))
	}
	if e := r.Evaluation; e != nil {
		out.Evaluation = &choirv1.Evaluation{Weight: e.Weight, Accuracy: e.Accuracy, Loss: e.Loss}
	}
	return out
}

// wirePrivacy converts what has been learned of a client; nil without noise.
func wirePrivacy(s coordinator.Spent, clipNorm float64) *choirv1.Privacy {
	if s.Delta == nil {
		return nil
	}
	return &choirv1.Privacy{EpsilonReleased: s.Released, EpsilonCoordinator: s.Coordinator, Delta: *s.Delta, ClipNorm: clipNorm}
}

// Pause implements choirv1grpc.OperatorServer.
func (o operatorService) Pause(ctx context.Context, req *choirv1.RunRequest) (*choirv1.RunState, error) {
	return o.change(ctx, req, "paused", (*coordinator.Engine).Pause)
}

// Resume implements choirv1grpc.OperatorServer.
func (o operatorService) Resume(ctx context.Context, req *choirv1.RunRequest) (*choirv1.RunState, error) {
	return o.change(ctx, req, "resumed", (*coordinator.Engine).Resume)
}

// Abort implements choirv1grpc.OperatorServer.
func (o operatorService) Abort(ctx context.Context, req *choirv1.RunRequest) (*choirv1.RunState, error) {
	return o.change(ctx, req, "aborted", (*coordinator.Engine).Abort)
}

func (o operatorService) change(ctx context.Context, req *choirv1.RunRequest, what string, do func(*coordinator.Engine) error) (*choirv1.RunState, error) {
	r, err := o.s.runs.get(req.GetJob())
	if err != nil {
		return nil, err
	}
	if err := do(r.engine); err != nil {
		return nil, err
	}
	o.s.log.Info("run "+what, "job", r.job, "operator", party(ctx).Name)
	return r.state(), nil
}

// Quarantine implements choirv1grpc.OperatorServer.
func (o operatorService) Quarantine(ctx context.Context, req *choirv1.QuarantineRequest) (*choirv1.RunState, error) {
	return o.screen(ctx, req, "quarantined", (*coordinator.Engine).Quarantine)
}

// Release implements choirv1grpc.OperatorServer.
func (o operatorService) Release(ctx context.Context, req *choirv1.QuarantineRequest) (*choirv1.RunState, error) {
	return o.screen(ctx, req, "released from quarantine", (*coordinator.Engine).Release)
}

func (o operatorService) screen(ctx context.Context, req *choirv1.QuarantineRequest, what string,
	do func(e *coordinator.Engine, client secagg.PartyID, by, reason string) error) (*choirv1.RunState, error) {
	r, err := o.s.runs.get(req.GetJob())
	if err != nil {
		return nil, err
	}
	if err := do(r.engine, secagg.PartyID(req.GetClient()), party(ctx).Name, req.GetReason()); err != nil {
		return nil, err
	}
	o.s.log.Info("client "+what, "job", r.job, "operator", party(ctx).Name, "client", req.GetClient(), "reason", req.GetReason())
	return r.state(), nil
}

// Export implements choirv1grpc.OperatorServer.
func (o operatorService) Export(req *choirv1.RunRequest, stream choirv1grpc.Operator_ExportServer) error {
	r, err := o.s.runs.get(req.GetJob())
	if err != nil {
		return err
	}
	file, size, err := r.engine.Export()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read from
	return sendRest(file, size, 0, stream.Send)
}

// errRole is a role that nobody can have.
var errRole = fault.New(fault.Invalid, "rpc/role", "role is neither client, operator nor decryptor", "name one of them")

func namedRole(r choirv1.Role) (auth.Role, error) {
	switch r {
	case choirv1.Role_ROLE_CLIENT:
		return auth.RoleClient, nil
	case choirv1.Role_ROLE_OPERATOR:
		return auth.RoleOperator, nil
	case choirv1.Role_ROLE_DECRYPTOR:
		return auth.RoleDecryptor, nil
	default:
		return 0, errRole
	}
}

// CreateToken implements choirv1grpc.OperatorServer.
func (o operatorService) CreateToken(ctx context.Context, req *choirv1.CreateTokenRequest) (*choirv1.CreateTokenResponse, error) {
	role, err := namedRole(req.GetRole())
	if err != nil {
		return nil, err
	}
	life := time.Duration(req.GetSeconds()) * time.Second
	if life == 0 {
		life = defaultToken
	}
	token, expires, err := o.s.cfg.Registry.NewToken(role, req.GetName(), life, o.s.cfg.Now())
	if err != nil {
		return nil, err
	}
	o.s.log.Info("token created", "operator", party(ctx).Name, "role", role.String(), "name", req.GetName(), "expires", expires)
	return &choirv1.CreateTokenResponse{Token: token, Expires: timestamppb.New(expires)}, nil
}

// Revoke implements choirv1grpc.OperatorServer. The party's calls under way end at once.
func (o operatorService) Revoke(ctx context.Context, req *choirv1.RevokeRequest) (*choirv1.RevokeResponse, error) {
	role, err := namedRole(req.GetRole())
	if err != nil {
		return nil, err
	}
	who := auth.Caller{Role: role, Name: req.GetName()}
	if err := o.s.cfg.Registry.Revoke(who, req.GetReason(), o.s.cfg.Now()); err != nil {
		return nil, err
	}
	o.s.parties.end(who, auth.ErrRevoked.At("%s %s", who.Role, who.Name))
	if role != auth.RoleOperator {
		o.s.leave(addressOf(who))
	}
	o.s.log.Info("party revoked", "operator", party(ctx).Name, "role", role.String(), "name", req.GetName(), "reason", req.GetReason())
	return &choirv1.RevokeResponse{}, nil
}

// leave tells the attempts under way not to wait for a party. What a client has
// uploaded before stays in the sum: nobody can take it out.
func (s *Server) leave(from secagg.PartyID) {
	for _, r := range s.runs.list() {
		if err := r.engine.Leave(from, r.engine.State().ID); err != nil {
			s.log.Warn("revoked party could not be taken out of the attempt", "job", r.job, "party", from, "error", err)
		}
	}
}
