package access

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// cors lets pages of some origins use the API: those that are named exactly. No cookie and no other credential that a browser adds by
// itself is ever allowed, so a page needs a key of its own.
type cors struct {
	origins []string
}

const (
	corsMethods = "GET, HEAD, POST, DELETE"
	corsHeaders = "Authorization, Cache-Control, Content-Type, If-None-Match, Last-Event-ID, X-Namespace"
	corsExposed = "ETag, Last-Event-ID, Link, Retry-After"
	corsFor     = "7200" // seconds for which a browser may remember what it asked; none accepts more
)

// checkOrigin finds what isn't an origin as a browser sends it.
func checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+u.Host != origin || origin != strings.ToLower(origin) || strings.Contains(origin, "*") {
		return errors.New("--cors-origin: must be an origin such as https://app.example or http://localhost:5173, without a path")
	}
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		return fmt.Errorf("--cors-origin: browsers leave the port out of %s", origin)
	}
	return nil
}

// answer sets the headers for a page of another origin. It reports whether that is all, because the browser only asked whether it may
// send a request.
func (c cors) answer(w http.ResponseWriter, r *http.Request) (done bool) {
	if len(c.origins) == 0 {
		return false
	}
	h := w.Header()
	h.Set("Vary", "Origin") // of answers that have no other one; the API's own names it too
	origin := r.Header.Get("Origin")
	if !slices.Contains(c.origins, origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		h.Set("Access-Control-Expose-Headers", corsExposed)
		return false
	}
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", corsHeaders)
	h.Set("Access-Control-Max-Age", corsFor)
	w.WriteHeader(http.StatusNoContent)
	return true
}

// foreignStream reports whether a page of an origin that isn't allowed asks for a stream. The page couldn't read it, but would occupy it:
// an EventSource tries again for ever.
func (c cors) foreignStream(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || r.Method != http.MethodGet || slices.Contains(c.origins, origin) {
		return false
	}
	if !strings.HasSuffix(r.URL.Path, "/stream") && !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || u.Host != r.Host
}
