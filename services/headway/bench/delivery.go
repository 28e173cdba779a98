package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	deliveryRuns   = 3
	deliverySize   = 1000 // bytes of padding in an update
	deliveryAhead  = 4    // updates in flight
	deliveryWarmup = 500 * time.Millisecond
	deliveryFor    = 3 * time.Second
	deliveryRate   = 50_000 // frames a second, for processor time
	deliverySettle = 2 * time.Second
)

// Centrifugo's figures over those of r3labs/sse, of a comparison of both on one machine: they place a server that isn't part of
// this benchmark.
const (
	centrifugoCPU    = 18.6 / 11.0
	centrifugoIdle   = 57.0 / 29.0
	centrifugoLoaded = 73.0 / 43.0
)

// benchDelivery measures how fast one change reaches many streams. Each server is a process of its own; all share the machine with
// the clients.
func benchDelivery(_ context.Context, s *servers) error {
	peer := filepath.Join(s.dir, "r3labs")
	build := exec.Command("go", "build", "-o", peer, ".")
	build.Dir, build.Env = "services/headway/bench/testdata/r3labs", append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build r3labs: %w\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	size := strconv.Itoa(deliverySize)
	commands := map[string][]string{"Headway": {self, "serve", "hub", size}, "bare": {self, "serve", "bare", size}, "r3labs": {peer, size}}
	for _, clients := range []int{1000, 5000} {
		var of [3][]delivered
		for range deliveryRuns {
			for i, name := range []string{"bare", "r3labs", "Headway"} {
				got, err := deliver(commands[name], clients)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				of[i] = append(of[i], got)
			}
		}
		report(clients, of[0], of[1], of[2])
	}
	return nil
}

// delivered is what one server did in one run.
type delivered struct{ frames, updates, cpu, idle, loaded float64 }

func report(clients int, bare, peer, own []delivered) {
	mid := func(v []delivered, f func(delivered) float64) float64 {
		all := make([]float64, len(v))
		for i := range v {
			all[i] = f(v[i])
		}
		return median(all)
	}
	ratio := func(to []delivered, f func(delivered) float64) float64 {
		all := make([]float64, len(own))
		for i := range own {
			all[i] = f(own[i]) / f(to[i])
		}
		return median(all)
	}
	frames, updates := func(d delivered) float64 { return d.frames }, func(d delivered) float64 { return d.updates }
	cpu, idle, loaded := func(d delivered) float64 { return d.cpu }, func(d delivered) float64 { return d.idle }, func(d delivered) float64 { return d.loaded }
	fmt.Printf("\ndelivery: frames of 1 KB to %d streams, %d updates in flight; medians of %d interleaved runs\n", clients, deliveryAhead, deliveryRuns)
	for _, x := range []struct {
		name string
		of   []delivered
	}{{"bare writer", bare}, {"r3labs/sse", peer}, {"Headway", own}} {
		fmt.Printf("  %-12s %8.0f frames/s  %6.0f updates/s  at %d frames/s %5.1f µs of processor each  %5.1f KB a client idle, %5.1f loaded\n",
			x.name, mid(x.of, frames), mid(x.of, updates), deliveryRate, mid(x.of, cpu), mid(x.of, idle), mid(x.of, loaded))
	}
	fmt.Printf("  frames, of the bare writer's            %.2f (target ≥ 0.9)\n", ratio(bare, frames))
	fmt.Printf("  updates, of r3labs'                     %.2f (target ≥ 3)\n", ratio(peer, updates))
	fmt.Printf("  processor time, of Centrifugo's         %.2f (target ≤ 0.5; %.2f of r3labs')\n", ratio(peer, cpu)/centrifugoCPU, ratio(peer, cpu))
	fmt.Printf("  memory, of Centrifugo's, idle           %.2f (target ≤ 0.25; %.2f of r3labs')\n", ratio(peer, idle)/centrifugoIdle, ratio(peer, idle))
	fmt.Printf("  memory, of Centrifugo's, loaded         %.2f (target ≤ 0.25; %.2f of r3labs')\n", ratio(peer, loaded)/centrifugoLoaded, ratio(peer, loaded))
}

// deliver starts a server and measures it.
func deliver(command []string, clients int) (out delivered, err error) {
	server := exec.Command(command[0], command[1:]...)
	server.SysProcAttr, server.Stderr = endsWithUs(), os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		return out, err
	}
	said, err := server.StdoutPipe()
	if err != nil {
		return out, err
	}
	if err := server.Start(); err != nil {
		return out, err
	}
	defer func() { _ = server.Process.Kill(); _ = server.Wait() }()
	address, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		return out, err
	}
	pid := server.Process.Pid
	memory := processMemory(pid)
	perClient := func() float64 { return float64(processMemory(pid)-memory) / 1000 / float64(clients) }

	l := &load{clients: clients, publish: in, done: make(chan struct{}, deliveryAhead)}
	defer l.close()
	if err := l.open(strings.TrimSpace(address)); err != nil {
		return out, err
	}
	time.Sleep(deliverySettle)
	out.idle = perClient()
	if err := l.run(deliveryWarmup, 0); err != nil {
		return out, err
	}
	frames, updates, began := l.frames.Load(), l.updates, time.Now()
	if err := l.run(deliveryFor, 0); err != nil {
		return out, err
	}
	took := time.Since(began).Seconds()
	out.frames, out.updates = float64(l.frames.Load()-frames)/took, float64(l.updates-updates)/took
	out.loaded = perClient()

	frames, used := l.frames.Load(), processCPU(pid)
	if err := l.run(deliveryFor, time.Second*time.Duration(clients)/deliveryRate); err != nil {
		return out, err
	}
	out.cpu = float64((processCPU(pid) - used).Microseconds()) / float64(l.frames.Load()-frames)
	return out, nil
}

// load are the clients of one server.
type load struct {
	clients int
	publish io.Writer
	conns   []net.Conn
	readers sync.WaitGroup

	published, updates uint64
	frames             atomic.Uint64
	arrived            [64]atomic.Int64 // clients that have an update, or a later one
	done               chan struct{}    // an update has reached all clients
}

func (l *load) close() {
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.readers.Wait()
}

// open connects all clients. Each has at least its headers then.
func (l *load) open(address string) error {
	for range l.clients {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		l.conns = append(l.conns, conn)
		if _, err := io.WriteString(conn, "GET /?stream=s HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
			return err
		}
		in := bufio.NewReaderSize(conn, 4096)
		if _, err := in.ReadString('\n'); err != nil {
			return err
		}
		l.readers.Go(func() { l.read(in) })
	}
	l.published = 1
	return nil
}

// read counts frames, and the updates that they bring.
func (l *load) read(in *bufio.Reader) {
	prefix := []byte("id: a-1-")
	last, next := uint64(1), uint64(0)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && len(line) == 0 {
			return
		}
		if rest, isID := bytes.CutPrefix(line, prefix); isID {
			next, _ = strconv.ParseUint(string(bytes.TrimSpace(rest)), 10, 64)
			continue
		}
		if len(line) != 1 || next <= last {
			continue
		}
		l.frames.Add(1)
		for ; last < next; last++ {
			if n := &l.arrived[(last+1)%64]; n.Add(1) == int64(l.clients) {
				n.Store(0)
				l.done <- struct{}{}
			}
		}
	}
}

// run publishes for a while: at most deliveryAhead updates that not every client has, one at each interval if there is one. It returns
// when all have arrived.
func (l *load) run(d, interval time.Duration) error {
	end := time.Now().Add(d)
	limit := time.NewTimer(d + time.Minute)
	defer limit.Stop()
	flying := 0
	next := time.Now()
	for {
		open := time.Now().Before(end)
		if !open && flying == 0 {
			return nil
		}
		if open && flying < deliveryAhead {
			time.Sleep(time.Until(next))
			next = next.Add(interval)
			if _, err := l.publish.Write([]byte{'\n'}); err != nil {
				return err
			}
			l.published++
			flying++
			select {
			case <-l.done:
				flying--
				l.updates++
			default:
			}
			continue
		}
		select {
		case <-l.done:
			flying--
			l.updates++
		case <-limit.C:
			return fmt.Errorf("%d updates didn't arrive", flying)
		}
	}
}
