package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// flaky is an API whose streams are cut repeatedly.
type flaky struct {
	t         *testing.T
	revision  atomic.Int64
	open      atomic.Int32
	most      atomic.Int32
	cuts      atomic.Int32
	tokens    atomic.Int32
	lastToken atomic.Value
}

const flakyCuts = 200

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if token := r.Header.Get("Authorization"); f.lastToken.Swap(token) == token {
		f.t.Errorf("the credential %q was used again", token)
	}
	n := f.open.Add(1)
	defer f.open.Add(-1)
	f.most.Store(max(f.most.Load(), n))
	var seen int64
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		seen, _ = strconv.ParseInt(last[strings.LastIndexByte(last, '-')+1:], 10, 64)
	}
	cut := f.cuts.Add(1)
	if cut%7 == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if cut > flakyCuts {
		writeSnapshot(w, "snapshot", f.revision.Load())
		writeSnapshot(w, "end", f.revision.Load())
		return
	}
	if seen > f.revision.Load() {
		f.t.Errorf("asked for what comes after %d, of %d", seen, f.revision.Load())
	}
	for range rand.IntN(4) {
		writeSnapshot(w, "update", f.revision.Add(1))
	}
	if cut%5 == 0 { // cut in the middle of an event
		_, _ = w.Write([]byte("event: update\nid: id_1-1-9999\ndata: {\"batch"))
	}
}

func writeSnapshot(w http.ResponseWriter, kind string, revision int64) {
	id := fmt.Sprintf("id_1-1-%d", revision)
	_, _ = fmt.Fprintf(w, "event: %s\nid: %s\ndata: {\"batch_id\":\"b\",\"health\":\"ok\",\"view\":{\"id\":%q,\"revision\":%d}}\n\n", kind, id, id, revision)
	w.(http.Flusher).Flush()
}

// However often the stream is cut, a watch ends with the newest snapshot, never goes back to an older one, and holds one
// connection at a time.
func TestWatchSurvivesCuts(t *testing.T) {
	f := &flaky{t: t}
	f.lastToken.Store("")
	server := httptest.NewServer(f)
	defer server.Close()
	r, err := NewReader(ReaderOptions{URL: server.URL, FirstRetry: time.Millisecond, Token: func(context.Context) (string, error) {
		return fmt.Sprint(f.tokens.Add(1)), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	for s, err := range r.Watch(t.Context(), "b") {
		if err != nil {
			t.Fatal(err)
		}
		if s.View.Revision <= last {
			t.Fatalf("revision %d after %d", s.View.Revision, last)
		}
		last = s.View.Revision
	}
	if last != uint64(f.revision.Load()) {
		t.Errorf("ended on %d, not on %d", last, f.revision.Load())
	}
	if f.most.Load() != 1 || f.cuts.Load() < flakyCuts {
		t.Errorf("%d connections at once, %d cuts", f.most.Load(), f.cuts.Load())
	}
}

// Sequences are comparable across fold versions, so an older snapshot of a replica that is still rebuilding isn't shown.
func TestNewer(t *testing.T) {
	var w watch
	for _, x := range []struct {
		id       string
		revision uint64
		at       int64
		want     bool
	}{
		{"a_0-1-5", 5, 1, true}, {"a_0-1-5", 5, 1, false}, {"a_0-1-4", 4, 2, false}, {"a_0-2-4", 4, 2, false}, {"a_0-2-5", 5, 1, true}, {"a_0-2-6", 6, 1, true},
		{"a_0-2-6", 6, 2, true}, {"a_0-2-6", 6, 1, false}, // the same revision says something else as time goes on
		{"b_0-2-1", 1, 1, true}, // another stream: nothing to compare
	} {
		if got := w.newer(diagnostics.ViewInfo{ID: x.id, Revision: x.revision, AsOf: time.Unix(x.at, 0)}); got != x.want {
			t.Errorf("%s at %d: %v", x.id, x.at, got)
		}
	}
}

// After an expired credential the client asks for a new one, once. A credential that is refused twice is an error.
func TestRefusedCredential(t *testing.T) {
	good := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+good {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		writeSnapshot(w, "snapshot", 1)
		writeSnapshot(w, "end", 2)
	}))
	defer server.Close()
	for token, want := range map[string]int{"2": 2, "3": 0} {
		good = token
		asked, got := 0, 0
		var last error
		var states []Connection
		r, err := NewReader(ReaderOptions{URL: server.URL, FirstRetry: time.Millisecond,
			Token:      func(context.Context) (string, error) { asked++; return fmt.Sprint(asked), nil },
			Connection: func(c Connection) { states = append(states, c) }})
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range r.Watch(t.Context(), "b") {
			if last = err; err == nil {
				got++
			}
		}
		var status *StatusError
		if got != want || asked != 2 || (want == 0) != errors.As(last, &status) {
			t.Errorf("good is %s: %d snapshots, %d credentials, %v", good, got, asked, last)
		}
		if want > 0 && (len(states) != 2 || states[0] != Connection{} || !states[1].Live) {
			t.Errorf("connection was %+v", states)
		}
	}
}

func TestReaderErrors(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/ended/"):
			w.WriteHeader(http.StatusNoContent)
		case strings.Contains(r.URL.Path, "/busy/"):
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
			_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": "Too many.", "type": "too_many_streams"}})
		case strings.Contains(r.URL.Path, "/html/"):
			_, _ = w.Write([]byte("<html>"))
		default:
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": "No such batch.", "type": "not_found"}})
		}
	}))
	defer server.Close()
	r, err := NewReader(ReaderOptions{URL: server.URL + "/"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Diagnostics(t.Context(), "none"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if _, err := r.Explain(t.Context(), "html"); err == nil || errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	var status *StatusError
	if _, err := r.Diagnostics(t.Context(), "busy"); !errors.As(err, &status) || status.RetryAfter != 7*time.Second || status.Kind != "too_many_streams" {
		t.Error(err)
	}
	for _, err := range r.Watch(t.Context(), "none") {
		if !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
	for s, err := range r.Watch(t.Context(), "ended") {
		t.Error("of an ended batch: ", s.BatchID, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.o.Connection = func(c Connection) {
		if c.Err != nil && (c.Live || c.NextTry.Before(time.Now().Add(7*time.Second-time.Second))) {
			t.Errorf("told to wait 7 s, it is %+v", c)
		}
		if c.Err != nil {
			cancel()
		}
	}
	for _, err := range r.Watch(ctx, "busy") {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	for _, url := range []string{"", "localhost:8080", "ftp://x", "http://"} {
		if _, err := NewReader(ReaderOptions{URL: url}); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
}

func TestListPages(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("status") != "FAILED,PROCESSING" || q.Get("label") != "team:search" || q.Get("limit") != "2" || r.Header.Get("X-Namespace") != "search" {
			t.Errorf("asked %s", r.URL)
		}
		if q.Get("cursor") == "" {
			_, _ = w.Write([]byte(`{"batches":[{"batch_id":"a","health":"stuck"},{"batch_id":"b","health":"ok"}],"next_cursor":"c1"}`))
			return
		}
		_, _ = w.Write([]byte(`{"batches":[{"batch_id":"c","health":"ok"}],"next_cursor":null}`))
	}))
	defer server.Close()
	r, err := NewReader(ReaderOptions{URL: server.URL, Namespace: "search"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for row, err := range r.List(t.Context(), ListOptions{Status: []string{"FAILED", "PROCESSING"}, Labels: map[string]string{"team": "search"}, PageSize: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, row.BatchID+" "+row.Health.String())
	}
	if strings.Join(got, ", ") != "a stuck, b ok, c ok" {
		t.Error(got)
	}
}

// A page of a history may have no rows, and still not be the last one.
func TestHistory(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path != "/v1/batches/history" || q.Get("from") != "2026-03-01T00:00:00Z" || q.Has("to") || q.Get("status") != "FAILED" {
			t.Errorf("asked %s", r.URL)
		}
		if q.Get("cursor") == "" {
			_, _ = w.Write([]byte(`{"batches":[],"next_cursor":"c1"}`))
			return
		}
		_, _ = w.Write([]byte(`{"batches":[{"batch_id":"a","health":"ok"}],"next_cursor":null}`))
	}))
	defer server.Close()
	r, err := NewReader(ReaderOptions{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for row, err := range r.History(t.Context(), HistoryOptions{From: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Status: []string{"FAILED"}}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, row.BatchID)
	}
	if len(got) != 1 || got[0] != "a" {
		t.Error(got)
	}
}

func TestRuns(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.EscapedPath() != "/v1/pipelines/etl%2Fmedia%20%C3%BC/runs" || q.Get("limit") != "2" {
			t.Errorf("asked %s", r.URL)
		}
		switch q.Get("cursor") {
		case "":
			_, _ = w.Write([]byte(`{"runs":[{"batch_id":"a","health":"ok"},{"batch_id":"b","health":"ok"}],"next_cursor":"c1"}`))
		case "c1":
			_, _ = w.Write([]byte(`{"runs":[],"next_cursor":"c2"}`))
		default:
			_, _ = w.Write([]byte(`{"runs":[{"batch_id":"c","health":"ok","tiers":[{"tier_num":0,"waits":[{"phase":"quota","seconds":3}]}]}],"next_cursor":null}`))
		}
	}))
	defer server.Close()
	r, err := NewReader(ReaderOptions{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	var last Run
	for run, err := range r.Runs(t.Context(), "etl/media ü", 2) {
		if err != nil {
			t.Fatal(err)
		}
		got, last = append(got, run.BatchID), run
	}
	if strings.Join(got, "") != "abc" || len(last.Tiers) != 1 || last.Tiers[0].Waits[0] != (RunWait{Phase: "quota", Seconds: 3}) {
		t.Errorf("%v, %+v", got, last)
	}
}
