package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// built is where the programs under test and a nats-server are, and a directory for what a run leaves.
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
	if o.Bugs {
		args = append(args, "-tags", "seeded")
	}
	if o.Clocks {
		overlay, err := clockOverlay(ctx, dir)
		if err != nil {
			return nil, err
		}
		args = append(args, "-overlay", overlay)
	}
	args = append(args, module+"services/ingest/cmd/ingest", module+"services/detector/cmd/detector", module+"services/api/cmd/api")
	for _, a := range [][]string{args, {"build", "-trimpath", "-o", filepath.Join(dir, "nats-server"), "github.com/nats-io/nats-server/v2"}} {
		fmt.Println("building", a[len(a)-1])
		if out, err := exec.CommandContext(ctx, "go", a...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(a, " "), err, out)
		}
	}
	return b, nil
}

// skewFile lets time.Now be wrong by HEADWAY_PROVE_SKEW seconds. Timers, which run on the monotonic clock, stay right.
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

// clockOverlay makes the toolchain's own package time read a clock that is wrong, so that no line of the programs needs
// to know of it.
func clockOverlay(ctx context.Context, dir string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	from := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	source, err := os.ReadFile(filepath.Join(from, "time.go"))
	if err != nil {
		return "", err
	}
	const reads = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(source), reads) != 1 {
		return "", errors.New("this Go's time.Now isn't as expected: --clocks can't be used")
	}
	replaced := strings.Replace(string(source), reads, reads+"\tsec += proveSkew\n", 1)
	overlay := map[string]map[string]string{"Replace": {
		filepath.Join(from, "time.go"):       filepath.Join(dir, "time.go"),
		filepath.Join(from, "prove_skew.go"): filepath.Join(dir, "prove_skew.go"),
	}}
	text, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	for name, data := range map[string][]byte{"time.go": []byte(replaced), "prove_skew.go": []byte(skewFile), "overlay.json": text} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return "", err
		}
	}
	return path, nil
}
