package api

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/headwaytest"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// overRedis is a running service over the Redis at an address, as a program makes it.
func overRedis(t *testing.T, address string) (w *world, c *redis.Client, store *viewstore.Store, base string) {
	t.Helper()
	c = redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() })
	store, err := viewstore.Open(t.Context(), viewstore.Options{Client: c, Identity: "abc_0", Fold: 1, Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	w = &world{t: t, log: &eventLog{}}
	w.svc = New(Options{Log: w.log, Store: store, Policies: policies{}, Partition: partition})
	base, _ = w.listen()
	return w, c, store, base
}

func address(t testing.TB, url string) string {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	return o.Addr
}

// While Redis hangs, every answer comes within five seconds and names Redis, however many clients ask at once.
func TestRedisHangs(t *testing.T) {
	server := headwaytest.RedisChild(t)
	w, _, store, base := overRedis(t, address(t, server.URL()))
	fold := newWorker(t, store)
	fold.say("default", "b1", "batch", `{"status":"PROCESSING"}`)
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	defer c.CloseIdleConnections()
	awaitStatus(t, c, base+"/v1/batches", 200)
	server.Pause()
	defer server.Resume()
	for w.svc.source.refreshedWithin(2 * time.Second) { // until then a list is answered from what was read
		time.Sleep(50 * time.Millisecond)
	}
	var wg sync.WaitGroup
	for i := range 40 {
		path := []string{
			"/v1/batches", "/v1/batches?namespace=other", "/readyz",
			"/v1/analytics/performance/batches/b1/diagnostics", "/v1/analytics/performance/batches/b2/diagnostics/stream?wait=false",
			"/v1/analytics/performance/batches/b1/diagnostics/explain",
		}[i%6]
		wg.Go(func() {
			begin := time.Now()
			status, body := fetch(t, c, base+path)
			took := time.Since(begin)
			if status != 503 || !strings.Contains(body, "Redis didn't answer within") || took > storeWithin+1500*time.Millisecond {
				t.Errorf("%s: %d after %v: %s", path, status, took, body)
			}
		})
	}
	wg.Wait()
	server.Resume()
	awaitStatus(t, c, base+"/v1/batches", 200)
}

func fetch(t *testing.T, c *http.Client, target string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(body)
}

func awaitStatus(t *testing.T, c *http.Client, target string, want int) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; {
		status, body := fetch(t, c, target)
		if status == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %d: %s", target, status, body)
		}
	}
}

// While NATS takes nothing more, a POST is answered within five seconds, even where the client of NATS is stuck in a
// write; what it holds counts in the budget until it really is let go.
func TestNATSHangs(t *testing.T) {
	server := headwaytest.NATS(t)
	between := headwaytest.NewWire(t, strings.TrimPrefix(server.URL(), "nats://"))
	nc := connectNATS(t, "nats://"+between.Address)
	log, err := eventlog.Open(t.Context(), nc, eventlog.Config{Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *Options) { o.Log = log })
	post := func(body []byte) (int, string, time.Duration) {
		begin := time.Now()
		r := w.do(http.MethodPost, "/v1/events", bytes.NewReader(body), "Content-Type", batchType)
		return r.Code, r.Body.String(), time.Since(begin)
	}
	var large []string
	for i := range 28 {
		large = append(large, string(eventJSON(fmt.Sprint("l", i), "b", "batch", `{"name":"x"}`, time.Now()))+strings.Repeat(" ", 500<<10))
	}
	small := fmt.Appendf(nil, "[%s]", eventJSON("s", "b", "batch", `{"name":"x"}`, time.Now()))
	if code, answer, _ := post(small); code != 202 {
		t.Fatal(code, answer)
	}
	between.Stop()
	bodies := [][]byte{[]byte("[" + strings.Join(large, ",") + "]"), small, small}
	var wg sync.WaitGroup
	for _, body := range bodies {
		wg.Go(func() {
			code, answer, took := post(body)
			if code != 503 || !strings.Contains(answer, "NATS didn't acknowledge every event within 5 s") || took > storeWithin+1500*time.Millisecond {
				t.Errorf("%d after %v: %s", code, took, answer)
			}
		})
	}
	wg.Wait()
	between.Resume()
	for deadline := time.Now().Add(15 * time.Second); w.svc.bodies.held() != 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are still held", w.svc.bodies.held())
		}
		_ = nc.FlushTimeout(100 * time.Millisecond)
	}
	if code, answer, _ := post(small); code != 202 {
		t.Fatal(code, answer)
	}
}

// A new stream takes three round trips to Redis: it asks whether there is such a batch, subscribes to it, and reads it.
func TestNewStreamTakesThreeRoundTrips(t *testing.T) {
	server := headwaytest.RedisChild(t)
	_, c, store, base := overRedis(t, address(t, server.URL()))
	fold := newWorker(t, store)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	stream := func(id string) {
		fold.say("default", id, "batch", `{"status":"PROCESSING"}`)
		open(t, client, base+"/v1/analytics/performance/batches/"+id+"/diagnostics/stream").want("snapshot", id)
	}
	stream("first") // makes connections and loads scripts
	monitor, err := net.Dial("tcp", address(t, server.URL()))
	if err != nil {
		t.Fatal(err)
	}
	defer monitor.Close()
	in := bufio.NewReader(monitor)
	_, _ = io.WriteString(monitor, "MONITOR\r\n")
	if line, err := in.ReadString('\n'); line != "+OK\r\n" {
		t.Fatal(line, err)
	}
	stream("second")
	if err := c.Echo(t.Context(), "that is all").Err(); err != nil {
		t.Fatal(err)
	}
	var commands []string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, "that is all") {
			break
		}
		own := !strings.Contains(line, " lua] ") && strings.Contains(line, "second") // what a script does takes no trip of its own
		if own && !strings.Contains(line, "PROCESSING") && !strings.Contains(strings.ToLower(line), "publish") {
			commands = append(commands, line)
		}
	}
	t.Log(strings.Join(commands, ""))
	if n := len(commands); n == 0 || n > 3 {
		t.Errorf("%d commands", n)
	}
}

// Two hundred new streams at once wait for three round trips to Redis, all together.
func TestNewStreamsShareRoundTrips(t *testing.T) {
	server := headwaytest.RedisChild(t)
	direct := redis.NewClient(&redis.Options{Addr: address(t, server.URL()), MaxRetries: -1})
	defer direct.Close()
	near, err := viewstore.Open(t.Context(), viewstore.Options{Client: direct, Identity: "abc_0", Fold: 1, Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	fold := newWorker(t, near)
	const streams = 200
	const attempts = 4
	for i := range (2*attempts + 1) * streams {
		fold.say("default", fmt.Sprint("s", i), "batch", `{"status":"PROCESSING"}`)
	}
	between := headwaytest.NewWire(t, address(t, server.URL()))
	_, far, _, base := overRedis(t, between.Address)
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	burst := func(from int) time.Duration {
		var wg sync.WaitGroup
		begin := time.Now()
		for i := range streams {
			wg.Go(func() {
				target := fmt.Sprintf("%s/v1/analytics/performance/batches/s%d/diagnostics/stream", base, from+i)
				r, _ := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
				resp, err := c.Do(r)
				if err != nil {
					t.Error(err)
				} else if resp.StatusCode != 200 {
					t.Errorf("status %d", resp.StatusCode)
				}
			})
		}
		wg.Wait()
		return time.Since(begin)
	}
	between.Delay(300 * time.Millisecond)
	burst(0)                  // makes the connections
	for n := range attempts { // a machine that is busy with other things needs more than one
		between.Delay(0)
		own := burst((2*n + 1) * streams) // what all this takes without a network
		between.Delay(300 * time.Millisecond)
		begin := time.Now()
		if err := far.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		trip := time.Since(begin)
		took := burst((2*n + 2) * streams)
		t.Logf("%d streams took %.1f round trips of %v, and %v without a network", streams, float64(took)/float64(trip), trip, own)
		if took <= 4*trip+own {
			return
		}
	}
	t.Errorf("%d new streams at once take more than four round trips to Redis", streams)
}

func connectNATS(t *testing.T, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}
