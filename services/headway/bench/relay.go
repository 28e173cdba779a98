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
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	relayJobs   = 1000
	relayQuiet  = 20 * time.Second // measured, after an equally long time to settle
	relayPosts  = 100
	relaySecret = "secret-of-the-bench"
)

// benchRelay measures the relay against a stand-in for a dashboard with a thousand running jobs: its CPU use while
// nothing changes, and how long Ray waits for a POST of a thousand events.
func benchRelay(ctx context.Context, s *servers) error {
	b, err := s.connect(ctx) // creates the stream
	if err != nil {
		return err
	}
	defer b.Close()
	dashboard, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: dashboardOf(relayJobs), ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(dashboard) }()
	defer server.Close()
	dir, err := os.MkdirTemp("", "headway-bench-relay-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "relay")
	if out, err := exec.Command("go", "build", "-o", path, "./services/relay/cmd/relay").CombinedOutput(); err != nil {
		return fmt.Errorf("build relay: %w\n%s", err, out)
	}
	const listen = "127.0.0.1:19095"
	cmd := exec.Command(path, "--nats-url", s.natsURL, "--ray", "http://"+dashboard.Addr().String(), "--ray-events-secret", relaySecret, "--listen", listen, "--log-level", "error")
	cmd.SysProcAttr = endsWithUs()
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
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
	for stored() < 2*relayJobs { // PENDING and RUNNING of each job
		if time.Since(began) > time.Minute {
			return errors.New("the relay didn't tell all jobs in a minute")
		}
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Printf("\nrelay: %d jobs of a stand-in are told %v after the start\n", relayJobs, time.Since(began).Round(time.Millisecond))
	time.Sleep(relayQuiet)
	before := processCPU(cmd.Process.Pid)
	time.Sleep(relayQuiet)
	used := processCPU(cmd.Process.Pid) - before
	fmt.Printf("  nothing changes: %.1f %% of a core over %v (target: below 10 %%)\n", 100*used.Seconds()/relayQuiet.Seconds(), relayQuiet)

	before = processCPU(cmd.Process.Pid)
	var took []time.Duration
	size := 0
	for i := range relayPosts {
		body, err := relayPost(i)
		if err != nil {
			return err
		}
		size = len(body)
		began := time.Now()
		res, err := http.Post("http://"+listen+"/v1/ray/events/"+relaySecret, "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		_ = res.Body.Close()
		if res.StatusCode >= 400 {
			return fmt.Errorf("post %d was answered %d", i, res.StatusCode)
		}
		took = append(took, time.Since(began))
	}
	used = processCPU(cmd.Process.Pid) - before
	fmt.Printf("  %d posts of 1,000 events, %.1f MB each: acknowledged in %v, p99 %v, at most %v (target: within 1 s); %v CPU each\n", relayPosts, float64(size)/1e6,
		median(took).Round(time.Millisecond), quantile(took, 0.99).Round(time.Millisecond), quantile(took, 1).Round(time.Millisecond), (used / relayPosts).Round(time.Millisecond))
	return nil
}

// dashboardOf answers with n running jobs, in the format of Ray 2.60.
func dashboardOf(n int) http.Handler {
	now := time.Now()
	jobs := make([]map[string]any, n)
	for i := range jobs {
		jobs[i] = map[string]any{
			"type": "SUBMISSION", "job_id": fmt.Sprintf("%08x", i+1), "submission_id": fmt.Sprintf("raysubmit_%016d", i), "status": "RUNNING",
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
	answer := func(body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/api/jobs/", answer(list))
	mux.HandleFunc("/api/version", answer([]byte(`{"ray_version":"2.60.0","session_name":"session_bench"}`)))
	mux.HandleFunc("/api/v0/nodes", answer([]byte(`{"data":{"result":{"result":[{"node_id":"a","state":"ALIVE","resources_total":{"CPU":64}}]}}}`)))
	mux.HandleFunc("/api/data/datasets/", answer([]byte(`{"datasets":[]}`)))
	mux.HandleFunc("/", answer([]byte(`{}`)))
	return mux
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
