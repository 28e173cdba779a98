package ingest

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// Readiness is based on work that was done, and names what is missing.
func TestReadyByItsWork(t *testing.T) {
	now := time.Now()
	fence := func(complete bool, age time.Duration) viewstore.Record {
		return viewstore.Record{Fence: &viewstore.Fence{LeaseUntil: 1, Complete: complete, Watermark: now.Add(-age).UnixNano()}}
	}
	own := func(complete bool, age time.Duration) *atomic.Pointer[state] {
		p := &atomic.Pointer[state]{}
		p.Store(&state{complete: complete, watermark: now.Add(-age)})
		return p
	}
	fresh := []viewstore.Record{fence(true, 0), fence(true, 0)}
	for name, c := range map[string]struct {
		records []viewstore.Record
		mine    []bool
		working map[int]*atomic.Pointer[state]
		unfit   error
		want    string // "": ready
	}{
		"its share is fresh":          {fresh, []bool{true, false}, map[int]*atomic.Pointer[state]{0: own(true, 0)}, nil, ""},
		"one isn't owned":             {fresh, []bool{true, true}, map[int]*atomic.Pointer[state]{0: own(true, 0)}, nil, "partition 1 isn't owned"},
		"one isn't complete":          {fresh, []bool{true, false}, map[int]*atomic.Pointer[state]{0: own(false, 0)}, nil, "partition 0 isn't folded"},
		"one is stale":                {fresh, []bool{true, false}, map[int]*atomic.Pointer[state]{0: own(true, time.Minute)}, nil, "partition 0 has been"},
		"stands by":                   {fresh, []bool{false, false}, nil, nil, ""},
		"stands by for nobody":        {[]viewstore.Record{fence(true, 0), {}}, []bool{false, false}, nil, nil, "partition 1 has no owner"},
		"stands by for who is behind": {[]viewstore.Record{fence(true, time.Minute), fence(true, 0)}, []bool{false, false}, nil, nil, "partition 0 has no owner"},
		"redis evicts":                {fresh, []bool{false, false}, nil, viewstore.ErrEvicts, "drops views"},
	} {
		h := newHealth(30 * time.Second)
		if h.ready() == nil {
			t.Errorf("%s: ready before anything is known", name)
		}
		h.at(now)
		h.saw(c.records, c.mine, c.working)
		h.trouble(c.unfit)
		err := h.ready()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if c.unfit == nil { // ready or not
			h.tried(&h.log, errors.New("the log is away"))
			if err := h.ready(); err == nil || !strings.Contains(err.Error(), "the log is away") {
				t.Errorf("%s: it doesn't say why: %v", name, err)
			}
		}
		h.reset(nil)
		if h.ready() == nil {
			t.Errorf("%s: ready after it began anew", name)
		}
	}
}

// Messages that were routed to a partition before it was given up aren't passed to its next owner in this process, which has to
// read them itself.
func TestRouterRemembersWhatARemovedQueueHeld(t *testing.T) {
	r := newRouter(1, 10)
	first := r.queue(0, 0)
	r.add(first)
	r.begin(0)
	for seq := uint64(1); seq <= 5; seq++ {
		if err := r.route(t.Context(), message3(seq, 0)); err != nil {
			t.Fatal(err)
		}
	}
	r.remove(first)
	next := r.queue(0, 2)
	if r.add(next) {
		t.Error("attached although 3 to 5 were routed to another one")
	}
	g := r.group([]*queue{next})
	if err := g.feed(t.Context(), message3(3, 0)); err != nil || next.attached() {
		t.Errorf("attached although 4 and 5 were routed to another one (%v)", err)
	}
	if err := g.reached(3, 5); !errors.Is(err, errGroupDone) || !next.attached() {
		t.Errorf("not attached although all has been read: %v", err)
	}
}

// mute is an event log that has stopped answering.
type mute struct {
	*eventlog.Log

	on atomic.Bool
}

func (m *mute) Info(ctx context.Context) (eventlog.Info, error) {
	if m.on.Load() {
		<-ctx.Done()
		return eventlog.Info{}, ctx.Err()
	}
	return m.Log.Info(ctx)
}

// After a wipe of Redis every partition is claimed again, which takes a request to the log for each. If the log doesn't answer, a
// tick still ends within 10 s, however many partitions there are, because until then nothing reports that the process isn't
// ready.
func TestClaimsWaitOnce(t *testing.T) {
	s := newStand(t)
	log := &mute{Log: s.log}
	service := New(Options{Log: log, Store: s.store, Policies: policy.Default(), Member: "m", Lease: time.Second, Metrics: prometheus.NewRegistry()})
	e := service.newEpoch(s.store.Identity(), "", func(error) {})
	info, err := log.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e.upgrade.log.Store(&info)
	log.on.Store(true)
	began := time.Now()
	if err := e.tick(t.Context()); err == nil || service.Ready() == nil {
		t.Errorf("the tick says %v, the process %v", err, service.Ready())
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
