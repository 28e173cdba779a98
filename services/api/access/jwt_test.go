package access

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/headwayhq/headway/services/api/access/accesstest"
)

// accepting checks tokens of issuers, whose keys it has read.
func accepting(t *testing.T, claims Claims, issuers ...*accesstest.Issuer) *tokens {
	t.Helper()
	j := JWTs{Audience: []string{accesstest.Audience, "other"}, Leeway: 10 * time.Second}
	for _, i := range issuers {
		j.Issuers = append(j.Issuers, i.URL)
	}
	if claims.Groups == "" {
		claims.Groups, claims.Prefix = "groups", "headway:"
	}
	tokens := newTokens(j, claims, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	tokens.run(ctx)
	return tokens
}

// ready waits until the keys of all issuers are known.
func ready(t *testing.T, of *tokens) *tokens {
	t.Helper()
	for _, i := range of.issuers {
		eventually(t, 15*time.Second, "the keys are known", func() string {
			if i.keys.Load() == nil {
				return i.url
			}
			return ""
		})
	}
	return of
}

func TestTokens(t *testing.T) {
	a, b := accesstest.New(t), accesstest.New(t)
	tokens := ready(t, accepting(t, Claims{}, a, b))
	now := time.Now()
	p, no := tokens.find(a.Token(nil), now)
	if no != nil || p.Kind != "jwt" || p.ID != "00u1" || p.Name != "ada@example.com" || p.May(Read) != nil || p.May(Send) == nil || !slices.Equal(p.Namespaces, Namespaces{"team-a"}) || p.Expires.IsZero() {
		t.Fatalf("%v: %+v", no, p)
	}
	stranger := accesstest.NewKey(t, a.Key().ID) // the key of an attacker, with the same id
	signed := func(method jwt.SigningMethod, key any, header map[string]any) string {
		token := jwt.NewWithClaims(method, jwt.MapClaims(a.Claims(nil)))
		token.Header["kid"] = a.Key().ID
		maps.Copy(token.Header, header)
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	public, err := x509.MarshalPKIXPublicKey(&a.Key().Private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	with := func(name string, value any) string { return a.Token(map[string]any{name: value}) }
	ago := func(d time.Duration) int64 { return now.Add(-d).Unix() }
	for name, c := range map[string]struct{ token, kind string }{
		"another issuer of ours":    {b.Token(nil), ""},
		"one of several audiences":  {with("aud", []string{"x", "other"}), ""},
		"expired within the leeway": {with("exp", ago(5*time.Second)), ""},
		"issued by a fast clock":    {with("iat", ago(-5*time.Second)), ""},
		"no issue time":             {with("iat", nil), ""},

		"expired":                    {with("exp", ago(11*time.Second)), "credential_expired"},
		"no expiry":                  {with("exp", nil), "credential_invalid"},
		"another audience":           {with("aud", "billing"), "credential_invalid"},
		"no audience":                {with("aud", nil), "credential_invalid"},
		"not valid yet":              {with("nbf", ago(-time.Minute)), "credential_invalid"},
		"issued in the future":       {with("iat", ago(-time.Minute)), "credential_invalid"},
		"an issuer that isn't ours":  {with("iss", "https://evil.example"), "credential_invalid"},
		"no issuer":                  {with("iss", nil), "credential_invalid"},
		"nobody's":                   {with("sub", nil), "credential_invalid"},
		"the issuer of another key":  {with("iss", b.URL), "credential_invalid, access_unavailable"}, // the keys aren't read for each
		"a stranger's key":           {signed(jwt.SigningMethodES256, stranger.Private, nil), "credential_invalid"},
		"a key that it brings":       {signed(jwt.SigningMethodES256, stranger.Private, map[string]any{"jwk": stranger.JWK()}), "credential_invalid"},
		"a key that it points to":    {signed(jwt.SigningMethodES256, stranger.Private, map[string]any{"jku": b.URL + "/keys", "x5u": b.URL + "/keys"}), "credential_invalid"},
		"no signature":               {signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil), "credential_invalid"},
		"the public key as a secret": {signed(jwt.SigningMethodHS256, public, nil), "credential_invalid"},
		"another algorithm":          {signed(jwt.SigningMethodES256, a.Key().Private, map[string]any{"alg": "ES384"}), "credential_invalid"},
		"a critical header":          {signed(jwt.SigningMethodES256, a.Key().Private, map[string]any{"crit": []string{"x"}}), "credential_invalid"},
		"too long":                   {with("x", strings.Repeat("x", maxToken)), "credential_invalid"},
		"garbage":                    {"ey.ey.ey", "credential_invalid"},
	} {
		for range 2 { // a refused token isn't remembered as a valid one
			if _, no := tokens.find(c.token, now); (no == nil) != (c.kind == "") || !strings.Contains(c.kind, kindOf(no)) {
				t.Errorf("%s: %v, want %q", name, no, c.kind)
			}
		}
	}
	tokens.leeway = 0
	if _, no := tokens.find(a.Token(nil)[:50], now); kindOf(no) != "credential_invalid" {
		t.Error(no)
	}
}

// A token that was seen before costs no signature, and is verified again after a while. What is remembered is bounded.
func TestTokensAreRemembered(t *testing.T) {
	issuer := accesstest.New(t)
	tokens := ready(t, accepting(t, Claims{}, issuer))
	now, text := time.Now(), issuer.Token(nil)
	p, no := tokens.find(text, now)
	if no != nil {
		t.Fatal(no)
	}
	keys := tokens.issuers[issuer.URL].keys.Swap(nil) // nothing can be verified from now on
	if again, no := tokens.find(text, now.Add(verifiedFor-time.Second)); again != p {
		t.Errorf("verified again: %v", no)
	}
	if again, no := tokens.find(text, now.Add(verifiedFor)); again != p {
		t.Errorf("a known token doesn't go on without keys: %v", no)
	}
	if _, no := tokens.find(text, p.Expires.Add(time.Minute)); kindOf(no) != "credential_expired" {
		t.Errorf("without keys it never expires: %v", no)
	}
	if _, no := tokens.find(issuer.Token(map[string]any{"sub": "other"}), now); kindOf(no) != "access_unavailable" {
		t.Errorf("an unknown token without keys: %v", no)
	}
	tokens.issuers[issuer.URL].keys.Store(keys)
	for n := range maxTokens {
		tokens.seen[sha256.Sum256(fmt.Append(nil, n))] = verified{p, now}
	}
	if _, no := tokens.find(issuer.Token(map[string]any{"sub": "another"}), now); no != nil || len(tokens.seen) > maxTokens+1 {
		t.Errorf("%v, %d are remembered", no, len(tokens.seen))
	}
}

// Keys are rotated without a restart. While an issuer can't be reached, known keys go on, and nothing is ever open.
func TestKeysOfIssuers(t *testing.T) {
	issuer := accesstest.New(t)
	issuer.Down(true)
	tokens := accepting(t, Claims{}, issuer)
	text := issuer.Token(nil)
	if _, no := tokens.find(text, time.Now()); kindOf(no) != "access_unavailable" {
		t.Errorf("before its issuer was ever reached: %v", no)
	}
	issuer.Down(false)
	ready(t, tokens)
	if _, no := tokens.find(text, time.Now()); no != nil {
		t.Fatal(no)
	}
	issuer.Rotate()
	eventually(t, 15*time.Second, "a token of the new key is accepted", func() string {
		if _, no := tokens.find(issuer.Token(nil), time.Now()); no != nil {
			return no.Kind
		}
		return ""
	})
	if _, no := tokens.find(text, time.Now().Add(verifiedFor)); no == nil {
		t.Error("a token goes on although its key was withdrawn")
	}
	before := issuer.Reads()
	stranger := accesstest.NewKey(t, "unknown")
	for n := range 200 {
		stranger.ID = fmt.Sprint("unknown-", n)
		if _, no := tokens.find(stranger.Sign(t, issuer.Claims(nil), nil), time.Now()); no == nil {
			t.Fatal("a stranger's token is accepted")
		}
		if n > 3 && issuer.Reads() > before+2 {
			t.Fatalf("%d tokens of unknown keys made it read the keys %d times", n, issuer.Reads()-before)
		}
		if n == 4 {
			break // each may wait for its turn
		}
	}
	issuer.Down(true)
	if _, no := tokens.find(issuer.Token(map[string]any{"sub": "new"}), time.Now()); no != nil {
		t.Errorf("a new token of a known key: %v", no)
	}
	issuer.Rotate()
	if _, no := tokens.find(issuer.Token(nil), time.Now()); kindOf(no) != "access_unavailable" {
		t.Errorf("a key that can't be read: %v", no)
	}
}

// What a token allowed ends with it.
func TestStreamsEndWithTheirToken(t *testing.T) {
	issuer := accesstest.New(t)
	tokens := ready(t, accepting(t, Claims{}, issuer))
	tokens.leeway = 0
	p, no := tokens.find(issuer.Token(map[string]any{"exp": time.Now().Add(2 * time.Second).Unix()}), time.Now())
	if no != nil {
		t.Fatal(no)
	}
	during, done := p.During(t.Context())
	defer done()
	stays, doneStays := p.During(t.Context())
	doneStays()
	<-during.Done()
	if why := Ended(during); why == nil || why.Kind != "credential_expired" || time.Now().Before(p.Expires) {
		t.Errorf("%v at %v, expires %v", why, time.Now(), p.Expires)
	}
	if Ended(stays) != nil {
		t.Error("a stream that was over ended again")
	}
}

func TestClaims(t *testing.T) {
	groups := Claims{Groups: "groups", Prefix: "headway:", Given: []string{"platform=*:admin", "b0e1=team-b,team-c:writer"}}
	nested := Claims{Groups: "realm_access.roles", Prefix: "hw-"}
	apart := Claims{Groups: "groups", Namespaces: "https://example.com/teams", Roles: "role"}
	for name, c := range map[string]struct {
		claims Claims
		token  map[string]any
		want   string
	}{
		"none":          {groups, map[string]any{"groups": []any{"staff", "headway:", "headway:team-a", "headway:team-a:root", "headway:a b:reader", 7.0}}, ""},
		"one":           {groups, map[string]any{"groups": []any{"headway:team-a:reader"}}, "[team-a]=[reader]"},
		"several":       {groups, map[string]any{"groups": []any{"headway:team-a:reader", "headway:lab-*:writer"}}, "[team-a]=[reader] [lab-*]=[writer]"},
		"given":         {groups, map[string]any{"groups": []any{"platform", "b0e1"}}, "[*]=[admin] [team-b team-c]=[writer]"},
		"words":         {groups, map[string]any{"groups": "openid headway:team-a:reader"}, "[team-a]=[reader]"},
		"nested":        {nested, map[string]any{"realm_access": map[string]any{"roles": []any{"hw-team-a:operator"}}}, "[team-a]=[operator]"},
		"not nested":    {nested, map[string]any{"realm_access": "x"}, ""},
		"apart":         {apart, map[string]any{"https://example.com/teams": []any{"team-a", "team-b"}, "role": "reader unknown writer"}, "[team-a team-b]=[reader writer]"},
		"apart, part":   {apart, map[string]any{"https://example.com/teams": []any{"team-a"}}, ""},
		"no prefix set": {apart, map[string]any{"groups": []any{"team-a:reader"}}, ""},
	} {
		var got []string
		for _, g := range c.claims.grants(c.token) {
			got = append(got, fmt.Sprintf("%v=%v", g.Namespaces, g.Roles))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
	many := map[string]any{}
	var values []any
	for n := range 2 * maxGrants {
		values = append(values, fmt.Sprintf("headway:n%d:reader", n))
	}
	many["groups"] = values
	if got := len(groups.grants(many)); got != maxGrants {
		t.Errorf("%d grants", got)
	}
}

// A person who may read in one namespace and write in another may do neither where the other is allowed.
func TestGrants(t *testing.T) {
	p := newPrincipal(Person{Subject: "1", Name: "ada", Grants: []Grant{{[]Role{Reader}, Namespaces{"team-a"}}, {[]Role{Writer}, Namespaces{"team-b"}}}}.principal("jwt"))
	for a, want := range map[Action]string{Read: "[team-a]", Send: "[team-b]", Known: "[team-a team-b]"} {
		if got := fmt.Sprint(p.For(a).Namespaces); got != want || p.May(a) != nil {
			t.Errorf("%v in %s, want %s", a, got, want)
		}
	}
	if no := p.May(Manage); no == nil || !strings.Contains(no.Detail, "ada has the role reader and writer") {
		t.Errorf("%v", no)
	}
	none := newPrincipal(Person{Subject: "1", Name: "bob"}.principal("jwt"))
	if no := none.May(Known); no == nil || !strings.Contains(no.Detail, "bob has no role") {
		t.Errorf("%v", no)
	}
}

func TestFlagsOfTokens(t *testing.T) {
	const https = "https://idp.example"
	ok := JWTs{Issuers: []string{https}, Audience: []string{"headway"}}
	for _, c := range []struct {
		flags Flags
		fault string
	}{
		{Flags{Access: "keys", JWT: ok}, ""},
		{Flags{Access: "keys", JWT: JWTs{Issuers: []string{"http://localhost:5556/dex"}, Audience: []string{"x"}}}, ""},
		{Flags{Access: "none", JWT: ok}, "--access keys"},
		{Flags{Access: "keys", JWT: JWTs{Issuers: []string{https}}}, "--jwt-audience"},
		{Flags{Access: "keys", JWT: JWTs{Issuers: []string{"http://idp.example"}, Audience: []string{"x"}}}, "--jwt-issuer"},
		{Flags{Access: "keys", JWT: JWTs{Issuers: ok.Issuers, Audience: ok.Audience, Leeway: time.Minute}}, "--jwt-leeway"},
		{Flags{Access: "keys", JWT: JWTs{Issuers: ok.Issuers, Audience: ok.Audience, JWKS: map[string]string{"https://x": https}}}, "--jwt-jwks"},
		{Flags{Access: "keys", JWT: ok, Claims: Claims{Given: []string{"platform:admin"}}}, "--grant"},
		{Flags{Access: "keys", JWT: ok, Claims: Claims{Given: []string{"platform=*:root"}}}, "--grant"},
		{Flags{Access: "keys", JWT: ok, Claims: Claims{Roles: "role"}}, "--claim-namespaces"},
		{Flags{Access: "keys", OIDC: OIDC{Issuer: https}}, "--oidc-client-id"},
		{Flags{Access: "keys", OIDC: OIDC{Issuer: https, ClientID: "x"}}, "--public-url"},
		{Flags{Access: "keys", OIDC: OIDC{Issuer: https, ClientID: "x", PublicURL: "https://headway.example/?x"}}, "--public-url"},
		{Flags{Access: "keys", OIDC: OIDC{Issuer: https, ClientID: "x", PublicURL: "https://headway.example", SecretFile: "/nowhere"}}, "--oidc-client-secret-file"},
		{Flags{Access: "none", OIDC: OIDC{Issuer: https, ClientID: "x", PublicURL: "https://headway.example"}}, "--access keys"},
	} {
		err := c.flags.Check("127.0.0.1:0")
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%+v: %v, want %s", c.flags, err, c.fault)
		}
	}
}

func TestLocalPaths(t *testing.T) {
	for text, want := range map[string]string{
		"/": "/", "/batches/b1?namespace=team-a": "/batches/b1?namespace=team-a", "": "/", "batches": "/", "//evil.example": "/", "/\\evil.example": "/", "https://evil.example/": "/",
		"/\t/evil.example": "/", "/%0d%0aSet-Cookie:x": "/%0d%0aSet-Cookie:x", "/" + strings.Repeat("x", maxReturn): "/", "javascript:alert(1)": "/", "/a b": "/",
	} {
		if got := localPath(text); got != want {
			t.Errorf("%q leads to %q, want %q", text, got, want)
		}
	}
}
