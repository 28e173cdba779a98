package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
)

// operation is one of the description: a route that is added is found here, whether somebody thought of its access or not.
type operation struct {
	method, path, needs string
	namespaced          bool
}

func operations(t *testing.T) (out []operation) {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths {
		for method, text := range item {
			if method == "parameters" {
				continue
			}
			var o struct {
				Access string `json:"x-access"`
			}
			if err := json.Unmarshal(text, &o); err != nil {
				t.Fatal(err)
			}
			namespaced := strings.Contains(string(item["parameters"]), "x_namespace")
			out = append(out, operation{strings.ToUpper(method), path, o.Access, namespaced})
			if method == "get" {
				out = append(out, operation{http.MethodHead, path, o.Access, namespaced})
			}
		}
	}
	slices.SortFunc(out, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return out
}

// What each role may do, once more, so that a change of the table in the code is noticed.
var mayDo = map[string][]string{
	"reader": {"known", "read", "inspect"}, "writer": {"known", "send"}, "operator": {"known", "read", "inspect", "operate"},
	"admin": {"known", "read", "inspect", "send", "operate", "manage"}, "public token of a batch": {"known", "read"}, "public token of a label": {"known", "read"},
}

// Routes that may be used without a credential; all others need one.
var forStrangers = []string{"/livez", "/readyz", "/openapi.json", "/asyncapi.json", "/docs", "/v1/session", "/v1/session/providers", access.LoginPath, access.CallbackPath}

// identity is who sends a request. Its namespaces are team-a; role is "" if the credential isn't valid.
type identity struct {
	name, role string
	header     []string
	key        string // to sign in with
}

// outside is the answer about what a public token of a batch or of a label doesn't show, though it shows others of the kind; else 0.
func (i identity) outside(o operation) int {
	isBatch, isList := strings.Contains(o.path, "{batch_id}"), strings.HasPrefix(o.path, "/v1/batches")
	switch {
	case o.needs != "read":
	case i.role == "public token of a batch" && isList:
		return http.StatusForbidden
	case i.role == "public token of a label" && isBatch:
		return http.StatusNotFound
	}
	return 0
}

func identities(k *keyed) (out []identity) {
	k.t.Helper()
	out = append(out, identity{name: "nobody"}, identity{name: "garbage", header: as("garbage")}, identity{name: "basic", header: []string{"Authorization", "Basic aHc6aHc="}})
	expired := k.key(access.Wanted{Name: "expired", Namespaces: []string{"*"}, Roles: []string{"admin"}, Expires: time.Now().Add(-time.Second)}, "expired")
	out = append(out, identity{name: "expired", header: as(expired)}, identity{name: "wrong secret", header: as(expired[:len(expired)-1] + "2")})
	writer := k.key(access.Wanted{Name: "maker", Namespaces: []string{"team-a"}, Roles: []string{"writer"}}, "maker")
	for name, body := range map[string]string{"public token of a batch": `{"batch_id":"b1"}`, "public token of a label": `{"label":"team:search"}`} {
		out = append(out, identity{name: name, role: name, header: as(publicToken(k, as(writer), body))})
	}
	for role := range mayDo {
		if strings.HasPrefix(role, "public") {
			continue
		}
		key := k.key(access.Wanted{Name: role, Namespaces: []string{"team-a"}, Roles: []string{role}}, role)
		out = append(out, identity{role, role, as(key), key}, identity{"session of a " + role, role, k.signedIn(key), key})
		token := k.issuer.Token(map[string]any{"sub": role, "groups": []string{"headway:team-a:" + role}})
		out = append(out, identity{"token of a " + role, role, as(token), ""})
	}
	return out
}

// ask sends a request of the matrix. Streams end at once.
func (k *keyed) ask(o operation, path, ns string, who identity) *httptest.ResponseRecorder {
	k.t.Helper()
	body, kind := "{}", "application/json"
	switch {
	case o.path == "/v1/events":
		body, kind = string(eventJSON("1", "b1", "batch", `{"status":"PROCESSING"}`, time.Now())), structuredType
	case o.path == "/v1/keys" && o.method == http.MethodPost:
		body = `{"name":"made","namespaces":["team-a"],"roles":["reader"]}`
	case o.path == "/v1/public-tokens":
		body = `{"batch_id":"b1"}`
	case o.path == "/v1/stream-tickets":
		body = `{"path":"/v1/batches/stream"}`
	case o.path == "/v1/session":
		body, who.header = `{"key":"`+who.key+`"}`, nil // the matrix still needs the session
	}
	target := path
	if o.method == http.MethodDelete && strings.HasPrefix(path, "/v1/batches/") {
		target += "?dry_run=true" // the batch is still asked for
	}
	r := httptest.NewRequest(o.method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	if ns != "" {
		r.Header.Set("X-Namespace", ns)
	}
	for i := 0; i < len(who.header); i += 2 {
		r.Header.Set(who.header[i], who.header[i+1])
	}
	if strings.HasSuffix(path, "/stream") {
		ctx, cancel := context.WithCancel(k.t.Context())
		cancel()
		r = r.WithContext(ctx)
	}
	out := httptest.NewRecorder()
	k.svc.Handler().ServeHTTP(out, r)
	told := out.Body.Bytes()
	if out.Header().Get("Content-Encoding") != "" {
		told = nil
	}
	conforms(k.t, o.method, path, false, out, told)
	return out
}

func alike(a, b *httptest.ResponseRecorder) string {
	switch {
	case a.Code != b.Code:
		return fmt.Sprintf("%d and %d", a.Code, b.Code)
	case !maps.EqualFunc(a.Header(), b.Header(), slices.Equal[[]string]):
		return fmt.Sprintf("%v and %v", a.Header(), b.Header())
	case !bytes.Equal(a.Body.Bytes(), b.Body.Bytes()):
		return fmt.Sprintf("%s and %s", a.Body, b.Body)
	}
	return ""
}

// Every route, as everybody, in one's own namespace, in one that belongs to others, and in one that doesn't exist.
func TestAccessMatrix(t *testing.T) {
	k := newKeyed(t, nil)
	for _, ns := range []string{"team-a", "team-b"} {
		k.shelf.say(t, push.Key{Namespace: ns, Name: "b1"}, "batch", `{"status":"PROCESSING","labels":{"team":"search"}}`)
	}
	all := identities(k)
	asked, took := 0, map[string]time.Duration{}
	for _, o := range operations(t) {
		if slices.Contains(forStrangers, o.path) != (o.needs == "") && o.method != http.MethodOptions {
			t.Errorf("%s %s needs %q", o.method, o.path, o.needs)
		}
		for _, who := range all {
			places := map[string]string{"own": strings.ReplaceAll(o.path, "{batch_id}", "b1")}
			names := map[string]string{"own": "team-a"}
			if o.namespaced {
				places["foreign"], places["missing"] = places["own"], places["own"]
				names["foreign"], names["missing"] = "team-b", "team-c"
				if strings.Contains(o.path, "{batch_id}") {
					places["absent"], names["absent"] = strings.ReplaceAll(o.path, "{batch_id}", "b2"), "team-a"
				}
			}
			if strings.Contains(o.path, "{key_id}") {
				mine := k.key(access.Wanted{Name: "x", Namespaces: []string{"team-a"}, Roles: []string{"reader"}}, "mine")
				other := k.key(access.Wanted{Name: "x", Namespaces: []string{"team-b"}, Roles: []string{"reader"}}, "other")
				for place, id := range map[string]string{"own": mine[3:15], "foreign": other[3:15], "missing": "missingxxxxx"} {
					places[place] = strings.ReplaceAll(o.path, "{key_id}", id)
				}
			}
			got := map[string]*httptest.ResponseRecorder{}
			for place, path := range places {
				begun := time.Now()
				got[place] = k.ask(o, path, names[place], who)
				took[place] += time.Since(begun)
				asked++
			}
			judge(t, o, who, got)
		}
	}
	if asked < 400 {
		t.Errorf("only %d requests", asked)
	}
	t.Logf("%d requests; in foreign namespaces %v, in missing ones %v", asked, took["foreign"], took["missing"])
}

// judge holds the answers to one identity on one route against the rules.
func judge(t *testing.T, o operation, who identity, got map[string]*httptest.ResponseRecorder) {
	t.Helper()
	want := 0 // of every place
	switch {
	case o.needs == "":
		for place, r := range got {
			if o.path == "/v1/session" && o.method == http.MethodPost && who.key == "" {
				if r.Code != http.StatusUnauthorized {
					t.Errorf("signed in without a key: %d", r.Code)
				}
			} else if r.Code == 401 || r.Code == 403 {
				t.Errorf("%s %s as %s (%s) needs a credential: %d", o.method, o.path, who.name, place, r.Code)
			}
		}
		return
	case who.role == "":
		want = http.StatusUnauthorized
	case !slices.Contains(mayDo[who.role], o.needs), o.path == "/metrics":
		want = http.StatusForbidden
	}
	if outside := who.outside(o); outside != 0 {
		got = map[string]*httptest.ResponseRecorder{"own": got["own"], "foreign": got["foreign"], "missing": got["missing"]}
		if r := got["own"]; r.Code != outside {
			t.Errorf("%s %s as %s: %d, want %d", o.method, o.path, who.name, r.Code, outside)
		}
		delete(got, "own")
	}
	for place, r := range got {
		switch {
		case want != 0:
			if r.Code != want {
				t.Errorf("%s %s as %s (%s): %d, want %d", o.method, o.path, who.name, place, r.Code, want)
			}
		case place == "own":
			if r.Code == 401 || r.Code == 403 || r.Code == 404 {
				t.Errorf("%s %s as %s: refused with %d %s", o.method, o.path, who.name, r.Code, r.Body)
			}
		case place != "absent" && r.Code != http.StatusNotFound:
			t.Errorf("%s %s as %s (%s): %d", o.method, o.path, who.name, place, r.Code)
		}
	}
	if got["foreign"] == nil {
		return
	}
	if why := alike(got["foreign"], got["missing"]); why != "" {
		t.Errorf("%s %s as %s: foreign and missing differ: %s", o.method, o.path, who.name, why)
	}
	if absent := got["absent"]; absent != nil && !strings.HasSuffix(o.path, "/stream") { // a stream of one's own batch waits for it
		if why := alike(got["foreign"], absent); why != "" {
			t.Errorf("%s %s as %s: a foreign namespace and an absent batch differ: %s", o.method, o.path, who.name, why)
		}
	}
}
