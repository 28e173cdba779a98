package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/services/api"
	"github.com/headwayhq/headway/services/api/access"
	"github.com/headwayhq/headway/services/internal/backend"
)

const (
	snapshotClients = 64
	snapshotRuns    = 7
	snapshotFor     = time.Second
	snapshotTiers   = 12
)

// benchSnapshot compares a warm snapshot, and its 304, with an Echo handler that returns as many bytes from memory.
func benchSnapshot(ctx context.Context, s *servers) error {
	b, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	address, stop, err := serveAPI(ctx, b)
	if err != nil {
		return err
	}
	defer stop()
	guarded, credential, stopGuarded, err := serveGuarded(ctx, b)
	if err != nil {
		return err
	}
	defer stopGuarded()
	for n := range snapshotTiers {
		data := fmt.Sprintf(`{"specversion":"1.0","id":"s-%d","source":"bench","type":"dev.headway.tier.v1","time":"%s","data":{"tier_num":%d,"processed_documents":%d,"total_documents":1000}}`,
			n, time.Now().UTC().Format(time.RFC3339Nano), n, n)
		if _, err := b.Log.Publish(ctx, fmt.Sprintf("headway.events.default.snap.tier.%d.progress", n), nil, []byte(data)); err != nil {
			return err
		}
	}
	path := "/v1/analytics/performance/batches/snap/diagnostics"
	size, tag, err := warm(ctx, "http://"+address+path, "")
	if err != nil {
		return err
	}
	if _, _, err := warm(ctx, "http://"+guarded+path, credential); err != nil {
		return err
	}
	static := echo.New()
	body := []byte(strings.Repeat("x", size))
	static.GET("/static", func(c echo.Context) error {
		h := c.Response().Header()
		h["Vary"], h["X-Content-Type-Options"] = []string{"Authorization, X-Namespace, Accept, Accept-Encoding, Origin"}, []string{"nosniff"}
		h["Etag"], h["Cache-Control"] = []string{tag}, []string{"private, no-cache"}
		return c.Blob(http.StatusOK, "application/json", body)
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: static, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(ln) }()
	defer server.Close()

	var rates, ratios [4][]float64
	var guardedRatios []float64
	for range snapshotRuns {
		for i, x := range [4]struct{ address, request string }{
			{ln.Addr().String(), "GET /static HTTP/1.1\r\nHost: bench\r\n\r\n"},
			{address, "GET " + path + " HTTP/1.1\r\nHost: bench\r\n\r\n"},
			{address, "GET " + path + " HTTP/1.1\r\nHost: bench\r\nIf-None-Match: " + tag + "\r\n\r\n"},
			{guarded, "GET " + path + " HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer " + credential + "\r\n\r\n"},
		} {
			rate, err := requests(ctx, x.address, x.request)
			if err != nil {
				return err
			}
			rates[i] = append(rates[i], rate)
			ratios[i] = append(ratios[i], rate/rates[0][len(rates[0])-1])
		}
		last := len(rates[0]) - 1
		guardedRatios = append(guardedRatios, rates[3][last]/rates[1][last])
	}
	fmt.Printf("\nsnapshots of %.1f KB, %d clients; medians of %d interleaved runs\n", float64(size)/1000, snapshotClients, snapshotRuns)
	for i, name := range []string{"Echo, static", "warm snapshot", "not modified", "with a key"} {
		fmt.Printf("  %-14s %8.0f requests/s   ratio %.2f", name, median(rates[i]), median(ratios[i]))
		switch i {
		case 1:
			fmt.Print(" (target ≥ 0.95)")
		case 3:
			fmt.Printf("   of the warm snapshot without access control and limits %.2f (target ≥ 0.9)", median(guardedRatios))
		}
		fmt.Println()
	}
	return nil
}

// serveGuarded runs an API with keys, and with limits that are never reached, until stop. The key may read.
func serveGuarded(ctx context.Context, b *backend.Backend) (address, key string, stop func(), err error) {
	keys, err := access.Open(b.Conn, 1, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", "", nil, err
	}
	most := map[string]api.LimitSet{"requests_per_second": "100000000"}
	address, stop, err = serveFront(ctx, b, api.Options{Keys: keys, Limits: api.Limits{Principal: most, Namespace: most}})
	if err != nil {
		return "", "", nil, err
	}
	<-keys.Ready()
	_, key, err = keys.Create(ctx, access.Everybody(), access.Wanted{Name: "bench", Namespaces: []string{"*"}, Roles: []string{string(access.Reader)}})
	if err != nil {
		stop()
	}
	return address, key, stop, err
}

// warm waits until a snapshot has all tiers, and asks for it until it is kept in memory.
func warm(ctx context.Context, target, key string) (size int, tag string, err error) {
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			return 0, "", err
		}
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, "", err
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return 0, "", err
		}
		if strings.Contains(string(body), fmt.Sprintf(`"tier_num":%d,`, snapshotTiers-1)) && tag == resp.Header.Get("ETag") {
			return len(body), tag, nil
		}
		tag = resp.Header.Get("ETag")
	}
	return 0, "", errors.New("no snapshot")
}

// requests is the rate at which clients that each wait for their answer get answers.
func requests(ctx context.Context, address, request string) (perSecond float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, snapshotFor)
	defer cancel()
	var done atomic.Int64
	began := time.Now()
	var g errgroup.Group
	for range snapshotClients {
		g.Go(func() error {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				return err
			}
			defer conn.Close()
			in := bufio.NewReaderSize(conn, 32<<10)
			for ctx.Err() == nil {
				if _, _, err := exchange(conn, in, request); err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
	}
	err = g.Wait()
	return float64(done.Load()) / time.Since(began).Seconds(), err
}

// exchange sends a request over a connection, and reads the answer to its end.
func exchange(conn io.Writer, in *bufio.Reader, request string) (status int, size int64, err error) {
	if _, err := io.WriteString(conn, request); err != nil {
		return 0, 0, err
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	size, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, size, err
}
