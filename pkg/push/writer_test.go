package push

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// served is a hub of one topic behind a server on a real socket.
type served struct {
	*httptest.Server
	hub *Hub
}

func newReal(t *testing.T, c Config, set ...func(*httptest.Server)) *served {
	t.Helper()
	s := newStand("a")
	s.put(topicKey, frame("a", 1))
	h := New(s, c)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sub, err := h.Subscribe(r.Context(), topicKey, "", nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
		sub.stream(w, r)
	}))
	for _, f := range set {
		f(server)
	}
	if server.URL == "" {
		server.Start()
	}
	t.Cleanup(func() { h.Close(); h.Wait(); server.CloseClientConnections(); server.Close() })
	return &served{server, h}
}

// dial opens a stream and reads its headers.
func (x *served) dial(t *testing.T) (net.Conn, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", x.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if x.TLS != nil {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); _ = resp.Body.Close() }) // in this order: Close of a body reads what is left
	return conn, resp
}

func (x *served) streams() int {
	x.hub.mu.RLock()
	defer x.hub.mu.RUnlock()
	if t := x.hub.topics[topicKey]; t != nil {
		return t.refs
	}
	return 0
}

// await waits up to a limit that was promised for a condition.
func await(t *testing.T, what string, within time.Duration, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

func padded(seq uint64, size int) *Frame {
	return &Frame{Identity: "a", Seq: seq, ID: fmt.Sprint("a-1-", seq), Content: text{json: `{"pad":"` + strings.Repeat("x", size) + `"}`}}
}

// observed is a connection that notes what is written to it.
type observed struct {
	net.Conn
	log *writes
}

type writes struct {
	mu  sync.Mutex
	all [][]byte
}

func (c *observed) Write(b []byte) (int, error) {
	c.log.mu.Lock()
	c.log.all = append(c.log.all, b)
	c.log.mu.Unlock()
	return c.Conn.Write(b)
}

type observer struct {
	net.Listener
	log *writes
}

func (l *observer) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &observed{c, l.log}, nil
}

// A frame leaves in one write, whatever its size, and from the same memory for every client.
func TestFrameLeavesInOneWrite(t *testing.T) {
	log := &writes{}
	x := newReal(t, Config{}, func(s *httptest.Server) { s.Listener = &observer{s.Listener, log} })
	const clients = 3
	var in []*bufio.Reader
	for range clients {
		_, resp := x.dial(t)
		in = append(in, bufio.NewReader(resp.Body))
	}
	read := func() {
		for _, r := range in {
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				if line == "\n" {
					break
				}
			}
		}
	}
	read() // the snapshots
	for i, size := range []int{100, 11_000, 200_000} {
		log.mu.Lock()
		log.all = nil
		log.mu.Unlock()
		x.hub.Publish(topicKey, padded(uint64(i+2), size))
		read()
		log.mu.Lock()
		if len(log.all) != clients {
			t.Errorf("%d writes of a frame of %d bytes to %d clients", len(log.all), size, clients)
		}
		for _, b := range log.all {
			if &b[0] != &log.all[0][0] {
				t.Error("a client got bytes of its own")
			}
		}
		log.mu.Unlock()
	}
}

// What a client reads is the same over HTTP/1.1, HTTP/1.0 and HTTP/2, and so are the headers but for the connection's.
func TestSameBytesWhateverTheProtocol(t *testing.T) {
	over := &Frame{Identity: "a", Seq: 3, ID: "a-1-3", Content: text{json: "{}", final: true}}
	read := func(x *served, resp *http.Response) string {
		in := bufio.NewReader(resp.Body)
		var b strings.Builder
		step := 0
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				break
			}
			if !strings.HasPrefix(line, "retry: ") { // differs by design
				b.WriteString(line)
			}
			if line == "\n" {
				if step++; step == 1 {
					x.hub.Publish(topicKey, padded(2, 11_000))
				} else if step == 2 {
					x.hub.Publish(topicKey, over)
				}
			}
		}
		return b.String()
	}
	one := newReal(t, Config{})
	_, resp := one.dial(t)
	want := read(one, resp)
	if !strings.HasSuffix(want, "event: end\ndata: {}\n\n") || !resp.Close || len(resp.TransferEncoding) != 1 {
		t.Fatalf("%v %.200q", resp, want)
	}

	two := newReal(t, Config{}, func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() })
	resp2, err := two.Client().Get(two.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp2.Body.Close()
	if got := read(two, resp2); got != want || resp2.ProtoMajor != 2 {
		t.Errorf("%s: %.200q", resp2.Proto, got)
	}

	encrypted := newReal(t, Config{}, func(s *httptest.Server) { s.StartTLS() })
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer c.CloseIdleConnections()
	resp3, err := c.Get(encrypted.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp3.Body.Close()
	if got := read(encrypted, resp3); got != want || resp3.ProtoMajor != 1 {
		t.Errorf("%s over TLS: %.200q", resp3.Proto, got)
	}

	old := newReal(t, Config{})
	conn, err := net.Dial("tcp", old.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	resp4, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp4.Body.Close()
	if got := read(old, resp4); got != want || len(resp4.TransferEncoding) != 0 {
		t.Errorf("%s: %.200q", resp4.Proto, got)
	}
	for name := range resp2.Header {
		for i, r := range []*http.Response{resp, resp3, resp4} {
			if name != "Date" && r.Header.Get(name) != resp2.Header.Get(name) {
				t.Errorf("header %s: %q in %d, %q in HTTP/2", name, r.Header.Get(name), i, resp2.Header.Get(name))
			}
		}
	}
}

// A client that leaves is noticed within a second, though nothing is written, and so is one that only closes its half.
func TestClientThatLeavesIsNoticed(t *testing.T) {
	for name, x := range map[string]*served{
		"socket": newReal(t, Config{Heartbeat: time.Hour}),
		"TLS":    newReal(t, Config{Heartbeat: time.Hour}, (*httptest.Server).StartTLS),
		"any":    newReal(t, Config{Heartbeat: time.Hour}, func(s *httptest.Server) { s.Listener = &observer{s.Listener, &writes{}} }),
	} {
		t.Run(name, func(t *testing.T) { clientThatLeavesIsNoticed(t, x) })
	}
}

func clientThatLeavesIsNoticed(t *testing.T, x *served) {
	t.Helper()
	for _, leave := range []func(net.Conn) error{net.Conn.Close, func(c net.Conn) error { return c.(interface{ CloseWrite() error }).CloseWrite() }} {
		conn, _ := x.dial(t)
		if n := x.streams(); n != 1 {
			t.Fatal(n)
		}
		if _, err := conn.Write(make([]byte, maxSent/2)); err != nil { // which means nothing here
			t.Fatal(err)
		}
		if err := leave(conn); err != nil {
			t.Fatal(err)
		}
		await(t, "the stream has ended", time.Second, func() bool { return x.streams() == 0 })
	}
}

// A client that reads nothing is dropped at its deadline. Until then, the others get every frame.
func TestClientThatReadsNothingIsDropped(t *testing.T) {
	x := newReal(t, Config{WriteTimeout: 500 * time.Millisecond})
	x.dial(t) // reads its headers, and nothing more
	_, resp := x.dial(t)
	in := bufio.NewReader(resp.Body)
	for seq := uint64(2); ; seq++ {
		f := padded(seq, 1<<20)
		x.hub.Publish(topicKey, f)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == "id: "+f.ID+"\n" {
				break
			}
		}
		if x.streams() == 1 {
			return
		}
		if seq == 1000 {
			t.Fatal("the client that reads nothing is still served")
		}
	}
}

// The hub ends its streams properly, and doesn't wait for a client that reads nothing until its deadline.
func TestCloseAndWait(t *testing.T) {
	t.Run("plain", func(t *testing.T) { closeAndWait(t, newReal(t, Config{WriteTimeout: time.Hour}), 20*closeWithin) })
	t.Run("TLS", func(t *testing.T) {
		// Saying goodbye over TLS would take 5 s more.
		closeAndWait(t, newReal(t, Config{WriteTimeout: time.Hour}, (*httptest.Server).StartTLS), 8*closeWithin)
	})
}

func closeAndWait(t *testing.T, x *served, within time.Duration) {
	t.Helper()
	_, resp := x.dial(t)
	x.dial(t)
	x.hub.Publish(topicKey, padded(2, 32<<20)) // more than the sockets of the second client hold, which reads nothing
	in := bufio.NewReader(resp.Body)
	for line := ""; len(line) < 32<<20; { // the whole frame
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	go x.hub.Close()
	if _, err := io.Copy(io.Discard, in); err != nil { // an unexpected end would be an error
		t.Error(err)
	}
	done := make(chan struct{})
	go func() { x.hub.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(within):
		t.Fatal("a client that reads nothing keeps the hub from ending")
	}
	if n := x.streams(); n != 0 {
		t.Error(n)
	}
}

// Whatever handlers around it set is sent. Behind one that compresses, the stream is on the ordinary path.
func TestStreamBehindOtherHandlers(t *testing.T) {
	set := func(s *httptest.Server) {
		inner := s.Config.Handler
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Access-Control-Allow-Origin", "https://example.com")
			w.Header()["X-Trace"] = []string{"r1"}
			inner.ServeHTTP(w, r)
		})
	}
	plain := newReal(t, Config{}, set)
	_, resp := plain.dial(t)
	if resp.Header.Get("Access-Control-Allow-Origin") == "" || resp.Header.Get("X-Trace") != "r1" || resp.Header.Get("Date") == "" {
		t.Error(resp.Header)
	}
	zipped := newReal(t, Config{}, func(s *httptest.Server) {
		inner := s.Config.Handler
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inner.ServeHTTP(&gzipped{w, gzip.NewWriter(w)}, r)
		})
	})
	_, resp = zipped.dial(t)
	z, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(z)
	for _, want := range []string{"retry: ", "id: a-1-1\n", "event: snapshot\n", "data: {\"n\":1}\n", "\n"} {
		if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) {
			t.Fatalf("%q, %v; want %q", line, err, want)
		}
	}
}

// gzipped sets its header as late as it can, and lets others take the connection over.
type gzipped struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (w *gzipped) WriteHeader(code int) {
	w.Header().Set("Content-Encoding", "gzip")
	w.ResponseWriter.WriteHeader(code)
}
func (w *gzipped) Write(b []byte) (int, error) { return w.z.Write(b) }
func (w *gzipped) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.ResponseWriter.(http.Hijacker).Hijack()
}
func (w *gzipped) FlushError() error {
	_ = w.z.Flush()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// A stream that panics ends alone.
func TestStreamThatPanics(t *testing.T) {
	var out bytes.Buffer
	h := New(newStand("a"), Config{Logger: slog.New(slog.NewTextHandler(&out, nil))})
	var ended atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.Stream(w, r, func(context.Context, *Writer) error { panic("of this test") }, func(error) { ended.Add(1) })
	}))
	defer server.Close()
	resp, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("the stream ended as if nothing had happened")
	}
	h.Close()
	h.Wait()
	if ended.Load() != 1 || !strings.Contains(out.String(), "of this test") {
		t.Errorf("%d, %s", ended.Load(), out.String())
	}
}
