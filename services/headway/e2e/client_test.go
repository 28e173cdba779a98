package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/eventlog"
)

// A watch of an unknown batch reports that it waits, and shows the batch once it begins, or gives up at its timeout.
func TestClientWaitsForABatch(t *testing.T) {
	r := runHeadway(t, headway(t), t.TempDir())
	watch := func(within time.Duration) (states []client.Connection, shown []client.Snapshot, last error) {
		reader, err := client.NewReader(client.ReaderOptions{URL: r.api, BeginWithin: within, Connection: func(c client.Connection) {
			if states = append(states, c); c.Live && c.Waiting && within == 0 {
				r.say("later", "batch", `{"status":"COMPLETED"}`)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		for s, err := range reader.Watch(t.Context(), "later") {
			if last = err; err == nil {
				shown = append(shown, s)
			}
		}
		return states, shown, last
	}
	eventually(t, 20*time.Second, "certainty that there is no such batch", func() error {
		if states, shown, err := watch(-1); !errors.Is(err, client.ErrNotFound) || len(shown) > 0 || states[len(states)-1].Waiting {
			return fmt.Errorf("%+v %d %w", states, len(shown), err)
		}
		return nil
	})
	states, shown, err := watch(100 * time.Millisecond)
	if !errors.Is(err, client.ErrNotFound) || !strings.Contains(err.Error(), "within 100ms") || len(shown) > 0 || !states[len(states)-1].Waiting {
		t.Errorf("%+v %d %v", states, len(shown), err)
	}
	states, shown, err = watch(0)
	if err != nil || len(shown) == 0 || shown[len(shown)-1].Status != "COMPLETED" || states[len(states)-1] != (client.Connection{Live: true}) {
		t.Errorf("%+v %d %v", states, len(shown), err)
	}
}

// The Go client retries while a server is killed and restarted, and loses nothing.
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
