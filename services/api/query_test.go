package api

import (
	"net/http"
	"strings"
	"testing"
)

// A query that can't be parsed is refused on every route, because the ignored part might be the namespace.
func TestQueryThatDoesNotParse(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	for _, q := range []string{"namespace=a;namespace=b", "namespace=default;x", "a=%zz", "%", "namespace=%2"} {
		for _, r := range w.svc.echo.Routes() {
			path := strings.ReplaceAll(strings.ReplaceAll(r.Path, ":batch_id", one1.Name), "*", "x")
			rec := w.do(r.Method, path+"?"+q, nil)
			if rec.Code != http.StatusBadRequest || r.Method != http.MethodHead && w.problem(rec) != "validation_error" {
				t.Errorf("%s %s?%s: %d %s", r.Method, path, q, rec.Code, rec.Body)
			}
		}
	}
	w.status(w.get("/v1/batches?namespace=default&"), 200)
}

// A parameter that a list doesn't have is refused, with the nearest that it has; the compatible route takes any.
func TestUnknownParameters(t *testing.T) {
	w := newWorld(t)
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	for target, want := range map[string]string{
		"/v1/batches?satus=FAILED":                 "satus: isn't a parameter of this route; status?",
		"/v1/batches?Status=FAILED":                "Status: isn't a parameter of this route; status?",
		"/v1/batches?created_befor=x":              "created_before?",
		"/v1/batches?zzz=1":                        "zzz: isn't a parameter of this route, which has namespace, status,",
		"/v1/batches?limit=1&x%1b%5B31m=1":         `x\u001b[31m: isn't`,
		"/v1/batches?%c2%9b31m=1":                  `\u009b31m: isn't`,
		"/v1/batches?ids=a":                        "ids: isn't",
		"/v1/batches?=1":                           "isn't a parameter",
		"/v1/batches?" + strings.Repeat("y", 9000): "yyy…: isn't",
		"/v1/batches/stream?id=a":                  "id: isn't a parameter of this route; ids?",
		"/v1/batches/stream?status=FAILED":         "status: isn't",
	} {
		r := w.status(w.get(target), 400)
		if w.problem(r) != "validation_error" || !strings.Contains(r.Body.String(), want) {
			t.Errorf("%.40s: %s", target, r.Body)
		}
	}
	w.status(w.get("/v1/batches?namespace=default&status=FAILED&limit=3&sort=need&q=x"), 200)
	w.status(w.get(url(one1)+"&satus=1"), 200)
}
