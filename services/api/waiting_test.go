package api

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/push"
)

const stream1 = "/v1/analytics/performance/batches/b1/diagnostics/stream"

// comment reads the next line of a stream; it must be a heartbeat.
func (e *events) comment() {
	e.t.Helper()
	if line, err := e.in.ReadString('\n'); line != ":\n" {
		e.t.Fatalf("got %q, %v; want a comment", line, err)
	}
}

// The stream of an unknown batch sends only comments until the batch begins.
func TestStreamWaitsForABatch(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Push.Heartbeat = 20 * time.Millisecond })
	base, stop := w.listen()
	defer stop()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	for _, path := range []string{stream1, stream1 + "?wait=true", strings.TrimSuffix(stream1, "/stream")} {
		e := open(t, c, base+path, "Accept", "text/event-stream")
		if e.r.StatusCode != 200 {
			t.Fatalf("%s: %d", path, e.r.StatusCode)
		}
		e.comment()
		e.comment()
		defer e.want("snapshot", `"PROCESSING"`)
	}
	w.status(w.get(stream1+"?wait=false"), 404)
	w.status(w.get(stream1+"?wait=perhaps"), 400)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
}

// The beginning of the batch is found even if the notification is lost.
func TestStreamWaitsWithoutAHint(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Push.Repair = 20 * time.Millisecond })
	base, stop := w.listen()
	defer stop()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	e := open(t, c, base+stream1)
	w.shelf.mu.Lock()
	w.shelf.mute = true
	w.shelf.mu.Unlock()
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	e.want("snapshot", `"PROCESSING"`)
}

// While it isn't known whether a batch exists, a stream waits as well: when views are being rebuilt, and when the store is
// unreachable.
func TestStreamWaitsForViews(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Push.Repair = 20 * time.Millisecond })
	base, stop := w.listen()
	defer stop()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	fail := func(err error) {
		w.shelf.mu.Lock()
		defer w.shelf.mu.Unlock()
		w.shelf.err = err
	}
	w.shelf.moved(one1, func(f *fence) { f.complete = false })
	rebuilt := open(t, c, base+stream1)
	w.status(w.get(stream1+"?wait=false"), 503)
	fail(errors.New("connection refused"))
	away := open(t, c, base+stream1)
	list := open(t, c, base+"/v1/batches/stream?namespace=other")
	for _, e := range []*events{rebuilt, away, list} {
		if e.r.StatusCode != 200 {
			t.Fatalf("%s: %d", e.r.Request.URL, e.r.StatusCode)
		}
	}
	away.comment()
	list.comment()
	fail(nil)
	list.want("snapshot", `"batches":[]`)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	rebuilt.want("snapshot", `"PROCESSING"`)
	away.want("snapshot", `"PROCESSING"`)
	w.shelf.say(t, one1, "batch", `{"status":"COMPLETED"}`)
	rebuilt.want("end", `"COMPLETED"`)
	rebuilt.r.Body.Close()
}

// The number of waiting streams is limited for each caller and each namespace. A stream whose batch has begun no longer counts.
func TestWaitingIsBounded(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.WaitingPerNamespace, o.Limits.WaitingPerCaller = 3, 2 })
	base, stop := w.listen()
	defer stop()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	ask := func(name, caller string, want int) *events {
		t.Helper()
		e := open(t, c, base+strings.Replace(stream1, "b1", name, 1), "Authorization", caller)
		if e.r.StatusCode != want {
			t.Fatalf("%s: %d, want %d", name, e.r.StatusCode, want)
		}
		return e
	}
	first := ask("b1", "one", 200)
	ask("b2", "one", 200)
	ask("b3", "one", 429)
	ask("b3", "two", 200)
	ask("b4", "three", 429)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	first.want("snapshot", "PROCESSING")
	ask("b4", "one", 200)
	ask("b1", "one", 200) // one that is there is no wait
}

// A browser can't set the header of a first connection.
func TestLastEventIDAsParameter(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	k := push.Key{Namespace: "default", Name: "b1"}
	w.shelf.say(t, k, "batch", `{"status":"COMPLETED"}`)
	seen := w.get(stream1).Body.String()
	id, _, _ := strings.Cut(seen[strings.Index(seen, "id: ")+4:], "\n")
	w.status(w.get(stream1+"?lastEventId="+id), 204)
	w.status(w.get(stream1, "Last-Event-ID", id), 204)
	w.status(w.get(stream1+"?lastEventId="+id, "Last-Event-ID", "abc_0-1-1"), 200)
}
