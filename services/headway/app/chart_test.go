package app_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	apiapp "github.com/headwayhq/headway/services/api/app"
	detectorapp "github.com/headwayhq/headway/services/detector/app"
	"github.com/headwayhq/headway/services/headway/cli"
	ingestapp "github.com/headwayhq/headway/services/ingest/app"
	"github.com/headwayhq/headway/services/internal/program"
	relayapp "github.com/headwayhq/headway/services/relay/app"
)

const helmDir = "../../../deployments/helm"

// configs are the files of flags in a rendered chart, by program.
func configs(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for documents := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var o struct {
			Kind string
			Data map[string]string
		}
		if err := documents.Decode(&o); errors.Is(err, io.EOF) {
			t.Fatalf("%s has no ConfigMap", path)
		} else if err != nil {
			t.Fatal(path, err)
		}
		if o.Kind == "ConfigMap" {
			return o.Data
		}
	}
}

// The golden files are of this chart. This needs no Helm, as what it needs takes minutes to build; `make test-charts` renders.
func TestChartIsRendered(t *testing.T) {
	t.Parallel()
	hash := sha256.New()
	for _, dir := range []string{"headway", "headway/ci", "headway/templates", "charttest"} {
		entries, err := os.ReadDir(filepath.Join(helmDir, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := dir + "/" + e.Name()
			if e.IsDir() || dir == "charttest" && !strings.HasSuffix(name, ".yaml") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(helmDir, name))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(hash, "%s %x\n", name, sha256.Sum256(text))
		}
	}
	have, err := os.ReadFile(filepath.Join(helmDir, "charttest/testdata/chart.sha256"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(have)) != hex.EncodeToString(hash.Sum(nil)) {
		t.Error("the chart was changed: (cd deployments/helm/charttest && GOWORK=off go test . -update), then look at what it renders")
	}
}

// Each line of a rendered file of flags is a flag of its program, with a value that it takes.
func TestChartWritesFlags(t *testing.T) {
	t.Parallel()
	golden, err := filepath.Glob(helmDir + "/charttest/testdata/*.yaml")
	if err != nil || len(golden) < 6 {
		t.Fatal(golden, err)
	}
	mounted := regexp.MustCompile(`/(run|etc)/headway/[\w.-]+`)
	for _, path := range golden {
		files := configs(t, path)
		for name, text := range files {
			flags := map[string]any{"ingest.yaml": &ingestapp.Flags{}, "detector.yaml": &detectorapp.Flags{}, "api.yaml": &apiapp.Flags{}, "relay.yaml": &relayapp.Flags{}}[name]
			if flags == nil {
				if name != "policy.yaml" {
					t.Errorf("%s: no program has %s", path, name)
				}
				continue
			}
			dir := t.TempDir()
			text = mounted.ReplaceAllStringFunc(text, func(file string) string {
				at := filepath.Join(dir, filepath.Base(file))
				if err := os.WriteFile(at, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				return at
			})
			resolver, err := program.YAML(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			parser, err := kong.New(flags, kong.Vars{"version": ""}, kong.Resolvers(resolver))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(nil); err != nil {
				t.Errorf("%s: %s: %v", path, name, err)
			}
			var given map[string]any
			if err := yaml.Unmarshal([]byte(text), &given); err != nil {
				t.Fatal(err)
			}
			for key := range given {
				if !slices.ContainsFunc(parser.Model.Flags, func(f *kong.Flag) bool { return f.Name == key }) {
					t.Errorf("%s: %s: no flag is named %s", path, name, key)
				}
			}
		}
	}
}

// What the chart renders for users with passwords runs: the programs become ready with these files, and the first key can be made from
// within the pod of the API, as the notes of the chart say.
func TestChartRuns(t *testing.T) {
	s := newSecured(t)
	files := configs(t, helmDir+"/charttest/testdata/secrets.yaml")
	mount := func(name string) string { // as a pod of this program sees it
		dir := t.TempDir()
		text := files[name+".yaml"]
		text = strings.ReplaceAll(text, "nats://nats.nats:4222", s.nats.URL())
		text = strings.ReplaceAll(text, "redis://redis.redis:6379/0", s.redis.URL())
		text = strings.ReplaceAll(text, "/run/headway/nats", s.file("nats", name))
		text = strings.ReplaceAll(text, "/run/headway/redis", s.file("redis", name))
		text = strings.NewReplacer(":9090", "127.0.0.1:0", ":8080", "127.0.0.1:0").Replace(text)
		if err := os.WriteFile(filepath.Join(dir, "headway.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	ready := func(name string, p *program.Program) {
		eventually(t, 30*time.Second, name+" is ready", func() error { return p.Ready(t.Context()) })
	}
	config := func(name string) string { return filepath.Join(mount(name), "headway.yaml") }
	ready("ingest", begin(t, io.Discard, ingestapp.New, "--config", config("ingest")))
	ready("detector", begin(t, io.Discard, detectorapp.New, "--config", config("detector")))
	api := begin(t, io.Discard, apiapp.New, "--config", config("api"))
	ready("api", api)

	key := createKey(t, config("api"))
	caller{t, "http://" + api.Addr(), key}.wait("GET", "/v1/me", "", 200, "admin")
}

// createKey makes the key of an administrator as `headway keys create` does beside a configuration, and returns what it prints.
func createKey(t *testing.T, config string) string {
	t.Helper()
	var c cli.Commands
	parser, err := kong.New(&c, kong.Configuration(program.YAML, config), kong.Vars{"version": "", "data_dir": ""})
	if err != nil {
		t.Fatal(err)
	}
	verb, err := parser.Parse([]string{"keys", "create", "--direct", "--namespace", "*", "--role", "admin", "--name", "me"})
	if err != nil {
		t.Fatal(err)
	}
	verb.BindTo(t.Context(), (*context.Context)(nil))
	out, err := os.Create(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = out // no parallel test runs beside this one
	err = verb.Run()
	os.Stdout = stdout
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(key))
}
