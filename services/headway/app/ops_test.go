package app_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/pkg/headwaytest"
	api "github.com/headwayhq/headway/services/api/app"
	"github.com/headwayhq/headway/services/headway/app"
	"github.com/headwayhq/headway/services/internal/program"
)

// With --ops-listen, metrics are there only, without a key and with all reasons, while the program waits and afterwards. The main address
// keeps the probes, and tells strangers nothing.
func TestOpsListen(t *testing.T) {
	natsServer, redisServer := headwaytest.NATS(t), headwaytest.RedisChild(t)
	natsServer.Shutdown()
	flags := []string{"--nats-url", natsServer.URL(), "--redis-url", redisServer.URL(), "--access", "keys", "--ops-listen", "127.0.0.1:0"}
	programs := map[string]*program.Program{}
	var err error
	if programs["api"], err = inProcess(t, api.New, flags...); err != nil {
		t.Fatal(err)
	}
	if programs["run"], err = inProcess(t, newRun, append(flags, "--data-dir", t.TempDir())...); err != nil {
		t.Fatal(err)
	}
	get := func(address, path, host string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			r.Host = host
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(body)
	}
	for name, p := range programs {
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Stop() })
		eventually(t, 20*time.Second, name+" waits for NATS", func() error {
			if code, body := get(p.OpsAddr(), "/readyz", ""); code != http.StatusServiceUnavailable || !strings.Contains(body, "waiting for NATS") {
				return fmt.Errorf("%d %s", code, body)
			}
			return nil
		})
	}
	check := func(when string) {
		t.Helper()
		for name, p := range programs {
			if code, body := get(p.Addr(), "/metrics", ""); code != http.StatusNotFound || strings.Contains(body, "headway_") {
				t.Errorf("%s, %s: metrics at the main address: %d", when, name, code)
			}
			if code, body := get(p.OpsAddr(), "/metrics", ""); code != http.StatusOK || !strings.Contains(body, "headway_build_info") {
				t.Errorf("%s, %s: metrics: %d", when, name, code)
			}
			for _, address := range []string{p.Addr(), p.OpsAddr()} {
				if code, _ := get(address, "/livez", ""); code != http.StatusOK {
					t.Errorf("%s, %s: livez: %d", when, name, code)
				}
			}
			if _, body := get(p.Addr(), "/readyz", ""); strings.Contains(body, "NATS") {
				t.Errorf("%s, %s: a stranger is told %s", when, name, body)
			}
			if code, _ := get(p.OpsAddr(), "/v1/me", ""); code != http.StatusNotFound {
				t.Errorf("%s, %s: the api is served beside the metrics: %d", when, name, code)
			}
			if code, _ := get(p.OpsAddr(), "/metrics", "evil.example"); code != http.StatusMisdirectedRequest {
				t.Errorf("%s, %s: metrics for a rebound page: %d", when, name, code)
			}
		}
	}
	check("waiting")
	natsServer.Restart()
	for name, p := range programs {
		eventually(t, 30*time.Second, name+" is ready", func() error {
			if code, body := get(p.OpsAddr(), "/readyz", ""); code != http.StatusOK {
				return fmt.Errorf("%d %s", code, body)
			}
			return nil
		})
	}
	check("ready")
	for name, p := range programs {
		if _, body := get(p.OpsAddr(), "/metrics", ""); !strings.Contains(body, "headway_api_limited_total") {
			t.Errorf("%s: no metrics of the api", name)
		}
	}
}

func newRun(f app.Flags, log *slog.Logger) (*program.Program, error) {
	h, err := app.New(f, log)
	if err != nil {
		return nil, err
	}
	return h.Program, nil
}

// An address that can't be listened at is named by its flag, and nothing goes on listening.
func TestOpsListenRefused(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, address := range []string{taken.Addr().String(), "9090", "127.0.0.1:x"} {
		p, err := inProcess(t, api.New, "--ops-listen", address)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "--ops-listen: ") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// Limits are set on the command line, in the environment, and in a file, where numbers are numbers; wrong ones are refused by flag.
func TestLimitFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "headway.yaml")
	if err := os.WriteFile(file, []byte("namespace-limit: {events_per_second: 5000, team-a/streams: none}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HEADWAY_PRINCIPAL_LIMIT", "streams=7;requests_per_second=none")
	var f api.Flags
	parser, err := kong.New(&f, kong.Vars{"version": ""}, kong.Configuration(program.YAML, file))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil {
		t.Fatal(err)
	}
	if n, p := f.Namespace, f.Principal; n["events_per_second"] != "5000" || n["team-a/streams"] != "none" || p["streams"] != "7" || p["requests_per_second"] != "none" {
		t.Errorf("%v, %v", n, p)
	}
	if _, err := api.New(f, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
	for flag, value := range map[string]string{"--namespace-limit": "team-a/streems=1", "--principal-limit": "streams=-1"} {
		for name, err := range map[string]error{
			"api": second(inProcess(t, api.New, flag, value)), "run": second(inProcess(t, newRun, flag, value, "--data-dir", t.TempDir())),
		} {
			if err == nil || !strings.HasPrefix(err.Error(), flag+": ") {
				t.Errorf("%s %s %s: %v", name, flag, value, err)
			}
		}
	}
}

func second(_ *program.Program, err error) error { return err }
