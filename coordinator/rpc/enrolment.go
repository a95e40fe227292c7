package rpc

import (
	"context"

	"github.com/choir-fl/choir/coordinator/auth"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/proto/choir/v1/choirv1grpc"
	"github.com/choir-fl/choir/secagg"
)

// enrolmentService admits parties.
type enrolmentService struct {
	choirv1grpc.UnimplementedEnrolmentServer
	s *Server
}

// Enrol implements choirv1grpc.EnrolmentServer.
func (e enrolmentService) Enrol(_ context.Context, req *choirv1.EnrolRequest) (*choirv1.Grant, error) {
	g, err := e.s.cfg.Registry.Enrol(req.GetSecret(), req.GetRequest(), e.s.cfg.Now())
	return e.wire(g, err)
}

// Renew implements choirv1grpc.EnrolmentServer.
func (e enrolmentService) Renew(ctx context.Context, req *choirv1.RenewRequest) (*choirv1.Grant, error) {
	g, err := e.s.cfg.Registry.Renew(party(ctx), req.GetRequest(), e.s.cfg.Now())
	return e.wire(g, err)
}

func (e enrolmentService) wire(g auth.Grant, err error) (*choirv1.Grant, error) {
	if err != nil {
		return nil, err
	}
	out := &choirv1.Grant{Certificate: g.Certificate, Authority: e.s.cfg.Registry.Authority().Certificate().Raw}
	if g.Identity != (secagg.Identity{}) {
		out.Identity = g.Identity.Encode()
	}
	return out, nil
}
