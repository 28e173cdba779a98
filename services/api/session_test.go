package api

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
)

// The dashboard signs in with a key, uses its cookie for everything that the key may do, and signs out, which ends what is open.
func TestSessionOverHTTP(t *testing.T) {
	var mu sync.Mutex
	var logged bytes.Buffer
	k := newKeyed(t, slog.New(slog.NewTextHandler(&locked{w: &logged, mu: &mu}, nil)))
	base, _ := k.listen()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	b1 := push.Key{Namespace: "team-a", Name: "b1"}
	k.shelf.say(t, b1, "batch", `{"status":"PROCESSING"}`)
	key := k.key(access.Wanted{Name: "wallboard", Namespaces: []string{"team-a"}, Roles: []string{"reader"}}, "wallboard")

	if r := k.status(k.get("/v1/session/providers"), 200); r.Body.String() != `{"keys":true,"providers":[]}`+"\n" {
		t.Errorf("%s", r.Body)
	}
	for body, kind := range map[string]string{`{"key":"` + key[:len(key)-1] + `x"}`: "credential_invalid", `{"key":""}`: "credential_invalid", `{}`: "credential_invalid"} {
		r := k.status(k.do(http.MethodPost, "/v1/session", strings.NewReader(body), ownPage...), 401)
		if k.problem(r) != kind || r.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %s", body, r.Body)
		}
	}
	k.status(k.do(http.MethodPost, "/v1/session", strings.NewReader(`{"password":"x"}`), ownPage...), 400)

	r := k.status(k.do(http.MethodPost, "/v1/session", strings.NewReader(`{"key":"`+key+`"}`), ownPage...), 200)
	set := r.Result().Cookies()[0]
	if !set.HttpOnly || set.SameSite != http.SameSiteStrictMode || set.Path != "/" || set.Secure || strings.Contains(set.Value, "hw_") {
		t.Errorf("%v", set)
	}
	page := append([]string{"Cookie", set.Name + "=" + set.Value}, ownPage...)
	me := k.status(k.get("/v1/me", page...), 200)
	used := regexp.MustCompile(`"used":\d+`) // of a limit: each request uses some
	if used.ReplaceAllString(me.Body.String(), "") != used.ReplaceAllString(r.Body.String(), "") {
		t.Errorf("%s\n%s", me.Body, r.Body)
	}
	var who Me
	if err := json.Unmarshal(me.Body.Bytes(), &who); err != nil || who.Access != "session" || who.Name != "wallboard" || who.Expires == nil || who.Default == nil || *who.Default != "team-a" {
		t.Errorf("%v: %s", err, me.Body)
	}
	k.status(k.get("/v1/batches", page...), 200)
	k.status(k.get("/v1/keys", page...), 403)

	streams := []*events{open(t, c, base+"/v1/batches/stream", page...), open(t, c, base+url(b1)[:strings.Index(url(b1), "?")]+"/stream", page...)}
	for _, e := range streams {
		e.want("snapshot", `"b1"`)
	}
	// A ticket that was asked for with the session ends with it, too.
	var ticket Ticket
	asked := k.status(k.do(http.MethodPost, "/v1/stream-tickets", strings.NewReader(`{"path":"/v1/batches/stream"}`), page...), 201)
	if err := json.Unmarshal(asked.Body.Bytes(), &ticket); err != nil {
		t.Fatal(err)
	}
	e := open(t, c, base+"/v1/batches/stream?ticket="+ticket.Ticket)
	e.want("snapshot", `"b1"`)
	stays := open(t, c, base+"/v1/batches/stream", as(key)...)
	stays.want("snapshot", `"b1"`)

	begun := time.Now()
	out := k.status(k.do(http.MethodDelete, "/v1/session", nil, page...), 204)
	if cleared := out.Result().Cookies(); len(cleared) != 1 || cleared[0].Name != set.Name || cleared[0].MaxAge >= 0 {
		t.Errorf("%v", cleared)
	}
	for _, e := range append(streams, e) {
		e.want("problem", `"credential_ended"`)
		if rest, err := io.ReadAll(e.in); len(rest) > 0 || err != nil {
			t.Errorf("ends with %q, %v", rest, err)
		}
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("ended after %v", took)
	}
	k.status(k.get("/v1/me", page...), 401)
	k.status(k.do(http.MethodDelete, "/v1/session", nil, page...), 204) // once more
	k.status(k.do(http.MethodDelete, "/v1/session", nil), 204)
	k.shelf.say(t, b1, "batch", `{"status":"COMPLETED"}`)
	stays.want("update", `"COMPLETED"`)

	mu.Lock()
	defer mu.Unlock()
	for _, line := range []string{`what="signed in" id=`, `what="signed out" id=`, "by=wallboardxxx from="} {
		if !strings.Contains(logged.String(), line) {
			t.Errorf("not logged: %s\n%s", line, &logged)
		}
	}
	if strings.Contains(logged.String(), "hw_") || strings.Contains(logged.String(), set.Value) {
		t.Errorf("a credential is logged: %s", &logged)
	}
}

// Another page can use neither the cookie of a session nor sign anybody in or out; losing Redis loses no session.
func TestSessionAndOtherPages(t *testing.T) {
	k := newKeyed(t, nil)
	key := k.key(access.Wanted{Name: "x", Namespaces: []string{"team-a"}, Roles: []string{"admin"}}, "admin")
	page := k.signedIn(key)
	cookie := page[:2]
	for _, other := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "http://localhost:5173"}, {"Origin", "null"}} {
		with := append(append([]string{}, cookie...), other...)
		k.status(k.get("/v1/me", with...), 401)
		k.status(k.get("/v1/batches/stream", append(with, "Accept", "text/event-stream")...), 401)
		k.status(k.do(http.MethodPost, "/v1/keys", strings.NewReader(`{"name":"x","namespaces":["team-a"],"roles":["reader"]}`), with...), 401)
		k.status(k.do(http.MethodPost, "/v1/session", strings.NewReader(`{"key":"`+key+`"}`), other...), 403)
		k.status(k.do(http.MethodDelete, "/v1/session", nil, with...), 403)
	}
	if err := k.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	k.status(k.get("/v1/me", page...), 200) // nobody was signed out
	if err := k.kv.Delete(t.Context(), "key."+key[3:15]); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	eventually(t, "the session ends with its key", func() string {
		if r := k.get("/v1/me", page...); r.Code != http.StatusUnauthorized {
			return r.Body.String()
		}
		return ""
	})
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("after %v", took)
	}
}

// While NATS can't be reached, nobody signs in or out, and everybody is told so.
func TestSessionWithoutNATS(t *testing.T) {
	k := newKeyed(t, nil)
	key := k.key(access.Wanted{Name: "x", Namespaces: []string{"team-a"}, Roles: []string{"reader"}}, "reader")
	page := k.signedIn(key)
	k.nats.Shutdown()
	k.status(k.get("/v1/me", page...), 200)
	k.status(k.do(http.MethodPost, "/v1/session", strings.NewReader(`{"key":"`+key+`"}`), ownPage...), 503)
	k.status(k.do(http.MethodDelete, "/v1/session", nil, page...), 503)
	k.status(k.get("/v1/me", page...), 200)
}

func TestNoSessionsWithoutAccessControl(t *testing.T) {
	w := newWorld(t)
	if r := w.status(w.get("/v1/session/providers"), 200); !strings.Contains(r.Body.String(), `"keys":false`) {
		t.Errorf("%s", r.Body)
	}
	if kind := w.problem(w.status(w.do(http.MethodPost, "/v1/session", strings.NewReader(`{"key":"x"}`), ownPage...), 404)); kind != "access_off" {
		t.Error(kind)
	}
	w.status(w.do(http.MethodDelete, "/v1/session", nil), 204)
}

// A sign-in is stored and told to every process, so a key may not do it without end.
func TestSignInIsLimited(t *testing.T) {
	k := newKeyed(t, nil, func(o *Options) { o.Limits.Principal = map[string]LimitSet{"requests_per_second": "60"} })
	key := k.key(access.Wanted{Name: "eager", Namespaces: []string{"team-a"}, Roles: []string{"reader"}}, "eager")
	in := func() int {
		return k.do(http.MethodPost, "/v1/session", strings.NewReader(`{"key":"`+key+`"}`), ownPage...).Code
	}
	begun := 0
	for in() == http.StatusOK {
		if begun++; begun > 60 {
			t.Fatal("a key signs in without end")
		}
	}
	if begun == 0 {
		t.Fatal("no sign-in at all")
	}
	t.Logf("refused after %d", begun)
	if code := k.get("/v1/me", "Authorization", "Bearer "+key).Code; code != http.StatusTooManyRequests {
		t.Errorf("the key's other requests: %d", code)
	}
}
