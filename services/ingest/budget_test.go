package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// A rebuild commits each view once, when the partition has reached the end, however few events are folded at once.
func TestRebuildCommitsEachViewOnce(t *testing.T) {
	s := newStand(t)
	s.fill(100)
	want := s.offline()
	s.start(func(o *Options) { o.MaxBatch = 8 })
	s.eventually("rebuilt", func() error { return s.whole(want) })
	if n := testutil.ToFloat64(s.service.metrics.views); n != 100 {
		t.Errorf("%.0f views were written of 100", n)
	}
	s.job("b1", "live", 1)
	want = s.offline()
	s.eventually("a later event", func() error { return s.whole(want) })
}

// Whatever the budget, the views are those of an offline fold. When it is full they are committed before the end, and what was forgotten is
// read again.
func TestRebuildWithinAnyBudget(t *testing.T) {
	for _, memory := range []int64{1, 256 << 10} {
		t.Run(fmt.Sprint(memory), func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			s.fill(150)
			want := s.offline()
			stop := s.start(func(o *Options) { o.MaxBatch, o.Memory = 16, memory })
			s.eventually("rebuilt", func() error { return s.whole(want) })
			if n := testutil.ToFloat64(s.service.metrics.views); n <= 150 {
				t.Errorf("%.0f views were written of 150: the budget was never full", n)
			}
			stop()
		})
	}
}

// commits is a store that notes commits.
type commits struct {
	store
	check func(next viewstore.Fence, writes []viewstore.Write)
}

func (c commits) Commit(_ context.Context, _ int, _, next viewstore.Fence, _ time.Duration, writes []viewstore.Write, _ ...viewstore.Mark) (viewstore.Fence, error) {
	c.check(next, writes)
	return next, nil
}

// More views are deferred than fit into one commit. Neither the cursor nor the watermark moves before the last of them is committed, but all
// are judged at the same moment (rule 2).
func TestRule2CursorWaitsForDeferredViews(t *testing.T) {
	const views = 2*viewstore.MaxCommitViews + 10
	stored := func(seq uint64) time.Time { return time.Date(2026, 3, 1, 0, 0, int(seq), 0, time.UTC) }
	var sizes []int
	left := views
	n := &needs{
		router: newRouter(1, 10), budget: newBudget(DefaultMemory), buffers: newBuffers(), policies: policy.Default(), fold: diagnostics.Fold,
		metrics: newMetrics(prometheus.NewRegistry(), func() float64 { return 0 }, 0),
	}
	before := viewstore.Fence{Cursor: 5, CursorTime: stored(5).UnixNano(), Watermark: stored(5).UnixNano()}
	rows := map[string]int{}
	n.store = commits{check: func(next viewstore.Fence, writes []viewstore.Write) {
		sizes, left = append(sizes, len(writes)), left-len(writes)
		for _, w := range writes {
			var row struct {
				AsOf string `json:"as_of"`
			}
			if err := json.Unmarshal(w.Row, &row); err != nil {
				t.Error(err)
			}
			rows[row.AsOf]++
		}
		want := before
		if left == 0 {
			want.Cursor, want.CursorTime, want.Watermark = 5+views, stored(5+views).UnixNano(), stored(5+views).UnixNano()
		}
		if next.Cursor != want.Cursor || next.CursorTime != want.CursorTime || next.Watermark != want.Watermark {
			t.Errorf("with %d views left the cursor is %d and the watermark %d", left, next.Cursor, next.Watermark)
		}
	}}
	p := newPartition(n, 0, before, false)
	for seq := before.Cursor + 1; seq <= before.Cursor+views; seq++ {
		err := p.foldBatch(t.Context(), []eventlog.Message{{
			Seq: seq, Stored: stored(seq), Subject: fmt.Sprintf("headway.log.0.n.b%d.job.j", seq),
			Data: fmt.Appendf(nil, `{"specversion":"1.0","id":"i","source":"t","type":%q,"time":"2020-01-01T00:00:00Z","data":{"tier_num":0,"submission_id":"j","status":"RUNNING"}}`, diagnostics.TypeJobV1),
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if sizes != nil || p.progress().Cursor != 5 {
		t.Fatalf("commits of %d views, and the cursor may be %d", sizes, p.progress().Cursor)
	}
	if err := p.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left != 0 || len(sizes) != 3 || len(rows) != 1 {
		t.Errorf("commits of %d views, %d are left, judged at %v", sizes, left, rows)
	}
}

// A partition that is full doesn't take what the others may have, and each may have at least one message.
func TestQueuesShareTheBudget(t *testing.T) {
	r := newRouter(4, 1000)
	r.bytes = 4 * 1000
	first := r.queue(0, 0)
	r.add(first)
	put := func(q *queue, seq uint64, size int) {
		q.put(eventlog.Message{Seq: seq, Data: make([]byte, size)})
	}
	put(first, 1, 3000)
	if first.full() {
		t.Error("alone it may have everything")
	}
	second := r.queue(1, 0)
	r.add(second)
	if !first.full() || second.full() {
		t.Error("two have a half each")
	}
	r.bytes = 0
	r.divide()
	if second.full() {
		t.Error("it may not have a single message")
	}
	if put(second, 2, 1); !second.full() {
		t.Error("it may have more than one")
	}
}
