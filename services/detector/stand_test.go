package detector

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// began is when the batches of these tests began, and judged is the moment at which they are first judged.
var (
	began  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	judged = began.Add(time.Hour)
)

// memoryStore is a store in memory that returns what is due at the moment of each partition.
type memoryStore struct {
	mu      sync.Mutex
	parts   map[int]*memoryPart
	failing error // of Due
	refuse  error // of Reschedule
	hang    bool  // Due waits until its context ends
	moves   map[viewstore.Key][]time.Duration
	reads   int                    // calls of Due
	another func(asked int) bool   // another fold version serves; nil: never
	asked   int                    // calls of Serves
	doubted map[viewstore.Key]bool // entries last moved by all bytes of their view
}

type memoryPart struct {
	fence viewstore.Fence
	err   error
	score map[viewstore.Key]int64
	value map[viewstore.Key][]byte
}

func newStore() *memoryStore {
	return &memoryStore{parts: map[int]*memoryPart{}, moves: map[viewstore.Key][]time.Duration{}, doubted: map[viewstore.Key]bool{}}
}

func (s *memoryStore) part(p int) *memoryPart {
	if s.parts[p] == nil {
		s.parts[p] = &memoryPart{
			fence: viewstore.Fence{Complete: true, Watermark: judged.UnixNano(), JudgeAt: judged.UnixNano()},
			score: map[viewstore.Key]int64{}, value: map[viewstore.Key][]byte{},
		}
	}
	return s.parts[p]
}

// put stores a value that is due at the moment judged.
func (s *memoryStore) put(p int, batch string, value []byte) viewstore.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := viewstore.Key{Namespace: "n", Batch: batch}
	s.part(p).score[k], s.part(p).value[k] = judged.UnixMilli(), value
	return k
}

// pass advances the time of all partitions.
func (s *memoryStore) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		p.fence.JudgeAt += int64(d)
		p.fence.Watermark += int64(d)
	}
}

func (s *memoryStore) Serves(context.Context) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.another == nil || !s.another(s.asked), nil
}

func (s *memoryStore) Due(ctx context.Context, limit int) ([]viewstore.DuePartition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if s.failing != nil {
		return nil, s.failing
	}
	var out []viewstore.DuePartition
	for n := range 32 {
		p := s.parts[n]
		if p == nil {
			continue
		}
		d := viewstore.DuePartition{Partition: n, Fence: p.fence, Err: p.err}
		for k, score := range p.score {
			if p.err == nil && score <= p.fence.JudgeAt/1e6 {
				d.Views = append(d.Views, viewstore.DueView{Key: k, Score: strconv.FormatInt(score, 10), Value: p.value[k]})
			}
		}
		slices.SortFunc(d.Views, func(a, b viewstore.DueView) int {
			return bytes.Compare([]byte(a.Score+a.Batch), []byte(b.Score+b.Batch))
		})
		d.Views = d.Views[:min(len(d.Views), limit)]
		if d.Err != nil || len(d.Views) > 0 {
			out = append(out, d)
		}
	}
	return out, nil
}

func (s *memoryStore) Reschedule(_ context.Context, p int, e viewstore.DueView, at int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return s.refuse
	}
	part := s.part(p)
	if strconv.FormatInt(part.score[e.Key], 10) != e.Score {
		return nil
	}
	s.doubted[e.Key] = e.Unreadable
	s.moves[e.Key] = append(s.moves[e.Key], time.Duration(at*1e6-part.fence.JudgeAt))
	if part.score[e.Key] = at; at == 0 {
		delete(part.score, e.Key)
	}
	return nil
}

func (s *memoryStore) RevisionID(revision uint64) string { return fmt.Sprint("id-1-", revision) }

// moved returns by how much an entry was moved, each time.
func (s *memoryStore) moved(k viewstore.Key) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moves[k]
}

// announced is an announcement that a memoryLog has stored.
type announced struct {
	Subject string
	Expect  uint64
	Header  nats.Header
	ID      string
	Data    struct {
		Ordinal  int64
		To, Link string
	}
}

// memoryLog is a log in memory that compares sequences as the real one does.
type memoryLog struct {
	mu     sync.Mutex
	seq    uint64
	last   map[string]uint64 // of a batch's health subject
	stored []announced
	refuse func(ctx context.Context, batch string) error // before storing
	away   error                                         // of looks at it
	ensure int                                           // looks for streams
}

func newLog() *memoryLog { return &memoryLog{last: map[string]uint64{}} }

func (l *memoryLog) EnsureStreams(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ensure++
	return l.away
}

func (l *memoryLog) Info(context.Context) (eventlog.Info, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return eventlog.Info{Identity: "id"}, l.away
}

func (l *memoryLog) Publish(ctx context.Context, subject string, header nats.Header, data []byte) (uint64, error) {
	return l.store(ctx, "", 0, announced{Subject: subject, Header: header}, data)
}

func (l *memoryLog) PublishHealth(ctx context.Context, namespace, batch string, expect uint64, event []byte) (uint64, error) {
	return l.store(ctx, batch, expect, announced{Subject: namespace + "." + batch, Expect: expect}, event)
}

func (l *memoryLog) store(ctx context.Context, batch string, expect uint64, a announced, data []byte) (uint64, error) {
	l.mu.Lock()
	refuse := l.refuse
	l.mu.Unlock()
	if refuse != nil {
		if err := refuse(ctx, batch); err != nil {
			return 0, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if batch != "" && l.last[batch] != expect {
		return 0, fmt.Errorf("memory: %w", eventlog.WrongLastError{Last: l.last[batch]})
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return 0, err
	}
	l.seq++
	if batch != "" {
		l.last[batch] = l.seq
	}
	l.stored = append(l.stored, a)
	return l.seq, nil
}

// ids are those of the events stored.
func (l *memoryLog) ids() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]string, len(l.stored))
	for i, a := range l.stored {
		out[i] = a.ID
	}
	return out
}

func (l *memoryLog) set(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do()
}

// stuckView is a batch whose job has waited since began: an hour later it is stuck.
func stuckView(batch string) *diagnostics.View {
	v := diagnostics.NewView("n", batch)
	at := diagnostics.Stamp{Time: began.UnixNano(), Source: "s", ID: "e1"}
	diagnostics.Fold(v, &diagnostics.Event{
		Type: diagnostics.TypeBatch, Namespace: "n", Batch: batch, Stamp: at,
		BatchFacts: diagnostics.BatchFacts{Attempt: 1, Status: diagnostics.WordProcessing},
	})
	diagnostics.Fold(v, &diagnostics.Event{
		Type: diagnostics.TypeJob, Namespace: "n", Batch: batch, Stamp: at,
		JobFacts: diagnostics.JobFacts{SubmissionID: "job", Status: diagnostics.WordPending},
	})
	v.Revision = 2
	return v
}

func stuck(batch string) []byte { return stuckView(batch).Append(nil) }

// fold folds the announcements of a batch into its view.
func fold(v *diagnostics.View, l *memoryLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, a := range l.stored {
		if a.Subject != v.Namespace+"."+v.Batch {
			continue
		}
		to, _ := diagnostics.ParseHealth(a.Data.To)
		diagnostics.Fold(v, &diagnostics.Event{
			Type: diagnostics.TypeHealth, Namespace: v.Namespace, Batch: v.Batch,
			Stamp:       diagnostics.Stamp{Time: judged.UnixNano(), Source: diagnostics.DetectorSource, ID: a.ID},
			HealthFacts: diagnostics.HealthFacts{Ordinal: a.Data.Ordinal, To: to, AsOf: judged.UnixNano()},
		})
		v.Revision, v.HealthSeq = uint64(i+1), l.last[v.Batch]
	}
}

type bench struct {
	*Detector

	store   *memoryStore
	events  *memoryLog
	metrics *prometheus.Registry
	said    *bytes.Buffer
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{store: newStore(), events: newLog(), metrics: prometheus.NewRegistry(), said: &bytes.Buffer{}}
	b.Detector = New(Options{
		Log: b.events, Store: func(string) Store { return b.store }, Policies: policy.Default(), Metrics: b.metrics,
		BaseURL: "https://headway.example.com", Logger: slog.New(slog.NewTextHandler(b.said, nil)),
	})
	return b
}

// failures are the counts of headway_detector_failures_total that aren't 0.
func (b *bench) failures(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if v := m.GetCounter().GetValue(); f.GetName() == "headway_detector_failures_total" && v > 0 {
				out[m.GetLabel()[0].GetValue()] = v
			}
		}
	}
	return out
}
