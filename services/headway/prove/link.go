package main

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// link is the connection between one program and one server. It can be cut, and watched for a seam.
type link struct {
	proxy *toxiproxy.Proxy
	trap  atomic.Pointer[trap]
}

// trap is triggered by the first matching data in one direction. The data wait meanwhile. spring returns whether they
// are passed on; otherwise the connection is closed.
type trap struct {
	up     bool // from the program to the server
	match  func([]byte) bool
	spring func() (pass bool)
}

var links sync.Map // name → *link, because toxics are created from their JSON alone

// watch is a toxic that passes on everything and triggers traps.
type watch struct {
	Link string `json:"link"`
	Up   bool   `json:"up"`
}

func (w *watch) Pipe(stub *toxics.ToxicStub) {
	found, _ := links.Load(w.Link)
	l := found.(*link)
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil {
				stub.Close()
				return
			}
			if t := l.trap.Load(); t != nil && t.up == w.Up && t.match(c.Data) && l.trap.CompareAndSwap(t, nil) && !t.spring() {
				stub.Close()
				return
			}
			stub.Output <- c
		}
	}
}

var registerWatch = sync.OnceFunc(func() { toxics.Register("headway-watch", new(watch)) })

func newLink(name, to string) (*link, error) {
	registerWatch()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	l := &link{proxy: toxiproxy.NewProxy(server, name, "127.0.0.1:0", to)}
	links.Store(name, l)
	for _, direction := range []string{"upstream", "downstream"} {
		toxic := fmt.Sprintf(`{"type":"headway-watch","stream":%q,"attributes":{"link":%q,"up":%t}}`, direction, name, direction == "upstream")
		if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			return nil, err
		}
	}
	return l, l.proxy.Start()
}

func (l *link) address() string { return l.proxy.Listen }

func (l *link) cut() { l.proxy.Stop() }

func (l *link) mend() error { return l.proxy.Start() }
