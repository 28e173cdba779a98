package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/pkg/headwaytest"
	apiapp "github.com/headwayhq/headway/services/api/app"
	detectorapp "github.com/headwayhq/headway/services/detector/app"
	"github.com/headwayhq/headway/services/headway/app"
	"github.com/headwayhq/headway/services/headway/cli"
	ingestapp "github.com/headwayhq/headway/services/ingest/app"
	"github.com/headwayhq/headway/services/internal/program"
	relayapp "github.com/headwayhq/headway/services/relay/app"
)

// planted is a part of every secret in these tests. It may appear nowhere.
const planted = "planted"

// plant sets every secret that can be given by the environment.
func plant(t *testing.T, natsURL, redisURL string) {
	t.Helper()
	for name, value := range map[string]string{
		"HEADWAY_NATS_URL": natsURL, "HEADWAY_REDIS_URL": redisURL, "HEADWAY_RAY_TOKEN": "*=planted-ray-token",
		"HEADWAY_RAY_EVENTS_SECRET": "planted-events-secret", "HEADWAY_TOKEN": "planted-api-key",
	} {
		t.Setenv(name, value)
	}
}

func shows(t *testing.T, where, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if strings.Contains(line, planted) {
			t.Errorf("%s shows a secret: %s", where, line)
		}
	}
}

// No help shows a secret that the environment or a configuration file sets, as a default or otherwise.
func TestHelpShowsNoSecret(t *testing.T) {
	plant(t, "nats://u:planted-nats@127.0.0.1:4222", "redis://:planted-redis@127.0.0.1:6379/0")
	file := filepath.Join(t.TempDir(), "headway.yaml")
	text := "nats-url: nats://u:planted-file@h\nredis-url: redis://:planted-file@h\nray-events-secret: planted-file-secret\ntoken: planted-file\nray-token: {'*': planted-file}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	verbs := [][]string{{}, {"run"}, {"publish"}, {"health"}, {"dlq", "list"}, {"doctor"}, {"attach"}, {"get"}, {"watch"}, {"keys", "create"}, {"keys", "list"}, {"upgrade", "status"}}
	for name, make := range map[string]func() any{
		"ingest": func() any { return &ingestapp.Flags{} }, "detector": func() any { return &detectorapp.Flags{} },
		"api": func() any { return &apiapp.Flags{} }, "relay": func() any { return &relayapp.Flags{} },
		"headway": func() any {
			return &struct {
				Run app.Run `cmd:""`
				cli.Commands
			}{}
		},
	} {
		for _, verb := range verbs {
			if name != "headway" && len(verb) > 0 {
				continue
			}
			var out bytes.Buffer
			parser, err := kong.New(make(), kong.Name(name), kong.Writers(&out, &out), kong.Exit(func(int) { panic("exit") }),
				kong.Configuration(program.YAML, file), kong.Vars{"version": "", "data_dir": ""})
			if err != nil {
				t.Fatal(err)
			}
			func() {
				defer func() { _ = recover() }() // where the program would exit
				_, _ = parser.Parse(append(verb, "--help"))
			}()
			if !strings.Contains(out.String(), "Usage:") {
				t.Fatalf("%s %v: no help: %s", name, verb, &out)
			}
			shows(t, fmt.Sprint(name, verb, " --help"), out.String())
		}
	}
}

// A headway run whose addresses contain passwords shows none: not in what it prints and logs, at any level, in metrics, answers and
// process lists, and not in the error when they are refused.
func TestRunShowsNoSecret(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(conf, []byte(`authorization {users: [{user: u, password: "planted-nats"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	nats, redis := headwaytest.NATSFrom(t, conf), headwaytest.RedisChild(t)
	admin := redis.Client()
	if err := admin.ConfigSet(t.Context(), "requirepass", "planted-redis").Err(); err != nil {
		t.Fatal(err)
	}
	with := func(url, user string) string { return strings.Replace(url, "://", "://"+user+"@", 1) }
	for name, c := range map[string]struct {
		nats, redis string
		works       bool
	}{
		"right":       {with(nats.URL(), "u:planted-nats"), with(redis.URL(), ":planted-redis"), true},
		"wrong NATS":  {with(nats.URL(), "u:planted-other"), with(redis.URL(), ":planted-redis"), false},
		"wrong token": {with(nats.URL(), "planted-token"), with(redis.URL(), ":planted-redis"), false},
		"wrong Redis": {with(nats.URL(), "u:planted-nats"), with(redis.URL(), "planted-user:planted-other"), false},
		"bad address": {"nats://u:planted-nats@%zz", with(redis.URL(), ":planted-redis"), false},
		"bad Redis":   {with(nats.URL(), "u:planted-nats"), "redis://:planted-redis@h/x", false},
	} {
		t.Run(name, func(t *testing.T) { runShowsNoSecret(t, c.nats, c.redis, c.works) })
	}
	t.Run("embedded", func(t *testing.T) { runShowsNoSecret(t, "", "", true) })
}

func runShowsNoSecret(t *testing.T, natsURL, redisURL string, works bool) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	plant(t, natsURL, redisURL)
	r := app.Run{}
	parser, err := kong.New(&r, kong.Vars{"version": "", "data_dir": ""})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := parser.Parse([]string{"--log-level", "debug", "--ray", "c=" + fakeRay(t), "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--data-dir", dir}); err != nil {
		t.Fatal(err)
	}
	var out, log shared
	r.Stdout, r.Stderr = &out, &log
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	if works {
		ready := regexp.MustCompile(`ready api=(http://\S+)`)
		eventually(t, 60*time.Second, "ready", func() error {
			if !ready.MatchString(out.String()) {
				return errors.New(log.String())
			}
			return nil
		})
		base := ready.FindStringSubmatch(out.String())[1]
		for _, path := range []string{"/metrics", "/readyz", "/v1/me", "/v1/batches", "/v1/ray/events/wrong", "/nothing"} {
			res, err := http.Get(base + path)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			shows(t, path, string(body)+fmt.Sprint(res.Header))
		}
		shows(t, "the list of processes", children(t))
		stop()
	}
	select { // what it has started has ended then
	case err = <-ended:
	case <-time.After(60 * time.Second):
		t.Fatal("it doesn't end")
	}
	if (err == nil) != works {
		t.Errorf("it ended with %v", err)
	}
	shows(t, "standard output", out.String())
	shows(t, "the log", log.String())
	shows(t, "the error", fmt.Sprint(err))
	_ = filepath.WalkDir(dir, func(path string, entry os.DirEntry, _ error) error {
		if entry != nil && filepath.Ext(path) == ".json" {
			text, _ := os.ReadFile(path)
			shows(t, path, string(text))
		}
		return nil
	})
}

// children are the command lines of the processes that this one has started.
func children(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range all {
		stat, _ := os.ReadFile(file) // pid (name) state parent …
		_, rest, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			fmt.Fprintf(&out, "%s\n", bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		}
	}
	return out.String()
}
