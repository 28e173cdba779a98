package api

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

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
