package access

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Stream is the JetStream stream that holds the API keys and sessions.
const Stream = "KV_" + bucketName

const (
	bucketName = "headway-access"
	keysUnder  = "key."
	usedUnder  = "used."

	checkEvery  = time.Second
	checkWithin = 2 * time.Second
	freshFor    = 5 * time.Second  // how long what is known of keys counts as the present state
	knownFor    = 10 * time.Minute // how long known keys are accepted while NATS can't be reached
	usedCoarse  = time.Hour        // how exactly the last use of a key is noted
	markerFor   = time.Hour        // how long the bucket says that a session has gone away by itself
)

// Keys are the API keys of this Headway. They are stored in a key-value bucket of JetStream, so losing Redis doesn't lose them, and
// each process follows the bucket: what is changed by one counts in all within seconds.
type Keys struct {
	js       jetstream.JetStream
	log      *slog.Logger
	replicas int

	held  atomic.Pointer[map[string]*held]
	fresh atomic.Int64 // when what is held was the present state
	once  sync.Once
	ready chan struct{}

	sessions sessions
	secret   atomic.Pointer[[]byte] // of public tokens; nil: there is none
	tokens   *tokens                // nil: tokens of identity providers aren't accepted

	following chan struct{} // has an element while one Run follows
}

// held is a key as this process knows it.
type held struct {
	key      Key
	revision uint64
	stored   time.Time
	secrets  []heldSecret
	used     atomic.Int64 // unix time
	noted    atomic.Int64 // the same, as stored
}

type heldSecret struct {
	hash      []byte
	principal *Principal
	end       context.CancelCauseFunc // ends its streams
}

// end ends the streams of a key.
func (h *held) end(why *Refusal) {
	for _, s := range h.secrets {
		s.end(errEnded{why})
	}
}

// Set takes over what the flags say of sessions and tokens. It must be called before Run.
func (k *Keys) Set(f Flags) {
	k.sessions.Lifetimes = f.Sessions
	k.sessions.fill()
	k.tokens = newTokens(f.JWT, f.Claims, k.log)
}

// Open returns the keys stored at a server.
func Open(nc *nats.Conn, replicas int, log *slog.Logger) (*Keys, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	return NewKeys(js, replicas, log), nil
}

// NewKeys returns the keys stored at a server. Run follows them.
func NewKeys(js jetstream.JetStream, replicas int, log *slog.Logger) *Keys {
	k := &Keys{js: js, log: log, replicas: max(1, replicas), ready: make(chan struct{}), following: make(chan struct{}, 1)}
	k.held.Store(&map[string]*held{})
	k.sessions.fill()
	return k
}

// Ready is closed once the stored keys are known.
func (k *Keys) Ready() <-chan struct{} { return k.ready }

// Known reports whether Ready is closed.
func (k *Keys) Known() bool {
	select {
	case <-k.ready:
		return true
	default:
		return false
	}
}

// Authenticate returns who sends a request.
func (k *Keys) Authenticate(r *http.Request) (*Principal, *Refusal) {
	header := r.Header.Get("Authorization")
	if header == "" {
		if q := r.URL.RawQuery; strings.Contains(q, "token=") || strings.Contains(q, keyPrefix) || strings.Contains(q, publicPrefix) {
			return nil, errInURL
		}
		now := time.Now()
		h, no := k.sessionOf(r, now)
		if no != nil {
			return nil, no
		}
		return k.signedIn(h, now)
	}
	scheme, text, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, errInvalid
	}
	return k.find(strings.TrimSpace(text), time.Now())
}

// none stands for the hash of a key that isn't known, so that the time of an answer doesn't tell which ids exist.
var none = make([]byte, sha256.Size)

// age is how old what is known of keys is.
func (k *Keys) age(now time.Time) time.Duration { return now.Sub(time.Unix(0, k.fresh.Load())) }

// find returns whose credential this is.
func (k *Keys) find(text string, now time.Time) (*Principal, *Refusal) {
	switch {
	case strings.HasPrefix(text, publicPrefix):
		return k.byPublic(text, now)
	case k.tokens != nil && isToken(text):
		return k.tokens.find(text, now)
	}
	return k.byKey(text, now)
}

func (k *Keys) byKey(text string, now time.Time) (*Principal, *Refusal) {
	id, ok := idOf(keyPrefix, text)
	if !ok {
		return nil, errInvalid
	}
	age := k.age(now)
	if age > knownFor {
		return nil, errUnsure
	}
	sum := sha256.Sum256([]byte(text))
	h := (*k.held.Load())[id]
	if h == nil {
		subtle.ConstantTimeCompare(none, sum[:])
		if age > freshFor {
			return nil, errUnsure // it may have been created meanwhile
		}
		return nil, errInvalid
	}
	for _, s := range h.secrets {
		if subtle.ConstantTimeCompare(s.hash, sum[:]) != 1 {
			continue
		}
		if e := s.principal.Expires; !e.IsZero() && !now.Before(e) {
			return nil, expired(e)
		}
		if t := now.Unix(); t-h.used.Load() > int64(usedCoarse/time.Second) {
			h.used.Store(t)
		}
		return s.principal, nil
	}
	if age > freshFor {
		return nil, errUnsure // it may have been rotated meanwhile
	}
	return nil, errInvalid
}

// holder is whose secret has a hash that begins so, where a session, a ticket or a public token was given for it.
func (k *Keys) holder(id string, hash []byte, now time.Time) (*Principal, *Refusal) {
	if k.age(now) > knownFor {
		return nil, errUnsure
	}
	if h := (*k.held.Load())[id]; h != nil {
		for _, s := range h.secrets {
			if len(hash) == 0 || !bytes.HasPrefix(s.hash, hash) {
				continue
			}
			if e := s.principal.Expires; !e.IsZero() && !now.Before(e) {
				return nil, expired(e)
			}
			return s.principal, nil
		}
	}
	return nil, errRevoked
}

// bucket returns the bucket, made if there is none.
func (k *Keys) bucket(ctx context.Context) (jetstream.KeyValue, error) {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	kv, err := k.js.KeyValue(ctx, bucketName)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = k.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: bucketName, Description: "Headway's API keys and sessions", History: 1, Storage: jetstream.FileStorage, Replicas: k.replicas,
			LimitMarkerTTL: markerFor,
		})
		if errors.Is(err, jetstream.ErrBucketExists) {
			kv, err = k.js.KeyValue(ctx, bucketName)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("access: bucket %s: %w", bucketName, err)
	}
	return kv, nil
}

// newHeld reads a stored key. One that is held already, unchanged, stays, with its streams.
func newHeld(id string, entry jetstream.KeyValueEntry, before *held) *held {
	if before != nil && before.revision == entry.Revision() && before.stored.Equal(entry.Created()) {
		return before
	}
	h := &held{revision: entry.Revision(), stored: entry.Created()}
	if json.Unmarshal(entry.Value(), &h.key) != nil || h.key.ID != id {
		return nil
	}
	for _, s := range h.key.Secrets {
		p := newPrincipal(Principal{
			Kind: "key", ID: id, Name: h.key.Name, Roles: h.key.Roles, Namespaces: h.key.Namespaces, Created: h.key.Created, Expires: h.key.Expires,
		})
		if !s.Until.IsZero() && (p.Expires.IsZero() || s.Until.Before(p.Expires)) {
			p.Expires = s.Until
		}
		h.secrets = append(h.secrets, newSecret(s.Hash, p))
	}
	return h
}

func newSecret(hash []byte, p *Principal) heldSecret {
	life, end := context.WithCancelCause(context.Background())
	p.life, p.hash = life, hash
	return heldSecret{hash, p, end}
}

// await returns once this process knows what it has stored itself, so that a key works as soon as it is shown. It is no error if it
// takes longer, or if the keys aren't followed.
func (k *Keys) await(ctx context.Context, known func(map[string]*held) bool) {
	if !k.Known() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !known(*k.held.Load()) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// publish makes the keys of a watch the present ones, and ends the streams of those that were revoked or changed.
func (k *Keys) publish(next map[string]*held) {
	next = maps.Clone(next)
	before := k.held.Swap(&next)
	for id, old := range *before {
		if next[id] != old {
			old.end(errRevoked)
		}
	}
}

// expire ends the streams of secrets that have expired, by the clock of the wall, which a suspended machine doesn't stop.
func (k *Keys) expire(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		k.sessions.expire(now)
		for _, h := range *k.held.Load() {
			for _, s := range h.secrets {
				if e := s.principal.Expires; !e.IsZero() && !now.Before(e) {
					s.end(errEnded{expired(e)})
				}
			}
		}
	}
}

func (h *held) noteUsed(value []byte) {
	if at, err := time.Parse(time.RFC3339, string(value)); err == nil {
		h.noted.Store(at.Unix())
		h.used.Store(max(h.used.Load(), at.Unix()))
	}
}

// noteUses stores when keys were last used. What can't be stored is stored later.
func (k *Keys) noteUses(ctx context.Context, kv jetstream.KeyValue) {
	for id, h := range *k.held.Load() {
		used := h.used.Load()
		if used-h.noted.Load() <= int64(usedCoarse/time.Second) {
			continue
		}
		if _, err := kv.PutString(ctx, usedUnder+id, time.Unix(used, 0).UTC().Format(time.RFC3339)); err != nil {
			return
		}
		h.noted.Store(used)
	}
}
