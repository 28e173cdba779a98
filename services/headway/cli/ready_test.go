package cli

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestReady(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/readyz":
			_, _ = w.Write([]byte(`{"status":"ok"}`))
		case "/waits/readyz":
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"detail":"waiting for NATS: connection refused"}`))
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	for url, want := range map[string]struct {
		code int
		says string
	}{
		server.URL:            {0, ""},
		server.URL + "/waits": {exitNo, "waiting for NATS: connection refused"},
		server.URL + "/other": {exitNo, "/readyz answers 404 Not Found"},
		"http://127.0.0.1:1":  {exitUnknown, "connection refused"},
		"localhost":           {exitUsage, `"localhost" is no URL`},
	} {
		var exit ExitError
		err := (&Ready{URL: url, Timeout: 10 * time.Second}).Run(t.Context())
		if errors.As(err, &exit); exit.Code != want.code || err != nil && !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
