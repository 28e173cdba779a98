package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

// A page that an attacker's name was rebound for, or one of another origin, gets nowhere, also while the programs wait for their backends.
func TestForeignPages(t *testing.T) {
	natsServer, redisServer := headwaytest.NATS(t), headwaytest.RedisChild(t)
	natsServer.Shutdown()
	programs := everyProgram(t, natsServer.URL(), redisServer.URL(), "--ray-events-secret", "0123456789abcdef")
	send := func(name, method, path, host, origin string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+programs[name].Addr()+path, strings.NewReader("[]"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "text/plain") // what a page may send without asking first
		if host != "" {
			r.Host = host
		}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	refused := func(when string) {
		t.Helper()
		for _, name := range []string{"api", "run"} {
			for _, path := range []string{"/", "/v1/batches", "/readyz", "/metrics", "/livez"} {
				if got := send(name, http.MethodGet, path, "evil.example:8080", ""); got != http.StatusMisdirectedRequest {
					t.Errorf("%s, %s: GET %s of a rebound page: %d", name, when, path, got)
				}
			}
			if got := send(name, http.MethodPost, "/v1/events", "", "https://evil.example"); got != http.StatusForbidden {
				t.Errorf("%s, %s: POST of another origin: %d", name, when, got)
			}
		}
	}
	refused("waiting")
	natsServer.Restart()
	for _, name := range []string{"api", "run"} {
		eventually(t, 20*time.Second, name+" serves", func() error {
			if got := send(name, http.MethodPost, "/v1/events", "", ""); got != http.StatusUnsupportedMediaType {
				return fmt.Errorf("POST without origin: %d", got)
			}
			return nil
		})
	}
	refused("serving")
	if got := send("run", http.MethodPost, "/v1/ray/events/0123456789abcdef", "headway", ""); got == http.StatusMisdirectedRequest || got >= 500 {
		t.Errorf("Ray posts to a name of its own: %d", got)
	}
}
