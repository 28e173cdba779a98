package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/services/relay/machine"
	"github.com/headwayhq/headway/services/relay/rayapi"
)

// tracker is the loop around the state machine: it applies inputs, one at a time, and publishes the events that become
// due.
type tracker struct {
	publish Publisher
	log     *slog.Logger
	metrics *metrics

	mu    sync.Mutex
	state *machine.State
}

func newTracker(rules Rules, p Publisher, log *slog.Logger, m *metrics) *tracker {
	return &tracker{publish: p, log: log, metrics: m, state: machine.New(rules)}
}

// observe is the Yield passed to all sources.
func (t *tracker) observe(ctx context.Context, seen ...Observation) error {
	return t.step(ctx, machine.Seen(seen))
}

// step applies an input. It returns once the events that become due are published.
func (t *tracker) step(ctx context.Context, in machine.Input) error {
	_, err := t.take(ctx, in)
	return err
}

// take is step for an input whose output holds more than events.
func (t *tracker) take(ctx context.Context, in machine.Input) (machine.Output, error) {
	out := t.note(in)
	return out, t.send(ctx, out.Events)
}

// note applies an input without publishing.
func (t *tracker) note(in machine.Input) machine.Output {
	t.mu.Lock()
	out := t.state.Step(in)
	t.mu.Unlock()
	for _, f := range out.Unplaced {
		t.log.Info("job not relayed", "cluster", f.Cluster, "job", f.Submission, "reason", f.Why)
	}
	return out
}

// send publishes events by namespace. An event that Headway would never accept is counted and logged, and doesn't
// block the others.
func (t *tracker) send(ctx context.Context, out []machine.Event) error {
	slices.SortStableFunc(out, func(a, b machine.Event) int { return cmp.Compare(a.Namespace, b.Namespace) })
	for len(out) > 0 {
		n := 1
		for n < len(out) && out[n].Namespace == out[0].Namespace {
			n++
		}
		if err := t.sendAll(ctx, out[:n]); err != nil {
			return err
		}
		out = out[n:]
	}
	return nil
}

func (t *tracker) sendAll(ctx context.Context, out []machine.Event) error {
	events := make([]client.Event, len(out))
	for i, e := range out {
		events[i] = e.Event
	}
	err := t.publish.Publish(ctx, out[0].Namespace, events...)
	if err != nil && ctx.Err() == nil && len(out) > 1 && refused(err) {
		for i := range out { // one by one, so that a rejected event doesn't fail the others
			if err := t.sendAll(ctx, out[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	switch {
	case err == nil:
		for _, e := range out {
			t.metrics.published.WithLabelValues(kind(e)).Inc()
		}
	case refused(err):
		t.metrics.refused.WithLabelValues(kind(out[0])).Inc()
		t.log.Error("event refused", "event", out[0].ID, "error", err)
	default:
		return fmt.Errorf("relay: %w", err)
	}
	t.note(machine.Kept(out))
	return nil
}

// kind is what an event is about, as a label: job, tier or stage.
func kind(e machine.Event) string {
	return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", e.Data), "*client."))
}

// refused reports whether publishing an event again would be pointless.
func refused(err error) bool {
	var r *diagnostics.Rejection
	return errors.As(err, &r) || errors.Is(err, client.ErrRejected)
}

// count sets the metrics of how many jobs of a cluster's session are relayed.
func (t *tracker) count(cluster, session string) {
	t.mu.Lock()
	relayed, not := t.state.Counts(session)
	t.mu.Unlock()
	t.metrics.jobs.WithLabelValues(cluster, "yes").Set(float64(relayed))
	t.metrics.jobs.WithLabelValues(cluster, "no").Set(float64(not))
}

// The methods below query machine.State under the lock.

func (t *tracker) found() []Found {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.Found()
}

func (t *tracker) lacks(session string, jobs []rayapi.Job) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.Lacks(session, jobs)
}

func (t *tracker) missing(session string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.Missing(session)
}

func (t *tracker) needs(session string, now time.Time) machine.Needs {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.Needs(session, now)
}

func (t *tracker) taken(session string, l machine.Look) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.Taken(session, l)
}

func (t *tracker) heardWaiting(session string) []rayapi.Actor {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.HeardWaiting(session)
}

func (t *tracker) dataJobs(session string, now time.Time) map[string]machine.DataJob {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.DataJobs(session, now)
}
