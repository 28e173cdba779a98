package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/services/headway/app"
	"github.com/headwayhq/headway/services/internal/program"
)

// startRun starts a headway run in this process on embedded servers, and waits until it is ready.
func startRun(t *testing.T, dir string) *program.Program {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	p, err := inProcess(t, func(f app.Flags, log *slog.Logger) (*program.Program, error) {
		h, err := app.New(f, log)
		if err != nil {
			return nil, err
		}
		return h.Program, nil
	}, "--nats-listen", "127.0.0.1:0", "--data-dir", dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	eventually(t, 20*time.Second, "ready", func() error { return p.Ready(t.Context()) })
	return p
}

// child is the redis-server of a headway run: its client and its process.
func child(t *testing.T, dir string) (*redis.Client, *os.Process) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("SKIPPED: no redis-server on this machine")
	}
	running, err := app.ReadRunning(dir)
	if err != nil {
		t.Fatal(err)
	}
	o, err := redis.ParseURL(running.Redis)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	process, err := os.FindProcess(pidOf(t, client))
	if err != nil {
		t.Fatal(err)
	}
	return client, process
}

// A redis-server that is killed is started again within a second, readyz reports what happened, and the views are rebuilt without
// anybody's help.
func TestRunOutlivesItsRedis(t *testing.T) {
	dir := t.TempDir()
	p := startRun(t, dir)
	client, process := child(t, dir)
	event := fmt.Sprintf(`{"specversion":"1.0","id":"1","source":"test","type":"dev.headway.batch.v1","subject":"b","time":%q,"data":{"status":"PROCESSING"}}`, time.Now().UTC().Format(time.RFC3339Nano))
	res, err := http.Post("http://"+p.Addr()+"/v1/events", "application/cloudevents+json", strings.NewReader(event))
	if err != nil || res.StatusCode != http.StatusAccepted {
		t.Fatal(res, err)
	}
	_ = res.Body.Close()
	const batch = "/v1/analytics/performance/batches/b/diagnostics"
	known := func() error {
		if code, body := ask(p, batch); code != http.StatusOK || !strings.Contains(body, `"PROCESSING"`) {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	}
	eventually(t, 10*time.Second, "the batch", known)
	killed := time.Now()
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "Redis again", func() error { return client.Ping(t.Context()).Err() })
	t.Logf("Redis answered again after %v", time.Since(killed))
	eventually(t, 20*time.Second, "readyz says what happened", func() error {
		if _, body := ask(p, "/readyz"); !strings.Contains(body, "redis-server ended at ") || !strings.Contains(body, "killed") {
			return errors.New(body)
		}
		return nil
	})
	eventually(t, 30*time.Second, "ready again", func() error {
		if code, body := ask(p, "/readyz"); code != http.StatusOK {
			return errors.New(body)
		}
		return nil
	})
	eventually(t, 10*time.Second, "the batch again", known)
}

// A Redis that can't be kept running ends the run, with the reason.
func TestRunEndsWithItsRedis(t *testing.T) {
	dir := t.TempDir()
	p := startRun(t, dir)
	client, _ := child(t, dir)
	for last := 0; ; {
		select {
		case <-p.Done():
			if err := p.Err(); err == nil || !strings.Contains(err.Error(), "redis-server can't be kept running") {
				t.Errorf("it ended with %v", err)
			}
			return
		default:
		}
		if pid := pidOf(t, client); pid != 0 && pid != last {
			last = pid
			if process, err := os.FindProcess(pid); err == nil {
				_ = process.Kill()
			}
		}
	}
}

// pidOf returns the id of the process that answers a client, or 0 if none does.
func pidOf(t *testing.T, client *redis.Client) int {
	t.Helper()
	_, after, _ := strings.Cut(client.Info(t.Context(), "server").Val(), "process_id:")
	line, _, _ := strings.Cut(after, "\r\n")
	pid, _ := strconv.Atoi(line)
	return pid
}

// A run records its address in its data directory and under its address, readable only by its owner, and removes both records at
// the end.
func TestRunCanBeFound(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := startRun(t, dir)
	byDir, err := app.ReadRunning(dir)
	if err != nil || byDir.API != "http://"+p.Addr() || byDir.NATS == "" || byDir.Redis == "" {
		t.Errorf("%+v %v", byDir, err)
	}
	byURL, err := app.FindRunning("http://" + strings.Replace(p.Addr(), "127.0.0.1", "localhost", 1) + "/")
	if err != nil || byURL != byDir {
		t.Errorf("%+v %v", byURL, err)
	}
	for file, want := range map[string]os.FileMode{".": 0o700, "nats": 0o700, "running.json": 0o600} {
		s, err := os.Stat(filepath.Join(dir, file))
		if err != nil || s.Mode().Perm() != want {
			t.Errorf("%s: %v, want %v (%v)", file, s.Mode().Perm(), want, err)
		}
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := app.FindRunning(byDir.API); err == nil {
		t.Error("it can be found although it has ended")
	}
	if b, err := json.Marshal(byDir); err != nil || strings.Contains(string(b), "@") {
		t.Errorf("%s %v", b, err)
	}
}
