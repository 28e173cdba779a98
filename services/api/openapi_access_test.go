package api

import (
	"net/http"
	"net/http/httptest"

	"github.com/headwayhq/headway/services/api/access"
)

// describeAccess adds to each operation the answers of what stands in front of it, so that none can be forgotten.
func describeAccess(doc map[string]any) {
	for _, item := range doc["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			responses := operation.(map[string]any)["responses"].(map[string]any)
			add := func(status, response string) {
				responses[status] = map[string]any{"$ref": "#/components/responses/" + response}
			}
			add("421", "Misdirected")
			if method != "get" && method != "options" {
				add("403", "Forbidden")
			}
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
