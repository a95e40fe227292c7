package rpc_test

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy stands between a client and a server, and can be cut.
type proxy struct {
	t        *testing.T
	listener net.Listener
	all      sync.WaitGroup

	mu     sync.Mutex
	target string
	links  map[*link]bool
	up     int64 // bytes passed on towards the server
	limit  int64 // of up, after which nothing is passed on; 0 for none
	held   chan struct{}
}

type link struct{ near, far net.Conn }

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{t: t, listener: listener, target: target, links: map[*link]bool{}, held: make(chan struct{})}
	p.all.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.cut()
		p.all.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		far, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = near.Close()
			p.mu.Unlock()
			continue
		}
		l := &link{near, far}
		p.links[l] = true
		p.mu.Unlock()
		p.all.Go(func() { p.copyUp(l) })
		p.all.Go(func() { _, _ = io.Copy(near, far); l.close() })
	}
}

func (l *link) close() { _ = l.near.Close(); _ = l.far.Close() }

// copyUp passes bytes on until the limit is reached; then it holds the line.
func (p *proxy) copyUp(l *link) {
	buf := make([]byte, 16<<10)
	for {
		n, err := l.near.Read(buf)
		p.mu.Lock()
		if p.limit > 0 && p.up+int64(n) >= p.limit {
			n = int(p.limit - p.up)
		}
		p.up += int64(n)
		full := p.limit > 0 && p.up == p.limit
		p.mu.Unlock()
		if _, werr := l.far.Write(buf[:n]); werr != nil || err != nil {
			l.close()
			return
		}
		if full {
			close(p.held)
			return
		}
	}
}

// cut ends all connections; the proxy passes on without limit from then on.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = 0
	for l := range p.links {
		l.close()
		delete(p.links, l)
	}
}

// retarget sends later connections elsewhere.
func (p *proxy) retarget(target string) {
	p.mu.Lock()
	p.target = target
	p.mu.Unlock()
	p.cut()
}

func (p *proxy) passed() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up
}
