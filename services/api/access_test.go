package api

import (
	"bytes"
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
)

// Streams of a key that is revoked end, with a problem that says so; those of other keys go on.
func TestStreamsEndWithTheirKey(t *testing.T) {
	k := newKeyed(t, nil)
	base, _ := k.listen()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	two := httptest.NewUnstartedServer(k.svc.Handler()) // HTTP/2, where a stream stays with the server
	two.EnableHTTP2 = true
	two.StartTLS()
	t.Cleanup(two.Close)
	b1 := push.Key{Namespace: "team-a", Name: "b1"}
	k.shelf.say(t, b1, "batch", `{"status":"PROCESSING"}`)
	revoked := k.key(access.Wanted{Name: "x", Namespaces: []string{"team-a"}, Roles: []string{"reader"}}, "revoked")
	other := k.key(access.Wanted{Name: "x", Namespaces: []string{"team-a"}, Roles: []string{"reader"}}, "other")
	const batch = "/v1/analytics/performance/batches/"
	paths := []string{batch + "b1/diagnostics/stream", batch + "unheard/diagnostics/stream", batch + "b1/diagnostics", "/v1/batches/stream", "/v1/health-events"}
	servers := []struct {
		base   string
		client *http.Client
		proto  int
	}{{base, c, 1}, {two.URL, two.Client(), 2}}
	var streams, stay []*events
	for _, server := range servers {
		for _, path := range paths {
			e := open(t, server.client, server.base+path, append(as(revoked), "Accept", "text/event-stream")...)
			if e.r.StatusCode != http.StatusOK || e.r.ProtoMajor != server.proto {
				t.Fatal(path, e.r.Proto, e.r.StatusCode)
			}
			if strings.Contains(path, "b1") || strings.Contains(path, "batches/stream") {
				if name, _ := e.next(); name != "snapshot" {
					t.Fatalf("%s begins with %s", path, name)
				}
			}
			streams = append(streams, e)
		}
		stays := open(t, server.client, server.base+"/v1/batches/stream", as(other)...)
		stays.want("snapshot", `"b1"`)
		stay = append(stay, stays)
	}
	begun := time.Now()
	if err := k.kv.Delete(t.Context(), "key."+revoked[3:15]); err != nil {
		t.Fatal(err)
	}
	for _, e := range streams {
		e.want("problem", `"credential_ended"`)
		if rest, err := io.ReadAll(e.in); len(rest) > 0 || err != nil {
			t.Errorf("%s over %s ends with %q, %v", e.r.Request.URL.Path, e.r.Proto, rest, err)
		}
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("ended after %v", took)
	}
	k.shelf.say(t, b1, "batch", `{"status":"COMPLETED"}`)
	for _, stays := range stay {
		stays.want("update", `"COMPLETED"`)
	}
	if r := k.get("/v1/batches", as(revoked)...); r.Code != http.StatusUnauthorized || r.Header().Get("WWW-Authenticate") == "" {
		t.Error(r.Code, r.Header())
	}
}

// A stream that was about to read from the log when its key ended says why it ends. One whose last write failed, perhaps halfway, gets
// nothing more.
func TestStreamsThatEndWithAnError(t *testing.T) {
	k := newKeyed(t, nil)
	for name, with := range map[string]error{"over": errOver, "failed": io.ErrShortWrite} {
		key := k.key(access.Wanted{Name: "x", Namespaces: []string{"team-a"}, Roles: []string{"reader"}}, name)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/health-events", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		p, no := k.keys.Authenticate(r)
		if no != nil {
			t.Fatal(no)
		}
		leave, err := k.svc.enterStream(p, "team-a")
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		k.svc.stream(k.svc.echo.NewContext(r, w), p, leave, func(ctx context.Context, _ *push.Writer) error {
			if err := k.kv.Delete(t.Context(), "key."+p.ID); err != nil {
				return err
			}
			<-ctx.Done()
			return with
		}, nil)
		if said := strings.Contains(w.Body.String(), "event: problem\ndata: {"); said != (with == errOver) || k.svc.streams.len() != 0 {
			t.Errorf("%s: %q, %d streams", name, w.Body, k.svc.streams.len())
		}
	}
}

// Keys are made, listed, rotated and revoked over HTTP; each change is one line of the log, and no answer but the first and no line has a
// secret.
func TestKeysOverHTTP(t *testing.T) {
	var mu sync.Mutex
	var logged bytes.Buffer
	k := newKeyed(t, slog.New(slog.NewTextHandler(&locked{w: &logged, mu: &mu}, nil)))
	admin := k.key(access.Wanted{Name: "boss", Namespaces: []string{"*"}, Roles: []string{"admin"}}, "boss")
	post := func(path, body string, want int) (key AccessKey) {
		t.Helper()
		r := k.status(k.do(http.MethodPost, path, strings.NewReader(body), as(admin)...), want)
		if err := json.Unmarshal(r.Body.Bytes(), &key); want < 300 && err != nil {
			t.Fatal(err)
		}
		return key
	}
	made := post("/v1/keys", `{"name":"nightly","namespaces":["team-a"],"roles":["writer"]}`, 201)
	if r := k.get("/v1/me", as(made.Key)...); !strings.Contains(r.Body.String(), `"default_namespace":"team-a"`) || !strings.Contains(r.Body.String(), `"nightly"`) {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	k.status(k.get("/v1/batches", as(made.Key)...), 403)
	rotated := post("/v1/keys/"+made.ID+"/rotate", `{"overlap_seconds":3600}`, 200)
	for _, text := range []string{made.Key, rotated.Key} {
		k.status(k.get("/v1/me", as(text)...), 200)
	}
	post("/v1/keys/"+made.ID+"/rotate", `{}`, 200)
	for _, text := range []string{made.Key, rotated.Key} {
		k.status(k.get("/v1/me", as(text)...), 401)
	}
	list := k.status(k.get("/v1/keys", as(admin)...), 200).Body.String()
	if !strings.Contains(list, `"created_by":"boss`) || strings.Contains(list, "hw_") || strings.Contains(list, "sha256") {
		t.Error(list)
	}
	k.status(k.do(http.MethodDelete, "/v1/keys/"+made.ID, nil, as(admin)...), 204)
	for body, want := range map[string]int{
		`{"name":"x","namespaces":["a"],"roles":["writer"],"rolls":1}`: 400, `{"name":"x","namespaces":["a"],"roles":[]}`: 400, `[]`: 400, ``: 400,
		`{"name":"` + strings.Repeat("x", maxKeyBody) + `"}`: 413,
	} {
		post("/v1/keys", body, want)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, line := range []string{`what="key created" id=` + made.ID + " by=bossxxxx", `what="key revoked"`, `what="key rotated"`, "outcome=\"refused: roles"} {
		if !strings.Contains(logged.String(), line) {
			t.Errorf("not logged: %s\n%s", line, &logged)
		}
	}
	if strings.Contains(logged.String(), "hw_") {
		t.Errorf("a key is logged: %s", &logged)
	}
}

type locked struct {
	mu *sync.Mutex
	w  *bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// A ticket opens one stream, once, as the key that asked for it: it needs no header, and ends with the key.
func TestStreamTickets(t *testing.T) {
	k := newKeyed(t, nil)
	base, _ := k.listen()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	k.shelf.say(t, push.Key{Namespace: "lab-1", Name: "b1"}, "batch", `{"status":"PROCESSING"}`)
	key := k.key(access.Wanted{Name: "x", Namespaces: []string{"lab-*"}, Roles: []string{"admin"}}, "page")
	const path = "/v1/batches/stream"
	ticket := func() string {
		t.Helper()
		var made Ticket
		r := k.status(k.do(http.MethodPost, "/v1/stream-tickets", strings.NewReader(`{"path":"`+path+`"}`), append(as(key), "X-Namespace", "lab-1")...), 201)
		if err := json.Unmarshal(r.Body.Bytes(), &made); err != nil {
			t.Fatal(err)
		}
		return made.Ticket
	}
	refused := func(what, target string, header ...string) {
		t.Helper()
		if r := k.status(k.get(target, header...), 401); k.problem(r) != "ticket_invalid" {
			t.Errorf("%s: %s", what, r.Body)
		}
	}
	spent := ticket()
	e := open(t, c, base+path+"?ticket="+spent+"&ids=b1")
	e.want("snapshot", `"b1"`)
	refused("used twice", path+"?ticket="+spent)
	refused("garbage", path+"?ticket=x")
	refused("two of them", path+"?ticket="+ticket()+"&ticket="+ticket())
	for _, other := range []string{"/v1/batches", "/v1/me", "/v1/keys", "/metrics"} {
		refused("no stream", other+"?ticket="+ticket())
	}
	refused("another stream", "/v1/health-events?ticket="+ticket(), "Accept", "text/event-stream")
	if r := k.get(path+"?namespace=lab-2&ticket="+ticket(), "Accept", "text/event-stream"); r.Code != http.StatusNotFound {
		t.Errorf("another namespace: %d", r.Code)
	}
	k.status(k.do(http.MethodPost, "/v1/stream-tickets", strings.NewReader(`{"path":"https://evil.example/v1/x"}`), append(as(key), "X-Namespace", "lab-1")...), 400)
	names, err := k.redis.Keys(t.Context(), "*").Result()
	if err != nil || strings.Contains(strings.Join(names, " "), spent[4:]) {
		t.Errorf("%v: %v", err, names)
	}
	wiped := ticket()
	if err := k.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	refused("after a wipe of Redis", path+"?ticket="+wiped)
	last := ticket()
	if ttl := k.redis.TTL(t.Context(), firstKey(t, k)).Val(); ttl <= 0 || ttl > 30*time.Second {
		t.Errorf("a ticket is kept for %v", ttl)
	}
	if err := k.kv.Delete(t.Context(), "key."+key[3:15]); err != nil {
		t.Fatal(err)
	}
	e.want("problem", `"credential_ended"`)
	refused("of a revoked key", path+"?ticket="+last)
}

func firstKey(t *testing.T, k *keyed) string {
	t.Helper()
	names, err := k.redis.Keys(t.Context(), "*").Result()
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	return names[0]
}

// One's namespaces are listed with their counts, and no others; without a default, a request has to name one.
func TestNamespacesOfAKey(t *testing.T) {
	k := newKeyed(t, nil)
	for _, ns := range []string{"lab-1", "lab-2", "team-a", "team-b", "default"} {
		k.shelf.say(t, push.Key{Namespace: ns, Name: "b1"}, "batch", `{"status":"PROCESSING"}`)
	}
	key := k.key(access.Wanted{Name: "x", Namespaces: []string{"lab-*", "team-a", "empty"}, Roles: []string{"reader"}}, "some")
	var list struct {
		Namespaces []struct {
			Name   string
			Counts struct{ Total int }
		}
		Next *string `json:"next_cursor"`
	}
	var got []string
	for cursor := ""; ; cursor = *list.Next {
		list.Next, list.Namespaces = nil, nil
		r := k.status(k.get("/v1/namespaces?limit=3&cursor="+cursor, as(key)...), 200)
		if err := json.Unmarshal(r.Body.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
		for _, ns := range list.Namespaces {
			got = append(got, ns.Name)
			if want := map[bool]int{true: 0, false: 1}[ns.Name == "empty"]; ns.Counts.Total != want {
				t.Errorf("%s has %d batches", ns.Name, ns.Counts.Total)
			}
		}
		if list.Next == nil {
			break
		}
	}
	if strings.Join(got, " ") != "empty lab-1 lab-2 team-a" {
		t.Errorf("listed: %v", got)
	}
	if r := k.status(k.get("/v1/batches", as(key)...), 400); !strings.Contains(r.Body.String(), "/v1/namespaces") {
		t.Errorf("%s", r.Body)
	}
	k.status(k.get("/v1/batches", append(as(key), "X-Namespace", "lab-2")...), 200)
	k.status(k.get("/v1/batches", append(as(key), "X-Namespace", "lab-*")...), 400)
	all := k.key(access.Wanted{Name: "x", Namespaces: []string{"*"}, Roles: []string{"operator"}}, "all")
	k.status(k.get("/metrics", as(all)...), 200)
	if r := k.status(k.get("/v1/batches", as(all)...), 200); !strings.Contains(r.Body.String(), "b1") {
		t.Errorf("the default namespace: %s", r.Body)
	}
}

// Strangers learn that the server isn't ready, but not why.
func TestReadyTellsStrangersNoReasons(t *testing.T) {
	k := newKeyed(t, nil)
	key := k.key(access.Wanted{Name: "x", Namespaces: []string{"a"}, Roles: []string{"reader"}}, "reader")
	k.shelf.moved(one1, func(f *fence) { f.complete = false })
	if r := k.status(k.get("/readyz"), 503); strings.Contains(r.Body.String(), "partition") {
		t.Errorf("%s", r.Body)
	}
	if r := k.status(k.get("/readyz", as(key)...), 503); !strings.Contains(r.Body.String(), "partition") {
		t.Errorf("%s", r.Body)
	}
}

// Without access control there are no keys, and everybody is told so.
func TestNoAccessControl(t *testing.T) {
	w := newWorld(t)
	for _, r := range []struct{ method, path string }{{http.MethodGet, "/v1/keys"}, {http.MethodPost, "/v1/keys"}, {http.MethodDelete, "/v1/keys/x"}, {http.MethodPost, "/v1/keys/x/rotate"}} {
		if kind := w.problem(w.status(w.do(r.method, r.path, strings.NewReader("{}")), 404)); kind != "access_off" {
			t.Error(r, kind)
		}
	}
	if r := w.status(w.get("/v1/me"), 200); !strings.Contains(r.Body.String(), `"access":"none"`) {
		t.Errorf("%s", r.Body)
	}
}

// Only the table of routes leads to handlers, and only a principal to a namespace: both are places where access can't be forgotten.
func TestNothingGoesAroundTheTable(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	// The functions that may turn a namespace into the key of a view: what a request names, what the store pushes, and rows of lists.
	allowed := map[string]string{"request.go": "batchKey", "feed.go": "", "clock.go": "", "overdue.go": "", "runs.go": "readRuns"}
	found := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			fn, is := d.(*ast.FuncDecl)
			if !is {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CompositeLit:
					if s, ok := n.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Key" && len(n.Elts) > 0 {
						found++
						if only, there := allowed[f.Name()]; !there || only != "" && only != fn.Name.Name {
							t.Errorf("%s: %s makes the key of a view", f.Name(), fn.Name.Name)
						}
					}
				case *ast.CallExpr:
					name, of := "", ""
					switch called := n.Fun.(type) {
					case *ast.Ident:
						name = called.Name
					case *ast.SelectorExpr:
						name = called.Sel.Name
						if x, ok := called.X.(*ast.Ident); ok {
							of = x.Name
						}
					}
					if name == "namedNamespace" && fn.Name.Name != "namespaceOf" || name == "namespaceOf" && fn.Name.Name != "namespace" && fn.Name.Name != "getMe" || name == "admit" && fn.Name.Name != "routes" ||
						name == "GET" || name == "POST" || name == "Add" && of == "e" && fn.Name.Name != "routes" {
						t.Errorf("%s: %s calls %s", f.Name(), fn.Name.Name, name)
					}
				}
				return true
			})
		}
	}
	if found < 4 {
		t.Errorf("found %d keys only", found)
	}
}
