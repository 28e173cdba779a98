package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

const (
	publicPrefix = "hwp_"
	signedWith   = "secret.public" // in the bucket
	publicHash   = 8               // bytes of the hash of its maker's key

	maxPublic     = 1024 // bytes
	maxLabel      = 200
	publicAtLeast = time.Minute
	publicAtMost  = 12 * time.Hour
	publicDefault = time.Hour
)

// Scope is what a public token shows: one batch, or the list of those with a label.
type Scope struct {
	Batch string `json:"batch_id,omitempty"` // encoded
	Label string `json:"label,omitempty"`    // key:value
}

// public is what a public token says. It isn't stored: there may be one for each view of a page. It is signed instead, with a secret
// that all processes read from the bucket, and ends with the credential that made it.
type public struct {
	Namespace string `json:"n"`
	Scope
	Expires int64  `json:"e"`           // unix time
	Session string `json:"s,omitempty"` // that made it, else
	Key     string `json:"k,omitempty"`
	Hash    []byte `json:"h,omitempty"` // the beginning of that of the key's secret
}

// WantedToken is a public token to be made.
type WantedToken struct {
	Batch   string `json:"batch_id"`
	Label   string `json:"label"`
	Seconds int64  `json:"expires_in_seconds"`
}

// check reads what is wanted.
func (w WantedToken) check() (scope Scope, lasts time.Duration, err error) {
	if (w.Batch == "") == (w.Label == "") {
		return scope, 0, &InvalidError{"batch_id", "must be given, or label, but not both"}
	}
	if w.Batch != "" {
		id, ok := diagnostics.EncodeID(w.Batch)
		if !ok {
			return scope, 0, &InvalidError{"batch_id", "must have 1 to 128 bytes and no control characters"}
		}
		scope.Batch = id
	}
	if key, _, ok := strings.Cut(w.Label, ":"); w.Label != "" && (!ok || key == "" || len(w.Label) > maxLabel) {
		return scope, 0, &InvalidError{"label", "must be key:value, of at most 200 bytes"}
	}
	scope.Label = w.Label
	if lasts = time.Duration(w.Seconds) * time.Second; w.Seconds == 0 {
		lasts = publicDefault
	}
	if w.Seconds != 0 && (w.Seconds < int64(publicAtLeast/time.Second) || w.Seconds > int64(publicAtMost/time.Second)) {
		return scope, 0, &InvalidError{"expires_in_seconds", "must be 60 to 43200"}
	}
	return scope, lasts, nil
}

// MakePublic makes a public token for something in a namespace of a principal.
func (k *Keys) MakePublic(ctx context.Context, p *Principal, namespace string, w WantedToken) (text string, expires time.Time, err error) {
	scope, lasts, err := w.check()
	if err != nil {
		return "", expires, err
	}
	secret, err := k.publicKey(ctx)
	if err != nil {
		return "", expires, err
	}
	expires = time.Now().Add(lasts).UTC().Truncate(time.Second)
	if !p.Expires.IsZero() && p.Expires.Before(expires) {
		expires = p.Expires
	}
	made := public{Namespace: namespace, Scope: scope, Expires: expires.Unix()}
	switch {
	case p.session != nil:
		made.Session = p.session.id
	case p.person == nil:
		made.Key, made.Hash = p.ID, p.hash[:publicHash]
	}
	body, err := json.Marshal(made)
	if err != nil {
		return "", expires, err
	}
	return publicPrefix + base64.RawURLEncoding.EncodeToString(body) + "." + base64.RawURLEncoding.EncodeToString(sign(secret, body)), expires, nil
}

func sign(secret, body []byte) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write(body)
	return m.Sum(nil)
}

// publicKey is the secret with which public tokens are signed, made if there is none.
func (k *Keys) publicKey(ctx context.Context) ([]byte, error) {
	if s := k.secret.Load(); s != nil {
		return *s, nil
	}
	kv, err := k.bucket(ctx)
	if err != nil {
		return nil, err
	}
	made := make([]byte, secretBytes)
	_, _ = rand.Read(made) // never fails
	if _, err = kv.Create(ctx, signedWith, made); errors.Is(err, jetstream.ErrKeyExists) {
		var entry jetstream.KeyValueEntry
		if entry, err = kv.Get(ctx, signedWith); err == nil {
			made = entry.Value()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("access: secret of public tokens: %w", err)
	}
	k.secret.Store(&made)
	return made, nil
}

var errPublic = &Refusal{Status: http.StatusUnauthorized, Kind: "credential_invalid",
	Detail: "This public token isn't known here. It may be cut off, belong to another Headway, or have been made with a key that was revoked."}

// byPublic returns what a public token shows.
func (k *Keys) byPublic(text string, now time.Time) (*Principal, *Refusal) {
	rest, _ := strings.CutPrefix(text, publicPrefix)
	encoded, signature, found := strings.Cut(rest, ".")
	if !found || len(text) > maxPublic {
		return nil, errPublic
	}
	body, err := base64.RawURLEncoding.DecodeString(encoded)
	mac, fault := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || fault != nil {
		return nil, errPublic
	}
	secret := k.secret.Load()
	if secret == nil && k.age(now) > freshFor {
		return nil, errUnsure // it may have been made meanwhile
	}
	var t public
	if secret == nil || !hmac.Equal(mac, sign(*secret, body)) || json.Unmarshal(body, &t) != nil {
		return nil, errPublic
	}
	return k.shown(t, now)
}

// shown is the principal of a public token, if what made it is still valid.
func (k *Keys) shown(t public, now time.Time) (*Principal, *Refusal) {
	expires := time.Unix(t.Expires, 0).UTC()
	if !now.Before(expires) {
		return nil, expired(expires)
	}
	p := Principal{Kind: "public", Namespaces: Namespaces{t.Namespace}, Expires: expires, ends: expires, public: &t}
	switch {
	case t.Session != "":
		h := k.sessions.of(t.Session)
		if h == nil || !now.Before(h.ends(k.sessions.Idle)) {
			return nil, k.gone(now)
		}
		base, no := h.base(k, now)
		if no == nil {
			base, no = h.as(base)
		}
		if no != nil {
			return nil, no
		}
		p.life = base.life
	case t.Key != "":
		base, no := k.holder(t.Key, t.Hash, now)
		if no != nil {
			return nil, no
		}
		p.life = base.life
	}
	p.ID = t.id() // its users have limits of their own, and don't learn who made it
	p.may[Known], p.may[Read] = true, true
	return &p, nil
}

// id tells the tokens of one maker for one scope from others.
func (t public) id() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{t.Namespace, t.Batch, t.Label, t.Key, t.Session}, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// gone is the answer where what made a token isn't known.
func (k *Keys) gone(now time.Time) *Refusal {
	if k.age(now) > freshFor {
		return errUnsure
	}
	return errRevoked
}

// Public is what a public token shows; nil: the credential is none, and shows everything.
func (p *Principal) Public() *Scope {
	if p.public == nil {
		return nil
	}
	return &p.public.Scope
}

// errScope is the answer where a public token doesn't show something.
var errScope = &Refusal{Status: http.StatusForbidden, Kind: "public_token",
	Detail: "A public token shows the snapshot and the stream of its batch, or the list and the stream of the batches with its label, and nothing else."}

// OutOfScope is the refusal of what a public token doesn't show.
func OutOfScope() *Refusal { return errScope }
