package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
)

// said is one event as it was published.
type said struct {
	when  time.Time // it was published
	ns    string
	event client.Event
}

// book is a log in memory: it takes what Headway would take, and folds it.
type book struct {
	t     testing.TB
	now   func() time.Time
	mu    sync.Mutex
	said  []said
	views map[string]*diagnostics.View
	down  error
	relay *Relay // the one that played
}

func newBook(t testing.TB, now func() time.Time) *book {
	return &book{t: t, now: now, views: map[string]*diagnostics.View{}}
}

func (b *book) Publish(ctx context.Context, ns string, events ...client.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down != nil {
		return b.down
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, e := range events {
		eventType, kind := "", ""
		switch d := e.Data.(type) {
		case *client.Job:
			id, ok := diagnostics.EncodeID(d.SubmissionID)
			if !ok {
				b.t.Errorf("not an id: %q", d.SubmissionID)
			}
			eventType, kind = diagnostics.TypeJobV1, "job."+id
		case *client.Tier:
			eventType, kind = diagnostics.TypeTierV1, fmt.Sprintf("tier.%d.progress", d.TierNum)
		case *client.Stage:
			eventType, kind = diagnostics.TypeStageV1, fmt.Sprintf("stage.%d", d.TierNum)
		}
		facts, err := json.Marshal(e.Data)
		if err != nil {
			return err
		}
		body, err := json.Marshal(map[string]any{
			"specversion": "1.0", "id": e.ID, "source": EventSource, "type": eventType, "subject": e.Batch,
			"time": e.Time.UTC().Format(time.RFC3339Nano), "data": json.RawMessage(facts),
		})
		if err != nil {
			return err
		}
		var d diagnostics.Decoder
		decoded, rejection := d.Decode(diagnostics.Message{Subject: "headway.events." + ns + "." + e.Batch + "." + kind, Data: body, Stored: b.now()})
		if rejection != nil {
			b.t.Errorf("refused: %v\n%s", rejection, body)
			return rejection
		}
		key := ns + "/" + e.Batch
		if b.views[key] == nil {
			b.views[key] = diagnostics.NewView(ns, e.Batch)
		}
		diagnostics.Fold(b.views[key], decoded)
		b.said = append(b.said, said{b.now(), ns, e})
	}
	return nil
}

// job is a job as Headway shows it.
func (b *book) job(t testing.TB, key, submission string) map[string]any {
	t.Helper()
	for _, j := range b.jobs(t, key) {
		if j["ray_job_id"] == submission {
			return j
		}
	}
	return nil
}

// jobs are the jobs of a batch as Headway shows them.
func (b *book) jobs(t testing.TB, key string) (out []map[string]any) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.views[key]
	if v == nil {
		return nil
	}
	s := diagnostics.Render(v, b.now(), diagnostics.DefaultPolicy(), diagnostics.Meta{})
	var snapshot struct {
		Tiers []struct {
			Jobs []map[string]any `json:"jobs"`
		} `json:"tiers"`
	}
	if err := json.Unmarshal(s.AppendJSON(nil), &snapshot); err != nil {
		t.Fatal(err)
	}
	for _, tier := range snapshot.Tiers {
		out = append(out, tier.Jobs...)
	}
	return out
}

// waits are the verdicts said of a job, in the order of their own times.
func (b *book) waits(submission string) (out []said) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.said {
		if j, ok := s.event.Data.(*client.Job); ok && j.SubmissionID == submission && j.WaitingOn != nil {
			out = append(out, s)
		}
	}
	return out
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// What the state machine promises: how long a list must lack a live job before it is forgotten, and how long a wait must have lasted
// before it is called infeasible.
const (
	goneFor     = 10 * time.Second
	neverBefore = 10 * time.Second
)

const secret = "a secret of the test"

// play runs a relay against a recorded run, from a second before it until some seconds after, on a driven clock.
func play(t *testing.T, rec *recording, poll, events bool) *book {
	t.Helper()
	var b *book
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		now := func() time.Time { return rec.at(-1).Add(time.Since(began)) }
		b = newBook(t, now)
		o := Options{Publisher: b, Now: now, Secret: secret}
		if poll {
			o.Clusters = []Cluster{{Name: "recorded", URL: "http://head:8265", Transport: newStandIn(t, rec, now)}}
		}
		r, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		b.relay = r
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		if events {
			mux := http.NewServeMux()
			mux.Handle(ReceiverPattern, r.Receiver())
			for _, p := range rec.Posts {
				time.Sleep(rec.at(p.At).Sub(now()))
				body, err := json.Marshal(p.Events)
				if err != nil {
					t.Fatal(err)
				}
				w := httptest.NewRecorder()
				mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/ray/events/"+strings.ReplaceAll(secret, " ", "%20"), bytes.NewReader(body)))
				if w.Code >= 400 {
					t.Errorf("a post was answered %d: %s", w.Code, w.Body)
				}
			}
		}
		time.Sleep(rec.at(rec.end() + 6).Sub(now()))
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		end := now()
		b.now = func() time.Time { return end }
	})
	return b
}

var recordings = []string{
	"success_with_tasks", "two_drivers", "stopped_while_pending", "runtime_env_slow", "running_actor_unschedulable", "data_progress", "snake_case",
	"autoscaler_infeasible_v1", "autoscaler_infeasible_v2", "autoscaler_infeasible_tasks_v1", "autoscaler_launches_node_v1",
	"autoscaler_launches_node_v2", "autoscaler_at_max_workers_v1", "autoscaler_launch_fails_v2",
}

// Each recorded run ends in what is expected of it: by all sources, and by polling alone.
func TestPlayback(t *testing.T) {
	for _, name := range recordings {
		for _, events := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/events=%v", name, events), func(t *testing.T) {
				rec := record(t, name)
				checkPlayback(t, rec, play(t, rec, true, events))
			})
		}
	}
}

func checkPlayback(t *testing.T, rec *recording, b *book) {
	t.Helper()
	defer func() {
		if t.Failed() {
			for _, s := range b.said {
				body, _ := json.Marshal(s.event.Data)
				t.Logf("%7.3f  at %7.3f  %s  %s", rec.since(s.when), rec.since(s.event.Time), s.event.ID, body)
			}
		}
	}()
	for _, sub := range rec.Submitted {
		checkFinal(t, rec, b, sub.ID, sub.Metadata["headway.tier"])
		var expected []expectedWait
		for _, w := range rec.Expected.Waiting {
			if !strings.Contains(w.Who, " of tier ") || strings.HasSuffix(w.Who, " of tier "+sub.Metadata["headway.tier"]) {
				expected = append(expected, w)
			}
		}
		checkWaits(t, rec, b.waits(sub.ID), expected)
	}
}

func checkFinal(t *testing.T, rec *recording, b *book, submission, tier string) {
	t.Helper()
	j := b.job(t, "demo/btch_1", submission)
	if j == nil {
		t.Fatalf("%s is unknown", submission)
	}
	var final any
	if err := json.Unmarshal(rec.Expected.Final, &final); err != nil {
		t.Fatal(err)
	}
	if by, ok := final.(map[string]any); ok {
		final = by["tier "+tier]
	}
	if final != nil && j["status"] != final {
		t.Errorf("%s ends %v, want %v", submission, j["status"], final)
	}
	if status, _ := j["status"].(string); final == nil && Status(status).Terminal() {
		t.Errorf("%s ends %v, and did not end", submission, status)
	}
	if want := rec.Expected.ErrorType; want != "" && j["error_type"] != want {
		t.Errorf("error type %v, want %v", j["error_type"], want)
	}
	if want := rec.Expected.ExitCode; want != nil && j["exit_code"] != float64(*want) {
		t.Errorf("exit code %v, want %v", j["exit_code"], *want)
	}
}

// tolerance of the recordings' times, and how long it may take to be said: two looks, and the 5 s for which a report of the autoscaler stands.
const (
	tolerance = 2.0
	lag       = 4.5
)

func checkWaits(t *testing.T, rec *recording, waits []said, expected []expectedWait) {
	t.Helper()
	mayBeInfeasible := false
	for _, w := range expected {
		mayBeInfeasible = mayBeInfeasible || w.Infeasible != nil && *w.Infeasible
	}
	for _, s := range waits {
		w := wait(s)
		if w.Infeasible != nil && *w.Infeasible && (!mayBeInfeasible || s.when.Sub(w.Since) < neverBefore) {
			t.Errorf("infeasible was said at %.1f of a wait since %.1f", rec.since(s.when), rec.since(w.Since))
		}
		known := w.Kind == "" || w.Kind == "resources" && len(expected) > 0
		for _, e := range expected {
			known = known || e.Kind == w.Kind
		}
		if !known {
			t.Errorf("%s was said at %.1f, and is not expected", w.Kind, rec.since(s.when))
		}
	}
	for _, e := range expected {
		var match *said
		ends := math.Inf(1)
		for i, s := range waits {
			w := wait(s)
			if w.Kind == e.Kind && math.Abs(rec.since(w.Since)-e.From) <= tolerance && (e.To == nil || rec.since(s.event.Time) < *e.To) {
				match, ends = &waits[i], math.Inf(1)
			} else if match != nil && math.IsInf(ends, 1) {
				ends = rec.since(s.when)
			}
		}
		if match == nil {
			t.Errorf("%s from %.1f was never said", e.Kind, e.From)
			continue
		}
		w := wait(*match)
		for k, n := range e.Demand {
			if amount(w.Demand[k]) != n {
				t.Errorf("%s: demand %v, want %v", e.Kind, w.Demand, e.Demand)
			}
		}
		offered := w.Offered
		for _, s := range waits { // what was offered while it waited; nodes die later
			if o := wait(s); o.Kind == e.Kind && fits(o.Offered, e.Offered) {
				offered = o.Offered
			}
		}
		if !fits(offered, e.Offered) {
			t.Errorf("%s: offered %v, want %v", e.Kind, w.Offered, e.Offered)
		}
		if w.NodesPending == nil || *w.NodesPending != e.Pending {
			t.Errorf("%s: nodes pending %v, want %v", e.Kind, w.NodesPending, e.Pending)
		}
		if (w.Infeasible == nil) != (e.Infeasible == nil) || w.Infeasible != nil && *w.Infeasible != *e.Infeasible {
			t.Errorf("%s: infeasible %v, want %v", e.Kind, text(w.Infeasible), text(e.Infeasible))
		}
		if e.Detail != "" && !strings.Contains(w.Detail, strings.Fields(e.Detail)[0]) {
			t.Errorf("%s: detail %q, want %q", e.Kind, w.Detail, e.Detail)
		}
		if codes := codesOf(e); !slices.Contains(codes, w.Code) {
			t.Errorf("%s: code %q, want one of %q", e.Kind, w.Code, codes)
		}
		if e.To != nil && !math.IsInf(ends, 1) && ends > *e.To+lag {
			t.Errorf("%s: ends at %.1f, want %.1f", e.Kind, ends, *e.To)
		}
		if ends < e.From+1 || e.To != nil && ends < *e.To-tolerance {
			t.Errorf("%s: ends at %.1f already", e.Kind, ends)
		}
	}
}

// codesOf are the causes that may be said of an expected wait. "" leaves it open: nobody said whether what it needs comes.
func codesOf(e expectedWait) []string {
	switch {
	case e.Kind == "runtime_env":
		return []string{"ENVIRONMENT:BUILDING"}
	case e.Kind == "node_launch" && e.Detail != "":
		return []string{"CAPACITY:NODE_REFUSED"}
	case e.Kind == "node_launch":
		return []string{"CAPACITY:NODE_LAUNCHING", "CAPACITY:NODE_REFUSED"}
	case e.Infeasible != nil && *e.Infeasible:
		return []string{"PLACEMENT:TOO_LARGE"}
	case e.Infeasible != nil:
		return []string{"CAPACITY:IN_USE"}
	}
	return []string{""}
}

func wait(s said) *client.WaitingOn { return s.event.Data.(*client.Job).WaitingOn }

func fits(have map[string]any, want map[string]float64) bool {
	for k, n := range want {
		if v, ok := have[k]; !ok || amount(v) != n {
			return false
		}
	}
	return true
}

func amount(v any) float64 {
	f, _ := v.(float64)
	return f
}

func text[T any](p *T) string {
	if p == nil {
		return "unknown"
	}
	return fmt.Sprint(*p)
}
