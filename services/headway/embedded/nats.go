// Package embedded starts the servers that a single process brings along: NATS as a library, Redis as a child
// or, where none is installed, in memory.
package embedded

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// NATS starts a NATS server with JetStream on disk. listen is host:port, port 0 picks a free one. A directory
// that another process serves is an error.
func NATS(listen, dir string) (url string, stop func(), err error) {
	host, portText, err := net.SplitHostPort(listen)
	if err != nil {
		return "", nil, fmt.Errorf("--nats-listen: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return "", nil, fmt.Errorf("--nats-listen: port %q is no number", portText)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	} else if l, err := net.Listen("tcp", listen); err != nil { // the server itself would end the process
		return "", nil, fmt.Errorf("--nats-listen: %w", err)
	} else {
		_ = l.Close()
	}
	store := filepath.Join(dir, "nats")
	if err := os.MkdirAll(store, 0o700); err != nil {
		return "", nil, fmt.Errorf("--data-dir: %w", err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return "", nil, err
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "headway", Host: host, Port: port, JetStream: true, StoreDir: store, NoSigs: true, NoLog: true,
		MaxPayload: 1 << 20,
	})
	if err != nil {
		unlock()
		return "", nil, fmt.Errorf("embedded NATS: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		s.Shutdown()
		unlock()
		return "", nil, errors.New("embedded NATS: not ready within 20 s")
	}
	return s.ClientURL(), func() { s.Shutdown(); s.WaitForShutdown(); unlock() }, nil
}
