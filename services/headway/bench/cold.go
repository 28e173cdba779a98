package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/services/api"
	"github.com/headwayhq/headway/services/internal/backend"
)

const (
	coldBatches = 10_000
	coldEvents  = 30 // of a batch, at most
	coldClients = 8
	coldRuns    = 3
	coldRest    = 8 * time.Second // after which what is kept of a batch rests
)

// benchCold asks for the snapshots of many batches, each at first when nothing of it is in memory, then again, from which on it is kept,
// and then once more. An Echo handler that gets as many bytes from Redis with go-redis is asked the same number of times in the same run. Both are
// processes of their own.
func benchCold(ctx context.Context, s *servers) error {
	b, js, err := s.publisher(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	if _, _, err := fillMixed(js, coldBatches, coldEvents); err != nil {
		return err
	}
	folds, cancel := context.WithCancel(ctx)
	wait, err := folding(folds, b)
	if err != nil {
		cancel()
		return err
	}
	defer func() { cancel(); _ = wait() }()
	if _, err := complete(ctx, b); err != nil {
		return err
	}
	ours, theirs, err := coldPaths(ctx, b)
	if err != nil {
		return err
	}
	var cold, again, warm, bare, ratios, kept, resting []float64
	var size int
	for run := range coldRuns {
		f, err := s.startFront("api", run)
		if err != nil {
			return err
		}
		empty := f.heap()
		first, err := s.ask(ctx, f, ours)
		if err != nil {
			f.stop()
			return err
		}
		second, err := s.ask(ctx, f, ours)
		if err != nil {
			f.stop()
			return err
		}
		full := f.heap()
		third, err := s.ask(ctx, f, ours)
		time.Sleep(coldRest) // nobody asks on purpose
		rest := f.heap()
		f.stop()
		if err != nil {
			return err
		}
		if run == 0 {
			size = first.bytes / len(ours)
			for _, path := range theirs {
				if err := b.Redis.Set(ctx, strings.TrimPrefix(path, "/"), strings.Repeat("x", size), 0).Err(); err != nil {
					return err
				}
			}
		}
		if f, err = s.startFront("bare", run); err != nil {
			return err
		}
		floor, err := s.ask(ctx, f, theirs)
		f.stop()
		if err != nil {
			return err
		}
		cold, again, warm, bare = append(cold, first.cpu), append(again, second.cpu), append(warm, third.cpu), append(bare, floor.cpu)
		each := func(heap int) float64 { return float64(heap-empty) / float64(len(ours)) / 1000 }
		ratios, kept, resting = append(ratios, first.cpu/floor.cpu), append(kept, each(full)), append(resting, each(rest))
	}
	fmt.Printf("\ncold snapshots: %d batches, %.1f KB each, %d clients; processor time of API and Redis for a request, medians of %d interleaved runs\n",
		len(ours), float64(size)/1000, coldClients, coldRuns)
	fmt.Printf("  as many bytes from Redis, Echo and go-redis  %6.0f µs\n", median(bare))
	fmt.Printf("  nothing in memory                            %6.0f µs   ratio %.2f\n", median(cold), median(ratios))
	fmt.Printf("  the second time, from which on it is kept    %6.0f µs\n", median(again))
	fmt.Printf("  kept                                         %6.0f µs   %.1f KB of heap each, %.1f KB once nobody asks\n", median(warm), median(kept), median(resting))
	atMost(150, "cold snapshot, of 10,000 batches", median(cold), " µs")
	atMost(15, "a batch that is kept for a warm snapshot", median(kept), " KB")
	return nil
}

// coldPaths are the addresses of all snapshots, and as many of the bare server.
func coldPaths(ctx context.Context, b *backend.Backend) (ours, theirs []string, err error) {
	rows, err := b.Store.Rows(ctx, "bench")
	if err != nil {
		return nil, nil, err
	}
	for i, row := range rows {
		var r struct {
			ID string `json:"batch_id"`
		}
		if err := json.Unmarshal(row, &r); err != nil {
			return nil, nil, err
		}
		ours = append(ours, "/v1/analytics/performance/batches/"+r.ID+"/diagnostics?namespace=bench")
		theirs = append(theirs, "/bare:"+strconv.Itoa(i))
	}
	if len(ours) == 0 {
		return nil, nil, errors.New("no batches were folded")
	}
	return ours, theirs, nil
}

// front is a server of snapshots in a process of its own.
type front struct {
	command *exec.Cmd
	in      io.Writer
	out     *bufio.Reader
	address string
}

func (s *servers) startFront(kind string, run int) (*front, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f := &front{command: exec.Command(self, "front", kind, s.natsURL, s.redisURL, strconv.Itoa(run))}
	f.command.SysProcAttr, f.command.Stderr = endsWithUs(), os.Stderr
	if f.in, err = f.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := f.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := f.command.Start(); err != nil {
		return nil, err
	}
	f.out = bufio.NewReader(out)
	if f.address, err = f.out.ReadString('\n'); err != nil {
		f.stop()
		return nil, fmt.Errorf("front %s: %w", kind, err)
	}
	f.address = strings.TrimSpace(f.address)
	return f, nil
}

func (f *front) stop() {
	_ = f.command.Process.Signal(syscall.SIGTERM)
	_ = f.command.Wait()
}

// heap is what its heap has after a garbage collection, in bytes.
func (f *front) heap() int {
	_, _ = f.in.Write([]byte{'\n'})
	said, _ := f.out.ReadString('\n')
	n, _ := strconv.Atoi(strings.TrimSpace(said))
	return n
}

// asked is what requests for all paths took: processor time of the server and Redis in µs for each, and the bytes of all bodies.
type asked struct {
	cpu   float64
	bytes int
}

// ask gets each path once.
func (s *servers) ask(ctx context.Context, f *front, paths []string) (out asked, err error) {
	cpu := func() time.Duration { return processCPU(f.command.Process.Pid) + processCPU(s.redis.Process.Pid) }
	before := cpu()
	sizes := make([]int, coldClients)
	g, ctx := errgroup.WithContext(ctx)
	for n := range coldClients {
		g.Go(func() error {
			conn, err := net.Dial("tcp", f.address)
			if err != nil {
				return err
			}
			defer conn.Close()
			in := bufio.NewReaderSize(conn, 32<<10)
			for i := n; i < len(paths) && ctx.Err() == nil; i += coldClients {
				status, size, err := exchange(conn, in, "GET "+paths[i]+" HTTP/1.1\r\nHost: bench\r\n\r\n")
				if err != nil {
					return err
				}
				if status != http.StatusOK {
					return fmt.Errorf("%s: status %d", paths[i], status)
				}
				sizes[n] += int(size)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return out, err
	}
	out.cpu = float64((cpu() - before).Microseconds()) / float64(len(paths))
	for _, n := range sizes {
		out.bytes += n
	}
	return out, nil
}

// runFront serves snapshots: "api" as the API does, "bare" the values of Redis that the paths name. It prints its address, and the size of
// its heap for each byte of its input.
func runFront(kind, natsURL, redisURL, run string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	b, err := backend.Connect(ctx, backend.Options{NATSURL: natsURL, RedisURL: redisURL, Name: "bench"})
	if err != nil {
		return err
	}
	defer b.Close()
	var address string
	var stopFront func()
	if kind == "api" {
		if address, stopFront, err = serveFront(ctx, b, api.Options{}); err != nil {
			return err
		}
	} else {
		e := echo.New()
		e.GET("/:key", func(c echo.Context) error {
			body, err := b.Redis.Get(c.Request().Context(), c.Param("key")).Bytes()
			if err != nil {
				return err
			}
			return c.Blob(http.StatusOK, "application/json", body)
		})
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		server := &http.Server{Handler: e, ReadHeaderTimeout: 5 * time.Second}
		go func() { _ = server.Serve(ln) }()
		address, stopFront = ln.Addr().String(), func() { _ = server.Close() }
	}
	defer stopFront()
	stopProfile, err := profile("." + kind + run)
	if err != nil {
		return err
	}
	defer stopProfile()
	fmt.Println(address)
	go func() {
		for in := bufio.NewReader(os.Stdin); ; {
			if _, err := in.ReadByte(); err != nil {
				return
			}
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			fmt.Println(m.HeapAlloc)
		}
	}()
	<-ctx.Done()
	return nil
}
