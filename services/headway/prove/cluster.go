package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// policy has thresholds of seconds, so that each verdict occurs many times.
const (
	stallTimeout = 6 * time.Second
	grace        = time.Second

	policy = "default: {window_gpu: 8s, window_no_gpu: 6s, timeout: 6s, grace: 1s, settle: 5s, scaling_delay: 2s, hold: 2s}\n"
)

// freshWithin is how far the views may lag for an api to answer that something doesn't exist.
const freshWithin = 10 * time.Second

// program is one of Headway's programs, with its connections.
type program struct {
	*process
	kind        string // ingest, detector, api
	url         string // of /readyz, and of the API
	nats, redis *links
}

// cluster is all running processes.
type cluster struct {
	dir      string
	nats     *process
	redis    *redises
	natsURL  string
	programs []*program

	nc *nats.Conn
	js jetstream.JetStream
}

// freePort returns a port below the range that systems use for outgoing connections, so that a restarted program gets
// its port again.
func freePort() (int, error) {
	for range 100 {
		port := 20000 + rand.IntN(12000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no free port")
}

func startCluster(ctx context.Context, b *built, kind, dir string, env ...string) (*cluster, error) {
	c := &cluster{dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, "nats"), 0o700); err != nil {
		return nil, err
	}
	if err := c.startServers(ctx, b, kind); err != nil {
		c.stop()
		return nil, err
	}
	file := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		return nil, err
	}
	kinds := []struct {
		name, bin string
		n         int
	}{{"ingest", "ingest", 3}, {"detector", "detector", 2}, {"api", "api", 2}}
	if _, err := os.Stat(filepath.Join(b.bin, "older")); err == nil {
		kinds = append(kinds, kinds[0], kinds[1])
		for i := range kinds[3:] {
			kinds[3+i].name, kinds[3+i].bin, kinds[3+i].n = "older-"+kinds[3+i].name, filepath.Join("older", kinds[3+i].bin), 2
		}
	}
	for _, kind := range kinds {
		for i := range kind.n {
			p, err := c.program(b, kind.name, kind.bin, i, file)
			if err != nil {
				c.stop()
				return nil, err
			}
			p.setEnv(env...)
			c.programs = append(c.programs, p)
			if err := p.start(); err != nil {
				c.stop()
				return nil, err
			}
		}
	}
	return c, nil
}

func (c *cluster) startServers(ctx context.Context, b *built, kind string) error {
	natsPort, err := freePort()
	if err != nil {
		return err
	}
	c.natsURL = fmt.Sprintf("nats://127.0.0.1:%d", natsPort)
	if err := c.writeNATSConfig(natsPort, diskSpace); err != nil {
		return err
	}
	c.nats = newProcess(c.dir, "nats-server", filepath.Join(b.bin, "nats-server"), "-c", filepath.Join(c.dir, "nats.conf"))
	c.nats.setEnv("GOMEMLIMIT=3GiB") // as its documentation recommends: reading all of a log fills its caches
	if err := c.nats.start(); err != nil {
		return err
	}
	if err := c.startRedis(ctx, kind); err != nil {
		return err
	}
	return within(ctx, 30*time.Second, "nats-server", func() error {
		nc, err := nats.Connect(c.natsURL, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.Name("prove"),
			nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		if err != nil {
			return err
		}
		c.nc = nc
		c.js, err = jetstream.New(nc)
		return err
	})
}

// diskSpace is what the account may store. writeNATSConfig with less simulates a full disk.
const diskSpace = "16GB"

func (c *cluster) writeNATSConfig(port int, space string) error {
	return os.WriteFile(filepath.Join(c.dir, "nats.conf"), fmt.Appendf(nil, `
listen: "127.0.0.1:%d"
jetstream { store_dir: %q, max_file_store: 20GB }
accounts { prove { jetstream { max_file: %s, max_mem: 64MB }, users: [ { user: prove, password: prove } ] } }
no_auth_user: prove
`, port, filepath.Join(c.dir, "nats"), space), 0o600)
}

// resize gives the account another amount of disk space.
func (c *cluster) resize(space string) error {
	_, port, err := net.SplitHostPort(c.natsURL[len("nats://"):])
	if err != nil {
		return err
	}
	var n int
	if _, err := fmt.Sscan(port, &n); err != nil {
		return err
	}
	if err := c.writeNATSConfig(n, space); err != nil {
		return err
	}
	c.nats.mu.Lock()
	defer c.nats.mu.Unlock()
	return reloadSignal(c.nats.cmd.Process)
}

func (c *cluster) program(b *built, kind, bin string, i int, policyFile string) (*program, error) {
	name := fmt.Sprint(kind, i)
	toNATS, err := newLinks(c.dir+name+"-nats", c.natsURL[len("nats://"):])
	if err != nil {
		return nil, err
	}
	toRedis, err := newLinks(c.dir+name+"-redis", c.redis.addresses()...)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	args := []string{filepath.Join(b.bin, bin), "--nats-url", "nats://" + toNATS.each[0].address(), "--redis-url", c.redis.url(toRedis),
		"--policy", policyFile, "--listen", address}
	if kind == "api" {
		args = append(args, "--fresh-within", freshWithin.String())
	}
	return &program{
		process: newProcess(c.dir, name, args...),
		kind:    kind, url: "http://" + address, nats: toNATS, redis: toRedis,
	}, nil
}

func (c *cluster) of(kind string) []*program {
	var out []*program
	for _, p := range c.programs {
		if p.kind == kind {
			out = append(out, p)
		}
	}
	return out
}

// stop ends all processes by their ids.
func (c *cluster) stop() {
	for _, p := range c.programs {
		p.kill()
		p.nats.cut()
		p.redis.cut()
	}
	if c.nc != nil {
		c.nc.Close()
	}
	if c.redis != nil {
		c.redis.stop()
	}
	if c.nats != nil {
		c.nats.kill()
	}
}

// ready reads whether a program reports that it is ready.
func (p *program) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/readyz", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", res.Status, body)
	}
	return nil
}

func (c *cluster) allReady(ctx context.Context) error {
	var errs []error
	for _, p := range c.programs {
		if err := p.ready(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return errors.Join(errs...)
}

// within repeats condition until it returns no error.
func within(ctx context.Context, limit time.Duration, what string, condition func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := condition()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %v: %w", what, limit, err)
		}
		if !pause(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// pause waits, and returns false if ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func errOr(err error) error {
	if err == nil {
		return errors.New("exit code 0")
	}
	return err
}
