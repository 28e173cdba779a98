package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/policy"
)

// docsPrograms is the directory of the built programs. `make docs` builds them and names it.
func docsPrograms(t *testing.T) string {
	t.Helper()
	bin := os.Getenv("HEADWAY_DOCS_BIN")
	if bin == "" {
		t.Skip("`make docs` runs this")
	}
	return bin
}

// TestDocsCommands runs every command that README and docs show, in the order of a reader, against a Headway with the
// demo's workload.
func TestDocsCommands(t *testing.T) {
	bin := docsPrograms(t)
	data := t.TempDir()
	r := runHeadway(t, filepath.Join(bin, "headway"), data, "--demo")
	ran, skipped := 0, 0
	for _, page := range pages(t) {
		t.Run(page, func(t *testing.T) {
			s := newShell(t, r, bin, data)
			for _, b := range blocks(t, page) {
				if b.skip != "" {
					skipped++
					t.Logf("line %d: not run: %s", b.line, b.skip)
					continue
				}
				for _, c := range b.commands(t) {
					ran++
					if err := s.does(c, b.until); err != nil {
						t.Errorf("%s, block at line %d: %v", page, b.line, err)
					}
				}
			}
		})
	}
	t.Logf("%d commands run, %d blocks not run", ran, skipped)
	if ran == 0 {
		t.Error("no command was found")
	}
}

// shell runs commands as a reader types them, in a directory that looks like a checkout.
type shell struct {
	dir   string
	env   []string
	set   string // assignments so far
	local *strings.Replacer
}

// A reader sees that a request failed, but a test needs an exit code. What make would build is already built.
const prelude = `set -o pipefail
curl() { command curl --fail-with-body "$@"; }
make() { HEADWAY_DATA_DIR="$PWD/data" command make -o build "$@"; }
`

func newShell(t *testing.T, r *running, bin, data string) *shell {
	t.Helper()
	root, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "bin" || e.Name() == ".git" {
			continue
		}
		if err := os.Symlink(filepath.Join(root, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(bin, filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	return &shell{
		dir: dir,
		env: append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HEADWAY_URL="+r.api, "HEADWAY_NATS_URL="+r.nats, "HEADWAY_DATA_DIR="+data,
			"HEADWAY_LISTEN=127.0.0.1:0", "HEADWAY_NATS_LISTEN=127.0.0.1:0"),
		local: strings.NewReplacer("http://127.0.0.1:8080", r.api, "nats://127.0.0.1:4222", r.nats),
	}
}

var assignment = regexp.MustCompile(`^(export )?[A-Za-z_]+=`)

// does repeats a command until it succeeds, because what was just sent may take a moment to appear.
func (s *shell) does(command string, until *regexp.Regexp) (err error) {
	command = s.local.Replace(command)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if err = s.once(command, until); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err == nil && assignment.MatchString(command) {
		s.set += command + "\n"
	}
	return err
}

func (s *shell) once(command string, until *regexp.Regexp) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", prelude+s.set+command)
	cmd.Dir, cmd.Env, cmd.SysProcAttr, cmd.WaitDelay = s.dir, s.env, groupThatEndsWithUs(), 5*time.Second
	group := func(sig syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, sig) }
	cmd.Cancel = func() error { return group(syscall.SIGKILL) }
	out := &seen{until: until, found: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() { _ = group(syscall.SIGKILL) }()
	select {
	case err := <-ended:
		return out.explain(command, err)
	case <-out.found:
	}
	select { // it may be about to end by itself
	case err := <-ended:
		return out.explain(command, err)
	case <-time.After(500 * time.Millisecond):
	}
	_ = group(syscall.SIGINT)
	select {
	case <-ended:
	case <-time.After(15 * time.Second):
		return fmt.Errorf("%s\ndidn't end within 15 s of an interrupt", command)
	}
	return nil
}

// seen collects what a command prints, and reports when it has printed the expected text.
type seen struct {
	mu    sync.Mutex
	b     bytes.Buffer
	until *regexp.Regexp
	found chan struct{}
}

func (s *seen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.Write(p)
	if s.until != nil && s.until.Match(s.b.Bytes()) {
		close(s.found)
		s.until = nil
	}
	return len(p), nil
}

func (s *seen) explain(command string, err error) error {
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	said := s.b.String()
	return fmt.Errorf("%s\n%w; it printed:\n%s", command, err, said[max(0, len(said)-2000):])
}

// The programs accept the policy on the configuration page.
func TestDocsPolicy(t *testing.T) {
	m := regexp.MustCompile("(?ms)^```yaml\n(default:.*?)^```$").FindStringSubmatch(readPage(t, "docs/configuration.md"))
	if m == nil {
		t.Fatal("docs/configuration.md shows no policy")
	}
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(m[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Load(path); err != nil {
		t.Error(err)
	}
}
