package doctor

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/headwaytest"
)

// What a power cut can cost follows from how often a real nats-server syncs its disk.
func TestDisk(t *testing.T) {
	for _, c := range []struct {
		name, interval string
		state          State
		words          []string
	}{
		{"default", "", Note, []string{"every 2m0s", "sync_interval: always", "--replicas 3"}},
		{"often", "sync_interval: 10s", Note, []string{"every 10s"}},
		{"always", "sync_interval: always", OK, []string{"before it is acknowledged"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "nats.conf")
			if err := os.WriteFile(file, []byte("http: 127.0.0.1:-1\njetstream {\n"+c.interval+"\n}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			nats := headwaytest.NATSFrom(t, file)
			says(t, Options{NATSURL: nats.URL(), NATSMonitor: nats.MonitorURL()}, "nats disk", c.state, c.words...)
		})
	}
	t.Run("something else answers", func(t *testing.T) {
		other := httptest.NewServer(http.NotFoundHandler())
		defer other.Close()
		says(t, Options{NATSURL: headwaytest.NATS(t).URL(), NATSMonitor: other.URL}, "nats disk", Wrong, "404")
	})
	t.Run("replicas", func(t *testing.T) {
		cluster := headwaytest.NATSCluster(t, 3)
		if _, err := eventlog.Open(t.Context(), cluster[0].Conn(), eventlog.Config{Replicas: 3}); err != nil {
			t.Fatal(err)
		}
		says(t, Options{NATSURL: cluster[0].URL()}, "nats disk", Unknown, "--nats-monitor-url")
	})
}
