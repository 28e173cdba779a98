package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/headwaytest"
	"github.com/headwayhq/headway/services/api/access/accesstest"
)

// follow runs the keys of one process.
func follow(t *testing.T, server *headwaytest.NATSServer) *Keys {
	t.Helper()
	return followFor(t, server, Flags{})
}

// followFor does the same with other flags.
func followFor(t *testing.T, server *headwaytest.NATSServer, flags Flags) *Keys {
	t.Helper()
	k, err := Open(server.Conn(), 1, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	k.Set(flags)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = k.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	<-k.Ready()
	return k
}

func eventually(t *testing.T, within time.Duration, what string, condition func() string) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(5 * time.Millisecond) { // between two looks; the condition decides
		why := condition()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %s", what, within, why)
		}
	}
}

// says waits until the answer to a key is of a kind; "": it is accepted.
func says(t *testing.T, k *Keys, key, kind string) (p *Principal) {
	t.Helper()
	eventually(t, 15*time.Second, "the answer is "+kind, func() string {
		var no *Refusal
		if p, no = k.find(key, time.Now()); no == nil && kind != "" {
			return "accepted"
		} else if no != nil && no.Kind != kind {
			return no.Kind
		}
		return ""
	})
	return p
}

func wanted(namespaces, roles string) Wanted {
	return Wanted{Name: "test", Namespaces: strings.Split(namespaces, ","), Roles: strings.Split(roles, ",")}
}

func TestKeyLooksAsDescribed(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := random(idLength, 9)
		text, hash := makeKey(id)
		if got, ok := idOf(keyPrefix, text); !ok || got != id || len(hash) != 32 || seen[text] || strings.Trim(text[len(text)-secretSize:], base62) != "" {
			t.Fatal(text)
		}
		seen[text] = true
	}
	for _, bad := range []string{"", "hw_", "hw__", strings.Repeat("x", 59), "hw_" + strings.Repeat("a", 12) + "-" + strings.Repeat("b", 43)} {
		if _, ok := idOf(keyPrefix, bad); ok {
			t.Errorf("%q looks like a key", bad)
		}
	}
}

// A key made by one process is accepted by all, and what is stored can't be used as one. Revoked by one, it is refused by all within
// seconds, and what it opened ends.
func TestKeysOfTwoProcesses(t *testing.T) {
	server := headwaytest.NATS(t)
	a, b := follow(t, server), follow(t, server)
	made, text, err := a.Create(t.Context(), Everybody(), wanted("team-a", "writer"))
	if err != nil {
		t.Fatal(err)
	}
	if p, no := a.find(text, time.Now()); no != nil || p.ID != made.ID {
		t.Fatalf("not accepted at once where it was made: %v", no)
	}
	p := says(t, b, text, "")
	if p.May(Send) != nil || p.May(Read) == nil || !p.Namespaces.Has("team-a") || p.Namespaces.Has("team-b") {
		t.Errorf("%+v", p)
	}
	during, done := p.During(t.Context())
	defer done()
	kv, err := a.bucket(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stored, err := kv.Get(t.Context(), keysUnder+made.ID)
	if err != nil || strings.Contains(string(stored.Value()), text[len(text)-secretSize:]) {
		t.Fatalf("%v: %s", err, stored.Value())
	}
	if list, _ := json.Marshal(a.List(Everybody())); strings.Contains(string(list), text[len(text)-secretSize:]) {
		t.Errorf("a list has the secret: %s", list)
	}
	if _, err := b.Revoke(t.Context(), Everybody(), made.ID); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	<-during.Done()
	says(t, a, text, "credential_invalid")
	says(t, b, text, "credential_invalid")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("revoked after %v", took)
	}
	if why := Ended(during); why == nil || why.Kind != "credential_ended" {
		t.Errorf("ended for another reason: %v", why)
	}
	if _, err := a.Revoke(t.Context(), Everybody(), made.ID); !errors.Is(err, ErrNoKey) {
		t.Errorf("revoked twice: %v", err)
	}
}

func TestRotation(t *testing.T) {
	k := follow(t, headwaytest.NATS(t))
	made, first, err := k.Create(t.Context(), Everybody(), wanted("team-*", "reader"))
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := k.Rotate(t.Context(), Everybody(), made.ID, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	old, fresh := says(t, k, first, ""), says(t, k, second, "")
	ofOld, doneOld := old.During(t.Context())
	defer doneOld()
	ofFresh, doneFresh := fresh.During(t.Context())
	defer doneFresh()
	<-ofOld.Done() // at the end of the overlap
	says(t, k, first, "credential_expired")
	if ofFresh.Err() != nil || Ended(ofOld).Kind != "credential_expired" {
		t.Errorf("%v, %v", ofFresh.Err(), Ended(ofOld))
	}
	if _, _, err = k.Rotate(t.Context(), Everybody(), made.ID, 0); err != nil {
		t.Fatal(err)
	}
	<-ofFresh.Done()
	says(t, k, second, "credential_invalid")
}

func TestExpiry(t *testing.T) {
	k := follow(t, headwaytest.NATS(t))
	w := wanted("*", "admin")
	w.Expires = time.Now().Add(2 * time.Second)
	_, text, err := k.Create(t.Context(), Everybody(), w)
	if err != nil {
		t.Fatal(err)
	}
	p := says(t, k, text, "")
	during, done := p.During(t.Context())
	defer done()
	<-during.Done()
	if why := Ended(during); why == nil || why.Kind != "credential_expired" {
		t.Errorf("%v", why)
	}
	says(t, k, text, "credential_expired")
	if _, no := k.find(text[:len(text)-1]+"\x00", time.Now()); no == nil || no.Kind != "credential_invalid" {
		t.Errorf("who hasn't the secret learns that it has expired: %v", no)
	}
}

// While NATS can't be reached, known keys go on for a stated time, unknown ones are told to wait, and nothing is ever open.
func TestWithoutNATS(t *testing.T) {
	server := headwaytest.NATS(t)
	k := follow(t, server)
	_, known, err := k.Create(t.Context(), Everybody(), wanted("team-a", "reader"))
	if err != nil {
		t.Fatal(err)
	}
	unknown, _ := makeKey("unknownxxxxx")
	says(t, k, unknown, "credential_invalid")
	server.Shutdown()
	says(t, k, unknown, "access_unavailable")
	says(t, k, known, "")
	if _, no := k.find(known, time.Now().Add(knownFor+freshFor)); no != errUnsure {
		t.Errorf("a known key after %v: %v", knownFor, no)
	}
	server.Restart()
	says(t, k, unknown, "credential_invalid")
	says(t, k, known, "")
}

// A bucket that is deleted has no keys: it is made anew, and what was known is refused.
func TestBucketIsDeleted(t *testing.T) {
	server := headwaytest.NATS(t)
	k := follow(t, server)
	_, text, err := k.Create(t.Context(), Everybody(), wanted("team-a", "reader"))
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(server.Conn())
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteKeyValue(t.Context(), bucketName); err != nil {
		t.Fatal(err)
	}
	says(t, k, text, "credential_invalid")
	if _, text, err = k.Create(t.Context(), Everybody(), wanted("team-a", "reader")); err != nil {
		t.Fatal(err)
	}
	says(t, k, text, "")
}

// Among any number of processes that start at once, one makes the first key; later ones make none.
func TestFirstKey(t *testing.T) {
	server := headwaytest.NATS(t)
	var mu sync.Mutex
	var made []string
	var wg sync.WaitGroup
	k, err := Open(server.Conn(), 1, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		wg.Go(func() {
			text, err := k.First(t.Context())
			if err != nil {
				t.Error(err)
			}
			if text != "" {
				mu.Lock()
				made = append(made, text)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(made) != 1 {
		t.Fatalf("%d first keys", len(made))
	}
	if text, err := k.First(t.Context()); text != "" || err != nil {
		t.Errorf("another one: %v", err)
	}
	p := says(t, follow(t, server), made[0], "")
	if p.May(Manage) != nil || !p.Namespaces.All() {
		t.Errorf("%+v", p)
	}
}

// Who manages some namespaces can't make, see or change keys of others.
func TestManagersOfNamespaces(t *testing.T) {
	k := follow(t, headwaytest.NATS(t))
	_, text, err := k.Create(t.Context(), Everybody(), wanted("team-a,lab-*", "admin"))
	if err != nil {
		t.Fatal(err)
	}
	by := says(t, k, text, "")
	for set, ok := range map[string]bool{"team-a": true, "lab-*": true, "lab-1": true, "lab-x*": true, "team-a,lab-2": true, "*": false, "team-b": false, "team-*": false, "la*": false, "team-a,team-b": false} {
		_, _, err := k.Create(t.Context(), by, wanted(set, "reader"))
		var invalid *InvalidError
		if ok != (err == nil) || !ok && !errors.As(err, &invalid) {
			t.Errorf("%s: %v", set, err)
		}
	}
	foreign, _, err := k.Create(t.Context(), Everybody(), wanted("team-b", "reader"))
	if err != nil {
		t.Fatal(err)
	}
	_, revoked := k.Revoke(t.Context(), by, foreign.ID)
	_, _, rotated := k.Rotate(t.Context(), by, foreign.ID, 0)
	if !errors.Is(revoked, ErrNoKey) || !errors.Is(rotated, ErrNoKey) {
		t.Errorf("%v, %v", revoked, rotated)
	}
	if slices.ContainsFunc(k.List(by), func(l Listed) bool { return l.ID == foreign.ID }) || len(k.List(by)) != 6 {
		t.Errorf("listed: %v", k.List(by))
	}
}

func TestWantedIsChecked(t *testing.T) {
	now := time.Now()
	for field, w := range map[string]Wanted{
		"name":       {Name: " ", Namespaces: []string{"a"}, Roles: []string{"reader"}},
		"namespaces": {Name: "x", Namespaces: []string{"a.b"}, Roles: []string{"reader"}},
		"roles":      {Name: "x", Namespaces: []string{"a"}, Roles: []string{"root"}},
		"expires_at": {Name: "x", Namespaces: []string{"a"}, Roles: []string{"reader"}, Expires: now},
	} {
		_, err := w.check(now)
		var invalid *InvalidError
		if !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, w := range []Wanted{{Name: "x", Roles: []string{"reader"}}, {Name: "x", Namespaces: []string{"a"}}, {Name: "x\n", Namespaces: []string{"**"}, Roles: []string{"reader"}}} {
		if _, err := w.check(now); err == nil {
			t.Errorf("accepted: %+v", w)
		}
	}
}

func TestCredentialsOfRequests(t *testing.T) {
	k := follow(t, headwaytest.NATS(t))
	_, text, err := k.Create(t.Context(), Everybody(), wanted("a", "reader"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ header, query, kind string }{
		{"Bearer " + text, "", ""},
		{"bearer  " + text + " ", "", ""},
		{"", "", "credential_missing"},
		{"", "access_token=" + text, "credential_in_url"},
		{"", "token=x", "credential_in_url"},
		{text, "", "credential_invalid"},
		{"Basic " + text, "", "credential_invalid"},
		{"Bearer", "", "credential_invalid"},
		{"Bearer " + text[1:], "", "credential_invalid"},
		{"Bearer " + text + "x", "", "credential_invalid"},
		{"Bearer " + strings.Repeat("x", 1<<16), "", "credential_invalid"},
	} {
		r, _ := http.NewRequest(http.MethodGet, "/?"+c.query, nil)
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		_, no := k.Authenticate(r)
		if got := kindOf(no); got != c.kind {
			t.Errorf("%.40q, %.40q: %q, want %q", c.header, c.query, got, c.kind)
		}
	}
}

func kindOf(no *Refusal) string {
	if no == nil {
		return ""
	}
	return no.Kind
}

// BenchmarkWrongKey prints what a wrong key costs beside a right one: about the same, and little.
func BenchmarkWrongKey(b *testing.B) {
	k := NewKeys(nil, 1, slog.New(slog.DiscardHandler))
	all := map[string]*held{}
	var right string
	for range 10_000 {
		id := random(idLength, 9)
		text, hash := makeKey(id)
		all[id] = &held{secrets: []heldSecret{newSecret(hash, newPrincipal(Principal{ID: id}))}}
		right = text
	}
	k.publish(all)
	k.fresh.Store(time.Now().Add(time.Hour).UnixNano())
	wrongSecret, unknown := right[:len(right)-1]+"-", right[:5]+"-------"+right[12:]
	for name, text := range map[string]string{"right": right, "wrong-secret": wrongSecret, "unknown-id": unknown} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, no := k.find(text, time.Now()); (no == nil) != (name == "right") {
					b.Fatal(fmt.Sprint(no))
				}
			}
		})
	}
}

// BenchmarkCredentials prints what each kind of credential costs, once it is known, beside a key.
func BenchmarkCredentials(b *testing.B) {
	k := NewKeys(nil, 1, slog.New(slog.DiscardHandler))
	secret := []byte("secret")
	k.secret.Store(&secret)
	k.fresh.Store(time.Now().Add(time.Hour).UnixNano())
	id := random(idLength, 9)
	key, hash := makeKey(id)
	p := newPrincipal(Principal{ID: id, Roles: []Role{Admin}, Namespaces: Namespaces{"*"}})
	k.publish(map[string]*held{id: {secrets: []heldSecret{newSecret(hash, p)}}})
	public, _, err := k.MakePublic(b.Context(), p, "team-a", WantedToken{Batch: "b1"})
	if err != nil {
		b.Fatal(err)
	}
	session, sessionHash := makeSecret(sessionPrefix, id)
	k.sessions.held.Store(id, newSession(id, Session{Hash: sessionHash, Key: id, KeyHash: hash, Seen: time.Now(), Expires: time.Now().Add(time.Hour)}, 1))
	issuer := accesstest.New(b)
	k.tokens = newTokens(JWTs{Issuers: []string{issuer.URL}, Audience: []string{accesstest.Audience}}, Claims{Groups: "groups", Prefix: "headway:"}, k.log)
	if err := k.tokens.issuers[issuer.URL].open(b.Context()); err != nil {
		b.Fatal(err)
	}
	bearer := func(text string) *http.Request {
		r := withCookie("")
		r.Header.Set("Authorization", "Bearer "+text)
		return r
	}
	for name, r := range map[string]*http.Request{"key": bearer(key), "session": withCookie(session), "public": bearer(public), "token": bearer(issuer.Token(nil))} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, no := k.Authenticate(r); no != nil {
					b.Fatal(no)
				}
			}
		})
	}
	b.Run("token-unseen", func(b *testing.B) {
		text := issuer.Token(nil)
		for b.Loop() {
			if _, no := k.tokens.verify(text); no != nil {
				b.Fatal(no)
			}
		}
	})
}

// While the bucket changes all the time, its end is never seen at the moment when one asks for it. What was its end a moment ago is.
func TestProgressUnderSteadyChanges(t *testing.T) {
	k := NewKeys(nil, 1, slog.New(slog.DiscardHandler))
	f := follower{keys: k, began: true}
	now := time.Now()
	for i := range uint64(20) {
		if !f.progress(100*i+100, now.Add(time.Duration(i)*time.Second)) {
			t.Fatalf("given up at check %d", i)
		}
		f.seen = 100*i + 100 // seen before the next check, but more has been stored then
	}
	if fresh := time.Unix(0, k.fresh.Load()); fresh.Before(now.Add(15 * time.Second)) {
		t.Errorf("known as of %v after the first of 20 checks", fresh.Sub(now))
	}
	stalled := follower{keys: k, began: true, seen: 5}
	checks := 0
	for stalled.progress(uint64(10+checks), now) {
		if checks++; checks > 10 {
			t.Fatal("a watch that brings nothing goes on")
		}
	}
}
