package headwaytest

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// startLimit bounds how long a server may take to answer.
const startLimit = 10 * time.Second

// NATSServer is a real nats-server in this process, with JetStream on disk.
type NATSServer struct {
	t    testing.TB
	dir  string
	port int
	conf string         // configuration file; "" if there is none
	s    *server.Server // nil while it is down
}

// NATS starts a nats-server for a test, on a port of its own. It ends with the test.
func NATS(t testing.TB) *NATSServer {
	t.Helper()
	n := &NATSServer{t: t, dir: t.TempDir(), port: server.RANDOM_PORT}
	t.Cleanup(n.Shutdown)
	n.start()
	return n
}

// NATSFrom is NATS with a configuration file. Its addresses and its storage directory aren't used.
func NATSFrom(t testing.TB, file string) *NATSServer {
	t.Helper()
	n := &NATSServer{t: t, dir: t.TempDir(), port: server.RANDOM_PORT, conf: file}
	t.Cleanup(n.Shutdown)
	n.start()
	return n
}

func (n *NATSServer) start() {
	n.t.Helper()
	o := &server.Options{}
	if n.conf != "" {
		var err error
		if o, err = server.ProcessConfigFile(n.conf); err != nil {
			n.t.Fatal(err)
		}
	}
	o.JetStream, o.StoreDir, o.Host, o.Port, o.NoSigs = true, n.dir, "127.0.0.1", n.port, true
	s, err := server.NewServer(o)
	if err != nil {
		n.t.Fatal(err)
	}
	n.s = s
	s.Start()
	if !s.ReadyForConnections(startLimit) {
		n.t.Fatal("nats-server isn't ready")
	}
	address, ok := s.Addr().(*net.TCPAddr)
	if !ok {
		n.t.Fatalf("nats-server listens on %v", s.Addr())
	}
	n.port = address.Port
}

// URL is the address of the server. It stays the same over a Restart.
func (n *NATSServer) URL() string {
	return fmt.Sprintf("nats://127.0.0.1:%d", n.port)
}

// Dir is the server's storage directory. It may be copied, or restored to an earlier copy, while the server is down.
func (n *NATSServer) Dir() string { return n.dir }

// Conn returns a new connection, which survives restarts of the server and is closed when the test ends.
func (n *NATSServer) Conn() *nats.Conn {
	n.t.Helper()
	nc, err := nats.Connect(n.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(nc.Close)
	return nc
}

// Shutdown ends the server and keeps its data for a Restart. It does nothing if the server is down.
func (n *NATSServer) Shutdown() {
	if n.s == nil {
		return
	}
	n.s.Shutdown()
	n.s.WaitForShutdown()
	n.s = nil
}

// Restart starts the server again on its port and with its data, and shuts it down first if it runs.
func (n *NATSServer) Restart() {
	n.t.Helper()
	n.Shutdown()
	n.start()
}
