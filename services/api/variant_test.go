package api

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func object(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(body, &out); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return out
}

func TestFields(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	whole := w.get(url(one1))
	r := w.status(w.get(url(one1)+"&fields=status,batch_id&fields=health"), 200)
	if got := r.Body.String(); got != `{"batch_id":"b1","status":"PROCESSING","health":"scaling"}` {
		t.Error(got)
	}
	if r.Header().Get("ETag") == whole.Header().Get("ETag") {
		t.Error("a part has the entity tag of the whole")
	}
	if again := w.get(url(one1)+"&fields=health,batch_id,status", "If-None-Match", r.Header().Get("ETag")); again.Code != 304 {
		t.Error("the same fields in another order: ", again.Code)
	}
	bad := w.status(w.get(url(one1)+"&fields=status,helth"), 400)
	if !strings.Contains(bad.Body.String(), `helth`) || w.problem(bad) != "validation_error" {
		t.Error(bad.Body)
	}
	w.status(w.get(explainURL()+"&fields=health,rule"), 200)
	w.status(w.get(explainURL()+"&fields=tiers_offset"), 400)
}

func explainURL() string {
	return strings.Replace(url(one1), "/diagnostics", "/diagnostics/explain", 1)
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	for n := range 7 {
		w.shelf.say(t, one1, "tier", fmt.Sprintf(`{"tier_num":%d,"status":"PENDING"}`, n))
		w.shelf.say(t, one1, "collection", fmt.Sprintf(`{"collection_id":"c%d"}`, n))
	}
	s := object(t, w.status(w.get(url(one1)+"&tiers_offset=2&tiers_limit=3&collections_offset=6"), 200).Body.Bytes())
	tiers, collections := s["tiers"].([]any), s["collections"].([]any)
	if len(tiers) != 3 || tiers[0].(map[string]any)["tier_num"] != 2.0 || len(collections) != 1 || s["total_tiers"] != 7.0 {
		t.Errorf("%v %v", tiers, collections)
	}
	if got := fmt.Sprint(s["page"]); got != "map[collections:map[limit:0 offset:6 total:7] tiers:map[limit:3 offset:2 total:7]]" {
		t.Error(got)
	}
	for _, bad := range []string{"tiers_limit=0", "tiers_offset=-1", "collections_limit=x", "collections_offset=10001", "tiers_limit=1&tiers_limit=2"} {
		r := w.status(w.get(url(one1)+"&"+bad), 400)
		if field, _, _ := strings.Cut(bad, "="); !strings.Contains(r.Body.String(), field) {
			t.Errorf("%s: %s", bad, r.Body)
		}
	}
}

func TestExplain(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	w.shelf.say(t, one1, "job", `{"tier_num":0,"submission_id":"raysubmit_a","status":"PENDING"}`)
	r := w.status(w.get(explainURL()), 200)
	e := object(t, r.Body.Bytes())
	if e["health"] != "scaling" || len(e["steps"].([]any)) < 3 || len(e["not_taken"].([]any)) != 3 || e["next_check"] == nil {
		t.Error(r.Body)
	}
	if again := w.get(explainURL(), "If-None-Match", r.Header().Get("ETag")); again.Code != 304 {
		t.Error(again.Code)
	}
	w.status(w.get(strings.Replace(explainURL(), "b1", "b2", 1)), 404)
	if h := w.do(http.MethodHead, explainURL(), nil); h.Code != 200 || h.Body.Len() != 0 {
		t.Error(h.Code)
	}
}

func TestCompression(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	for range 3 { // until it is kept warm: a cold answer tells its lag anew each time
		w.get(url(one1))
	}
	plain := w.get(url(one1))
	for accept, want := range map[string]bool{
		"gzip": true, "gzip;q=0.5, identity": true, "br, *": true, "gzip;q=0": false, "gzip;q=0, *;q=1": false, "br": false, "": false, "gzip;q=x": false,
	} {
		r := w.get(url(one1), "Accept-Encoding", accept)
		if got := r.Header().Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("%q: compressed %v", accept, got)
			continue
		}
		if want && unzip(t, r) != plain.Body.String() {
			t.Errorf("%q: another answer", accept)
		}
		if r.Header().Get("ETag") != plain.Header().Get("ETag") || r.Header().Get("Content-Length") != fmt.Sprint(r.Body.Len()) {
			t.Errorf("%q: %v", accept, r.Header())
		}
	}
	if r := w.get(url(one1)+"&fields=status", "Accept-Encoding", "gzip"); r.Header().Get("Content-Encoding") != "" {
		t.Error("twenty bytes were compressed")
	}
	for i := range 20 {
		w.shelf.say(t, one1, "batch", fmt.Sprintf(`{"name":"n%d"}`, i))
	}
	if r := w.get("/v1/batches", "Accept-Encoding", "gzip"); r.Header().Get("Content-Encoding") != "" {
		unzip(t, r)
	}
}

func unzip(t *testing.T, r *httptest.ResponseRecorder) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(r.Body.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	for target, allow := range map[string]string{
		url(one1): "GET", explainURL(): "GET", "/v1/batches": "GET", "/v1/events": "POST", "/livez": "GET",
	} {
		r := w.do(http.MethodOptions, target, nil)
		if r.Code != http.StatusNoContent || !strings.Contains(r.Header().Get("Allow"), allow) || !strings.Contains(r.Header().Get("Allow"), "OPTIONS") {
			t.Errorf("%s: %d %v", target, r.Code, r.Header())
		}
		if allow == "GET" && !strings.Contains(r.Header().Get("Allow"), "HEAD") {
			t.Errorf("%s: %s", target, r.Header().Get("Allow"))
		}
	}
	r := w.status(w.do(http.MethodDelete, url(one1), nil), 405)
	if !strings.Contains(r.Header().Get("Allow"), "GET") {
		t.Error(r.Header())
	}
	w.status(w.do(http.MethodOptions, "/nowhere", nil), 404)
}
