package e2e

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/eventlog"
)

// The Go client waits out a server that is killed in the middle, and loses nothing.
func TestClientSurvivesServer(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "nats-server")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	port := strconv.Itoa(freePort(t))
	server := start(t, "nats-server", path, "-js", "-sd", filepath.Join(dir, "js"), "-a", "127.0.0.1", "-p", port)
	var nc *nats.Conn
	eventually(t, 10*time.Second, "nats-server", func() (err error) {
		nc, err = nats.Connect("nats://127.0.0.1:"+port, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
		return err
	})
	defer nc.Close()
	if _, err := eventlog.Open(t.Context(), nc, eventlog.Config{}); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(nc, client.Options{Namespace: "n", MaxInFlight: 64})
	if err != nil {
		t.Fatal(err)
	}
	const events = 3000
	began := time.Now().Add(-time.Hour)
	for i := range events {
		if i == events/2 {
			server.kill()
			server.start()
		}
		e := client.TierProgress("b"+strconv.Itoa(i%7), 0, int64(i), events)
		e.ID, e.Time = strconv.Itoa(i), began.Add(time.Duration(i)*time.Millisecond)
		if err := c.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	o := offlineFold(t.Context(), t, js)
	if o.last < events || len(o.views) != 7 {
		t.Errorf("%d events of %d batches", o.last, len(o.views))
	}

	if err := c.Publish(t.Context(), client.BatchStatus("a\nb", "PROCESSING")); err == nil {
		t.Error("a bad batch id was sent")
	}
	if err := c.PublishRaw(t.Context(), "headway.elsewhere", nil, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(t.Context()); !errors.Is(err, client.ErrRejected) {
		t.Errorf("a subject that no stream takes: %v", err)
	}
}
