package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/headwayhq/headway/pkg/client"
)

// counted counts how many answers are open at the same time.
type counted struct {
	base       http.RoundTripper
	now, most  atomic.Int32
	cuts       atomic.Int32
	lastHeader sync.Map
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, seen := c.lastHeader.LoadOrStore(r.Header.Get("Authorization"), true); seen {
		return nil, fmt.Errorf("the credential %q was used again", r.Header.Get("Authorization"))
	}
	c.cuts.Add(1)
	response, err := c.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	n := c.now.Add(1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	response.Body = &open{ReadCloser: response.Body, c: c}
	return response, nil
}

type open struct {
	io.ReadCloser
	c    *counted
	once sync.Once
}

func (o *open) Close() error {
	o.once.Do(func() { o.c.now.Add(-1) })
	return o.ReadCloser.Close()
}

// TestResume watches a batch through a proxy that cuts the connection at random and splits the stream into small pieces, from a
// server that is killed and restarted. No revision goes back, one connection is open at a time, each has a fresh credential, and
// the last snapshot is the newest.
func TestResume(t *testing.T) {
	const cuts = 200
	binary, dir := headway(t), t.TempDir()
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	r := runHeadway(t, binary, dir, "--listen", listen)
	r.say("r", "batch", `{"status":"PROCESSING","total_tiers":1}`)

	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop()), "api", "127.0.0.1:0", listen)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	defer proxy.Stop()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	toxic := func(json string) {
		if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(json)); err != nil {
			t.Fatal(err)
		}
	}
	toxic(`{"name":"crumbs","type":"slicer","attributes":{"average_size":300,"size_variation":200}}`)

	transport := &counted{base: &http.Transport{DisableKeepAlives: true}}
	credential := 0
	var states []client.Connection
	reader, err := client.NewReader(client.ReaderOptions{
		URL: "http://" + proxy.Listen, HTTP: &http.Client{Transport: transport}, FirstRetry: 3 * time.Millisecond,
		Token:      func(context.Context) (string, error) { credential++; return fmt.Sprint("c", credential), nil },
		Connection: func(c client.Connection) { states = append(states, c) },
	})
	if err != nil {
		t.Fatal(err)
	}
	// Events go around the proxy while it cuts.
	over := make(chan struct{})
	go func() {
		defer close(over)
		for n := int32(0); transport.cuts.Load() < cuts; n++ {
			_ = proxy.Toxics.RemoveToxic(context.Background(), "cut")
			_, _ = proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"name":"cut","type":"limit_data","attributes":{"bytes":%d}}`, random.IntN(9000))))
			if n == 20 {
				_ = r.cmd.Process.Kill()
				_ = r.cmd.Wait()
				r = runHeadway(t, binary, dir, "--listen", listen)
			}
			r.say("r", "tier", fmt.Sprintf(`{"tier_num":0,"processed_documents":%d,"total_documents":1000000}`, n+1))
		}
		_ = proxy.Toxics.RemoveToxic(context.Background(), "cut")
		r.say("r", "batch", `{"status":"COMPLETED"}`)
	}()
	var last client.Snapshot
	shown := 0
	for s, err := range reader.Watch(t.Context(), "r") {
		if err != nil {
			t.Fatal(err)
		}
		if s.View.Revision <= last.View.Revision {
			t.Fatalf("%s after %s", s.View.ID, last.View.ID)
		}
		last = s
		shown++
	}
	<-over
	now, _ := r.snapshot("r")
	if id := now["view"].(map[string]any)["id"]; last.View.ID != id || last.Status != "COMPLETED" {
		t.Errorf("ended on %s (%s), the newest is %v", last.View.ID, last.Status, id)
	}
	if transport.most.Load() != 1 || transport.cuts.Load() < cuts {
		t.Errorf("%d connections at once, %d made", transport.most.Load(), transport.cuts.Load())
	}
	lost := 0
	for _, c := range states {
		if !c.Live && !c.NextTry.IsZero() {
			lost++
			if c.Err == nil {
				t.Errorf("lost for no reason: %+v", c)
			}
		}
	}
	t.Logf("%d connections, %d lost, %d snapshots shown", transport.cuts.Load(), lost, shown)
}
