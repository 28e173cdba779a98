package api

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/services/api/dashboard"
)

func builtDashboard(w *world) {
	w.svc.dashboard = &dashboard.Dashboard{
		Page:   []byte(`<!doctype html><script type="module" src="/assets/index-abcdefgh.js"></script>`),
		Assets: map[string]dashboard.Asset{"index-abcdefgh.js": {Type: "text/javascript; charset=utf-8", Body: []byte("let a = 1;"), Zip: []byte("zip")}},
	}
}

func TestPageIsServedAtEachOfItsAddresses(t *testing.T) {
	w := newWorld(t)
	builtDashboard(w)
	for _, path := range []string{"/", "/?health=stuck", "/batches/nightly-42", "/batches/nightly-42?tier=1", "/batches/no%20id"} {
		r := w.status(w.get(path), http.StatusOK)
		if got := r.Body.String(); got != string(w.svc.dashboard.Page) {
			t.Errorf("%s: %q", path, got)
		}
		for name, want := range map[string]string{
			"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache",
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		} {
			if got := r.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		policy := r.Header().Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy %q lacks %s", path, policy, part)
			}
		}
		if regexp.MustCompile(`unsafe|https?:|\*|data:`).MatchString(policy) {
			t.Errorf("%s: the policy %q lets in what is inline or from elsewhere", path, policy)
		}
	}
	if r := w.status(w.do(http.MethodHead, "/", nil), http.StatusOK); r.Body.Len() != 0 || r.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d bytes, %v", r.Body.Len(), r.Header())
	}
	if r := w.do(http.MethodOptions, "/", nil); r.Code != http.StatusNoContent || !strings.Contains(r.Header().Get("Allow"), "GET") {
		t.Errorf("OPTIONS: %d %v", r.Code, r.Header())
	}
	w.status(w.do(http.MethodPost, "/", nil), http.StatusMethodNotAllowed)
}

// TestPageSaysThatAccessIsControlled: the page asks to sign in, and who one is, only then.
func TestPageSaysThatAccessIsControlled(t *testing.T) {
	for want, w := range map[string]*world{"open": newWorld(t), "guarded": newKeyed(t, nil).world} {
		w.svc.dashboard = &dashboard.Dashboard{Page: []byte("open"), Guarded: []byte("guarded")}
		if got := w.status(w.get("/"), http.StatusOK).Body.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAssetsAreKeptForEver(t *testing.T) {
	w := newWorld(t)
	builtDashboard(w)
	const path = "/assets/index-abcdefgh.js"
	r := w.status(w.get(path), http.StatusOK)
	if r.Body.String() != "let a = 1;" || r.Header().Get("Content-Encoding") != "" ||
		r.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" || r.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("%q %v", r.Body, r.Header())
	}
	r = w.status(w.get(path, "Accept-Encoding", "gzip"), http.StatusOK)
	if r.Body.String() != "zip" || r.Header().Get("Content-Encoding") != "gzip" || !strings.Contains(r.Header().Get("Vary"), "Accept-Encoding") {
		t.Errorf("%q %v", r.Body, r.Header())
	}
	for _, path := range []string{"/assets/", "/assets/none.js", "/assets/../dashboard.go", "/assets/index-abcdefgh.js/"} {
		w.status(w.get(path), http.StatusNotFound)
	}
}

func TestWithoutNodeAPlainPageSaysSo(t *testing.T) {
	w := newWorld(t)
	w.svc.dashboard = &dashboard.Dashboard{}
	r := w.status(w.get("/"), http.StatusOK)
	for _, part := range []string{"no dashboard", `href="/docs"`, `href="/v1/batches?sort=need"`} {
		if !strings.Contains(r.Body.String(), part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	policy := r.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, inlineHash(plainPage, "style")) || strings.Contains(policy, "script-src") || strings.Contains(r.Body.String(), "<script") {
		t.Errorf("policy %q", policy)
	}
}

// asked is the answer to a browser, which isn't part of the API's description.
func (w *world) asked(path, accept string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept", accept)
	out := httptest.NewRecorder()
	w.svc.Handler().ServeHTTP(out, r)
	return out
}

// A person who mistypes an address gets a page; a program gets a problem.
func TestUnknownPathsAreAPage(t *testing.T) {
	w := newWorld(t)
	builtDashboard(w)
	page := []string{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}
	for _, path := range []string{"/nowhere", "/batches", "/batch/a"} {
		if r := w.asked(path, page[1]); r.Code != http.StatusNotFound || r.Body.String() != string(w.svc.dashboard.Page) || r.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %q %v", path, r.Body, r.Header())
		}
		if r := w.status(w.get(path), http.StatusNotFound); r.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s for a program: %v", path, r.Header())
		}
	}
	for _, path := range []string{"/v1/nowhere", "/assets/none.js"} {
		if r := w.status(w.get(path, page...), http.StatusNotFound); r.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v", path, r.Header())
		}
	}
}

// Behind a real reverse proxy, at a path that the proxy removes or leaves: every link of the page leads below it, and the API answers there.
func TestBasePathBehindAReverseProxy(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.BasePath = "/headway" })
	w.svc.dashboard = &dashboard.Dashboard{Page: dashboard.Under("/headway", []byte(`<html lang="en"><script type="module" src="./assets/index-abcdefgh.js"></script>`))}
	w.svc.dashboard.Assets = map[string]dashboard.Asset{"index-abcdefgh.js": {Type: "text/javascript; charset=utf-8", Body: []byte("let a = 1;")}}
	server := httptest.NewServer(w.svc.Handler())
	t.Cleanup(server.Close)
	target, err := neturl.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, removed := range map[string]bool{"removed": true, "left": false} {
		to := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
		var front http.Handler = to
		if removed {
			front = http.StripPrefix("/headway", to)
		}
		mux := http.NewServeMux()
		mux.Handle("/headway/", front)
		proxy := httptest.NewServer(mux)
		t.Cleanup(proxy.Close)
		for path, part := range map[string]string{
			"/headway/": `src="/headway/assets/index-abcdefgh.js"`, "/headway/batches/a%2Fb": `data-base="/headway"`, "/headway/assets/index-abcdefgh.js": "let a = 1;",
			"/headway/v1/batches": `"batches":[]`, "/headway/docs": "Headway API",
		} {
			if status, body := fetch(t, http.DefaultClient, proxy.URL+path); status != 200 || !strings.Contains(body, part) {
				t.Errorf("%s, %s: %d %.200s", name, path, status, body)
			}
		}
	}
	if r := w.asked("/headway", ""); r.Code != http.StatusPermanentRedirect || r.Header().Get("Location") != "/headway/" {
		t.Errorf("%d %v", r.Code, r.Header())
	}
}

func TestBasePathIsChecked(t *testing.T) {
	for path, good := range map[string]bool{"": true, "/headway": true, "/a/b-c": true, "/": false, "headway": false, "/headway/": false, "/a//b": false, "/..": false, "/a b": false, "//host": false} {
		if err := (Limits{Heartbeat: time.Second, BasePath: path}).Check(); (err == nil) != good {
			t.Errorf("%q: %v", path, err)
		}
	}
}
