package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	limitsRuns  = 8
	limitsPosts = 200 // of the tenant that is measured, in each run
)

// attack is what another tenant does: so many POSTs that send the beginning of their body, and then a piece each second.
type attack struct {
	name  string
	conns int
	begin int
	piece int // 0: nothing more comes
}

// slowest is a little more than what has to come each second, so that a body isn't ended.
const slowest = 2 << 10

// benchLimits measures one tenant's POSTs with and without another tenant's slow ones.
func benchLimits(ctx context.Context, s *servers) error {
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
	attacks := []attack{{name: "nobody else"}, {name: "64 half-sent POSTs", conns: 64, begin: 64 << 10}, {name: "300 slow writers", conns: 300, begin: 1, piece: slowest}}
	took := make([][]time.Duration, len(attacks))
	for run := range limitsRuns + 1 {
		for i, a := range attacks {
			got, err := a.beside(ctx, address, func() ([]time.Duration, error) { return posts(ctx, address, run) })
			if err != nil {
				return fmt.Errorf("%s: %w", a.name, err)
			}
			if run > 0 { // the first one warms up
				took[i] = append(took[i], got...)
			}
		}
	}
	p := func(i int, q float64) float64 { return float64(quantile(took[i], q).Microseconds()) / 1000 }
	fmt.Printf("\none tenant's POSTs of one event beside another tenant; %d each, in %d interleaved runs\n", limitsRuns*limitsPosts, limitsRuns)
	for i, a := range attacks {
		fmt.Printf("  %-20s p50 %6.2f ms   p99 %6.2f ms", a.name, p(i, 0.5), p(i, 0.99))
		if i > 0 {
			fmt.Printf("   ratios %.2f and %.2f (target < 2)", p(i, 0.5)/p(0, 0.5), p(i, 0.99)/p(0, 0.99))
		}
		fmt.Println()
	}
	return nil
}

// posts sends one event after the other.
func posts(ctx context.Context, address string, run int) ([]time.Duration, error) {
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	var out []time.Duration
	for n := range limitsPosts {
		body := fmt.Appendf(nil, `{"specversion":"1.0","id":"%d-%d","source":"bench","type":"dev.headway.batch.v1","subject":"b","time":"%s","data":{"status":"PROCESSING"}}`,
			run, n, time.Now().UTC().Format(time.RFC3339Nano))
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/v1/events?namespace=measured", bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/cloudevents+json")
		began := time.Now()
		resp, err := c.Do(r)
		if err != nil {
			return nil, err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			return nil, fmt.Errorf("POST: %s", resp.Status)
		}
		out = append(out, time.Since(began))
	}
	return out, nil
}

// beside measures while the attack goes on.
func (a attack) beside(ctx context.Context, address string, measure func() ([]time.Duration, error)) ([]time.Duration, error) {
	var writing sync.WaitGroup
	defer writing.Wait()
	ended := make(chan struct{})
	defer close(ended)
	for range a.conns {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "POST /v1/events?namespace=slow HTTP/1.1\r\nHost: bench\r\nContent-Type: application/cloudevents-batch+json\r\nContent-Length: 1000000\r\n\r\n%s",
			strings.Repeat(" ", a.begin)); err != nil {
			return nil, err
		}
		if a.piece > 0 {
			writing.Go(func() { trickle(conn, a.piece, ended) })
		}
	}
	if err := a.held(ctx, address); err != nil {
		return nil, err
	}
	return measure()
}

// trickle writes a piece each second.
func trickle(conn net.Conn, piece int, ended <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	text := []byte(strings.Repeat(" ", piece))
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			if _, err := conn.Write(text); err != nil {
				return
			}
		}
	}
}

// held waits until all that was sent has arrived.
func (a attack) held(ctx context.Context, address string) error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		held := 0.0
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if value, is := strings.CutPrefix(lines.Text(), "headway_api_body_bytes "); is {
				held, err = strconv.ParseFloat(value, 64)
			}
		}
		_ = resp.Body.Close()
		switch {
		case err != nil:
			return err
		case held >= float64(a.conns*a.begin):
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%.0f bytes are held", held)
		}
	}
}
