package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/pkg/viewstore"
	"github.com/headwayhq/headway/services/detector"
	"github.com/headwayhq/headway/services/headway/embedded"
	"github.com/headwayhq/headway/services/ingest"
	"github.com/headwayhq/headway/services/internal/backend"
)

// stack is real servers and services in this process, which can be started and stopped at any time.
type stack struct {
	t   *testing.T
	ctx context.Context
	b   *backend.Backend
	dir string // of NATS
}

func newStack(t *testing.T) *stack {
	t.Helper()
	dir := t.TempDir()
	nats, err := embedded.StartNATS("127.0.0.1:0", dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Stop)
	redis, err := embedded.StartRedis(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Stop)
	b, err := backend.Connect(t.Context(), backend.Options{NATSURL: nats.URL, RedisURL: redis.URL, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return &stack{t, t.Context(), b, dir}
}

// run starts something and returns what stops it and waits for its end.
func (s *stack) run(what func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.ctx))
	ended := make(chan error, 1)
	go func() { ended <- what(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
				s.t.Errorf("ended: %v", err)
			}
		})
	}
	s.t.Cleanup(stop)
	return stop
}

func (s *stack) ingest(p *policy.Set) (stop func()) {
	in := ingest.New(ingest.Options{
		Log: s.b.Log, Store: s.b.Store, Policies: p, Member: backend.Member(), Heartbeat: 200 * time.Millisecond, Lease: 2 * time.Second,
	})
	stop = s.run(in.Run)
	s.eventually("ingest ready", in.Ready)
	return stop
}

func (s *stack) detector(p *policy.Set) (stop func()) {
	return s.run(detector.New(detector.Options{Log: s.b.Log, Store: detector.OnStore(s.b.Store), Policies: p, Poll: 100 * time.Millisecond}).Run)
}

func (s *stack) eventually(what string, condition func() error) {
	s.t.Helper()
	eventually(s.t, 20*time.Second, what, condition)
}

// policies parses thresholds from YAML.
func policies(t *testing.T, yaml string) *policy.Set {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := policy.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// say publishes an event of namespace n, true now.
func (s *stack) say(batch, kind, eventType, data string) uint64 {
	s.t.Helper()
	seq, err := s.b.Log.Publish(s.ctx, "headway.events.n."+batch+"."+kind, nil, fmt.Appendf(nil,
		`{"specversion":"1.0","id":%q,"source":"test","type":%q,"time":%q,"data":%s}`, data, eventType, time.Now().UTC().Format(time.RFC3339Nano), data))
	if err != nil {
		s.t.Fatal(err)
	}
	return seq
}

func (s *stack) processing(batch string) uint64 {
	s.t.Helper()
	return s.say(batch, "batch", diagnostics.TypeBatchV1, `{"status":"PROCESSING"}`)
}

// view reads a stored view under the stream's present identity; nil where there is none.
func (s *stack) view(batch string) (*diagnostics.View, error) {
	store, err := s.store()
	if err != nil {
		return nil, err
	}
	_, values, err := store.Load(s.ctx, s.b.Log.Partition("n", batch), nil, []viewstore.Key{{Namespace: "n", Batch: batch}})
	if err != nil || values[0].Bytes == nil {
		return nil, err
	}
	return diagnostics.Parse(values[0].Bytes)
}

func (s *stack) store() (*viewstore.Store, error) {
	info, err := s.b.Log.Info(s.ctx)
	if err != nil {
		return nil, err
	}
	return s.b.Store.WithIdentity(info.Identity), nil
}

// folded waits until a batch's view has a revision.
func (s *stack) folded(batch string, seq uint64) *diagnostics.View {
	s.t.Helper()
	var v *diagnostics.View
	s.eventually(fmt.Sprintf("%s at revision %d", batch, seq), func() (err error) {
		if v, err = s.view(batch); err != nil {
			return err
		}
		if v == nil || v.Revision != seq {
			return fmt.Errorf("view is %+v", v)
		}
		return nil
	})
	return v
}

// editFence changes a partition's fence without the knowledge of its owner.
func (s *stack) editFence(p int, edit func(*viewstore.Fence)) {
	s.t.Helper()
	f, err := s.b.Store.Fence(s.ctx, p)
	if err != nil || f == nil {
		s.t.Fatalf("fence p%02d: %v %v", p, f, err)
	}
	edit(f)
	key := fmt.Sprintf("hw:{p%02d}:%s-%d:fence", p, s.b.Store.Identity(), s.b.Store.Fold())
	if err := s.b.Redis.Set(s.ctx, key, f.String(), 0).Err(); err != nil {
		s.t.Fatal(err)
	}
}
