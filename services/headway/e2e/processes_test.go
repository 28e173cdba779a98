package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/viewstore"
)

// programs builds the programs under test, and a real nats-server, once.
type programs struct{ dir string }

func build(t *testing.T) programs {
	t.Helper()
	p := programs{t.TempDir()}
	for name, pkg := range map[string]string{
		"ingest":      "github.com/headwayhq/headway/services/ingest/cmd/ingest",
		"detector":    "github.com/headwayhq/headway/services/detector/cmd/detector",
		"api":         "github.com/headwayhq/headway/services/api/cmd/api",
		"nats-server": "github.com/nats-io/nats-server/v2",
	} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(p.dir, name), pkg)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	return p
}

// process is a child that can be killed and started again with the same arguments.
type process struct {
	t    *testing.T
	name string
	args []string
	env  []string
	dir  string // "": that of the test

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
	tail tail
}

func start(t *testing.T, name, path string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, args: append([]string{path}, args...)}
	p.start()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s said last:\n%s", p.name, p.tail.String())
		}
	})
	return p
}

func (p *process) start() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = &p.tail, &p.tail, p.dir
	cmd.Env = append(os.Environ(), p.env...)
	cmd.SysProcAttr = endsWithUs()
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("start %s: %v", p.name, err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	p.cmd, p.done = cmd, done
}

// kill is kill -9, and waits for the end.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.cmd.Process.Kill()
	<-p.done
}

// tail keeps the last lines that a process wrote.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (w *tail) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, strings.Split(strings.TrimRight(string(b), "\n"), "\n")...)
	w.lines = w.lines[max(0, len(w.lines)-40):]
	return len(b), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "\n")
}

// freePort asks the kernel for a port that is free now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
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

// backends are a real nats-server and a real redis-server, each of which can be killed.
type backends struct {
	nats, redis        *process
	natsURL, redisURL  string
	redisDir, redisRDB string
	nc                 *nats.Conn
	rdb                redis.UniversalClient
}

func startBackends(t *testing.T, p programs) *backends {
	t.Helper()
	redisPath, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("SKIPPED: no redis-server on this machine; this test kills and rolls back a real one")
	}
	b := startLog(t, p)
	b.redisDir = t.TempDir()
	redisPort := freePort(t)
	b.redisURL = fmt.Sprintf("redis://127.0.0.1:%d/0", redisPort)
	b.redisRDB = filepath.Join(b.redisDir, "dump.rdb")
	b.redis = start(t, "redis-server", redisPath, "--port", fmt.Sprint(redisPort), "--bind", "127.0.0.1", "--dir", b.redisDir,
		"--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction")
	b.rdb = redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", redisPort)})
	t.Cleanup(func() { _ = b.rdb.Close() })
	eventually(t, 10*time.Second, "redis-server", func() error { return b.rdb.Ping(context.Background()).Err() })
	return b
}

// startLog starts a nats-server only.
func startLog(t *testing.T, p programs) *backends {
	t.Helper()
	natsPort := freePort(t)
	b := &backends{natsURL: fmt.Sprintf("nats://127.0.0.1:%d", natsPort)}
	b.nats = start(t, "nats-server", filepath.Join(p.dir, "nats-server"), "-js", "-sd", t.TempDir(), "-a", "127.0.0.1", "-p", fmt.Sprint(natsPort))
	eventually(t, 10*time.Second, "nats-server", func() (err error) {
		b.nc, err = nats.Connect(b.natsURL, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
		return err
	})
	t.Cleanup(b.nc.Close)
	return b
}

// values are the stored views, by namespace and batch.
func (b *backends) values(ctx context.Context) (map[string][]byte, error) {
	var mu sync.Mutex
	stored := map[string][]byte{}
	of := func(ctx context.Context, c *redis.Client) error {
		found := c.Scan(ctx, 0, "hw:*:v:*", 1000).Iterator()
		for found.Next(ctx) {
			v, err := c.Get(ctx, found.Val()).Bytes()
			if errors.Is(err, redis.Nil) {
				continue
			}
			if err == nil {
				v, err = viewstore.Whole(ctx, c, found.Val(), v)
			}
			if err != nil {
				return err
			}
			mu.Lock()
			stored[found.Val()[strings.Index(found.Val(), ":v:")+3:]] = v
			mu.Unlock()
		}
		return found.Err()
	}
	if cluster, ok := b.rdb.(*redis.ClusterClient); ok {
		return stored, cluster.ForEachMaster(ctx, of)
	}
	return stored, of(ctx, b.rdb.(*redis.Client))
}

// restartEmpty empties Redis by restarting it without data.
func (b *backends) restartEmpty() {
	b.redis.kill()
	_ = os.Remove(b.redisRDB)
	b.redis.start()
}

// snapshot saves the present data of Redis to a file.
func (b *backends) snapshot(t *testing.T) string {
	t.Helper()
	if err := b.rdb.Save(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	old := b.redisRDB + ".old"
	copyFile(t, old, b.redisRDB)
	return old
}

// rollBack restarts Redis with an older snapshot.
func (b *backends) rollBack(t *testing.T, old string) {
	t.Helper()
	b.redis.kill()
	copyFile(t, b.redisRDB, old)
	b.redis.start()
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// sse reads server-sent events and passes the id and name of each to a function. It reconnects with the last id until ctx ends.
func sse(ctx context.Context, url string, event func(id, name string, data []byte)) error {
	last := ""
	for ctx.Err() == nil {
		ended, err := sseOnce(ctx, url, &last, event)
		if ended {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return ctx.Err()
}

func sseOnce(ctx context.Context, url string, last *string, event func(id, name string, data []byte)) (ended bool, err error) {
	req, err := newRequest(ctx, url, *last)
	if err != nil {
		return false, err
	}
	res, err := streamClient.Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	if res.StatusCode == 204 {
		return true, nil
	}
	if res.StatusCode != 200 {
		_, _ = io.Copy(io.Discard, res.Body)
		return false, errors.New(res.Status)
	}
	r := bufio.NewReaderSize(res.Body, 1<<20)
	var name string
	var data []byte
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return false, err
		}
		switch text := strings.TrimRight(string(line), "\r\n"); {
		case text == "":
			if len(data) > 0 || name != "" {
				event(*last, name, data)
			}
			name, data = "", nil
		case strings.HasPrefix(text, "id:"):
			*last = strings.TrimSpace(text[3:])
		case strings.HasPrefix(text, "event:"):
			name = strings.TrimSpace(text[6:])
		case strings.HasPrefix(text, "data:"):
			data = append(data, strings.TrimPrefix(text[5:], " ")...)
		}
	}
}
