package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/headwaytest"
	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/pkg/viewstore"
	"github.com/headwayhq/headway/services/internal/folding"
)

const standPartitions = 4

// stand is a running ingest between a real nats-server and a real redis-server.
type stand struct {
	t       *testing.T
	nats    *headwaytest.NATSServer
	redis   *headwaytest.RedisServer
	conn    *nats.Conn
	rdb     *redis.Client
	log     *eventlog.Log
	store   *viewstore.Store
	service *Service
	said    int
	fold    func(*diagnostics.View, *diagnostics.Event) diagnostics.Outcome
	apart   bool // the parts of all views are stored apart
}

func newStand(t *testing.T, redisArgs ...string) *stand {
	t.Helper()
	s := &stand{t: t, nats: headwaytest.NATS(t), redis: headwaytest.RedisChild(t, redisArgs...)}
	s.conn = s.nats.Conn()
	var err error
	if s.log, err = eventlog.Open(t.Context(), s.conn, eventlog.Config{Partitions: standPartitions}); err != nil {
		t.Fatal(err)
	}
	info, err := s.log.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o, err := redis.ParseURL(s.redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.MaxRetries, o.ContextTimeoutEnabled = -1, true
	s.rdb = redis.NewClient(o)
	t.Cleanup(func() { _ = s.rdb.Close() })
	s.store, err = viewstore.Open(t.Context(), viewstore.Options{
		Client: s.rdb, Identity: info.Identity, Fold: diagnostics.FoldVersion, Partitions: standPartitions,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs a service, and returns what stops it.
func (s *stand) start(change func(*Options)) (stop func()) {
	s.t.Helper()
	o := Options{
		Log: s.log, Store: s.store, Policies: policy.Default(), Member: "m", Heartbeat: 100 * time.Millisecond, Lease: time.Second,
		Metrics: prometheus.NewRegistry(),
	}
	if testing.Verbose() {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if change != nil {
		change(&o)
	}
	s.service = New(o)
	if s.fold != nil {
		s.service.fold = s.fold
	}
	if s.apart {
		s.service.apartFrom = 0
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	ended := make(chan error, 1)
	service := s.service
	go func() { ended <- service.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				s.t.Error(err)
			}
		})
	}
	s.t.Cleanup(stop)
	return stop
}

// say publishes an event of namespace n.
func (s *stand) say(batch, kind, eventType, data string) uint64 {
	s.t.Helper()
	s.said++
	seq, err := s.log.Publish(s.t.Context(), "headway.events.n."+batch+"."+kind, nil, fmt.Appendf(nil,
		`{"specversion":"1.0","id":"%d","source":"test","type":%q,"time":%q,"data":%s}`, s.said, eventType, time.Now().UTC().Format(time.RFC3339Nano), data))
	if err != nil {
		s.t.Fatal(err)
	}
	return seq
}

func (s *stand) job(batch, job string, processed int) uint64 {
	s.t.Helper()
	return s.say(batch, "job."+job, diagnostics.TypeJobV1,
		fmt.Sprintf(`{"tier_num":0,"submission_id":%q,"status":"RUNNING","processed_documents":%d}`, job, processed))
}

// fill makes batches with a few events each.
func (s *stand) fill(batches int) {
	s.t.Helper()
	for round := range 3 {
		for i := range batches {
			s.job(fmt.Sprint("b", i), fmt.Sprint("j", round), round+i)
		}
	}
}

func (s *stand) eventually(what string, condition func() error) {
	s.t.Helper()
	s.within(20*time.Second, what, condition)
}

func (s *stand) within(limit time.Duration, what string, condition func() error) {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); ; <-tick.C {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: %v", what, err)
		}
	}
}

var errEnd = errors.New("end")

// offline folds the whole log independently of ingest.
func (s *stand) offline() map[viewstore.Key]*diagnostics.View {
	s.t.Helper()
	info, err := s.log.Info(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[viewstore.Key]*diagnostics.View{}
	var d diagnostics.Decoder
	fold := diagnostics.Fold
	if s.fold != nil {
		fold = s.fold
	}
	err = s.log.Read(s.t.Context(), eventlog.ReadOptions{From: 1, Partition: -1, Identity: info.Identity}, func(m eventlog.Message) error {
		e, rejection := folding.Decode(&d, &m)
		if rejection != nil {
			if r, ok := diagnostics.NewRefusal(folding.Message(&m), rejection); ok {
				k := viewstore.Key{Namespace: r.Namespace, Batch: r.Batch}
				if out[k] == nil {
					out[k] = diagnostics.NewView(k.Namespace, k.Batch)
				}
				if diagnostics.FoldRefused(out[k], r) == diagnostics.Applied {
					out[k].Revision = m.Seq
				}
			}
		} else {
			k := viewstore.Key{Namespace: string([]byte(e.Namespace)), Batch: string([]byte(e.Batch))}
			if out[k] == nil {
				out[k] = diagnostics.NewView(k.Namespace, k.Batch)
			}
			if outcome, _, err := folding.Into(fold, diagnostics.NewView(k.Namespace, k.Batch), e, m.Seq); err != nil || outcome == diagnostics.Rejected {
				return nil // nothing is left of an event that can't be folded
			}
			if diagnostics.Fold(out[k], e) == diagnostics.Applied {
				out[k].Revision = m.Seq
			}
			if e.Type == diagnostics.TypeHealth {
				out[k].HealthSeq = m.Seq
			}
		}
		if m.Seq >= info.Last {
			return errEnd
		}
		return nil
	})
	if !errors.Is(err, errEnd) {
		s.t.Fatal(err)
	}
	return out
}

// whole returns nil if the store has exactly what an offline fold produces, including headers, if all fences are complete, and if
// the catalogue and the indexes have as many entries.
func (s *stand) whole(want map[viewstore.Key]*diagnostics.View) error {
	ctx := s.t.Context()
	fences, err := s.store.Fences(ctx)
	if err != nil {
		return err
	}
	total := int64(0)
	for p, f := range fences {
		if f == nil || !f.Complete {
			return fmt.Errorf("p%02d: %+v", p, f)
		}
		total += f.Views
		look := viewstore.Look{Partition: p, PageSize: 100_000, NamePage: 1000}
		if found, err := s.store.Verify(ctx, []viewstore.Look{look}); err != nil || found[0].Indexes() || len(found[0].Views) > 0 {
			return fmt.Errorf("p%02d: %+v %v", p, found, err)
		}
	}
	if total != int64(len(want)) {
		return fmt.Errorf("the fences count %d views of %d", total, len(want))
	}
	rows, err := s.store.Rows(ctx, "n")
	if err != nil || len(rows) != len(want) {
		return fmt.Errorf("%d rows of %d (%v)", len(rows), len(want), err)
	}
	for k, v := range want {
		_, got, err := s.store.Load(ctx, s.log.Partition(k.Namespace, k.Batch), nil, []viewstore.Key{k})
		if err != nil {
			return err
		}
		if !bytes.Equal(got[0].Bytes, v.Append(nil)) {
			return fmt.Errorf("%v: stored %.40x, want %.40x", k, got[0].Bytes, v.Append(nil))
		}
	}
	return nil
}

func (s *stand) key(p int, name string) string {
	return fmt.Sprintf("hw:{p%02d}:%s-%d:%s", p, s.store.Identity(), s.store.Fold(), name)
}
