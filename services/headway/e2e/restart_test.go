package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
	"github.com/headwayhq/headway/services/headway/app"
	"github.com/headwayhq/headway/services/headway/embedded"
	"github.com/headwayhq/headway/services/internal/backend"
)

// A headway run that was stopped goes on with the views that it saved, whatever became of them or of the log meanwhile.
func TestRestart(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("SKIPPED: no redis-server on this machine, so nothing is saved")
	}
	binary := headway(t)
	for name, test := range map[string]func(*testing.T, *restarts){
		"reads nothing again":             restartReadsNothing,
		"reads all without what is saved": restartAfterBothWereKilled,
		"of its process alone":            restartAfterTheProcessWasKilled,
		"with a damaged file":             restartWithDamage,
		"with an old file":                restartWithAnOldFile,
		"on another log":                  restartOnAnotherLog,
		"after a night":                   restartAfterANight,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &restarts{t: t, binary: binary, dir: t.TempDir()}
			r.policy(`window_gpu: 48h, window_no_gpu: 48h, timeout: 48h`)
			r.start()
			for n := range restartBatches {
				r.say(n, "PROCESSING", 1, 2)
			}
			test(t, r)
		})
	}
}

const (
	restartBatches = 20
	restartAgo     = 10 * time.Minute // since when nothing is heard of them
)

// restarts is a headway run that is stopped and started.
type restarts struct {
	t           *testing.T
	binary, dir string
	*running
}

func (r *restarts) start() {
	r.t.Helper()
	r.running = runHeadway(r.t, r.binary, r.dir, "--policy", filepath.Join(r.dir, "policy.yaml"))
}

// policy sets the thresholds of the next start.
func (r *restarts) policy(values string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, "policy.yaml"), []byte("default: {"+values+"}"), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *restarts) file() string { return filepath.Join(r.dir, "redis", "views.rdb") }

// say sends the state of a batch and of documents, each with an event of its own, and waits until they are visible.
func (r *restarts) say(n int, status string, documents ...int64) {
	r.t.Helper()
	nc, err := nats.Connect(r.nats)
	if err != nil {
		r.t.Fatal(err)
	}
	defer nc.Close()
	c, err := client.New(nc, client.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	events := []client.Event{client.BatchStatus(batchNumber(n), status)}
	for _, d := range documents {
		events = append(events, client.TierProgress(batchNumber(n), 0, d, 10))
	}
	for _, e := range events {
		e.Time = time.Now().Add(-restartAgo)
		if err := c.Publish(r.t.Context(), e); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := c.Flush(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.shows(batchNumber(n), "status", status)
}

func batchNumber(n int) string { return fmt.Sprint("b", n) }

// The metrics that tests sum up, over all labels.
const (
	eventsRead     = "headway_ingest_events_total"
	detectorRounds = "headway_detector_rounds_total"
)

// read is how many events have been read since the start.
func (r *restarts) read() int { r.t.Helper(); return r.metric(eventsRead) }

func (r *restarts) metric(name string) (sum int) {
	r.t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^`+name+`\{[^}]*\} (\d+)`).FindAllStringSubmatch(r.get("/metrics"), -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			r.t.Fatal(err)
		}
		sum += n
	}
	return sum
}

func (r *restarts) get(path string) string {
	r.t.Helper()
	text, err := bodyOf(r.api + path)
	if err != nil {
		r.t.Fatal(err)
	}
	return text
}

// revisions are those of all batches.
func (r *restarts) revisions() (all []string) {
	r.t.Helper()
	for n := range restartBatches {
		s, code := r.snapshot(batchNumber(n))
		if code != http.StatusOK {
			r.t.Fatalf("%s: %d %v", batchNumber(n), code, s)
		}
		all = append(all, fmt.Sprint(s["view"].(map[string]any)["id"]))
	}
	return all
}

func (r *restarts) same(before []string) {
	r.t.Helper()
	if after := r.revisions(); fmt.Sprint(before) != fmt.Sprint(after) {
		r.t.Errorf("revisions were %v, are %v", before, after)
	}
}

// redis is a client of the server of the process that runs, or of the one that ran last.
func (r *restarts) redis() *redis.Client {
	r.t.Helper()
	at, err := app.ReadRunning(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	o, err := redis.ParseURL(at.Redis)
	if err != nil {
		r.t.Fatal(err)
	}
	c := redis.NewClient(o)
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// kill ends the process without giving it time to do anything.
func (r *restarts) kill() {
	r.t.Helper()
	if err := r.cmd.Process.Kill(); err != nil {
		r.t.Fatal(err)
	}
	_ = r.cmd.Wait()
}

func restartReadsNothing(t *testing.T, r *restarts) {
	before := r.revisions()
	r.interrupt()
	r.start() // within the time of a lease
	if n := r.read(); n != 0 {
		t.Errorf("read %d events again", n)
	}
	r.same(before)
	if _, err := os.Stat(r.file()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that would be outdated after a crash is still there: %v", err)
	}
	r.say(0, "COMPLETED", 3)
	if n := r.read(); n < 1 || n > 10 { // announcements are events, too
		t.Errorf("read %d events since the start", n)
	}
}

func restartAfterBothWereKilled(t *testing.T, r *restarts) {
	r.interrupt()
	r.start()
	r.say(0, "COMPLETED", 3)
	before := r.revisions()
	c := r.redis()
	info, err := c.InfoMap(t.Context(), "server").Result()
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(info["Server"]["process_id"])
	if err != nil {
		t.Fatal(err)
	}
	server, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Process.Signal(syscall.SIGSTOP); err != nil { // so that it doesn't start another one
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	r.kill()
	r.start()
	r.same(before)
	if n := r.read(); n < 3*restartBatches {
		t.Errorf("read %d events, not all", n)
	}
	r.shows("b0", "status", "COMPLETED")
}

func restartAfterTheProcessWasKilled(t *testing.T, r *restarts) {
	if runtime.GOOS != "linux" {
		t.Skip("not applicable: elsewhere redis-server doesn't end with the process that started it")
	}
	before := r.revisions()
	r.kill()
	r.start() // while redis-server may still be saving, and leases haven't expired
	if n := r.read(); n != 0 {
		t.Errorf("read %d events again", n)
	}
	r.same(before)
}

func restartWithDamage(t *testing.T, r *restarts) {
	before := r.revisions()
	r.interrupt()
	b, err := os.ReadFile(r.file())
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(r.file(), b, 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.same(before)
	if n := r.read(); n < 3*restartBatches {
		t.Errorf("read %d events, not all", n)
	}
	if _, err := os.Stat(r.file() + ".unreadable"); err != nil {
		t.Error(err)
	}
}

// An older file is a rollback: what came later is read again, and nothing else.
func restartWithAnOldFile(t *testing.T, r *restarts) {
	r.interrupt()
	old, err := os.ReadFile(r.file())
	if err != nil {
		t.Fatal(err)
	}
	r.start()
	r.say(0, "COMPLETED", 3)
	r.say(1, "PROCESSING", 4)
	before := r.revisions()
	r.interrupt()
	if err := os.WriteFile(r.file(), old, 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.same(before)
	if n := r.read(); n < 4 || n > 20 {
		t.Errorf("read %d events, not those since the file was saved", n)
	}
}

func restartOnAnotherLog(t *testing.T, r *restarts) {
	r.interrupt()
	if err := os.RemoveAll(filepath.Join(r.dir, "nats")); err != nil {
		t.Fatal(err)
	}
	r.start()
	if s, code := r.snapshot("b0"); code != http.StatusNotFound {
		t.Errorf("a batch of the other log: %d %v", code, s)
	}
	if fences := r.redis().Keys(t.Context(), "hw:{p00}:*fence").Val(); len(fences) != 1 {
		t.Errorf("the other log's views are still there: %v", fences)
	}
	r.say(0, "PROCESSING", 1)
}

// Rule 8: after a night nothing is announced as stuck before its producers have had time to come back.
func restartAfterANight(t *testing.T, r *restarts) {
	r.interrupt()
	const night = 8 * time.Hour
	r.stored(func(b *backend.Backend) { // as if they had been saved earlier
		for p := range b.Store.Partitions() {
			f := fenceOf(t, b, p)
			f.Watermark -= int64(night)
			f.JudgeAt -= int64(night)
			key := fmt.Sprintf("hw:{p%02d}:%s-%d:fence", p, b.Store.Identity(), diagnostics.FoldVersion)
			if err := b.Redis.Set(t.Context(), key, f.String(), 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
	})
	r.policy(`window_gpu: 3s, window_no_gpu: 3s, timeout: 3s, grace: 1s, scaling_delay: 1s, hold: 10m`)
	r.start()
	before := r.metric(detectorRounds)
	eventually(t, 20*time.Second, "the detector has looked at everything", func() error {
		if n := r.metric(detectorRounds); n < before+2 {
			return fmt.Errorf("%d rounds", n)
		}
		return nil
	})
	for n := range restartBatches {
		if s, code := r.snapshot(batchNumber(n)); code != http.StatusOK || s["health"] == "stuck" {
			t.Errorf("%s: %d %v", batchNumber(n), code, s["health"])
		}
	}
	if said := r.get("/v1/health-events"); strings.Contains(said, `"stuck"`) {
		t.Error(said)
	}
	r.interrupt()
	r.stored(func(b *backend.Backend) {
		for p := range b.Store.Partitions() {
			if f := fenceOf(t, b, p); f.Watermark-f.JudgeAt < int64(night) || f.HoldUntil < f.Watermark {
				t.Errorf("partition %d is judged %v before its watermark", p, time.Duration(f.Watermark-f.JudgeAt))
			}
		}
	})
}

func fenceOf(t *testing.T, b *backend.Backend, p int) *viewstore.Fence {
	t.Helper()
	f, err := b.Store.Fence(t.Context(), p)
	if err != nil || f == nil {
		t.Fatalf("partition %d: %v %v", p, f, err)
	}
	return f
}

// stored calls do with the servers of a headway run that was stopped.
func (r *restarts) stored(do func(b *backend.Backend)) {
	r.t.Helper()
	n, err := embedded.StartNATS("127.0.0.1:0", r.dir, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	defer n.Stop()
	views, err := embedded.StartRedis(r.t.Context(), filepath.Join(r.dir, "redis"), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	defer views.Stop()
	b, err := backend.Connect(r.t.Context(), backend.Options{NATSURL: n.URL, RedisURL: views.URL, Name: "test"})
	if err != nil {
		r.t.Fatal(err)
	}
	defer b.Close()
	do(b)
}
