// Package embedded starts the servers that a single process runs for itself, and keeps them running: NATS as a
// library, and Redis as a child process or, if none is installed, in memory.
package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// NATS is a NATS server with JetStream on disk.
type NATS struct {
	*Server

	URL     string
	options server.Options
	server  *server.Server
	unlock  func()
}

// StartNATS starts the server. listen is host:port, port 0 picks a free one. A directory that another process serves
// is an error. If the server disables JetStream, as it does on a full disk, it is started again.
func StartNATS(listen, dir string, log *slog.Logger) (*NATS, error) {
	host, portText, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("--nats-listen: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("--nats-listen: port %q is not a number", portText)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	} else if l, err := net.Listen("tcp", listen); err != nil { // if the port is taken, the server would end the process
		return nil, fmt.Errorf("--nats-listen: %w", err)
	} else {
		_ = l.Close()
	}
	n := &NATS{Server: newServer("embedded NATS", log)}
	if err := DataDir(dir, n.log); err != nil {
		return nil, err
	}
	if n.unlock, err = lock(dir); err != nil {
		return nil, err
	}
	n.options = server.Options{
		ServerName: "headway", Host: host, Port: port, JetStream: true, StoreDir: filepath.Join(dir, "nats"), NoSigs: true, NoLog: true,
		MaxPayload: 1 << 20,
	}
	if err := n.boot(); err != nil {
		n.unlock()
		return nil, fmt.Errorf("embedded NATS: %w", err)
	}
	n.URL = n.server.ClientURL()
	if address, ok := n.server.Addr().(*net.TCPAddr); ok {
		n.options.Port = address.Port // the same one when it is started again
	}
	go n.supervise(time.Now(), n.await, func() error { n.shutdown(); return n.boot() })
	return n, nil
}

func (n *NATS) boot() (err error) {
	o := n.options // the server changes its own
	if n.server, err = server.NewServer(&o); err != nil {
		return err
	}
	n.server.Start()
	if !n.server.ReadyForConnections(20 * time.Second) {
		n.shutdown()
		return errors.New("not ready within 20 s")
	}
	return nil
}

// lookEvery is how often JetStream is checked, because the server doesn't notify anyone when it has disabled it.
const lookEvery = 250 * time.Millisecond

func (n *NATS) await() string {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-n.stop:
			return ""
		case <-tick.C:
			if !n.server.JetStreamEnabled() {
				return "JetStream was given up, as on a full or failing disk"
			}
		}
	}
}

// Stop stops the server. Its data stays in the directory.
func (n *NATS) Stop() {
	close(n.stop)
	<-n.ended
	n.shutdown()
	n.unlock()
}

func (n *NATS) shutdown() {
	n.server.Shutdown()
	n.server.WaitForShutdown()
}
