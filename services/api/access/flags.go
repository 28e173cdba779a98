package access

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
)

// Flags of the programs that serve the API.
type Flags struct {
	Access      string   `help:"Who may use the API: none (everybody who reaches it) or keys (API keys with roles and namespaces)." enum:"none,keys" default:"none" env:"HEADWAY_ACCESS"`
	AllowedHost []string `name:"allowed-host" placeholder:"HOST" help:"A host name, besides those of loopback, at which browsers may use the API; may be repeated. * allows every name." env:"HEADWAY_ALLOWED_HOST"`
	CORSOrigin  []string `name:"cors-origin" placeholder:"ORIGIN" help:"An origin whose pages may use the API, such as https://app.example; may be repeated." env:"HEADWAY_CORS_ORIGIN"`

	Sessions Lifetimes `embed:""`
	JWT      JWTs      `embed:""`
	Claims   Claims    `embed:""`
	OIDC     OIDC      `embed:""`

	AllowUnauthenticated bool `help:"Listen beyond loopback although anybody may then read and write every namespace." env:"HEADWAY_ALLOW_UNAUTHENTICATED"`
}

// Check finds settings that can't work. Without access control it rejects an address that other machines can reach, unless that is
// allowed explicitly.
func (f Flags) Check(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	for _, name := range f.AllowedHost {
		if name == "" || strings.ContainsAny(name, "/: ") && net.ParseIP(name) == nil {
			return errors.New("--allowed-host: must be a host name without scheme and port, such as headway.example.com")
		}
	}
	for _, origin := range f.CORSOrigin {
		if err := checkOrigin(origin); err != nil {
			return err
		}
	}
	for _, check := range []func() error{f.Sessions.check, f.JWT.check, f.Claims.check, f.OIDC.check} {
		if err := check(); err != nil {
			return err
		}
	}
	if !f.Keyed() && (len(f.JWT.Issuers) > 0 || f.OIDC.Issuer != "") {
		return errors.New("--jwt-issuer, --oidc-issuer: need --access keys")
	}
	if f.Keyed() || f.AllowUnauthenticated || isLoopback(host) {
		return nil
	}
	return fmt.Errorf("--listen: %s can be reached by others, and there is no access control: listen on 127.0.0.1, or give --access keys, or --allow-unauthenticated if a proxy in front checks credentials", listen)
}

// Keyed reports whether requests need an API key.
func (f Flags) Keyed() bool { return f.Access == "keys" }

// Warn logs that everybody may read and write, or that keys can be seen on the way, if others can reach the address.
func (f Flags) Warn(listen string, encrypted bool, log *slog.Logger) {
	host, _, err := net.SplitHostPort(listen)
	switch {
	case err != nil || isLoopback(host):
	case f.Keyed() && encrypted:
	case f.Keyed():
		log.Warn("listening beyond loopback without TLS, give --tls-cert-file and --tls-key-file, or put a proxy with TLS in front, so that nobody can read the keys", "address", listen)
	default:
		log.Warn("listening without access control, anybody who reaches the address may read and write every namespace", "address", listen)
	}
}

// OnLoopback reports whether only this machine can reach an address to listen at.
func OnLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && isLoopback(host)
}

func isLoopback(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
