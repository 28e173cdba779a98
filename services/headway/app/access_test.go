package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/pkg/headwaytest"
	"github.com/headwayhq/headway/services/headway/app"
)

// A page that an attacker's name was rebound for, or one of another origin, gets nowhere, also while the programs wait for their backends.
func TestForeignPages(t *testing.T) {
	natsServer, redisServer := headwaytest.NATS(t), headwaytest.RedisChild(t)
	natsServer.Shutdown()
	programs := everyProgram(t, natsServer.URL(), redisServer.URL(), "--ray-events-secret", "0123456789abcdef")
	send := func(name, method, path, host, origin string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+programs[name].Addr()+path, strings.NewReader("[]"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "text/plain") // what a page may send without asking first
		if host != "" {
			r.Host = host
		}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	refused := func(when string) {
		t.Helper()
		for _, name := range []string{"api", "run"} {
			for _, path := range []string{"/", "/v1/batches", "/readyz", "/metrics", "/livez"} {
				if got := send(name, http.MethodGet, path, "evil.example:8080", ""); got != http.StatusMisdirectedRequest {
					t.Errorf("%s, %s: GET %s of a rebound page: %d", name, when, path, got)
				}
			}
			if got := send(name, http.MethodPost, "/v1/events", "", "https://evil.example"); got != http.StatusForbidden {
				t.Errorf("%s, %s: POST of another origin: %d", name, when, got)
			}
		}
	}
	refused("waiting")
	natsServer.Restart()
	for _, name := range []string{"api", "run"} {
		eventually(t, 20*time.Second, name+" serves", func() error {
			if got := send(name, http.MethodPost, "/v1/events", "", ""); got != http.StatusUnsupportedMediaType {
				return fmt.Errorf("POST without origin: %d", got)
			}
			return nil
		})
	}
	refused("serving")
	if got := send("run", http.MethodPost, "/v1/ray/events/0123456789abcdef", "headway", ""); got == http.StatusMisdirectedRequest || got >= 500 {
		t.Errorf("Ray posts to a name of its own: %d", got)
	}
}

// A headway run with keys shows the first one once, and its demo sends with a key of its own; strangers learn nothing.
func TestRunWithKeys(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := t.TempDir()
	key := regexp.MustCompile(`hw_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}`)
	run := func(then func(base, key string)) (out, told string) {
		t.Helper()
		r := app.Run{LogLevel: "warn"}
		parser, err := kong.New(&r, kong.Vars{"version": "", "data_dir": ""})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse([]string{"--access", "keys", "--demo", "--listen", "0.0.0.0:0", "--nats-listen", "127.0.0.1:0", "--data-dir", dir}); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr shared
		r.Stdout, r.Stderr = &stdout, &stderr
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		ready := regexp.MustCompile(`ready api=(http://127\.0\.0\.1:\d+)`) // not the address of all interfaces, which nobody can open everywhere
		eventually(t, 30*time.Second, "ready", func() error {
			select {
			case err := <-ended:
				t.Fatalf("ended: %v\n%s", err, stderr.String())
			default:
			}
			if !ready.MatchString(stdout.String()) {
				return errors.New(stderr.String())
			}
			return nil
		})
		then(ready.FindStringSubmatch(stdout.String())[1], key.FindString(stderr.String()))
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		return stdout.String(), stderr.String()
	}
	status := func(url, key string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode == http.StatusOK && strings.HasSuffix(url, "/v1/batches") && !strings.Contains(string(body), "demo-") {
			return http.StatusNoContent
		}
		return res.StatusCode
	}
	first := ""
	out, told := run(func(base, key string) {
		first = key
		for path, want := range map[string]int{"/v1/batches": 401, "/metrics": 401, "/v1/me": 401, "/livez": 200, "/": 200} {
			if got := status(base+path, ""); got != want {
				t.Errorf("%s without a key: %d", path, got)
			}
		}
		eventually(t, 20*time.Second, "the demo's batches are listed", func() error {
			if got := status(base+"/v1/batches", first); got != http.StatusOK {
				return fmt.Errorf("%d", got)
			}
			return nil
		})
		if got := status(base+"/metrics", first); got != http.StatusOK {
			t.Errorf("metrics: %d", got)
		}
	})
	if key.MatchString(out) || len(key.FindAllString(told, -1)) != 1 {
		t.Errorf("the first key, and only it, belongs on standard error once:\n%s%s", out, told)
	}
	_, told = run(func(base, _ string) {
		if got := status(base+"/v1/me", first); got != http.StatusOK {
			t.Errorf("the key after a restart: %d", got)
		}
	})
	if key.MatchString(told) {
		t.Errorf("a second start shows a key:\n%s", told)
	}
}

// shared is a buffer that may be read while it is written.
type shared struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
