package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/pkg/viewstore"
	"github.com/headwayhq/headway/services/api"
	"github.com/headwayhq/headway/services/headway/embedded"
	"github.com/headwayhq/headway/services/ingest"
	"github.com/headwayhq/headway/services/internal/backend"
)

// stackOn is a stack of its own NATS, on a Redis that others use too.
func stackOn(t *testing.T, redisURL string) *stack {
	t.Helper()
	nats, err := embedded.StartNATS("127.0.0.1:0", t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Stop)
	b, err := backend.Connect(t.Context(), backend.Options{NATSURL: nats.URL, RedisURL: redisURL, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return &stack{t: t, ctx: t.Context(), b: b}
}

// Rule 17: two Headways on one Redis are independent of each other. Each folds all of its partitions.
func TestRule17TwoHeadwaysOnOneRedis(t *testing.T) {
	redis, err := embedded.StartRedis(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Stop)
	both := []*stack{stackOn(t, redis.URL), stackOn(t, redis.URL)}
	var ready []func() error
	for _, s := range both {
		in := ingest.New(ingest.Options{
			Log: s.b.Log, Store: s.b.Store, Policies: policy.Default(), Member: backend.Member() + s.b.Store.Identity(),
			Heartbeat: 200 * time.Millisecond, Lease: 2 * time.Second,
		})
		s.run(in.Run)
		ready = append(ready, in.Ready)
	}
	const batches = 60 // of all partitions
	last := map[*stack][]uint64{}
	for i := range batches {
		for _, s := range both {
			last[s] = append(last[s], s.processing(fmt.Sprint("b", i)))
		}
	}
	for n, s := range both {
		s.eventually(fmt.Sprintf("Headway %d ready", n), ready[n])
		for i, seq := range last[s] {
			s.folded(fmt.Sprint("b", i), seq)
		}
		s.eventually("all partitions complete", func() error {
			fences, err := s.b.Store.Fences(s.ctx)
			if err == nil && !viewstore.Covers(fences, nil) {
				err = errors.New("not all of them")
			}
			return err
		})
		if v, err := s.b.Store.Serving(s.ctx); err != nil || v.Fold != diagnostics.FoldVersion {
			t.Errorf("Headway %d serves %+v (%v)", n, v, err)
		}
	}
}

// ofFold is the stack as a release with another fold version has it: same servers, views of its own.
func (s *stack) ofFold(fold int) *stack {
	b := *s.b
	b.Store = s.b.Store.WithFold(fold)
	return &stack{t: s.t, ctx: s.ctx, b: &b}
}

// front is an api in this process that can read certain fold versions.
func (s *stack) front(p *policy.Set, folds ...int) (base string) {
	s.t.Helper()
	a := api.New(api.Options{
		Log: s.b.Log, Store: s.b.Store, Policies: p, Partition: s.b.Log.Partition, Identity: s.b.Identity, Folds: folds,
	})
	server := httptest.NewServer(a.Handler())
	s.t.Cleanup(server.Close)
	s.run(a.Work)
	return server.URL
}

// shown is what a client sees of a batch: the fold version and revision in the id of its view, and its health.
type shown struct {
	fold     int
	revision uint64
	health   string
}

func readShown(data []byte) (v shown, err error) {
	var answer struct {
		Health string
		View   struct{ ID string }
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return v, err
	}
	parts := strings.Split(answer.View.ID, "-")
	if len(parts) != 3 {
		return v, fmt.Errorf("view id %q", answer.View.ID)
	}
	v.health = answer.Health
	v.fold, _ = strconv.Atoi(parts[1])
	v.revision, err = strconv.ParseUint(parts[2], 10, 64)
	return v, err
}

func getShown(base, batch string) (v shown, code int, err error) {
	res, err := http.Get(base + "/v1/analytics/performance/batches/" + batch + "/diagnostics?namespace=n")
	if err != nil {
		return v, 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return v, res.StatusCode, nil
	}
	var raw json.RawMessage
	if err = json.NewDecoder(res.Body).Decode(&raw); err == nil {
		v, err = readShown(raw)
	}
	return v, res.StatusCode, err
}

// onlooker reads batches again and again until it is stopped, by GET or by a stream each, and never sees one go back or
// missing.
type onlooker struct {
	s     *stack
	base  string
	last  map[string]*atomic.Pointer[shown]
	reads atomic.Int64
}

func (c *onlooker) see(batch string, v shown) {
	if old := c.last[batch].Load(); old != nil && v.revision < old.revision {
		c.s.t.Errorf("%s went back from %+v to %+v", batch, *old, v)
	}
	c.last[batch].Store(&v)
	c.reads.Add(1)
}

func (c *onlooker) get(batch string) func(context.Context) error {
	return func(ctx context.Context) error {
		for ctx.Err() == nil {
			v, code, err := getShown(c.base, batch)
			if err != nil || code != http.StatusOK {
				c.s.t.Errorf("%s: %d %v", batch, code, err)
				return nil
			}
			c.see(batch, v)
		}
		return nil
	}
}

func (c *onlooker) stream(batch string) func(context.Context) error {
	return func(ctx context.Context) error {
		err := sse(ctx, c.base+"/v1/analytics/performance/batches/"+batch+"/diagnostics/stream?namespace=n", func(_, _ string, data []byte) {
			if v, err := readShown(data); err == nil {
				c.see(batch, v)
			}
		})
		if ctx.Err() == nil {
			c.s.t.Errorf("the stream of %s ended: %v", batch, err)
		}
		return nil
	}
}

// Rule 17: fold version N+1 is built beside N with live traffic, takes over when it is complete, and from then on it
// alone announces. Their verdicts differ, so two that announce would contradict each other for ever. Readers follow
// within 2 s, and see nothing go back or missing meanwhile.
func TestRule17SideBySide(t *testing.T) {
	const older, newer = diagnostics.FoldVersion, diagnostics.FoldVersion + 1
	patient := policies(t, `default: {window_gpu: 30m, timeout: 30m, scaling_delay: 100ms}`)
	strict := policies(t, `default: {window_gpu: 1s, timeout: 1s, scaling_delay: 100ms}`)
	s := newStack(t)
	next := s.ofFold(newer)
	waits := func(batch string) uint64 {
		s.processing(batch)
		return s.say(batch, "job.j", diagnostics.TypeJobV1, `{"tier_num":0,"submission_id":"j","status":"PENDING"}`)
	}

	s.ingest(strict) // N finds batches stuck, N+1 won't
	s.detector(strict)
	s.eventually("N serves", func() error { return serves(s, older) })
	base := s.front(patient, older, newer)
	batches := []string{"quiet", "quiet2", "busy", "busy2"}
	for _, b := range batches[:2] {
		waits(b)
		s.announced(b, diagnostics.HealthStuck)
	}
	for _, b := range batches[2:] {
		s.folded(b, s.processing(b))
	}

	c := &onlooker{s: s, base: base, last: map[string]*atomic.Pointer[shown]{}}
	for i, b := range batches {
		c.last[b] = &atomic.Pointer[shown]{}
		follow := c.get(b)
		if i%2 == 1 {
			follow = c.stream(b)
		}
		s.eventually(b+" shown", func() error {
			_, code, err := getShown(base, b)
			if code != http.StatusOK {
				return fmt.Errorf("%d %w", code, err)
			}
			return nil
		})
		s.run(follow)
	}
	var spoken atomic.Int64
	talk := s.run(func(ctx context.Context) error {
		for n := 1; ctx.Err() == nil; n++ {
			for _, b := range batches[2:] {
				s.say(b, "tier.0.progress", diagnostics.TypeTierV1, fmt.Sprintf(`{"tier_num":0,"processed_documents":%d,"total_documents":100000}`, n))
				spoken.Add(1)
			}
		}
		return nil
	})

	next.ingest(patient)
	next.detector(patient)
	s.eventually("N+1 serves", func() error { return serves(s, newer) })
	began := time.Now()
	for _, b := range batches {
		s.eventually("readers follow", func() error {
			if v := c.last[b].Load(); v == nil || v.fold != newer {
				return fmt.Errorf("%s: %+v", b, v)
			}
			return nil
		})
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("readers followed after %v", took)
	}

	// N's detector runs on. N+1's corrects what N announced, in the same chain, and it stays so.
	for _, b := range batches[:2] {
		next.announced(b, diagnostics.HealthScaling)
	}
	waits("later") // N would announce it as stuck after a second
	next.announced("later", diagnostics.HealthScaling)
	judged := time.Now().Add(3 * time.Second)
	s.eventually("N has folded and could have judged, N+1 is judged beyond", func() error {
		for _, x := range []*stack{s, next} {
			f, err := x.b.Store.Fence(s.ctx, s.b.Log.Partition("n", "later"))
			if err != nil || f == nil || f.AsOf().Before(judged) {
				return fmt.Errorf("%+v %w", f, err)
			}
		}
		return nil
	})
	for _, b := range append(batches[:2:2], "later") {
		next.announced(b, diagnostics.HealthScaling)
	}
	talk()
	js, err := jetstream.New(s.b.Conn)
	if err != nil {
		t.Fatal(err)
	}
	checkHealth(s.ctx, t, js, nil)
	stuck := map[string]int{}
	readAll(s.ctx, t, js, "HEADWAY_HEALTH", func(m jetstream.Msg) {
		if strings.Contains(string(m.Data()), `"to":"stuck"`) {
			stuck[m.Subject()]++
		}
	})
	for batch, want := range map[string]int{"quiet": 1, "quiet2": 1, "later": 0} {
		if got := stuck["headway.health.n."+batch]; got != want {
			t.Errorf("%s: stuck announced %d times, want %d: %v", batch, got, want, stuck)
		}
	}
	t.Logf("%d events said, %d answers read", spoken.Load(), c.reads.Load())
}

func serves(s *stack, fold int) error {
	v, err := s.b.Store.Serving(s.ctx)
	if err == nil && v.Fold != fold {
		err = fmt.Errorf("%d serves", v.Fold)
	}
	return err
}

// An api that can't read the version that serves says so, and shows on what it can read.
func TestRule17OldReaderSaysSo(t *testing.T) {
	s := newStack(t)
	s.ingest(policy.Default())
	s.folded("a", s.processing("a"))
	base := s.front(policy.Default())
	readyz := func() (string, int) {
		res, err := http.Get(base + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var body strings.Builder
		_, err = fmt.Fprint(&body, res.Status)
		b := make([]byte, 4096)
		n, _ := res.Body.Read(b)
		body.Write(b[:n])
		if err != nil {
			t.Fatal(err)
		}
		return body.String(), res.StatusCode
	}
	s.eventually("the api is ready", func() error {
		if body, code := readyz(); code != 200 || strings.Contains(body, "warning") {
			return errors.New(body)
		}
		return nil
	})
	s.ofFold(diagnostics.FoldVersion + 1).ingest(policy.Default())
	s.eventually("it says that another version serves", func() error {
		if body, code := readyz(); code != 200 || !strings.Contains(body, fmt.Sprintf("Fold version %d serves", diagnostics.FoldVersion+1)) {
			return errors.New(body)
		}
		return nil
	})
	if v, code, err := getShown(base, "a"); err != nil || code != 200 || v.fold != diagnostics.FoldVersion {
		t.Errorf("%+v %d %v", v, code, err)
	}
}

// The keys of a version that nobody has worked on for a while are removed automatically. Those of the serving version stay.
func TestRule17OutdatedVersionsGo(t *testing.T) {
	s := newStack(t)
	in := func(x *stack) (stop func()) {
		i := ingest.New(ingest.Options{
			Log: x.b.Log, Store: x.b.Store, Policies: policy.Default(), Member: backend.Member(), Heartbeat: 200 * time.Millisecond,
			Lease: 500 * time.Millisecond, KeepVersions: time.Second, RemoveEvery: 100 * time.Millisecond,
		})
		stop = x.run(i.Run)
		x.eventually("ready", i.Ready)
		return stop
	}
	next := s.ofFold(diagnostics.FoldVersion + 1)
	stop := in(s)
	s.folded("a", s.processing("a"))
	stop()
	in(next)
	s.eventually("N+1 serves", func() error { return serves(s, diagnostics.FoldVersion+1) })
	s.eventually("N's keys are gone", func() error {
		keys, err := s.b.Redis.Keys(s.ctx, "*"+s.b.Store.Version().String()+"*").Result()
		if err == nil && len(keys) > 0 {
			err = fmt.Errorf("%d keys", len(keys))
		}
		return err
	})
	if v, err := next.view("a"); err != nil || v == nil {
		t.Errorf("of the version that serves %v is left (%v)", v, err)
	}
}

// While views are being rebuilt, ingest's readyz reports the progress and the remaining time.
func TestReadyzTellsTheProgressOfARebuild(t *testing.T) {
	s := newStack(t)
	const events = 100_000 // so many that it takes longer than a few looks
	for n := range events {
		subject := fmt.Sprintf("headway.events.n.b%d.tier.0.progress", n%500)
		err := s.b.Conn.Publish(subject, fmt.Appendf(nil,
			`{"specversion":"1.0","id":"e%d","source":"test","type":%q,"time":%q,"data":{"tier_num":0,"processed_documents":%d}}`,
			n, diagnostics.TypeTierV1, time.Now().UTC().Format(time.RFC3339Nano), n))
		if err != nil {
			t.Fatal(err)
		}
	}
	s.eventually("all events on the log", func() error {
		info, err := s.b.Log.Info(s.ctx)
		if err == nil && info.Last < events {
			err = fmt.Errorf("%d are", info.Last)
		}
		return err
	})
	in := ingest.New(ingest.Options{
		Log: s.b.Log, Store: s.b.Store, Policies: policy.Default(), Member: backend.Member(), Heartbeat: 20 * time.Millisecond, MaxBatch: 8,
	})
	s.run(in.Run)
	said := map[string]bool{}
	s.eventually("ready", func() error {
		err := in.Ready()
		if err != nil {
			said[err.Error()] = true
		}
		return err
	})
	whole := regexp.MustCompile(`^ingest: rebuilding views: \d+ of 32 partitions complete, ([1-9]|[1-9]\d) % of the log folded, about \d+m?\d*s left;`)
	for text := range said {
		if whole.MatchString(text) {
			return
		}
	}
	t.Errorf("none of what it said tells progress and time left: %q", slices.Collect(maps.Keys(said)))
}
