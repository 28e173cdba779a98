package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// waiting is a headway wait that runs.
type waiting struct {
	cmd  *exec.Cmd
	out  bytes.Buffer
	mu   sync.Mutex
	side bytes.Buffer
}

// Write takes standard error.
func (w *waiting) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.side.Write(p)
}

func (w *waiting) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.side.String()
}

func startWait(t *testing.T, binary string, args ...string) *waiting {
	t.Helper()
	w := &waiting{cmd: exec.Command(binary, append([]string{"wait"}, args...)...)}
	w.cmd.Env = append(os.Environ(), "HEADWAY_CONTEXTS="+filepath.Join(t.TempDir(), "contexts.yaml"))
	w.cmd.Stdout, w.cmd.Stderr = &w.out, w
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.cmd.Process.Kill() })
	return w
}

func (w *waiting) ends(t *testing.T, code int, says string) {
	t.Helper()
	err := w.cmd.Wait()
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if got != code || !strings.Contains(w.out.String()+w.side.String(), says) {
		t.Errorf("exit code %d, want %d, and %q in\n%s%s", got, code, says, w.out.String(), w.side.String())
	}
}

// TestWait waits as scripts do: across a restart of the API, for what comes and what doesn't, with the documented exit codes.
func TestWait(t *testing.T) {
	binary, dir := headway(t), t.TempDir()
	policy := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte("default: {grace: 1s, scaling_delay: 500ms}"), 0o600); err != nil {
		t.Fatal(err)
	}
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	run := func() *running { return runHeadway(t, binary, dir, "--listen", listen, "--policy", policy) }
	r := run()
	url := "--url=" + r.api
	report := filepath.Join(dir, "report.xml")

	w := startWait(t, binary, url, "late", "restarted", "--report", report)
	eventually(t, 30*time.Second, "it waits for a batch that nobody has heard of", func() error {
		if text := w.said(); strings.Count(text, "nobody has reported this batch") != 2 {
			return errors.New(text)
		}
		return nil
	})
	r.say("restarted", "batch", `{"status":"PROCESSING","total_tiers":1}`)
	eventually(t, 30*time.Second, "it follows", func() error {
		if text := w.said(); !strings.Contains(text, "  PROCESSING  tier 1 of 1") {
			return errors.New(text)
		}
		return nil
	})
	if err := r.cmd.Process.Kill(); err != nil { // not with a farewell
		t.Fatal(err)
	}
	_ = r.cmd.Wait()
	eventually(t, 30*time.Second, "it notices", func() error {
		if text := w.said(); !strings.Contains(text, "not connected") {
			return errors.New(text)
		}
		return nil
	})
	r = run()
	r.say("restarted", "batch", `{"status":"COMPLETED"}`)
	r.say("late", "batch", `{"status":"COMPLETED"}`)
	w.ends(t, 0, "restarted  reached: COMPLETED")
	if text, err := os.ReadFile(report); err != nil || !strings.Contains(string(text), `tests="2" failures="0" errors="0"`) {
		t.Errorf("%v\n%s", err, text)
	}

	r.stuck("stuck")
	r.say("failed", "batch", `{"status":"PROCESSING"}`)
	r.say("failed", "batch", `{"status":"FAILED","error":"no codec"}`)
	for _, x := range []struct {
		args string
		code int
		says string
	}{
		{"stuck --for stuck", 0, "stuck  reached: stuck  PROCESSING, PLACEMENT:TOO_LARGE: No node can take the job"},
		{"failed", 1, "failed  ended: FAILED"},
		{"failed --for over --quiet", 0, "failed  reached: FAILED"},
		{"restarted --for stuck", 1, "restarted  ended: COMPLETED"},
		{"failed nobody --timeout 1s --json", 4, `"outcome":"timeout","status":null`},
		{"stuck --timeout 1s", 4, "not completed after 1 s; stuck  PROCESSING"},
		{"x --url http://127.0.0.1:1 --wait 1s", 3, "headway: x: --url: http://127.0.0.1:1 can't be reached"},
		{"x --url http://127.0.0.1:1 --timeout 1s", 3, "the API didn't answer at the end"},
		{"x --report " + dir, 80, ""},
		{"x --for done", 80, ""},
	} {
		startWait(t, binary, append([]string{url}, strings.Fields(x.args)...)...).ends(t, x.code, x.says)
	}
}
