package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

// On real servers, a namespace that has as many active batches as it may begins the next one when one of them is over.
func TestActiveBatches(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	natsServer := headwaytest.NATS(t)
	redisURL, _ := headwaytest.Redis(t)
	p, err := inProcess(t, newRun, "--nats-url", natsServer.URL(), "--redis-url", redisURL, "--data-dir", t.TempDir(), "--namespace-limit", "small/active_batches=1")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	eventually(t, 30*time.Second, "ready", func() error { return p.Ready(t.Context()) })
	sent := 0
	send := func(ns, batch, status string) (int, string) {
		t.Helper()
		sent++
		body := fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"test","type":"dev.headway.batch.v1","subject":"%s","time":"%s","data":{"status":"%s"}}`,
			sent, batch, time.Now().UTC().Format(time.RFC3339Nano), status)
		res, err := http.Post("http://"+p.Addr()+"/v1/events?namespace="+ns, "application/cloudevents+json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		answer, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(answer)
	}
	active := func(want int64) func() error {
		return func() error {
			var me struct {
				Limits struct {
					Namespace []struct {
						Name        string
						Value, Used *int64
					}
				}
			}
			_, body := ask(p, "/v1/me?namespace=small")
			if err := json.Unmarshal([]byte(body), &me); err != nil {
				return err
			}
			for _, l := range me.Limits.Namespace {
				if l.Name == "active_batches" && l.Value != nil && *l.Value == 1 && l.Used != nil && *l.Used == want {
					return nil
				}
			}
			return fmt.Errorf("%s", body)
		}
	}
	if code, answer := send("small", "first", "PROCESSING"); code != http.StatusAccepted {
		t.Fatal(code, answer)
	}
	eventually(t, 20*time.Second, "the first batch counts", active(1))
	if code, answer := send("small", "second", "PROCESSING"); code != http.StatusTooManyRequests || !strings.Contains(answer, `"limit":"active_batches"`) {
		t.Fatal(code, answer)
	}
	if code, answer := send("large", "second", "PROCESSING"); code != http.StatusAccepted {
		t.Fatal(code, answer)
	}
	if code, answer := send("small", "first", "COMPLETED"); code != http.StatusAccepted {
		t.Fatal(code, answer)
	}
	eventually(t, 20*time.Second, "the first batch is over", active(0))
	if code, answer := send("small", "second", "PROCESSING"); code != http.StatusAccepted {
		t.Fatal(code, answer)
	}
}
