package api

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/push"
)

// each asks in every way that could answer "no such batch": with a cold and a warm topic, and with a new and a resumed stream.
func (w *world) each(k push.Key, want int, kind string) {
	w.t.Helper()
	stream := strings.Replace(url(k), "diagnostics", "diagnostics/stream", 1) + "&wait=false"
	for _, r := range []struct {
		target string
		header []string
	}{
		{url(k), nil}, {url(k), nil}, {strings.Replace(url(k), "diagnostics", "diagnostics/explain", 1), nil},
		{stream, nil}, {stream, []string{"Last-Event-ID", "other_0-1-7"}},
	} {
		if got := w.problem(w.status(w.get(r.target, r.header...), want)); got != kind {
			w.t.Fatalf("%s: %s, want %s", r.target, got, kind)
		}
	}
}

// The answer "no such batch" is given only for a complete partition with a fresh watermark.
func TestAbsenceIsClaimedOnlyWhenKnown(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Fresh = 10 * time.Second })
	w.each(one1, 404, "not_found")
	w.shelf.moved(one1, func(f *fence) { f.watermark = time.Now().Add(-11 * time.Second) }) // ingest or the log is dead
	w.each(one1, 503, "views_stale")
	w.shelf.moved(one1, func(f *fence) { f.watermark = time.Now().Add(-9 * time.Second) })
	w.each(one1, 404, "not_found")
	w.shelf.moved(one1, func(f *fence) { f.complete = false })
	w.each(one1, 503, "views_rebuilding")
	w.shelf.moved(one1, func(f *fence) { f.complete = true })
	w.shelf.missing = map[push.Key]bool{one1: true} // the store counts it, but it isn't there
	w.each(one1, 503, "views_rebuilding")
}

// After a rollback the store calls itself complete until the partition's owner notices. A reader that has seen a newer fence
// doesn't believe it, neither for a batch nor for a list.
func TestAbsenceIsNotClaimedAfterARollback(t *testing.T) {
	w := newWorld(t)
	w.shelf.moved(one1, func(f *fence) { f.cursor = 9 })
	w.each(one1, 404, "not_found")
	w.shelf.moved(one1, func(f *fence) { f.cursor = 8 })
	w.each(one1, 503, "views_rebuilding")
	if _, err := w.svc.source.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if body := w.status(w.get("/v1/batches"), 200).Body.String(); !strings.Contains(body, `"views_rebuilding"`) {
		t.Fatal(body)
	}
	w.shelf.moved(one1, func(f *fence) { f.cursor = 10 })
	w.each(one1, 404, "not_found")
}

// A topic that holds back its client, which has seen more on another replica, has no frame. This isn't taken for absence.
func TestAbsenceOfAHeldTopicIsReadAnew(t *testing.T) {
	w := newWorld(t)
	held, err := w.svc.hub.Subscribe(t.Context(), one1, "abc_0-1-9", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	w.each(one1, 404, "not_found")
	w.shelf.moved(one1, func(f *fence) { f.watermark = time.Now().Add(-time.Hour) })
	w.each(one1, 503, "views_stale")
}

// Where retention has removed events, a 404 says from when on there are events.
func TestAbsenceAfterRetention(t *testing.T) {
	w := newWorld(t)
	gone := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w.shelf.moved(one1, func(f *fence) { f.goneBefore = gone })
	w.each(one1, 404, "not_found")
	if body := w.get(url(one1)).Body.String(); !strings.Contains(body, `"gone_before":"2026-03-01T12:00:00Z"`) ||
		!strings.Contains(body, "Events before 2026-03-01T12:00:00Z are gone") {
		t.Fatal(body)
	}
}

func TestListsSayWhyTheyMayLackBatches(t *testing.T) {
	w := newWorld(t)
	gone := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	reasons := func() string {
		t.Helper()
		if _, err := w.svc.source.refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		var l struct {
			Incomplete bool
			Reasons    []gap `json:"incomplete_reasons"`
		}
		if err := json.Unmarshal(w.status(w.get("/v1/batches"), 200).Body.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, r := range l.Reasons {
			if r.Message == "" || (r.Before != nil) != (r.Type == "events_gone") || r.Before != nil && !r.Before.Equal(gone) {
				t.Fatalf("%+v", r)
			}
			out = append(out, r.Type)
		}
		if l.Incomplete != (len(out) > 0) || l.Reasons == nil {
			t.Fatalf("incomplete: %v, reasons: %v", l.Incomplete, l.Reasons)
		}
		return strings.Join(out, " ")
	}
	if got := reasons(); got != "" {
		t.Fatal(got)
	}
	w.shelf.moved(one1, func(f *fence) { f.watermark = time.Now().Add(-time.Minute) })
	if got := reasons(); got != "views_stale" {
		t.Fatal(got)
	}
	w.shelf.moved(one1, func(f *fence) { f.goneBefore = gone; f.complete = false })
	if got := reasons(); got != "views_rebuilding events_gone" {
		t.Fatal(got)
	}
	w.shelf.mu.Lock()
	w.shelf.fence[partition(one1.Namespace, one1.Name)] = nil
	w.shelf.mu.Unlock()
	if got := reasons(); got != "views_rebuilding" {
		t.Fatal(got)
	}
}

// as_of never goes back within a stream identity, whatever the store contains after a rollback.
func TestTheNewestFenceStays(t *testing.T) {
	w := newWorld(t)
	at := func(identity string, cursor uint64, seconds int64, complete bool) *fence {
		return &fence{identity: identity, cursor: cursor, watermark: time.Unix(seconds, 0), complete: complete}
	}
	last := at("a", 5, 100, true)
	w.svc.source.see(0, last)
	for _, older := range []*fence{at("a", 4, 200, true), at("a", 5, 99, true), at("a", 5, 100, true), nil} {
		if w.svc.source.see(0, older); w.svc.source.newest[0].Load() != last {
			t.Fatalf("%+v replaced %+v", older, last)
		}
	}
	for _, newer := range []*fence{at("a", 5, 100, false), at("a", 5, 101, false), at("a", 6, 0, false), at("b", 1, 1, false)} {
		if w.svc.source.see(0, newer); w.svc.source.newest[0].Load() != newer {
			t.Fatalf("%+v wasn't seen", newer)
		}
	}
}

// While as_of stands still, the reported lag grows, in steps of five seconds.
func TestLagIsToldAnew(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	read, err := w.svc.source.Read(t.Context(), one1)
	if err != nil {
		t.Fatal(err)
	}
	c := read.Frame.Content.(*shown).content
	now := c.fence().watermark.Add(time.Second)
	lag := func(after time.Duration) float64 {
		t.Helper()
		var s struct {
			View struct {
				Lag float64 `json:"lag_seconds"`
			}
		}
		if err := json.Unmarshal(c.render(now.Add(after), false).body, &s); err != nil {
			t.Fatal(err)
		}
		return s.View.Lag
	}
	for _, x := range []struct {
		after time.Duration
		want  float64
	}{{0, 1}, {lagStep - time.Nanosecond, 1}, {lagStep, 6}, {2*lagStep - time.Nanosecond, 6}, {2 * lagStep, 11}} {
		if got := lag(x.after); got != x.want {
			t.Errorf("after %v the lag told is %v s, want %v", x.after, got, x.want)
		}
	}
}
