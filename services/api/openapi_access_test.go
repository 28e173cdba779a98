package api

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/services/api/access"
)

var parameter = regexp.MustCompile(`:([a-z_]+)`)

// inBraces is a path of the router as the description writes it.
func inBraces(path string) string { return parameter.ReplaceAllString(path, "{$1}") }

// describeAccess adds to each operation what it needs, as the table of routes says, and the answers of those who check it.
func describeAccess(t *testing.T, doc map[string]any) {
	t.Helper()
	for _, r := range newWorld(t).svc.table() {
		item, _ := doc["paths"].(map[string]any)[inBraces(r.path)].(map[string]any)
		operation, _ := item[strings.ToLower(r.method)].(map[string]any)
		if operation == nil {
			continue // the page; TestOpenAPIRoutes finds what is missing
		}
		responses := operation["responses"].(map[string]any)
		add := func(status, response string) {
			if responses[status] == nil {
				responses[status] = map[string]any{"$ref": "#/components/responses/" + response}
			}
		}
		add("421", "Misdirected")
		if unsafe := r.method != http.MethodGet && r.method != http.MethodOptions; unsafe || r.needs > access.Known {
			add("403", "Forbidden")
		}
		if r.needs == access.Anybody {
			operation["security"] = []any{}
			continue
		}
		operation["x-access"] = r.needs.String()
		add("401", "Unauthorized")
		add("429", "TooMany")
		add("503", "Unavailable")
		if item["parameters"] != nil && !strings.HasPrefix(r.path, "/v1/keys") {
			add("404", "NotFound") // of a namespace that isn't the caller's
		}
	}
}

// guarded is the answer of the guard to a page of an attacker.
func guarded(method, host string) map[string]any {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, "/v1/events", nil)
	r.Host = host
	r.Header.Set("Origin", "https://evil.example")
	access.Flags{}.Guard("127.0.0.1:8080", nil)(http.NotFoundHandler()).ServeHTTP(w, r)
	return example(w.Body.Bytes())
}

// accessProblems are answers to those who may not do what they want.
func accessProblems(t *testing.T) (unauthorized, forbidden, keys map[string]any) {
	t.Helper()
	bodyOf := func(r *httptest.ResponseRecorder) map[string]any { return example(r.Body.Bytes()) }
	k := newKeyed(t, nil)
	writer := k.key(access.Wanted{Name: "nightly", Namespaces: []string{"team-a"}, Roles: []string{"writer"}}, "nightly0writ")
	old := k.key(access.Wanted{Name: "old", Namespaces: []string{"team-a"}, Roles: []string{"reader"}, Expires: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, "old00000read")
	unauthorized = map[string]any{
		"credential_missing": bodyOf(k.get("/v1/batches")), "credential_invalid": bodyOf(k.get("/v1/batches", "Authorization", "Bearer x")),
		"credential_expired": bodyOf(k.get("/v1/batches", "Authorization", "Bearer "+old)), "credential_in_url": bodyOf(k.get("/v1/me?token=x")),
	}
	forbidden = map[string]any{
		"role_missing": bodyOf(k.get("/v1/batches", "Authorization", "Bearer "+writer)),
		"cross_origin": guarded(http.MethodPost, "127.0.0.1:8080"),
	}
	w := newWorld(t)
	return unauthorized, forbidden, map[string]any{"access_off": bodyOf(w.get("/v1/keys"))}
}
