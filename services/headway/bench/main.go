// Command bench measures Headway against limits that it can't beat. It reports ratios within one run, because absolute
// figures from a noisy machine mean little. Everything runs on this machine over loopback, with a fixed number of
// events.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/services/internal/backend"
	"github.com/headwayhq/headway/services/internal/program"
)

func main() {
	ctx, stop := program.Signals()
	var err error
	switch {
	case len(os.Args) == 4 && os.Args[1] == "serve":
		err = runServer(os.Args[2], os.Args[3])
	case len(os.Args) == 4 && os.Args[1] == "worker":
		err = runWorker(os.Args[2], os.Args[3])
	case len(os.Args) == 5 && os.Args[1] == "publish":
		err = runPublisher(os.Args[2], os.Args[3], os.Args[4])
	case len(os.Args) == 5 && os.Args[1] == "member":
		err = runMember(os.Args[2], os.Args[3], os.Args[4])
	case len(os.Args) == 6 && os.Args[1] == "front":
		err = runFront(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	default:
		err = run(ctx)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if err := supported(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "headway-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := startServers(dir)
	if err != nil {
		return err
	}
	defer s.stop()
	stopProfile, err := profile("")
	if err != nil {
		return err
	}
	defer stopProfile()
	only := ""
	if len(os.Args) > 1 {
		only = os.Args[1]
	}
	for _, part := range []struct {
		name string
		run  func(context.Context, *servers) error
	}{{"ingest", benchIngest}, {"rebuild", benchRebuild}, {"live", benchLive}, {"wide", benchWide}, {"sizes", benchSizes}, {"recovery", benchRecovery}, {"restart", benchRestart}, {"latency", benchLatency}, {"delivery", benchDelivery}, {"snapshot", benchSnapshot}, {"limits", benchLimits}, {"detector", benchDetector}, {"eta", benchETA}, {"cold", benchCold}, {"history", benchHistory}, {"relay", benchRelay}, {"members", benchMembers}, {"readers", benchReaders}} {
		if only != "" && only != part.name || only == "" && part.name == "readers" { // it takes minutes
			continue
		}
		if err := s.reset(ctx); err != nil {
			return err
		}
		if err := part.run(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	printGoals()
	return nil
}

// servers are a real nats-server and a real redis-server whose CPU time can be read.
type servers struct {
	nats, redis       *exec.Cmd
	natsURL, redisURL string
	dir               string
}

func startServers(dir string) (*servers, error) {
	redisPath, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("needs a redis-server on this machine")
	}
	natsPath := filepath.Join(dir, "nats-server")
	if out, err := exec.Command("go", "build", "-o", natsPath, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build nats-server: %w\n%s", err, out)
	}
	s := &servers{dir: dir}
	natsPort, redisPort, err := freePorts()
	if err != nil {
		return nil, err
	}
	s.natsURL, s.redisURL = fmt.Sprintf("nats://127.0.0.1:%d", natsPort), fmt.Sprintf("redis://127.0.0.1:%d/0", redisPort)
	s.nats = exec.Command(natsPath, "-js", "-sd", filepath.Join(dir, "js"), "-a", "127.0.0.1", "-p", strconv.Itoa(natsPort))
	s.redis = exec.Command(redisPath, "--port", strconv.Itoa(redisPort), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no")
	for _, c := range []*exec.Cmd{s.nats, s.redis} {
		c.SysProcAttr = endsWithUs()
		if err := c.Start(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// freePorts are two, so that several runs don't meet.
func freePorts() (a, b int, err error) {
	for _, port := range []*int{&a, &b} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, 0, err
		}
		defer l.Close()
		*port = l.Addr().(*net.TCPAddr).Port
	}
	return a, b, nil
}

func (s *servers) stop() {
	for _, c := range []*exec.Cmd{s.nats, s.redis} {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
}

func (s *servers) connect(ctx context.Context) (*backend.Backend, error) {
	return backend.Connect(ctx, backend.Options{NATSURL: s.natsURL, RedisURL: s.redisURL, Name: "bench"})
}

// publisher connects to publish many events.
func (s *servers) publisher(ctx context.Context) (*backend.Backend, jetstream.JetStream, error) {
	b, err := s.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(b.Conn, jetstream.WithPublishAsyncMaxPending(8192))
	if err != nil {
		b.Close()
		return nil, nil, err
	}
	return b, js, nil
}

// profile writes a profile of the processor time to the file that HEADWAY_BENCH_PROFILE names, with a suffix, until it is stopped.
func profile(suffix string) (stop func(), err error) {
	path := os.Getenv("HEADWAY_BENCH_PROFILE")
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path + suffix)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}

// reset empties both servers.
func (s *servers) reset(ctx context.Context) error {
	b, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	js, err := b.Conn.JetStream()
	if err != nil {
		return err
	}
	for name := range js.StreamNames() {
		if err := js.DeleteStream(name); err != nil && !errors.Is(err, nats.ErrStreamNotFound) {
			return err
		}
	}
	return b.Redis.FlushAll(ctx).Err()
}

// cpu is the CPU time that this process, NATS and Redis have used.
type cpu struct{ self, nats, redis time.Duration }

func (s *servers) cpu() cpu {
	return cpu{selfCPU(), processCPU(s.nats.Process.Pid), processCPU(s.redis.Process.Pid)}
}

func (c cpu) since(o cpu) cpu    { return cpu{c.self - o.self, c.nats - o.nats, c.redis - o.redis} }
func (c cpu) all() time.Duration { return c.self + c.nats + c.redis }

func median[T int | float64 | time.Duration](v []T) T {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

func quantile(v []time.Duration, q float64) time.Duration {
	v = slices.Sorted(slices.Values(v))
	return v[min(len(v)-1, int(q*float64(len(v))))]
}
