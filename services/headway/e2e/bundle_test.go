package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/headwayhq/headway/services/headway/bundle"
)

// explained is what of an explanation doesn't depend on when it was asked for.
type explained struct {
	Status, Health, Rule string
	Since                time.Time
	Cause                struct {
		Code, Certainty, Sentence string
		Evidence                  []string
	}
	Tiers []struct {
		Signal, Finding string
		Since           time.Time
	}
	Steps []struct {
		Events []struct {
			ID, Source string
			Time       time.Time
		}
	}
}

// moved are the same with all times moved.
func (x explained) moved(by time.Duration) explained {
	var out explained
	text, err := json.Marshal(x)
	if err != nil || json.Unmarshal(text, &out) != nil {
		panic(err)
	}
	out.Since = out.Since.Add(by)
	for i := range out.Tiers {
		out.Tiers[i].Since = out.Tiers[i].Since.Add(by)
	}
	for i := range out.Steps {
		for j := range out.Steps[i].Events {
			e := &out.Steps[i].Events[j]
			e.Time = e.Time.Add(by)
		}
	}
	return out
}

func untar(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(h.Name, "/")
		out[name] = string(text)
	}
}

// A bundle of a running Headway has all parts and no secret, and another Headway to which its batch is played explains that batch as the
// first one did.
func TestBundle(t *testing.T) {
	natsServer, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), Username: "u", Password: "planted-nats-password", NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	natsServer.Start()
	t.Cleanup(func() { natsServer.Shutdown(); natsServer.WaitForShutdown() })
	if !natsServer.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS isn't ready")
	}
	natsURL := strings.Replace(natsServer.ClientURL(), "nats://", "nats://u:planted-nats-password@", 1)
	dir, data := t.TempDir(), t.TempDir()
	policy := filepath.Join(dir, "policy.yaml")
	config := "ray-events-secret: planted-webhook-secret\nray-token: {'*': planted-ray-token}\nlog-level: debug\n"
	for name, text := range map[string]string{policy: "default: {grace: 1s, scaling_delay: 500ms}", filepath.Join(dir, "headway.yaml"): config} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary := headway(t)
	r := runHeadway(t, binary, data, "--policy", policy, "--nats-url", natsURL, "--ray-events-secret", "planted-webhook-secret", "--ops-listen", "127.0.0.1:0")
	r.stuck("b")
	r.say("b", "job", `{"tier_num":0,"submission_id":"other","status":"FAILED","message":"planted-message of Jane Roe","submission_params":{"env_vars":{"A":"planted-variable"}},
		"dashboard_url":"https://u:planted-user-info@h/"}`)
	ask := func(base string) (x explained) {
		t.Helper()
		eventually(t, 10*time.Second, "b is explained as stuck", func() error {
			res, err := http.Get(base + "/v1/analytics/performance/batches/b/diagnostics/explain")
			if err != nil {
				return err
			}
			defer res.Body.Close()
			x = explained{}
			if err = json.NewDecoder(res.Body).Decode(&x); err == nil && x.Health != "stuck" {
				err = fmt.Errorf("status %d, %s", res.StatusCode, x.Health)
			}
			return err
		})
		return x
	}
	ask(r.api)

	write := func(args ...string) map[string]string {
		t.Helper()
		file := filepath.Join(dir, "bundle.tar.gz")
		cmd := exec.Command(binary, append([]string{"bundle", "b", "--url", r.api, "--nats-url", natsURL, "--data-dir", data, "--token", "planted-token", "--file", file}, args...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "HEADWAY_RAY_EVENTS_SECRET=planted-webhook-secret")
		cmd.SysProcAttr = endsWithUs()
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "planted") {
			t.Fatalf("%v\n%s", err, out)
		}
		archive, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return untar(t, archive)
	}
	got := write()
	all := fmt.Sprint(got)
	if i := strings.Index(all, "planted"); i >= 0 || strings.Contains(all, "Jane Roe") {
		t.Errorf("something planted is there: …%s…", all[max(0, i-200):i+200])
	}
	var m bundle.Manifest
	if err := json.Unmarshal([]byte(got[bundle.ManifestName]), &m); err != nil {
		t.Fatal(err)
	}
	for name, has := range map[string]string{
		"config.json": "log-level", "doctor.jsonl": `"check":"lag"`, "streams.json": "HEADWAY_HISTORY", "partitions.json": `"serving": true`, "versions.json": `"nats"`,
		bundle.EventsName: `"submission_id":"raysubmit_a"`, "batch/view.json": `"Revision"`, "batch/diagnostics.json": `"blocked_reason"`, "batch/explanation.json": "PLACEMENT", "batch/timeline.json": "job",
	} {
		if !strings.Contains(got[name], has) {
			t.Errorf("%s has no %s: %s", name, has, got[name])
		}
	}
	for _, missing := range m.Missing { // metrics are served at the other address, so nothing says the server's version
		if missing.Name != "metrics/api.txt" && missing.Name != "versions.json" {
			t.Errorf("missing: %+v", missing)
		}
	}
	before := explained{}
	if err := json.Unmarshal([]byte(got["batch/explanation.json"]), &before); err != nil {
		t.Fatal(err)
	}

	other := runHeadway(t, binary, t.TempDir(), "--policy", policy)
	if _, said, code := plainly(t, nil, binary, "demo", "--url", other.api, "--scenario", filepath.Join(dir, "bundle.tar.gz")); code != 0 || !strings.Contains(said, "4 events of the batch b are stored") {
		t.Fatalf("%d: %s", code, said)
	}
	after := ask(other.api)
	if want := before.moved(after.Since.Sub(before.Since)); !reflect.DeepEqual(after, want) || len(after.Steps) == 0 {
		t.Errorf("explained as\n%+v, and before as\n%+v", after, want)
	}
	if _, said, code := plainly(t, nil, binary, "demo", "--url", other.api, "--scenario", filepath.Join(dir, "bundle.tar.gz")); code != 1 || !strings.Contains(said, "is there already") {
		t.Errorf("again: %d: %s", code, said)
	}

	// What can't be reached doesn't keep the rest back.
	natsServer.Shutdown()
	rest := write("--with-messages", "--timeout", "1s")
	if !strings.Contains(rest["batch/diagnostics.json"], "Jane Roe") || rest[bundle.EventsName] != "" || !strings.Contains(rest[bundle.ManifestName], "can't be reached") {
		t.Errorf("without NATS: %s", rest[bundle.ManifestName])
	}
}
