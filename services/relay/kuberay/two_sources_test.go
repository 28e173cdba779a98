package kuberay

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/services/relay"
)

// published keeps the events, and tells of each.
type published struct {
	mu     sync.Mutex
	events []client.Event
	news   chan struct{}
}

func (p *published) Publish(_ context.Context, _ string, events ...client.Event) error {
	p.mu.Lock()
	p.events = append(p.events, events...)
	p.mu.Unlock()
	select {
	case p.news <- struct{}{}:
	default:
	}
	return nil
}

// A relay that is given a RayJob's dashboard beside Kubernetes has one job: that of the cluster's session, with what both know.
func TestRayJobWhoseDashboardIsRelayed(t *testing.T) {
	state := stories(t)["image"][2] // its image can't be pulled
	status := state.Object["status"].(map[string]any)
	id := status["jobId"].(string)
	submitted := state.now(t).Add(-time.Minute)
	dashboard := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/api/version":
			_ = json.NewEncoder(w).Encode(map[string]any{"ray_version": "2.60.0", "session_name": "session_1"})
		case strings.HasPrefix(r.URL.Path, "/api/jobs"):
			_ = json.NewEncoder(w).Encode([]any{map[string]any{
				"type": "SUBMISSION", "submission_id": id, "status": "PENDING", "start_time": submitted.UnixMilli(), "metadata": map[string]any{"headway.batch_id": "btch_1", "headway.tier": "0"},
			}})
		default:
			http.NotFound(w, r)
		}
	}))
	defer dashboard.Close()
	api := newStandIn(t)
	api.putState(state)
	out := &published{news: make(chan struct{}, 1)}
	now := func() time.Time { return state.now(t) }
	r, err := relay.New(relay.Options{
		Publisher: out, Now: now, Clusters: []relay.Cluster{{Name: "dash", URL: dashboard.URL}},
		Sources: []relay.Source{New(Options{HTTP: http.DefaultClient, URL: api.URL, Now: now, Tick: 10 * time.Millisecond})},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	for !out.pulls("dash") {
		select {
		case <-out.news:
		case <-t.Context().Done():
			t.Fatalf("never said: %+v, jobs %+v", out.events, r.Jobs())
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if jobs := r.Jobs(); len(jobs) != 1 || jobs[0].Session != "session_1" || jobs[0].Submission != id {
		t.Errorf("%+v", jobs)
	}
}

// pulls reports whether a job of a cluster was said to lack its image.
func (p *published) pulls(cluster string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if j, ok := e.Data.(*client.Job); ok && j.Cluster == cluster && j.WaitingOn != nil && j.WaitingOn.Code == pullFailed {
			return true
		}
	}
	return false
}
