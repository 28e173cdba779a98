package access

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/headwayhq/headway/services/internal/printable"
	"github.com/headwayhq/headway/services/internal/program"
)

// guard checks what a browser can't forge: the host that it thinks it talks to, and the origin of the page that sends a request.
type guard struct {
	next     http.Handler
	hosts    map[string]bool
	anyHost  bool
	literals bool // IP addresses are allowed as hosts
	origins  *http.CrossOriginProtection
	cors     cors
	except   func(*http.Request) bool
}

// Guard returns what to put in front of everything that is served at an address. Requests for which except returns true have
// credentials of their own in their path, so no foreign page can send them; except may be nil.
func (f Flags) Guard(listen string, except func(*http.Request) bool) func(http.Handler) http.Handler {
	host, _, _ := net.SplitHostPort(listen)
	g := guard{hosts: map[string]bool{}, anyHost: f.Keyed() && len(f.AllowedHost) == 0 && !isLoopback(host), literals: !isLoopback(host), origins: http.NewCrossOriginProtection(), except: except, cors: cors{f.CORSOrigin}}
	for _, origin := range f.CORSOrigin {
		_ = g.origins.AddTrustedOrigin(origin) // Check has found those that are none
	}
	if host != "" {
		g.hosts[strings.ToLower(host)] = true
	}
	if u, err := url.Parse(f.OIDC.PublicURL); err == nil && u.Host != "" {
		g.hosts[strings.ToLower(u.Hostname())] = true
	}
	for _, name := range f.AllowedHost {
		if name == "*" {
			g.anyHost = true
		}
		g.hosts[strings.TrimSuffix(strings.ToLower(name), ".")] = true
	}
	return func(next http.Handler) http.Handler {
		g := g
		g.next = next
		return &g
	}
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case g.except != nil && g.except(r):
	case !g.allowed(r.Host):
		program.Refuse(w, r, http.StatusMisdirectedRequest, "misdirected_request",
			"This server isn't meant to be used as "+printable.Text(shorten(r.Host))+". If it is, give it this name with --allowed-host.")
		return
	case g.cors.answer(w, r):
		return
	case g.origins.Check(r) != nil, g.cors.foreignStream(r):
		program.Refuse(w, r, http.StatusForbidden, "cross_origin", "A page of another origin may not send this request. --cors-origin allows pages of an origin.")
		return
	}
	g.next.ServeHTTP(w, r)
}

// allowed reports whether a request for this host can't come from a page whose name was rebound to this server. Under an IP address
// no page can be rebound, and probes of Kubernetes use one; on loopback nobody needs other ones. Browsers always name a host.
func (g *guard) allowed(hostport string) bool {
	if g.anyHost || hostport == "" {
		return true
	}
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	return g.hosts[host] || isLoopback(host) || g.literals && net.ParseIP(host) != nil
}

func shorten(s string) string { return s[:min(len(s), 253)] }
