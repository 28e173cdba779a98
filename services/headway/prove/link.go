package main

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// links are the connections between one program and one kind of server. They can be watched for a seam.
type links struct {
	each []*link
	trap atomic.Pointer[trap]
}

// link is the connection to one server. It can be cut.
type link struct {
	of    *links
	leads string // the server's address
	proxy *toxiproxy.Proxy
}

// trap is triggered by the first matching data in one direction. The data wait meanwhile. spring returns whether they
// are passed on; otherwise the connection is closed.
type trap struct {
	up     bool // from the program to the server
	match  func([]byte) bool
	spring func(*link) (pass bool)
}

var linksByName sync.Map // name → *link, because toxics are created from their JSON alone

// watch is a toxic that passes on everything, with addresses replaced, and triggers traps.
type watch struct {
	Link string `json:"link"`
	Up   bool   `json:"up"`
}

func (w *watch) Pipe(stub *toxics.ToxicStub) {
	found, _ := linksByName.Load(w.Link)
	l := found.(*link)
	var cut []byte // the beginning of an address whose end hasn't come yet
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil {
				stub.Close()
				return
			}
			if t := l.of.trap.Load(); t != nil && t.up == w.Up && t.match(c.Data) && l.of.trap.CompareAndSwap(t, nil) && !t.spring(l) {
				stub.Close()
				return
			}
			if !w.Up && len(l.of.each) > 1 {
				c.Data = slices.Concat(cut, c.Data)
				l.of.divert(c.Data)
				cut = bytes.Clone(unfinished(c.Data))
				c.Data = c.Data[:len(c.Data)-len(cut)]
			}
			if len(c.Data) > 0 {
				stub.Output <- c
			}
		}
	}
}

var registerWatch = sync.OnceFunc(func() { toxics.Register("headway-watch", new(watch)) })

// newLinks makes a link to each server.
func newLinks(name string, to ...string) (*links, error) {
	registerWatch()
	ls := &links{}
	for i, address := range to {
		name := fmt.Sprint(name, i)
		server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
		l := &link{of: ls, leads: address, proxy: toxiproxy.NewProxy(server, name, "127.0.0.1:0", address)}
		linksByName.Store(name, l)
		for _, direction := range []string{"upstream", "downstream"} {
			toxic := fmt.Sprintf(`{"type":"headway-watch","stream":%q,"attributes":{"link":%q,"up":%t}}`, direction, name, direction == "upstream")
			if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
				return nil, err
			}
		}
		if err := l.proxy.Start(); err != nil {
			return nil, err
		}
		ls.each = append(ls.each, l)
	}
	return ls, nil
}

// named is where Redis names a server to its clients: in redirections, in the slots of a cluster, and in what sentinels say.
var named = regexp.MustCompile(`(?:127\.0\.0\.1(?::| |\r\n:|\r\n\$5\r\n)|port\r\n\$5\r\n)(\d{5})`)

// unfinished is the end of a piece of a reply in which an address may have begun. The rest is on its way, because a reply ends with a
// line and not with the name of a host.
func unfinished(data []byte) []byte {
	begun := bytes.HasSuffix(data, []byte("127.0.0.1\r\n")) || bytes.HasSuffix(data, []byte("port\r\n")) || bytes.HasSuffix(data, []byte("\r\n$5\r\n"))
	if !begun && bytes.HasSuffix(data, []byte("\n")) {
		return nil
	}
	return data[max(0, len(data)-len("127.0.0.1\r\n$5\r\n12345")):]
}

// divert replaces the addresses of servers by those of the links that lead there, so that a program doesn't find a way around
// them. The length stays the same, because all ports have five digits.
func (ls *links) divert(data []byte) {
	for _, at := range named.FindAllSubmatchIndex(data, -1) {
		if l := ls.to("127.0.0.1:" + string(data[at[2]:at[3]])); l != nil {
			copy(data[at[2]:at[3]], l.address()[len("127.0.0.1:"):])
		}
	}
}

// to is the link that leads to an address, or nil.
func (ls *links) to(address string) *link {
	for _, l := range ls.each {
		if l.leads == address {
			return l
		}
	}
	return nil
}

func (ls *links) cut() {
	for _, l := range ls.each {
		l.cut()
	}
}

func (l *link) address() string { return l.proxy.Listen }

func (l *link) cut() { l.proxy.Stop() }

func (l *link) mend() error { return l.proxy.Start() }
