package viewstore

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
)

// proxy stands between a client and a Redis and can swallow what goes through it, without closing anything: a
// network that went away.
type proxy struct {
	address string
	mute    atomic.Bool // replies of connections that are open are swallowed
	swallow sync.Map    // connections that are cut in this way for good
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: l.Addr().String()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	closed := false
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", to)
			if err != nil {
				_ = c.Close()
				continue
			}
			p.swallow.Store(c, new(atomic.Bool))
			mu.Lock()
			open = append(open, c, up)
			if closed {
				_ = c.Close()
				_ = up.Close()
			}
			mu.Unlock()
			wg.Go(func() { p.pipe(up, c, c) })
			wg.Go(func() { p.pipe(c, up, nil) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		closed = true
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return p
}

// pipe copies; replies carries the client's side where these are replies.
func (p *proxy) pipe(from, to, replies net.Conn) {
	defer from.Close()
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !p.cut(replies) {
			if _, werr := to.Write(buffer[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) cut(replies net.Conn) bool {
	if replies == nil {
		return false
	}
	if p.mute.Load() {
		return true
	}
	dead, ok := p.swallow.Load(replies)
	return ok && dead.(*atomic.Bool).Load()
}

// halfOpen cuts the connections that are open; those made afterwards work.
func (p *proxy) halfOpen() {
	p.swallow.Range(func(_, dead any) bool {
		dead.(*atomic.Bool).Store(true)
		return true
	})
}

// through is a client whose connections go through a proxy.
func through(t *testing.T, c *redis.Client) (*proxy, *redis.Client) {
	t.Helper()
	o := *c.Options()
	p := newProxy(t, o.Addr)
	cut := redis.NewClient(&redis.Options{Addr: p.address, Username: o.Username, Password: o.Password, DB: o.DB, MaxRetries: -1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = cut.Close() })
	return p, cut
}
