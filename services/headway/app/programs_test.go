package app_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/pkg/headwaytest"
	api "github.com/headwayhq/headway/services/api/app"
	detector "github.com/headwayhq/headway/services/detector/app"
	"github.com/headwayhq/headway/services/headway/app"
	ingest "github.com/headwayhq/headway/services/ingest/app"
	"github.com/headwayhq/headway/services/internal/program"
	relay "github.com/headwayhq/headway/services/relay/app"
)

// inProcess makes a program in this process from its flags.
func inProcess[F any](t *testing.T, make func(F, *slog.Logger) (*program.Program, error), args ...string) (*program.Program, error) {
	t.Helper()
	var f F
	parser, err := kong.New(&f, kong.Vars{"version": "", "data_dir": ""})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(slices.Concat(args, []string{"--listen", "127.0.0.1:0"})); err != nil {
		t.Fatal(err)
	}
	return make(f, slog.New(slog.DiscardHandler))
}

// everyProgram starts all programs, and headway run beside them. sources are flags that relay and run have.
func everyProgram(t *testing.T, natsURL, redisURL string, sources ...string) map[string]*program.Program {
	t.Helper()
	servers := []string{"--nats-url", natsURL, "--redis-url", redisURL}
	out := map[string]*program.Program{}
	for name, start := range map[string]func() (*program.Program, error){
		"ingest":   func() (*program.Program, error) { return inProcess(t, ingest.New, servers...) },
		"detector": func() (*program.Program, error) { return inProcess(t, detector.New, servers...) },
		"api":      func() (*program.Program, error) { return inProcess(t, api.New, servers...) },
		"relay": func() (*program.Program, error) {
			return inProcess(t, relay.New, slices.Concat(servers[:2], sources)...)
		},
		"run": func() (*program.Program, error) {
			return inProcess(t, func(f app.Flags, log *slog.Logger) (*program.Program, error) {
				h, err := app.New(f, log)
				if err != nil {
					return nil, err
				}
				return h.Program, nil
			}, slices.Concat(servers, sources, []string{"--data-dir", t.TempDir()})...)
		},
	} {
		p, err := start()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Cleanup(func() { _ = p.Stop() })
		out[name] = p
	}
	return out
}

func ask(p *program.Program, path string) (int, string) {
	res, err := http.Get("http://" + p.Addr() + path)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

// Every program listens at once, is alive, and reports what it waits for: first NATS, then Redis. Then it is ready.
func TestProgramsSayWhatTheyWaitFor(t *testing.T) {
	natsServer, redisServer := headwaytest.NATS(t), headwaytest.RedisChild(t)
	natsServer.Shutdown()
	redisServer.Kill()
	programs := everyProgram(t, natsServer.URL(), redisServer.URL())
	says := func(waited bool, code int, want string) {
		t.Helper()
		for name, p := range programs {
			if waited && name == "relay" {
				continue // it needs no Redis
			}
			eventually(t, 20*time.Second, name+" says "+want, func() error {
				if got, body := ask(p, "/readyz"); got != code || !strings.Contains(body, want) {
					return fmt.Errorf("readyz: %d %s", got, body)
				}
				return nil
			})
			if got, body := ask(p, "/livez"); got != http.StatusOK {
				t.Errorf("%s: livez: %d %s", name, got, body)
			}
			if got, body := ask(p, "/metrics"); got != http.StatusOK || !strings.Contains(body, "go_goroutines") {
				t.Errorf("%s: metrics: %d", name, got)
			}
		}
	}
	says(false, http.StatusServiceUnavailable, "waiting for NATS: connection refused (")
	if got, body := ask(programs["api"], "/v1/batches"); got != http.StatusServiceUnavailable || !strings.Contains(body, "waiting for NATS") {
		t.Errorf("a list meanwhile: %d %s", got, body)
	}
	natsServer.Restart()
	says(true, http.StatusServiceUnavailable, "waiting for Redis: ")
	redisServer.Restart()
	says(false, http.StatusOK, "ok")
	for name, p := range programs {
		if err := p.Stop(); err != nil {
			t.Errorf("%s ended with %v", name, err)
		}
	}
}

// A configuration that waiting can't repair ends a program at once, with the flag named and no password printed.
func TestProgramsEndAtOnce(t *testing.T) {
	natsServer := headwaytest.NATS(t)
	locked := headwaytest.RedisChild(t)
	if err := locked.Client().ConfigSet(t.Context(), "requirepass", "hunter2").Err(); err != nil {
		t.Fatal(err)
	}
	evicting := headwaytest.RedisChild(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	cluster := headwaytest.RedisChild(t, "--cluster-enabled", "yes")
	for _, c := range []struct{ nats, redis, says string }{
		{"nats://u:hunter2@%zz", "redis://127.0.0.1:1", "--nats-url: "},
		{"http://u:hunter2@127.0.0.1", "redis://127.0.0.1:1", "--nats-url: "},
		{natsServer.URL(), "redis://:hunter2%zz@h", "--redis-url: "},
		{natsServer.URL(), "memcached://:hunter2@h", "--redis-url: "},
		{natsServer.URL(), strings.Replace(locked.URL(), "redis://", "redis://:hunter22@", 1), "--redis-url: Redis refuses the credentials"},
		{natsServer.URL(), locked.URL(), "--redis-url: Redis refuses the credentials"},
		{natsServer.URL(), evicting.URL(), "maxmemory-policy is allkeys-lru"},
		{natsServer.URL(), cluster.URL(), "Redis Cluster"},
	} {
		p, err := inProcess(t, ingest.New, "--nats-url", c.nats, "--redis-url", c.redis)
		if err == nil {
			err = p.Start(t.Context())
		}
		if err == nil {
			select {
			case <-p.Done():
				err = p.Err()
			case <-time.After(20 * time.Second):
				t.Errorf("%s, %s: still there: %v", c.nats, c.redis, p.Ready(t.Context()))
				_ = p.Stop()
				continue
			}
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s, %s: %v", c.nats, c.redis, err)
		}
	}
}

// eventually waits for a condition; what says what was waited for.
func eventually(t *testing.T, limit time.Duration, what string, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, limit, err)
		}
		time.Sleep(50 * time.Millisecond) // between two looks; the condition decides
	}
}
