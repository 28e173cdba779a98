package push

import (
	"errors"
	"net"
	"syscall"
)

// direct writes to a connection what its socket takes at once.
type direct struct {
	raw syscall.RawConn // nil: it can't
	try func(fd uintptr) bool
	b   []byte
	n   int
	err error
}

// prepare is for a TCP socket; with anything else, such as TLS, nothing can be written directly.
func (d *direct) prepare(conn net.Conn) {
	socket, isTCP := conn.(*net.TCPConn)
	if !isTCP {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	d.raw = raw
	d.try = func(fd uintptr) bool { // made once, so that a write allocates nothing
		for {
			d.n, d.err = syscall.Write(int(fd), d.b)
			if !errors.Is(d.err, syscall.EINTR) {
				return true // also if the socket is full: waiting for it is for others
			}
		}
	}
}

// write returns how much was written.
func (d *direct) write(b []byte) (n int, err error) {
	d.b = b
	err = d.raw.Write(d.try)
	d.b = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(d.err, syscall.EAGAIN):
		return 0, nil
	}
	return max(d.n, 0), d.err
}

func (d *direct) possible() bool { return d.raw != nil }
