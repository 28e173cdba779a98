package client

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// A server sends rows where it can, and a watch shows the same snapshots. A reconnection begins with a whole one.
func TestWatchReadsRows(t *testing.T) {
	connections := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("format") != "rows" {
			t.Errorf("asked for %s", r.URL)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		send := func(kind string, revision int, data string) {
			_, _ = fmt.Fprintf(w, "event: %s\nid: s-1-%d\ndata: %s\n\n", kind, revision, strings.ReplaceAll(data, "VIEW", fmt.Sprintf(`"view":{"id":"s-1-%d","revision":%d}`, revision, revision)))
		}
		if connections++; connections == 1 {
			send("snapshot", 1, `{VIEW,"health":"ok","tiers":[{"tier_num":0,"status":"PENDING","jobs":[]},{"tier_num":1,"jobs":[]}],"timeline":[{"kind":"batch"}]}`)
			send("update-rows", 2, `{"set":{VIEW},"lists":{},"tiers":[{"key":0,"row":{"tier_num":0,"status":"PROCESSING"}}]}`)
			send("health-rows", 3, `{"set":{VIEW,"health":"stuck"},"lists":{"timeline":[[0,1],{"kind":"tier"}]},"tiers":[{"key":1,"gone":true}]}`)
			return
		}
		send("update", 4, `{VIEW,"health":"ok","tiers":[{"tier_num":7,"jobs":[]}],"timeline":[]}`)
		send("end-rows", 5, `{"set":{VIEW,"status":"COMPLETED"},"lists":{}}`)
	}))
	defer server.Close()
	r, err := NewReader(ReaderOptions{URL: server.URL, FirstRetry: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for s, err := range r.Watch(t.Context(), "b") {
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%d %s %q %d", s.View.Revision, s.Health, s.Status, len(s.Timeline))
		for _, tier := range s.Tiers {
			line += fmt.Sprintf(" tier %d %q", tier.TierNum, tier.Status)
		}
		got = append(got, line)
	}
	want := []string{
		`1 ok "" 1 tier 0 "PENDING" tier 1 ""`, `2 ok "" 1 tier 0 "PROCESSING" tier 1 ""`, `3 stuck "" 2 tier 0 "PROCESSING"`,
		`4 ok "" 0 tier 7 ""`, `5 ok "COMPLETED" 0 tier 7 ""`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

// A server that doesn't know rows refuses them, or sends whole events without a word.
func TestWatchReadsOlderServers(t *testing.T) {
	for _, refuses := range []bool{true, false} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked++; refuses && r.URL.Query().Has("format") {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = fmt.Fprint(w, `{"error":{"type":"validation_error","message":"format: must be one of full, patch","details":{"field":"format"}}}`)
				return
			}
			w.Header().Set("Content-Type", "text/event-stream")
			writeSnapshot(w, "snapshot", 1)
			if asked < 4 {
				return
			}
			writeSnapshot(w, "end", 2)
		}))
		r, err := NewReader(ReaderOptions{URL: server.URL, FirstRetry: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		shown := 0
		for _, err := range r.Watch(t.Context(), "b") {
			if err != nil {
				t.Fatal(err)
			}
			shown++
		}
		if shown != 2 || asked != 4 {
			t.Errorf("refuses %v: %d snapshots of %d connections", refuses, shown, asked)
		}
		server.Close()
	}
}

// What isn't about the format is reported.
func TestWatchReportsABadRequest(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer server.Close()
	r, err := NewReader(ReaderOptions{URL: server.URL, FirstRetry: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range r.Watch(t.Context(), "b") {
		if err == nil || !strings.Contains(err.Error(), "400") {
			t.Errorf("got %v", err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}
