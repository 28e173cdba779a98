package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwayhq/headway/pkg/push"
)

// Ready once the partitions were complete and while the store answers; what is stale or being rebuilt after that is
// told in answers and metrics.
func TestReadiness(t *testing.T) {
	w := newWorld(t)
	w.shelf.moved(one1, func(f *fence) { f.complete = false })
	for range 2 {
		if kind := w.problem(w.status(w.get("/readyz"), 503)); kind != "views_rebuilding" {
			t.Fatal(kind)
		}
	}
	w.shelf.moved(one1, func(f *fence) { f.complete = true })
	w.status(w.get("/readyz"), 200) // a failing probe isn't relied on
	w.shelf.moved(one1, func(f *fence) { f.complete = false; f.watermark = time.Now().Add(-time.Hour) })
	if _, err := w.svc.source.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.status(w.get("/readyz"), 200)
	w.get("/nowhere/secretbatch")
	w.get(url(push.Key{Namespace: "secretns", Name: "secretbatch"}))
	body := w.status(w.get("/metrics"), 200).Body.String()
	if !strings.Contains(body, `headway_api_requests_total{method="GET",route="/readyz",status="503"} 2`) || strings.Contains(body, "secret") {
		t.Fatal(body)
	}
	if !strings.Contains(body, "headway_api_watermark_age_seconds 360") {
		t.Fatalf("the oldest watermark isn't told: %s", body)
	}
	w.shelf.moved(one1, func(f *fence) { f.watermark = time.Unix(0, 0) })
	if _, err := w.svc.source.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if body := w.get("/metrics").Body.String(); !strings.Contains(body, "headway_api_watermark_age_seconds +Inf") {
		t.Fatalf("a partition without a watermark isn't told: %s", body)
	}
}

// slowFences counts how often fences are read, and delays each read.
type slowFences struct {
	*shelf
	mu    sync.Mutex
	reads int
	takes time.Duration
	fails error
}

func (s *slowFences) fences(ctx context.Context) ([]*fence, error) {
	s.mu.Lock()
	s.reads++
	takes, fails := s.takes, s.fails
	s.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if fails != nil {
		return nil, fails
	}
	return s.shelf.fences(ctx)
}

// Many concurrent probes cost one read. If the store hangs, each gets an answer within two seconds, and the first probe after its
// recovery succeeds.
func TestReadinessIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		slow := &slowFences{shelf: w.shelf, takes: 10 * time.Millisecond}
		w.svc.source.views = slow
		probe := func(want int) {
			t.Helper()
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() { w.status(w.get("/readyz"), want) })
			}
			wg.Wait()
		}
		probe(http.StatusOK)
		probe(http.StatusOK) // within the second for which a yes is relied on
		if slow.reads != 1 {
			t.Fatalf("%d reads", slow.reads)
		}
		time.Sleep(probeFor + time.Millisecond)
		slow.takes = time.Hour
		begin := time.Now()
		probe(http.StatusServiceUnavailable)
		if took := time.Since(begin); took != probeWithin || slow.reads != 2 {
			t.Fatalf("took %v, %d reads", took, slow.reads)
		}
		slow.takes, slow.fails = time.Millisecond, errors.New("refused")
		probe(http.StatusServiceUnavailable)
		slow.fails = nil
		probe(http.StatusOK)
	})
}
