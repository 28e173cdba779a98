package push

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkFanOut delivers 1 KB frames to 1,000 streams of one topic over loopback and waits for each to
// arrive everywhere, once with a hub and once with a channel per client that queues rendered frames.
func BenchmarkFanOut(b *testing.B) {
	const clients = 1000
	pad := strings.Repeat("x", 1000)
	make1k := func(n int) *Frame {
		return &Frame{Identity: "a", Seq: uint64(n), ID: fmt.Sprintf("a-1-%d", n), Content: text{json: `{"pad":"` + pad + `"}`}}
	}
	b.Run("hub", func(b *testing.B) {
		s := newStand("a")
		s.put(topicKey, make1k(1))
		h := New(s, Config{})
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sub, err := h.Subscribe(r.Context(), topicKey, "", nil)
			if err != nil {
				b.Error(err)
				return
			}
			sub.stream(w, r)
		})
		n := 1
		fanOut(b, handler, clients, func() { n++; h.Publish(topicKey, make1k(n)) })
		h.Close()
	})
	b.Run("channel-per-client", func(b *testing.B) {
		var mu sync.Mutex
		subs := map[chan *Frame]struct{}{}
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := make(chan *Frame, 16)
			c <- make1k(1)
			mu.Lock()
			subs[c] = struct{}{}
			mu.Unlock()
			defer func() { mu.Lock(); delete(subs, c); mu.Unlock() }()
			for {
				select {
				case f := <-c:
					_, _ = w.Write(AppendEvent(nil, f.ID, "update", f.Content.AppendJSON(nil)))
					w.(http.Flusher).Flush()
				case <-r.Context().Done():
					return
				}
			}
		})
		n := 1
		fanOut(b, handler, clients, func() {
			n++
			f := make1k(n)
			mu.Lock()
			for c := range subs {
				c <- f
			}
			mu.Unlock()
		})
	})
}

// fanOut connects clients and measures from publish to the frame's arrival at the last of them.
func fanOut(b *testing.B, handler http.Handler, clients int, publish func()) {
	server := httptest.NewServer(handler)
	ctx, cancel := context.WithCancel(context.Background())
	defer func() { cancel(); server.CloseClientConnections(); server.Close() }()
	var arrived atomic.Int64
	round := make(chan struct{}, 1)
	for range clients {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", server.Listener.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		go func() {
			in := bufio.NewReaderSize(conn, 2048)
			for {
				line, err := in.ReadSlice('\n')
				if err != nil {
					return
				}
				if len(line) > 5 && string(line[:5]) == "data:" && arrived.Add(1) == int64(clients) {
					arrived.Store(0)
					round <- struct{}{}
				}
			}
		}()
	}
	<-round // the first frames
	b.ResetTimer()
	for range b.N {
		publish()
		<-round
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N*clients)/b.Elapsed().Seconds(), "deliveries/s")
}
