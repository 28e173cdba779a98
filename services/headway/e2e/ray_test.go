package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const pythonActors = `python -c '
import ray
ray.init(address="auto", log_to_driver=False)
@ray.remote(num_gpus=1)
class Embedder:
    def go(self): return 1
a = Embedder.remote()
ray.get(a.go.remote())
'`

const pythonData = `python -c '
import time, ray, ray.data
ray.init(address="auto", log_to_driver=False)
ray.data.DataContext.get_current().enable_progress_bars = False
def slow(b): time.sleep(.4); return b
ds = ray.data.range(3000, override_num_blocks=30).map_batches(slow, batch_size=100)
ds.set_name("tier0_extract")
n = 0
for b in ds.iter_batches(batch_size=200): n += len(b["id"])
assert n == 3000
time.sleep(6)
'`

const pythonHangs = `python -c '
import time, ray
ray.init(address="auto", log_to_driver=False)
print("password=hunter2-and-more", flush=True)
@ray.remote
def embed():
    time.sleep(600)
ray.get(embed.remote())
' --token=not-to-be-seen`

// TestRealRay is one head through everything that a job can meet, with a relay that is killed on the way and a head that is
// started again. Every job is a batch of its own.
func TestRealRay(t *testing.T) {
	t.Parallel()
	rayHome(t)
	s := newRayStand(t, headway(t), rayOptions{})
	h := s.head

	// All at once: most of them wait for nothing but this machine.
	h.submit(rayJob{ID: "gpu-8", Entrypoint: "echo never", GPUs: 8})
	h.submit(rayJob{ID: "gpu-actor", Entrypoint: pythonActors})
	h.submit(rayJob{ID: "gpu-later", Entrypoint: "echo at last", GPUs: 1})
	h.submit(rayJob{ID: "stop-pending", Entrypoint: "echo ran anyway", GPUs: 1})
	h.submit(rayJob{ID: "ok", Entrypoint: "sleep 2; echo ok"})
	h.submit(rayJob{ID: "fails", Entrypoint: "sleep 1; echo password=hunter2-and-more; exit 3"})
	h.submit(rayJob{ID: "stop-running", Entrypoint: "sleep 600"})
	h.submit(rayJob{ID: "bad-env", Entrypoint: "echo no", RuntimeEnv: map[string]any{"working_dir": "http://127.0.0.1:9/none.zip"}})
	h.submit(rayJob{ID: "killed", Entrypoint: "sleep 1; kill -9 $$"})
	h.submit(rayJob{ID: "no-supervisor", Entrypoint: "sleep 600"})
	h.submit(rayJob{ID: "hangs", Entrypoint: pythonHangs, metadata: map[string]string{"headway.batch_id": "hangs", "headway.tier": "0", "headway.namespace": "impatient"}})

	s.shows("stop-running", map[string]any{"status": "RUNNING"})
	h.stop("stop-running")
	s.shows("no-supervisor", map[string]any{"status": "RUNNING"})
	var pid int
	eventually(t, 30*time.Second, "the supervisor's process", func() (err error) { pid, err = h.supervisor("no-supervisor"); return err })
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}

	ok := s.shows("ok", map[string]any{"status": "SUCCEEDED", "exit_code": 0})
	if ok["ray_dashboard_url"] != h.url+"/#/jobs/ok" {
		t.Errorf("its page is %v", ok["ray_dashboard_url"])
	}
	s.stages("ok", "PENDING", "RUNNING", "SUCCEEDED")
	fails := s.shows("fails", map[string]any{"status": "FAILED", "exit_code": 3, "error_type": "JOB_ENTRYPOINT_COMMAND_ERROR"})
	if message := fmt.Sprint(fails["message"]); strings.Contains(message, "hunter2") || !strings.Contains(message, "exit code 3") {
		t.Errorf("its message is %q", message)
	}
	s.stages("fails", "PENDING", "RUNNING", "FAILED")
	s.shows("stop-running", map[string]any{"status": "STOPPED"})
	s.stages("stop-running", "PENDING", "RUNNING", "STOPPED")
	s.shows("bad-env", map[string]any{"status": "FAILED", "error_type": "RUNTIME_ENV_SETUP_FAILURE"})
	s.stages("bad-env", "PENDING", "FAILED")
	s.shows("killed", map[string]any{"status": "FAILED", "exit_code": 137})
	s.stages("killed", "PENDING", "RUNNING", "FAILED")
	dead := s.shows("no-supervisor", map[string]any{"status": "FAILED"})
	if e := fmt.Sprint(dead["error_type"]); !strings.HasPrefix(e, "JOB_SUPERVISOR_ACTOR_") {
		t.Errorf("the killed supervisor is %s", e)
	}

	s.proves()

	// Why the others wait, and that Ray itself calls it infeasible.
	for _, id := range []string{"gpu-later", "stop-pending"} {
		s.waits(id, "PENDING", needs("resources", "GPU", 1))
	}
	s.waits("gpu-8", "PENDING", infeasible("GPU", 8))
	s.waits("gpu-actor", "RUNNING", func(w *waitWord) bool {
		return needs("resources", "GPU", 1)(w) && strings.Contains(w.Detail, "actor Embedder")
	})
	h.stop("stop-pending")
	s.shows("stop-pending", map[string]any{"status": "PENDING"}) // as Ray has it

	// A node with a GPU joins: one after the other they run.
	h.node()
	s.shows("gpu-actor", map[string]any{"status": "SUCCEEDED", "waiting_on": nil})
	s.shows("gpu-later", map[string]any{"status": "SUCCEEDED"})
	s.stages("gpu-later", "PENDING", "RUNNING", "SUCCEEDED")
	eventually(t, 60*time.Second, "the stopped one ends", func() error {
		j, err := s.job("stop-pending")
		if err == nil && j["status"] != "STOPPED" && j["status"] != "FAILED" {
			err = fmt.Errorf("status %v", j["status"])
		}
		return err
	})
	s.shows("gpu-8", map[string]any{"status": "PENDING"})

	s.attach()
	s.killedInTheMiddle()
	s.headStartedAgain()
	s.report()
}

// proves waits for what was seen of a job while it hung: the last lines of its log, the stack of its driver, which only waits, and that
// of its worker. Then the job is stopped.
func (s *rayStand) proves() {
	s.t.Helper()
	var explained struct {
		Health string `json:"health"`
		Cause  struct {
			Code   string `json:"code"`
			Detail string `json:"detail"`
		} `json:"cause"`
		Proofs []map[string]any `json:"proofs"`
	}
	eventually(s.t, 90*time.Second, "the proofs of what hangs", func() error {
		body, err := s.explanation("hangs", "impatient")
		if err != nil {
			return err
		}
		if strings.Contains(body, "hunter2") || strings.Contains(body, "not-to-be-seen") {
			s.t.Fatalf("a secret stands in %s", body)
		}
		if err := json.Unmarshal([]byte(body), &explained); err != nil {
			return err
		}
		text := ""
		for _, p := range explained.Proofs {
			text += fmt.Sprintf("%v of %v (%v) in %v: %v\n", p["kind"], p["process"], p["name"], p["frame"], p["text"])
		}
		for _, want := range []string{"log of driver", "password=[redacted]", "stack of driver (pid ", ") in <string>:8 get: ", "stack of worker (pid ", ", task embed) in <string>:7 embed: "} {
			if !strings.Contains(text, want) {
				return fmt.Errorf("no %q in %s", want, text)
			}
		}
		if explained.Health != "stuck" || !strings.HasPrefix(explained.Cause.Detail, "the worker (pid ") {
			return fmt.Errorf("%+v", explained.Cause)
		}
		return nil
	})
	s.head.stop("hangs")
}

// attach asks the head what it offers, in a terminal.
func (s *rayStand) attach() {
	s.t.Helper()
	s.head.submit(rayJob{ID: "plain", Entrypoint: "true", metadata: map[string]string{}})
	s.head.submit(rayJob{ID: "no-tier", Entrypoint: "true", metadata: map[string]string{"headway.batch_id": "b"}})
	for _, c := range []struct {
		args []string
		code int
		says []string
	}{
		{[]string{"--check", "--ray-token", "*=" + rayToken, "here=" + s.head.url}, 0, []string{
			"here  Ray 2.", "✓ jobs API", "✓ state API", "✓ autoscaler", "✓ cluster events", "✓ Ray Data", "✓ stacks", "✗ event export", "RAY_enable_ray_event=1",
			"default/ok tier 1", "2 jobs are not", "names no batch", "names batch b and no tier",
		}},
		{[]string{"--check", s.head.url}, 3, []string{"--ray-token"}},
		{[]string{"--check", "http://127.0.0.1:1"}, 3, []string{"127.0.0.1:1"}},
		{[]string{"--check", "ftp://x"}, 80, []string{"URL"}},
		{[]string{"--check", "--nats-url", "nats://127.0.0.1:1", s.head.url}, 3, []string{"--nats-url"}},
	} {
		args := append([]string{"attach", "--nats-url", s.run.nats}, c.args...)
		cmd := exec.Command(s.binary, args...)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != c.code {
			s.t.Errorf("%v: exit code %d, want %d\n%s", c.args, code, c.code, out)
		}
		for _, says := range c.says {
			if !strings.Contains(string(out), says) {
				s.t.Errorf("%v doesn't say %q:\n%s", c.args, says, out)
			}
		}
		if strings.Contains(string(out), rayToken) {
			s.t.Errorf("it prints the token:\n%s", out)
		}
	}
}

// killedInTheMiddle kills headway while a job of Ray Data runs, and starts it again.
func (s *rayStand) killedInTheMiddle() {
	s.t.Helper()
	s.head.submit(rayJob{ID: "data", Entrypoint: pythonData})
	progress := func() (done, total float64) {
		snapshot, _ := s.run.snapshot("data")
		tiers, _ := snapshot["tiers"].([]any)
		if len(tiers) == 0 {
			return 0, 0
		}
		p, _ := tiers[0].(map[string]any)["progress"].(map[string]any)
		done, _ = p["processed_documents"].(float64)
		total, _ = p["total_documents"].(float64)
		return done, total
	}
	eventually(s.t, 90*time.Second, "rows before the end", func() error {
		done, total := progress()
		if done <= 0 || total != 3000 {
			return fmt.Errorf("%v of %v rows", done, total)
		}
		return nil
	})
	s.head.submit(rayJob{ID: "through", Entrypoint: "sleep 12"}) // longer than it takes to be seen
	s.shows("through", map[string]any{"status": "RUNNING"})
	_ = s.run.cmd.Process.Kill()
	_ = s.run.cmd.Wait()
	eventually(s.t, 60*time.Second, "a job ends while nobody looks", func() error {
		var j struct {
			Status string `json:"status"`
		}
		if err := s.head.get("/api/jobs/"+url.PathEscape("through"), &j); err != nil || j.Status != "SUCCEEDED" {
			return fmt.Errorf("%s %w", j.Status, err)
		}
		return nil
	})
	s.start()
	s.shows("through", map[string]any{"status": "SUCCEEDED", "exit_code": 0})
	s.shows("data", map[string]any{"status": "SUCCEEDED"})
	eventually(s.t, 30*time.Second, "all rows", func() error {
		if done, total := progress(); done != 3000 || total != 3000 {
			return fmt.Errorf("%v of %v rows", done, total)
		}
		return nil
	})
}

// headStartedAgain kills the head while jobs live: it comes back knowing none of them.
func (s *rayStand) headStartedAgain() {
	s.t.Helper()
	h := s.head
	h.submit(rayJob{ID: "lost", Entrypoint: "sleep 600"})
	running := s.shows("lost", map[string]any{"status": "RUNNING"})
	h.kill()
	h.start()
	h.submit(rayJob{ID: "after", Entrypoint: "echo a new life"})
	lost := s.shows("lost", map[string]any{"status": "FAILED", "error_type": "orphaned"})
	if m := fmt.Sprint(lost["message"]); !strings.Contains(m, "started again") || !strings.Contains(m, fmt.Sprint(running["session"])) {
		s.t.Errorf("the evidence is %q", m)
	}
	s.shows("gpu-8", map[string]any{"status": "FAILED", "error_type": "orphaned"})
	after := s.shows("after", map[string]any{"status": "SUCCEEDED"})
	if after["session"] == running["session"] {
		s.t.Errorf("both lives are session %v", after["session"])
	}
	s.shows("ok", map[string]any{"status": "SUCCEEDED"})
}

// report tells how long facts took until they were events, without judging: this machine does much else.
func (s *rayStand) report() {
	s.heard.mu.Lock()
	defer s.heard.mu.Unlock()
	slices.Sort(s.heard.times)
	if n := len(s.heard.times); n > 0 {
		s.t.Logf("from a fact to its event, of %d (those republished after the kill too): median %v", n, s.heard.times[n/2].Round(time.Millisecond))
	}
}
