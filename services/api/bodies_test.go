package api

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

// A namespace may hold at most as much as is still free.
func TestBudgetIsShared(t *testing.T) {
	b := newBudget(1200)
	take := func(n int64, tenants ...whose) bool { _, ok := b.take(n, tenants...); return ok }
	fill := func(ns string) (n int64) {
		for take(1, ofThe(ns)) {
			n++
		}
		return n
	}
	for i, want := range []int64{600, 300, 150, 75} { // each gets a half of what it finds, whatever others do
		if got := fill(fmt.Sprint(i)); got != want {
			t.Errorf("namespace %d got %d, want %d", i, got, want)
		}
	}
	b.give(600, ofThe("0"))
	if got := fill("1"); got != 187 { // 487 of the 975 that the others leave
		t.Errorf("a namespace that holds 300 got %d more, want 187", got)
	}
	for ns, n := range map[string]int64{"1": 487, "2": 150, "3": 75} {
		b.give(n, ofThe(ns))
	}
	// Who sends to many namespaces has one share all the same.
	key, held := whose{ofPrincipal, "key", "k"}, int64(0)
	for i := 0; take(1, ofThe(fmt.Sprint(i%50)), key); i++ {
		held++
	}
	if greedy, _ := b.take(1, ofThe("50"), key); held != 600 || greedy != key || !take(300, ofThe("51")) {
		t.Errorf("a principal got %d, %v", held, b.per)
	}
	b.give(300, ofThe("51"))
	for i := range held {
		b.give(1, ofThe(fmt.Sprint(i%50)), key)
	}
	if b.held() != 0 || len(b.per) != 0 {
		t.Errorf("%d bytes, %v", b.held(), b.per)
	}
}

// half sends the head of a request and the beginning of its body.
func half(t *testing.T, conn net.Conn, ns string, length int, begin []byte) {
	t.Helper()
	head := fmt.Sprintf("POST /v1/events?namespace=%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", ns, batchType, length)
	if _, err := conn.Write(append([]byte(head), begin...)); err != nil {
		t.Error(err)
	}
}

// Three hundred half-sent bodies, of the same and of other namespaces, block nobody else.
func TestSlowWritersHoldNobodyUp(t *testing.T) {
	w := newWorld(t)
	base, _ := w.listen()
	for i := range 300 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		half(t, conn, []string{"default", "slow"}[i%2], 5000, []byte("["))
	}
	for deadline := time.Now().Add(10 * time.Second); w.svc.bodies.held() < 300*(perRequest+1); {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are held", w.svc.bodies.held())
		}
	}
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	for i := range 200 {
		e := eventJSON(fmt.Sprint("e", i), "b", "batch", `{"status":"PROCESSING"}`, time.Now())
		resp, err := c.Post(base+"/v1/events", structuredType, bytes.NewReader(e))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 202 {
			t.Fatalf("POST %d: %d", i, resp.StatusCode)
		}
	}
}

// However much is sent at once, at most the budget is held in memory, and a newcomer still gets through.
func TestBodiesAreBounded(t *testing.T) {
	const total, size = 16 << 20, 4 << 20
	w := newWorld(t, func(o *Options) { o.Limits.Body, o.Limits.Bodies = size, total })
	base, _ := w.listen()
	event := eventJSON("e", "b", "batch", `{"name":"`+strings.Repeat("x", 900)+`"}`, time.Now())
	body := append([]byte("["), bytes.Repeat(append(event, ','), 990)...)
	body = append(body, bytes.Repeat([]byte(" "), 100<<10)...)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	const clients = 100 // of about a megabyte each
	answered := make(chan string, clients)
	for i := range clients {
		conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go half(t, conn, fmt.Sprint("ns", i%10), size-1, body)
		go func() {
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				answered <- "lost"
				return
			}
			_ = resp.Body.Close()
			answered <- resp.Status + " " + resp.Header.Get("Retry-After")
		}()
	}
	// Each namespace may hold as much as is free, so ten namespaces together hold ten elevenths of the budget.
	refused := 0
	for deadline := time.After(20 * time.Second); w.svc.bodies.held() < total*8/11 || refused < clients/2; {
		select {
		case got := <-answered:
			if refused++; got != "429 Too Many Requests 1" && got != "lost" {
				t.Fatal(got)
			}
		case <-deadline:
			t.Fatalf("%d bytes are held, %d were refused", w.svc.bodies.held(), refused)
		case <-time.After(10 * time.Millisecond):
		}
	}
	// What refused requests held is released when their goroutines end.
	for deadline := time.Now().Add(20 * time.Second); heap()-before > 2*total && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	held, grown := w.svc.bodies.held(), heap()-before
	t.Logf("%d bytes held, heap grown by %d", held, grown)
	if held > total || grown > 2*total {
		t.Errorf("of %d bytes %d are held, and the heap has grown by %d", total, held, grown)
	}
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	resp, err := c.Post(base+"/v1/events?namespace=newcomer", structuredType, bytes.NewReader(event))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 202 {
		t.Errorf("a newcomer got %d", resp.StatusCode)
	}
}

// A body may take any time as long as it keeps arriving. One that stalls is ended at its deadline.
func TestBodyHasToGoOn(t *testing.T) {
	const length = 200 << 10
	body := append(eventJSON("e", "b", "batch", `{"status":"PROCESSING"}`, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), bytes.Repeat([]byte(" "), length)...)[:length]
	for _, x := range []struct {
		name  string
		piece int // each second
		want  int
		after time.Duration
	}{
		{"slow but steady", 2 << 10, 202, 99*time.Second + time.Second/2},
		{"too slow", 1 << 10, 408, progressEvery},
		{"stopped", 0, 408, progressEvery},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				p := headwaytest.NewPipes()
				server := &http.Server{Handler: w.svc.Handler()}
				go func() { _ = server.Serve(p) }()
				near := p.Dial()
				var writing sync.WaitGroup
				defer func() { _, _ = near.Close(), server.Close(); writing.Wait() }()
				begin := time.Now()
				writing.Go(func() {
					_, _ = fmt.Fprintf(near, "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", structuredType, length)
					time.Sleep(time.Second / 2) // so that no piece comes exactly at a deadline
					for rest := body; len(rest) > 0 && x.piece > 0; {
						n := min(x.piece, len(rest))
						if _, err := near.Write(rest[:n]); err != nil {
							return
						}
						if rest = rest[n:]; len(rest) > 0 {
							time.Sleep(time.Second)
						}
					}
				})
				resp, err := http.ReadResponse(bufio.NewReader(near), nil)
				if err != nil {
					t.Fatal(err)
				}
				answer, _ := io.ReadAll(resp.Body)
				if took := time.Since(begin); resp.StatusCode != x.want || took != x.after {
					t.Errorf("%d after %v, want %d after %v: %s", resp.StatusCode, took, x.want, x.after, answer)
				}
				_ = near.Close()
				_ = server.Close()
				synctest.Wait()
				if n := w.svc.bodies.held(); n != 0 {
					t.Errorf("%d bytes are still held", n)
				}
			})
		})
	}
}

// Reading stops at an event that is larger than the log accepts: the rest of the body isn't kept.
func TestOneEventTooLarge(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	good := eventJSON("e", "b", "batch", `{}`, now)
	huge := eventJSON("e", "b", "batch", `{"name":"`+strings.Repeat("x", 3<<20)+`"}`, now)
	for _, x := range []struct {
		kind string
		body []byte
		want string
	}{
		{structuredType, huge, "[0 data]"},
		{batchType, fmt.Appendf(nil, "[%s,%s,%s]", good, huge, good), "[1 data]"},
	} {
		code, answer := w.post(x.kind, x.body)
		if got := fmt.Sprint(told(answer)); code != 400 || got != x.want {
			t.Errorf("%d %s: %v", code, got, answer)
		}
	}
	if w.svc.bodies.held() != 0 {
		t.Error("something is still held")
	}
}
