package api

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oauth2-proxy/mockoidc"

	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
)

// browser keeps cookies, and follows redirects until the address of the page that it was sent to.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar, Transport: &http.Transport{}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// signingIn is a Headway at which people sign in at a provider.
func signingIn(t *testing.T, change func(*access.OIDC)) (k *keyed, base string) {
	t.Helper()
	k = newKeyed(t, nil)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { k.svc.Handler().ServeHTTP(w, r) }))
	server.Start()
	t.Cleanup(server.Close)
	flags := k.flags
	flags.OIDC = access.OIDC{PublicURL: server.URL, Name: "Company SSO", Scopes: []string{"openid", "profile", "email", "groups"}}
	change(&flags.OIDC)
	k.svc.provider = access.NewProvider(flags, k.svc.log)
	return k, server.URL
}

func fetched(t *testing.T, c *http.Client, address string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// Somebody signs in at a real provider, with PKCE, comes back to the page where it began, and may do what the groups say.
func TestSignInAtProvider(t *testing.T) {
	provider, err := mockoidc.Run()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Shutdown() })
	k, base := signingIn(t, func(o *access.OIDC) {
		o.Issuer, o.ClientID = provider.Issuer(), provider.Config().ClientID
		o.SecretFile = secretFile(t, provider.Config().ClientSecret)
	})
	k.shelf.say(t, push.Key{Namespace: "team-a", Name: "b1"}, "batch", `{"status":"PROCESSING"}`)
	if r := k.status(k.get("/v1/session/providers"), 200); !strings.Contains(r.Body.String(), `{"name":"Company SSO","login_url":"/v1/session/oidc/login"}`) {
		t.Errorf("%s", r.Body)
	}
	provider.QueueUser(&mockoidc.MockUser{Subject: "00u1", Email: "ada@example.com", Groups: []string{"staff", "headway:team-a:reader", "headway:lab-*:writer"}})
	c := browser(t)
	page, _ := fetched(t, c, base+access.LoginPath+"?return="+neturl.QueryEscape("/batches/b1?namespace=team-a"))
	if got := page.Request.URL.RequestURI(); got != "/batches/b1?namespace=team-a" || page.StatusCode != http.StatusOK {
		t.Fatalf("%d at %s", page.StatusCode, got)
	}
	me, text := fetched(t, c, base+"/v1/me", ownPage...)
	var who Me
	if err := json.Unmarshal([]byte(text), &who); err != nil || me.StatusCode != 200 || who.Access != "session" || who.ID != "00u1" || who.Name != "ada@example.com" || len(who.Grants) != 2 || who.Expires == nil {
		t.Fatalf("%d %s", me.StatusCode, text)
	}
	for path, want := range map[string]int{"/v1/batches?namespace=team-a": 200, "/v1/batches?namespace=lab-1": 404, "/v1/batches?namespace=team-b": 404, "/v1/keys": 403} {
		if r, text := fetched(t, c, base+path, ownPage...); r.StatusCode != want {
			t.Errorf("%s: %d %s", path, r.StatusCode, text)
		}
	}
	for _, cookie := range c.Jar.Cookies(page.Request.URL) {
		if strings.Contains(cookie.Name, "login") {
			t.Errorf("left over: %s", cookie.Name)
		}
	}

	// Who has no role here isn't signed in, and is told why.
	provider.QueueUser(&mockoidc.MockUser{Subject: "00u2", Email: "bob@example.com", Groups: []string{"staff"}})
	bob := browser(t)
	if r, text := fetched(t, bob, base+access.LoginPath, "Accept", "text/html"); r.StatusCode != http.StatusForbidden || !strings.Contains(text, "bob@example.com has signed in, but has no role") {
		t.Errorf("%d %s", r.StatusCode, text)
	}
	if r, _ := fetched(t, bob, base+"/v1/me", ownPage...); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("signed in without a role: %d", r.StatusCode)
	}
}

func secretFile(t *testing.T, secret string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// stopped is a browser that stays where it is sent first, with what it is sent back with.
func stopped(t *testing.T, base string) (c *http.Client, to *neturl.URL) {
	t.Helper()
	c = browser(t)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, text := fetched(t, c, base+access.LoginPath+"?return=//evil.example")
	to, err := r.Location()
	if err != nil || r.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d %s", r.StatusCode, text)
	}
	return c, to
}

// What is stolen, used twice, or said for somebody else signs nobody in.
func TestSignInIsRefused(t *testing.T) {
	k, base := signingIn(t, func(*access.OIDC) {})
	k.svc.provider = access.NewProvider(withOIDC(k, base), k.svc.log)
	back := func(state, code string) string {
		return base + access.CallbackPath + "?" + neturl.Values{"state": {state}, "code": {code}}.Encode()
	}
	nonce := ""
	claims := func(more map[string]any) {
		k.issuer.Answers(func(string) map[string]any {
			all := map[string]any{"aud": "client", "nonce": nonce}
			for name, v := range more {
				all[name] = v
			}
			return all
		})
	}
	begin := func() (c *http.Client, state string) {
		c, to := stopped(t, base)
		nonce = to.Query().Get("nonce")
		if to.Query().Get("code_challenge_method") != "S256" || to.Query().Get("redirect_uri") != base+access.CallbackPath {
			t.Fatalf("sent to %s", to)
		}
		return c, to.Query().Get("state")
	}
	refused := func(what string, c *http.Client, address string, status int) {
		t.Helper()
		if r, text := fetched(t, c, address); r.StatusCode != status || strings.Contains(strings.Join(r.Header.Values("Set-Cookie"), " "), "headway_session=") {
			t.Errorf("%s: %d %s %v", what, r.StatusCode, text, r.Header.Values("Set-Cookie"))
		}
	}
	claims(nil)
	_, state := begin()
	refused("stolen", browser(t), back(state, "1"), 400)
	other, _ := begin()
	refused("of another sign-in", other, back(state, "1"), 400)
	refused("without state", other, back("", "1"), 400)
	c, state := begin()
	r, text := fetched(t, c, back(state, "1"))
	if to, err := r.Location(); r.StatusCode != http.StatusSeeOther || err != nil || to.String() != base+"/" {
		t.Fatalf("%d %s %v", r.StatusCode, text, to)
	}
	if r, text := fetched(t, c, base+"/v1/me", ownPage...); r.StatusCode != 200 {
		t.Errorf("%d %s", r.StatusCode, text)
	}
	refused("used twice", c, back(state, "1"), 400)
	for what, more := range map[string]map[string]any{
		"another nonce": {"nonce": "x"}, "no nonce": {"nonce": nil}, "another audience": {"aud": "x"}, "expired": {"exp": time.Now().Add(-time.Minute).Unix()},
		"another issuer": {"iss": "https://evil.example"}, "no role": {"groups": nil},
	} {
		c, state := begin()
		claims(more)
		refused(what, c, back(state, "1"), 403)
	}
	c, state = begin()
	refused("refused by the provider", c, back(state, "")+"&error=access_denied", 403)
	c, state = begin()
	claims(nil)
	k.issuer.Rotate() // the provider's keys are read again
	if r, text := fetched(t, c, back(state, "1")); r.StatusCode != http.StatusSeeOther {
		t.Errorf("after a rotation: %d %s", r.StatusCode, text)
	}
	c, state = begin()
	k.issuer.Down(true)
	refused("the provider is down", c, back(state, "1"), 503)
}

func withOIDC(k *keyed, base string) access.Flags {
	flags := k.flags
	flags.OIDC = access.OIDC{Issuer: k.issuer.URL, ClientID: "client", PublicURL: base, Scopes: []string{"openid"}}
	return flags
}

// While the provider can't be reached, keys still work, and the page says so. It needs no restart afterwards.
func TestProviderIsDown(t *testing.T) {
	k, base := signingIn(t, func(*access.OIDC) {})
	k.svc.provider = access.NewProvider(withOIDC(k, base), k.svc.log)
	k.issuer.Down(true)
	key := k.key(access.Wanted{Name: "x", Namespaces: []string{"team-a"}, Roles: []string{"reader"}}, "reader")
	if kind := k.problem(k.status(k.get(access.LoginPath), 503)); kind != "provider_unavailable" {
		t.Error(kind)
	}
	if r, text := fetched(t, browser(t), base+access.LoginPath, "Accept", "text/html"); r.StatusCode != 503 || !strings.Contains(text, "sign in with a key") {
		t.Errorf("%d %s", r.StatusCode, text)
	}
	k.status(k.get("/v1/me", k.signedIn(key)...), 200)
	k.issuer.Down(false)
	eventually(t, "the provider is reached", func() string {
		if r := k.get(access.LoginPath); r.Code != http.StatusSeeOther {
			return r.Body.String()
		}
		return ""
	})
}

// A token's namespaces are those of each of its roles, and its streams end with it.
func TestTokensOverHTTP(t *testing.T) {
	k := newKeyed(t, nil)
	base, _ := k.listen()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	for _, ns := range []string{"team-a", "team-b"} {
		k.shelf.say(t, push.Key{Namespace: ns, Name: "b1"}, "batch", `{"status":"PROCESSING"}`)
	}
	token := k.issuer.Token(map[string]any{"groups": []string{"headway:team-a:reader", "headway:team-b:writer"}})
	with := func(ns string) []string { return append(as(token), "X-Namespace", ns) }
	k.status(k.get("/v1/batches", with("team-a")...), 200)
	event := string(eventJSON("1", "b1", "batch", `{"status":"PROCESSING"}`, time.Now()))
	k.status(k.do(http.MethodPost, "/v1/events", strings.NewReader(event), append(with("team-b"), "Content-Type", structuredType)...), 202)
	k.status(k.do(http.MethodPost, "/v1/events", strings.NewReader(event), append(with("team-a"), "Content-Type", structuredType)...), 404)
	if why := alike(k.get("/v1/batches", with("team-b")...), k.get("/v1/batches", with("team-c")...)); why != "" {
		t.Errorf("where one may write, and what doesn't exist: %s", why)
	}
	if r := k.status(k.get("/v1/namespaces", as(token)...), 200); strings.Contains(r.Body.String(), "team-b") {
		t.Errorf("%s", r.Body)
	}
	short := k.issuer.Token(map[string]any{"exp": time.Now().Add(2 * time.Second).Unix()})
	begun := time.Now()
	e := open(t, c, base+"/v1/batches/stream", as(short)...)
	e.want("snapshot", `"b1"`)
	e.want("problem", `"credential_expired"`)
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("ended after %v", took)
	}
	if r := k.status(k.get("/v1/me?access_token="+token), 401); k.problem(r) != "credential_in_url" {
		t.Errorf("%s", r.Body)
	}
	ticket := k.status(k.do(http.MethodPost, "/v1/stream-tickets", strings.NewReader(`{"path":"/v1/batches/stream"}`), with("team-a")...), 201)
	var made Ticket
	if err := json.Unmarshal(ticket.Body.Bytes(), &made); err != nil {
		t.Fatal(err)
	}
	opened := open(t, c, base+"/v1/batches/stream?ticket="+made.Ticket)
	opened.want("snapshot", `"b1"`)
}
