package api

import (
	"net/http"
	"testing"
	"time"
)

// A sender of CloudEvents asks for permission with OPTIONS before it delivers. A browser's preflight and a plain OPTIONS request
// are something else.
func TestWebhookHandshake(t *testing.T) {
	w := newWorld(t)
	ask := func(path string, header ...string) http.Header {
		t.Helper()
		r := w.do(http.MethodOptions, path, nil, header...)
		want := http.StatusNoContent
		if r.Header().Get("Webhook-Allowed-Origin") != "" {
			want = http.StatusOK
		}
		if r.Code != want || r.Body.Len() > 0 {
			t.Fatalf("%s %v: %d %s", path, header, r.Code, r.Body)
		}
		return r.Header()
	}
	const origin = "eventemitter.example.com"
	for _, header := range [][]string{
		{"WebHook-Request-Origin", origin},
		{"WebHook-Request-Origin", origin, "WebHook-Request-Rate", "120"},
		{"WebHook-Request-Origin", origin, "WebHook-Request-Callback", "https://example.com/confirm", "Origin", "https://example.com"},
	} {
		h := ask("/v1/events?namespace=teamA", header...)
		if h.Get("Webhook-Allowed-Origin") != origin || h.Get("Webhook-Allowed-Rate") != "*" || h.Get("Allow") != "OPTIONS, POST" {
			t.Errorf("%v: %v", header, h)
		}
	}
	for _, header := range [][]string{
		nil,
		{"Origin", "https://example.com", "Access-Control-Request-Method", "POST"},
		{"Origin", "https://example.com", "Access-Control-Request-Method", "POST", "WebHook-Request-Origin", origin},
	} {
		h := ask("/v1/events", header...)
		if h.Get("Webhook-Allowed-Origin") != "" || h.Get("Access-Control-Allow-Origin") != "" || h.Get("Allow") != "OPTIONS, POST" {
			t.Errorf("%v: %v", header, h)
		}
	}
	// A route that takes no events permits none.
	if h := ask("/v1/batches", "WebHook-Request-Origin", origin); h.Get("Webhook-Allowed-Origin") != "" || h.Get("Allow") == "" {
		t.Error(h)
	}
	if code, _ := w.post(structuredType, eventJSON("e1", "b1", "batch", `{"status":"PROCESSING"}`, time.Now()), "WebHook-Request-Origin", origin); code != http.StatusAccepted {
		t.Error("a delivery after the handshake", code)
	}
}
