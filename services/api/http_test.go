package api

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
)

func TestSnapshot(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING","name":"night run"}`)
	for range 3 { // cold, then warming, then warm
		r := w.status(w.get(url(one1)), 200)
		var s map[string]any
		if err := json.Unmarshal(r.Body.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		if s["batch_id"] != "b1" || s["status"] != "PROCESSING" || s["view"].(map[string]any)["id"] != "abc_0-1-1" {
			t.Fatalf("%v", s)
		}
		if got := r.Header().Get("Vary"); got != "Authorization, Cookie, X-Namespace, Accept, Accept-Encoding, Origin" {
			t.Fatal(got)
		}
	}
	w.shelf.mu.Lock()
	before := w.shelf.loads
	w.shelf.mu.Unlock()
	w.shelf.say(t, one1, "batch", `{"status":"COMPLETED"}`)
	if r := w.get(url(one1)); !strings.Contains(r.Body.String(), `"status":"COMPLETED"`) {
		t.Fatalf("a warm snapshot isn't kept true: %s", r.Body)
	}
	w.shelf.mu.Lock()
	defer w.shelf.mu.Unlock()
	if w.shelf.loads > before+1 { // one look of the repair may fall between
		t.Fatalf("%d reads of the store for a warm snapshot", w.shelf.loads-before)
	}
}

// A batch that is requested again is kept in memory: its second request is one read of the store too, and its third is none. One that was
// requested once, and one that isn't there, aren't kept.
func TestSecondRequestKeepsABatch(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	nobody := push.Key{Namespace: "default", Name: "nobody"}
	for _, x := range []struct {
		key           push.Key
		status, reads int
		kept          bool
	}{{one1, 200, 1, false}, {one1, 200, 1, true}, {one1, 200, 0, true}, {nobody, 404, 1, false}, {nobody, 404, 1, false}, {nobody, 404, 1, false}} {
		before := w.shelf.loads
		w.status(w.get(url(x.key)), x.status)
		if got := w.shelf.loads - before; got != x.reads {
			t.Errorf("%v: %d reads, want %d", x.key, got, x.reads)
		}
		if _, kept := w.svc.hub.Current(x.key); kept != x.kept || w.shelf.watches[x.key] != x.kept {
			t.Errorf("%v: kept %v, watched %v, want %v", x.key, kept, w.shelf.watches[x.key], x.kept)
		}
	}
}

// A kept batch that nobody asks for keeps neither its answer nor its view, but what is needed to say that the answer is still the same.
func TestKeptBatchRests(t *testing.T) {
	w, at := late(t)
	for range 2 {
		w.status(w.get(url(one1)), 200)
	}
	first := w.status(w.get(url(one1)), 200)
	tag := first.Header().Get("ETag")
	f, kept := w.svc.hub.Current(one1)
	if !kept {
		t.Fatal("it isn't kept")
	}
	c := f.Content.(*shown).content
	f.Content.(push.RestingContent).Rest()
	runtime.GC()
	if c.last.Load().body != nil || c.derived.kept.Value() != nil {
		t.Fatal("it keeps what it can make again")
	}
	w.status(w.get(url(one1), "If-None-Match", tag), 304)
	if c.last.Load().body != nil || c.derived.kept.Value() != nil {
		t.Fatal("it was made again for a client that has it")
	}
	r := w.status(w.get(url(one1)), 200)
	if r.Header().Get("ETag") != tag || !sameButClocks(t, first.Body.String(), r.Body.String()) {
		t.Fatalf("%s\nbecame\n%s", first.Body, r.Body)
	}
	f.Content.(push.RestingContent).Rest()
	at(20*time.Minute + 1) // now it says something else
	if r = w.status(w.get(url(one1), "If-None-Match", tag), 200); r.Header().Get("ETag") == tag || !strings.Contains(r.Body.String(), `"health":"stuck"`) {
		t.Fatalf("%s", r.Body)
	}
}

func TestHead(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	get, head := w.get(url(one1)), w.do(http.MethodHead, url(one1), nil)
	if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("ETag") != get.Header().Get("ETag") ||
		head.Header().Get("Content-Length") == "" {
		t.Fatalf("%d %v", head.Code, head.Header())
	}
	if r := w.do(http.MethodHead, url(push.Key{Namespace: "x", Name: "y"}), nil); r.Code != 404 || r.Body.Len() != 0 {
		t.Fatal(r.Code, r.Body)
	}
}

func TestNamespaces(t *testing.T) {
	w := newWorld(t)
	k := push.Key{Namespace: "teamA", Name: "b1"}
	w.shelf.say(t, k, "batch", `{"status":"PROCESSING"}`)
	base := "/v1/analytics/performance/batches/b1/diagnostics"
	w.status(w.get(base+"?namespace=teamA"), 200)
	w.status(w.get(base, "X-Namespace", "teamA", "Authorization", "Bearer whatever"), 200)
	w.status(w.get(base+"?namespace=teamA", "X-Namespace", "teamB"), 400)
	w.status(w.get(base, "X-Namespace", "teamA", "X-Namespace", "teamA"), 400)
	w.status(w.get(base, "X-Namespace", ""), 400)
	foreign := w.status(w.get(base, "X-Namespace", "teamB"), 404)
	missing := w.status(w.get("/v1/analytics/performance/batches/b2/diagnostics", "X-Namespace", "teamB"), 404)
	if foreign.Body.String() != missing.Body.String() {
		t.Fatalf("a foreign batch differs from a missing one: %s / %s", foreign.Body, missing.Body)
	}
	if r := w.get("/v1/batches", "X-Namespace", "teamB"); strings.Contains(r.Body.String(), "b1") {
		t.Fatal("a list shows a foreign batch")
	}
}

// A batch of another system is found by its own id, percent-encoded, and by the encoded one. Answers show its own id.
func TestForeignIDs(t *testing.T) {
	w := newWorld(t)
	const original = "manual__2026-11-27T00:00:00+00:00/a=b"
	id, ok := diagnostics.EncodeID(original)
	if !ok {
		t.Fatal("no id")
	}
	k := push.Key{Namespace: one1.Namespace, Name: id}
	w.shelf.say(t, k, "job", `{"tier_num":0,"submission_id":"a/b","status":"RUNNING"}`)
	for _, path := range []string{id, neturl.PathEscape(original)} {
		var s diagnostics.Snapshot
		r := w.status(w.get("/v1/analytics/performance/batches/"+path+"/diagnostics"), 200)
		if err := json.Unmarshal(r.Body.Bytes(), &s); err != nil || s.BatchID != original {
			t.Errorf("%s: %v, %s", path, err, r.Body)
		}
		if !strings.Contains(r.Body.String(), `"a/b"`) {
			t.Errorf("the job's id isn't shown as it is: %s", r.Body)
		}
	}
	if r := w.status(w.get("/v1/batches"), 200); !strings.Contains(r.Body.String(), `"batch_id":"`+original+`"`) {
		t.Errorf("the row: %s", r.Body)
	}
}

func TestBadIDs(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"a%0d%0ab", "%00", "%7f", "%ff", strings.Repeat("a", 129), strings.Repeat("%C3%A4", 65), strings.Repeat("=2E", 129)} {
		id := strings.ReplaceAll(id, " ", "%20")
		r := w.get("/v1/analytics/performance/batches/" + id + "/diagnostics")
		if r.Code != 400 && r.Code != 404 {
			t.Errorf("%q: %d", id, r.Code)
		}
		w.problem(r)
	}
	for _, ns := range []string{"a.b", "*", "", "%0a", strings.Repeat("n", 129), "%7B%7D"} {
		w.status(w.get("/v1/batches?namespace="+ns), 400)
	}
	w.shelf.mu.Lock()
	defer w.shelf.mu.Unlock()
	if w.shelf.loads != 0 {
		t.Fatal("a bad id reached the store")
	}
}

func TestEveryErrorIsAProblem(t *testing.T) {
	w := newWorld(t)
	w.svc.echo.GET("/panic", func(echo.Context) error { panic("boom") })
	if kind := w.problem(w.status(w.get("/nowhere"), 404)); kind != "route_not_found" {
		t.Fatal(kind)
	}
	if r := w.status(w.do(http.MethodDelete, "/v1/batches", nil), 405); !strings.Contains(r.Header().Get("Allow"), "GET") {
		t.Fatal(r.Header())
	}
	w.status(w.do("BREW", "/v1/batches", nil), 405)
	w.status(w.get("/panic"), 500)
	w.shelf.mu.Lock()
	w.shelf.err = errors.New("redis: connection refused at 10.0.0.1")
	w.shelf.mu.Unlock()
	for _, target := range []string{url(one1), "/v1/batches", strings.Replace(url(one1), "diagnostics", "diagnostics/stream", 1) + "&wait=false", url(one1) + "&x=1", "/readyz"} {
		if r := w.status(w.get(target), 503); strings.Contains(r.Body.String(), "10.0.0.1") {
			t.Fatalf("an address leaks: %s", r.Body)
		}
	}
	w.status(w.get("/livez"), 200)
}

func TestRule15NotHeldIs503(t *testing.T) {
	w := newWorld(t)
	w.status(w.get(url(one1)), 404)
	w.shelf.moved(one1, func(f *fence) { f.complete = false; f.cursor = 7 })
	stream := strings.Replace(url(one1), "diagnostics", "diagnostics/stream", 1) + "&wait=false"
	for _, target := range []string{url(one1), stream} {
		if r := w.status(w.get(target), 503); r.Header().Get("Retry-After") == "" {
			t.Fatal("no Retry-After")
		}
	}
	w.shelf.mu.Lock()
	w.shelf.fence[partition(one1.Namespace, one1.Name)] = nil // the record itself is gone
	w.shelf.mu.Unlock()
	w.status(w.get(url(one1)), 503)
	if r := w.status(w.get("/v1/batches"), 200); !strings.Contains(r.Body.String(), `"incomplete":true`) {
		t.Fatalf("a list hides that it is being rebuilt: %s", r.Body)
	}
}

func TestRule15AheadOfTheCursorIs304(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	ahead := `W/"abc_0-1-9.x"`
	w.status(w.get(url(one1), "If-None-Match", ahead), 304)
	w.shelf.moved(one1, func(f *fence) { f.cursor = 9 })
	w.status(w.get(url(one1), "If-None-Match", ahead), 200)
	w.shelf.moved(one1, func(f *fence) { f.cursor = 3; f.complete = false })
	w.status(w.get(url(one1), "If-None-Match", ahead), 304)
	w.status(w.get(url(one1), "If-None-Match", `W/"other_0-1-9.x"`), 200)
	w.status(w.get(url(push.Key{Namespace: "default", Name: "none-" + sibling()}), "If-None-Match", ahead), 304)
}

// sibling returns a suffix that names a batch in the partition of one1.
func sibling() string {
	for i := 0; ; i++ {
		if partition("default", "none-"+strconv.Itoa(i)) == partition("default", "b1") {
			return strconv.Itoa(i)
		}
	}
}

func TestRule16ETagFollowsTheVerdict(t *testing.T) {
	w := newWorld(t)
	begin := time.Now().Add(-25 * time.Minute)
	w.shelf.sayAt(t, one1, "batch", `{"status":"PROCESSING","total_tiers":1}`, begin)
	w.shelf.sayAt(t, one1, "job", `{"tier_num":0,"submission_id":"raysubmit_1","status":"PENDING"}`, begin)
	at := func(d time.Duration) func(*fence) {
		return func(f *fence) { f.asOf = begin.Add(d); f.watermark = f.asOf }
	}
	tag := func() (string, string) {
		r := w.status(w.get(url(one1)), 200)
		var s struct{ Health string }
		if err := json.Unmarshal(r.Body.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		return r.Header().Get("ETag"), s.Health
	}
	w.shelf.moved(one1, at(10*time.Minute))
	first, health := tag()
	if health != "scaling" || !strings.HasPrefix(first, `W/"abc_0-1-2.`) {
		t.Fatal(first, health)
	}
	w.shelf.moved(one1, at(20*time.Minute)) // exactly at the limit: only clocks have run on
	second, health := tag()
	if second != first || health != "scaling" {
		t.Fatal(second, health)
	}
	w.status(w.get(url(one1), "If-None-Match", `"x", `+first), 304)
	w.shelf.moved(one1, at(20*time.Minute+1)) // no event, another verdict
	if _, err := w.svc.source.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	third, health := tag()
	if third == first || health != "stuck" || !strings.HasPrefix(third, `W/"abc_0-1-2.`) {
		t.Fatal(third, health)
	}
	w.status(w.get(url(one1), "If-None-Match", first), 200)
	w.status(w.get(url(one1), "If-None-Match", third), 304)
	w.status(w.get(url(one1), "If-None-Match", "*"), 304)
	for _, junk := range []string{`"`, `W/`, `W/"`, `,,,`, strings.Repeat(`"a",`, 500), `W/"abc_0-1-.x"`, `W/"..."`, `"-"`} {
		w.status(w.get(url(one1), "If-None-Match", junk), 200)
	}
}

func TestStreamCaps(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Streams, o.Limits.StreamsPerNamespace = 2, 1 })
	for _, ns := range []string{"a", "b", "c"} {
		w.shelf.say(t, push.Key{Namespace: ns, Name: "x"}, "batch", `{"status":"PROCESSING"}`)
	}
	server := httptest.NewServer(w.svc.Handler())
	defer server.Close()
	open := func(ns string, path string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Namespace", ns)
		r.Header.Set("Accept", "text/event-stream")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	const one = "/v1/analytics/performance/batches/x/diagnostics"
	a := open("a", one)
	defer a.Body.Close()
	for _, x := range []struct {
		ns, path string
		want     int
	}{{"a", "/v1/batches/stream", 429}, {"b", one, 200}, {"c", one, 429}} {
		r := open(x.ns, x.path)
		defer r.Body.Close()
		if r.StatusCode != x.want || x.want == 429 && r.Header.Get("Retry-After") == "" {
			t.Fatalf("%v: %d", x, r.StatusCode)
		}
	}
	w.svc.hub.Close()
	if _, err := bufio.NewReader(a.Body).ReadString(0); err == nil {
		t.Fatal("a stream outlived the hub")
	}
}
