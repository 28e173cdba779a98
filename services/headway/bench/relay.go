package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	relayJobs   = 1000
	relayTasks  = 10_000
	relayQuiet  = time.Minute // measured, after some time to settle
	relayPosts  = 100
	relaySecret = "secret-of-the-bench"
	relayListen = "127.0.0.1:19095"

	relaySettles = 20 * time.Second
)

// benchRelay measures the relay against stand-ins for a dashboard: its CPU use and its requests to Ray while nothing changes, with a thousand
// running jobs and with a job of 10,000 waiting tasks, and how long Ray waits for a POST of a thousand events.
func benchRelay(ctx context.Context, s *servers) error {
	b, err := s.connect(ctx) // creates the stream
	if err != nil {
		return err
	}
	defer b.Close()
	dir, err := os.MkdirTemp("", "headway-bench-relay-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "relay")
	if out, err := exec.Command("go", "build", "-o", path, "./services/relay/cmd/relay").CombinedOutput(); err != nil {
		return fmt.Errorf("build relay: %w\n%s", err, out)
	}
	js, err := jetstream.New(b.Conn)
	if err != nil {
		return err
	}
	stored := func() uint64 {
		if st, err := js.Stream(ctx, "HEADWAY_EVENTS"); err == nil {
			return st.CachedInfo().State.Msgs
		}
		return 0
	}
	fmt.Printf("\nrelay: nothing changes for %v (target: 1 %% of a core)\n", relayQuiet)
	waiting := newDashboard(1)
	waiting.tasks = relayTasks
	if err := waiting.watched(path, s.natsURL, "one job with 10,000 tasks that wait", func() bool { return stored() >= 3 }, nil); err != nil {
		return err
	}
	before := stored()
	return newDashboard(relayJobs).watched(path, s.natsURL, "1,000 running jobs", func() bool { return stored() >= before+2*relayJobs }, relayPosted)
}

// watched runs a relay that watches the dashboard until all is told, measures it while nothing changes, and then lets more be measured.
func (d *dashboard) watched(path, natsURL, what string, told func() bool, more func(pid int) error) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.address = ln.Addr().String()
	server := &http.Server{Handler: d, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(ln) }()
	defer server.Close()
	cmd := exec.Command(path, "--nats-url", natsURL, "--ray", "http://"+d.address, "--ray-events-secret", relaySecret, "--listen", relayListen, "--log-level", "error")
	cmd.SysProcAttr = endsWithUs()
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	for !told() {
		if time.Since(began) > time.Minute {
			return errors.New("the relay didn't tell all jobs in a minute")
		}
		time.Sleep(20 * time.Millisecond)
	}
	took := time.Since(began)
	time.Sleep(relaySettles)
	before, asked := processCPU(cmd.Process.Pid), d.asked.Load()
	time.Sleep(relayQuiet)
	used, requests := processCPU(cmd.Process.Pid)-before, d.asked.Load()-asked
	fmt.Printf("  %s, told %v after the start: %.2f %% of a core, %.0f requests to Ray a minute\n", what, took.Round(time.Millisecond),
		100*used.Seconds()/relayQuiet.Seconds(), float64(requests)/relayQuiet.Minutes())
	if more == nil {
		return nil
	}
	return more(cmd.Process.Pid)
}

// relayPosted measures POSTs of a thousand events.
func relayPosted(pid int) error {
	before := processCPU(pid)
	var took []time.Duration
	size := 0
	for i := range relayPosts {
		body, err := relayPost(i)
		if err != nil {
			return err
		}
		size = len(body)
		began := time.Now()
		res, err := http.Post("http://"+relayListen+"/v1/ray/events/"+relaySecret, "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		_ = res.Body.Close()
		if res.StatusCode >= 400 {
			return fmt.Errorf("post %d was answered %d", i, res.StatusCode)
		}
		took = append(took, time.Since(began))
	}
	used := processCPU(pid) - before
	fmt.Printf("  %d posts of 1,000 events, %.1f MB each: acknowledged in %v, p99 %v, at most %v (target: within 1 s); %v CPU each\n", relayPosts, float64(size)/1e6,
		median(took).Round(time.Millisecond), quantile(took, 0.99).Round(time.Millisecond), quantile(took, 1).Round(time.Millisecond), (used / relayPosts).Round(time.Millisecond))
	return nil
}

// dashboard answers as that of a cluster of Ray 2.60 with running jobs, of which the first may have waiting tasks.
type dashboard struct {
	mux     *http.ServeMux
	asked   atomic.Int64
	tasks   int
	address string // of itself, where it also plays the agent with the metrics
}

func newDashboard(jobs int) *dashboard {
	d := &dashboard{mux: http.NewServeMux()}
	answer := func(body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }
	}
	d.mux.HandleFunc("/api/jobs/", answer(jobList(jobs)))
	d.mux.HandleFunc("/api/version", answer([]byte(`{"ray_version":"2.60.0","session_name":"session_bench"}`)))
	d.mux.HandleFunc("/api/v0/nodes", answer([]byte(`{"data":{"result":{"result":[{"node_id":"a","state":"ALIVE","resources_total":{"CPU":64}}]}}}`)))
	d.mux.HandleFunc("/api/v0/tasks", d.someTask)
	d.mux.HandleFunc("/api/data/datasets/", answer([]byte(`{"datasets":[]}`)))
	d.mux.HandleFunc("/api/cluster_status", answer([]byte(`{"data":{"clusterStatus":null}}`)))
	d.mux.HandleFunc("/events", answer([]byte(`{"data":{"events":[]}}`)))
	d.mux.HandleFunc("/api/prometheus/sd", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `[{"targets":[%q]}]`, d.address)
	})
	d.mux.HandleFunc("/metrics", answer(metricsPage()))
	d.mux.HandleFunc("/", answer([]byte(`{}`)))
	return d
}

// ServeHTTP counts the requests to the dashboard.
func (d *dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.asked.Add(1)
	d.mux.ServeHTTP(w, r)
}

// someTask answers with one of the tasks and the number of all, after the time that a real dashboard took to convert as many.
func (d *dashboard) someTask(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	rows, all := "", 0
	switch values := q["filter_values"]; {
	case d.tasks == 0 || slices.Contains(values, "RUNNING") || slices.Contains(values, "FAILED") || slices.Contains(values, "PENDING_ARGS_AVAIL"):
	default:
		all = d.tasks
		rows = fmt.Sprintf(`{"task_id":"t1","name":"embed","type":"NORMAL_TASK","state":"PENDING_NODE_ASSIGNMENT","job_id":"00000001","required_resources":{"GPU":1},`+
			`"events":[{"state":"PENDING_NODE_ASSIGNMENT","created_ms":%d}]}`, time.Now().Add(-time.Hour).UnixMilli())
		if !slices.Contains(q["filter_keys"], "task_id") {
			time.Sleep(1200 * time.Millisecond)
		}
	}
	_, _ = fmt.Fprintf(w, `{"data":{"result":{"result":[%s],"num_filtered":%d}}}`, rows, all)
}

// metricsPage is as large as that of a real agent.
func metricsPage() []byte {
	var page bytes.Buffer
	for i := range 1500 {
		_, _ = fmt.Fprintf(&page, "ray_some_metric_%d{Component=\"raylet\",NodeAddress=\"192.0.2.2\",SessionName=\"session_2026-11-27_23-06-43_582463_31393\",Version=\"2.60.0\",WorkerId=\"\",otel_scope_name=\"ray._private.telemetry\"} %d\n", i%200, i)
	}
	return page.Bytes()
}

func jobList(n int) []byte {
	now := time.Now()
	jobs := make([]map[string]any, n)
	for i := range jobs {
		jobs[i] = map[string]any{
			"type": "SUBMISSION", "job_id": fmt.Sprintf("%08x", i+1), "submission_id": fmt.Sprintf("raysubmit_%016d_of_%d", i, n), "status": "RUNNING",
			"driver_info": map[string]any{"id": fmt.Sprintf("%08x", i+1), "node_ip_address": "192.0.2.2", "pid": "5651"},
			"entrypoint":  "python pipeline.py --config /etc/pipeline/config.yaml", "message": "Job is currently running.", "error_type": nil,
			"start_time": now.Add(-time.Hour).UnixMilli(), "end_time": nil, "driver_exit_code": nil,
			"metadata":    map[string]string{"headway.namespace": "bench", "headway.batch_id": fmt.Sprintf("ray-%d", i%100), "headway.tier": "0"},
			"runtime_env": map[string]any{"env_vars": map[string]string{"A": "b"}}, "driver_node_id": strings.Repeat("f", 56),
			"driver_agent_http_address": "http://192.0.2.2:39697",
		}
	}
	list, err := json.Marshal(jobs)
	if err != nil {
		panic("bench: " + err.Error()) // the values can always be encoded
	}
	return list
}

// relayPost builds a POST of 1,000 events: 250 starting jobs, and workers.
func relayPost(n int) ([]byte, error) {
	var events []map[string]any
	for i := n * 250; i < (n+1)*250; i++ {
		id := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%016d", i))
		at := time.Now().UTC().Format(time.RFC3339Nano)
		event := func(kind, part string, data map[string]any) {
			events = append(events, map[string]any{
				"eventId": id, "sourceType": "GCS", "eventType": kind, "timestamp": at, "sessionName": "session_of_events", part: data, "message": strings.Repeat("x", 800),
			})
		}
		event("ACTOR_DEFINITION_EVENT", "actorDefinitionEvent", map[string]any{"actorId": id, "name": fmt.Sprintf("_ray_internal_job_actor_event-%d", i), "className": "JobSupervisor"})
		event("ACTOR_LIFECYCLE_EVENT", "actorLifecycleEvent", map[string]any{"actorId": id, "stateTransitions": []any{map[string]any{"state": "ALIVE", "timestamp": at}}})
		event("DRIVER_JOB_DEFINITION_EVENT", "driverJobDefinitionEvent", map[string]any{"jobId": id, "config": map[string]any{"metadata": map[string]string{
			"job_submission_id": fmt.Sprintf("event-%d", i), "headway.batch_id": fmt.Sprintf("b-%d", i%100), "headway.tier": "0",
		}}})
		event("WORKER_DEFINITION_EVENT", "workerDefinitionEvent", map[string]any{"workerId": id})
	}
	return json.Marshal(events)
}
