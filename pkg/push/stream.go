package push

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwayhq/headway/internal/seeded"
)

// LastID is the id of the last event that a client says it has received.
type LastID struct {
	Identity string
	Seq      uint64
	Text     string
}

// maxID limits the length of ids; ours are below 60 bytes.
const maxID = 128

// ParseLastID reads a frame's name, <identity>-<fold>-<sequence>.<tag>, with or without the tag. Anything else counts as none.
func ParseLastID(s string) (LastID, bool) {
	if len(s) > maxID {
		return LastID{}, false
	}
	id, _, _ := strings.Cut(s, ".")
	i := strings.LastIndexByte(id, '-')
	j := strings.IndexByte(id, '-')
	if i <= j || j <= 0 {
		return LastID{}, false
	}
	seq, err := strconv.ParseUint(id[i+1:], 10, 64)
	if err != nil || seq == 0 {
		return LastID{}, false
	}
	return LastID{Identity: id[:j], Seq: seq, Text: s}, true
}

// shows reports whether a client that has received this id has what f says. Nothing follows a final frame, whatever its tag.
func (l LastID) shows(f *Frame) bool {
	id, _, _ := strings.Cut(l.Text, ".")
	return id == f.ID && (f.Final() || l.Text == f.Name())
}

// Subscription is a client's place in a topic. The caller must close it.
type Subscription struct {
	hub       *Hub
	topic     *topic
	last      LastID
	held      bool
	connected time.Time
	sent      *Frame // the frame that the client has
	mark      string
	frames    uint64 // how many frames the topic had until then
	leave     func() // gives back the place among the waiting clients; nil if it doesn't wait
	format    Format
	public    bool   // only the part of each frame that may be shown to everybody
	base      *Frame // the last frame sent on this connection: the client has exactly its bytes, not only its revision
	wake      chan struct{}

	turn  sync.Mutex // to write, and to change what stands above about what was written
	out   *Writer
	ended bool // nothing follows, or err
	err   error
}

// poke wakes the stream: there is something to send, or it has to end. What waits for one channel of its own is woken at half the
// cost of one that waits for any of several, which all streams share.
func (s *Subscription) poke() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyhow
	}
}

// Waiting admits one more client to the wait for a topic that doesn't exist yet. It returns a function to call once
// the wait is over. Subscribe returns its error. With a nil Waiting, no client waits.
type Waiting func() (leave func(), err error)

// Subscribe takes a place in the topic of k for a client that says it has seen last ("" for none). If the topic
// doesn't exist and wait admits the client, its stream has only comments until the topic exists. Errors:
// Reading.Absent (else ErrNotReady), Frame.Gone, ErrEnded, ErrClosed, those of the source and of wait.
func (h *Hub) Subscribe(ctx context.Context, k Key, last string, wait Waiting) (_ *Subscription, err error) {
	if h.isClosed() {
		return nil, ErrClosed
	}
	s := &Subscription{hub: h, connected: time.Now(), wake: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			s.begun()
		}
	}()
	var known bool
	if s.last, known = ParseLastID(last); !known && h.lookup(k) == nil {
		// A topic that doesn't exist isn't watched: a client that tries many ids must not fill the hub.
		r, err := h.source.Read(ctx, k)
		if err != nil {
			return nil, err
		}
		switch {
		case r.Frame == nil:
			if err := s.wait(wait, r); err != nil {
				return nil, err
			}
		case r.Frame.Gone != nil:
			return nil, r.Frame.Gone
		}
	}
	t, err := h.acquire(ctx, k)
	if err != nil {
		return nil, err
	}
	s.topic = t
	if err := s.admit(t.state.Load(), known, wait); err != nil {
		h.release(t)
		return nil, err
	}
	return s, nil
}

// wait asks once to be admitted to the wait for a topic that doesn't exist yet.
func (s *Subscription) wait(ask Waiting, r Reading) (err error) {
	if s.leave != nil {
		return nil
	}
	if ask == nil {
		return r.missing()
	}
	s.leave, err = ask()
	return err
}

// begun ends the wait.
func (s *Subscription) begun() {
	if s.leave != nil {
		s.leave()
		s.leave = nil
	}
}

func (r Reading) missing() error {
	if r.Absent != nil {
		return r.Absent
	}
	return ErrNotReady
}

// admit decides what a client that says it has seen last gets first.
func (s *Subscription) admit(st *state, known bool, wait Waiting) error {
	f := st.frame
	identity := st.read.Identity
	if f != nil {
		identity = f.Identity
	}
	switch {
	case f != nil && f.Gone != nil:
		return f.Gone
	case known && s.last.Identity == identity && (f == nil || s.last.Seq > f.Seq) && !seeded.Bug("ahead-not-held"):
		s.held = true
		atomic.AddInt32(&s.topic.held, 1)
		s.hub.Repair()
	case f == nil:
		return s.wait(wait, st.read)
	case known && s.last.shows(f):
		if f.Final() {
			return ErrEnded
		}
		s.sent, s.mark, s.frames = f, f.markText(), st.frames
	}
	return nil
}

// Close gives up the place.
func (s *Subscription) Close() {
	s.begun()
	s.free()
	s.hub.release(s.topic)
}

func (s *Subscription) free() {
	if s.held {
		s.held = false
		atomic.AddInt32(&s.topic.held, -1)
	}
}

// Serve writes the stream until the topic ends, the context ends or the hub closes. It returns nil for
// each of these, and the error of a write that failed or ran into its deadline.
func (s *Subscription) Serve(ctx context.Context, out *Writer, f Format) error {
	s.format, s.out = f, out
	s.topic.enter(s)
	defer s.topic.leave(s)
	defer context.AfterFunc(ctx, s.poke)()
	var quiet atomic.Bool
	beat := time.AfterFunc(s.hub.cfg.Heartbeat, func() { quiet.Store(true); s.poke() })
	defer beat.Stop()
	defer s.over() // before anybody writes what follows the stream
	for ctx.Err() == nil && !s.hub.isClosed() {
		beating := quiet.Swap(false)
		if beating {
			beat.Reset(s.hub.cfg.Heartbeat)
		}
		st, ended, err := s.write(beating)
		if ended || err != nil {
			return err
		}
		if s.topic.state.Load() != st {
			// Something newer came during the write. The other clients get it first, and until then there may be something newer still.
			runtime.Gosched()
		}
		<-s.wake
	}
	return nil
}

// over lets nobody write directly from now on.
func (s *Subscription) over() {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.ended = true
}

// write sends what the client is missing, and a heartbeat if it is time for one. It waits until the client takes it.
func (s *Subscription) write(beating bool) (st *state, ended bool, err error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	st = s.topic.state.Load()
	if s.ended {
		return st, true, s.finished()
	}
	if ended, err = s.advance(s.out, st); ended || err != nil {
		return st, ended, err
	}
	if beating {
		err = s.out.Comment()
	} else if len(s.out.rest) > 0 {
		err = s.out.write(nil)
	}
	return st, false, err
}

// finished writes what is left of a stream whose last event was written directly.
func (s *Subscription) finished() error {
	if s.err == nil && len(s.out.rest) > 0 {
		return s.out.write(nil)
	}
	return s.err
}

// direct sends what the client is missing from the goroutine of the one who woke the stream. It reports false if the stream has to go on
// by itself: it is about to write anyhow, its socket didn't take everything, or it has ended.
func (s *Subscription) direct() (done bool) {
	if !s.out.direct.possible() || !s.turn.TryLock() {
		return false
	}
	defer s.turn.Unlock()
	if s.ended || len(s.out.rest) > 0 {
		return false
	}
	defer func() {
		s.out.atOnce = false
		if p := recover(); p != nil {
			s.ended, s.err, done = true, fmt.Errorf("push: event stream panicked: %v", p), false
		}
	}()
	s.out.atOnce = true
	ended, err := s.advance(s.out, s.topic.state.Load())
	s.ended, s.err = ended || err != nil, err
	return !s.ended && len(s.out.rest) == 0
}

// ServePublic does the same with the part of each frame that may be shown to everybody, always as a whole.
func (s *Subscription) ServePublic(ctx context.Context, out *Writer) error {
	s.public = true
	return s.Serve(ctx, out, Full)
}

// advance sends what the client is missing of st.
func (s *Subscription) advance(out *Writer, st *state) (end bool, err error) {
	if f := st.frame; f != nil && f.Gone != nil {
		s.free()
		s.begun()
		s.hub.written.Add(1)
		return true, out.Events(f.encoded(Problem))
	}
	if s.held {
		if !s.released(st) {
			return false, nil
		}
		s.free()
		if st.frame == nil {
			return true, nil
		}
		if s.last.shows(st.frame) { // the hub has caught up with the client
			s.sent, s.mark, s.frames = st.frame, st.frame.markText(), st.frames
			return s.finish(out, st.frame)
		}
	}
	f := st.frame
	if f == nil || f == s.sent || s.sent != nil && !s.follows(f) && !seeded.Bug("unordered-overwrite") {
		if f == s.sent {
			s.frames = st.frames
		}
		return false, nil
	}
	kind := Update
	switch {
	case s.sent == nil:
		kind = Snapshot
	case f.Final():
		kind = End
	case f.markText() != s.mark:
		kind = Health
	}
	s.begun() // first, so that a client which has its first event is counted no more
	if err := out.Events(s.event(kind, f)); err != nil {
		return false, err
	}
	s.hub.written.Add(1)
	if s.sent != nil && st.frames-s.frames > 1 {
		s.hub.skipped.Add(st.frames - s.frames - 1)
	}
	s.sent, s.base, s.mark, s.frames = f, f, f.markText(), st.frames
	if kind == End {
		return true, nil
	}
	return s.finish(out, f)
}

// follows reports whether f has something new for the client: it is newer, or the same state that says something else at its moment.
func (s *Subscription) follows(f *Frame) bool {
	if f.newer(s.sent) {
		return true
	}
	if f.Seq != s.sent.Seq {
		return false
	}
	if f.Name() != s.sent.Name() {
		return true
	}
	s.sent = f // it says the same
	return false
}

func (s *Subscription) event(k Kind, f *Frame) []byte {
	if s.public {
		return f.encodedPublicly(k)
	}
	if s.base != nil && (k == Update || k == Health || k == End && s.format == Rows) && s.format != Full {
		return f.differing(s.format, k, s.base)
	}
	return f.encoded(k)
}

func (s *Subscription) finish(out *Writer, f *Frame) (end bool, err error) {
	if !f.Final() {
		return false, nil
	}
	s.hub.written.Add(1)
	return true, out.Events(s.event(End, f))
}

// released decides whether a client that was ahead may get the hub's frame (rule 14).
func (s *Subscription) released(st *state) bool {
	if f := st.frame; f != nil && (f.Identity != s.last.Identity || f.Seq >= s.last.Seq) {
		return true
	}
	r := st.read
	if r.Identity != s.last.Identity {
		return true
	}
	return (r.Cursor >= s.last.Seq || r.Complete && r.Watermark.After(s.connected.Add(s.hub.cfg.Slack)))
}
