package push

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Writer writes an event stream. Over HTTP/1.1 it owns the connection, and writes bytes that all clients share with one
// system call. Everywhere else it writes the same body to the server's ResponseWriter.
type Writer struct {
	hub   *Hub
	w     http.ResponseWriter
	conn  net.Conn // nil unless the connection was taken over; then w is nil
	id    int32    // in departures
	until time.Time
	retry []byte // what the first event begins with; nil once that is written

	direct direct
	atOnce bool   // write what the socket takes at once, and keep the rest
	rest   []byte // what it didn't take
}

// SetHeaders sets the headers of an event stream.
func SetHeaders(h http.Header) {
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	h.Set("X-Content-Type-Options", "nosniff")
}

// Stream answers r with an event stream, which serve writes. The context of serve ends when the client has left; serve returns
// soon after that, or after the hub has closed. Then ended is called with serve's error.
//
// If it can, Stream takes the connection over from the server and returns at once, so that nothing stays in memory of what the
// server needs for a request. Neither serve nor ended may use w or r: the request is over for the server.
func (h *Hub) Stream(w http.ResponseWriter, r *http.Request, serve func(context.Context, *Writer) error, ended func(error)) {
	out := &Writer{hub: h, w: w}
	if err := out.begin(r); err != nil {
		ended(err)
		return
	}
	conn := takeOver(w, r)
	if conn == nil {
		_ = out.run(r.Context(), serve, ended) // which has told ended
		return
	}
	out.w, out.conn, out.until = nil, conn, time.Time{} // taking it over has removed the deadline
	out.direct.prepare(conn)
	ctx, leave := context.WithCancel(context.Background())
	if !h.taken.add(conn, leave) {
		leave()
		_ = conn.Close()
		ended(nil)
		return
	}
	var watched bool
	if out.id, watched = h.taken.departures.watch(conn, leave, h.taken.wait.Go); !watched {
		h.taken.wait.Go(func() {
			if drain(conn) {
				leave()
			}
		})
	}
	go out.own(ctx, serve, ended)
}

// begin sends the headers. The first event will carry the reconnection time, jittered so that clients don't return as one.
func (w *Writer) begin(r *http.Request) error {
	header := w.w.Header()
	SetHeaders(header)
	if r.ProtoMajor == 1 {
		header.Set("Connection", "close") // the end of the stream is that of the connection
	}
	w.w.WriteHeader(http.StatusOK)
	cfg := &w.hub.cfg
	w.retry = appendRetry(nil, cfg.Retry+rand.N(cfg.Retry))
	return w.flush()
}

// takeOver returns the connection of a response whose headers have been sent; nil if it can't be had, or if the body isn't
// chunked and otherwise as it is written, which it isn't for a client that speaks HTTP/1.0, or behind a handler that compresses.
func takeOver(w http.ResponseWriter, r *http.Request) net.Conn {
	h := w.Header()
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 || h.Get("Content-Encoding") != "" || h.Get("Content-Length") != "" || h.Get("Transfer-Encoding") != "" {
		return nil
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	return conn
}

// own serves a stream on a connection that was taken over, and closes it.
func (w *Writer) own(ctx context.Context, serve func(context.Context, *Writer) error, ended func(error)) {
	h := w.hub
	err := errPanicked
	defer h.taken.remove(w.conn)
	defer func() {
		h.taken.departures.forget(w.id)
		if p := recover(); p != nil {
			h.cfg.Logger.Error("event stream panicked", "panic", p, "stack", string(debug.Stack()))
		}
		hangUp(w.conn, err)
	}()
	if err = w.run(ctx, serve, ended); err == nil {
		err = w.write(lastChunk) // a client that has left needs none
	}
}

var errPanicked = errors.New("push: the stream panicked")

// hangUp closes the connection of a stream that ended with err. TLS says goodbye, and waits up to 5 s for a client that doesn't
// read, so after an error the connection below it is closed.
func hangUp(conn net.Conn, err error) {
	if secure, ok := conn.(*tls.Conn); ok && err != nil {
		conn = secure.NetConn()
	}
	_ = conn.Close()
}

func (w *Writer) run(ctx context.Context, serve func(context.Context, *Writer) error, ended func(error)) (err error) {
	defer func() { ended(err) }() // after a panic, too
	return serve(ctx, w)
}

// Events writes whole events: any number of results of AppendEvent.
func (w *Writer) Events(b []byte) error {
	if w.retry != nil {
		b = append(chunk(w.retry, 0), b...)
		w.retry = nil
	}
	return w.write(b)
}

// Comment writes a heartbeat.
func (w *Writer) Comment() error { return w.write(comment) }

// Explain writes a comment with a text of one line, for a person who reads the stream.
func (w *Writer) Explain(text string) error { return w.write(chunk([]byte(": "+text+"\n"), 0)) }

func (w *Writer) write(b []byte) error {
	if w.conn != nil {
		if len(w.rest) > 0 {
			b, w.rest = slices.Concat(w.rest, b), nil
		}
		if err := w.deadline(w.conn.SetWriteDeadline); err != nil {
			return err
		}
		if w.atOnce {
			n, err := w.direct.write(b)
			w.rest = b[n:]
			return err
		}
		_, err := w.conn.Write(b)
		return err
	}
	if _, err := w.w.Write(unchunked(b)); err != nil {
		return err
	}
	return w.flush()
}

func (w *Writer) flush() error {
	rc := http.NewResponseController(w.w)
	if err := w.deadline(rc.SetWriteDeadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return rc.Flush()
}

// deadline gives a write the time it may take, and at most a quarter more: so the timer is set once in that quarter, not with
// each write.
func (w *Writer) deadline(set func(time.Time) error) error {
	now, within := time.Now(), w.hub.cfg.WriteTimeout
	if w.until.Sub(now) >= within {
		return nil
	}
	w.until = now.Add(within + within/4)
	if err := set(w.until); err != nil {
		return err
	}
	select {
	case <-w.hub.done: // after the deadline was set: either Close sees it, or it is seen here
		return set(now.Add(closeWithin))
	default:
		return nil
	}
}

// Heartbeat is the time between comments of a quiet stream.
func (w *Writer) Heartbeat() time.Duration { return w.hub.cfg.Heartbeat }

// closeWithin limits the writes that are in progress when the hub closes.
const closeWithin = 500 * time.Millisecond

// taken are the connections that were taken over from the server, which therefore doesn't wait for them.
type taken struct {
	mu         sync.Mutex
	closed     bool
	conns      map[net.Conn]context.CancelFunc
	wait       sync.WaitGroup
	departures departures
}

// add reports false if the hub has closed. end ends the stream.
func (t *taken) add(c net.Conn, end context.CancelFunc) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	if t.conns == nil {
		t.conns = map[net.Conn]context.CancelFunc{}
	}
	t.conns[c] = end
	t.wait.Add(1)
	return true
}

func (t *taken) remove(c net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
	t.wait.Done()
}

// close ends all streams, and limits the writes in progress.
func (t *taken) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for c, end := range t.conns {
		end()
		_ = c.SetWriteDeadline(time.Now().Add(closeWithin)) // fails only if it is closed already
	}
}
