package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Redis is where the views are kept.
type Redis struct {
	URL  string
	What string // for people: what it is
	Stop func()
}

// StartRedis starts a redis-server found on this machine as a child on a private socket, else an
// in-memory stand-in. Neither writes to disk: views are rebuilt from the event log at the start.
func StartRedis(ctx context.Context, dir string) (Redis, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		m, err := miniredis.Run()
		if err != nil {
			return Redis{}, fmt.Errorf("embedded Redis: %w", err)
		}
		return Redis{
			URL: "redis://" + m.Addr() + "/0", Stop: m.Close,
			What: "in memory of this process (miniredis, since no redis-server is installed; slower, fine for trying out)",
		}, nil
	}
	runtimeDir, err := os.MkdirTemp("", "headway-redis-") // a socket's path is short, a data directory's may not be
	if err != nil {
		return Redis{}, fmt.Errorf("embedded Redis: %w", err)
	}
	socket := filepath.Join(runtimeDir, "redis.sock")
	cmd := exec.Command(path, "--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", runtimeDir,
		"--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--loglevel", "warning")
	// Its own group: Ctrl-C ends us first, and it when we have written what we have.
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		return Redis{}, fmt.Errorf("embedded Redis: %w", err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	stop := func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		_ = os.RemoveAll(runtimeDir)
	}
	url := "unix://" + socket
	if err := awaitRedis(ctx, url, ended); err != nil {
		stop()
		return Redis{}, fmt.Errorf("embedded Redis: %s: %w", path, err)
	}
	return Redis{URL: url, Stop: stop, What: path + " as a child of this process"}, nil
}

func awaitRedis(ctx context.Context, url string, ended <-chan struct{}) error {
	o, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	c := redis.NewClient(o)
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = c.Ping(ctx).Err(); err == nil {
			return nil
		}
		select {
		case <-ended:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
