package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/services/api"
	"github.com/headwayhq/headway/services/ingest"
	"github.com/headwayhq/headway/services/internal/backend"
	"github.com/headwayhq/headway/services/internal/program"
)

const (
	latencyEvents = 400
	latencyGap    = 5 * time.Millisecond // idle between two events
)

// benchLatency measures the time from the publish of an event to its frame at an SSE client. It compares it with the
// same hops without decoding or folding: JetStream → ordered consumer → Redis pub/sub → HTTP stream.
func benchLatency(ctx context.Context, s *servers) error {
	b, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	gctx, cancel := context.WithCancel(ctx)
	defer cancel()
	address, stop, err := serveAPI(gctx, b)
	if err != nil {
		return err
	}
	defer stop()
	send := func(n int) error {
		at := time.Now().UTC().Format(time.RFC3339Nano)
		data := fmt.Sprintf(`{"specversion":"1.0","id":"l-%d","source":"bench","type":"dev.headway.tier.v1","time":"%s","data":{"tier_num":0,"processed_documents":%d,"total_documents":100000}}`, n, at, n+1)
		_, err := b.Log.Publish(gctx, "headway.events.bench.lat.tier.0.progress", nil, []byte(data))
		return err
	}
	if err := send(0); err != nil {
		return err
	}
	url := "http://" + address + "/v1/analytics/performance/batches/lat/diagnostics/stream?namespace=bench"
	ours, err := listen(gctx, url)
	if err != nil {
		return err
	}
	bare, err := bareHop(gctx, b)
	if err != nil {
		return err
	}
	var own, floor []time.Duration
	for i := 1; i <= latencyEvents; i++ {
		time.Sleep(latencyGap) // idle on purpose: one event is measured at a time
		drain(ours)
		began := time.Now()
		if err := send(i); err != nil {
			return err
		}
		select {
		case at := <-ours:
			own = append(own, at.Sub(began))
		case <-time.After(5 * time.Second):
			return fmt.Errorf("event %d brought no frame", i)
		}
		time.Sleep(latencyGap)
		began = time.Now()
		if err := bare.publish(gctx); err != nil {
			return err
		}
		select {
		case at := <-bare.frames:
			floor = append(floor, at.Sub(began))
		case <-time.After(5 * time.Second):
			return fmt.Errorf("bare event %d didn't arrive", i)
		}
	}
	p := func(v []time.Duration, q float64) float64 { return float64(quantile(v, q).Microseconds()) / 1000 }
	fmt.Printf("\nevent to frame, idle: %d events each, in turn\n", latencyEvents)
	fmt.Printf("  the same hops done bare   p50 %6.2f ms   p99 %6.2f ms\n", p(floor, 0.5), p(floor, 0.99))
	fmt.Printf("  Headway                   p50 %6.2f ms   p99 %6.2f ms   ratios %.2f (target ≤ 1.5) and %.2f (target ≤ 2)\n",
		p(own, 0.5), p(own, 0.99), p(own, 0.5)/p(floor, 0.5), p(own, 0.99)/p(floor, 0.99))
	atMost(10, "event to frame, idle: p50 more than bare", p(own, 0.5)-p(floor, 0.5), " ms")
	atMost(30, "event to frame, idle: p99", p(own, 0.99), " ms")
	return nil
}

// serveAPI runs ingest and the API until stop.
func serveAPI(ctx context.Context, b *backend.Backend) (address string, stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	in := ingest.New(ingest.Options{Log: b.Log, Store: b.Store, Policies: policy.Default(), Member: backend.Member()})
	address, stopAPI, err := serveFront(ctx, b, api.Options{})
	if err != nil {
		cancel()
		return "", nil, err
	}
	var g errgroup.Group
	g.Go(func() error { return in.Run(ctx) })
	return address, func() { cancel(); stopAPI(); _ = g.Wait() }, nil
}

// serveFront runs an API until stop.
func serveFront(ctx context.Context, b *backend.Backend, o api.Options) (address string, stop func(), err error) {
	o.Log, o.Store, o.Policies, o.Partition = b.Log, b.Store, policy.Default(), b.Log.Partition
	front := api.New(o)
	served := program.New(program.Options{Name: "api", Listen: "127.0.0.1:0", Open: func(context.Context, *program.Waiting) (*program.Service, error) {
		return &program.Service{Handler: front.Handler(), Ready: front.Ready, Run: front.Work}, nil
	}})
	if err := served.Start(ctx); err != nil {
		return "", nil, err
	}
	<-served.Opened()
	return served.Addr(), func() { _ = served.Stop() }, nil
}

func drain(c <-chan time.Time) {
	for {
		select {
		case <-c:
		default:
			return
		}
	}
}

// listen reads an SSE stream and reports when each frame arrived.
func listen(ctx context.Context, url string) (<-chan time.Time, error) {
	frames := make(chan time.Time, 64)
	deadline := time.Now().Add(20 * time.Second)
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		res, err := http.DefaultClient.Do(req) //nolint:bodyclose // closed by the goroutine below, or after it
		if err == nil && res.StatusCode == http.StatusOK {
			go func() {
				defer res.Body.Close()
				r := bufio.NewReaderSize(res.Body, 1<<16)
				data := false
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if strings.HasPrefix(line, "data:") {
						data = true
					} else if line == "\n" && data {
						data = false
						frames <- time.Now()
					}
				}
			}()
			select {
			case <-frames: // the snapshot
				return frames, nil
			case <-time.After(5 * time.Second):
				return nil, fmt.Errorf("no snapshot from %s", url)
			}
		}
		if err == nil {
			_ = res.Body.Close()
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s: not ready", url)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

type bare struct {
	publish func(context.Context) error
	frames  <-chan time.Time
}

// bareHop measures the lower bound.
func bareHop(ctx context.Context, b *backend.Backend) (*bare, error) {
	js, err := jetstream.New(b.Conn)
	if err != nil {
		return nil, err
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "BARE", Subjects: []string{"bare"}}); err != nil {
		return nil, err
	}
	c, err := js.OrderedConsumer(ctx, "BARE", jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	frame := make([]byte, 1024)
	if _, err := c.Consume(func(jetstream.Msg) { b.Redis.Publish(ctx, "bare", frame) }); err != nil {
		return nil, err
	}
	sub := b.Redis.Subscribe(ctx, "bare")
	if _, err := sub.Receive(ctx); err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		flush := http.NewResponseController(w)
		_, _ = fmt.Fprint(w, "data: hello\n\n")
		_ = flush.Flush()
		for {
			select {
			case <-r.Context().Done():
				return
			case m := <-sub.Channel():
				_, _ = fmt.Fprintf(w, "data: %s\n\n", strings.Repeat("x", len(m.Payload)))
				_ = flush.Flush()
			}
		}
	})}
	go func() { _ = server.Serve(ln) }()
	context.AfterFunc(ctx, func() { _ = server.Close(); _ = sub.Close() })
	frames, err := listen(ctx, "http://"+ln.Addr().String())
	if err != nil {
		return nil, err
	}
	return &bare{frames: frames, publish: func(ctx context.Context) error {
		_, err := js.Publish(ctx, "bare", frame[:333])
		return err
	}}, nil
}
