package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoKey means that there is no such key, or none that the caller may manage.
var ErrNoKey = errors.New("no such key")

// Wanted is a key to be made.
type Wanted struct {
	Name       string    `json:"name"`
	Namespaces []string  `json:"namespaces"`
	Roles      []string  `json:"roles"`
	Expires    time.Time `json:"expires_at,omitzero"`
}

// InvalidError names what is wrong in a request for a key.
type InvalidError struct{ Field, Reason string }

func (e *InvalidError) Error() string { return e.Field + ": " + e.Reason }

const maxName = 100

// check reads a wanted key.
func (w Wanted) check(now time.Time) (k Key, err error) {
	invalid := func(field string, err error) (Key, error) { return k, &InvalidError{field, err.Error()} }
	k.Name = strings.TrimSpace(w.Name)
	if k.Name == "" || len(k.Name) > maxName || strings.ContainsFunc(k.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return invalid("name", errors.New("must have 1 to 100 bytes, without control characters"))
	}
	if k.Namespaces, err = ParseNamespaces(w.Namespaces); err != nil {
		return invalid("namespaces", err)
	}
	if k.Roles, err = ParseRoles(w.Roles); err != nil {
		return invalid("roles", err)
	}
	if k.Expires = w.Expires.UTC().Truncate(time.Second); !w.Expires.IsZero() && !k.Expires.After(now) {
		return invalid("expires_at", errors.New("must be in the future"))
	} else if w.Expires.IsZero() {
		k.Expires = time.Time{}
	}
	return k, nil
}

// maxKeys is how many keys there may be of the namespaces that one manages. Every process holds all of them in memory.
const maxKeys = 1_000

// Create makes a key. The text of the key is returned once and stored nowhere. Who makes it may manage keys of its own namespaces only.
func (k *Keys) Create(ctx context.Context, by *Principal, w Wanted) (Key, string, error) {
	now := time.Now().UTC().Truncate(time.Second)
	made, err := w.check(now)
	if err != nil {
		return made, "", err
	}
	if !made.Namespaces.Within(by.Namespaces) {
		return made, "", &InvalidError{"namespaces", "must be of those that you may manage"}
	}
	if len(k.List(by)) >= maxKeys {
		return made, "", &InvalidError{"namespaces", "has " + strconv.Itoa(maxKeys) + " keys already: revoke some first"}
	}
	made.ID, made.Created, made.CreatedBy = random(idLength, 9), now, by.ID
	text, hash := makeKey(made.ID)
	made.Secrets = []Secret{{Hash: hash}}
	value, err := json.Marshal(made)
	if err != nil {
		return made, "", err
	}
	kv, err := k.bucket(ctx)
	if err != nil {
		return made, "", err
	}
	revision, err := kv.Create(ctx, keysUnder+made.ID, value)
	if err != nil {
		return made, "", fmt.Errorf("access: create key: %w", err)
	}
	k.await(ctx, isAt(made.ID, revision))
	return made, text, nil
}

// isAt reports whether a key is known as of a revision, or a later one.
func isAt(id string, revision uint64) func(map[string]*held) bool {
	return func(all map[string]*held) bool { return all[id] != nil && all[id].revision >= revision }
}

// Listed is a key in a list. It has nothing that could be used as a credential.
type Listed struct {
	Key
	Used time.Time // zero: not yet; to the hour
}

// List returns the keys that a principal may manage, the oldest first.
func (k *Keys) List(by *Principal) []Listed {
	out := []Listed{}
	for _, h := range *k.held.Load() {
		if !h.key.Namespaces.Within(by.Namespaces) {
			continue
		}
		l := Listed{Key: h.key}
		if used := h.used.Load(); used > 0 {
			l.Used = time.Unix(used, 0).UTC().Truncate(usedCoarse)
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b Listed) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

// Revoke removes a key.
func (k *Keys) Revoke(ctx context.Context, by *Principal, id string) (Key, error) {
	kv, key, revision, err := k.stored(ctx, by, id)
	if err != nil {
		return key, err
	}
	if err := kv.Delete(ctx, keysUnder+id, jetstream.LastRevision(revision)); err != nil {
		return key, fmt.Errorf("access: revoke key: %w", err)
	}
	_ = kv.Delete(ctx, usedUnder+id) // what is left of it says nothing
	k.await(ctx, func(all map[string]*held) bool { return all[id] == nil })
	return key, nil
}

// Rotate gives a key a new secret. The present one is accepted for as long as overlap, so that it can be replaced where it is in use.
func (k *Keys) Rotate(ctx context.Context, by *Principal, id string, overlap time.Duration) (Key, string, error) {
	kv, key, revision, err := k.stored(ctx, by, id)
	if err != nil {
		return key, "", err
	}
	text, hash := makeKey(id)
	secrets := []Secret{{Hash: hash}}
	if overlap > 0 && len(key.Secrets) > 0 {
		secrets = append(secrets, Secret{Hash: key.Secrets[0].Hash, Until: time.Now().UTC().Add(overlap).Truncate(time.Second)})
	}
	key.Secrets = secrets
	value, err := json.Marshal(key)
	if err != nil {
		return key, "", err
	}
	if revision, err = kv.Update(ctx, keysUnder+id, value, revision); err != nil {
		return key, "", fmt.Errorf("access: rotate key: %w", err)
	}
	k.await(ctx, isAt(id, revision))
	return key, text, nil
}

// stored reads a key that a principal may manage from the bucket.
func (k *Keys) stored(ctx context.Context, by *Principal, id string) (jetstream.KeyValue, Key, uint64, error) {
	var key Key
	kv, err := k.bucket(ctx)
	if err != nil {
		return nil, key, 0, err
	}
	entry, err := kv.Get(ctx, keysUnder+id)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrInvalidKey):
		return nil, key, 0, ErrNoKey
	case err != nil:
		return nil, key, 0, fmt.Errorf("access: read key: %w", err)
	}
	if json.Unmarshal(entry.Value(), &key) != nil || !key.Namespaces.Within(by.Namespaces) {
		return nil, key, 0, ErrNoKey
	}
	return kv, key, entry.Revision(), nil
}

// First makes a key for the first administrator if no key was ever made. Among any number of processes one makes it.
func (k *Keys) First(ctx context.Context) (text string, err error) {
	kv, err := k.bucket(ctx)
	if err != nil {
		return "", err
	}
	status, err := kv.Status(ctx)
	if err != nil {
		return "", fmt.Errorf("access: bucket %s: %w", bucketName, err)
	}
	if b, ok := status.(*jetstream.KeyValueBucketStatus); !ok || b.StreamInfo().State.LastSeq > 0 {
		return "", nil
	}
	if _, err := kv.Create(ctx, "first", nil); errors.Is(err, jetstream.ErrKeyExists) {
		return "", nil
	} else if err != nil {
		return "", fmt.Errorf("access: first key: %w", err)
	}
	_, text, err = k.Create(ctx, Everybody(), Wanted{Name: "first administrator", Namespaces: []string{"*"}, Roles: []string{string(Admin)}})
	return text, err
}
