package relay

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/headwayhq/headway/pkg/client"
)

func receiver(t testing.TB, b *book, limits Limits) (post func(secret string, body []byte) int, r *Relay) {
	t.Helper()
	r, err := New(Options{Publisher: b, Secret: "secret", Receiver: limits, Now: b.now, Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(ReceiverPattern, r.Receiver())
	return func(secret string, body []byte) int {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/ray/events/"+secret, bytes.NewReader(body)))
		return w.Code
	}, r
}

func present() time.Time { return epoch.Add(time.Hour) }

// exported are n events as a node posts them, of jobs from first on: each job's supervisor and driver, and workers, which are of no use.
func exported(t testing.TB, first, n int) []byte {
	t.Helper()
	id := func(i, size int) string {
		b := make([]byte, size)
		copy(b, fmt.Sprintf("%08d", i))
		return base64.StdEncoding.EncodeToString(b)
	}
	at := func(ms int) string { return epoch.Add(time.Duration(ms) * time.Millisecond).Format(time.RFC3339Nano) }
	var events []map[string]any
	for i := first; len(events) < n; i++ {
		submission := fmt.Sprintf("job-%d", i)
		event := func(kind, part string, data map[string]any) {
			if len(events) < n {
				events = append(events, map[string]any{
					"eventId": id(len(events), 28), "sourceType": "GCS", "eventType": kind, "timestamp": at(3), "severity": "INFO", "sessionName": "s1",
					"nodeId": id(0, 28), part: data, "message": strings.Repeat("x", 700), // Ray's are of about 1.2 KB
				})
			}
		}
		event("ACTOR_DEFINITION_EVENT", "actorDefinitionEvent", map[string]any{
			"actorId": id(i, 16), "jobId": "AQAAAA==", "name": "_ray_internal_job_actor_" + submission, "className": "JobSupervisor", "requiredResources": map[string]any{},
		})
		event("ACTOR_LIFECYCLE_EVENT", "actorLifecycleEvent", map[string]any{"actorId": id(i, 16), "stateTransitions": []any{
			map[string]any{"state": "PENDING_CREATION", "timestamp": at(1)}, map[string]any{"state": "ALIVE", "timestamp": at(2)},
		}})
		event("DRIVER_JOB_DEFINITION_EVENT", "driverJobDefinitionEvent", map[string]any{"jobId": id(i, 4), "config": map[string]any{"metadata": map[string]string{
			"job_submission_id": submission, "headway.batch_id": fmt.Sprintf("b-%d", i), "headway.tier": "0",
		}}})
		event("WORKER_DEFINITION_EVENT", "workerDefinitionEvent", map[string]any{"workerId": id(i, 28), "pid": i})
	}
	body, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// A hundred POSTs of a thousand events each lose nothing, though the log goes down in the middle and every POST in that time is
// repeated, by a relay that starts anew.
func TestReceiverLosesNothing(t *testing.T) {
	b := newBook(t, present)
	post, _ := receiver(t, b, Limits{})
	repeated, jobs := 0, 0
	for i := range 100 {
		body := exported(t, jobs, 1000)
		jobs += 250
		if i == 40 {
			b.down = errors.New("no log")
			if code := post("secret", body); code != http.StatusServiceUnavailable {
				t.Fatalf("without a log it answers %d", code)
			}
			b.down = nil
			repeated++
			post, _ = receiver(t, b, Limits{}) // the relay was killed: it knows nothing of before
		}
		code := post("secret", body)
		for tries := 0; code == http.StatusServiceUnavailable && tries < 20; tries++ { // as it is on a busy machine: Ray repeats
			code = post("secret", body)
		}
		if code != http.StatusNoContent {
			t.Fatalf("post %d: %d", i, code)
		}
	}
	running := map[string]bool{}
	for _, s := range b.said {
		if j := s.event.Data.(*client.Job); j.Status == "RUNNING" {
			running[j.SubmissionID] = true
		}
	}
	if len(running) != jobs || repeated != 1 {
		t.Errorf("%d of %d jobs are known to run", len(running), jobs)
	}
}

func TestReceiverAcknowledges(t *testing.T) {
	b := newBook(t, present)
	post, r := receiver(t, b, Limits{Body: 4 << 20})
	counted := func(outcome string) float64 { return testutil.ToFloat64(r.metrics.received.WithLabelValues(outcome)) }
	for _, c := range []struct {
		what, secret, body string
		code               int
		outcome            string
	}{
		{"a wrong secret", "secrex", "[]", http.StatusNotFound, "wrong_secret"},
		{"what is no JSON", "secret", "{", http.StatusNoContent, "unreadable"},
		{"an object", "secret", "{}", http.StatusNoContent, "unreadable"},
		{"nothing", "secret", "[]", http.StatusNoContent, ""},
		{"an event that can't be read beside one that can", "secret", `[17,{"eventType":"WORKER_DEFINITION_EVENT","sessionName":"s"}]`, http.StatusNoContent, "of_no_use"},
		{"more than the limit", "secret", string(exported(t, 0, 1001)), http.StatusNoContent, "too_many"},
		{"a body that is too large", "secret", "[\"" + strings.Repeat("x", 4<<20) + "\"]", http.StatusNoContent, "too_large"},
	} {
		before := counted(cmp.Or(c.outcome, "used"))
		if code := post(c.secret, []byte(c.body)); code != c.code {
			t.Errorf("%s: %d, want %d", c.what, code, c.code)
		}
		if c.outcome != "" && counted(c.outcome) == before {
			t.Errorf("%s was not counted as %s", c.what, c.outcome)
		}
	}
	if code := post("secret", exported(t, 0, 1000)); code != http.StatusNoContent || counted("used") == 0 {
		t.Errorf("a thousand: %d", code)
	}
	none, err := New(Options{Publisher: b})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodPost, "/v1/ray/events/", nil)
	req.SetPathValue("secret", "")
	none.Receiver().ServeHTTP(w, req)
	if w.Code != http.StatusNotFound {
		t.Errorf("without a secret configured an empty one is answered %d", w.Code)
	}
}

// What several relays say of the same exported events are the same events.
func TestRelaysSayTheSame(t *testing.T) {
	rec := record(t, "success_with_tasks")
	var ids [2]map[string]string
	for i := range ids {
		ids[i] = map[string]string{}
		b := newBook(t, func() time.Time { return rec.at(60) })
		r, err := New(Options{Publisher: b, Now: b.now})
		if err != nil {
			t.Fatal(err)
		}
		for n := range rec.Posts {
			if i == 1 { // in the opposite order, and each twice
				n = len(rec.Posts) - 1 - n
			}
			for range i + 1 {
				body, err := json.Marshal(rec.Posts[n].Events)
				if err != nil {
					t.Fatal(err)
				}
				if err := r.receive(context.Background(), body); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, s := range b.said {
			body, _ := json.Marshal(s.event.Data)
			ids[i][s.event.ID] = s.event.Time.String() + string(body)
		}
	}
	if len(ids[0]) == 0 {
		t.Fatal("nothing was said")
	}
	for id, body := range ids[0] {
		if ids[1][id] != body {
			t.Errorf("%s: %s, and of the other %s", id, body, ids[1][id])
		}
	}
}

// A check ticks the event export only for what was received, and names types that aren't known without calling them an error.
func TestCheckOfTheExport(t *testing.T) {
	f := newFakeRay()
	r, err := New(Options{Publisher: newBook(t, present), Clusters: []Cluster{{Name: "c", URL: "http://c:1", Transport: f}}, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	export := func() Check {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		checks := r.Probe(ctx)[0].Checks
		return checks[len(checks)-1]
	}
	if c := export(); c.OK || !strings.Contains(c.Says, "nothing was received") || !strings.Contains(c.Set, "RAY_enable_ray_event") {
		t.Errorf("before: %+v", c)
	}
	body := `[{"sessionName":"s1","eventType":"SUBMISSION_JOB_LIFECYCLE_EVENT","submissionJobLifecycleEvent":{}},{"sessionName":"s1","eventType":"NODE_DEFINITION_EVENT","nodeDefinitionEvent":{"nodeId":"aa"}}]`
	if err := r.receive(t.Context(), []byte(body)); err != nil {
		t.Fatal(err)
	}
	if c := export(); !c.OK || !strings.Contains(c.Says, "2 events received") || !strings.Contains(c.Says, "1 × SUBMISSION_JOB_LIFECYCLE_EVENT") || strings.Contains(c.Says, "NODE_DEF") {
		t.Errorf("after: %+v", c)
	}
}
