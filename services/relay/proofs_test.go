package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwayhq/headway/pkg/client"
)

// hangingRay is a dashboard of a job whose driver waits for a task, which hangs.
type hangingRay struct {
	*fakeRay
	mu     sync.Mutex
	off    bool   // profiling
	cannot string // what py-spy says instead of a dump
	line   int    // where the task is
	lost   bool   // Ray Core runs no task, and Ray Data counts three
	paths  map[string]int
}

func (f *hangingRay) RoundTrip(req *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paths[req.URL.Path]++
	status, body := http.StatusOK, ""
	q := req.URL.Query()
	switch path := req.URL.Path; {
	case path == "/api/profiling_enabled":
		body = fmt.Sprintf(`{"data":{"profilingEnabled":%v}}`, !f.off)
	case path == "/api/jobs/rj":
		body = `{"submission_id":"rj","status":"RUNNING","job_id":"02","driver_info":{"pid":"830"},"driver_node_id":"n1","metadata":{}}`
	case path == "/api/v0/logs/file" && q.Get("filename") == "job-driver-rj.log" && q.Get("lines") == "40":
		body = "epoch 3\napi_key=0123456789abcdef\n"
	case path == "/api/v0/tasks" && f.lost:
		body = `{"data":{"result":{"result":[]}}}`
	case path == "/api/data/datasets/02":
		body = `{"datasets":[{"dataset":"dataset_1_0","state":"RUNNING","start_time":1}]}`
	case path == "/api/prometheus/sd":
		body = `[{"targets":["n1:8080"]}]`
	case path == "/metrics" && f.lost:
		body = "ray_data_num_tasks_running{dataset=\"dataset_1_0\",operator=\"MapBatches1\"} 3.0\nray_data_num_tasks_running{dataset=\"of_another_job\",operator=\"Map1\"} 9.0\n"
	case path == "/api/v0/tasks" && strings.Contains(req.URL.RawQuery, "RUNNING"):
		body = `{"data":{"result":{"result":[{"task_id":"t2","name":"late","worker_pid":9,"node_id":"n3","start_time_ms":9},{"task_id":"t1","name":"embed","worker_pid":7,"node_id":"n2","start_time_ms":5}]}}}`
	case path == "/worker/traceback" && f.cannot != "":
		status, body = http.StatusInternalServerError, f.cannot
	case path == "/worker/traceback" && q.Get("pid") == "830" && q.Get("node_id") == "n1":
		body = "Process 830: python train.py --token 0123456789abcdef\n\nThread 830 (idle): \"MainThread\"\n    get_objects (ray/_private/worker.py:1)\n    get (ray/_private/worker.py:2)\n    <module> (train.py:6)\n"
	case path == "/worker/traceback" && q.Get("pid") == "7" && q.Get("node_id") == "n2":
		body = fmt.Sprintf("Process 7: ray::embed\n\nThread 7 (idle): \"MainThread\"\n    barrier (torch/distributed.py:9)\n    embed (train.py:%d)\n", f.line)
	default:
		return f.fakeRay.RoundTrip(req)
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(bytes.NewReader([]byte(body))), Header: http.Header{}, Request: req}, nil
}

func (f *hangingRay) asked(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.paths[path]
}

// announcing is a feed that a test speaks into.
type announcing chan Announced

func (a announcing) Follow(ctx context.Context, _ []string, sink func(Announced)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case x := <-a:
			sink(x)
		}
	}
}

// proofs collects the proofs among what is published.
type proofs struct {
	mu  sync.Mutex
	all []client.Proof
}

func (p *proofs) Publish(_ context.Context, namespace string, events ...client.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range events {
		if x, ok := e.Data.(*client.Proof); ok {
			if namespace != "default" || e.Batch != "b" {
				panic("a proof of " + namespace + "/" + e.Batch)
			}
			p.all = append(p.all, *x)
		}
	}
	return nil
}

func (p *proofs) take() []client.Proof {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.all
	p.all = nil
	return out
}

// hanging runs a relay with one job that runs.
func hanging(t *testing.T, ray *hangingRay, namespaces []string, test func(feed announcing, got *proofs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ray.fakeRay, ray.paths, ray.line = newFakeRay(), map[string]int{}, 88
		ray.set("rj", Running)
		feed, got := make(announcing), &proofs{}
		r, err := New(Options{
			Publisher: got, Clusters: []Cluster{{Name: "c", URL: "http://c:8265", Transport: ray}}, Proving: Proving{Namespaces: namespaces, Health: feed},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		time.Sleep(5 * time.Second)
		test(feed, got)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

var stuck = Announced{Namespace: "default", Batch: "b", Health: "stuck", Cause: "PROGRAM:STANDS_STILL"}

func TestProofsOfAProgramThatHangs(t *testing.T) {
	ray := &hangingRay{}
	hanging(t, ray, []string{"*"}, func(feed announcing, got *proofs) {
		feed <- stuck
		time.Sleep(10 * time.Second)
		first := got.take()
		if len(first) != 3 {
			t.Fatalf("%+v", first)
		}
		text, err := json.Marshal(first)
		if err != nil || strings.Contains(string(text), "0123456789abcdef") {
			t.Errorf("a secret stands in %s (%v)", text, err)
		}
		if log := first[0]; log.Kind != "log" || log.Process != "driver" || log.Text != "epoch 3\napi_key=[redacted]" || log.SubmissionID != "rj" || log.Cluster != "c" {
			t.Errorf("%+v", log)
		}
		if s := first[1]; s.Kind != "stack" || s.Process != "driver" || s.Name != "pid 830" || s.Frame != "train.py:6 get" || s.Looks != 1 {
			t.Errorf("%+v", s)
		}
		if s := first[2]; s.Process != "worker" || s.Name != "pid 7, task embed" || s.Frame != "train.py:88 barrier" || s.Text != "barrier (torch/distributed.py:9)\nembed (train.py:88)" {
			t.Errorf("%+v", s)
		}
		feed <- stuck // the cause is said again: the series goes on
		time.Sleep(3 * time.Minute)
		later := got.take()
		if len(later) != 4 || later[3].Looks != 3 || !later[3].FrameSince.Equal(*first[2].FrameSince) || later[2].Kind == "log" {
			t.Errorf("%+v", later)
		}
		feed <- stuck // too early
		time.Sleep(5 * time.Minute)
		if again := got.take(); len(again) > 0 || ray.asked("/api/v0/logs/file") != 1 {
			t.Errorf("%+v", again)
		}
		time.Sleep(5 * time.Minute)
		ray.mu.Lock()
		ray.line = 90
		ray.mu.Unlock()
		feed <- stuck
		time.Sleep(5 * time.Minute)
		again := got.take()
		if len(again) != 7 || again[6].Frame != "train.py:90 barrier" || again[6].Looks != 3 {
			t.Errorf("%+v", again)
		}
	})
}

func TestProofsEndWithTheHang(t *testing.T) {
	ray := &hangingRay{}
	hanging(t, ray, []string{"default"}, func(feed announcing, got *proofs) {
		feed <- stuck
		time.Sleep(10 * time.Second)
		feed <- Announced{Namespace: "default", Batch: "b", Health: "ok"}
		time.Sleep(20 * time.Minute)
		if all := got.take(); len(all) != 3 || ray.asked("/worker/traceback") != 2 {
			t.Errorf("%+v", all)
		}
		for _, a := range []Announced{
			{Namespace: "default", Batch: "b", Health: "stuck", Cause: "CAPACITY:QUOTA"}, {Namespace: "default", Batch: "other", Health: "stuck", Cause: "PROGRAM:SILENT"},
			{Namespace: "default", Batch: "b", Health: "degraded", Cause: "PROGRAM:FAILED"},
		} {
			feed <- a
		}
		time.Sleep(20 * time.Minute)
		if all := got.take(); len(all) > 0 {
			t.Errorf("%+v", all)
		}
	})
}

func TestProofsSayWhyThereAreNone(t *testing.T) {
	for _, c := range []struct {
		ray  *hangingRay
		want string
	}{
		{&hangingRay{off: true}, profilingOff},
		{&hangingRay{cannot: "Failed to execute: py-spy is not installed"}, "py-spy is not installed on the node"},
		{&hangingRay{cannot: "Error: Permission Denied: Try running again with elevated permissions"}, "securityContext.capabilities.add: [SYS_PTRACE]"},
		{&hangingRay{cannot: "no such process"}, "/worker/traceback answered 500: no such process."},
	} {
		hanging(t, c.ray, []string{"*"}, func(feed announcing, got *proofs) {
			feed <- stuck
			time.Sleep(20 * time.Minute)
			all := got.take()
			if len(all) != 2 || all[0].Kind != "log" || !strings.Contains(all[1].Unavailable, c.want) || all[1].Text != "" || c.ray.asked("/worker/traceback") > 1 {
				t.Errorf("%+v, want %s", all, c.want)
			}
		})
	}
}

func TestNothingIsLookedAtUnlessAsked(t *testing.T) {
	ray := &hangingRay{}
	hanging(t, ray, nil, func(feed announcing, got *proofs) {
		select {
		case feed <- stuck:
			t.Error("it follows the announcements")
		case <-time.After(20 * time.Minute):
		}
		if all := got.take(); len(all) > 0 {
			t.Errorf("%+v", all)
		}
	})
}

// Tasks that Ray Data waits for and that Ray Core doesn't know any more are told, once two looks have seen it.
func TestTasksUnknownToRayCore(t *testing.T) {
	told := func(all []client.Proof) (n int) {
		for _, p := range all {
			if strings.Contains(p.Unavailable, "Ray Data counts 3 tasks as running, and Ray Core runs none") {
				n++
			}
		}
		return n
	}
	for _, lost := range []bool{true, false} {
		ray := &hangingRay{lost: lost}
		hanging(t, ray, []string{"*"}, func(feed announcing, got *proofs) {
			feed <- stuck
			time.Sleep(30 * time.Second)
			if n := told(got.take()); n != 0 {
				t.Errorf("told %d times after one look", n)
			}
			time.Sleep(3 * time.Minute)
			if n := told(got.take()); n > 0 != lost {
				t.Errorf("lost %v: told %d times", lost, n)
			}
		})
	}
}
