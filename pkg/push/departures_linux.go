package push

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// departures asks the kernel four times a second which clients have left, for all at once. A goroutine that reads would cost each
// of them 2.6 KB. It works while there are streams.
type departures struct {
	mu    sync.Mutex
	epoll int
	last  int32
	leave map[int32]func() // nil while it doesn't work
}

const departuresEvery = 250 * time.Millisecond

// watch makes leave be called when the client of conn has left, until forget. ok is false for a connection that isn't a TCP
// socket, as with TLS.
func (d *departures) watch(conn net.Conn, leave func(), run func(func())) (id int32, ok bool) {
	socket, isTCP := conn.(*net.TCPConn)
	if !isTCP {
		return 0, false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.leave == nil {
		if d.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
			return 0, false
		}
		d.leave = map[int32]func(){}
		epoll := d.epoll
		run(func() { d.work(epoll) })
	}
	d.last++ // the kernel returns this number, and not the descriptor, which may be another connection's by then
	e := syscall.EpollEvent{Events: syscall.EPOLLRDHUP | syscall.EPOLLONESHOT, Fd: d.last}
	failed := raw.Control(func(fd uintptr) { err = syscall.EpollCtl(d.epoll, syscall.EPOLL_CTL_ADD, int(fd), &e) })
	if failed != nil || err != nil {
		return 0, false
	}
	d.leave[d.last] = leave
	return d.last, true
}

func (d *departures) forget(id int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.leave, id)
}

func (d *departures) work(epoll int) {
	defer func() { _ = syscall.Close(epoll) }() // nothing depends on it any more
	tick := time.NewTicker(departuresEvery)
	defer tick.Stop()
	events := make([]syscall.EpollEvent, 128)
	for range tick.C {
		for more := true; more; {
			n, err := syscall.EpollWait(epoll, events, 0)
			more = errors.Is(err, syscall.EINTR) || n == len(events)
			for _, e := range events[:max(n, 0)] {
				d.left(e.Fd)
			}
		}
		if d.idle() {
			return
		}
	}
}

func (d *departures) left(id int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if leave := d.leave[id]; leave != nil { // otherwise the stream has ended meanwhile
		leave()
	}
}

func (d *departures) idle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.leave) > 0 {
		return false
	}
	d.leave = nil
	return true
}
