package headwaytest

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"
)

// RedisServer is a Redis for a test. One that RedisChild started can also be made to fail.
type RedisServer struct {
	t       testing.TB
	what    string
	url     string
	path    string // of the program; "" if the server isn't a child of this process
	args    []string
	dir     string
	address string
	cmd     *exec.Cmd // nil while it is down
}

// RedisBest returns the Redis that the function Redis chooses.
func RedisBest(t testing.TB) *RedisServer {
	t.Helper()
	url, what := Redis(t)
	return &RedisServer{t: t, what: what, url: url}
}

// RedisChild starts a redis-server of this machine on a free port, with args after its own. It writes to disk only in
// Save and Restart, and ends with the test. The test is skipped if there is no such program.
func RedisChild(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	r, err := newChild(t, args)
	if errors.Is(err, errNone) {
		t.Skip("SKIPPED: no redis-server on this machine")
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// RedisEach runs a conformance suite on the in-memory stand-in and on the best available real Redis.
func RedisEach(t *testing.T, suite func(t *testing.T, r *RedisServer)) {
	t.Helper()
	t.Run("stand-in", func(t *testing.T) {
		suite(t, &RedisServer{t: t, what: standIn, url: "redis://" + miniredis.RunT(t).Addr() + "/0"})
	})
	t.Run("real", func(t *testing.T) {
		r := RedisBest(t)
		if r.what == standIn {
			t.Skip("SKIPPED: no real Redis: neither HEADWAY_TEST_REDIS_URL nor a Docker engine nor a redis-server")
		}
		suite(t, r)
	})
}

func newChild(t testing.TB, args []string) (*RedisServer, error) {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errNone
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	_ = l.Close()
	r := &RedisServer{
		t: t, what: "redis-server", url: "redis://" + address + "/0", address: address,
		path: path, args: args, dir: t.TempDir(),
	}
	t.Cleanup(r.stop)
	return r, r.start()
}

func (r *RedisServer) start() error {
	_, port, err := net.SplitHostPort(r.address)
	if err != nil {
		return err
	}
	own := []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", r.dir}
	cmd := exec.Command(r.path, append(own, r.args...)...)
	if err := cmd.Start(); err != nil {
		return err
	}
	r.cmd = cmd
	c := goredis.NewClient(&goredis.Options{Addr: r.address, MaxRetries: -1})
	defer c.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(startLimit); ; <-tick.C {
		err := c.Ping(r.t.Context()).Err()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

// stop kills the child, and does nothing if there is none.
func (r *RedisServer) stop() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	r.cmd = nil
}

// What names the kind of Redis.
func (r *RedisServer) What() string { return r.what }

// URL is the address of the server. It stays the same over a restart.
func (r *RedisServer) URL() string { return r.url }

// Client returns a new client without automatic retries. It is closed when the test ends.
func (r *RedisServer) Client() *goredis.Client {
	r.t.Helper()
	o, err := goredis.ParseURL(r.url)
	if err != nil {
		r.t.Fatal(err)
	}
	o.MaxRetries = -1
	c := goredis.NewClient(o)
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Flush deletes all data of the server.
func (r *RedisServer) Flush() {
	r.t.Helper()
	if err := r.Client().FlushAll(r.t.Context()).Err(); err != nil {
		r.t.Fatal(err)
	}
}

// Save writes a child's data to disk. A Restart after a Kill returns to it.
func (r *RedisServer) Save() {
	r.t.Helper()
	r.needChild()
	if err := r.Client().Save(r.t.Context()).Err(); err != nil {
		r.t.Fatal(err)
	}
}

// Kill ends a child at once; data that wasn't saved is lost.
func (r *RedisServer) Kill() {
	r.t.Helper()
	r.needChild()
	r.stop()
}

// Restart starts a child again on its port with its data; after a Kill, with the data saved last.
func (r *RedisServer) Restart() {
	r.t.Helper()
	r.needChild()
	if r.cmd != nil {
		r.Save()
		r.stop()
	}
	if err := r.start(); err != nil {
		r.t.Fatal(err)
	}
}

// RestartEmpty starts a child again on its port without data.
func (r *RedisServer) RestartEmpty() {
	r.t.Helper()
	r.needChild()
	r.stop()
	if err := os.Remove(filepath.Join(r.dir, "dump.rdb")); err != nil && !errors.Is(err, os.ErrNotExist) {
		r.t.Fatal(err)
	}
	if err := r.start(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *RedisServer) needChild() {
	r.t.Helper()
	if r.path == "" {
		r.t.Fatalf("%s isn't a child of this process: use RedisChild", r.what)
	}
}

// HostPort is where a child listens.
func (r *RedisServer) HostPort() (host, port string) {
	r.needChild()
	host, port, _ = net.SplitHostPort(r.address)
	return host, port
}
