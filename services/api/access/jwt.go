package access

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

// JWTs are the tokens of identity providers that are accepted.
type JWTs struct {
	Issuers  []string          `name:"jwt-issuer" placeholder:"URL" help:"An identity provider whose tokens (JWT) are accepted as credentials; may be repeated." env:"HEADWAY_JWT_ISSUER"`
	Audience []string          `name:"jwt-audience" placeholder:"NAME" help:"For whom tokens have to be issued: one of these. Required with --jwt-issuer." env:"HEADWAY_JWT_AUDIENCE"`
	JWKS     map[string]string `name:"jwt-jwks" placeholder:"ISSUER=URL" help:"Where the keys of an issuer are that has no /.well-known/openid-configuration." env:"HEADWAY_JWT_JWKS"`
	Leeway   time.Duration     `name:"jwt-leeway" help:"How far clocks may differ, up to 30s." default:"10s" env:"HEADWAY_JWT_LEEWAY"`
}

const (
	maxLeeway    = 30 * time.Second
	maxToken     = 16 << 10
	maxTokens    = 10_000           // that are remembered
	verifiedFor  = 5 * time.Minute  // how long a token isn't verified again: one whose key its issuer has withdrawn is refused then
	keysEvery    = 5 * time.Minute  // how often the keys of an issuer are read
	unknownEvery = 10 * time.Second // how often at most because of a key that isn't known
	issuerWithin = 3 * time.Second  // for an issuer to answer
	maxDocument  = 1 << 20
)

// asymmetric are the algorithms that are accepted: who can check a token must not be able to make one.
var asymmetric = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

func (j JWTs) check() error {
	if len(j.Issuers) > 0 && len(j.Audience) == 0 {
		return errors.New("--jwt-audience: must be given with --jwt-issuer, or tokens that were issued for other services would be accepted")
	}
	if j.Leeway < 0 || j.Leeway > maxLeeway {
		return fmt.Errorf("--jwt-leeway: must be at most %v", maxLeeway)
	}
	for _, name := range j.Issuers {
		if err := checkURL("--jwt-issuer", name); err != nil {
			return err
		}
	}
	for name, keys := range j.JWKS {
		if err := checkURL("--jwt-jwks", keys); err != nil {
			return err
		}
		if !slices.Contains(j.Issuers, name) {
			return errors.New("--jwt-jwks: must name an issuer of --jwt-issuer")
		}
	}
	return nil
}

// checkURL finds what can't be the address of a provider. Keys over plain HTTP could be replaced on their way.
func checkURL(flag, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return errors.New(flag + ": must be an https URL, or an http one on loopback")
	}
	return nil
}

// tokens checks the tokens of identity providers.
type tokens struct {
	issuers map[string]*issuer
	parser  *jwt.Parser
	claims  Claims
	leeway  time.Duration

	mu   sync.Mutex
	seen map[[sha256.Size]byte]verified
}

// verified is a token that was found valid.
type verified struct {
	principal *Principal
	until     time.Time // then it is verified again
}

func newTokens(j JWTs, claims Claims, log *slog.Logger) *tokens {
	if len(j.Issuers) == 0 {
		return nil
	}
	t := &tokens{issuers: map[string]*issuer{}, claims: claims, leeway: j.Leeway, seen: map[[sha256.Size]byte]verified{}}
	t.parser = jwt.NewParser(jwt.WithValidMethods(asymmetric), jwt.WithAudience(j.Audience...), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(j.Leeway))
	for _, name := range j.Issuers {
		t.issuers[name] = &issuer{url: name, jwks: j.JWKS[name], log: log}
	}
	return t
}

// run reads the keys of the issuers until ctx ends.
func (t *tokens) run(ctx context.Context) {
	if t == nil {
		return
	}
	for _, i := range t.issuers {
		go i.run(ctx)
	}
}

// isToken reports whether a credential looks like a JWT.
func isToken(text string) bool { return strings.HasPrefix(text, "ey") && strings.Count(text, ".") == 2 }

// find returns whose token this is. A token that was seen before costs a hash.
func (t *tokens) find(text string, now time.Time) (*Principal, *Refusal) {
	if len(text) > maxToken {
		return nil, errInvalid
	}
	hash := sha256.Sum256([]byte(text))
	t.mu.Lock()
	known := t.seen[hash]
	t.mu.Unlock()
	if p := known.principal; p != nil {
		if !now.Before(p.ends) {
			return nil, expired(p.Expires)
		}
		if now.Before(known.until) {
			return p, nil
		}
	}
	p, no := t.verify(text)
	t.mu.Lock()
	defer t.mu.Unlock()
	if no != nil {
		if no == errNoIssuer && known.principal != nil {
			return known.principal, nil // its issuer can't be reached: known tokens go on until they expire
		}
		delete(t.seen, hash)
		return nil, no
	}
	if known.principal != nil {
		p = known.principal
	} else if len(t.seen) >= maxTokens {
		for some := range t.seen {
			delete(t.seen, some)
			break
		}
	}
	t.seen[hash] = verified{p, now.Add(verifiedFor)}
	return p, nil
}

// verify checks the signature and the claims of a token.
func (t *tokens) verify(text string) (*Principal, *Refusal) {
	claims := jwt.MapClaims{}
	_, err := t.parser.ParseWithClaims(text, claims, t.key)
	expires, _ := claims.GetExpirationTime()
	switch {
	case err == nil:
	case errors.Is(err, errNoKeys):
		return nil, errNoIssuer
	case errors.Is(err, errTooSoon):
		return nil, errNewKey
	case errors.Is(err, jwt.ErrTokenUnverifiable), errors.Is(err, jwt.ErrTokenMalformed), errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return nil, errInvalid
	case errors.Is(err, jwt.ErrTokenExpired) && expires != nil: // its signature is valid
		return nil, expired(expires.Time)
	default:
		return nil, &Refusal{Status: http.StatusUnauthorized, Kind: "credential_invalid", Detail: "This token isn't accepted: " + claimFault(err) + "."}
	}
	who := t.claims.personOf(claims)
	if who.Subject == "" {
		return nil, &Refusal{Status: http.StatusUnauthorized, Kind: "credential_invalid", Detail: "This token isn't accepted: it has no sub, so it doesn't say whose it is."}
	}
	p := newPrincipal(who.principal("jwt"))
	p.person = &who
	p.Expires = expires.UTC().Truncate(time.Second)
	p.ends = expires.Add(t.leeway)
	return p, nil
}

// claimFault says what is wrong with the claims of a token whose signature is valid.
func claimFault(err error) string {
	switch {
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return "it was issued for another audience"
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return "it isn't valid yet. Perhaps a clock is wrong"
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return "it has no exp, or no aud"
	}
	return "its claims are wrong"
}

var (
	errNoKeys   = errors.New("access: the keys of the issuer can't be read")
	errTooSoon  = errors.New("access: the keys of the issuer were read moments ago")
	errIssuer   = errors.New("access: another issuer")
	errCritical = errors.New("access: a critical header that isn't understood")
)

// key is the one with which a token has to be signed: a key of its issuer, which is therefore the one that it names. Keys that a token
// itself brings or points to (jwk, jku, x5c, x5u) don't count.
func (t *tokens) key(token *jwt.Token) (any, error) {
	if token.Header["crit"] != nil {
		return nil, errCritical
	}
	name, _ := token.Claims.GetIssuer()
	i := t.issuers[name]
	if i == nil {
		return nil, errIssuer
	}
	keys := i.keys.Load()
	if keys == nil {
		return nil, errNoKeys
	}
	known := i.knows(token.Header["kid"])
	key, err := (*keys).Keyfunc(token) // which reads the keys again, though not often, if it doesn't know this one
	switch {
	case err == nil || known:
	case i.failing.Load():
		return nil, errors.Join(errNoKeys, err)
	case !errors.Is(err, jwkset.ErrKeyNotFound): // they were read moments ago
		return nil, errors.Join(errTooSoon, err)
	}
	return key, err
}

// knows reports whether the key of a token is known. One that names none is tried with all that are known.
func (i *issuer) knows(kid any) bool {
	all, err := (*i.keys.Load()).Storage().KeyReadAll(context.Background())
	if err != nil || kid == nil {
		return kid == nil
	}
	return slices.ContainsFunc(all, func(k jwkset.JWK) bool { return k.Marshal().KID == kid })
}

// issuer is an identity provider whose keys are read.
type issuer struct {
	url, jwks string
	log       *slog.Logger
	keys      atomic.Pointer[keyfunc.Keyfunc]
	failing   atomic.Bool // the last attempt to read the keys failed
}

// run finds out where the keys are, and reads them from then on.
func (i *issuer) run(ctx context.Context) {
	for wait := time.Second; ; wait = min(2*wait, unknownEvery) {
		err := i.open(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		i.log.Warn("reading keys of issuer failed", "issuer", i.url, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (i *issuer) open(ctx context.Context) error {
	where := i.jwks
	if where == "" {
		var err error
		if where, err = discover(ctx, i.url); err != nil {
			return err
		}
	}
	attempt, stop := context.WithCancel(ctx)
	keys, err := keyfunc.NewDefaultOverrideCtx(attempt, []string{where}, keyfunc.Override{
		Client: &http.Client{Timeout: issuerWithin, Transport: limited{&i.failing}}, HTTPTimeout: issuerWithin, RateLimitWaitMax: issuerWithin,
		RefreshInterval: keysEvery, RefreshUnknownKID: rate.NewLimiter(rate.Every(unknownEvery), 1), NoErrorReturnFirstHTTPReq: new(bool),
		RefreshErrorHandlerFunc: func(string) func(context.Context, error) {
			return func(_ context.Context, err error) {
				i.failing.Store(true)
				i.log.Warn("reading keys of issuer failed", "issuer", i.url, "error", err)
			}
		},
	})
	if err != nil {
		stop() // or it would go on trying
		return fmt.Errorf("access: keys of issuer: %w", err)
	}
	context.AfterFunc(ctx, stop)
	i.keys.Store(&keys)
	return nil
}

// limited reads no endless documents, and notes that an issuer answers.
type limited struct{ failing *atomic.Bool }

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	l.failing.Store(resp.StatusCode != http.StatusOK)
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxDocument), resp.Body}
	return resp, nil
}

// discover asks an issuer where its keys are.
func discover(ctx context.Context, from string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, issuerWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(from, "/")+"/.well-known/openid-configuration", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", fmt.Errorf("access: issuer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	var found struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxDocument)).Decode(&found); err != nil || resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("access: issuer answered %d", resp.StatusCode)
	}
	if found.Issuer != from {
		return "", fmt.Errorf("access: issuer calls itself %q", shorten(found.Issuer))
	}
	return found.JWKS, checkURL("jwks_uri", found.JWKS)
}
