package push

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/headwayhq/headway/internal/seeded"
)

// Key names a topic.
type Key struct{ Namespace, Name string }

// Position is how far the source of a topic has folded the log.
type Position struct {
	Identity  string
	Fold      int
	Cursor    uint64
	Watermark time.Time
	Complete  bool
}

// Reading is one atomic read of a topic's position and state.
type Reading struct {
	Position
	Frame *Frame
	// Absent says why Frame is nil, and Subscribe returns it then. Only the source can know that a topic
	// doesn't exist, and only at the moment of the read: a hub never concludes it. Nil means ErrNotReady.
	Absent error
	// Kept says that Frame was found where Look doesn't look: where states are kept that the source's own store dropped.
	Kept bool
}

// Look is the position of a topic and the sequence of its state, 0 if there is none, without the state itself.
type Look struct {
	Position
	Seq  uint64
	Gone bool // there is certainly no state here; there may be a kept one
}

// Source reads and watches topics. Methods may be called concurrently.
type Source interface {
	// Watch makes the source publish changes of k to the hub. After it has returned, a change is missed only if a
	// notification gets lost, and then the repair finds it. Unwatch ends it. Both are idempotent.
	Watch(ctx context.Context, k Key) error
	Unwatch(k Key)
	// Read reads position and state at one moment.
	Read(ctx context.Context, k Key) (Reading, error)
	// Look reads positions and sequences of many topics in one round trip, in the order of keys.
	Look(ctx context.Context, keys []Key) ([]Look, error)
}

// Errors of Subscribe.
var (
	// ErrNotReady: the source doesn't have the topic, and didn't say why.
	ErrNotReady = errors.New("push: the topic isn't there yet")
	// ErrEnded: the client has already seen the topic's end.
	ErrEnded = errors.New("push: the client has seen the end")
	// ErrClosed: the hub is shutting down.
	ErrClosed = errors.New("push: hub is closed")
)

// Config of a Hub; zero values mean the defaults.
type Config struct {
	Heartbeat    time.Duration // between comments of a quiet stream; default 15 s
	WriteTimeout time.Duration // for each write to a client; default 10 s
	Repair       time.Duration // between two comparisons of all topics with the source; default 2 s
	Linger       time.Duration // how long a topic is watched after its last use; default 60 s
	Slack        time.Duration // tolerated clock difference, after which an id from the future is disregarded; default 5 s
	Retry        time.Duration // minimum reconnection time sent to clients, jittered up to twice as much; default 1 s
	MaxTopics    int           // maximum number of topics watched without a stream; default 20,000
	Logger       *slog.Logger
}

func (c *Config) fill() {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&c.Heartbeat, 15*time.Second)
	set(&c.WriteTimeout, 10*time.Second)
	set(&c.Repair, 2*time.Second)
	set(&c.Linger, time.Minute)
	set(&c.Slack, 5*time.Second)
	set(&c.Retry, time.Second)
	if c.MaxTopics <= 0 {
		c.MaxTopics = 20_000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Hub has the newest frame of each topic that is in use. Run repairs; everything else is safe for
// concurrent use.
type Hub struct {
	cfg    Config
	source Source
	done   chan struct{}
	kick   chan struct{}
	closed sync.Once

	written, skipped atomic.Uint64
	taken            taken

	mu     sync.RWMutex
	topics map[Key]*topic
	idle   int // topics without a stream
}

// New creates a hub over s.
func New(s Source, c Config) *Hub {
	c.fill()
	return &Hub{cfg: c, source: s, done: make(chan struct{}), kick: make(chan struct{}, 1), topics: map[Key]*topic{}}
}

// Close ends all streams at once. It doesn't wait for them.
func (h *Hub) Close() {
	h.closed.Do(func() {
		close(h.done)
		h.taken.close()
		h.mu.RLock()
		defer h.mu.RUnlock()
		for _, t := range h.topics {
			t.poke()
		}
	})
}

// Wait returns when all streams have ended whose connections were taken over from their server: the server waits for the
// others. It may be called after Close only.
func (h *Hub) Wait() { h.taken.wait.Wait() }

// Written is how many events have been written to streams of topics. Skipped is how many frames these streams left out,
// because a newer one was there when the client could be written to.
func (h *Hub) Written() (written, skipped uint64) { return h.written.Load(), h.skipped.Load() }

func (h *Hub) isClosed() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

// Done is closed by Close.
func (h *Hub) Done() <-chan struct{} { return h.done }

// topic is one watched topic. Its state is one atomic value; a change replaces the value, and everyone who waits is
// woken at once, or soon after if they are many.
type topic struct {
	key   Key
	refs  int                 // streams; guarded by Hub.mu
	used  int64               // unix nanoseconds of the last use, atomic
	held  int32               // clients waiting for a reading, atomic
	crowd atomic.Int64        // refs, to be read without a lock
	first *semaphore.Weighted // serializes watch, first read and refreshes; a lock whose wait ends with a context
	live  bool                // watched and read once; guarded by first
	gone  bool                // forgotten; guarded by first

	mu      sync.Mutex                 // serializes changes of state
	waking  bool                       // wake will be called; guarded by mu
	writing bool                       // writeAll runs; guarded by mu
	again   bool                       // it has to begin again; guarded by mu
	streams map[*Subscription]struct{} // guarded by mu
	state   atomic.Pointer[state]
}

type state struct {
	frame  *Frame
	read   Reading // the latest one, whatever its sequence
	readAt time.Time
	ready  bool   // a first reading has been made
	frames uint64 // how many the topic has had
}

// put replaces the state with the result of change, which returns false to leave it unchanged.
func (t *topic) put(change func(*state) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.state.Load()
	next := *old
	if !change(&next) {
		return
	}
	if next.frame != nil && next.frame != old.frame {
		next.frames++
	}
	t.state.Store(&next)
	if t.waking {
		return
	}
	gather := min(time.Duration(t.crowd.Load())*gatherEach, gatherMost)
	if gather < gatherLeast {
		t.wake()
		return
	}
	t.waking = true
	time.AfterFunc(gather, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.waking = false
		t.wake()
	})
}

// How long changes are gathered before the streams of a topic are woken: about a fifth of the time that it takes to write to all of
// them, and not at all where they are few. Changes often come in bursts, and each stream then needs one write instead of several.
const (
	gatherEach  = 500 * time.Nanosecond
	gatherLeast = 200 * time.Microsecond
	gatherMost  = 2 * time.Millisecond
)

// crowd is how many streams of a topic are written to directly: a goroutine that is woken for each write costs a fifth of the write.
const crowd = 32

// poke makes all streams look by themselves.
func (t *topic) poke() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range t.streams {
		s.poke()
	}
}

// wake makes all streams send what is new. The caller holds mu.
func (t *topic) wake() {
	switch {
	case len(t.streams) < crowd:
		for s := range t.streams {
			s.poke()
		}
	case t.writing:
		t.again = true
	default:
		t.writing = true
		go t.writeAll()
	}
}

// writeAll writes to all streams until no change has come meanwhile. A client that is slow isn't waited for.
func (t *topic) writeAll() {
	var all []*Subscription
	for again := true; again; {
		t.mu.Lock()
		all, t.again = slices.AppendSeq(all[:0], maps.Keys(t.streams)), false
		t.mu.Unlock()
		part := max(crowd, (len(all)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
		var parts sync.WaitGroup
		for some := range slices.Chunk(all, part) {
			parts.Go(func() {
				for _, s := range some {
					if !s.direct() {
						s.poke()
					}
				}
			})
		}
		parts.Wait()
		t.mu.Lock()
		again = t.again
		t.writing = again
		t.mu.Unlock()
	}
}

// enter and leave keep the set of streams that are woken.
func (t *topic) enter(s *Subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.streams == nil {
		t.streams = map[*Subscription]struct{}{}
	}
	t.streams[s] = struct{}{}
}

func (t *topic) leave(s *Subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.streams, s)
}

func (t *topic) publish(f *Frame) {
	t.put(func(s *state) bool {
		if !f.newer(s.frame) && !seeded.Bug("unordered-overwrite") {
			return false
		}
		s.frame = f
		return true
	})
}

func (t *topic) reading(r Reading) {
	t.put(func(s *state) bool {
		s.read, s.readAt, s.ready = r, time.Now(), true
		if s.frame != nil && (r.Frame == nil && r.Identity != s.frame.Identity || r.supersedes(s.frame)) {
			s.frame = nil // the frame belongs to a stream that no longer exists, or to a fold version that no longer serves
		}
		if r.Frame != nil && r.Frame.newer(s.frame) {
			s.frame = r.Frame
		}
		return true
	})
}

// Publish gives a topic a new frame. The frame is dropped if the topic isn't in use or already has one that is at
// least as new. Frames of an identity other than the source's present one must not be published.
func (h *Hub) Publish(k Key, f *Frame) {
	if t := h.lookup(k); t != nil {
		t.publish(f)
	}
}

// Renew replaces a topic's frame by the same state at a later moment, unless the topic has got another frame meanwhile.
func (h *Hub) Renew(k Key, old, next *Frame) {
	if t := h.lookup(k); t != nil {
		t.put(func(s *state) bool {
			if s.frame != old {
				return false
			}
			s.frame = next
			return true
		})
	}
}

// Stale marks k as changed, so that the hub reads it.
func (h *Hub) Stale(ctx context.Context, k Key) error {
	t := h.lookup(k)
	if t == nil {
		return nil
	}
	return h.refresh(ctx, t)
}

// Repair makes Run compare all topics with the source now.
func (h *Hub) Repair() {
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

func (h *Hub) lookup(k Key) *topic {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.topics[k]
}

// Topics is how many topics are watched.
func (h *Hub) Topics() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.topics)
}

// Current returns the newest frame of a topic that is live, without any I/O; ok is false if it isn't.
func (h *Hub) Current(k Key) (f *Frame, ok bool) {
	t := h.lookup(k)
	if t == nil {
		return nil, false
	}
	s := t.state.Load()
	if !s.ready || s.frame == nil {
		return nil, false
	}
	if now := time.Now().UnixNano(); now-atomic.LoadInt64(&t.used) > int64(time.Second) {
		atomic.StoreInt64(&t.used, now)
	}
	return s.frame, true
}

// Keep keeps a topic live for Config.Linger without a stream, and returns its newest reading.
// Errors: the source's.
func (h *Hub) Keep(ctx context.Context, k Key) (Reading, error) {
	t, err := h.acquire(ctx, k)
	if err != nil {
		return Reading{}, err
	}
	defer h.release(t)
	s := t.state.Load()
	r := s.read
	r.Frame = s.frame
	return r, nil
}

// acquire returns the live topic of k with one more reference.
func (h *Hub) acquire(ctx context.Context, k Key) (*topic, error) {
	for {
		t := h.reference(k)
		gone, err := h.begin(ctx, t)
		if err == nil && !gone {
			return t, nil
		}
		h.release(t)
		if err != nil {
			return nil, err
		}
	}
}

func (h *Hub) reference(k Key) *topic {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[k]
	if t == nil {
		t = &topic{key: k, first: semaphore.NewWeighted(1)}
		t.state.Store(&state{})
		h.topics[k] = t
		h.idle++
	}
	if t.refs == 0 {
		h.idle--
	}
	t.refs++
	t.crowd.Store(int64(t.refs))
	atomic.StoreInt64(&t.used, time.Now().UnixNano())
	return t
}

// begin watches and reads a topic that isn't live yet. A live topic without a frame is read again, because an
// earlier reading of its absence may be outdated.
func (h *Hub) begin(ctx context.Context, t *topic) (gone bool, err error) {
	if err := t.first.Acquire(ctx, 1); err != nil {
		return false, err
	}
	defer t.first.Release(1)
	if t.gone || t.live && t.state.Load().frame != nil {
		return t.gone, nil
	}
	if seeded.Bug("read-before-subscribe") && !t.live {
		early, err := h.source.Read(ctx, t.key)
		t.live = err == nil && h.source.Watch(ctx, t.key) == nil
		t.reading(early)
		return false, err
	}
	if !t.live {
		if err := h.source.Watch(ctx, t.key); err != nil {
			return false, fmt.Errorf("push: watch: %w", err)
		}
	}
	r, err := h.source.Read(ctx, t.key)
	if err != nil {
		if !t.live {
			h.source.Unwatch(t.key)
		}
		return false, fmt.Errorf("push: read: %w", err)
	}
	t.reading(r)
	t.live = true
	return false, nil
}

func (h *Hub) release(t *topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.refs--
	t.crowd.Store(int64(t.refs))
	if t.refs == 0 {
		h.idle++
		atomic.StoreInt64(&t.used, time.Now().UnixNano())
		if s := t.state.Load(); s.frame == nil { // nothing worth keeping
			atomic.StoreInt64(&t.used, 0)
		}
	}
}

// refresh reads a live topic again.
func (h *Hub) refresh(ctx context.Context, t *topic) error {
	if err := t.first.Acquire(ctx, 1); err != nil {
		return err
	}
	defer t.first.Release(1)
	if !t.live {
		return nil
	}
	r, err := h.source.Read(ctx, t.key)
	if err != nil {
		return fmt.Errorf("push: read: %w", err)
	}
	t.reading(r)
	return nil
}
