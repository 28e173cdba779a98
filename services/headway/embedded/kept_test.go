package embedded

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// startKept starts a child that keeps its data in dir, and returns it with a client.
func startKept(t *testing.T, dir string) (r Redis, c *redis.Client, said *bytes.Buffer) {
	t.Helper()
	said = &bytes.Buffer{}
	r, err := StartRedis(t.Context(), dir, slog.New(slog.NewTextHandler(said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(r.URL, "unix://") {
		r.Stop()
		t.Skip("SKIPPED: no redis-server on this machine")
	}
	o, err := redis.ParseURL(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	c = redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return r, c, said
}

// saved returns what a stopped child has saved: the key "a" with a value.
func saved(t *testing.T, dir string) []byte {
	t.Helper()
	r, c, _ := startKept(t, dir)
	if err := c.Set(t.Context(), "a", strings.Repeat("some text ", 1000), 0).Err(); err != nil {
		t.Fatal(err)
	}
	r.Stop()
	b, err := os.ReadFile(filepath.Join(dir, keptFile))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRedisIsSavedAndLoaded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "redis")
	file := filepath.Join(dir, keptFile)
	saved(t, dir)
	if s, err := os.Stat(dir); err != nil || s.Mode().Perm() != private {
		t.Errorf("%v %v", s.Mode(), err)
	}
	left := filepath.Join(dir, "temp-1.rdb")
	write(t, dir, "temp-1.rdb")
	r, c, said := startKept(t, dir)
	if !r.Loaded || c.Exists(t.Context(), "a").Val() != 1 {
		t.Errorf("not loaded: %s", said)
	}
	for _, gone := range []string{file, left} { // the next one must not begin with what is old, should this one be killed
		if _, err := os.Stat(gone); err == nil {
			t.Errorf("%s is still there", gone)
		}
	}
	replaced(t, c)
	if c.Exists(t.Context(), "a").Val() != 0 {
		t.Error("a server that was killed has come back with something old")
	}
	r.Stop()
	if r, c, _ = startKept(t, dir); !r.Loaded || c.DBSize(t.Context()).Val() != 0 {
		t.Error("an empty one isn't saved as such")
	}
	r.Stop()
}

// Whatever the file is, a server starts, and what can't be loaded is still there for whoever wants to look at it.
func TestRedisStartsWithAnyFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := saved(t, dir)
	file := filepath.Join(dir, keptFile)
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for name, content := range map[string][]byte{
		"empty": {}, "foreign": []byte("%PDF-1.7 and so on"), "cut": good[:len(good)-20], "damaged": flipped,
		"of a newer Redis": append([]byte("REDIS0999"), good[9:]...), "directory": nil,
	} {
		t.Run(name, func(t *testing.T) {
			err := os.WriteFile(file, content, 0o600)
			if content == nil {
				err = os.Remove(file)
				if err == nil {
					err = os.MkdirAll(filepath.Join(file, "x"), 0o700)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			r, c, said := startKept(t, dir)
			if r.Loaded || c.DBSize(t.Context()).Val() != 0 {
				t.Error("loaded")
			}
			r.Stop()
			if _, err := os.Stat(file + ".unreadable"); err != nil || !strings.Contains(said.String(), "moved them aside") {
				t.Errorf("%v: %s", err, said)
			}
		})
	}
}

// A directory that another server uses isn't touched.
func TestRedisDirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, _, _ := startKept(t, dir)
	defer first.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // otherwise it would wait for the first one to end
	said := &bytes.Buffer{}
	if k, err := openKept(ctx, dir, slog.New(slog.NewTextHandler(said, nil))); k != nil || err != nil || !strings.Contains(said.String(), "in use") {
		t.Errorf("%v %v %s", k, err, said)
	}
}
