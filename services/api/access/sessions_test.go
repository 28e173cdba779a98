package access

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

// withCookie is a request of the dashboard with the cookie of a session.
func withCookie(text string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/v1/me", nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.AddCookie(&http.Cookie{Name: cookieName, Value: text})
	return r
}

// session waits until the answer to a session is of a kind; "": it is accepted.
func session(t *testing.T, k *Keys, text, kind string) (p *Principal) {
	t.Helper()
	eventually(t, 15*time.Second, "the answer to the session is "+kind, func() string {
		var no *Refusal
		p, no = k.Authenticate(withCookie(text))
		if got := kindOf(no); got != kind {
			return "it is " + got
		}
		return ""
	})
	return p
}

func signIn(t *testing.T, k *Keys, key string) (*Principal, string) {
	t.Helper()
	holder, no := k.Holder(key)
	if no != nil {
		t.Fatal(no)
	}
	p, text, err := k.SignIn(t.Context(), holder)
	if err != nil {
		t.Fatal(err)
	}
	return p, text
}

// A session works in every process, stores no secret, and ends in all of them when it is signed out or its key is revoked.
func TestSessionsOfTwoProcesses(t *testing.T) {
	server := headwaytest.NATS(t)
	a, b := follow(t, server), follow(t, server)
	made, key, err := a.Create(t.Context(), Everybody(), wanted("team-a", "reader"))
	if err != nil {
		t.Fatal(err)
	}
	says(t, b, key, "")
	p, text := signIn(t, a, key)
	if p.Kind != "session" || p.ID != made.ID || p.Session() == "" || p.May(Read) != nil || p.May(Manage) == nil || p.Expires.IsZero() {
		t.Fatalf("%+v", p)
	}
	if again, no := a.Authenticate(withCookie(text)); no != nil || again != p {
		t.Fatalf("not accepted at once where it was made: %v", no)
	}
	kv, err := a.bucket(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stored, err := kv.Get(t.Context(), sessionsUnder+p.Session())
	if err != nil || strings.Contains(string(stored.Value()), text[len(text)-secretSize:]) {
		t.Fatalf("%v: %s", err, stored.Value())
	}
	during, done := session(t, b, text, "").During(t.Context())
	defer done()
	begun := time.Now()
	if by, err := a.SignOut(t.Context(), withCookie(text)); err != nil || by.ID != made.ID {
		t.Fatal(by, err)
	}
	if _, no := a.Authenticate(withCookie(text)); no == nil {
		t.Error("accepted after it was signed out")
	}
	<-during.Done()
	session(t, b, text, "credential_invalid")
	if took := time.Since(begun); took > 5*time.Second || Ended(during).Kind != "credential_ended" {
		t.Errorf("after %v: %v", took, Ended(during))
	}
	if by, err := a.SignOut(t.Context(), withCookie(text)); by != nil || err != nil {
		t.Errorf("signed out twice: %v, %v", by, err)
	}

	_, first := signIn(t, a, key)
	_, second := signIn(t, a, key)
	during, done = session(t, b, second, "").During(t.Context())
	defer done()
	if _, err := a.Revoke(t.Context(), Everybody(), made.ID); err != nil {
		t.Fatal(err)
	}
	<-during.Done()
	session(t, b, first, "credential_ended")
	session(t, a, second, "credential_ended")
}

// A session that began before a process or its NATS was started again goes on.
func TestSessionsSurviveARestart(t *testing.T) {
	server := headwaytest.NATS(t)
	k := follow(t, server)
	_, key, err := k.Create(t.Context(), Everybody(), wanted("team-a", "reader"))
	if err != nil {
		t.Fatal(err)
	}
	p, text := signIn(t, k, key)
	_, ended := signIn(t, k, key)
	if _, err := k.SignOut(t.Context(), withCookie(ended)); err != nil {
		t.Fatal(err)
	}
	server.Shutdown()
	if _, no := k.Authenticate(withCookie(text)); no != nil {
		t.Errorf("while NATS can't be reached: %v", no)
	}
	if _, no := k.sessionOf(withCookie(text), time.Now().Add(knownFor+time.Second)); no != errUnsure {
		t.Errorf("after %v: %v", knownFor, no)
	}
	server.Restart()
	later := follow(t, server)
	if again := session(t, later, text, ""); again.Session() != p.Session() {
		t.Errorf("%+v", again)
	}
	session(t, later, ended, "credential_invalid")
	session(t, k, ended, "credential_invalid")
	session(t, k, text, "")
}

// Sessions end when they aren't used; a request or an open stream is a use. They end at the latest when they have to.
func TestSessionsEnd(t *testing.T) {
	server := headwaytest.NATS(t)
	short := Flags{Sessions: Lifetimes{Idle: 4 * time.Second, Absolute: time.Hour}}
	k, other := followFor(t, server, short), followFor(t, server, short)
	_, key, err := k.Create(t.Context(), Everybody(), wanted("team-a", "reader"))
	if err != nil {
		t.Fatal(err)
	}
	_, unused := signIn(t, k, key)
	_, streamed := signIn(t, k, key)
	_, used := signIn(t, k, key)
	during, done := session(t, other, streamed, "").During(t.Context())
	defer done()
	for _, p := range []*Keys{k, other} {
		eventually(t, 30*time.Second, "what isn't used ends, and is forgotten", func() string {
			if _, no := k.Authenticate(withCookie(used)); no != nil {
				t.Fatalf("a session in use ended: %v", no)
			}
			if h, _ := p.sessionOf(withCookie(unused), time.Now()); h != nil {
				return "still there"
			}
			return ""
		})
	}
	if during.Err() != nil {
		t.Errorf("a stream is a use, but ended: %v", Ended(during))
	}
	session(t, k, streamed, "")
	h := newSession("x", Session{Created: time.Now(), Seen: time.Now(), Expires: time.Now().Add(time.Second).UTC()}, 1)
	if e := h.ends(time.Hour); !e.Equal(h.Expires) {
		t.Errorf("ends %v, latest %v", e, h.Expires)
	}
}

// A session that was signed out isn't stored again by a process that had noted a use of it.
func TestUseBringsNoSessionBack(t *testing.T) {
	k := follow(t, headwaytest.NATS(t))
	_, key, err := k.Create(t.Context(), Everybody(), wanted("team-a", "reader"))
	if err != nil {
		t.Fatal(err)
	}
	p, text := signIn(t, k, key)
	h := p.session
	if _, err := k.SignOut(t.Context(), withCookie(text)); err != nil {
		t.Fatal(err)
	}
	if _, err := k.store(t.Context(), h.id, h.Session, h.revision.Load()); err == nil {
		t.Error("stored again")
	}
	session(t, k, text, "credential_invalid")
}

// Who has too many sessions loses the one that was used least recently.
func TestTooManySessions(t *testing.T) {
	k := follow(t, headwaytest.NATS(t))
	_, key, err := k.Create(t.Context(), Everybody(), wanted("team-a", "reader"))
	if err != nil {
		t.Fatal(err)
	}
	_, first := signIn(t, k, key)
	h, _ := k.sessionOf(withCookie(first), time.Now())
	h.seen.Add(-60)
	for n := range maxSessions - 1 {
		k.sessions.held.Store(random(idLength, 9), newSession("x", Session{Key: h.Key, Seen: time.Now(), Expires: time.Now().Add(time.Duration(n+1) * time.Hour)}, 1))
	}
	_, second := signIn(t, k, key)
	session(t, k, first, "credential_invalid")
	session(t, k, second, "")
}

// A cookie counts for pages of this server only.
func TestWhoseCookieCounts(t *testing.T) {
	k := follow(t, headwaytest.NATS(t))
	_, key, err := k.Create(t.Context(), Everybody(), wanted("team-a", "reader"))
	if err != nil {
		t.Fatal(err)
	}
	_, text := signIn(t, k, key)
	for _, c := range []struct {
		method string
		header []string
		ok     bool
	}{
		{"GET", []string{"Sec-Fetch-Site", "same-origin"}, true},
		{"POST", []string{"Sec-Fetch-Site", "same-origin"}, true},
		{"GET", []string{"Sec-Fetch-Site", "none"}, true}, // an address that was typed
		{"GET", []string{"Sec-Fetch-Site", "same-site"}, false},
		{"GET", []string{"Sec-Fetch-Site", "cross-site"}, false},
		{"POST", []string{"Sec-Fetch-Site", "same-site", "Origin", "http://example.com"}, false},
		{"POST", []string{"Origin", "http://example.com"}, true},
		{"POST", []string{"Origin", "https://example.com"}, true}, // TLS ends at a proxy
		{"POST", []string{"Origin", "http://example.com:5173"}, false},
		{"GET", []string{"Origin", "https://evil.example"}, false},
		{"POST", []string{"Origin", "null"}, false},
		{"GET", nil, true}, // a browser over plain HTTP
		{"POST", nil, false},
		{"DELETE", nil, false},
	} {
		r := httptest.NewRequest(c.method, "http://example.com/v1/me", nil)
		r.AddCookie(&http.Cookie{Name: cookieName, Value: text})
		for i := 0; i < len(c.header); i += 2 {
			r.Header.Set(c.header[i], c.header[i+1])
		}
		if _, no := k.Authenticate(r); (no == nil) != c.ok {
			t.Errorf("%s %v: %v", c.method, c.header, no)
		}
		r.Header.Set("Authorization", "Bearer x")
		if _, no := k.Authenticate(r); no != errInvalid {
			t.Errorf("a header counts before a cookie: %v", no)
		}
	}
}

func TestCookies(t *testing.T) {
	for _, c := range []struct {
		tls    bool
		origin string
		secure bool
	}{{false, "", false}, {true, "", true}, {false, "http://example.com", false}, {false, "https://example.com", true}, {false, "https://headway.example", true}} {
		r := httptest.NewRequest(http.MethodPost, "http://example.com/v1/session", nil)
		if r.Header.Set("Origin", c.origin); c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		w := httptest.NewRecorder()
		SetSession(w, Secure(r), "x", time.Now().Add(time.Hour))
		set := w.Result().Cookies()[0]
		if set.Secure != c.secure || strings.HasPrefix(set.Name, "__Host-") != c.secure || !set.HttpOnly || set.SameSite != http.SameSiteStrictMode || set.Path != "/" || set.Domain != "" || set.MaxAge < 3590 {
			t.Errorf("%+v: %v", c, set)
		}
		next := httptest.NewRequest(http.MethodGet, "http://example.com/", nil)
		next.AddCookie(set)
		next.TLS = r.TLS
		if sessionCookie(next) != "x" {
			t.Errorf("%+v: not found again", c)
		}
		w = httptest.NewRecorder()
		ClearSession(w, next)
		if cleared := w.Result().Cookies(); len(cleared) != 1 || cleared[0].Name != set.Name || cleared[0].MaxAge >= 0 || cleared[0].Secure != c.secure {
			t.Errorf("%+v: cleared with %v", c, cleared)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
	r.AddCookie(&http.Cookie{Name: cookieName, Value: "of another host of the site"})
	if text := sessionCookie(r); text != "" {
		t.Errorf("under TLS a cookie without prefix counts: %s", text)
	}
}

// What is stored of sessions has the names that other versions read.
func TestStoredSession(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	text, err := json.Marshal(Session{Hash: []byte("h"), Key: "k", KeyHash: []byte("s"), Created: at, Expires: at, Seen: at})
	if want := `{"sha256":"aA==","key":"k","key_sha256":"cw==","created_at":"2026-03-01T12:00:00Z","expires_at":"2026-03-01T12:00:00Z","seen_at":"2026-03-01T12:00:00Z"}`; err != nil || string(text) != want {
		t.Errorf("%v: %s", err, text)
	}
}
