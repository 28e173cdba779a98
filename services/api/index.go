package api

import (
	"cmp"
	"container/list"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
)

// row is the short form of a batch, as stored, with the fields by which lists are sorted and filtered.
type row struct {
	batch    string
	id       string // as its own system writes it
	name     string
	ordered  int64 // nanoseconds
	status   string
	health   string
	need     int // needOf its health
	pipeline string
	owner    string
	cause    string   // the code of the cause; "": none
	alike    string   // what it has in common with other batches of the same cause
	progress int64    // hundredths of a percent
	started  int64    // nanoseconds, as the two below; 0: not known
	took     int64    // until its end, or its last event so far
	expected int64    // the estimated end
	over     int64    // microseconds: when it ended; 0: it goes on
	labels   []string // "key:value"
	text     string   // the searchable text, in lower case
	revision uint64
	asOf     int64 // nanoseconds: for which the verdict was found
	until    int64 // nanoseconds: when it ends if no event comes; 0: never
	end      int   // its place in index.ends, from 1; 0: it has none
	slot     int   // its place in texts
	json     []byte
	event    []byte // the row as an SSE update, shared by all streams
	version  uint64 // counts changes of the index
	place    *list.Element
	erased   bool // it is in no list
}

func parseRow(raw []byte) (*row, error) {
	var r struct {
		BatchID   string    `json:"batch_id"`
		OrderedAt time.Time `json:"ordered_at"`
		Status    string    `json:"status"`
		Health    string    `json:"health"`
		Revision  uint64    `json:"revision"`
		AsOf      time.Time `json:"as_of"`
		Until     time.Time `json:"until"`
		BatchName string    `json:"batch_name"`
		Pipeline  string    `json:"pipeline"`
		Owner     string    `json:"owner"`

		Cause     string     `json:"cause"`
		Alike     string     `json:"alike"`
		Progress  float64    `json:"overall_progress"`
		Started   *time.Time `json:"started_at"`
		Completed *time.Time `json:"completed_at"`
		Last      *time.Time `json:"last_activity_at"`
		ETA       *struct {
			P50 time.Time `json:"p50"`
		} `json:"eta"`

		Labels map[string]json.RawMessage `json:"labels"`

		Erased *time.Time `json:"erased_at"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("api: row: %w", err)
	}
	batch, ok := diagnostics.EncodeID(r.BatchID)
	if !ok {
		return nil, fmt.Errorf("api: row: bad batch id %q", r.BatchID)
	}
	if r.Erased != nil {
		return erasedRow(batch, r.BatchID, r.Revision, *r.Erased), nil
	}
	labels := make([]string, 0, len(r.Labels))
	for key, value := range r.Labels {
		var text string
		if json.Unmarshal(value, &text) != nil {
			text = string(value) // a number or any other value, in its JSON form
		}
		labels = append(labels, key+":"+text)
	}
	slices.Sort(labels)
	until := int64(0)
	if !r.Until.IsZero() {
		until = r.Until.UnixNano()
	}
	expected := int64(0)
	if r.ETA != nil {
		expected = nanoseconds(&r.ETA.P50)
	}
	started := nanoseconds(r.Started)
	over := int64(0)
	if diagnostics.Over(r.Status) { // as in the history
		over = cmp.Or(nanoseconds(r.Completed), nanoseconds(r.Last), r.AsOf.UnixNano()) / 1000
	}
	return &row{
		id: r.BatchID, name: r.BatchName, owner: r.Owner, cause: r.Cause, alike: r.Alike, progress: int64(r.Progress * 100),
		started: started, took: max(0, cmp.Or(nanoseconds(r.Completed), nanoseconds(r.Last), started)-started), expected: expected, over: over,
		asOf: r.AsOf.UnixNano(), until: until, need: needOf(r.Health), pipeline: r.Pipeline, labels: labels,
		text:  strings.ToLower(strings.Join(append([]string{r.BatchID, r.BatchName, r.Pipeline, r.Owner}, labels...), "\x00")),
		batch: batch, ordered: r.OrderedAt.UnixNano(), status: r.Status, health: r.Health, revision: r.Revision,
		json: raw, event: push.AppendEvent(nil, "", push.Update.String(), raw),
	}, nil
}

// index has the rows of one namespace. Rows change one by one. A reader asks for those changed since
// the version that it saw, so that even a slow one gets the newest of each, and nothing is queued for it.
type index struct {
	ns string

	load     *semaphore.Weighted // serializes the first load and repairs
	ready    atomic.Bool         // loaded; changes while load is held
	refs     int                 // streams and requests; guarded by lists.mu
	used     time.Time           // guarded by lists.mu
	identity string              // identity of the log of the rows; guarded by load
	fold     int                 // fold version of the rows; guarded by load
	cursor   []uint64            // of each partition at its last repair; guarded by load

	shown atomic.Pointer[listing] // what pages are made of, without a lock

	mu      sync.Mutex
	rows    map[string]*row
	listing listing
	changes *list.List // rows by version, oldest first
	ends    moments    // rows whose verdict ends by itself
	version uint64
	seen    []uint64 // greatest revision of each partition
	changed chan struct{}
}

func newIndex(ns string, partitions int) *index {
	x := &index{
		ns: ns, load: semaphore.NewWeighted(1), rows: map[string]*row{}, listing: newListing(), changes: list.New(), changed: make(chan struct{}),
		seen: make([]uint64, partitions), cursor: make([]uint64, partitions),
	}
	x.shown.Store(x.listing.copy())
	return x
}

// newer reports whether r may replace old: it has a greater revision, or the same one at a later moment.
func (r *row) newer(old *row) bool {
	return r.revision > old.revision || r.revision == old.revision && r.asOf > old.asOf
}

// put adds the rows that are newer than the present ones. It returns their number.
func (x *index) put(rows []*row, partition func(ns, batch string) int) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := 0
	for _, r := range rows {
		if p := partition(x.ns, r.batch); p < len(x.seen) {
			x.seen[p] = max(x.seen[p], r.revision)
		}
		old := x.rows[r.batch]
		if old != nil && !r.newer(old) {
			continue
		}
		n++
		x.version++
		r.version = x.version
		if old != nil {
			x.changes.Remove(old.place)
			x.replaced(old)
		}
		r.place = x.changes.PushBack(r)
		x.rows[r.batch] = r
		x.await(r)
		x.listing.change(old, r)
	}
	if n > 0 {
		x.tell()
	}
	return n
}

// remove removes a batch that isn't in Redis any more. Streams keep its row.
func (x *index) remove(batch string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	old := x.rows[batch]
	if old == nil {
		return
	}
	delete(x.rows, batch)
	x.changes.Remove(old.place)
	x.replaced(old)
	x.listing.remove(old)
	x.version++
	x.tell()
}

// tell shows what has changed. The caller holds mu.
func (x *index) tell() {
	x.shown.Store(x.listing.copy())
	close(x.changed)
	x.changed = make(chan struct{})
}

// page returns up to limit rows of an order after a place (nil: from the start) for which keep returns true, among those that may
// contain text, "" for all, and the counts of the whole namespace at that moment. It waits for no change.
func (x *index) page(order string, after *row, limit int, text string, keep func(*row) bool) (out []*row, c counts, more bool) {
	l := x.shown.Load()
	out, more = l.page(order, after, limit, text, keep)
	return out, l.counts, more
}

func (x *index) counted() counts { return x.shown.Load().counts }

// since returns the rows changed after version, the version that a reader has then, and a channel that is closed
// at the next change.
func (x *index) since(version uint64, keep func(*row) bool) (out []*row, now uint64, changed <-chan struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for e := x.changes.Back(); e != nil; e = e.Prev() {
		r := e.Value.(*row)
		if r.version <= version {
			break
		}
		if keep(r) {
			out = append(out, r)
		}
	}
	slices.Reverse(out)
	return out, x.version, x.changed
}

// greatest is the greatest revision seen of partition p.
func (x *index) greatest(p int) uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen[p]
}

// empty removes all rows. Readers keep their version, so everything that is loaded next is new to them. The caller holds load.
func (x *index) empty() {
	x.ready.Store(false)
	clear(x.cursor)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rows, x.listing = map[string]*row{}, newListing()
	x.shown.Store(x.listing.copy())
	x.changes.Init()
	x.ends = nil
	clear(x.seen)
}

// fill loads the index on first use.
func (x *index) fill(ctx context.Context, l *lists) error {
	if x.ready.Load() {
		return nil
	}
	if err := x.load.Acquire(ctx, 1); err != nil {
		return err
	}
	defer x.load.Release(1)
	if x.ready.Load() {
		return nil
	}
	return x.read(ctx, l)
}

// read loads the rows. The caller holds load.
func (x *index) read(ctx context.Context, l *lists) error {
	identity, fold := l.source.views.identity()
	if err := l.feed.watchRows(ctx, x.ns); err != nil {
		return fmt.Errorf("api: watch rows: %w", err)
	}
	raw, err := l.rows.rows(ctx, x.ns)
	if err == nil {
		err = x.take(raw, l.source)
	}
	if err != nil {
		l.feed.unwatchRows(x.ns)
		return fmt.Errorf("api: rows: %w", err)
	}
	x.identity, x.fold = identity, fold
	x.ready.Store(true)
	return nil
}

// repair reads the rows that no push delivered, from each partition that has advanced.
func (x *index) repair(ctx context.Context, l *lists) error {
	if err := x.load.Acquire(ctx, 1); err != nil {
		return err
	}
	defer x.load.Release(1)
	if !x.ready.Load() {
		return nil
	}
	identity, fold := l.source.views.identity()
	if identity != x.identity { // the log was recreated
		x.empty()
		return x.read(ctx, l)
	}
	if fold != x.fold {
		if err := x.handOver(ctx, l); err != nil {
			return err
		}
		x.fold = fold
	}
	for p := range l.source.newest {
		f := l.source.newest[p].Load()
		if f == nil || f.cursor == x.cursor[p] {
			continue
		}
		raw, err := l.rows.rowsSince(ctx, x.ns, p, x.greatest(p))
		if err == nil {
			err = x.take(raw, l.source)
		}
		if err != nil {
			return fmt.Errorf("api: rows of p%02d: %w", p, err)
		}
		x.cursor[p] = f.cursor
	}
	return nil
}

func (x *index) take(raw [][]byte, s *source) error {
	rows, err := parseRows(raw)
	if err == nil {
		x.put(rows, s.partition)
	}
	return err
}

func parseRows(raw [][]byte) ([]*row, error) {
	rows := make([]*row, 0, len(raw))
	for _, b := range raw {
		r, err := parseRow(b)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}
