package grpctransport

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/choir-fl/choir/fault"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/proto/choir/v1/choirv1grpc"
	"github.com/choir-fl/choir/secagg"
)

// Refusals of an enrolment on the side of the device.
var (
	ErrEnrolled = fault.New(fault.Conflict, "grpctransport/enrolled", "the file holds credentials already", "use them, or choose another file")
	ErrImpostor = fault.New(fault.Unauthenticated, "grpctransport/impostor", "the coordinator at this address is not the one that made the token", "check the address and the token; if both are right, somebody is in between")
)

// Enrolment is what a device enrols with.
type Enrolment struct {
	// Address is the coordinator's host and port.
	Address string
	// Token is what the operator handed out.
	Token string
	// Name is the name to enrol under; empty for the one that the token is bound to.
	Name string
	// File is where the credentials will be kept.
	File string
	// Log gets what is tried again; nil for nobody.
	Log *slog.Logger
}

// Enrol makes a key, has it certified, and keeps the credentials in a file. The
// key is durable before the token is used: if anything fails, or the device does,
// the same call again goes on with the same key.
func Enrol(ctx context.Context, e Enrolment) (Credentials, error) {
	token, err := ParseToken(e.Token)
	if err != nil {
		return Credentials{}, err
	}
	defer clear(token.Secret[:])
	if e.Name != "" && !secagg.PartyID(e.Name).Valid() {
		return Credentials{}, ErrConfig.At("name %q is not 1 to 64 characters a-z, 0-9, '.', '_', '-'", e.Name)
	}
	var seen atomic.Pointer[error]
	conn, err := dial(e.Address, tokenTLS(token.Fingerprint, func(err error) { seen.Store(&err) }), shortestPause, longestPause)
	if err != nil {
		return Credentials{}, err
	}
	defer func() { _ = conn.Close() }() // nothing is under way
	key, c, err := readFile(e.File)
	switch {
	case err != nil:
		return Credentials{}, err
	case c != nil:
		return Credentials{}, ErrEnrolled.At("%s", e.File)
	case key == nil:
		if _, key, err = ed25519.GenerateKey(rand.Reader); err != nil {
			return Credentials{}, err
		}
		if err := save(e.File, key, nil); err != nil {
			return Credentials{}, err
		}
	}
	request, err := newRequest(e.Name, key)
	if err != nil {
		return Credentials{}, err
	}
	var grant *choirv1.Grant
	err = newRetrier(0, 0, e.Log).do(ctx, "Enrol", func() (bool, error) {
		conn.ResetConnectBackoff()
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		var err error
		grant, err = choirv1grpc.NewEnrolmentClient(conn).Enrol(ctx, &choirv1.EnrolRequest{Secret: token.Secret[:], Request: request})
		if why := seen.Load(); err != nil && why != nil && *why != nil {
			return false, ErrImpostor.At("%s", e.Address).Because(*why)
		}
		return false, err
	})
	if err != nil {
		return Credentials{}, err
	}
	if sha256.Sum256(grant.GetAuthority()) != token.Fingerprint {
		return Credentials{}, ErrAnswer.At("authority")
	}
	out, err := open(grant, key, e.Name)
	if err != nil {
		return Credentials{}, err
	}
	return out, save(e.File, key, &out)
}

// open checks a grant and makes credentials of it.
func open(grant *choirv1.Grant, key ed25519.PrivateKey, name string) (Credentials, error) {
	cert, err := x509.ParseCertificate(grant.GetCertificate())
	if err != nil {
		return Credentials{}, ErrAnswer.At("certificate").Because(err)
	}
	authority, err := x509.ParseCertificate(grant.GetAuthority())
	if err != nil {
		return Credentials{}, ErrAnswer.At("authority").Because(err)
	}
	c := Credentials{Key: key, Certificate: cert, Authority: authority}
	if len(grant.GetIdentity()) > 0 {
		if c.Identity, err = secagg.DecodeIdentity(grant.GetIdentity()); err != nil {
			return Credentials{}, ErrAnswer.At("identity").Because(err)
		}
	}
	if err := c.check(); err != nil {
		return Credentials{}, ErrAnswer.Because(err)
	}
	if name != "" && c.Name() != name {
		return Credentials{}, ErrAnswer.Because(errors.New("another name was certified"))
	}
	return c, nil
}

// Renew has the party's key certified for longer and replaces its file. Calls of
// the transport that are under way are made again with the new certificate.
func (t *Transport) Renew(ctx context.Context) error {
	old := t.credentials()
	request, err := newRequest(old.Name(), old.Key)
	if err != nil {
		return err
	}
	var grant *choirv1.Grant
	err = t.retry.do(ctx, "Renew", func() (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		var err error
		grant, err = choirv1grpc.NewEnrolmentClient(t.conn()).Renew(ctx, &choirv1.RenewRequest{Request: request})
		return false, err
	})
	if err != nil {
		return err
	}
	next, err := open(grant, old.Key, old.Name())
	if err != nil {
		return err
	}
	if !next.Authority.Equal(old.Authority) || next.Identity != old.Identity {
		return ErrAnswer.Because(errors.New("authority or identity changed"))
	}
	if t.cfg.File != "" {
		if err := save(t.cfg.File, next.Key, &next); err != nil {
			return err
		}
	}
	return t.use(next)
}

// KeepRenewed renews the certificate whenever two thirds of its life are over,
// until ctx ends; it returns the error of ctx. It is logged and tried again in an
// hour if that fails: there is a third of the certificate's life left.
func (t *Transport) KeepRenewed(ctx context.Context) error {
	for {
		wait := time.Until(t.credentials().RenewAt())
		if wait <= 0 {
			err := t.Renew(ctx)
			if err == nil {
				continue
			}
			if ctx.Err() == nil {
				t.retry.log.Warn("certificate could not be renewed", "expires", t.credentials().Certificate.NotAfter, "error", err)
			}
			wait = renewalPause
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// renewalPause follows a renewal that failed.
const renewalPause = time.Hour
