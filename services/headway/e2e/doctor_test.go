package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
)

// diagnosis runs the doctor and returns its findings by check, the worst one if a check has several.
func diagnosis(t *testing.T, binary string, args ...string) (found map[string]string, code int) {
	t.Helper()
	out, side, code := plainly(t, nil, binary, append([]string{"doctor", "--json"}, args...)...)
	if strings.Contains(out+side, "hunter2") {
		t.Errorf("a secret is said:\n%s%s", out, side)
	}
	rank := map[string]int{"ok": 0, "unknown": 1, "note": 2, "wrong": 3}
	found = map[string]string{}
	worst := map[string]int{}
	for line := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
		var f struct{ Check, State, Says, Do string }
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v: %q\n%s", err, line, side)
		}
		if (f.State == "wrong" || f.State == "note") && f.Do == "" {
			t.Errorf("nothing to do about %s", line)
		}
		if r := rank[f.State]; found[f.Check] == "" || r > worst[f.Check] {
			found[f.Check], worst[f.Check] = f.State+": "+f.Says, r
		}
	}
	return found, code
}

func expect(t *testing.T, found map[string]string, want map[string]string) {
	t.Helper()
	for check, says := range want {
		state, part, _ := strings.Cut(says, ": ")
		if got := found[check]; !strings.HasPrefix(got, state+": ") || !strings.Contains(got, part) {
			t.Errorf("%s: %q, want %q", check, got, says)
		}
	}
}

var allChecks = []string{"nats", "jetstream", "stream HEADWAY_EVENTS", "stream HEADWAY_HEALTH", "stream HEADWAY_DLQ",
	"nats write", "redis", "redis eviction", "redis persistence", "redis write", "clock", "versions", "lag", "api", "credential", "api access"}

func TestDoctorOfRun(t *testing.T) {
	binary, dir := headway(t), t.TempDir()
	r := runHeadway(t, binary, dir)
	where := []string{"--data-dir", dir, "--url", r.api, "--nats-url", strings.Replace(r.nats, "nats://", "nats://u:hunter2@", 1), "--token", "hunter2"}
	found, code := diagnosis(t, binary, where...)
	if code != 0 {
		t.Errorf("exit code %d: %v", code, found)
	}
	for _, check := range allChecks {
		if _, err := exec.LookPath("redis-server"); err != nil && strings.HasPrefix(check, "redis") {
			continue // the stand-in tells less
		}
		if !strings.HasPrefix(found[check], "ok: ") {
			t.Errorf("%s: %q", check, found[check])
		}
	}
	text, _, _ := plainly(t, nil, binary, append([]string{"doctor"}, where...)...)
	if !strings.Contains(text, "✓ nats") || strings.Contains(text, "✗") {
		t.Error(text)
	}
	r.interrupt()
	found, code = diagnosis(t, binary, where...)
	expect(t, found, map[string]string{"nats": "wrong: can't be reached", "api": "wrong: can't be reached", "lag": "unknown: ", "api access": "unknown: "})
	if code != 1 {
		t.Errorf("exit code %d with nothing there", code)
	}
}

// Each fault of separate programs is found, and the doctor repairs nothing by itself.
func TestDoctorFindsWhatIsWrong(t *testing.T) {
	binary := headway(t)
	dir := t.TempDir()
	natsURL := fmt.Sprintf("nats://127.0.0.1:%d", freePort(t))
	redisPort := fmt.Sprint(freePort(t))
	redisURL := "redis://:hunter2@127.0.0.1:" + redisPort + "/0"
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("NOTE: no redis-server on this machine")
	}
	server := filepath.Join(dir, "nats-server")
	if out, err := exec.Command("go", "build", "-o", server, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	start(t, "redis", path, "--port", redisPort, "--bind", "127.0.0.1", "--requirepass", "hunter2", "--dir", dir, "--save", "")
	start(t, "nats", server, "-a", "127.0.0.1", "-p", natsURL[strings.LastIndexByte(natsURL, ':')+1:], "-js", "-sd", filepath.Join(dir, "js"))
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(options)
	defer rdb.Close()
	var nc *nats.Conn
	eventually(t, 10*time.Second, "servers", func() (err error) {
		if nc == nil {
			if nc, err = nats.Connect(natsURL); err != nil {
				return err
			}
		}
		return rdb.Ping(t.Context()).Err()
	})
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	where := func(api string) []string {
		return []string{"--url", api, "--nats-url", natsURL, "--redis-url", redisURL}
	}

	found, code := diagnosis(t, binary, where("http://u:hunter2@127.0.0.1:1")...)
	expect(t, found, map[string]string{"nats": "ok: reached", "stream HEADWAY_EVENTS": "wrong: doesn't exist", "redis": "ok: reached", "redis persistence": "note: no append-only",
		"lag": "unknown: ", "api": "wrong: http://127.0.0.1:1 can't be reached"})
	if names := js.StreamNames(t.Context()); code != 1 || len(names.Name()) != 0 {
		t.Errorf("exit code %d, or the doctor made a stream", code)
	}
	found, _ = diagnosis(t, binary, append(where("http://127.0.0.1:1"), "--redis-url", strings.Replace(redisURL, "hunter2", "hunter22", 1))...)
	expect(t, found, map[string]string{"redis": "wrong: WRONGPASS"})

	run := runHeadway(t, binary, dir, "--nats-url", natsURL, "--redis-url", redisURL)
	run.say("x", "batch", `{"status":"PROCESSING"}`)
	run.shows("x", "status", "PROCESSING")
	if found, code = diagnosis(t, binary, where(run.api)...); code != 0 {
		t.Errorf("of what works: %d %v", code, found)
	}
	run.interrupt()
	found, _ = diagnosis(t, binary, where(run.api)...)
	expect(t, found, map[string]string{"lag": "wrong: no ingest works on them"})

	for _, config := range [][2]string{{"maxmemory", "200mb"}, {"maxmemory-policy", "allkeys-lru"}} {
		if err := rdb.ConfigSet(t.Context(), config[0], config[1]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := js.Stream(t.Context(), "HEADWAY_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	health, err := js.Stream(t.Context(), "HEADWAY_HEALTH")
	if err != nil {
		t.Fatal(err)
	}
	c := health.CachedInfo().Config
	c.MaxMsgsPerSubject = 3
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	found, code = diagnosis(t, binary, where(run.api)...)
	expect(t, found, map[string]string{"redis eviction": "wrong: allkeys-lru", "stream HEADWAY_EVENTS": "note: gone", "stream HEADWAY_HEALTH": "wrong: max_msgs_per_subject"})
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
}
