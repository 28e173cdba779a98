package access

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// OIDC is the identity provider at which people sign in to the dashboard.
type OIDC struct {
	Issuer     string   `name:"oidc-issuer" placeholder:"URL" help:"An identity provider (OpenID Connect) at which people sign in to the dashboard." env:"HEADWAY_OIDC_ISSUER"`
	ClientID   string   `name:"oidc-client-id" placeholder:"ID" help:"As what Headway is registered at the provider." env:"HEADWAY_OIDC_CLIENT_ID"`
	SecretFile string   `name:"oidc-client-secret-file" placeholder:"FILE" help:"File with the secret of the registration; none for a public client." env:"HEADWAY_OIDC_CLIENT_SECRET_FILE"`
	Name       string   `name:"oidc-name" placeholder:"NAME" help:"What the button of the dashboard says." default:"Company SSO" env:"HEADWAY_OIDC_NAME"`
	Scopes     []string `name:"oidc-scope" placeholder:"SCOPE" help:"What is asked of the provider; some need one for groups." default:"openid,profile,email" env:"HEADWAY_OIDC_SCOPE"`
	PublicURL  string   `name:"public-url" placeholder:"URL" help:"The address at which browsers use the dashboard, such as https://headway.example.com. Required with --oidc-issuer." env:"HEADWAY_PUBLIC_URL"`
}

const (
	// LoginPath begins a sign-in at the provider, and CallbackPath ends it.
	LoginPath    = "/v1/session/oidc/login"
	CallbackPath = "/v1/session/oidc/callback"

	loginCookie   = "headway_login"
	loginFor      = 10 * time.Minute
	retryAfter    = 5 * time.Second // between two attempts to reach the provider
	maxReturn     = 1024
	redeemsAtOnce = 32 // or anybody could have the provider asked without end
	maxLoginSize  = 3 << 10
)

func (o OIDC) check() error {
	if o.Issuer == "" {
		return nil
	}
	if err := checkURL("--oidc-issuer", o.Issuer); err != nil {
		return err
	}
	if o.ClientID == "" {
		return errors.New("--oidc-client-id: must be given with --oidc-issuer")
	}
	if err := checkURL("--public-url", o.PublicURL); err != nil {
		return err
	}
	if u, _ := url.Parse(o.PublicURL); u.RawQuery != "" {
		return errors.New("--public-url: must have no query. Its path, if it has one, is --base-path")
	}
	if o.SecretFile == "" {
		return nil
	}
	_, err := o.secret()
	return err
}

func (o OIDC) secret() (string, error) {
	if o.SecretFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(o.SecretFile)
	if err != nil {
		return "", fmt.Errorf("--oidc-client-secret-file: %w", err)
	}
	if secret := strings.TrimSpace(string(text)); secret != "" {
		return secret, nil
	}
	return "", errors.New("--oidc-client-secret-file: is empty")
}

// Provider signs people in at an identity provider, with the code flow and PKCE. What belongs to a sign-in is in a cookie of the
// browser that has begun it, so that any process can end it, and no other browser.
type Provider struct {
	OIDC
	claims Claims
	log    *slog.Logger
	client *http.Client

	redeems chan struct{} // sign-ins that ask the provider

	mu       sync.Mutex
	provider *oidc.Provider // nil: it wasn't reached yet
	failed   time.Time
}

// NewProvider returns the provider of the flags; nil if they name none.
func NewProvider(f Flags, log *slog.Logger) *Provider {
	if f.OIDC.Issuer == "" {
		return nil
	}
	return &Provider{OIDC: f.OIDC, claims: f.Claims, log: log, client: &http.Client{Timeout: 2 * issuerWithin}, redeems: make(chan struct{}, redeemsAtOnce)}
}

var (
	errProvider = &Refusal{Status: http.StatusServiceUnavailable, Kind: "provider_unavailable", Retry: retryAfter,
		Detail: "The identity provider can't be reached at the moment. Try again shortly, or sign in with a key."}
	errLogin = &Refusal{Status: http.StatusBadRequest, Kind: "sign_in_invalid",
		Detail: "This sign-in was begun in another browser, has ended already, or took longer than 10 minutes. Sign in again."}
	errProviderRefused = &Refusal{Status: http.StatusForbidden, Kind: "sign_in_refused",
		Detail: "The identity provider refused the sign-in. Sign in again, or ask its administrators."}
	errIDToken = &Refusal{Status: http.StatusForbidden, Kind: "sign_in_refused",
		Detail: "What the identity provider said can't be trusted: its token is for another service, for another sign-in, or has expired. Headway's log says more."}
)

// login is what a browser keeps between the beginning and the end of a sign-in.
type login struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Return   string `json:"r"`
	Until    int64  `json:"u"`
}

// reach returns the provider, asked for its addresses if that wasn't done yet.
func (p *Provider) reach(ctx context.Context) (*oidc.Provider, *Refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.provider != nil {
		return p.provider, nil
	}
	if time.Since(p.failed) < retryAfter {
		return nil, errProvider
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), issuerWithin)
	defer cancel()
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.Issuer)
	if err != nil {
		p.failed = time.Now()
		p.log.Warn("reaching identity provider failed", "issuer", p.Issuer, "error", err)
		return nil, errProvider
	}
	p.provider = provider
	return provider, nil
}

func (p *Provider) config(provider *oidc.Provider) (*oauth2.Config, error) {
	secret, err := p.secret() // read each time, so that it can be replaced
	return &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: secret, Endpoint: provider.Endpoint(), RedirectURL: strings.TrimSuffix(p.PublicURL, "/") + CallbackPath, Scopes: p.Scopes,
	}, err
}

// Begin sends a browser to the provider, which sends it back to a path of this server.
func (p *Provider) Begin(w http.ResponseWriter, r *http.Request) *Refusal {
	provider, no := p.reach(r.Context())
	if no != nil {
		return no
	}
	config, err := p.config(provider)
	if err != nil {
		p.log.Error("reading client secret failed", "error", err)
		return errProvider
	}
	l := login{random(secretSize, secretBytes), random(secretSize, secretBytes), oauth2.GenerateVerifier(), localPath(r.URL.Query().Get("return")), time.Now().Add(loginFor).Unix()}
	text, err := json.Marshal(l)
	if err != nil {
		return errProvider
	}
	http.SetCookie(w, p.cookie(base64.RawURLEncoding.EncodeToString(text), int(loginFor/time.Second)))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", config.AuthCodeURL(l.State, oidc.Nonce(l.Nonce), oauth2.S256ChallengeOption(l.Verifier)))
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// cookie is Lax, because the browser comes back from the provider's site.
func (p *Provider) cookie(text string, seconds int) *http.Cookie {
	c := cookie(p.OverTLS(), text, seconds) //nolint:gosec // it is Secure where the address is https
	c.Name, c.SameSite = strings.Replace(c.Name, cookieName, loginCookie, 1), http.SameSiteLaxMode
	return c
}

// OverTLS reports whether browsers come by TLS.
func (p *Provider) OverTLS() bool { return strings.HasPrefix(p.PublicURL, "https://") }

// End checks what the provider sends a browser back with. It returns who has signed in, and the path to go to.
func (p *Provider) End(w http.ResponseWriter, r *http.Request) (who Person, path string, no *Refusal) {
	l, ok := p.begun(r)
	q := r.URL.Query()
	if !ok || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(l.State)) != 1 {
		return who, "", errLogin
	}
	http.SetCookie(w, p.cookie("", -1)) // it counts once
	if said := q.Get("error"); said != "" || q.Get("code") == "" {
		p.log.Warn("identity provider refused sign-in", "said", shorten(said), "description", shorten(q.Get("error_description")))
		return who, "", errProviderRefused
	}
	provider, no := p.reach(r.Context())
	if no != nil {
		return who, "", no
	}
	who, no = p.redeem(r.Context(), provider, q.Get("code"), l)
	return who, l.Return, no
}

// begun reads the cookie of a sign-in.
func (p *Provider) begun(r *http.Request) (l login, ok bool) {
	c, err := r.Cookie(p.cookie("", 0).Name)
	if err != nil || len(c.Value) > maxLoginSize {
		return l, false
	}
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || json.Unmarshal(text, &l) != nil {
		return l, false
	}
	l.Return = localPath(l.Return)
	return l, l.State != "" && l.Nonce != "" && time.Now().Unix() < l.Until
}

// redeem exchanges the code for a token, and checks it.
func (p *Provider) redeem(ctx context.Context, provider *oidc.Provider, code string, l login) (who Person, no *Refusal) {
	select {
	case p.redeems <- struct{}{}:
		defer func() { <-p.redeems }()
	default:
		return who, errProvider
	}
	config, err := p.config(provider)
	if err != nil {
		p.log.Error("reading client secret failed", "error", err)
		return who, errProvider
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), 2*issuerWithin)
	defer cancel()
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(l.Verifier))
	if err != nil {
		var answered *oauth2.RetrieveError
		if errors.As(err, &answered) && answered.Response.StatusCode < 500 {
			p.log.Warn("identity provider refused code", "said", shorten(answered.ErrorCode), "status", answered.Response.StatusCode)
			return who, errProviderRefused
		}
		p.log.Warn("exchanging code failed", "error", err)
		return who, errProvider
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: p.ClientID, SupportedSigningAlgs: asymmetric}).Verify(ctx, raw)
	if err != nil {
		p.log.Warn("checking id token failed", "error", err)
		return who, errIDToken
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil || subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(l.Nonce)) != 1 {
		p.log.Warn("checking id token failed", "error", "its nonce is another one")
		return who, errIDToken
	}
	if who = p.claims.personOf(claims); who.Subject == "" {
		p.log.Warn("checking id token failed", "error", "it has no sub")
		return who, errIDToken
	}
	if len(who.Grants) == 0 {
		return who, &Refusal{Status: http.StatusForbidden, Kind: "role_missing",
			Detail: who.Name + " has signed in, but has no role in Headway. Ask an administrator for a group that gives one."}
	}
	return who, nil
}

// localPath returns a path of this server to go to; "/" if the text is something else. Browsers take // and /\ for another host.
func localPath(text string) string {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxReturn || !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") || strings.Contains(text, `\`) ||
		u.Host != "" || u.Scheme != "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "/"
	}
	return text
}
