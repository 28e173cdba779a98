package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// say sends one event of a batch.
func (r *running) say(batch, kind, data string) {
	r.t.Helper()
	now := time.Now().UTC().Format(time.RFC3339Nano)
	event := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"test","type":"dev.headway.%s.v1","subject":%q,"time":%q,"data":%s}`, now+kind, kind, batch, now, data)
	if code, answer := r.post("application/cloudevents+json", event, nil); code != http.StatusAccepted {
		r.t.Fatalf("%d %s", code, answer)
	}
}

// stuck makes a batch whose job asks for what no node offers.
func (r *running) stuck(batch string) {
	r.t.Helper()
	r.say(batch, "batch", `{"status":"PROCESSING","total_tiers":2}`)
	r.say(batch, "tier", `{"tier_num":0,"processed_documents":40,"total_documents":100,"requires_gpu":true}`)
	since := time.Now().UTC().Format(time.RFC3339Nano) // after the progress
	r.say(batch, "job", `{"submission_id":"raysubmit_a","tier_num":0,"status":"PENDING","waiting_on":{"kind":"resources","since":"`+since+`",
		"demand":{"GPU":1},"offered":{"GPU":0},"infeasible":true,"nodes_pending":0}}`)
}

func watched(t *testing.T) (binary string, r *running) {
	t.Helper()
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte("default: {grace: 1s, scaling_delay: 500ms}"), 0o600); err != nil {
		t.Fatal(err)
	}
	binary = headway(t)
	return binary, runHeadway(t, binary, t.TempDir(), "--policy", policy)
}

var sgrColour = regexp.MustCompile("\x1b\\[[0-9;]*(3[0-7]|9[0-7]|38|48)[0-9;]*m")

// TestWatch does what a person does with headway watch, in each kind of terminal.
func TestWatch(t *testing.T) {
	binary, r := watched(t)
	for _, batch := range []string{"a", "b", "c"} {
		r.stuck(batch)
	}
	url := []string{"--url", r.api}
	watch := func(args ...string) []string { return append(append([]string{"watch"}, url...), args...) }

	t.Run("stuck, resized, moved, done", func(t *testing.T) {
		x := openTerminal(t, 100, 30, nil, binary, watch("a")...)
		x.shows("■ stuck", "cause", "GPU", "proof", "since", "waits for resources", "offered 0 GPUs", "next", "tier 1", "████", "40 % PROCESSING 40 of 100", ", live")
		x.mu.Lock()
		coloured := sgrColour.Match(x.raw.Bytes())
		x.mu.Unlock()
		if !coloured {
			t.Error("no colours in a terminal that has them")
		}
		x.resize(40, 40)
		x.shows("■ stuck", "offered", "40 %", ", live")
		eventually(t, 10*time.Second, "nothing left of the wide screen", func() error {
			for _, line := range strings.Split(x.text(), "\n") {
				if len([]rune(line)) > 40 {
					return fmt.Errorf("%q", line)
				}
			}
			return nil
		})
		x.resize(120, 6)
		x.shows("■ stuck", "↓ more")
		x.press("G")
		x.shows("as of")
		x.resize(100, 30)
		r.say("a", "job", `{"submission_id":"raysubmit_a","tier_num":0,"status":"RUNNING"}`)
		r.say("a", "tier", `{"tier_num":0,"processed_documents":90,"total_documents":100}`)
		x.shows("● ok", "90 %")
		r.say("a", "batch", `{"status":"COMPLETED"}`)
		x.exits(0)
		x.shows("a COMPLETED") // on the screen that was there before
	})
	if t.Failed() {
		return // what follows counts on batch a being done
	}
	t.Run("Ctrl-C", func(t *testing.T) {
		x := openTerminal(t, 80, 24, nil, binary, watch("b", "c")...)
		x.shows("b PROCESSING", "c PROCESSING")
		x.press("\x03")
		x.exits(3)
		x.shows("interrupted", "b stuck PROCESSING")
	})
	t.Run("SIGTERM", func(t *testing.T) {
		x := openTerminal(t, 80, 24, nil, binary, watch("b")...)
		x.shows("■ stuck")
		if err := x.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		x.exits(3)
	})
	t.Run("NO_COLOR", func(t *testing.T) {
		x := openTerminal(t, 80, 24, []string{"NO_COLOR=1"}, binary, watch("--all")...)
		x.shows("2 stuck", "■ stuck", "b ", "c ")
		x.press("q")
		x.exits(3)
		x.mu.Lock()
		defer x.mu.Unlock()
		if c := sgrColour.Find(x.raw.Bytes()); c != nil {
			t.Errorf("a colour: %q", c)
		}
	})
	t.Run("TERM=dumb", func(t *testing.T) {
		x := openTerminal(t, 80, 24, []string{"TERM=dumb"}, binary, watch("--all", "--health", "stuck")...)
		x.shows("b stuck PROCESSING")
		x.press("\x03") // a signal, by the terminal
		x.exits(3)
		x.mu.Lock()
		defer x.mu.Unlock()
		if strings.Contains(x.raw.String(), "\x1b") {
			t.Errorf("steers a terminal that can't be: %q", x.raw.String())
		}
	})
	t.Run("no terminal", func(t *testing.T) {
		finished := make(chan [3]any, 1)
		go func() {
			out, side, code := plainly(t, []string{"TERM=xterm"}, binary, watch("b", "c")...)
			finished <- [3]any{out, side, code}
		}()
		r.say("b", "tier", `{"tier_num":0,"status":"FAILED","error":"gone \u001b[2J"}`)
		r.say("b", "batch", `{"status":"FAILED"}`)
		r.say("c", "batch", `{"status":"COMPLETED_WITH_ERRORS"}`)
		got := <-finished
		out, _ := got[0].(string)
		if got[2] != 1 || !strings.Contains(out, "b  FAILED") || !strings.Contains(out, "c  ") || strings.Contains(out, "\x1b") {
			t.Errorf("%v", got)
		}
	})
	t.Run("codes", func(t *testing.T) {
		for _, x := range []struct {
			args []string
			code int
			out  string
			says string
		}{
			{watch("a", "--json"), 0, `"status":"COMPLETED"`, ""},
			{watch("a", "c", "--json"), 2, `"status":"COMPLETED_WITH_ERRORS"`, ""},
			{watch("a", "b", "c"), 1, "FAILED", ""},
			{watch("a", "none", "--timeout", "200ms"), 3, "COMPLETED", "waited 200ms in vain: no batch none in the namespace default"},
			{watch("a", "none", "--timeout", "200ms", "--json"), 3, `"status":"COMPLETED"`, "none: nobody has reported this batch in the namespace default yet; waiting for it to begin"},
			{watch("--all", "--timeout", "1s"), 80, "", "--timeout"},
			{[]string{"watch", "a", "--url", "http://127.0.0.1:1", "--wait", "300ms"}, 3, "", "--url: http://127.0.0.1:1 can't be reached"},
			{watch(), 80, "", "--all"},
			{watch("a", "--health", "stuck"), 80, "", "--health"},
		} {
			out, side, code := plainly(t, nil, binary, x.args...)
			if code != x.code || !strings.Contains(out, x.out) || !strings.Contains(side, x.says) {
				t.Errorf("%v: %d\n%s\n%s", x.args, code, out, side)
			}
			if strings.Contains(strings.Join(x.args, " "), "--json") {
				for line := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
					if !json.Valid([]byte(line)) {
						t.Errorf("not JSON: %s", line)
					}
				}
			}
		}
	})
}

// A watch of an unknown batch waits, says so once, and shows the batch when it begins.
func TestWatchWaitsForABatch(t *testing.T) {
	binary, r := watched(t)
	x := openTerminal(t, 100, 30, nil, binary, "watch", "later", "--url", r.api)
	x.shows("later", "nobody has reported this batch in the namespace default yet; waiting for it to begin live")
	lines := openTerminal(t, 200, 30, nil, binary, "watch", "later", "--lines", "--timeout", "1h", "--url", r.api)
	lines.shows("later: nobody has reported this batch in the namespace default yet; waiting for it to begin")
	r.say("later", "batch", `{"status":"PROCESSING","total_tiers":1}`)
	r.say("later", "tier", `{"tier_num":0,"processed_documents":7,"total_documents":10}`)
	x.shows("later PROCESSING", "70 %", ", live")
	if text := x.text(); strings.Contains(text, "nobody has reported") {
		t.Errorf("it still waits:\n%s", text)
	}
	r.say("later", "batch", `{"status":"COMPLETED"}`)
	x.exits(0)
	lines.exits(0)
	if text := lines.text(); !strings.Contains(text, "COMPLETED") || strings.Count(text, "waiting") != 1 {
		t.Error(text)
	}
}

// The API goes away and comes back: the data stays, the next try is shown, and the view goes on.
func TestWatchThroughAnOutage(t *testing.T) {
	binary, dir := headway(t), t.TempDir()
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	r := runHeadway(t, binary, dir, "--listen", listen)
	r.say("o", "batch", `{"status":"PROCESSING","total_tiers":1}`)
	r.say("o", "tier", `{"tier_num":0,"processed_documents":7,"total_documents":100}`)
	x := openTerminal(t, 90, 24, nil, binary, "watch", "o", "--url", "http://"+listen)
	x.shows("7 %", ", live")
	r.interrupt()
	x.shows("7 %", "disconnected", "connection refused", "next try in")
	r = runHeadway(t, binary, dir, "--listen", listen)
	x.shows("7 %", ", live")
	r.say("o", "batch", `{"status":"COMPLETED"}`)
	x.exits(0)
}

// A bash completes verbs, flags and the values of flags.
func TestCompletionInBash(t *testing.T) {
	binary := headway(t)
	dir := filepath.Dir(binary)
	for typed, want := range map[string]string{
		"headway wat\t":                "headway watch ",
		"headway watch --hea\t":        "headway watch --health ",
		"headway watch --health st\t":  "headway watch --health stuck ",
		"headway dlq rep\t":            "headway dlq republish ",
		"headway doctor --redis-ur\t":  "headway doctor --redis-url ",
		"headway completion z\t":       "headway completion zsh ",
		"headway list --json --lim\t5": "headway list --json --limit 5",
	} {
		x := openTerminal(t, 100, 10, []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "PS1=$ ", "HISTFILE="}, "bash", "--norc", "--noprofile")
		x.press("PS1='$ '; source <(headway completion bash); echo rea''dy\r")
		x.shows("ready")
		x.press(typed)
		x.shows("$ " + strings.TrimSpace(want))
		x.press("|\x01echo '") // quote what stands there and print it
		x.press("\x05'\r")
		x.shows(want + "|")
		x.press("exit\r")
		x.exits(0)
	}
}
