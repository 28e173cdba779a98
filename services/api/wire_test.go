package api

import (
	"net"
	"sync"
	"testing"
	"time"
)

// wire stands between a client and a server. It can hold every byte back for a while, as a network does, or take no
// more, as a server does that hangs.
type wire struct {
	address string

	mu    sync.Mutex
	delay time.Duration
	stuck chan struct{} // closed when bytes go on
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{address: l.Addr().String(), stuck: make(chan struct{})}
	close(w.stuck)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var ends []net.Conn
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
			mu.Lock()
			ends = append(ends, c, up)
			if closed {
				_, _ = c.Close(), up.Close()
			}
			mu.Unlock()
			wg.Go(func() { w.copy(up, c) })
			wg.Go(func() { w.copy(c, up) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		w.resume()
		mu.Lock()
		closed = true
		for _, c := range ends {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return w
}

type piece struct {
	due  time.Time
	data []byte
}

// copy reads at once and writes each piece when it is due, so that a delay costs no throughput.
func (w *wire) copy(to, from net.Conn) {
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
		due, stuck := time.Now().Add(w.delay), w.stuck
		w.mu.Unlock()
		<-stuck
		if n > 0 {
			pieces <- piece{due, buffer[:n]}
		}
		if err != nil {
			close(pieces)
			wg.Wait()
			return
		}
	}
}

func (w *wire) slow(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay = d
}

func (w *wire) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stuck = make(chan struct{})
}

func (w *wire) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.stuck:
	default:
		close(w.stuck)
	}
}
