package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rayHome is a virtual environment with Ray: the one at HEADWAY_TEST_RAY, else what `make ray` made. The test is skipped without.
func rayHome(t *testing.T) string {
	t.Helper()
	home := os.Getenv("HEADWAY_TEST_RAY")
	if home == "" {
		made, err := filepath.Abs(filepath.Join("..", "..", "..", "bin", "ray"))
		if err != nil {
			t.Fatal(err)
		}
		home = made
	}
	if _, err := os.Stat(filepath.Join(home, "bin", "ray")); err != nil {
		t.Skipf("NOTE: no Ray: neither HEADWAY_TEST_RAY nor `make ray`: %v", err)
	}
	return home
}

const rayToken = "a-token-of-the-tests-0123456789abcdef0123456789abcdef0123456789ab"

// rayHead is a real head that wants a token, on ports of its own.
type rayHead struct {
	t         *testing.T
	home, dir string
	env, args []string
	ports     map[string]int
	url       string
	gcs       string
	said      tail
	cmd       *exec.Cmd
}

func newRayHead(t *testing.T, home, exportTo string, o rayOptions) *rayHead {
	t.Helper()
	dir, err := os.MkdirTemp("", "hwr") //nolint:usetesting // sockets want short paths
	if err != nil {
		t.Fatal(err)
	}
	h := &rayHead{t: t, home: home, dir: dir, ports: map[string]int{}}
	for _, name := range []string{
		"port", "dashboard-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port", "ray-client-server-port", "runtime-env-agent-port",
		"metrics-export-port", "node-manager-port", "object-manager-port",
	} {
		h.ports[name] = unusedPort(t)
	}
	h.url = "http://127.0.0.1:" + strconv.Itoa(h.ports["dashboard-port"])
	h.gcs = "127.0.0.1:" + strconv.Itoa(h.ports["port"])
	h.env = append(os.Environ(),
		"PATH="+filepath.Join(home, "bin")+":"+os.Getenv("PATH"), "RAY_AUTH_MODE=token", "RAY_AUTH_TOKEN="+rayToken, "RAY_USAGE_STATS_ENABLED=0", "RAY_DASHBOARD_ENABLE_PROFILING=1",
		"RAY_enable_ray_event=1", "RAY_DASHBOARD_AGGREGATOR_AGENT_EVENTS_EXPORT_ADDR="+exportTo,
		"RAY_DASHBOARD_AGGREGATOR_AGENT_EXPOSABLE_EVENT_TYPES=DRIVER_JOB_DEFINITION_EVENT,DRIVER_JOB_LIFECYCLE_EVENT,ACTOR_DEFINITION_EVENT,"+
			"ACTOR_LIFECYCLE_EVENT,NODE_DEFINITION_EVENT,NODE_LIFECYCLE_EVENT,WORKER_LIFECYCLE_EVENT")
	if o.autoscaler != "" {
		h.scales(o)
	}
	if o.env != nil {
		h.env = append(h.env, o.env()...)
	}
	t.Cleanup(func() {
		h.kill()
		if t.Failed() {
			t.Log(h.said.String())
		}
		_ = os.RemoveAll(dir)
	})
	h.start()
	return h
}

// unusedPort is a port between those of Ray's workers, up to 19999, and those that the system gives out by itself.
func unusedPort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(12_000)
		ln, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no port is unused")
	return 0
}

func (h *rayHead) ray(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(h.home, "bin", "ray"), args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = h.env, h.dir, &h.said, &h.said
	cmd.SysProcAttr = groupThatEndsWithUs()
	return cmd
}

func (h *rayHead) start() {
	h.t.Helper()
	args := []string{
		"start", "--head", "--block", "--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", "--num-cpus=2", "--object-store-memory=100000000",
		"--temp-dir=" + h.dir, "--disable-usage-stats",
	}
	args = append(args, h.args...)
	for name, port := range h.ports {
		args = append(args, fmt.Sprintf("--%s=%d", name, port))
	}
	h.cmd = h.ray(args...)
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	eventually(h.t, 90*time.Second, "the head answers", func() error { return h.get("/api/jobs/", &[]any{}) })
}

// kill ends the head and all that it started, without a word.
func (h *rayHead) kill() {
	if h.cmd == nil {
		return
	}
	endGroup(h.cmd)
	h.sweep()
	h.cmd = nil
}

func endGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	_ = cmd.Wait()
}

// sweep ends what left the group: those, and only those, whose command line names this head's directory or port.
func (h *rayHead) sweep() {
	for _, pid := range pids(func(cmdline string) bool { return strings.Contains(cmdline, h.dir) || strings.Contains(cmdline, h.gcs) }) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func pids(match func(cmdline string) bool) (out []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		b, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if match(string(bytes.ReplaceAll(b, []byte{0}, []byte{' '}))) {
			out = append(out, pid)
		}
	}
	return out
}

// node joins another node with a GPU that isn't there. end kills it.
func (h *rayHead) node() (end func()) {
	h.t.Helper()
	cmd := h.ray("start", "--block", "--address="+h.gcs, "--node-ip-address=127.0.0.1", "--num-cpus=1", "--num-gpus=1", "--object-store-memory=100000000",
		"--disable-usage-stats")
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { endGroup(cmd); h.sweep() })
	return func() {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
			h.t.Error(err)
		}
	}
}

// drain announces that the node with a GPU goes.
func (h *rayHead) drain() {
	h.t.Helper()
	var answer struct {
		Data struct {
			Result struct {
				Result []struct {
					ID    string             `json:"node_id"`
					Total map[string]float64 `json:"resources_total"`
				} `json:"result"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := h.get("/api/v0/nodes", &answer); err != nil {
		h.t.Fatal(err)
	}
	for _, n := range answer.Data.Result.Result {
		if n.Total["GPU"] == 0 {
			continue
		}
		cmd := h.ray("drain-node", "--address="+h.gcs, "--node-id="+n.ID, "--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=spot reclaim", "--deadline-remaining-seconds=600")
		if err := cmd.Run(); err != nil {
			h.t.Fatal(err, h.said.String())
		}
		return
	}
	h.t.Fatal("no node has a GPU")
}

func (h *rayHead) do(method, path string, body, into any) error {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, h.url+path, in)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+rayToken)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %d %s", method, path, res.StatusCode, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

func (h *rayHead) get(path string, into any) error { return h.do(http.MethodGet, path, nil, into) }

// rayJob is what is submitted.
type rayJob struct {
	ID         string            `json:"submission_id"`
	Entrypoint string            `json:"entrypoint"`
	Metadata   map[string]string `json:"metadata"`
	GPUs       float64           `json:"entrypoint_num_gpus,omitempty"`
	CPUs       float64           `json:"entrypoint_num_cpus,omitempty"`
	Labels     map[string]string `json:"entrypoint_label_selector,omitempty"`
	RuntimeEnv map[string]any    `json:"runtime_env,omitempty"`

	metadata map[string]string // nil: those of a batch that has the job's name
}

// submit posts a job.
func (h *rayHead) submit(j rayJob) {
	h.t.Helper()
	if j.Metadata = j.metadata; j.Metadata == nil {
		j.Metadata = map[string]string{"headway.batch_id": j.ID, "headway.tier": "0"}
	}
	eventually(h.t, 60*time.Second, "the head takes "+j.ID, func() error { // its agent may not be there yet
		err := h.do(http.MethodPost, "/api/jobs/", j, nil)
		if err != nil && strings.Contains(err.Error(), "already exists") {
			return nil
		}
		return err
	})
}

func (h *rayHead) stop(id string) {
	h.t.Helper()
	if err := h.do(http.MethodPost, "/api/jobs/"+id+"/stop", nil, nil); err != nil {
		h.t.Fatal(err)
	}
}

var errNoProcess = errors.New("it has no process")

// supervisor is the process of a job's supervisor; errNoProcess if it has none yet, or none any more.
func (h *rayHead) supervisor(id string) (pid int, err error) {
	var answer struct {
		Data struct {
			Result struct {
				Result []struct {
					PID   int    `json:"pid"`
					State string `json:"state"`
				} `json:"result"`
			} `json:"result"`
		} `json:"data"`
	}
	name := "_ray_internal_job_actor_" + id
	if err := h.get("/api/v0/actors?detail=1&filter_keys=name&filter_predicates=%3D&filter_values="+name, &answer); err != nil {
		return 0, err
	}
	if r := answer.Data.Result.Result; len(r) == 1 && r[0].PID > 0 && r[0].State != "DEAD" {
		return r[0].PID, nil
	}
	return 0, errNoProcess
}
