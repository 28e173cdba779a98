package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
)

// secretText is in everything that a producer or Ray can say in words about a batch that fails.
const secretText = "s3cret"

// failing tells everything about a batch that could be in an answer, with the secret text wherever there is a text.
func failing(t *testing.T, k *keyed, key push.Key, label string) {
	t.Helper()
	secret := func(what string) string { return `"` + what + " " + secretText + `"` }
	for _, e := range [][2]string{
		{"batch", `{"status":"PROCESSING","name":"Nightly","owner":` + secret("owner") + `,"pipeline":` + secret("pipeline") + `,"labels":{"team":"` + label + `","x":` + secret("label") + `},"total_tiers":2}`},
		{"tier", `{"tier_num":0,"status":"FAILED","processed_documents":5,"total_documents":10,"error":` + secret("tier") + `,"error_type":` + secret("type") + `}`},
		{"batch", `{"status":"FAILED","error":` + secret("batch") + `,"error_type":` + secret("type") + `}`},
	} {
		k.shelf.say(t, key, e[0], e[1])
	}
}

func publicToken(k *keyed, header []string, body string) string {
	k.t.Helper()
	r := k.status(k.do(http.MethodPost, "/v1/public-tokens", strings.NewReader(body), header...), 201)
	var made PublicToken
	if err := json.Unmarshal(r.Body.Bytes(), &made); err != nil {
		k.t.Fatal(err)
	}
	return made.Token
}

// A writer, who may not read, gives out tokens with which everybody sees how far a batch is, and no text of what happened in it.
func TestPublicTokens(t *testing.T) {
	var mu sync.Mutex
	var logged bytes.Buffer
	k := newKeyed(t, slog.New(slog.NewTextHandler(&locked{w: &logged, mu: &mu}, nil)))
	base, _ := k.listen()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	b1, b2 := push.Key{Namespace: "team-a", Name: "b1"}, push.Key{Namespace: "team-a", Name: "b2"}
	failing(t, k, b1, "search")
	failing(t, k, b2, "ads")
	writer := k.key(access.Wanted{Name: "nightly", Namespaces: []string{"team-a"}, Roles: []string{"writer"}}, "writer")
	reader := k.key(access.Wanted{Name: "x", Namespaces: []string{"team-a"}, Roles: []string{"reader"}}, "reader")
	k.status(k.get(url(b1), as(writer)...), 403)
	ofBatch, ofLabel := as(publicToken(k, as(writer), `{"batch_id":"b1","expires_in_seconds":600}`)), as(publicToken(k, as(writer), `{"label":"team:search"}`))

	var me struct {
		ID     string
		Limits struct{ Principal, Namespace, Server []any }
	}
	r := k.status(k.get("/v1/me", ofBatch...), 200)
	if err := json.Unmarshal(r.Body.Bytes(), &me); err != nil || me.ID != "" || len(me.Limits.Principal)+len(me.Limits.Namespace)+len(me.Limits.Server) > 0 {
		t.Errorf("what others use is shown to everybody: %s", r.Body)
	}

	const batch = "/v1/analytics/performance/batches/"
	shown := map[string]*struct{ body string }{}
	for path, header := range map[string][]string{batch + "b1/diagnostics": ofBatch, batch + "b1/diagnostics?fields=errors,tiers,cause": ofBatch, "/v1/batches": ofLabel} {
		whole := k.status(k.get(path, as(reader)...), 200)
		if !strings.Contains(whole.Body.String(), secretText) {
			t.Fatalf("%s: there is nothing to hide", path)
		}
		r := k.status(k.get(path, header...), 200)
		shown[path] = &struct{ body string }{r.Body.String()}
	}
	for path, header := range map[string][]string{batch + "b1/diagnostics/stream": ofBatch, batch + "b1/diagnostics/stream?format=rows": ofBatch, "/v1/batches/stream": ofLabel} {
		e := open(t, c, base+path, header...)
		_, data := e.next()
		shown["stream "+path] = &struct{ body string }{data}
		if strings.HasPrefix(path, "/v1/batches") {
			k.shelf.say(t, b2, "batch", `{"status":"FAILED","error":"`+secretText+` again"}`)
			k.shelf.say(t, b1, "batch", `{"status":"FAILED","error":"`+secretText+` again"}`)
			name, data := e.next()
			if name != "update" || !strings.Contains(data, `"b1"`) {
				t.Errorf("%s %s", name, data)
			}
			shown["update "+path] = &struct{ body string }{data}
		}
	}
	for path, s := range shown {
		if strings.Contains(s.body, secretText) {
			t.Errorf("%s shows the text of a failure: %s", path, s.body)
		}
		if strings.Contains(s.body, "b2") {
			t.Errorf("%s shows another batch: %s", path, s.body)
		}
	}
	var snapshot diagnostics.Snapshot
	if err := json.Unmarshal([]byte(shown[batch+"b1/diagnostics"].body), &snapshot); err != nil || snapshot.Status != "FAILED" || snapshot.BatchName != "Nightly" || len(snapshot.Tiers) != 1 || snapshot.Tiers[0].Progress.ProcessedDocuments != 5 {
		t.Errorf("%v: %+v", err, snapshot)
	}
	if body := shown["/v1/batches"].body; !strings.Contains(body, `"total":1`) || !strings.Contains(body, `"Nightly"`) {
		t.Errorf("%s", body)
	}

	// Nothing else is shown, and what belongs to others looks like what doesn't exist.
	k.status(k.get(batch+"b2/diagnostics", ofBatch...), 404)
	k.status(k.get(batch+"b1/diagnostics", ofLabel...), 404)
	if why := alike(k.get(batch+"b2/diagnostics", ofBatch...), k.get(batch+"b3/diagnostics", ofBatch...)); why != "" {
		t.Errorf("another batch and none: %s", why)
	}
	for path, header := range map[string][]string{
		"/v1/batches": ofBatch, "/v1/batches/stream": ofBatch, batch + "b1/diagnostics/explain": ofBatch, "/v1/health-events": ofLabel, "/v1/namespaces": ofLabel, "/v1/keys": ofLabel,
		"/metrics": ofLabel, "/v1/batches?q=owner": ofLabel, "/v1/batches?label=x:y": ofLabel, "/v1/batches?pipeline=x": ofLabel,
	} {
		if kind := k.problem(k.status(k.get(path, header...), 403)); kind != "public_token" {
			t.Errorf("%s: %s", path, kind)
		}
	}
	k.status(k.do(http.MethodPost, "/v1/public-tokens", strings.NewReader(`{"batch_id":"b1"}`), ofBatch...), 403)
	k.status(k.do(http.MethodPost, "/v1/public-tokens", strings.NewReader(`{"batch_id":"b1"}`), as(reader)...), 403)
	for _, body := range []string{`{}`, `{"batch_id":"b1","label":"a:b"}`, `{"batch_id":"b1","expires_in_seconds":86400}`, `{"batch_id":"b1","role":"admin"}`} {
		k.status(k.do(http.MethodPost, "/v1/public-tokens", strings.NewReader(body), as(writer)...), 400)
	}
	if r := k.status(k.get("/v1/me", ofBatch...), 200); strings.Contains(r.Body.String(), "writer") || !strings.Contains(r.Body.String(), `"access":"public"`) {
		t.Errorf("%s", r.Body)
	}
	if r := k.status(k.get("/v1/me?token="+ofBatch[1][7:]), 401); k.problem(r) != "credential_in_url" {
		t.Errorf("%s", r.Body)
	}

	// A ticket shows no more than the token with which it was asked for. All end with the key.
	asked := k.status(k.do(http.MethodPost, "/v1/stream-tickets", strings.NewReader(`{"path":"/v1/batches/stream"}`), ofLabel...), 201)
	var ticket Ticket
	if err := json.Unmarshal(asked.Body.Bytes(), &ticket); err != nil {
		t.Fatal(err)
	}
	e := open(t, c, base+"/v1/batches/stream?ticket="+ticket.Ticket)
	if _, data := e.next(); strings.Contains(data, secretText) || strings.Contains(data, `"b2"`) || !strings.Contains(data, `"b1"`) {
		t.Errorf("%s", data)
	}
	begun := time.Now()
	if err := k.kv.Delete(t.Context(), "key."+writer[3:15]); err != nil {
		t.Fatal(err)
	}
	e.want("problem", `"credential_ended"`)
	eventually(t, "the token ends with the key", func() string {
		if r := k.get(batch+"b1/diagnostics", ofBatch...); r.Code != http.StatusUnauthorized {
			return fmt.Sprint(r.Code)
		}
		return ""
	})
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("ended after %v", took)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(logged.String(), `what="public token made" id="team-a b1" by=writerxxxxxx`) || strings.Contains(logged.String(), "hwp_") {
		t.Errorf("logged: %s", &logged)
	}
}

// While the bucket can't be reached, public tokens that are known go on as the keys do, and new ones wait.
func TestPublicTokensWithoutNATS(t *testing.T) {
	k := newKeyed(t, nil)
	writer := k.key(access.Wanted{Name: "x", Namespaces: []string{"team-a"}, Roles: []string{"writer"}}, "writer")
	k.shelf.say(t, push.Key{Namespace: "team-a", Name: "b1"}, "batch", `{"status":"PROCESSING"}`)
	known := as(publicToken(k, as(writer), `{"batch_id":"b1"}`))
	k.nats.Shutdown()
	k.status(k.get("/v1/analytics/performance/batches/b1/diagnostics", known...), 200)
	if err := k.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	k.status(k.get("/v1/me", known...), 200)
}
