package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
)

// limited checks that an answer is a 429 which says what was reached, whose it is, and when to come again.
func (w *world) limited(r *httptest.ResponseRecorder, limit, of, name, after string) {
	w.t.Helper()
	w.status(r, http.StatusTooManyRequests)
	var p struct {
		Limit  string
		Detail string
		Error  struct{ Details map[string]any }
	}
	if err := json.Unmarshal(r.Body.Bytes(), &p); err != nil {
		w.t.Fatal(err)
	}
	if d := p.Error.Details; p.Limit != limit || d["limit"] != limit || d["of"] != of || name != "" && d[of] != name || !strings.Contains(p.Detail, name) || d["value"] == nil {
		w.t.Errorf("%s", r.Body)
	}
	if got := r.Header().Get("Retry-After"); got != after && after != "" {
		w.t.Errorf("again after %s s, want %s", got, after)
	}
}

// batchOfEvents has so many events of a batch.
func batchOfEvents(n int, batch string) []byte {
	out := []byte{'['}
	for i := range n {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, eventJSON(fmt.Sprint(batch, i), batch, "batch", `{"status":"PROCESSING"}`, time.Now())...)
	}
	return append(out, ']')
}

func (w *world) send(body []byte, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.do(http.MethodPost, "/v1/events", bytes.NewReader(body), append(header, "Content-Type", batchType)...)
}

func (w *world) kept() int {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	return len(w.log.kept)
}

// A namespace gets so many requests a second, five seconds' worth at once; another one doesn't notice.
func TestRequestsOfANamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) {
			o.Limits.Namespace = map[string]LimitSet{"requests_per_second": "2", "vip/requests_per_second": "none"}
		})
		list := func(ns string) *httptest.ResponseRecorder { return w.get("/v1/batches", "X-Namespace", ns) }
		for range 10 {
			w.status(list("busy"), 200)
		}
		w.limited(list("busy"), "requests_per_second", "namespace", "busy", "1")
		w.limited(w.get("/v1/batches/stream", "X-Namespace", "busy"), "requests_per_second", "namespace", "busy", "1")
		w.status(list("other"), 200)
		for range 50 {
			w.status(list("vip"), 200)
		}
		w.status(w.get("/livez"), 200)
		w.status(w.get("/v1/me", "X-Namespace", "busy"), 200) // which tells why
		time.Sleep(time.Second)
		w.status(list("busy"), 200)
		w.status(list("busy"), 200)
		w.limited(list("busy"), "requests_per_second", "namespace", "busy", "1")
	})
}

// Of a batch all events count, or none: one that is refused has stored and used up nothing.
func TestEventsCountTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Limits.Namespace = map[string]LimitSet{"events_per_second": "200"} })
		w.status(w.send(batchOfEvents(600, "b1")), 202)
		w.limited(w.send(batchOfEvents(1000, "b1")), "events_per_second", "namespace", "default", "3")
		w.limited(w.send(batchOfEvents(600, "b1")), "events_per_second", "namespace", "default", "1")
		if n := w.kept(); n != 600 {
			t.Errorf("%d events were stored", n)
		}
		w.status(w.send(batchOfEvents(1000, "b1"), "X-Namespace", "other"), 202)
		w.status(w.send(batchOfEvents(400, "b1")), 202)
		w.limited(w.send(batchOfEvents(1, "b1")), "events_per_second", "namespace", "default", "1")
		time.Sleep(5 * time.Second)
		w.status(w.send(batchOfEvents(1000, "b1")), 202) // the greatest batch always fits, once it has waited
		// Events that are refused count too, because they have to be read.
		time.Sleep(5 * time.Second)
		bad := bytes.ReplaceAll(batchOfEvents(1000, "b1"), []byte("PROCESSING"), []byte("NOPE"))
		w.status(w.send(bad), 400)
		w.limited(w.send(bad), "events_per_second", "namespace", "default", "1")
	})
}

// unread fails the test if it is read.
type unread struct{ t testing.TB }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// Bytes count as they have come, whatever became of them, and who is in debt is refused before anything is read.
func TestBytesAreOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Limits.Namespace = map[string]LimitSet{"bytes_per_second": "1000"} })
		body := bytes.Repeat([]byte(" "), 100_000)
		for kind, want := range map[string]int{batchType: 400, "text/plain": 415} {
			w.status(w.do(http.MethodPost, "/v1/events?namespace="+strings.ReplaceAll(kind, "/", "_")[:4], bytes.NewReader(body), "Content-Type", kind), want)
		}
		w.limited(w.do(http.MethodPost, "/v1/events?namespace=appl", unread{t}, "Content-Type", batchType), "bytes_per_second", "namespace", "appl", "35")
		w.status(w.send(batchOfEvents(1, "b1"), "X-Namespace", "text"), 202) // nothing of it was read
		time.Sleep(35 * time.Second)
		w.status(w.send(batchOfEvents(1, "b1"), "X-Namespace", "appl"), 202)
	})
}

// A list that has to look at many rows counts as several requests.
func TestListsCountByWhatTheyLookAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Limits.Namespace = map[string]LimitSet{"requests_per_second": "2"} })
		for i := range 3 * rowsCharged {
			w.shelf.say(t, push.Key{Namespace: "default", Name: fmt.Sprint("b", i)}, "batch", `{"status":"PROCESSING"}`)
		}
		for path, want := range map[string]int64{"/v1/batches": 1, "/v1/batches?status=PROCESSING": 1, "/v1/batches?status=FAILED": 4, "/v1/batches?q=nowhere": 1} {
			before := *w.me().limit(t, "namespace", "requests_per_second").Used
			w.status(w.get(path), 200)
			if n := *w.me().limit(t, "namespace", "requests_per_second").Used - before; n != want {
				t.Errorf("%s costs %d requests, want %d", path, n, want)
			}
		}
	})
}

func (w *world) me(header ...string) Me {
	w.t.Helper()
	var me Me
	if err := json.Unmarshal(w.status(w.get("/v1/me", header...), 200).Body.Bytes(), &me); err != nil {
		w.t.Fatal(err)
	}
	return me
}

func (m Me) limit(t testing.TB, of, name string) MyLimit {
	t.Helper()
	for _, l := range map[string][]MyLimit{"principal": m.Limits.Principal, "namespace": m.Limits.Namespace, "server": m.Limits.Server}[of] {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("no limit %s of %s", name, of)
	return MyLimit{}
}

// A namespace that has as many batches as it may begins no more; those that it has go on.
func TestBatchesOfANamespace(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Limits.Namespace = map[string]LimitSet{"active_batches": "2", "all/batches": "2", "all/active_batches": "none"}
	})
	tell := func(ns, batch, status string) {
		w.shelf.say(t, push.Key{Namespace: ns, Name: batch}, "batch", `{"status":"`+status+`"}`)
	}
	for _, ns := range []string{"default", "all"} {
		tell(ns, "b1", "PROCESSING")
		tell(ns, "b2", "PROCESSING")
	}
	w.limited(w.send(batchOfEvents(2, "b3")), "active_batches", "namespace", "default", "30")
	both := append(append(bytes.TrimSuffix(batchOfEvents(1, "b1"), []byte("]")), ','), batchOfEvents(1, "b3")[1:]...)
	w.limited(w.send(both), "active_batches", "namespace", "default", "30")
	w.status(w.send(batchOfEvents(3, "b2")), 202)
	if n := w.kept(); n != 3 {
		t.Errorf("%d events were stored", n)
	}
	tell("default", "b1", "COMPLETED")
	tell("all", "b1", "COMPLETED")
	w.status(w.send(both), 202)
	w.limited(w.send(batchOfEvents(2, "b3"), "X-Namespace", "all"), "batches", "namespace", "all", "30")
	w.status(w.send(batchOfEvents(2, "b1"), "X-Namespace", "all"), 202)
	if l := w.me().limit(t, "namespace", "active_batches"); *l.Value != 2 || *l.Used != 1 {
		t.Errorf("%+v", l)
	}
	w.shelf.mu.Lock()
	w.shelf.err = errTest
	w.shelf.mu.Unlock()
	w.status(w.send(batchOfEvents(1, "b9"), "X-Namespace", "unseen"), 202) // events don't depend on Redis
}

var errTest = fmt.Errorf("no store")

// A principal is limited in all of its namespaces together, and the others aren't by it. Everybody sees what holds for them.
func TestLimitsOfAPrincipal(t *testing.T) {
	k := newKeyed(t, nil, func(o *Options) {
		o.Limits.Principal = map[string]LimitSet{"requests_per_second": "1", "streams": "2", "events_per_second": "1"}
	})
	with := func(name string) []string {
		return as(k.key(access.Wanted{Name: name, Namespaces: []string{"team-*"}, Roles: []string{"admin"}}, name))
	}
	greedy, other, sender, watcher := with("greedy"), with("other"), with("sender"), with("watcher")
	in := func(key []string, ns string) []string { return append(key[:2:2], "X-Namespace", ns) }
	id := func(key []string) string { return strings.TrimPrefix(key[1], "Bearer hw_")[:12] }
	var last *httptest.ResponseRecorder
	for i := range 1000 { // five at once, and one each second
		if last = k.get("/v1/batches", in(greedy, fmt.Sprint("team-", i))...); last.Code == http.StatusTooManyRequests {
			break
		}
	}
	k.limited(last, "requests_per_second", "principal", id(greedy), "1")
	k.status(k.get("/v1/batches", in(other, "team-1")...), 200)

	k.status(k.send(batchOfEvents(600, "b1"), in(sender, "team-1")...), 202)
	k.limited(k.send(batchOfEvents(600, "b1"), in(sender, "team-2")...), "events_per_second", "principal", id(sender), "")
	if n := k.kept(); n != 600 {
		t.Errorf("%d events were stored", n)
	}
	k.status(k.send(batchOfEvents(600, "b1"), in(other, "team-2")...), 202)

	base, stop := k.listen()
	defer stop()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	first := open(t, c, base+"/v1/batches/stream", in(watcher, "team-1")...)
	open(t, c, base+"/v1/batches/stream", in(watcher, "team-2")...)
	if refused := open(t, c, base+"/v1/batches/stream", in(watcher, "team-3")...); refused.r.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a third stream of a key: %d", refused.r.StatusCode)
	}
	if e := open(t, c, base+"/v1/batches/stream", in(other, "team-3")...); e.r.StatusCode != http.StatusOK {
		t.Errorf("a stream of another key: %d", e.r.StatusCode)
	}
	me := k.me(in(other, "team-2")...)
	if l := me.limit(t, "principal", "streams"); *l.Value != 2 || *l.Used != 1 {
		t.Errorf("%+v", l)
	}
	if l := me.limit(t, "namespace", "streams"); *l.Value != 5_000 || *l.Used != 1 {
		t.Errorf("%+v", l)
	}
	if l := me.limit(t, "principal", "events_per_second"); *l.Value != 1 || *l.Burst != 1000 || *l.Used < 1 || *l.Used > 600 {
		t.Errorf("%+v", l)
	}
	if l := me.limit(t, "namespace", "batches"); l.Value != nil || *l.Used != 0 {
		t.Errorf("%+v", l)
	}
	_ = first.r.Body.Close()
	eventually(t, "its place is free again", func() string {
		if n := k.svc.streamers.of("key " + id(watcher)); n != 1 {
			return fmt.Sprint(n)
		}
		return ""
	})
}

// What somebody without a valid key sends is counted nowhere, so it can't fill the memory.
func TestWrongKeysLeaveNothing(t *testing.T) {
	k := newKeyed(t, nil)
	for i := range 10_000 {
		r := httptest.NewRequest(http.MethodGet, "/v1/batches", nil)
		r.Header.Set("Authorization", fmt.Sprintf("Bearer hw_%012d_%043d", i, i))
		r.Header.Set("X-Namespace", fmt.Sprint("ns-", i))
		w := httptest.NewRecorder()
		if k.svc.Handler().ServeHTTP(w, r); w.Code != http.StatusUnauthorized {
			t.Fatal(w.Code)
		}
	}
	if p, n := len(k.svc.limiter.principals.per), len(k.svc.limiter.namespaces.per); p+n != 0 {
		t.Errorf("%d principals and %d namespaces are counted", p, n)
	}
}

// Metrics say which limits were reached, what they are, and how near the nearest is, and name nobody.
func TestMetricsOfLimits(t *testing.T) {
	r := prometheus.NewRegistry()
	w := newWorld(t, func(o *Options) {
		o.Metrics = r
		o.Limits.Namespace = map[string]LimitSet{"requests_per_second": "1", "tenant/streams": "4"}
	})
	defer w.svc.hub.Close()
	for range 10 {
		if w.get("/v1/batches", "X-Namespace", "tenant").Code == http.StatusTooManyRequests {
			break
		}
	}
	if leave, err := w.svc.enterStream(access.Everybody(), "tenant"); err != nil {
		t.Error(err)
	} else {
		defer leave()
	}
	body := w.get("/metrics").Body.String()
	for _, want := range []string{
		`headway_api_limited_total{limit="requests_per_second",of="namespace"} 1`, `headway_api_limited_total{limit="body_bytes",of="namespace"} 0`,
		`headway_api_limit{limit="requests_per_second",of="namespace"} 1`, `headway_api_limit{limit="batches",of="namespace"} 0`,
		`headway_api_limit_used_ratio{limit="streams",of="namespace"} 0.25`, `headway_api_limit_used_ratio{limit="streams",of="server"} 5e-05`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(body, "tenant") {
		t.Error("a namespace is named")
	}
}

// While one tenant holds 64 half-sent bodies and 300 that trickle in, in as many namespaces as it likes, another one is answered.
func TestSlowTenantHoldsNobodyUp(t *testing.T) {
	k := newKeyed(t, nil, func(o *Options) { o.Limits.BodyProgress = 1 })
	base, _ := k.listen()
	slow := k.key(access.Wanted{Name: "slow", Namespaces: []string{"slow-*"}, Roles: []string{"writer"}}, "slow")
	quick := k.key(access.Wanted{Name: "quick", Namespaces: []string{"quick"}, Roles: []string{"writer", "reader"}}, "quick")
	k.shelf.say(t, push.Key{Namespace: "quick", Name: "b1"}, "batch", `{"status":"PROCESSING"}`)
	const slowOnes = 364
	ended := make(chan struct{})
	var writing sync.WaitGroup
	defer writing.Wait()
	defer close(ended)
	for i := range slowOnes {
		conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		begin := bytes.Repeat([]byte(" "), 1)
		if i < 64 {
			begin = bytes.Repeat([]byte(" "), 64<<10)
		}
		_, err = fmt.Fprintf(conn, "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nX-Namespace: slow-%d\r\nContent-Type: %s\r\nContent-Length: 200000\r\n\r\n%s", slow, i, batchType, begin)
		if err != nil {
			t.Fatal(err)
		}
		writing.Go(func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case <-ended:
					return
				case <-tick.C:
					_, _ = conn.Write([]byte(" ")) // the test looks at what is held
				}
			}
		})
	}
	const held = slowOnes*(perRequest+1) + 64*(64<<10-1)
	eventually(t, "all are held", func() string {
		if n := k.svc.bodies.held(); n < held {
			return fmt.Sprint(n)
		}
		return ""
	})
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	for i := range 200 {
		for _, x := range []struct {
			method, path string
			want         int
		}{{http.MethodPost, "/v1/events", 202}, {http.MethodGet, "/v1/analytics/performance/batches/b1/diagnostics", 200}} {
			r, _ := http.NewRequestWithContext(t.Context(), x.method, base+x.path, bytes.NewReader(batchOfEvents(1, fmt.Sprint("b", i))))
			r.Header.Set("Authorization", "Bearer "+quick)
			r.Header.Set("Content-Type", batchType)
			resp, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != x.want {
				t.Fatalf("%s %d: %d", x.method, i, resp.StatusCode)
			}
		}
	}
	if n := k.svc.bodies.held(); n < held {
		t.Errorf("only %d bytes are still held", n)
	}
}

// A request that is within its limits costs no memory, so reading a snapshot is as fast as before.
func TestLimitsAllocateNothing(t *testing.T) {
	l := Limits{}
	l.fill()
	counts, err := newLimiter(&l, true)
	if err != nil {
		t.Fatal(err)
	}
	p := &access.Principal{Kind: "key", ID: "4wZk2QeXb0Pm"}
	if n := testing.AllocsPerRun(1000, func() { _, _ = counts.enter(p), counts.into("team-a") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(counts.principals.per) != 1 || len(counts.namespaces.per) != 1 {
		t.Error("nothing was counted")
	}
}
