package headwaytest

import (
	"net"
	"sync"
)

// Pipes is a listener whose connections are in memory, so that the clock of a synctest bubble reaches their deadlines.
type Pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// NewPipes makes a listener.
func NewPipes() *Pipes { return &Pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

// Accept returns the server's end of the next connection.
func (p *Pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Dial returns the client's end of a new connection, once the server accepts it.
func (p *Pipes) Dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// Close ends Accept.
func (p *Pipes) Close() error { p.once.Do(func() { close(p.done) }); return nil }

// Addr names no real address.
func (p *Pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
