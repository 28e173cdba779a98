package rayapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

type recorded struct {
	Posts []struct {
		Events json.RawMessage `json:"events"`
	} `json:"posts"`
	Rest []struct {
		At     float64         `json:"at"`
		Path   string          `json:"path"`
		Status int             `json:"status"`
		Body   json.RawMessage `json:"body"`
	} `json:"rest"`
}

func load(t testing.TB, name string) (r recorded) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", "ray", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// dashboard answers with what was recorded last of a path up to a moment.
func dashboard(t *testing.T, name string, until float64) *Client {
	t.Helper()
	r := load(t, name)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		path := req.URL.Path
		if req.URL.Query().Get("format") == "1" {
			path += "?format=1"
		}
		for i := len(r.Rest) - 1; i >= 0; i-- {
			if a := r.Rest[i]; a.Path == path && a.At <= until {
				w.WriteHeader(a.Status)
				_, _ = w.Write(a.Body)
				return
			}
		}
		http.NotFound(w, req)
	}))
	t.Cleanup(s.Close)
	c, err := New(Options{URL: s.URL + "/"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var underscored = regexp.MustCompile(`[a-z][A-Z]`)

// snake turns the keys of recorded events into the other spelling.
func snake(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = snake(v[i])
		}
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if k == "metadata" || k == "requiredResources" || k == "resources" || k == "labels" || k == "labelSelector" {
				out[underscore(k)] = x
				continue
			}
			out[underscore(k)] = snake(x)
		}
		return out
	}
	return v
}

func underscore(s string) string {
	return strings.ToLower(underscored.ReplaceAllStringFunc(s, func(m string) string { return m[:1] + "_" + m[1:] }))
}

// Both spellings say the same.
func TestDecodeExportSpellings(t *testing.T) {
	n := 0
	for _, name := range []string{"running_actor_unschedulable", "autoscaler_launches_node_v1", "stopped_while_pending", "two_drivers"} {
		for _, p := range load(t, name).Posts {
			var v any
			if err := json.Unmarshal(p.Events, &v); err != nil {
				t.Fatal(err)
			}
			other, err := json.Marshal(snake(v))
			if err != nil {
				t.Fatal(err)
			}
			a, unread, err := DecodeExport(p.Events, 1000)
			if err != nil || unread > 0 {
				t.Fatal(unread, err)
			}
			b, unread, err := DecodeExport(other, 1000)
			if err != nil || unread > 0 || !reflect.DeepEqual(a, b) {
				t.Errorf("%s: the spellings differ: %v\n%+v\n%+v", name, err, a, b)
			}
			for _, e := range a {
				n += len(e.States)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d transitions were read", n)
	}
}

func TestDecodeExport(t *testing.T) {
	events, unread, err := DecodeExport([]byte(`[
		{"eventType":"ACTOR_LIFECYCLE_EVENT","sessionName":"s","timestamp":"2026-11-23T21:45:20.905050977Z","actorLifecycleEvent":{"actorId":"8ZbWlFp4MIY4N4oGAQAAAA==","stateTransitions":[
			{"state":"DEAD","timestamp":"2026-11-23T21:45:48.779273296Z","deathCause":{"runtimeEnvFailedContext":{"errorMessage":"pip"},"actorUnschedulableContext":null}},
			{"state":"ALIVE","timestamp":"yesterday"}]}},
		{"eventType":"DRIVER_JOB_DEFINITION_EVENT","driverJobDefinitionEvent":{"jobId":"AgAAAA==","config":{"metadata":{"job_submission_id":"x"}}}},
		{"eventType":"DRIVER_JOB_DEFINITION_EVENT","driverJobDefinitionEvent":{"jobId":"02000000"}},
		{"eventType":"WORKER_LIFECYCLE_EVENT","workerLifecycleEvent":{"jobId":"AgAAAA==","stateTransitions":[{"state":"DEAD","timestamp":"2026-11-23T21:45:48Z","deathInfo":{"exitType":"NODE_OUT_OF_MEMORY"}}]}},
		{"eventType":"ANYTHING_NEW","anythingNew":{"x":1}}, 17, "x", null]`), 1000)
	if err != nil || unread != 2 || len(events) != 6 {
		t.Fatalf("%d events, %d unread, %v", len(events), unread, err)
	}
	a := events[0]
	if a.ID != "f196d6945a78308638378a0601000000" || len(a.States) != 1 || a.States[0].Death.RuntimeEnv != "pip" || a.States[0].Death.Unschedulable != "" ||
		a.States[0].At.Nanosecond() != 779273296 || a.At.Nanosecond() != 905050977 {
		t.Errorf("%+v %+v", a, a.States)
	}
	if events[1].Driver.JobID != "02000000" || events[1].Driver.Metadata["job_submission_id"] != "x" || events[2].Driver.JobID != "02000000" {
		t.Errorf("%+v %+v", events[1].Driver, events[2].Driver)
	}
	if w := events[3].Worker; w == nil || w.JobID != "02000000" {
		t.Errorf("%+v", w)
	}
	if _, _, err := DecodeExport([]byte(`[{},{},{}]`), 2); !errors.Is(err, ErrTooMany) {
		t.Errorf("three of two: %v", err)
	}
}

func FuzzDecodeExport(f *testing.F) {
	for _, p := range load(f, "snake_case").Posts {
		f.Add([]byte(p.Events))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		events, unread, err := DecodeExport(b, 100)
		if err == nil && len(events)+unread > 100 {
			t.Error("more than the limit")
		}
	})
}

func TestAutoscaler(t *testing.T) {
	now := time.Date(2026, 11, 23, 22, 0, 0, 0, time.UTC)
	a, err := dashboard(t, "autoscaler_at_max_workers_v1", 6).Autoscaler(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a.Launching, []Launch{{"gpuWorkers", 1, 0, nil}}) || a.PendingTotal["GPU"] != 1 || len(a.Demands) != 1 || a.Demands[0].Count != 2 || a.At.IsZero() {
		t.Errorf("version 1: %+v", a)
	}
	a, err = dashboard(t, "autoscaler_launch_fails_v2", 40).Autoscaler(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a.Launching, []Launch{{"gpuWorkers", 1, 0, nil}}) || len(a.Failures) != 2 || len(a.Demands) != 2 || !a.Demands[0].AtLeast || a.Usage["CPU"] != [2]float64{0, 2} {
		t.Errorf("version 2: %+v", a)
	}
	if ago := now.Sub(a.Failures[1].At); ago < 15*time.Second || ago > 16*time.Second { // 21:56:23 in a text of 21:56:38
		t.Errorf("the last failure was %v ago", ago)
	}
	b := parseStatus("no status at all", now)
	if !b.At.IsZero() {
		t.Errorf("%+v", b)
	}
}

func TestInfeasible(t *testing.T) {
	for name, want := range map[string]map[string]float64{
		"autoscaler_infeasible_v1": {"GPU": 8}, "autoscaler_infeasible_v2": {"GPU": 8}, "autoscaler_infeasible_tasks_v1": {"CPU": 1, "GPU": 8},
	} {
		events, err := dashboard(t, name, 100).Events(t.Context())
		words := events.Words
		if err != nil || len(words) == 0 || len(words[0].Shapes) != 1 || !reflect.DeepEqual(words[0].Shapes[0], want) || words[0].At.IsZero() {
			t.Errorf("%s: %+v %v", name, words, err)
		}
	}
	if got := shapes("requests {'GPU': 8.0}*1, {'CPU': 64.0, 'memory': 1e+09}*2 with label selectors: [zone IN [a]]."); len(got) != 2 || got[1]["memory"] != 1e9 {
		t.Errorf("%v", got)
	}
}

func TestJobs(t *testing.T) {
	jobs, unread, err := DecodeJobs([]byte(`[{"submission_id":"a","status":"RUNNING","start_time":1795470320972,"new_field":{"x":1}},{"submission_id":7},{"type":"DRIVER","job_id":"01000000","submission_id":null}]`))
	if err != nil || unread != 1 || len(jobs) != 2 || jobs[0].Submitted().UnixMilli() != 1795470320972 || !jobs[0].Ended().IsZero() {
		t.Errorf("%+v %d %v", jobs, unread, err)
	}
	if _, _, err := DecodeJobs([]byte(`{}`)); err == nil {
		t.Error("an object is no list")
	}
}

// A dashboard may answer anything; the client's answer is an error that tells what, and never waits for longer than its timeout.
func TestBadAnswers(t *testing.T) {
	slow := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/version":
			http.Error(w, "Unauthorized: Missing authentication token", http.StatusUnauthorized)
		case "/api/v0/nodes":
			_, _ = w.Write([]byte("<html>"))
		case "/api/jobs/":
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
		default:
			select {
			case <-slow:
			case <-r.Context().Done():
			}
		}
	}))
	defer s.Close()
	defer close(slow)
	c, err := New(Options{URL: s.URL, Token: "the-token", Timeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var status *StatusError
	if _, err := c.Version(t.Context()); !errors.As(err, &status) || status.Code != http.StatusUnauthorized {
		t.Errorf("version: %v", err)
	}
	if _, err := c.Nodes(t.Context()); err == nil {
		t.Error("a page is taken for nodes")
	}
	if _, err := c.JobsBody(t.Context()); !errors.As(err, &status) || status.Code != http.StatusFound {
		t.Errorf("a redirect is followed, with the token: %v", err)
	}
	if _, err := c.Datasets(t.Context(), "01000000"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("what hangs: %v", err)
	}
	for _, bad := range []string{"", "a:1", "ftp://a", "http://", "://"} {
		if _, err := New(Options{URL: bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// What answers instead of Ray is said in words, with what to set.
func TestPlain(t *testing.T) {
	for path, c := range map[string]struct {
		answer http.HandlerFunc
		says   []string
	}{
		"a sign-on page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte("<!DOCTYPE html><html><head><title>Sign in to Example</title></head>"))
		}, []string{"web page", "Sign in to Example", "token"}},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://sso.example/login?state=secret", http.StatusFound)
		}, []string{"302", "https://sso.example", "behind the sign-on"}},
		"no token": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "Unauthorized", http.StatusUnauthorized) }, []string{"401", "--ray-token"}},
		"an error page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write([]byte("<html><h1>502</h1>"))
		}, []string{"502", "web page"}},
		"silence": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, []string{"nothing answered in time", "firewall"}},
	} {
		t.Run(path, func(t *testing.T) {
			s := httptest.NewServer(c.answer)
			defer s.Close()
			timeout := time.Minute
			if path == "silence" {
				timeout = 100 * time.Millisecond
			}
			client, err := New(Options{URL: s.URL, Timeout: timeout})
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Nodes(t.Context())
			for _, want := range c.says {
				if !strings.Contains(Plain(err), want) {
					t.Errorf("%q lacks %q", Plain(err), want)
				}
			}
			for _, never := range []string{"secret", "invalid character", "deadline exceeded"} {
				if strings.Contains(Plain(err), never) {
					t.Errorf("%q has %q", Plain(err), never)
				}
			}
		})
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	client, err := New(Options{URL: closed.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Nodes(t.Context()); !strings.Contains(Plain(err), "refused") {
		t.Errorf("%q", Plain(err))
	}
}

// Workers killed for memory are found in the events of the cluster, with the jobs of their tasks.
func TestKills(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("job_id") != "global" {
			t.Errorf("asked for %s", r.URL)
		}
		_, _ = w.Write([]byte(`{"result":true,"data":{"jobId":"global","events":[{"sourceType":"JOBS","message":"Started a ray job x.","timestamp":"1795807542","customFields":{"submissionId":"x"}},
			{"sourceType":"AUTOSCALER","message":"Failed to launch 2 node(s) of type gpu_workers. (InsufficientInstanceCapacity): no p4d in zone a","timestamp":"1795807543"},
			{"sourceType":"AUTOSCALER","message":"Failed to launch 1 node(s) of type big.","timestamp":"1795807544"},
			{"customFields":{"nodeId":"ef9e"},"label":"Out of Memory","severity":"ERROR","sourceType":"RAYLET","timestamp":1795807546,
			"message":"1 worker(s) were killed due to the node running low on memory.\nOOM kill reason: x\nConsidered workers: [\nSelected to kill: (Task: job ID=03000000, lease ID=00, task name=eat, required resources={CPU: 1}, pid=1)\n]\nTop 10 memory users: job ID=04000000"}]}}`))
	}))
	defer s.Close()
	client, err := New(Options{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	e, err := client.Events(t.Context())
	if err != nil || len(e.Kills) != 1 || !reflect.DeepEqual(e.Kills[0].Jobs, []string{"03000000"}) || e.Kills[0].Node != "ef9e" || strings.Contains(e.Kills[0].Detail, "OOM kill reason") {
		t.Errorf("%+v %v", e, err)
	}
	want := []Failure{
		{Type: "gpu_workers", Category: "InsufficientInstanceCapacity", Detail: "no p4d in zone a", At: seconds(1795807543)},
		{Type: "big", Category: "LaunchFailed", At: seconds(1795807544)},
	}
	if !reflect.DeepEqual(e.Failures, want) {
		t.Errorf("%+v, want %+v", e.Failures, want)
	}
}

func TestMetrics(t *testing.T) {
	got := parseMetrics([]byte("# HELP ray_tasks x\nray_tasks{Name=\"a \\\"b\\\", c\",State=\"RUNNING\",} 3.0\nray_tasks_total{} 9\nray_tasks{broken 1\nother{} 2\n"), []string{"ray_tasks"})
	if len(got) != 1 || got[0].Value != 3 || got[0].Labels["Name"] != `a "b", c` || got[0].Labels["State"] != "RUNNING" {
		t.Errorf("%+v", got)
	}
}

// The strategy of a waiting group is told by both versions of the autoscaler.
func TestGroups(t *testing.T) {
	two := []map[string]float64{{"CPU": 1}, {"CPU": 1}, {"GPU": 2}}
	a, err := decodeStatus([]byte(`{"time":1,"loadMetricsReport":{"pgDemand":[[{"bundles":[[{"CPU":1.0},2],[{"GPU":2.0},1]],"strategy":"STRICT_PACK"},1]]}}`))
	if err != nil || len(a.Groups) != 1 || a.Groups[0].Strategy != "STRICT_PACK" || !reflect.DeepEqual(a.Groups[0].Bundles, two) || a.V2 {
		t.Errorf("version 1: %+v %v", a.Groups, err)
	}
	text := "======== Autoscaler status: 2026-11-27 19:20:18.476324 ========\nPending Demands:\n {'CPU': 1.0} * 2, {'GPU': 2.0} * 1 (STRICT_PACK): 1+ pending placement groups\n"
	if a := parseStatus(text, time.Now()); len(a.Groups) != 1 || !reflect.DeepEqual(a.Groups[0].Bundles, two) || a.Groups[0].Strategy != "STRICT_PACK" || !a.V2 {
		t.Errorf("version 2: %+v", a.Groups)
	}
}
