package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/headwayhq/headway/pkg/push"
)

// runServer serves one stream: "hub" as the API does, "bare" with nothing but the writes. It prints its address, and publishes an
// update for each byte of its input.
func runServer(kind, size string) error {
	n, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	handler, publish := bareServer()
	if kind == "hub" {
		handler, publish = hubServer()
	}
	pad := strings.Repeat("x", n)
	tell := func(seq uint64) { publish(seq, fmt.Appendf(nil, `{"n":%d,"pad":"%s"}`, seq, pad)) }
	tell(1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(ln) }()
	fmt.Println(ln.Addr())
	in := bufio.NewReader(os.Stdin)
	for seq := uint64(2); ; seq++ {
		if _, err := in.ReadByte(); err != nil {
			return nil //nolint:nilerr // the benchmark wants no more
		}
		tell(seq)
	}
}

// topicSource is a source with one topic.
type topicSource struct{ now atomic.Pointer[push.Frame] }

func (s *topicSource) Watch(context.Context, push.Key) error { return nil }
func (s *topicSource) Unwatch(push.Key)                      {}

func (s *topicSource) position() push.Position {
	return push.Position{Identity: "a", Fold: 1, Cursor: s.now.Load().Seq, Complete: true}
}

func (s *topicSource) Read(context.Context, push.Key) (push.Reading, error) {
	return push.Reading{Position: s.position(), Frame: s.now.Load()}, nil
}

func (s *topicSource) Look(_ context.Context, keys []push.Key) ([]push.Look, error) {
	out := make([]push.Look, len(keys))
	for i := range out {
		out[i] = push.Look{Position: s.position(), Seq: s.now.Load().Seq}
	}
	return out, nil
}

// state is the content of a frame.
type state []byte

func (s state) AppendJSON(dst []byte) []byte { return append(dst, s...) }
func (state) Final() bool                    { return false }
func (state) Mark() string                   { return "ok" }
func (state) Tag() string                    { return "" }

func hubServer() (http.Handler, func(seq uint64, data []byte)) {
	source, key := &topicSource{}, push.Key{Namespace: "bench", Name: "b"}
	h := push.New(source, push.Config{})
	go func() { _ = h.Run(context.Background()) }()
	serve := func(w http.ResponseWriter, r *http.Request) {
		sub, err := h.Subscribe(r.Context(), key, "", nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		h.Stream(w, r, func(ctx context.Context, out *push.Writer) error { return sub.Serve(ctx, out, push.Full) }, func(error) { sub.Close() })
	}
	return http.HandlerFunc(serve), func(seq uint64, data []byte) {
		f := &push.Frame{Identity: "a", Fold: 1, Seq: seq, ID: "a-1-" + strconv.FormatUint(seq, 10), Content: state(data)}
		source.now.Store(f)
		h.Publish(key, f)
	}
}

// bareServer is the limit for a goroutine per client: it has taken the connection over, waits for a change, and writes what is newest. It
// notices nothing, not even that a client has left.
func bareServer() (http.Handler, func(seq uint64, data []byte)) {
	type frame struct {
		bytes   []byte
		changed chan struct{}
	}
	var now atomic.Pointer[frame]
	serve := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			for {
				f := now.Load()
				if _, err := conn.Write(f.bytes); err != nil {
					return
				}
				<-f.changed
			}
		}()
	}
	return http.HandlerFunc(serve), func(seq uint64, data []byte) {
		next := &frame{bytes: push.AppendEvent(nil, "a-1-"+strconv.FormatUint(seq, 10), "update", data), changed: make(chan struct{})}
		if last := now.Swap(next); last != nil {
			close(last.changed)
		}
	}
}
