package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// expiring is an API whose keys end while a stream is open: after two revisions each.
type expiring struct {
	keys     []string // in the order in which they are accepted
	revision int64
	asked    []string // Authorization and Last-Event-ID of each request
}

func (x *expiring) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	credential := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	x.asked = append(x.asked, credential+" "+r.Header.Get("Last-Event-ID"))
	if len(x.keys) == 0 || credential != x.keys[0] {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprint(w, `{"status":401,"error":{"type":"credential_invalid","message":"It isn't known."}}`)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for range 2 {
		x.revision++
		writeSnapshot(w, "update", x.revision)
	}
	if x.keys = x.keys[1:]; len(x.keys) == 0 {
		writeSnapshot(w, "end", x.revision)
		return
	}
	_, _ = fmt.Fprint(w, "event: problem\ndata: {\"status\":401,\"error\":{\"type\":\"credential_ended\",\"message\":\"It was revoked.\"}}\n\n")
}

// When the credential of a stream ends, a watch asks for another one and goes on after the last event. The function learns which one ended.
func TestCredentialEndsUnderAWatch(t *testing.T) {
	x := &expiring{keys: []string{"a", "b", "c"}}
	server := httptest.NewServer(x)
	defer server.Close()
	held := "a"
	var told []string
	r, err := NewReader(ReaderOptions{URL: server.URL, FirstRetry: time.Millisecond, Token: func(ctx context.Context) (string, error) {
		if refused := RefusedCredential(ctx); refused == held { // it keeps what it has until that is refused
			told = append(told, refused)
			held = string(rune(held[0] + 1))
		}
		return held, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for s, err := range r.Watch(t.Context(), "b") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, s.View.Revision)
	}
	if !slices.Equal(got, []uint64{1, 2, 3, 4, 5, 6}) || !slices.Equal(told, []string{"a", "b"}) {
		t.Errorf("got %v, told that %v ended", got, told)
	}
	if want := []string{"a ", "b id_1-1-2", "c id_1-1-4"}; !slices.Equal(x.asked, want) {
		t.Errorf("asked %q, want %q", x.asked, want)
	}
}

// A fixed credential that has ended is an error that says so, also for a list, and whatever the stream's last event was.
func TestFixedCredentialEnds(t *testing.T) {
	for _, token := range []Token{Key("a"), nil} {
		x := &expiring{keys: []string{"a", "b"}}
		server := httptest.NewServer(x)
		if token == nil {
			x.keys[0] = ""
		}
		r, err := NewReader(ReaderOptions{URL: server.URL, FirstRetry: time.Millisecond, Token: token})
		if err != nil {
			t.Fatal(err)
		}
		var last error
		n := 0
		for _, err := range r.Watch(t.Context(), "b") {
			if last = err; err == nil {
				n++
			}
		}
		var status *StatusError
		if !errors.As(last, &status) || status.Kind != KindEnded || status.Status != http.StatusUnauthorized || status.Detail != "It was revoked." || n != 2 {
			t.Errorf("%d snapshots, then %v", n, last)
		}
		if len(x.asked) > 2 {
			t.Errorf("asked %q", x.asked)
		}
		for _, err := range r.WatchList(t.Context()) {
			if !errors.As(err, &status) || status.Kind != KindInvalid {
				t.Errorf("list: %v", err)
			}
		}
		server.Close()
	}
}

// A refused credential is asked for once more, by every request. The one that was refused isn't sent again.
func TestRefusedOnce(t *testing.T) {
	sent := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sent++; r.Header.Get("Authorization") != "Bearer good" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprint(w, `{"access":"key","id":"4wZk2QeXb0Pm","name":"nightly","roles":["reader"],"namespaces":["a","b*"],"limits":{"streams":3}}`)
	}))
	defer server.Close()
	for _, c := range []struct {
		tokens []string
		sent   int
		ok     bool
	}{
		{[]string{"good"}, 1, true}, {[]string{"old", "good"}, 2, true}, {[]string{"old", "old", "good"}, 1, false}, {[]string{"old", "older", "good"}, 2, false},
		{[]string{"old"}, 1, false}, // and then the function fails
	} {
		sent = 0
		i := 0
		r, err := NewReader(ReaderOptions{URL: server.URL, Token: func(context.Context) (string, error) {
			if i++; i > len(c.tokens) {
				return "", errors.New("no more")
			}
			return c.tokens[i-1], nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		me, err := r.Me(t.Context())
		if sent != c.sent || (err == nil) != c.ok || c.ok && (me.Name != "nightly" || string(me.Limits) != `{"streams":3}`) {
			t.Errorf("%v: %d requests, %+v, %v", c.tokens, sent, me, err)
		}
	}
}

// An error says what was refused, and what to do.
func TestWhatWasRefused(t *testing.T) {
	for _, c := range []struct {
		e    StatusError
		says string
	}{
		{StatusError{Status: 401, Kind: KindMissing, Detail: "This needs a credential."}, "401 credential_missing: This needs a credential. Set the option Token."},
		{StatusError{Status: 401, Kind: KindExpired, Detail: "It expired."}, "It expired. Let the option Token"},
		{StatusError{Status: 403, Kind: KindRole, Detail: "This needs admin."}, "This needs admin. Use a credential"},
		{StatusError{Status: 404, Kind: KindNotFound, Detail: "No such batch."}, "The option Namespace"},
		{StatusError{Status: 429, Kind: "too_many_streams", Detail: "Too many.", RetryAfter: 5 * time.Second}, "Too many. Try again in 5s."},
		{StatusError{Status: 503, Kind: KindUnchecked, Detail: "They can't be checked.", RetryAfter: 2 * time.Second}, "Try again in 2s."},
	} {
		if text := c.e.Error(); !strings.Contains(text, c.says) {
			t.Errorf("%q, want %q", text, c.says)
		}
	}
}
