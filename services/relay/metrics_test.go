package relay

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/headwayhq/headway/pkg/client"
)

// Each cluster is counted by itself, with what is asked of it and whether it answers.
func TestClustersAreMeasured(t *testing.T) {
	one, two := newFakeRay(), newFakeRay()
	two.session = "s2"
	one.set("j1", Running)
	one.set("j2", Running)
	two.set("j3", Running)
	two.set("j4", Running, "metadata", map[string]string{}) // nobody says of which batch
	relaying(t, map[string]*fakeRay{"one": one, "two": two}, func(b *book, r *Relay) {
		time.Sleep(5 * time.Second)
		m := r.metrics
		for what, c := range map[string]struct{ got, want float64 }{
			"relayed of one":     {testutil.ToFloat64(m.jobs.WithLabelValues("one", "yes")), 2},
			"relayed of two":     {testutil.ToFloat64(m.jobs.WithLabelValues("two", "yes")), 1},
			"not relayed of one": {testutil.ToFloat64(m.jobs.WithLabelValues("one", "no")), 0},
			"not relayed of two": {testutil.ToFloat64(m.jobs.WithLabelValues("two", "no")), 1},
			"reachable":          {testutil.ToFloat64(m.reachable.WithLabelValues("two")), 1},
			"published":          {testutil.ToFloat64(m.published.WithLabelValues("job")), float64(len(b.said))},
		} {
			if c.got != c.want {
				t.Errorf("%s: %v, want %v", what, c.got, c.want)
			}
		}
		if n := testutil.ToFloat64(m.requests.WithLabelValues("one", "ok")); n == 0 {
			t.Error("no requests are counted")
		}
		two.mu.Lock()
		two.refuses = http.StatusBadGateway
		two.mu.Unlock()
		time.Sleep(time.Minute)
		if up := testutil.ToFloat64(m.reachable.WithLabelValues("two")); up != 0 {
			t.Errorf("a cluster that answers 502 counts as %v", up)
		}
		if n := testutil.ToFloat64(m.requests.WithLabelValues("two", "status_502")); n == 0 {
			t.Error("failed requests aren't counted")
		}
	})
}

// Each event counts under its own kind, whatever it is sent with.
func TestEventsAreMeasuredByKind(t *testing.T) {
	b := play(t, record(t, "data_progress"), true, true)
	said := map[string]float64{}
	for _, e := range b.said {
		switch e.event.Data.(type) {
		case *client.Job:
			said["job"]++
		case *client.Tier:
			said["tier"]++
		case *client.Stage:
			said["stage"]++
		}
	}
	for _, kind := range []string{"job", "tier", "stage"} {
		if n := testutil.ToFloat64(b.relay.metrics.published.WithLabelValues(kind)); n == 0 || n != said[kind] {
			t.Errorf("%v events of kind %s are published, want %v", n, kind, said[kind])
		}
	}
}

// What the log refuses for good counts, and isn't sent again.
func TestRefusedEventsAreMeasured(t *testing.T) {
	f := newFakeRay()
	f.set("j1", Running)
	relaying(t, map[string]*fakeRay{"c": f}, func(b *book, r *Relay) {
		b.mu.Lock()
		b.down = fmt.Errorf("no: %w", client.ErrRejected)
		b.mu.Unlock()
		time.Sleep(time.Minute)
		refused := testutil.ToFloat64(r.metrics.refused.WithLabelValues("job"))
		time.Sleep(10 * time.Minute)
		if n := testutil.ToFloat64(r.metrics.refused.WithLabelValues("job")); n == 0 || n != refused {
			t.Errorf("%v events are refused, %v after ten more minutes", refused, n)
		}
		if n := testutil.ToFloat64(r.metrics.published.WithLabelValues("job")); n != 0 {
			t.Errorf("%v events are published", n)
		}
	})
}
