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
	"time"

	"github.com/headwayhq/headway/pkg/push"
)

// row is the light form of a batch, as stored, with what lists sort and filter by.
type row struct {
	batch    string
	ordered  int64 // nanoseconds
	status   string
	health   string
	revision uint64
	json     []byte
	event    []byte // the row as an SSE update, shared by all streams
	version  uint64 // counts changes of the index
	place    *list.Element
}

func parseRow(raw []byte) (*row, error) {
	var r struct {
		BatchID   string    `json:"batch_id"`
		OrderedAt time.Time `json:"ordered_at"`
		Status    string    `json:"status"`
		Health    string    `json:"health"`
		Revision  uint64    `json:"revision"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("api: row: %w", err)
	}
	if !validID(r.BatchID) {
		return nil, fmt.Errorf("api: row: bad batch id %q", r.BatchID)
	}
	return &row{
		batch: r.BatchID, ordered: r.OrderedAt.UnixNano(), status: r.Status, health: r.Health, revision: r.Revision,
		json: raw, event: push.AppendEvent(nil, "", push.Update.String(), raw),
	}, nil
}

// newestFirst is the order of lists.
func newestFirst(a, b *row) int {
	if a.ordered != b.ordered {
		return cmp.Compare(b.ordered, a.ordered)
	}
	return strings.Compare(a.batch, b.batch)
}

// index holds the rows of one namespace. Rows change one by one; a reader asks for those changed since
// the version it saw, so that however slow it is it gets the newest of each, and nothing is kept for it.
type index struct {
	ns string

	load   sync.Mutex // serializes the first load and repairs
	ready  bool       // guarded by load
	refs   int        // streams and requests; guarded by lists.mu
	used   time.Time  // guarded by lists.mu
	cursor []uint64   // of each partition when it was repaired last; guarded by load

	mu      sync.Mutex
	rows    map[string]*row
	sorted  []*row
	changes *list.List // rows by version, oldest first
	version uint64
	seen    []uint64 // greatest revision of each partition
	changed chan struct{}
}

func newIndex(ns string, partitions int) *index {
	return &index{
		ns: ns, rows: map[string]*row{}, changes: list.New(), changed: make(chan struct{}),
		seen: make([]uint64, partitions), cursor: make([]uint64, partitions),
	}
}

// put takes rows in, each where it is newer than what is held. It reports how many were.
func (x *index) put(rows []*row, partition func(ns, batch string) int) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	bulk := len(rows) > 64
	n := 0
	for _, r := range rows {
		if p := partition(x.ns, r.batch); p < len(x.seen) {
			x.seen[p] = max(x.seen[p], r.revision)
		}
		old := x.rows[r.batch]
		if old != nil && r.revision <= old.revision {
			continue
		}
		n++
		x.version++
		r.version = x.version
		if old != nil {
			x.changes.Remove(old.place)
		}
		r.place = x.changes.PushBack(r)
		x.rows[r.batch] = r
		if !bulk {
			x.place(old, r)
		}
	}
	if bulk && n > 0 {
		x.sorted = x.sorted[:0]
		for _, r := range x.rows {
			x.sorted = append(x.sorted, r)
		}
		slices.SortFunc(x.sorted, newestFirst)
	}
	if n > 0 {
		close(x.changed)
		x.changed = make(chan struct{})
	}
	return n
}

func (x *index) place(old, r *row) {
	if old != nil {
		if i, found := slices.BinarySearchFunc(x.sorted, old, newestFirst); found {
			if old.ordered == r.ordered {
				x.sorted[i] = r
				return
			}
			x.sorted = slices.Delete(x.sorted, i, i+1)
		}
	}
	i, _ := slices.BinarySearchFunc(x.sorted, r, newestFirst)
	x.sorted = slices.Insert(x.sorted, i, r)
}

// page returns up to limit rows after the place of after (nil: from the start) that keep agrees to.
func (x *index) page(after *row, limit int, keep func(*row) bool) (out []*row, more bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	i := 0
	if after != nil {
		var found bool
		if i, found = slices.BinarySearchFunc(x.sorted, after, newestFirst); found {
			i++
		}
	}
	for ; i < len(x.sorted); i++ {
		if !keep(x.sorted[i]) {
			continue
		}
		if len(out) == limit {
			return out, true
		}
		out = append(out, x.sorted[i])
	}
	return out, false
}

// since returns the rows changed after version, the version they bring a reader to, and what is closed
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

// empty forgets all rows. Readers keep their place: what is loaded next is new to them.
func (x *index) empty() {
	x.load.Lock()
	defer x.load.Unlock()
	x.ready = false
	clear(x.cursor)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rows, x.sorted = map[string]*row{}, nil
	x.changes.Init()
	clear(x.seen)
}

// fill loads the index on first use.
func (x *index) fill(ctx context.Context, s *source) error {
	x.load.Lock()
	defer x.load.Unlock()
	if x.ready {
		return nil
	}
	if err := s.feed.watchRows(ctx, x.ns); err != nil {
		return fmt.Errorf("api: watch rows: %w", err)
	}
	raw, err := s.views.rows(ctx, x.ns)
	if err != nil {
		s.feed.unwatchRows(x.ns)
		return fmt.Errorf("api: rows: %w", err)
	}
	rows := make([]*row, 0, len(raw))
	for _, b := range raw {
		r, err := parseRow(b)
		if err != nil {
			return err
		}
		rows = append(rows, r)
	}
	x.put(rows, s.partition)
	x.ready = true
	return nil
}

// repair asks each partition that has moved for rows that the push path didn't bring.
func (x *index) repair(ctx context.Context, s *source) error {
	x.load.Lock()
	defer x.load.Unlock()
	if !x.ready {
		return nil
	}
	for p := range s.newest {
		f := s.newest[p].Load()
		if f == nil || f.cursor == x.cursor[p] {
			continue
		}
		raw, err := s.views.rowsSince(ctx, x.ns, p, x.greatest(p))
		if err != nil {
			return fmt.Errorf("api: rows of p%02d: %w", p, err)
		}
		rows := make([]*row, 0, len(raw))
		for _, b := range raw {
			r, err := parseRow(b)
			if err != nil {
				return err
			}
			rows = append(rows, r)
		}
		x.put(rows, s.partition)
		x.cursor[p] = f.cursor
	}
	return nil
}
