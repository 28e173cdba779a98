package api

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/push"
)

const partitions = 4

func partition(ns, batch string) int {
	h := fnv.New32a()
	_, _ = io.WriteString(h, ns+batch)
	return int(h.Sum32() % partitions)
}

// shelf is a view store in memory that folds and serves reads.
type shelf struct {
	mu      sync.Mutex
	id      string
	fence   [partitions]*fence
	values  map[push.Key][]byte
	stored  map[string]map[string][]byte // namespace, batch: row
	svc     *Service
	mute    bool // hints are lost
	watches map[push.Key]bool
	lists   map[string]bool
	missing map[push.Key]bool // counted, but not there
	loads   int
	counted int // how often namespaces were asked for
	err     error
	seq     uint64
}

func newShelf() *shelf {
	s := &shelf{id: "abc_0", values: map[push.Key][]byte{}, stored: map[string]map[string][]byte{}, watches: map[push.Key]bool{}, lists: map[string]bool{}}
	now := time.Now()
	for p := range s.fence {
		s.fence[p] = &fence{identity: s.id, fold: 1, watermark: now, asOf: now, complete: true}
	}
	return s
}

func (s *shelf) identity() (string, int) { return s.id, 1 }

func (s *shelf) load(_ context.Context, asks []ask) []loaded {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]loaded, len(asks))
	for i, a := range asks {
		s.loads++
		out[i] = loaded{fence: s.fence[a.partition], err: s.err}
		for _, k := range a.keys {
			v := stored{value: s.values[k]}
			switch {
			case v.value != nil:
				v.held = present
			case s.missing[k]:
				v.held = missing
			}
			out[i].views = append(out[i].views, v)
		}
	}
	return out
}

func (s *shelf) namespaces(_ context.Context, counts []int64) (out []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counted++
	if n := int64(len(s.stored)); n != counts[0] {
		out = slices.Collect(maps.Keys(s.stored))
		counts[0] = n
	}
	return out, s.err
}

func (s *shelf) run(ctx context.Context, _ hearer) error { <-ctx.Done(); return nil }

func (s *shelf) fences(context.Context) ([]*fence, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*fence(nil), s.fence[:]...), s.err
}

func (s *shelf) rows(_ context.Context, ns string) (out [][]byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.stored[ns] {
		out = append(out, r)
	}
	return out, s.err
}

func (s *shelf) rowsSince(_ context.Context, ns string, p int, revision uint64) (out [][]byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for batch, r := range s.stored[ns] {
		if partition(ns, batch) != p {
			continue
		}
		if parsed, err := parseRow(r); err != nil || parsed.revision <= revision {
			continue
		}
		out = append(out, r)
	}
	return out, s.err
}

func (s *shelf) set(m map[push.Key]bool, k push.Key, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m[k] = on; !on {
		delete(m, k)
	}
}

func (s *shelf) watch(_ context.Context, k push.Key) error { s.set(s.watches, k, true); return nil }
func (s *shelf) unwatch(k push.Key)                        { s.set(s.watches, k, false) }

func (s *shelf) watchRows(_ context.Context, ns string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists[ns] = true
	return nil
}

func (s *shelf) unwatchRows(ns string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lists, ns)
}

// moved changes the fence of a batch's partition.
func (s *shelf) moved(k push.Key, change func(*fence)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := partition(k.Namespace, k.Name)
	f := *s.fence[p]
	change(&f)
	s.fence[p] = &f
}

// say folds an event and pushes what it changes. It returns the new revision.
func (s *shelf) say(t testing.TB, k push.Key, kind string, data string) uint64 {
	t.Helper()
	return s.sayAt(t, k, kind, data, time.Now())
}

func (s *shelf) sayAt(t testing.TB, k push.Key, kind, data string, at time.Time) uint64 {
	t.Helper()
	s.mu.Lock()
	s.seq++
	seq := s.seq
	s.mu.Unlock()
	var d diagnostics.Decoder
	e, no := d.Decode(diagnostics.Message{Namespace: k.Namespace, Data: eventJSON(fmt.Sprint("e", seq), k.Name, kind, data, at), Stored: time.Now()})
	if no != nil {
		t.Fatal(no)
	}
	s.mu.Lock()
	v := diagnostics.NewView(k.Namespace, k.Name)
	if old := s.values[k]; old != nil {
		var err error
		if v, err = diagnostics.Parse(old); err != nil {
			t.Fatal(err)
		}
	}
	diagnostics.Fold(v, e)
	v.Revision = seq
	row := diagnostics.NewRow(v, s.fence[partition(k.Namespace, k.Name)].asOf, diagnostics.DefaultPolicy())
	value, rowJSON := v.Append(nil), row.AppendJSON(nil)
	s.values[k] = value
	first := s.stored[k.Namespace] == nil
	if first {
		s.stored[k.Namespace] = map[string][]byte{}
	}
	s.stored[k.Namespace][k.Name] = rowJSON
	p := partition(k.Namespace, k.Name)
	f := *s.fence[p]
	f.cursor = seq
	s.fence[p] = &f
	push, list := s.watches[k] && !s.mute, s.lists[k.Namespace] && !s.mute
	s.mu.Unlock()
	if first && !s.mute {
		s.svc.heardNamespace(k.Namespace)
	}
	if push {
		s.svc.heardView(k, p, &f, value)
	}
	if list {
		s.svc.heardRow(k.Namespace, rowJSON)
	}
	return seq
}

func eventJSON(id, batch, kind, data string, at time.Time) []byte {
	b, _ := json.Marshal(map[string]any{
		"specversion": "1.0", "id": id, "source": "test", "type": "dev.headway." + kind + ".v1", "subject": batch,
		"time": at.UTC().Format(time.RFC3339Nano), "data": json.RawMessage(data),
	})
	return b
}

type policies struct{}

func (policies) For(string) diagnostics.Policy { return diagnostics.DefaultPolicy() }
func (policies) Hash() string                  { return "p1" }

// eventLog keeps what is published.
type eventLog struct {
	mu   sync.Mutex
	kept []message
	err  error

	held   eventlog.Held
	failed error // of Erase, once
	folds  func(m message)

	tombstones []eventlog.Checkpoint
	history    []eventlog.Message // of batches, see past_test.go
	cut        int                // so many of them are gone
	now        time.Time          // its clock; zero: the machine's
	reads      int
	keeper     *keeper // of checkpoints and bases, see past_base_test.go
}

func (l *eventLog) Publish(_ context.Context, subject string, h nats.Header, data []byte) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, l.err
	}
	l.kept = append(l.kept, message{subject, h, data})
	if l.folds != nil {
		l.folds(l.kept[len(l.kept)-1])
	}
	return uint64(len(l.kept)), nil
}

// Changes of health are tested on a real log.
func (l *eventLog) HealthInfo(context.Context) (eventlog.Info, error) {
	return eventlog.Info{}, eventlog.ErrUnavailable
}

func (l *eventLog) FollowHealth(context.Context, eventlog.HealthOptions, func(eventlog.Message) error) error {
	return eventlog.ErrUnavailable
}

func (l *eventLog) ReadHealth(context.Context, eventlog.HealthOptions, func(eventlog.Message) bool) error {
	return eventlog.ErrUnavailable
}

func (l *eventLog) Held(context.Context, string, string) (eventlog.Held, error) {
	return l.held, nil
}

func (l *eventLog) Erase(_ context.Context, _, _ string, tombstone *eventlog.Checkpoint) (done eventlog.Held, err error) {
	if err, l.failed = l.failed, nil; err != nil {
		return done, err
	}
	if tombstone != nil {
		l.tombstones = append(l.tombstones, *tombstone)
	}
	done, l.held = l.held, eventlog.Held{Last: l.held.Last}
	return done, nil
}

// world is a service over stand-ins. It does nothing by itself until listen runs it.
type world struct {
	t     testing.TB
	shelf *shelf
	log   *eventLog
	svc   *Service
}

func newWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, shelf: newShelf(), log: &eventLog{}}
	o := Options{Log: w.log, Policies: policies{}, Partition: partition}
	for _, f := range change {
		f(&o)
	}
	w.svc = newService(o, partitions, w.shelf, w.shelf)
	w.shelf.svc = w.svc
	return w
}

func (w *world) do(method, target string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(method, target, body)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	out := httptest.NewRecorder()
	w.svc.Handler().ServeHTTP(out, r)
	told := out.Body.Bytes()
	if out.Header().Get("Content-Encoding") != "" {
		told = nil
	}
	conforms(w.t, method, r.URL.EscapedPath(), r.URL.Query().Has("fields"), out, told)
	return out
}

func (w *world) get(target string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.do(http.MethodGet, target, nil, header...)
}

func (w *world) status(r *httptest.ResponseRecorder, want int) *httptest.ResponseRecorder {
	w.t.Helper()
	if r.Code != want {
		w.t.Fatalf("status %d, want %d: %s", r.Code, want, r.Body)
	}
	if want >= 400 {
		w.problem(r)
	}
	return r
}

// problem checks the shape that every error has, and returns its type.
func (w *world) problem(r *httptest.ResponseRecorder) string {
	w.t.Helper()
	if got := r.Header().Get("Content-Type"); got != "application/problem+json" {
		w.t.Fatalf("content type %q: %s", got, r.Body)
	}
	var p struct {
		Type    string
		Title   string
		Status  int
		Detail  string
		Success *bool
		Error   struct {
			Message string
			Type    string
			Details map[string]any
		}
	}
	if err := json.Unmarshal(r.Body.Bytes(), &p); err != nil {
		w.t.Fatal(err)
	}
	if p.Status != r.Code || p.Success == nil || *p.Success || p.Error.Message == "" || p.Error.Type == "" || p.Error.Details == nil ||
		p.Title == "" || !strings.HasPrefix(p.Type, "urn:headway:problem:") {
		w.t.Fatalf("not a whole problem: %s", r.Body)
	}
	if (r.Code == 503 || r.Code == 429) && r.Header().Get("Retry-After") == "" {
		w.t.Fatal("no Retry-After")
	}
	return p.Error.Type
}

var one1 = push.Key{Namespace: "default", Name: "b1"}

func url(k push.Key) string {
	return "/v1/analytics/performance/batches/" + k.Name + "/diagnostics?namespace=" + k.Namespace
}
