package relay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// busyRay is a dashboard with a job of 10,000 tasks that wait for a GPU. What it takes for an answer is what was measured on a real one.
type busyRay struct {
	*fakeRay

	mu    sync.Mutex
	spent map[string]time.Duration // on requests, by path
	calls map[string]int
	gone  bool // the tasks no longer wait
}

const waitingTasks = 10_000

func (f *busyRay) RoundTrip(req *http.Request) (*http.Response, error) {
	path, q := req.URL.Path, req.URL.Query()
	took, rows, all := 5*time.Millisecond, []any{}, 0
	f.mu.Lock()
	gone := f.gone
	f.mu.Unlock()
	task := map[string]any{
		"task_id": "t1", "name": "embed", "type": "NORMAL_TASK", "state": "PENDING_NODE_ASSIGNMENT", "job_id": "02000000",
		"required_resources": map[string]float64{"GPU": 1}, "events": []any{map[string]any{"state": "PENDING_NODE_ASSIGNMENT", "created_ms": epoch.UnixMilli()}},
	}
	filters := strings.Join(q["filter_keys"], ",") + "=" + strings.Join(q["filter_values"], ",")
	switch {
	case path == "/api/v0/tasks" && strings.Contains(filters, "task_id"):
		rows = append(rows, task)
	case path == "/api/v0/tasks" && !strings.Contains(filters, "PENDING_NODE_ASSIGNMENT"): // Ray filters by state before it converts
	case path == "/api/v0/tasks" && !gone: // whatever the limit
		took, rows, all = 1200*time.Millisecond, append(rows, task), waitingTasks
		if q.Get("limit") != "1" {
			took = 4 * time.Second
		}
	}
	if gone && len(rows) > 0 {
		task["state"] = "FINISHED"
	}
	f.mu.Lock()
	f.spent[path] += took
	f.calls[path]++
	f.mu.Unlock()
	time.Sleep(took)
	if path != "/api/v0/tasks" {
		return f.fakeRay.RoundTrip(req)
	}
	b, err := json.Marshal(map[string]any{"data": map[string]any{"result": map[string]any{"result": rows, "num_filtered": all}}})
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(b)), Header: http.Header{}, Request: req}, err
}

// Ten thousand waiting tasks are told by one that is followed, with their number, for at most 200 ms of Ray's time in a minute.
func TestTenThousandTasks(t *testing.T) {
	f := &busyRay{fakeRay: newFakeRay(), spent: map[string]time.Duration{}, calls: map[string]int{}}
	f.set("j", Running, "job_id", "02000000")
	relayingTo(t, map[string]http.RoundTripper{"c": f}, func(b *book, _ *Relay) {
		time.Sleep(time.Minute)
		code, detail := lastWait(b, "j")
		if w := wait(b.waits("j")[len(b.waits("j"))-1]); !strings.Contains(detail, fmt.Sprintf("task embed, one of %d that wait", waitingTasks)) || w.Since != epoch || w.Demand["GPU"] != 1.0 {
			t.Errorf("%q %q %+v", code, detail, w)
		}
		f.mu.Lock()
		tasks, calls := f.spent["/api/v0/tasks"], 0
		for _, n := range f.calls {
			calls += n
		}
		f.mu.Unlock()
		const minutes = 30
		time.Sleep(minutes * time.Minute)
		f.mu.Lock()
		perMinute := (f.spent["/api/v0/tasks"] - tasks) / minutes
		all := -calls
		for _, n := range f.calls {
			all += n
		}
		f.gone = true
		f.mu.Unlock()
		t.Logf("%v of Ray's time for tasks and %d requests a minute", perMinute, all/minutes)
		if perMinute > 200*time.Millisecond {
			t.Errorf("%v of Ray's time a minute", perMinute)
		}
		time.Sleep(90 * time.Second)
		if code, _ := lastWait(b, "j"); code != "nothing" {
			t.Errorf("once they no longer wait: %q", code)
		}
	})
}
