package api

import (
	"container/heap"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
)

// A row names the moment until which its verdict holds. Once it has passed without an event, the verdict is found again from the
// view. So a list shows what a snapshot shows, and nothing has to be stored for it.

// overdueAtOnce is how many views are read at once to find verdicts again.
const overdueAtOnce = 100

// moments are rows by the end of their verdict, the earliest first. Each row knows its place, so that one that is replaced can be
// removed: a busy batch would leave all of its rows here until their verdicts would have ended.
type moments []*row

func (m moments) Len() int           { return len(m) }
func (m moments) Less(i, j int) bool { return m[i].until < m[j].until }
func (m moments) Swap(i, j int) {
	m[i], m[j] = m[j], m[i]
	m[i].end, m[j].end = i+1, j+1
}

func (m *moments) Push(x any) {
	r := x.(*row)
	*m = append(*m, r)
	r.end = len(*m)
}

func (m *moments) Pop() any {
	last := len(*m) - 1
	r := (*m)[last]
	(*m)[last] = nil
	*m = (*m)[:last]
	r.end = 0
	return r
}

// await notes when the verdict of a row ends. The caller holds mu.
func (x *index) await(r *row) {
	if r.until != 0 && r.end == 0 {
		heap.Push(&x.ends, r)
	}
}

// replaced forgets when the verdict of a row ends. The caller holds mu.
func (x *index) replaced(r *row) {
	if r.end != 0 {
		heap.Remove(&x.ends, r.end-1)
	}
}

// overdue takes rows whose verdicts have ended. asOf is the moment of evaluation of a batch's partition.
func (x *index) overdue(asOf func(batch string) int64, latest int64) (out []*row) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var early []*row // their partitions are behind others
	for len(x.ends) > 0 && x.ends[0].until <= latest && len(out) < overdueAtOnce {
		r := heap.Pop(&x.ends).(*row)
		switch {
		case x.rows[r.batch] != r:
		case r.until > asOf(r.batch):
			early = append(early, r)
		default:
			out = append(out, r)
		}
	}
	for _, r := range early {
		heap.Push(&x.ends, r)
	}
	return out
}

// settleAll settles all indexes in use.
func (l *lists) settleAll(ctx context.Context) error {
	l.mu.Lock()
	all := slices.Collect(maps.Values(l.per))
	l.mu.Unlock()
	var failed error
	for _, x := range all {
		if err := l.settle(ctx, x); err != nil {
			failed = err
		}
	}
	return failed
}

// settle finds the verdicts again that have ended. Rows whose views can't be read stay as they are until the next time.
func (l *lists) settle(ctx context.Context, x *index) error {
	asOf := func(batch string) int64 {
		if f := l.source.newest[l.source.partition(x.ns, batch)].Load(); f != nil {
			return f.asOf.UnixNano()
		}
		return 0
	}
	latest := int64(0)
	for p := range l.source.newest {
		if f := l.source.newest[p].Load(); f != nil {
			latest = max(latest, f.asOf.UnixNano())
		}
	}
	var failed error
	var again []*row
	for {
		due := x.overdue(asOf, latest)
		if len(due) == 0 {
			break
		}
		rows, unread, err := l.judge(ctx, x.ns, due)
		x.put(rows, l.source.partition)
		again = append(again, unread...)
		if err != nil {
			failed = err
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range again {
		x.await(r)
	}
	return failed
}

// judge reads views, and makes their rows as of now.
func (l *lists) judge(ctx context.Context, ns string, due []*row) (rows, unread []*row, err error) {
	byPartition := map[int][]*row{}
	for _, r := range due {
		p := l.source.partition(ns, r.batch)
		byPartition[p] = append(byPartition[p], r)
	}
	var asks []ask
	for p, of := range byPartition {
		a := ask{partition: p}
		for _, r := range of {
			a.keys = append(a.keys, push.Key{Namespace: ns, Name: r.batch})
		}
		asks = append(asks, a)
	}
	for n, got := range l.source.views.load(ctx, asks) {
		p := asks[n].partition
		if got.err != nil {
			unread, err = append(unread, byPartition[p]...), fmt.Errorf("api: rows of p%02d: %w", p, got.err)
			continue
		}
		l.source.see(p, got.fence)
		f := l.source.newest[p].Load()
		for i, r := range byPartition[p] {
			next := (*row)(nil)
			if got.views[i].held == present && f != nil {
				next = l.rejudged(ns, r, got.views[i].value, f.asOf)
			}
			if next == nil {
				unread = append(unread, r)
			} else {
				rows = append(rows, next)
			}
		}
	}
	return rows, unread, err
}

// rejudged is the row of a view at a moment; nil if the view is older than the row, or can't be read.
func (l *lists) rejudged(ns string, r *row, value []byte, asOf time.Time) *row {
	view, err := diagnostics.Parse(value)
	if err != nil || view.Revision < r.revision {
		return nil
	}
	told := diagnostics.NewRow(view, asOf, l.source.policies.For(ns))
	next, err := parseRow(told.AppendJSON(nil))
	if err != nil {
		return nil
	}
	return next
}
