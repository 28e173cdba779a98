package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/internal/program"
)

// listen runs the whole service, server included; stop ends it and says how long that took.
func (w *world) listen() (base string, stop func() time.Duration) {
	w.t.Helper()
	p := program.New(program.Options{Name: "api", Listen: "127.0.0.1:0", Open: func(context.Context, *program.Waiting) (*program.Service, error) {
		return &program.Service{Handler: w.svc.Handler(), Ready: w.svc.Ready, Run: w.svc.Work}, nil
	}})
	if err := p.Start(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	<-p.Opened()
	var once sync.Once
	var took time.Duration
	stop = func() time.Duration {
		once.Do(func() {
			begin := time.Now()
			if err := p.Stop(); err != nil {
				w.t.Errorf("run: %v", err)
			}
			took = time.Since(begin)
		})
		return took
	}
	w.t.Cleanup(func() { stop() })
	return "http://" + p.Addr(), stop
}

type events struct {
	t  testing.TB
	in *bufio.Reader
	r  *http.Response
	id string // of the last event
}

func open(t testing.TB, client *http.Client, target string, header ...string) *events {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return &events{t: t, in: bufio.NewReader(resp.Body), r: resp}
}

// next is the next event's name and data; comments and retry are skipped. io.EOF gives "", "".
func (e *events) next() (name, data string) {
	e.t.Helper()
	for {
		line, err := e.in.ReadString('\n')
		if err != nil {
			return "", ""
		}
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "id: "):
			e.id = line[4:]
		case strings.HasPrefix(line, "event: "):
			name = line[7:]
		case strings.HasPrefix(line, "data: "):
			data = line[6:]
		case line == "" && name != "":
			conformsEvent(e.t, e.r.Request.URL.Path, name, data)
			return name, data
		}
	}
}

func (e *events) want(name, part string) {
	e.t.Helper()
	if n, d := e.next(); n != name || !strings.Contains(d, part) {
		e.t.Fatalf("got %s %s, want %s with %s", n, d, name, part)
	}
}

func TestStreams(t *testing.T) {
	w := newWorld(t)
	base, stop := w.listen()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	path := "/v1/analytics/performance/batches/b1/diagnostics"
	e := open(t, c, base+path, "Accept", "text/event-stream, application/json;q=0.5")
	if e.r.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" || e.r.Header.Get("Vary") == "" {
		t.Fatal(e.r.Header)
	}
	e.want("snapshot", `"id":"abc_0-1-1"`)
	w.shelf.say(t, one1, "tier", `{"tier_num":0,"processed_documents":3,"total_documents":9}`)
	e.want("health", `"processed_documents":3`)
	rows := open(t, c, base+"/v1/batches/stream")
	some := open(t, c, base+"/v1/batches/stream?ids=b2,b3")
	rows.want("snapshot", `"batch_id":"b1"`)
	some.want("snapshot", `"batches":[]`)
	w.shelf.say(t, push.Key{Namespace: "other", Name: "b2"}, "batch", `{"status":"PENDING"}`) // another namespace's
	w.shelf.say(t, push.Key{Namespace: "default", Name: "b2"}, "batch", `{"status":"PROCESSING"}`)
	rows.want("update", `"batch_id":"b2"`)
	rows.want("counts", `"total":2`)
	some.want("update", `"status":"PROCESSING"`)
	w.shelf.say(t, one1, "batch", `{"status":"COMPLETED"}`)
	e.want("end", `"status":"COMPLETED"`)
	if n, _ := e.next(); n != "" {
		t.Fatal("the stream goes on after its end")
	}
	rows.want("update", `"status":"COMPLETED"`)
	rows.want("counts", `"COMPLETED":1`)
	if r := open(t, c, base+path+"/stream", "Last-Event-ID", "abc_0-1-5"); r.r.StatusCode != 204 {
		t.Fatal(r.r.StatusCode)
	}
	open(t, c, base+path+"/stream", "Last-Event-ID", "abc_0-1-2").want("snapshot", `"COMPLETED"`)
	if took := stop(); took > time.Second {
		t.Fatalf("shutdown with open streams took %v", took)
	}
	if n, _ := rows.next(); n != "" {
		t.Fatal("a stream outlived the shutdown")
	}
}

func TestStreamBadIDs(t *testing.T) {
	w := newWorld(t)
	for _, q := range []string{"ids=", "ids=a%00b", "ids=,", "ids=" + strings.Repeat("a,", 101), "ids=%0a", "namespace=*"} {
		w.status(w.get("/v1/batches/stream?"+q), 400)
	}
}

func TestThousandClientsComeAndGo(t *testing.T) {
	before := goleak.IgnoreCurrent()
	w := newWorld(t)
	base, stop := w.listen()
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	c := &http.Client{Transport: &http.Transport{MaxIdleConns: 1, DisableKeepAlives: true}}
	const clients = 1000
	ready, all := make(chan struct{}, clients), make(chan struct{})
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			target := base + "/v1/analytics/performance/batches/b1/diagnostics/stream"
			if i%10 == 0 {
				target = base + "/v1/batches/stream"
			}
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
			resp, err := c.Do(r)
			if err != nil {
				t.Error(err)
				ready <- struct{}{}
				return
			}
			defer resp.Body.Close()
			e := &events{t: t, in: bufio.NewReader(resp.Body), r: resp}
			name, _ := e.next()
			ready <- struct{}{}
			if name != "snapshot" {
				t.Errorf("first is %q, status %d", name, resp.StatusCode)
				return
			}
			<-all
			for { // until the newest
				name, data := e.next()
				if name == "" || strings.Contains(data, `"COMPLETED"`) {
					if name == "" {
						t.Error("ended before the newest")
					}
					return
				}
			}
		})
	}
	for range clients {
		<-ready
	}
	close(all)
	for n := range 20 {
		w.shelf.say(t, one1, "tier", fmt.Sprintf(`{"tier_num":0,"processed_documents":%d,"total_documents":99}`, n+1))
	}
	w.shelf.say(t, one1, "batch", `{"status":"COMPLETED"}`)
	wg.Wait()
	c.CloseIdleConnections()
	stop()
	goleak.VerifyNone(t, before)
	if n := w.svc.streams.len(); n != 0 {
		t.Fatalf("%d streams counted", n)
	}
}

func TestOversizedHeaders(t *testing.T) {
	w := newWorld(t)
	base, _ := w.listen()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/livez", nil)
	r.Header.Set("X-Junk", strings.Repeat("x", 64<<10))
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, _ = io.Copy(io.Discard, resp.Body); resp.StatusCode != 431 {
		t.Fatal(resp.StatusCode)
	}
}

// Streams of every kind count from their first byte until their client has left, which is noticed within a second though nothing is
// written. What handlers around the service set is sent.
func TestStreamsCountUntilTheirClientsLeave(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Push.Heartbeat = time.Hour })
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	ctx, cancel := context.WithCancel(t.Context())
	worked := make(chan error, 1)
	go func() { worked <- w.svc.Work(ctx) }()
	defer func() { cancel(); <-worked }()
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		out.Header().Set("Access-Control-Allow-Origin", "https://example.com")
		w.svc.Handler().ServeHTTP(out, r)
	}))
	defer server.Close()
	count := func() [3]int { return [3]int{w.svc.streams.len(), w.svc.waiters.len(), w.svc.callers.len()} }
	for path, want := range map[string][3]int{
		stream1: {1, 0, 0},
		strings.Replace(stream1, "b1", "nobody", 1): {1, 1, 1},
		"/v1/batches/stream":                        {1, 0, 0},
		changesPath:                                 {1, 0, 0},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/event-stream")
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := count(); got != want || resp.StatusCode != 200 {
			t.Errorf("%s: %v streams, %d", path, got, resp.StatusCode)
		}
		if h := resp.Header; h.Get("Access-Control-Allow-Origin") == "" || h.Get("Vary") == "" {
			t.Error(path, h)
		}
		_ = resp.Body.Close()
		for left := time.Now(); count() != [3]int{}; time.Sleep(time.Millisecond) {
			if time.Since(left) > time.Second {
				t.Fatalf("%s: a second after the client has left: %v", path, count())
			}
		}
	}
}
