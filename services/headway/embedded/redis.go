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

	URL    string
	What   string // text for the user: the kind of server, and what it keeps
	Loaded bool   // it has what an earlier one saved
	Stop   func()
}

// StartRedis starts a redis-server found on this machine as a child on a private socket, else an in-memory stand-in.
// A child that ends is started again, until Stop.
//
// When the child is stopped it saves its data in the directory keep, from which the next one loads them; "" keeps nothing. Data that
// can't be loaded are moved aside. The stand-in keeps nothing. What isn't there is rebuilt from the event log.
func StartRedis(ctx context.Context, keep string, log *slog.Logger) (Redis, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		m, err := miniredis.Run()
		if err != nil {
			return Redis{}, fmt.Errorf("embedded Redis: %w", err)
		}
		return Redis{
			Server: newServer("miniredis", log), URL: "redis://" + m.Addr() + "/0", Stop: m.Close,
			What: "in memory of this process (miniredis, since no redis-server is installed; slower, fine for trying out; each start reads the whole event log)",
		}, nil
	}
	server := newServer("redis-server", log)
	kept, err := openKept(ctx, keep, server.log)
	if err != nil {
		return Redis{}, err
	}
	dir, err := os.MkdirTemp("", "headway-redis-") // a socket's path has a length limit, which a data directory may exceed
	if err != nil {
		return Redis{}, fmt.Errorf("embedded Redis: %w", err)
	}
	c := &redisChild{Server: server, path: path, dir: dir, socket: filepath.Join(dir, "redis.sock"), kept: kept}
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
	what := path + " as a child of this process"
	if kept != nil {
		what += ", saved in " + keep + " when it ends"
	}
	return Redis{Server: c.Server, URL: "unix://" + c.socket, Stop: stop, What: what, Loaded: c.loaded}, nil
}

// redisChild is a redis-server as a child of this process.
type redisChild struct {
	*Server

	path, dir, socket string
	kept              *kept // nil: nothing is kept
	loaded            bool  // the first one loaded what was kept
	cmd               *exec.Cmd
	said              *beginning
	exited            chan struct{}
}

// run starts the child, sends the result to first, and keeps the child running. It stays on one thread, because Linux
// ends the child with the thread that started it, and it should end with the process.
func (c *redisChild) run(ctx context.Context, first chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var err error
	c.loaded, err = c.start(ctx)
	first <- err
	if err == nil {
		c.supervise(time.Now(), c.await, func() error { _, err := c.start(context.WithoutCancel(ctx)); return err })
	}
}

// start returns when the child answers, and says whether it has loaded what was kept.
func (c *redisChild) start(ctx context.Context) (loaded bool, err error) {
	found := c.kept.found()
	err = c.startOnce(ctx)
	if err != nil && found && ctx.Err() == nil {
		c.log.Error("loading the saved views failed, moved them aside to rebuild all from the event log", "error", err, "file", c.kept.moveAside())
		found, err = false, c.startOnce(ctx)
	}
	if err != nil {
		return false, err
	}
	c.kept.remove()
	return found, nil
}

func (c *redisChild) startOnce(ctx context.Context) error {
	args := []string{
		"--port", "0", "--unixsocket", c.socket, "--unixsocketperm", "700", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--loglevel", "warning",
	}
	cmd := exec.Command(c.path, append(args, c.kept.arguments(c.dir)...)...)
	// It has a process group of its own: Ctrl-C ends this process first, which ends Redis after its last writes.
	cmd.SysProcAttr = childAttributes()
	c.said = &beginning{}
	cmd.Stdout = c.said
	if c.kept != nil {
		given, err := giveLock(cmd, c.kept.lock())
		if err != nil {
			return err
		}
		defer given()
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.cmd, c.exited = cmd, make(chan struct{})
	go func(exited chan struct{}) { _ = cmd.Wait(); close(exited) }(c.exited)
	if err := c.answers(ctx); err != nil {
		_ = cmd.Process.Kill()
		<-c.exited
		return err
	}
	return nil
}

// saveLimit bounds how long the child may save its data when it is stopped. A gigabyte takes some seconds.
const saveLimit = 20 * time.Second

// await waits until the child ends and returns how it ended; "" after Stop.
func (c *redisChild) await() string {
	select {
	case <-c.exited:
		return c.cmd.ProcessState.String()
	case <-c.stop:
	}
	switch {
	case c.kept != nil:
		if err := c.save(); err != nil {
			c.log.Error("saving views failed, the next start rebuilds them from the event log", "error", err)
		}
	case terminate(c.cmd.Process) == nil:
		select {
		case <-c.exited:
		case <-time.After(time.Second):
		}
	}
	_ = c.cmd.Process.Kill()
	<-c.exited
	return ""
}

// save ends the child after it has saved its data.
func (c *redisChild) save() error {
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: c.socket, DialerRetries: 1, MaxRetries: -1, ReadTimeout: saveLimit})
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), saveLimit)
	defer cancel()
	if err := client.ShutdownSave(ctx).Err(); err != nil {
		return err
	}
	select {
	case <-c.exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answerLimit bounds how long a child may take to answer, after it has loaded its data.
const answerLimit = 10 * time.Second

func (c *redisChild) answers(ctx context.Context) error {
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: c.socket, DialerRetries: 1, MaxRetries: -1})
	defer client.Close()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(answerLimit)
	defer limit.Stop()
	for {
		_, err := os.Stat(c.socket)
		if err == nil {
			err = client.Ping(ctx).Err()
		}
		switch {
		case err == nil:
			return nil
		case redis.HasErrorPrefix(err, "LOADING"):
			limit.Reset(answerLimit)
		}
		select {
		case <-c.exited:
			return fmt.Errorf("it ended at once: %s: %s", c.cmd.ProcessState, c.said)
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return errors.Join(errors.New("it doesn't answer"), err)
		case <-tick.C:
		}
	}
}
