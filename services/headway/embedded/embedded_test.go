package embedded

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
)

// Two servers on one store directory would damage it.
func TestOneServerADirectory(t *testing.T) {
	dir := t.TempDir()
	first, err := StartNATS("127.0.0.1:0", dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := StartNATS("127.0.0.1:0", dir, nil); err == nil {
		second.Stop()
		t.Error("a second server was started on the same directory")
	} else if !strings.Contains(err.Error(), "--data-dir") || !strings.Contains(err.Error(), dir) {
		t.Errorf("the error names neither flag nor directory: %v", err)
	}
	first.Stop()
	again, err := StartNATS("127.0.0.1:0", dir, nil)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	again.Stop()
}

// Our directories are accessible to their owner only, even if they had other permissions before. A directory with files of others
// stays as it is.
func TestDataDirIsPrivate(t *testing.T) {
	mode := func(dir string) os.FileMode {
		s, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		return s.Mode().Perm()
	}
	open := func(dir string) string {
		t.Helper()
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	log := slog.New(slog.DiscardHandler)
	for name, c := range map[string]struct {
		make func(dir string)
		want os.FileMode
	}{
		"new":             {func(string) {}, 0o700},
		"empty":           {func(dir string) { open(dir) }, 0o700},
		"of a run before": {func(dir string) { open(filepath.Join(open(dir), "nats")); write(t, dir, "lock") }, 0o700},
		"of others too":   {func(dir string) { open(filepath.Join(open(dir), "nats")); write(t, dir, "thesis.tex") }, 0o755},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "d")
			c.make(dir)
			if err := DataDir(dir, log); err != nil {
				t.Fatal(err)
			}
			if mode(dir) != c.want || mode(filepath.Join(dir, "nats")) != 0o700 {
				t.Errorf("%v, nats %v", mode(dir), mode(filepath.Join(dir, "nats")))
			}
		})
	}
}

func write(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// pid is the process of a server, 0 while it doesn't answer.
func pid(t *testing.T, c *redis.Client) int {
	t.Helper()
	info, _ := c.Info(t.Context(), "server").Result()
	_, after, _ := strings.Cut(info, "process_id:")
	line, _, _ := strings.Cut(after, "\r\n")
	n, _ := strconv.Atoi(line)
	return n
}

// replaced kills a server, and returns when another one answers.
func replaced(t *testing.T, c *redis.Client) {
	t.Helper()
	before := pid(t, c)
	p, err := os.FindProcess(before)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		if now := pid(t, c); now != 0 && now != before {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("not started again")
		}
		time.Sleep(10 * time.Millisecond) // between two looks
	}
}

// A child that is killed is started again and answers, empty. If it is killed repeatedly, it is given up, with the reason.
func TestRedisIsStartedAgain(t *testing.T) {
	r, err := StartRedis(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	if !strings.HasPrefix(r.URL, "unix://") {
		t.Skip("SKIPPED: no redis-server on this machine")
	}
	o, err := redis.ParseURL(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	defer client.Close()
	killed, given := 0, error(nil)
	for last := 0; given == nil && killed < 10; {
		now := pid(t, client)
		if now == 0 || now == last {
			select {
			case given = <-r.Failed():
			case <-time.After(10 * time.Millisecond): // between two looks
			}
			continue
		}
		if says, _ := r.Trouble(); last != 0 && !strings.Contains(says, "killed") {
			t.Errorf("its trouble is %q", says)
		}
		p, err := os.FindProcess(now)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		last = now
		killed++
	}
	if killed != 1+maxTries || given == nil || !strings.Contains(given.Error(), "redis-server can't be kept running") {
		t.Errorf("killed %d times: %v", killed, given)
	}
}

// A server that disabled JetStream gets it back, with its data.
func TestJetStreamIsStartedAgain(t *testing.T) {
	n, err := StartNATS("127.0.0.1:0", t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Stop()
	nc, err := nats.Connect(n.URL, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "s", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	if err := n.server.ShutdownJetStream(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		s, err := js.Stream(t.Context(), "S")
		if err == nil && s.CachedInfo().State.Msgs == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not again: %v", err)
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
	if says, _ := n.Trouble(); !strings.Contains(says, "JetStream was given up") {
		t.Errorf("its trouble is %q", says)
	}
}
