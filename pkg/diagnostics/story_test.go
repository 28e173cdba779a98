package diagnostics

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A story is a set of events, with times in minutes after noon, which is folded forwards and backwards.
type story struct {
	t      *testing.T
	events []Event
	policy Policy
}

func tell(t *testing.T) *story { return &story{t: t, policy: DefaultPolicy()} }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func minute(m float64) int64    { return noon.UnixNano() + int64(m*float64(time.Minute)) }
func some[T any](v T) Opt[T]    { return Opt[T]{V: v, Set: true} }
func moment(ns int64) time.Time { return time.Unix(0, ns).UTC() }
func (s *story) add(m float64, e Event) *story {
	e.Namespace, e.Batch = "n", "b"
	e.Stamp = Stamp{Time: minute(m), Source: "test", ID: fmt.Sprintf("e%d", len(s.events))}
	s.events = append(s.events, e)
	return s
}

func (s *story) batch(m float64, w Word, more ...func(*BatchFacts)) *story {
	f := BatchFacts{Status: w, Attempt: 1}
	for _, with := range more {
		with(&f)
	}
	return s.add(m, Event{Type: TypeBatch, BatchFacts: f})
}

func (s *story) tier(m float64, n int32, w Word, more ...func(*TierFacts)) *story {
	f := TierFacts{TierNum: n, Attempt: 1, Status: w}
	for _, with := range more {
		with(&f)
	}
	return s.add(m, Event{Type: TypeTier, TierFacts: f})
}

func (s *story) progress(m float64, n int32, processed, total int64) *story {
	return s.tier(m, n, WordNone, func(f *TierFacts) { f.Processed, f.Total = some(processed), some(total) })
}

func (s *story) job(m float64, id string, n int32, w Word, more ...func(*JobFacts)) *story {
	f := JobFacts{TierNum: n, SubmissionID: id, Status: w}
	for _, with := range more {
		with(&f)
	}
	return s.add(m, Event{Type: TypeJob, JobFacts: f})
}

func tiers(n int64) func(*BatchFacts)          { return func(f *BatchFacts) { f.TotalTiers = some(n) } }
func inAttempt(n int32) func(*TierFacts)       { return func(f *TierFacts) { f.Attempt = n } }
func batchAttempted(n int32) func(*BatchFacts) { return func(f *BatchFacts) { f.Attempt = n } }
func docs(done, total int64) func(*JobFacts) {
	return func(f *JobFacts) { f.Processed, f.Total = some(done), some(total) }
}
func infeasible(since float64) func(*JobFacts) {
	return func(f *JobFacts) {
		f.Waiting = some(Waiting{Kind: "resources", Since: minute(since), DemandJSON: `{"GPU":1}`, Infeasible: some(true)})
	}
}

func (s *story) view() *View {
	s.t.Helper()
	v, w := NewView("n", "b"), NewView("n", "b")
	for i := range s.events {
		Fold(v, &s.events[i])
		Fold(w, &s.events[len(s.events)-1-i])
	}
	if string(v.AppendState(nil)) != string(w.AppendState(nil)) {
		s.t.Fatal("told backwards, the story gives another state")
	}
	return v
}

func (s *story) at(m float64) Snapshot {
	return Render(s.view(), moment(minute(m)), s.policy, Meta{})
}

// is expects a health and the first word of the blocked reason at a moment.
func (s *story) is(at int64, h Health, reason string) *story {
	s.t.Helper()
	got := Assess(s.view(), moment(at), s.policy)
	word, _, _ := strings.Cut(got.BlockedReason, ":")
	if got.Health != h || word != reason {
		s.t.Errorf("at %v: %v (%s), want %v (%s)", moment(at).Format("15:04:05.999999999"), got.Health, got.BlockedReason, h, reason)
	}
	return s
}

// turns expects a change exactly one nanosecond after a limit.
func (s *story) turns(limit int64, before Health, beforeReason string, after Health, afterReason string) *story {
	s.t.Helper()
	s.is(limit, before, beforeReason).is(limit+1, after, afterReason)
	if at, ok := NextCheck(s.announced(limit).view(), moment(limit), s.policy); !ok || at.UnixNano() != limit+1 {
		s.t.Errorf("next check at %v, want one nanosecond after %v", at, moment(limit))
	}
	return s
}

// announced is the story after the detector has announced the verdict of a moment.
func (s *story) announced(at int64) *story {
	told := &story{s.t, append([]Event{}, s.events...), s.policy}
	if p, due := Due(s.view(), moment(at), s.policy); due && p.Announcement != nil {
		a := p.Announcement
		told.events = append(told.events, Event{
			Type: TypeHealth, Namespace: "n", Batch: "b", Stamp: Stamp{Time: at, Source: "headway/detector", ID: fmt.Sprint("b.health.", a.Ordinal)},
			HealthFacts: HealthFacts{Ordinal: a.Ordinal, From: a.From, To: a.To, BlockedReason: a.Verdict.BlockedReason, AsOf: at, CauseTo: some(a.CauseTo)},
		})
	}
	return told
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}
