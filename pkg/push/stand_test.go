package push

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

// text is a content whose JSON is given.
type text struct {
	json  string
	final bool
	mark  string
	tag   string
}

func (t text) AppendJSON(dst []byte) []byte { return append(dst, t.json...) }
func (t text) Final() bool                  { return t.final }
func (t text) Mark() string                 { return t.mark }
func (t text) Tag() string                  { return t.tag }

func frame(identity string, seq uint64) *Frame {
	return &Frame{Identity: identity, Seq: seq, ID: fmt.Sprintf("%s-1-%d", identity, seq), Content: text{json: fmt.Sprintf(`{"n":%d}`, seq)}}
}

// stand is a source in memory.
type stand struct {
	mu       sync.Mutex
	position Position
	absent   error // why there is no frame
	frames   map[Key]*Frame
	kept     map[Key]*Frame // of which Look knows nothing
	watched  map[Key]bool
	reads    int
	onRead   func() // before a read, outside of the lock
	err      error
}

func newStand(identity string) *stand {
	return &stand{position: Position{Identity: identity, Complete: true}, frames: map[Key]*Frame{}, watched: map[Key]bool{}}
}

func (s *stand) put(k Key, f *Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frames[k] = f
	s.position.Cursor = max(s.position.Cursor, f.Seq)
}

func (s *stand) set(change func(*stand)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *stand) Watch(_ context.Context, k Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched[k] = true
	return nil
}

func (s *stand) Unwatch(k Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watched, k)
}

func (s *stand) Read(_ context.Context, k Key) (Reading, error) {
	s.mu.Lock()
	hook := s.onRead
	s.mu.Unlock()
	if hook != nil {
		hook()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	r := Reading{Position: s.position, Frame: s.frames[k]}
	if r.Frame == nil && s.kept[k] != nil {
		r.Frame, r.Kept = s.kept[k], true
	}
	if r.Frame == nil {
		r.Absent = s.absent
	}
	return r, s.err
}

func (s *stand) Look(_ context.Context, keys []Key) ([]Look, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Look, len(keys))
	for i, k := range keys {
		out[i].Position = s.position
		if f := s.frames[k]; f != nil {
			out[i].Seq = f.Seq
		} else {
			out[i].Gone = s.kept != nil
		}
	}
	return out, s.err
}

var topicKey = Key{"ns", "b"}

// serve runs a server of h over pipes until the test ends.
func serve(t *testing.T, h *Hub) *headwaytest.Pipes {
	t.Helper()
	p := headwaytest.NewPipes()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sub, err := h.Subscribe(r.Context(), topicKey, r.Header.Get("Last-Event-ID"), nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
		sub.stream(w, r)
	})}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(p) })
	wg.Go(func() { _ = h.Run(ctx) })
	t.Cleanup(func() { cancel(); h.Close(); _ = server.Close(); wg.Wait(); h.Wait() })
	return p
}

// stream serves the subscription, and closes it.
func (s *Subscription) stream(w http.ResponseWriter, r *http.Request) {
	s.hub.Stream(w, r, func(ctx context.Context, out *Writer) error { return s.Serve(ctx, out, Full) }, func(error) { s.Close() })
}

// client reads one stream.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	resp *http.Response

	begun bool // an event was read
}

func connect(t *testing.T, p *headwaytest.Pipes, last string) *client {
	t.Helper()
	c := &client{t: t, conn: p.Dial()}
	t.Cleanup(func() { _ = c.conn.Close() })
	head := "GET / HTTP/1.1\r\nHost: x\r\n"
	if last != "" {
		head += "Last-Event-ID: " + last + "\r\n"
	}
	if _, err := io.WriteString(c.conn, head+"\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c.conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.resp, c.in = resp, bufio.NewReader(resp.Body)
	return c
}

// event reads up to the next empty line, or a comment; err is set at the end.
func (c *client) event() (string, error) {
	var b strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return b.String(), err
		}
		if line == "\n" || line == ":\n" && b.Len() == 0 {
			return strings.TrimSuffix(b.String()+strings.TrimSuffix(line, "\n"), "\n"), nil
		}
		b.WriteString(line)
	}
}

// want reads the next event and compares it. The first one of a connection begins with the reconnection time.
func (c *client) want(expected string) {
	c.t.Helper()
	got, err := c.event()
	if err != nil {
		c.t.Fatalf("stream ended (%v), want %q", err, expected)
	}
	if !c.begun && got != ":" {
		c.begun = true
		retry, rest, _ := strings.Cut(got, "\n")
		if !strings.HasPrefix(retry, "retry: ") {
			c.t.Fatalf("the first event is %q: it doesn't begin with the reconnection time", got)
		}
		got = rest
	}
	if got != expected {
		c.t.Fatalf("got %q, want %q", got, expected)
	}
}

func (c *client) wantEnd() {
	c.t.Helper()
	if got, err := c.event(); !errors.Is(err, io.EOF) {
		c.t.Fatalf("got %q, %v; want the end", got, err)
	}
}

func event(kind string, f *Frame) string {
	return fmt.Sprintf("id: %s\nevent: %s\ndata: %s", f.Name(), kind, f.Content.(text).json)
}

const tick = time.Nanosecond
