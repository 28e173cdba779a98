package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/services/internal/release"
)

// elsewhere is the go command of somebody who has only the module path: an empty directory, a module proxy with our next release,
// and an empty module cache. Modules of others come from this machine's cache if they are in it.
type elsewhere struct {
	t       *testing.T
	dir     string
	env     []string
	version string
}

func newElsewhere(t *testing.T) *elsewhere {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	proxy := t.TempDir()
	if err := release.Proxy(t.Context(), root, proxy); err != nil {
		t.Fatal(err)
	}
	version, err := release.Version(root)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name string) string {
		out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	cache := filepath.Join(t.TempDir(), "modules")
	t.Cleanup(func() { // the go command makes it read-only
		_ = exec.CommandContext(context.WithoutCancel(t.Context()), "chmod", "-R", "u+w", cache).Run()
	})
	return &elsewhere{
		t: t, dir: t.TempDir(), version: version,
		env: append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod -trimpath", "GOMODCACHE="+cache, "GONOSUMDB=github.com/headwayhq/*",
			"GOPROXY=file://"+proxy+",file://"+ask("GOMODCACHE")+"/cache/download,"+ask("GOPROXY")),
	}
}

func (e *elsewhere) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = e.dir, e.env
	return c
}

func (e *elsewhere) run(name string, args ...string) string {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), 10*time.Minute)
	defer cancel()
	out, err := e.command(ctx, name, args...).CombinedOutput()
	if err != nil {
		e.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// goExample is the program that the README shows.
func goExample(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```go\n(package main\n.*?)```").FindSubmatch(readme)
	if m == nil {
		t.Fatal("the README has no Go program")
	}
	return string(m[1])
}

// TestModulesElsewhere does what somebody with only the module path would do: install the program, get the client, compile the
// README's example, and run it against the program.
func TestModulesElsewhere(t *testing.T) {
	t.Parallel()
	e := newElsewhere(t)
	bin := filepath.Join(e.dir, "bin")
	e.env = append(e.env, "GOBIN="+bin)
	e.run("go", "install", "github.com/headwayhq/headway/services/headway@"+e.version)
	if says := e.run(filepath.Join(bin, "headway"), "--version"); !strings.Contains(says, e.version) {
		t.Errorf("headway --version says %q, want %s in it", says, e.version)
	}

	e.run("go", "mod", "init", "example.com/pipeline")
	e.run("go", "get", "github.com/headwayhq/headway/pkg/client@"+e.version)
	if err := os.WriteFile(filepath.Join(e.dir, "main.go"), []byte(goExample(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	e.run("go", "mod", "tidy")
	e.run("go", "build", "-o", "pipeline", ".")

	// The client brings only the modules that it needs, and none of servers or tests.
	allowed := regexp.MustCompile(`^(example\.com/pipeline|github\.com/headwayhq/headway/pkg/(client|diagnostics)|github\.com/nats-io/(nats\.go|nkeys|nuid)|` +
		`github\.com/cenkalti/backoff/v4|github\.com/tmaxmax/go-sse|github\.com/klauspost/compress|golang\.org/x/(crypto|sys))$`)
	for line := range strings.SplitSeq(strings.TrimSpace(e.run("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")), "\n") {
		if line != "" && !allowed.MatchString(line) {
			t.Errorf("the client brings %s into a build", line)
		}
	}
	for line := range strings.SplitSeq(e.run("go", "list", "-m", "all"), "\n") {
		if regexp.MustCompile(`nats-server|redis|testcontainers|docker|k8s\.io|headway/pkg/headwaytest|headwayhq/headway v`).MatchString(line) {
			t.Errorf("the client requires %s", line)
		}
	}

	r := runHeadway(t, filepath.Join(bin, "headway"), t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := e.command(ctx, filepath.Join(e.dir, "pipeline"))
	c.Env = append(c.Env, "NATS_URL="+r.nats)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("the README's example: %v\n%s", err, out)
	}
	r.shows("nightly-42", "status", "PROCESSING")
}
