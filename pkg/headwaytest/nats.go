package headwaytest

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
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
	join string         // routes to the other servers of its cluster; "" if it is alone
	name string         // in its cluster
	at   string         // where the others reach it
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

// NATSCluster starts a cluster of as many nats-servers, and waits until it has a leader.
func NATSCluster(t testing.TB, servers int) []*NATSServer {
	t.Helper()
	out := make([]*NATSServer, servers)
	var routes []string
	for i := range out {
		out[i] = &NATSServer{t: t, dir: t.TempDir(), port: server.RANDOM_PORT, name: fmt.Sprint("n", i+1), at: freeAddress(t)}
		routes = append(routes, "nats://"+out[i].at)
	}
	for _, n := range out {
		n.join = strings.Join(routes, ",")
		t.Cleanup(n.Shutdown)
		n.launch()
	}
	for _, n := range out {
		n.wait()
	}
	for limit := time.Now().Add(3 * startLimit); ; time.Sleep(20 * time.Millisecond) {
		if leads := slices.IndexFunc(out, func(n *NATSServer) bool { return n.s.JetStreamIsLeader() }); leads >= 0 && len(out[leads].s.JetStreamClusterPeers()) == servers {
			return out
		}
		if time.Now().After(limit) {
			t.Fatal("the NATS cluster has no leader, or not all of its servers")
		}
	}
}

func (n *NATSServer) start() {
	n.t.Helper()
	n.launch()
	n.wait()
}

func (n *NATSServer) launch() {
	n.t.Helper()
	o := &server.Options{}
	if n.conf != "" {
		var err error
		if o, err = server.ProcessConfigFile(n.conf); err != nil {
			n.t.Fatal(err)
		}
	}
	o.JetStream, o.StoreDir, o.Host, o.Port, o.NoSigs = true, n.dir, "127.0.0.1", n.port, true
	if n.join != "" {
		host, port, err := net.SplitHostPort(n.at)
		if err != nil {
			n.t.Fatal(err)
		}
		o.ServerName, o.Cluster.Name, o.Cluster.Host, o.Routes = n.name, "headway", host, server.RoutesFromStr(n.join)
		if o.Cluster.Port, err = strconv.Atoi(port); err != nil {
			n.t.Fatal(err)
		}
	}
	s, err := server.NewServer(o)
	if err != nil {
		n.t.Fatal(err)
	}
	n.s = s
	s.Start()
}

// wait waits until the server takes connections.
func (n *NATSServer) wait() {
	n.t.Helper()
	if !n.s.ReadyForConnections(startLimit) {
		n.t.Fatal("nats-server isn't ready")
	}
	address, ok := n.s.Addr().(*net.TCPAddr)
	if !ok {
		n.t.Fatalf("nats-server listens on %v", n.s.Addr())
	}
	n.port = address.Port
}

// URL is the address of the server. It stays the same over a Restart.
func (n *NATSServer) URL() string {
	return fmt.Sprintf("nats://127.0.0.1:%d", n.port)
}

// MonitorURL is the address of the server's monitoring endpoint, if its configuration file has one (http_port: -1).
func (n *NATSServer) MonitorURL() string { return "http://" + n.s.MonitorAddr().String() }

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
