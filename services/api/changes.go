package api

import (
	"context"
	"errors"
	"log/slog"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/push"
)

// Changes is the log of health changes as the api reads it. Errors of reading: those of eventlog.Log.Read.
type Changes interface {
	HealthInfo(ctx context.Context) (eventlog.Info, error)
	// FollowHealth passes changes to sink until ctx ends.
	FollowHealth(ctx context.Context, o eventlog.HealthOptions, sink func(eventlog.Message) error) error
	// ReadHealth passes the stored changes to sink until there are no more, or sink wants none.
	ReadHealth(ctx context.Context, o eventlog.HealthOptions, sink func(eventlog.Message) (more bool)) error
}

// change is one change of health.
type change struct {
	seq  uint64
	ns   string
	to   string
	code string // of the cause now; "" if there is none
	data []byte // the whole CloudEvent, or as a server-sent event
}

// newChange reads a message; nil if it isn't a change of health in structured mode, which anybody may have published.
func newChange(d *diagnostics.Decoder, m eventlog.Message) *change {
	place, _ := strings.CutPrefix(m.Subject, "headway.health.")
	e, no := d.Decode(diagnostics.Message{Subject: "headway.events." + place + ".health", Data: m.Data, Stored: m.Stored})
	if no != nil || e.Source != diagnostics.DetectorSource { // ingest refuses it, too
		return nil
	}
	return &change{
		seq: m.Seq, ns: strings.Clone(e.Namespace), to: e.HealthFacts.To.String(), code: strings.Clone(e.HealthFacts.CauseTo.V),
		data: escapeControls(m.Data),
	}
}

// encode turns the data into a server-sent event.
func (c *change) encode(identity string) {
	c.data = push.AppendEvent(nil, position{identity: identity, seq: c.seq}.String(), push.Health.String(), c.data)
}

// bytes is about how much memory it takes.
func (c *change) bytes() int { return len(c.data) + len(c.ns) + len(c.code) + 128 }

// recent has the newest changes of health in memory, for all streams of this process. One reader fills it, from the first stream on.
type recent struct {
	log        Changes
	logger     *slog.Logger
	keep, size int // limits: changes and bytes

	want   sync.Once
	wanted chan struct{} // closed with the first stream
	began  chan struct{} // closed once the log's end is known

	mu       sync.Mutex
	identity string // of the stream; "" before began
	reset    int    // how often the stream turned out to be another one
	read     uint64 // the last sequence that was read
	end      uint64 // the last sequence of the stream that we know of
	floor    uint64 // changes up to here may not be in memory
	bytes    int
	changes  []*change
	topics   map[string]*topic
}

// topic is a namespace that has streams.
type topic struct {
	streams int
	floor   uint64        // changes of the namespace up to here may not be in memory
	changed chan struct{} // closed when there is more
}

func newRecent(l Changes, logger *slog.Logger, keep int) *recent {
	return &recent{log: l, logger: logger, keep: keep, size: keepBytes, wanted: make(chan struct{}), began: make(chan struct{}), topics: map[string]*topic{}}
}

const (
	keepBytes   = 16 << 20
	writeAtOnce = 256 << 10 // bytes, so that a slow client can take them within the timeout of a write
	recentRetry = time.Second
)

// run reads the log until ctx ends.
func (r *recent) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-r.wanted:
	}
	for {
		err := r.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, eventlog.ErrIdentityChanged) {
			r.logger.Warn("reading changes of health failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(recentRetry):
		}
	}
}

func (r *recent) follow(ctx context.Context) error {
	info, err := r.log.HealthInfo(ctx)
	if err != nil {
		return err
	}
	from := r.begin(info)
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	go r.watch(ctx, info, end)
	var d diagnostics.Decoder
	return r.log.FollowHealth(ctx, eventlog.HealthOptions{From: from, Identity: info.Identity}, func(m eventlog.Message) error {
		c := newChange(&d, m)
		if c != nil {
			c.encode(info.Identity)
		}
		r.add(m.Seq, c)
		return nil
	})
}

// watch ends the reading of a stream that is another one by now, which its reader would notice only much later, and forgets what is in memory
// when changes of erased batches are gone from it.
func (r *recent) watch(ctx context.Context, was eventlog.Info, end context.CancelCauseFunc) {
	tick := time.NewTicker(identityEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		known, _ := r.now()
		info, err := r.log.HealthInfo(ctx)
		if err != nil {
			continue
		}
		if info.Identity != was.Identity || info.Last < known.seq {
			end(eventlog.ErrIdentityChanged)
			return
		}
		if info.Deleted != was.Deleted || info.First != was.First {
			r.forget()
		}
		was = info
	}
}

// begin notes which stream is read, and returns the first sequence to read.
func (r *recent) begin(info eventlog.Info) (from uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if info.Identity == r.identity && info.Last >= r.end {
		r.end = info.Last
		return r.read + 1
	}
	first := info.First
	if keep := uint64(r.keep); info.Last > keep {
		first = max(first, info.Last-keep+1)
	}
	r.identity, r.end, r.read, r.floor, r.bytes, r.changes = info.Identity, info.Last, first-1, first-1, 0, nil
	if r.reset++; r.reset == 1 {
		close(r.began)
	}
	for _, t := range r.topics {
		t.floor = r.floor
		t.wake()
	}
	return first
}

func (t *topic) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// forget drops what is in memory: streams that are behind read the log.
func (r *recent) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes, r.bytes, r.floor = nil, 0, r.read
	for _, t := range r.topics {
		t.floor = r.read
		t.wake()
	}
}

// add takes the next message. c is nil if it was no change of health.
func (r *recent) add(seq uint64, c *change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read, r.end = seq, max(r.end, seq)
	if c == nil {
		return
	}
	r.changes = append(r.changes, c)
	for r.bytes += c.bytes(); len(r.changes) > r.keep || r.bytes > r.size && len(r.changes) > 1; r.changes = r.changes[1:] {
		old := r.changes[0]
		r.changes[0] = nil
		r.bytes -= old.bytes()
		r.floor = old.seq
		if t := r.topics[old.ns]; t != nil {
			t.floor = old.seq
		}
	}
	if t := r.topics[c.ns]; t != nil {
		t.wake()
	}
}

// join counts one more stream of a namespace. From now on its changes are noted as they leave memory.
func (r *recent) join(ns string) (leave func()) {
	r.want.Do(func() { close(r.wanted) })
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.topics[ns]
	if t == nil {
		t = &topic{floor: r.floor, changed: make(chan struct{})}
		r.topics[ns] = t
	}
	t.streams++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if t.streams--; t.streams == 0 {
			delete(r.topics, ns)
		}
	}
}

// position is a place in the log: what comes after seq follows.
type position struct {
	identity string
	seq      uint64
	reset    int // of the reader when it was known; 0: not compared
}

// since returns the changes of a namespace after a position, the position behind them, and a channel that is closed when there may
// be more. known is false if some aren't in memory any more, or if the stream is another one.
func (r *recent) since(ns string, from position) (out []*change, to position, changed <-chan struct{}, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.topics[ns]
	if from.seq < t.floor || from.reset != r.reset {
		return nil, from, nil, false
	}
	at := sort.Search(len(r.changes), func(i int) bool { return r.changes[i].seq > from.seq })
	size := 0
	for _, c := range r.changes[at:] {
		if size > writeAtOnce {
			return out, from, ready, true
		}
		if from.seq = c.seq; c.ns == ns {
			out = append(out, c)
			size += len(c.data)
		}
	}
	return out, from, t.changed, true
}

// ready is closed.
var ready = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// now is the end of the log as known, and the sequence after which all is in memory.
func (r *recent) now() (end position, floor uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return position{r.identity, r.end, r.reset}, r.floor
}
