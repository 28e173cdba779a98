package access

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCORSOrigins(t *testing.T) {
	for origin, ok := range map[string]bool{
		"https://app.example": true, "http://localhost:5173": true, "https://app.example:8443": true, "http://[::1]:5173": true,
		"*": false, "null": false, "app.example": false, "https://app.example/": false, "https://app.example/x": false, "https://*.example": false,
		"https://App.example": false, "ftp://app.example": false, "https://u@app.example": false, "https://app.example:443": false, "http://a:80": false, "": false,
	} {
		if err := (Flags{CORSOrigin: []string{origin}}).Check("127.0.0.1:0"); (err == nil) != ok {
			t.Errorf("%q: %v", origin, err)
		}
	}
}

// Pages of the origins that are named may do everything that a key allows, and read the headers that they need; others get nothing.
func TestCORS(t *testing.T) {
	const host = "127.0.0.1:8080"
	f := Flags{CORSOrigin: []string{"http://localhost:5173", "https://app.example"}}
	for _, c := range []struct {
		method, path, origin string
		header               []string
		status               int
		allowed              bool
	}{
		{http.MethodGet, "/v1/batches", "https://app.example", nil, http.StatusTeapot, true},
		{http.MethodPost, "/v1/events", "https://app.example", nil, http.StatusTeapot, true},
		{http.MethodPost, "/v1/events", "http://localhost:5173", []string{"Sec-Fetch-Site", "same-site"}, http.StatusTeapot, true},
		{http.MethodGet, "/v1/batches/stream", "http://localhost:5173", nil, http.StatusTeapot, true},
		{http.MethodOptions, "/v1/batches", "https://app.example", []string{"Access-Control-Request-Method", "GET"}, http.StatusNoContent, true},
		{http.MethodOptions, "/v1/events", "https://app.example", nil, http.StatusTeapot, true}, // not a preflight
		{http.MethodOptions, "/v1/batches", "https://evil.example", []string{"Access-Control-Request-Method", "GET"}, http.StatusTeapot, false},
		{http.MethodGet, "/v1/batches", "https://evil.example", nil, http.StatusTeapot, false}, // the browser keeps it from the page
		{http.MethodGet, "/v1/batches/stream", "https://evil.example", nil, http.StatusForbidden, false},
		{http.MethodGet, "/v1/batches", "https://evil.example", []string{"Accept", "text/event-stream"}, http.StatusForbidden, false},
		{http.MethodGet, "/v1/batches/stream", "null", nil, http.StatusForbidden, false},
		{http.MethodGet, "/v1/batches/stream", "http://127.0.0.1:8080", nil, http.StatusTeapot, false}, // its own pages
		{http.MethodGet, "/v1/batches/stream", "", nil, http.StatusTeapot, false},
		{http.MethodPost, "/v1/events", "https://app.example.evil.example", nil, http.StatusForbidden, false},
		{http.MethodPost, "/v1/events", "http://app.example", nil, http.StatusForbidden, false}, // another scheme
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Host = host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		for i := 0; i < len(c.header); i += 2 {
			r.Header.Set(c.header[i], c.header[i+1])
		}
		w := httptest.NewRecorder()
		f.Guard(host, nil)(http.HandlerFunc(served)).ServeHTTP(w, r)
		h := w.Header()
		allowed := h.Get("Access-Control-Allow-Origin")
		if w.Code != c.status || c.allowed != (allowed != "") || c.allowed && allowed != c.origin {
			t.Errorf("%s %s of %s: %d, allowed %q", c.method, c.path, c.origin, w.Code, allowed)
		}
		if h.Get("Access-Control-Allow-Credentials") != "" || h.Get("Vary") == "" {
			t.Errorf("%s %s of %s: %v", c.method, c.path, c.origin, h)
		}
		if w.Code == http.StatusNoContent {
			if h.Get("Access-Control-Max-Age") == "" || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "POST") {
				t.Errorf("preflight: %v", h)
			}
		} else if c.allowed && !strings.Contains(h.Get("Access-Control-Expose-Headers"), "Retry-After") {
			t.Errorf("%s %s of %s: a page can't read %v", c.method, c.path, c.origin, h)
		}
	}
	if w := through(f, host, http.MethodGet, "evil.example", "Origin", "https://app.example"); w.Code != http.StatusMisdirectedRequest {
		t.Errorf("another host: %d", w.Code)
	}
	if h := through(Flags{}, host, http.MethodGet, host, "Origin", "https://app.example").Header(); len(h) != 0 {
		t.Errorf("without --cors-origin: %v", h)
	}
}
