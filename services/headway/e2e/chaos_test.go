package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// streamClient has no timeout, because a stream stays open.
var streamClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

func newRequest(ctx context.Context, url, last string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	return req, nil
}

// TestChaos sends dirty events through three ingest processes, while each of them is killed and Redis is flushed, restarted empty
// and rolled back. Afterwards every promise must hold.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: long")
	}
	p := build(t)
	b := startBackends(t, p)
	old := ""
	faults := []fault{
		{"snapshot", func() { old = b.snapshot(t) }},
		{"flush", func() {
			if err := b.rdb.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}},
		{"empty", b.restartEmpty},
		{"rollback", func() { b.rollBack(t, old) }},
	}
	chaos(t, p, b, 50_000, []string{"kill0", "snapshot", "flush", "kill1", "empty", "snapshot", "kill2", "rollback", "kill0", "flush"}, faults)
}

// fault is something that goes wrong, or that prepares it.
type fault struct {
	name   string
	inject func()
}

// chaos sends dirty events while faults happen, and checks every promise afterwards. kill0, kill1 and kill2 kill an ingest process.
func chaos(t *testing.T, p programs, b *backends, events int, order []string, faults []fault) {
	t.Helper()
	if s := os.Getenv("HEADWAY_E2E_EVENTS"); s != "" {
		events, _ = strconv.Atoi(s)
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("HEADWAY_E2E_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("seed %d (HEADWAY_E2E_SEED), %d events", seed, events)
	rng := rand.New(rand.NewPCG(seed, 1))
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()

	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte(chaosPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	common := []string{"--nats-url", b.natsURL, "--redis-url", b.redisURL, "--policy", policy}
	for i := range 3 {
		w := start(t, fmt.Sprint("ingest", i), filepath.Join(p.dir, "ingest"), common...)
		faults = append(faults, fault{fmt.Sprint("kill", i), func() {
			w.kill()
			pause(ctx, time.Duration(rng.IntN(1500))*time.Millisecond)
			w.start()
		}})
	}
	for i := range 2 {
		start(t, fmt.Sprint("detector", i), filepath.Join(p.dir, "detector"), common...)
	}
	port := freePort(t)
	api := fmt.Sprintf("http://127.0.0.1:%d", port)
	start(t, "api", filepath.Join(p.dir, "api"), append(common, "--listen", fmt.Sprintf("127.0.0.1:%d", port))...)
	js, err := jetstream.New(b.nc)
	if err != nil {
		t.Fatal(err)
	}
	ready := func() error {
		res, err := http.Get(api + "/readyz")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != 200 {
			return fmt.Errorf("readyz says %s", res.Status)
		}
		return nil
	}
	eventually(t, 30*time.Second, "api ready", ready)

	load := workload(seed, events)
	watch := watchBatches(ctx, t, api, load.batches[:min(20, len(load.batches))])
	published := make(chan error, 1)
	go func() { published <- publish(ctx, b.nc, load.messages, 30*time.Second) }()

	// The faults are injected while events flow.
	for i, name := range order {
		pause(ctx, time.Duration(1500+rng.IntN(1500))*time.Millisecond)
		t.Logf("nemesis %d: %s", i, name)
		at := slices.IndexFunc(faults, func(f fault) bool { return f.name == name })
		if at < 0 {
			t.Fatalf("no fault is called %s", name)
		}
		faults[at].inject()
	}
	if err := <-published; err != nil {
		t.Fatalf("publish: %v", err)
	}

	want := offlineFold(ctx, t, js)
	t.Logf("stream holds %d events of %d batches, %d of them poison", want.last, len(want.views), len(want.poison))
	eventually(t, 90*time.Second, "views equal to an offline fold", func() error {
		again := offlineFold(ctx, t, js) // the detector goes on publishing
		return compareViews(ctx, b, again)
	})
	want = offlineFold(ctx, t, js)
	checkDeadLetters(ctx, t, js, want)
	checkHealth(ctx, t, js, want)
	watch.check(t, want)
}

const chaosPolicy = `
default: {window_gpu: 4s, window_no_gpu: 2s, timeout: 5s, grace: 1s, settle: 3s, scaling_delay: 1s, hold: 2s}
`

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// publish sends the messages over a period of time, and repeats each until it is acknowledged.
func publish(ctx context.Context, nc *nats.Conn, messages []*nats.Msg, over time.Duration) error {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1024))
	if err != nil {
		return err
	}
	begin := time.Now()
	const chunk = 500
	for i := 0; i < len(messages); i += chunk {
		pause(ctx, time.Until(begin.Add(over*time.Duration(i)/time.Duration(len(messages)))))
		part := messages[i:min(i+chunk, len(messages))]
		futures := make([]jetstream.PubAckFuture, 0, len(part))
		for _, m := range part {
			f, err := js.PublishMsgAsync(m)
			if err != nil {
				return err
			}
			futures = append(futures, f)
		}
		for _, f := range futures {
			select {
			case <-f.Ok():
			case err := <-f.Err():
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// oracle is the result of an offline fold of the stream.
type oracle struct {
	last    uint64
	created time.Time
	views   map[string]*diagnostics.View
	poison  map[uint64]bool
}

// offlineFold reads the whole stream and folds it on its own.
func offlineFold(ctx context.Context, t *testing.T, js jetstream.JetStream) *oracle {
	t.Helper()
	s, err := js.Stream(ctx, "HEADWAY_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	info := s.CachedInfo()
	o := &oracle{last: info.State.LastSeq, created: info.Created, views: map[string]*diagnostics.View{}, poison: map[uint64]bool{}}
	if info.State.Msgs == 0 {
		return o
	}
	c, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	it, err := c.Messages(jetstream.PullMaxMessages(2000))
	if err != nil {
		t.Fatal(err)
	}
	defer it.Stop()
	var d diagnostics.Decoder
	for {
		m, err := it.Next()
		if err != nil {
			t.Fatal(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		header := m.Headers()
		message := diagnostics.Message{Subject: m.Subject(), Data: m.Data(), Stored: meta.Timestamp}
		if len(header) > 0 {
			message.Attribute = attribute(header)
		}
		e, rejection := d.Decode(message)
		if rejection != nil {
			o.poison[meta.Sequence.Stream] = true
			if r, ok := diagnostics.NewRefusal(message, rejection); ok {
				if v := o.view(r.Namespace, r.Batch); diagnostics.FoldRefused(v, r) == diagnostics.Applied {
					v.Revision = meta.Sequence.Stream
				}
			}
		} else {
			v := o.view(e.Namespace, e.Batch)
			if diagnostics.Fold(v, e) == diagnostics.Applied {
				v.Revision = meta.Sequence.Stream
			}
			if e.Type == diagnostics.TypeHealth {
				v.HealthSeq = meta.Sequence.Stream
			}
		}
		if meta.Sequence.Stream >= o.last {
			return o
		}
	}
}

// view is that of a batch, made if need be.
func (o *oracle) view(namespace, batch string) *diagnostics.View {
	k := namespace + ":" + batch
	if o.views[k] == nil {
		o.views[strings.Clone(k)] = diagnostics.NewView(strings.Clone(namespace), strings.Clone(batch))
	}
	return o.views[k]
}

// attribute finds a CloudEvents attribute of binary mode.
func attribute(h nats.Header) func(string) string {
	return func(name string) string {
		for k, v := range h {
			if strings.EqualFold(k, name) || strings.EqualFold(k, "ce-"+name) {
				return v[0]
			}
		}
		return ""
	}
}

// compareViews compares each stored view with the oracle's, byte for byte, header included.
func compareViews(ctx context.Context, b *backends, o *oracle) error {
	stored, err := b.values(ctx)
	if err != nil {
		return err
	}
	wrong, first := 0, ""
	for k, v := range o.views {
		if want := v.Append(nil); !bytes.Equal(stored[k], want) {
			if wrong++; wrong == 1 {
				first = fmt.Sprintf("%s: want revision %d", k, v.Revision)
				if h, err := diagnostics.ParseHeader(stored[k]); err == nil {
					first += fmt.Sprintf(", stored %+v", h)
				} else {
					first += ", stored none"
				}
			}
		}
	}
	if wrong > 0 || len(stored) != len(o.views) {
		return fmt.Errorf("%d of %d views differ (%d stored); first %s", wrong, len(o.views), len(stored), first)
	}
	return nil
}

// checkDeadLetters checks that every invalid message is in the dead-letter stream once, and nothing else is.
func checkDeadLetters(ctx context.Context, t *testing.T, js jetstream.JetStream, o *oracle) {
	t.Helper()
	seen := map[uint64]int{}
	readAll(ctx, t, js, "HEADWAY_DLQ", func(m jetstream.Msg) {
		seq, err := strconv.ParseUint(m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:], 10, 64)
		if err != nil {
			t.Errorf("dead letter on %s", m.Subject())
		}
		seen[seq]++
	})
	for seq := range o.poison {
		if seen[seq] != 1 {
			t.Errorf("poison message %d is %d times in the dead-letter stream", seq, seen[seq])
		}
	}
	if len(seen) != len(o.poison) {
		t.Errorf("%d dead letters, %d poison messages", len(seen), len(o.poison))
	}
}

// checkHealth checks that each change was announced under one id and in order, and that the present health is announced.
func checkHealth(ctx context.Context, t *testing.T, js jetstream.JetStream, o *oracle) {
	t.Helper()
	type change struct {
		ID   string `json:"id"`
		Data struct {
			Ordinal   int    `json:"ordinal"`
			Batch     string `json:"batch_id"`
			Namespace string `json:"namespace"`
			From, To  string

			CauseFrom string `json:"cause_from"`
			CauseTo   string `json:"cause_to"`
		} `json:"data"`
	}
	ids := map[string]bool{}
	last := map[string]change{}
	readAll(ctx, t, js, "HEADWAY_HEALTH", func(m jetstream.Msg) {
		var c change
		if err := json.Unmarshal(m.Data(), &c); err != nil {
			t.Fatal(err)
		}
		k := c.Data.Namespace + ":" + c.Data.Batch
		if ids[k+c.ID] {
			t.Errorf("announced twice: %s", c.ID)
		}
		ids[k+c.ID] = true
		before, known := last[k]
		if known && (c.Data.Ordinal != before.Data.Ordinal+1 || c.Data.From != before.Data.To) || !known && c.Data.Ordinal != 0 {
			t.Errorf("%s: %+v follows %+v", k, c.Data, before.Data)
		}
		if c.Data.From == c.Data.To && c.Data.CauseFrom == c.Data.CauseTo {
			t.Errorf("%s announced %s twice", k, c.Data.To)
		}
		last[k] = c
	})
	t.Logf("%d changes of health announced", len(ids))
	if len(ids) == 0 {
		t.Error("no change of health was announced: the workload proves nothing")
	}
}

func readAll(ctx context.Context, t *testing.T, js jetstream.JetStream, stream string, each func(jetstream.Msg)) {
	t.Helper()
	s, err := js.Stream(ctx, stream)
	if err != nil {
		t.Fatal(err)
	}
	n := s.CachedInfo().State.Msgs
	if n == 0 {
		return
	}
	c, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	it, err := c.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer it.Stop()
	for range n {
		m, err := it.Next()
		if err != nil {
			t.Fatal(err)
		}
		each(m)
	}
}

// watchers are SSE clients that record each revision that they receive.
type watchers struct {
	mu     sync.Mutex
	last   map[string]uint64
	ended  map[string]bool // told that the batch is over, and left
	frames int
	back   []string
}

func watchBatches(ctx context.Context, t *testing.T, api string, batches []batchRef) *watchers {
	t.Helper()
	w := &watchers{last: map[string]uint64{}, ended: map[string]bool{}}
	for _, b := range batches {
		url := fmt.Sprintf("%s/v1/analytics/performance/batches/%s/diagnostics/stream?namespace=%s", api, b.batch, b.namespace)
		go func() {
			err := sse(ctx, url, func(id, name string, _ []byte) {
				id, _, _ = strings.Cut(id, ".")
				seq, err := strconv.ParseUint(id[strings.LastIndexByte(id, '-')+1:], 10, 64)
				if err != nil {
					return
				}
				w.mu.Lock()
				defer w.mu.Unlock()
				w.frames++
				if k := b.namespace + ":" + b.batch; seq < w.last[k] {
					w.back = append(w.back, fmt.Sprintf("%s: %d after %d (%s)", k, seq, w.last[k], name))
				} else {
					w.last[k] = seq
				}
			})
			if err == nil {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.ended[b.namespace+":"+b.batch] = true
			}
		}()
	}
	return w
}

// check verifies that no revision went back, and that every client whose batch wasn't over ended with the newest one.
func (w *watchers) check(t *testing.T, o *oracle) {
	t.Helper()
	eventually(t, 30*time.Second, "clients on the newest", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		for k, seq := range w.last {
			if w.ended[k] {
				continue // a straggler may change a finished batch; that client has left
			}
			if v := o.views[k]; v == nil || seq < v.Revision {
				return fmt.Errorf("%s: client at %d, view at %v", k, seq, o.views[k].Revision)
			}
		}
		return nil
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.back {
		t.Errorf("a revision went back: %s", b)
	}
	t.Logf("%d clients read %d frames", len(w.last), w.frames)
	if w.frames == 0 {
		t.Error("no client saw a frame")
	}
}
