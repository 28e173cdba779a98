package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// receiver is an API that stores events: all of a request, or none.
type receiver struct {
	mu       sync.Mutex
	stored   map[string]int // id → how often
	requests int
	refuses  func(r *http.Request, n int) (status int, body string) // 0: it doesn't
}

func (v *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.requests++
	var events []struct{ ID, Subject string }
	if err := json.NewDecoder(r.Body).Decode(&events); err != nil || r.Header.Get("Content-Type") != "application/cloudevents-batch+json" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	status, body := 0, ""
	if v.refuses != nil {
		status, body = v.refuses(r, len(events))
	}
	var refused []string
	for i, e := range events {
		if e.Subject == "poison" {
			refused = append(refused, fmt.Sprintf(`{"index":%d,"field":"data","reason":"is poison"}`, i))
		}
	}
	if len(refused) > 0 && status == 0 {
		status, body = http.StatusBadRequest, `{"status":400,"error":{"type":"invalid_events","message":"Refused.","details":{"errors":[`+strings.Join(refused, ",")+`]}}}`
	}
	if status != 0 {
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
		return
	}
	for _, e := range events {
		v.stored[r.Header.Get("X-Namespace")+"/"+e.ID]++
	}
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprintf(w, `{"accepted":%d,"last_sequence":1}`, len(events))
}

// times returns how often an event was stored.
func (v *receiver) times(id string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.stored[id]
}

func posting(t *testing.T, v *receiver, token Token, o Options) *Client {
	t.Helper()
	v.stored = map[string]int{}
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	c, err := Post(HTTP{URL: server.URL, Token: token}, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Whatever goes wrong on the way, each event is acknowledged once it is stored, a refused one is refused alone, and what is queued
// together travels together.
func TestPost(t *testing.T) {
	const events = 2000
	v := &receiver{}
	v.refuses = func(r *http.Request, n int) (int, string) {
		switch {
		case r.Header.Get("Authorization") == "Bearer old":
			return http.StatusUnauthorized, ""
		case n > 100:
			return http.StatusRequestEntityTooLarge, ""
		case v.requests%5 == 0:
			return http.StatusServiceUnavailable, ""
		}
		return 0, ""
	}
	token := "old"
	c := posting(t, v, func(ctx context.Context) (string, error) {
		if RefusedCredential(ctx) == token {
			token = "new"
		}
		return token, nil
	}, Options{Namespace: "team-a"})
	acks := make([]*Ack, events)
	for i := range acks {
		batch := "b"
		if i%500 == 7 {
			batch = "poison"
		}
		e := TierProgress(batch, 0, int64(i), events)
		e.ID = fmt.Sprint(i)
		var err error
		if acks[i], err = c.PublishAsync(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for i, a := range acks {
		err := a.Wait(t.Context())
		var rejection *diagnostics.Rejection
		if i%500 == 7 {
			if !errors.As(err, &rejection) || rejection.Reason != "is poison" {
				t.Errorf("event %d: %v", i, err)
			}
		} else if n := v.times("team-a/" + fmt.Sprint(i)); err != nil || n != 1 {
			t.Errorf("event %d: %v, stored %d times", i, err, n)
		}
	}
	if v.requests > events/4 {
		t.Errorf("%d requests for %d events", v.requests, events)
	}
}

// What no retry can mend is returned as it was told, and the end of a context or of the patience ends the retries.
func TestPostRefused(t *testing.T) {
	v := &receiver{refuses: func(r *http.Request, _ int) (int, string) {
		if r.Header.Get("X-Namespace") == "busy" {
			return http.StatusTooManyRequests, `{"error":{"type":"events_per_second","message":"Too many events of this key."}}`
		}
		return http.StatusForbidden, `{"error":{"type":"role_missing","message":"This needs writer or admin."}}`
	}}
	c := posting(t, v, Key("k"), Options{})
	var status *StatusError
	if err := c.Publish(t.Context(), BatchStatus("b", "PROCESSING")); !errors.As(err, &status) || status.Kind != KindRole || v.requests != 1 {
		t.Errorf("%v after %d requests", err, v.requests)
	}
	busy := posting(t, v, Key("k"), Options{Namespace: "busy", MaxElapsed: 200 * time.Millisecond})
	err := busy.Publish(t.Context(), BatchStatus("b", "PROCESSING"))
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &status) || status.Kind != "events_per_second" {
		t.Errorf("busy: %v", err)
	}
	for _, data := range []string{"", "}", `{"a":1}]`} {
		if err := c.PublishRaw(t.Context(), "headway.events.default.b.batch", nil, []byte(data)); err != nil {
			t.Fatal(err)
		}
		if err := c.Flush(t.Context()); !errors.Is(err, ErrRejected) {
			t.Errorf("%q: %v", data, err)
		}
	}
	if _, err := Post(HTTP{URL: "nats://x"}, Options{}); err == nil {
		t.Error("an address of NATS was taken")
	}
}
