package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/headwaytest"
)

// running is a headway run as a child.
type running struct {
	t         *testing.T
	cmd       *exec.Cmd
	api, nats string
}

func headway(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "headway")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/headwayhq/headway/services/headway").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func runHeadway(t *testing.T, binary, dir string, more ...string) *running {
	t.Helper()
	args := append([]string{"run", "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--data-dir", dir}, more...)
	r := &running{t: t, cmd: exec.Command(binary, args...)}
	r.cmd.SysProcAttr = endsWithUs()
	var said tail
	r.cmd.Stderr = &said
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		saved := flock.New(filepath.Join(dir, "redis", "lock"))
		_, _ = saved.TryLockContext(context.Background(), 10*time.Millisecond) // its redis-server may still be saving views into dir
		_ = saved.Close()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no ready line: %v", err)
	}
	if _, err := fmt.Sscanf(line, "ready api=%s nats=%s", &r.api, &r.nats); err != nil {
		t.Fatalf("ready line %q: %v", line, err)
	}
	return r
}

// interrupt sends SIGINT, as Ctrl-C does, and returns how long the end took.
func (r *running) interrupt() time.Duration {
	r.t.Helper()
	began := time.Now()
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		r.t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		r.t.Errorf("it ended with %v", err)
	}
	return time.Since(began)
}

func (r *running) post(contentType, body string, header map[string]string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.api+"/v1/events", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(answer)
}

func (r *running) snapshot(batch string) (map[string]any, int) {
	r.t.Helper()
	res, err := http.Get(r.api + "/v1/analytics/performance/batches/" + batch + "/diagnostics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	var s map[string]any
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
		r.t.Fatal(err)
	}
	return s, res.StatusCode
}

func (r *running) shows(batch, field string, want any) {
	r.t.Helper()
	eventually(r.t, 10*time.Second, batch+" shows "+field, func() error {
		s, code := r.snapshot(batch)
		if fmt.Sprint(s[field]) != fmt.Sprint(want) {
			return fmt.Errorf("%d, %s is %v, want %v", code, field, s[field], want)
		}
		return nil
	})
}

// TestRun is the first minute of a new user: start, send in four ways, read, interrupt with a stream open,
// start again.
func TestRun(t *testing.T) {
	binary, dir := headway(t), t.TempDir()
	r := runHeadway(t, binary, dir)
	now := time.Now().UTC().Format(time.RFC3339Nano)
	event := func(batch string) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":"1","source":"test","type":"dev.headway.batch.v1","subject":%q,"time":%q,"data":{"status":"PROCESSING","name":"four ways"}}`, batch, now)
	}

	if code, answer := r.post("application/cloudevents+json", event("http-structured"), nil); code != http.StatusAccepted {
		t.Fatalf("structured: %d %s", code, answer)
	}
	code, answer := r.post("application/json", `{"status":"PROCESSING","name":"four ways"}`, map[string]string{
		"ce-specversion": "1.0", "ce-id": "1", "ce-source": "test", "ce-type": "dev.headway.batch.v1", "ce-subject": "http-binary", "ce-time": now,
	})
	if code != http.StatusAccepted {
		t.Fatalf("binary: %d %s", code, answer)
	}
	if code, answer = r.post("application/cloudevents-batch+json", "["+event("http-batch")+"]", nil); code != http.StatusAccepted {
		t.Fatalf("batch: %d %s", code, answer)
	}
	code, answer = r.post("application/cloudevents-batch+json", "["+event("not-kept")+`,{"specversion":"1.0","id":"1","source":"s","type":"dev.headway.tier.v1","subject":"x","time":"`+now+`","data":{"tier_num":-1}}]`, nil)
	if code != http.StatusBadRequest || !strings.Contains(answer, "tier_num") || !strings.Contains(answer, `1`) {
		t.Errorf("a bad batch: %d %s", code, answer)
	}

	nc, err := nats.Connect(r.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.Publish("headway.events.default.plain-nats.batch", []byte(event("plain-nats"))); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(nc, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now() // an older event may be stuck a moment later, which changes the revision
	for range 2 {    // sent again, it counts once
		e := client.Event{Batch: "go-client", Time: at, Data: &client.Batch{Status: "PROCESSING", Name: "four ways"}}
		if err := c.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines := event("cli") + "\n\nnot json\n" + event("cli-2") + "\n"
	cmd := exec.Command(binary, "publish", "--nats-url", r.nats)
	cmd.Stdin = strings.NewReader(lines)
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !bytes.Contains(out, []byte("line 3:")) || !bytes.Contains(out, []byte("2 events acknowledged, 1 refused")) {
		t.Errorf("publish: exit code %d (%v)\n%s", code, err, out)
	}
	for _, batch := range []string{"http-structured", "http-binary", "http-batch", "plain-nats", "go-client", "cli", "cli-2"} {
		r.shows(batch, "batch_name", "four ways")
	}
	if _, code := r.snapshot("not-kept"); code != http.StatusNotFound {
		t.Errorf("a good event of a refused batch: %d", code)
	}
	before, _ := r.snapshot("go-client")
	readVerbs(t, binary, r.api)

	// A dead letter, corrected.
	if err := nc.Publish("headway.events.default.corrected.batch", []byte("poison")); err != nil {
		t.Fatal(err)
	}
	var id string
	eventually(t, 10*time.Second, "a dead letter", func() error {
		out, err := exec.Command(binary, "dlq", "list", "--json", "--nats-url", r.nats).Output()
		if err != nil {
			return err
		}
		var l struct{ ID, Reason string }
		if err := json.Unmarshal(out, &l); err != nil {
			return fmt.Errorf("%q: %w", out, err)
		}
		id = l.ID
		return nil
	})
	cmd = exec.Command(binary, "dlq", "republish", id, "--nats-url", r.nats)
	cmd.Stdin = strings.NewReader(event("corrected"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("republish: %v\n%s", err, out)
	}
	r.shows("corrected", "status", "PROCESSING")

	// Interrupted with a stream open, and started again.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	open := make(chan struct{}, 16)
	go func() {
		_ = sse(ctx, r.api+"/v1/analytics/performance/batches/go-client/diagnostics/stream", func(string, string, []byte) {
			select {
			case open <- struct{}{}:
			default:
			}
		})
	}()
	select {
	case <-open:
	case <-time.After(10 * time.Second):
		t.Fatal("no frame")
	}
	t.Logf("interrupted with a stream open: ended after %v", r.interrupt())
	cancel()
	again := runHeadway(t, binary, dir)
	after, _ := again.snapshot("go-client")
	if fmt.Sprint(before["view"].(map[string]any)["id"]) != fmt.Sprint(after["view"].(map[string]any)["id"]) {
		t.Errorf("after a restart the revision is another: %v, %v", before["view"], after["view"])
	}
}

// readVerbs asks the API with get, explain and list.
func readVerbs(t *testing.T, binary, url string) {
	t.Helper()
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"get", "http-batch"}, 0, "http-batch  PROCESSING  "},
		{[]string{"get", "http-batch", "--json"}, 0, `"batch_id":"http-batch"`},
		{[]string{"explain", "http-batch"}, 0, "If nothing is heard"},
		{[]string{"explain", "http-batch", "--json"}, 0, `"not_taken":[`},
		{[]string{"list", "-q", "P-BAT", "--health", "scaling,stuck", "--status", "PROCESSING"}, 0, "http-batch"},
		{[]string{"list", "--json", "--limit", "1", "--sort", "newest"}, 0, `"spark":`},
		{[]string{"list", "--status", "DONE"}, 80, "--status"},
		{[]string{"get", "nothing-of-that"}, 3, "no batch nothing-of-that in the namespace default"},
		{[]string{"explain", "http-batch", "--namespace", "other"}, 3, "in the namespace other"},
		{[]string{"get", "http-batch", "--url", "http://127.0.0.1:1"}, 3, "--url: http://127.0.0.1:1 can't be reached"},
	} {
		cmd := exec.Command(binary, append(c.args, "--url", url)...)
		if strings.Contains(strings.Join(c.args, " "), "--url") {
			cmd = exec.Command(binary, c.args...)
		}
		out, _ := cmd.CombinedOutput()
		code := cmd.ProcessState.ExitCode()
		if code != c.code || !strings.Contains(string(out), c.says) {
			t.Errorf("%v: exit code %d, says %s", c.args, code, out)
		}
	}
}

// A configuration that can't work is reported in plain words, with its flag.
func TestRunRefuses(t *testing.T) {
	binary := headway(t)
	r := runHeadway(t, binary, t.TempDir())
	taken := natsWithStream(t, "AUDIT", "headway.events.default.>")
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte("default: {windw: 3s}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--listen", strings.TrimPrefix(r.api, "http://")}, "--listen"},
		{[]string{"--listen", "127.0.0.1:0", "--nats-listen", strings.TrimPrefix(r.nats, "nats://")}, "--nats-listen"},
		{[]string{"--listen", "0.0.0.0:0"}, "there is no access control"},
		{[]string{"--listen", "127.0.0.1:0", "--nats-listen", "0.0.0.0:0"}, "--nats-listen: the embedded NATS takes no credentials"},
		{[]string{"--policy", policy}, "windw"},
		{[]string{"--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--redis-url", "nonsense"}, "--redis-url"},
		{[]string{"--listen", "127.0.0.1:0", "--nats-url", r.nats, "--partitions", "7"}, "partitions"},
		{[]string{"--listen", "127.0.0.1:0", "--nats-url", taken}, "another stream has these subjects: stream AUDIT"},
	} {
		out, err := exec.Command(binary, append([]string{"run", "--data-dir", t.TempDir()}, c.args...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.says) {
			t.Errorf("%v: %v, says %s", c.args, err, out)
		}
	}
}

// natsWithStream is the address of a NATS server that has a stream of somebody else.
func natsWithStream(t *testing.T, name, subject string) string {
	t.Helper()
	s := headwaytest.NATS(t)
	js, err := jetstream.New(s.Conn())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subject}}); err != nil {
		t.Fatal(err)
	}
	return s.URL()
}
