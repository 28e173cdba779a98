package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// built holds the paths of the programs under test and of a nats-server, and a directory for the output of a run.
type built struct {
	bin  string
	dir  string
	keep bool
}

func (b *built) remove() {
	if !b.keep {
		_ = os.RemoveAll(b.dir)
	}
}

const module = "github.com/headwayhq/headway/"

func build(ctx context.Context, o options) (*built, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, errors.New("no redis-server on this machine")
	}
	dir, err := os.MkdirTemp("", "headway-prove-")
	if err != nil {
		return nil, err
	}
	b := &built{bin: dir, dir: dir, keep: o.Keep}
	if o.Bin != "" {
		b.bin = o.Bin
		return b, nil
	}
	args := []string{"build", "-trimpath", "-o", dir + "/"}
	if o.Bugs || o.Window > 0 { // without the tag the window is at least an hour
		args = append(args, "-tags", "seeded")
	}
	var replaced map[string]string
	if o.Clocks {
		if replaced, err = clockOverlay(ctx, dir); err != nil {
			return nil, err
		}
		overlay, err := writeOverlay(dir, "clock.json", replaced)
		if err != nil {
			return nil, err
		}
		args = append(args, "-overlay", overlay)
	}
	args = append(args, module+"services/ingest/cmd/ingest", module+"services/detector/cmd/detector", module+"services/api/cmd/api")
	all := [][]string{args, {"build", "-trimpath", "-o", filepath.Join(dir, "nats-server"), "github.com/nats-io/nats-server/v2"}}
	if o.Versions {
		overlay, err := olderOverlay(ctx, dir, replaced)
		if err != nil {
			return nil, err
		}
		all = append(all, []string{"build", "-trimpath", "-o", filepath.Join(dir, "older") + "/", "-overlay", overlay,
			module + "services/ingest/cmd/ingest", module + "services/detector/cmd/detector"})
	}
	for _, a := range all {
		fmt.Println("building", a[len(a)-1])
		if out, err := exec.CommandContext(ctx, "go", a...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(a, " "), err, out)
		}
	}
	return b, nil
}

// skewFile shifts time.Now by HEADWAY_PROVE_SKEW seconds. Timers use the monotonic clock and stay correct.
const skewFile = `package time

import "syscall"

var proveSkew = func() (n int64) {
	text, _ := syscall.Getenv("HEADWAY_PROVE_SKEW")
	sign := int64(1)
	for i := range len(text) {
		switch c := text[i]; {
		case c == '-':
			sign = -1
		case c >= '0' && c <= '9':
			n = n*10 + int64(c-'0')
		}
	}
	return sign * n
}()
`

// clockOverlay makes the toolchain's package time read a wrong clock, so that the programs need no code for it. It
// returns the files to replace and their replacements.
func clockOverlay(ctx context.Context, dir string) (map[string]string, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	from := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	source, err := os.ReadFile(filepath.Join(from, "time.go"))
	if err != nil {
		return nil, err
	}
	const reads = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(source), reads) != 1 {
		return nil, errors.New("this Go's time.Now isn't as expected: --clocks can't be used")
	}
	changed := strings.Replace(string(source), reads, reads+"\tsec += proveSkew\n", 1)
	for name, data := range map[string]string{"time.go": changed, "prove_skew.go": skewFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			return nil, err
		}
	}
	return map[string]string{
		filepath.Join(from, "time.go"):       filepath.Join(dir, "time.go"),
		filepath.Join(from, "prove_skew.go"): filepath.Join(dir, "prove_skew.go"),
	}, nil
}

// olderOverlay builds programs that claim to be of the previous fold version. Nothing else differs, so anything they
// might announce would still be right.
func olderOverlay(ctx context.Context, dir string, more map[string]string) (path string, err error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", module+"pkg/diagnostics/internal/view").Output()
	if err != nil {
		return "", err
	}
	file := filepath.Join(strings.TrimSpace(string(out)), "state.go")
	source, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	says := func(version int) string { return fmt.Sprintf("const FoldVersion = %d\n", version) }
	if strings.Count(string(source), says(diagnostics.FoldVersion)) != 1 {
		return "", errors.New("the fold version isn't where it was: --versions can't be used")
	}
	replaced := map[string]string{file: filepath.Join(dir, "state.go")}
	maps.Copy(replaced, more)
	source = bytes.Replace(source, []byte(says(diagnostics.FoldVersion)), []byte(says(diagnostics.FoldVersion-1)), 1)
	if err := os.WriteFile(replaced[file], source, 0o600); err != nil {
		return "", err
	}
	return writeOverlay(dir, "older.json", replaced)
}

func writeOverlay(dir, name string, replaced map[string]string) (path string, err error) {
	text, err := json.Marshal(map[string]map[string]string{"Replace": replaced})
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, name)
	return path, os.WriteFile(path, text, 0o600)
}
