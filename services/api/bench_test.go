package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/services/api/access"
)

// BenchmarkWarmSnapshot compares a warm snapshot, and its 304, with an echo handler that writes a constant
// of the same size, in one run over the same kind of connection.
func BenchmarkWarmSnapshot(b *testing.B) {
	w := newWorld(b)
	w.shelf.say(b, one1, "batch", `{"status":"PROCESSING","total_tiers":3,"name":"`+strings.Repeat("n", 2500)+`"}`)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _ = w.svc.Work(ctx) }()
	defer cancel()
	var size int
	var tag string
	for range 3 {
		r := w.get(url(one1))
		size, tag = r.Body.Len(), r.Header().Get("ETag")
	}
	e := echo.New()
	body := []byte(strings.Repeat("x", size))
	e.GET("/static", func(c echo.Context) error { return c.Blob(http.StatusOK, "application/json", body) })
	for _, x := range []struct {
		name    string
		handler http.Handler
		request string
	}{
		{"echo-static", e, "GET /static HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"warm", w.svc.Handler(), "GET " + url(one1) + " HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"not-modified", w.svc.Handler(), "GET " + url(one1) + " HTTP/1.1\r\nHost: x\r\nIf-None-Match: " + tag + "\r\n\r\n"},
	} {
		b.Run(x.name, func(b *testing.B) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			server := &http.Server{Handler: x.handler, ReadHeaderTimeout: time.Second}
			go func() { _ = server.Serve(ln) }()
			defer server.Close()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				conn, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					b.Error(err)
					return
				}
				defer conn.Close()
				buf := make([]byte, 64<<10)
				length := 0
				for pb.Next() {
					if _, err := conn.Write([]byte(x.request)); err != nil {
						b.Error(err)
						return
					}
					// All answers of one target have the same length, which is measured by reading the first one until nothing
					// more arrives.
					if length == 0 {
						for {
							_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
							n, err := conn.Read(buf)
							if err != nil {
								_ = conn.SetReadDeadline(time.Time{})
								break
							}
							length += n
						}
						continue
					}
					for got := 0; got < length; {
						n, err := conn.Read(buf)
						if err != nil {
							b.Error(err)
							return
						}
						got += n
						if got > length-64 { // lag_seconds may have a few digits less
							break
						}
					}
				}
			})
		})
	}
}

// BenchmarkWithKeyAndLimits compares warm snapshots with a key and limits to those without, over one connection each, in turn. Of many
// short turns the median is taken, so that other work on the machine matters little.
func BenchmarkWithKeyAndLimits(b *testing.B) {
	most := map[string]LimitSet{"requests_per_second": "100000000"}
	k := newKeyed(b, nil, func(o *Options) { o.Limits.Principal, o.Limits.Namespace = most, most })
	key := k.key(access.Wanted{Name: "bench", Namespaces: []string{"default"}, Roles: []string{"reader"}}, "bench")
	var turn [2]func(n int) time.Duration
	for i, x := range []struct {
		world  *world
		header string
	}{{newWorld(b), ""}, {k.world, "Authorization: Bearer " + key + "\r\n"}} {
		x.world.shelf.say(b, one1, "batch", `{"status":"PROCESSING","total_tiers":3,"name":"`+strings.Repeat("n", 2500)+`"}`)
		base, _ := x.world.listen()
		conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		in := bufio.NewReaderSize(conn, 64<<10)
		turn[i] = func(n int) time.Duration {
			begun := time.Now()
			for range n {
				_, _ = io.WriteString(conn, "GET "+url(one1)+" HTTP/1.1\r\nHost: x\r\n"+x.header+"\r\n")
				r, err := http.ReadResponse(in, nil)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, r.Body); err != nil || n < 2500 || r.StatusCode != http.StatusOK {
					b.Fatal(r.Status, n, err)
				}
			}
			return time.Since(begun)
		}
		turn[i](100)
	}
	var ratios []float64
	for b.Loop() {
		without := turn[0](50)
		ratios = append(ratios, without.Seconds()/turn[1](50).Seconds())
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "of-without")
}

// BenchmarkSnapshotInMemory is the work of the api alone: without a connection, and with a store in memory. A cold snapshot is read and
// parsed, and each is rendered, because time has moved.
func BenchmarkSnapshotInMemory(b *testing.B) {
	w := newWorld(b)
	w.shelf.say(b, one1, "batch", `{"status":"PROCESSING","total_tiers":3,"name":"night run"}`)
	for tier := range 3 {
		for job := range 2 {
			for _, status := range []string{"PENDING", "RUNNING"} {
				w.shelf.say(b, one1, "job", fmt.Sprintf(`{"tier_num":%d,"submission_id":"raysubmit_%d%d","status":%q,"extractor":"ocr"}`, tier, tier, job, status))
			}
		}
		for n := range 40 {
			w.shelf.sayAt(b, one1, "tier", fmt.Sprintf(`{"tier_num":%d,"status":"PROCESSING","processed_documents":%d,"total_documents":1300}`, tier, n*10), time.Now().Add(time.Duration(n-40)*2*time.Second))
		}
	}
	request := httptest.NewRequest(http.MethodGet, url(one1), nil)
	handler := w.svc.Handler()
	answer := func() {
		r := httptest.NewRecorder()
		if handler.ServeHTTP(r, request); r.Code != http.StatusOK {
			b.Fatal(r.Code, r.Body)
		}
	}
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.svc.seen.at = nil // it stays the first request
			answer()
		}
	})
	b.Run("kept", func(b *testing.B) {
		answer()
		b.ReportAllocs()
		p := partition(one1.Namespace, one1.Name)
		for b.Loop() {
			f := *w.shelf.fence[p]
			f.asOf, f.watermark = f.asOf.Add(1), f.watermark.Add(1)
			w.shelf.fence[p] = &f
			w.svc.source.see(p, &f)
			answer()
		}
	})
}
