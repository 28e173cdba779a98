package headwaytest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Wire stands between clients and a server, as a network does. It can delay every byte, take no more bytes, or swallow
// replies. None of that closes a connection.
type Wire struct {
	Address string // where clients connect instead of to the server

	mu      sync.Mutex
	delay   time.Duration
	flows   chan struct{} // closed while bytes are taken
	muted   bool
	open    []*link
	closing bool
}

// link is one connection of a client, with that to the server.
type link struct {
	client, server net.Conn
	lost           bool // its replies are swallowed for good; guarded by Wire.mu
}

// NewWire starts a wire to the address of a server. It ends with the test.
func NewWire(t testing.TB, to string) *Wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{Address: l.Addr().String(), flows: make(chan struct{})}
	close(w.flows)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				continue
			}
			c := &link{client: client, server: server}
			w.mu.Lock()
			w.open = append(w.open, c)
			if w.closing {
				c.close()
			}
			w.mu.Unlock()
			wg.Go(func() { w.copy(c, server, client, false) })
			wg.Go(func() { w.copy(c, client, server, true) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		w.Resume()
		w.mu.Lock()
		w.closing = true
		for _, c := range w.open {
			c.close()
		}
		w.mu.Unlock()
		wg.Wait()
	})
	return w
}

func (c *link) close() { _, _ = c.client.Close(), c.server.Close() }

// Delay delays each byte that is read from now on.
func (w *Wire) Delay(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay = d
}

// Stop takes no more bytes, as a server that hangs, until Resume.
func (w *Wire) Stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flows = make(chan struct{})
}

// Resume ends Stop.
func (w *Wire) Resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.flows:
	default:
		close(w.flows)
	}
}

// Mute sets whether all replies are swallowed, while what clients send still arrives.
func (w *Wire) Mute(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.muted = on
}

// HalfOpen swallows all further replies of the connections that are open. Later ones work.
func (w *Wire) HalfOpen() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.open {
		c.lost = true
	}
}

// piece is what one read returned.
type piece struct {
	due  time.Time
	data []byte
}

// copy reads at once and writes each piece when it is due, so that a delay costs no throughput.
func (w *Wire) copy(c *link, to, from net.Conn, replies bool) {
	pieces := make(chan piece, 4096)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer to.Close()
		for p := range pieces {
			time.Sleep(time.Until(p.due)) // this is the network, not a wait for a condition
			if _, err := to.Write(p.data); err != nil {
				_ = from.Close()
			}
		}
	})
	for {
		buffer := make([]byte, 64<<10)
		n, err := from.Read(buffer)
		w.mu.Lock()
		due, flows, swallow := time.Now().Add(w.delay), w.flows, replies && (w.muted || c.lost)
		w.mu.Unlock()
		<-flows
		if n > 0 && !swallow {
			pieces <- piece{due, buffer[:n]}
		}
		if err != nil {
			close(pieces)
			wg.Wait()
			return
		}
	}
}
