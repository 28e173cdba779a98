package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Redis is the server that stores the views.
type Redis struct {
	*Server

	URL  string
	What string // text for the user: the kind of server
	Stop func()
}

// StartRedis starts a redis-server found on this machine as a child on a private socket, else an
// in-memory stand-in. Neither writes to disk: views are rebuilt from the event log at the start. A child that ends is
// started again, until Stop.
func StartRedis(ctx context.Context, log *slog.Logger) (Redis, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		m, err := miniredis.Run()
		if err != nil {
			return Redis{}, fmt.Errorf("embedded Redis: %w", err)
		}
		return Redis{
			Server: newServer("miniredis", log), URL: "redis://" + m.Addr() + "/0", Stop: m.Close,
			What: "in memory of this process (miniredis, since no redis-server is installed; slower, fine for trying out)",
		}, nil
	}
	dir, err := os.MkdirTemp("", "headway-redis-") // a socket's path has a length limit, which a data directory may exceed
	if err != nil {
		return Redis{}, fmt.Errorf("embedded Redis: %w", err)
	}
	c := &redisChild{Server: newServer("redis-server", log), path: path, dir: dir, socket: filepath.Join(dir, "redis.sock")}
	first := make(chan error)
	go c.run(ctx, first)
	if err := <-first; err != nil {
		_ = os.RemoveAll(dir)
		return Redis{}, fmt.Errorf("embedded Redis: %s: %w", path, err)
	}
	stop := func() {
		close(c.stop)
		<-c.ended
		_ = os.RemoveAll(dir)
	}
	return Redis{Server: c.Server, URL: "unix://" + c.socket, Stop: stop, What: path + " as a child of this process"}, nil
}

// redisChild is a redis-server as a child of this process.
type redisChild struct {
	*Server

	path, dir, socket string
	cmd               *exec.Cmd
	exited            chan struct{}
}

// run starts the child, sends the result to first, and keeps the child running. It stays on one thread, because Linux
// ends the child with the thread that started it, and it should end with the process.
func (c *redisChild) run(ctx context.Context, first chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.start(ctx)
	first <- err
	if err == nil {
		c.supervise(time.Now(), c.await, func() error { return c.start(context.WithoutCancel(ctx)) })
	}
}

// start returns when the child answers.
func (c *redisChild) start(ctx context.Context) error {
	cmd := exec.Command(c.path, "--port", "0", "--unixsocket", c.socket, "--unixsocketperm", "700", "--dir", c.dir,
		"--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--loglevel", "warning")
	// It has a process group of its own: Ctrl-C ends this process first, which ends Redis after its last writes.
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		return err
	}
	c.cmd, c.exited = cmd, make(chan struct{})
	go func() { _ = cmd.Wait(); close(c.exited) }()
	if err := c.answers(ctx); err != nil {
		_ = cmd.Process.Kill()
		<-c.exited
		return err
	}
	return nil
}

// await waits until the child ends and returns how it ended; "" after Stop.
func (c *redisChild) await() string {
	select {
	case <-c.exited:
		return c.cmd.ProcessState.String()
	case <-c.stop:
	}
	if terminate(c.cmd.Process) == nil {
		select {
		case <-c.exited:
			return ""
		case <-time.After(time.Second):
		}
	}
	_ = c.cmd.Process.Kill()
	<-c.exited
	return ""
}

func (c *redisChild) answers(ctx context.Context) error {
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: c.socket, DialerRetries: 1})
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := client.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		select {
		case <-c.exited:
			return errors.New("it ended at once: " + c.cmd.ProcessState.String())
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
