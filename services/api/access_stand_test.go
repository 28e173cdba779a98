package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/headwaytest"
	"github.com/headwayhq/headway/services/api/access"
	"github.com/headwayhq/headway/services/api/access/accesstest"
)

// keyed is a world with access control: with keys in the bucket of a real NATS.
type keyed struct {
	*world
	test  testing.TB
	nats  *headwaytest.NATSServer
	kv    jetstream.KeyValue
	redis *redis.Client
	keys  *access.Keys
	flags access.Flags

	issuer *accesstest.Issuer // of tokens
}

func newKeyed(t testing.TB, log *slog.Logger, change ...func(*Options)) *keyed {
	t.Helper()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	k := &keyed{test: t, nats: headwaytest.NATS(t)}
	js, err := jetstream.New(k.nats.Conn())
	if err != nil {
		t.Fatal(err)
	}
	k.issuer = accesstest.New(t)
	k.flags = access.Flags{
		Access: "keys", JWT: access.JWTs{Issuers: []string{k.issuer.URL}, Audience: []string{accesstest.Audience}}, Claims: access.Claims{Groups: "groups", Prefix: "headway:"},
	}
	k.keys = access.NewKeys(js, 1, log)
	k.keys.Set(k.flags)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = k.keys.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	<-k.keys.Ready()
	if k.kv, err = js.KeyValue(t.Context(), "headway-access"); err != nil {
		t.Fatal(err)
	}
	url, _ := headwaytest.Redis(t)
	k.redis = redis.NewClient(&redis.Options{Addr: address(t, url)})
	t.Cleanup(func() { _ = k.redis.Close() })
	eventually(t, "the keys of the issuer are known", func() string {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+k.issuer.Token(nil))
		if _, no := k.keys.Authenticate(r); no != nil {
			return no.Detail
		}
		return ""
	})
	k.world = newWorld(t, append(change, func(o *Options) { o.Keys, o.Logger, o.Tickets = k.keys, log, access.NewTickets(k.redis, k.keys) })...)
	return k
}

// key stores a key under an id, whatever its expiry, and waits until it is known.
func (k *keyed) key(w access.Wanted, id string) (text string) {
	k.t.Helper()
	text = fmt.Sprintf("hw_%.12s_%043d", id+"xxxxxxxxxxxx", 1)
	sum := sha256.Sum256([]byte(text))
	roles := make([]access.Role, len(w.Roles))
	for i, r := range w.Roles {
		roles[i] = access.Role(r)
	}
	id = text[3:15]
	value, err := json.Marshal(access.Key{
		ID: id, Name: w.Name, Namespaces: w.Namespaces, Roles: roles, Created: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Expires: w.Expires,
		Secrets: []access.Secret{{Hash: sum[:]}},
	})
	if err != nil {
		k.t.Fatal(err)
	}
	if _, err := k.kv.Put(k.t.Context(), "key."+id, value); err != nil {
		k.t.Fatal(err)
	}
	r, _ := http.NewRequestWithContext(k.t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+text)
	eventually(k.test, "the key is known", func() string {
		if _, no := k.keys.Authenticate(r); no != nil && no.Kind != "credential_expired" {
			return no.Detail
		}
		return ""
	})
	return text
}

// as is the header of a request with a key.
func as(key string) []string { return []string{"Authorization", "Bearer " + key} }

// signedIn are the headers of a page of this server that has signed in with a key.
func (k *keyed) signedIn(key string) []string {
	k.t.Helper()
	r := k.status(k.do(http.MethodPost, "/v1/session", strings.NewReader(`{"key":"`+key+`"}`), ownPage...), 200)
	return append([]string{"Cookie", r.Result().Cookies()[0].Name + "=" + r.Result().Cookies()[0].Value}, ownPage...)
}

// ownPage is what a browser says about a request of a page of this server.
var ownPage = []string{"Sec-Fetch-Site", "same-origin"}
