package rpc_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/coordinator/auth"
	"github.com/choir-fl/choir/coordinator/rpc"
	"github.com/choir-fl/choir/fault"
)

// tls is what a well-behaved peer dials with.
func (w *world) tls(c *grpctransport.Credentials) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(w.registry.Authority().Certificate())
	t := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: "127.0.0.1", NextProtos: []string{"h2"}}
	if c != nil {
		t.Certificates = []tls.Certificate{{Certificate: [][]byte{c.Certificate.Raw}, PrivateKey: c.Key}}
	}
	return t
}

func TestKeyExchangeIsPostQuantum(t *testing.T) {
	w := newWorld(t, rpc.Limits{})
	c := w.enrol(auth.RoleClient, "alice")
	for _, group := range []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024} {
		t.Run(group.String(), func(t *testing.T) {
			config := w.tls(&c)
			config.CurvePreferences = []tls.CurveID{group}
			conn, err := tls.Dial("tcp", w.address, config)
			require.NoError(t, err)
			defer conn.Close()
			require.Equal(t, group, conn.ConnectionState().CurveID)
			require.EqualValues(t, tls.VersionTLS13, conn.ConnectionState().Version)
		})
	}
	t.Run("the transport's own choice", func(t *testing.T) {
		config := w.tls(&c)
		conn, err := tls.Dial("tcp", w.address, config)
		require.NoError(t, err)
		defer conn.Close()
		require.Equal(t, tls.X25519MLKEM768, conn.ConnectionState().CurveID)
	})
	for _, group := range []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521} {
		t.Run("classical "+group.String()+" is refused", func(t *testing.T) {
			config := w.tls(&c)
			config.CurvePreferences = []tls.CurveID{group}
			_, err := tls.Dial("tcp", w.address, config)
			require.ErrorContains(t, err, "handshake failure")
		})
	}
	t.Run("TLS 1.2 is refused", func(t *testing.T) {
		config := w.tls(&c)
		config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		_, err := tls.Dial("tcp", w.address, config)
		require.ErrorContains(t, err, "protocol version")
	})
}

// A coordinator without post-quantum key exchange is not talked to.
func TestTransportRefusesClassicalServer(t *testing.T) {
	w := newWorld(t, rpc.Limits{})
	c := w.enrol(auth.RoleClient, "alice")
	key, err := w.registry.Authority().ServerCertificate([]string{"127.0.0.1"}, c.Key.Public().(ed25519.PublicKey), time.Now(), time.Hour, zeros{})
	require.NoError(t, err)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256},
		Certificates: []tls.Certificate{{Certificate: [][]byte{key}, PrivateKey: c.Key}}})
	require.NoError(t, err)
	defer listener.Close()
	refused := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = conn.(*tls.Conn).Handshake()
			conn.Close()
		}
		refused <- err
		cancel()
	}()
	_, err = w.transportTo(listener.Addr().String(), c).CheckIn(ctx, "", client.Conditions{})
	require.Equal(t, fault.Unavailable, fault.ClassOf(err))
	require.ErrorContains(t, <-refused, "no key exchanges supported by both client and server")
}

// A connection that never becomes one is closed.
func TestSilentConnectionIsClosed(t *testing.T) {
	w := newWorld(t, rpc.Limits{Handshake: 50 * time.Millisecond})
	conn, err := net.Dial("tcp", w.address)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the server must close")
}

func TestConnectionsBeyondTheLimitAreClosed(t *testing.T) {
	w := newWorld(t, rpc.Limits{Connections: 2})
	config := w.tls(nil)
	var open []net.Conn
	for range 2 {
		conn, err := tls.Dial("tcp", w.address, config)
		require.NoError(t, err)
		open = append(open, conn)
	}
	_, err := tls.Dial("tcp", w.address, config)
	require.Error(t, err)
	for _, c := range open {
		require.NoError(t, c.Close())
	}
	for deadline := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(deadline); {
		var conn *tls.Conn
		if conn, err = tls.Dial("tcp", w.address, config); err == nil {
			require.NoError(t, conn.Close())
		}
	}
	require.NoError(t, err, "a closed connection must make room")
}
