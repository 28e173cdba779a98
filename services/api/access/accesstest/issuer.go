// Package accesstest has an identity provider for tests: one whose keys, answers and clock a test chooses. Tests of what a real
// provider says use one.
package accesstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Audience is for whom tokens are issued.
const Audience = "headway"

// Issuer is an identity provider.
type Issuer struct {
	URL string

	t      testing.TB
	mu     sync.Mutex
	keys   []Key
	down   bool
	reads  int
	answer func(code string) map[string]any // claims of the id token
}

// Key signs tokens.
type Key struct {
	ID      string
	Private *ecdsa.PrivateKey
}

// NewKey returns a key that no issuer has.
func NewKey(t testing.TB, id string) Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Key{id, private}
}

// New runs an issuer with one key until the test ends.
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{t: t}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	i.URL = server.URL
	i.Rotate()
	return i
}

// Rotate makes a new key, which is the only one from then on.
func (i *Issuer) Rotate() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = []Key{NewKey(i.t, fmt.Sprintf("key-%d", time.Now().UnixNano()))}
}

// Key is the present key.
func (i *Issuer) Key() Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[0]
}

// Down makes the issuer answer with errors, or well again.
func (i *Issuer) Down(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Reads is how often the keys were read.
func (i *Issuer) Reads() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.reads
}

// Answers sets the claims of the next id tokens, which depend on the code.
func (i *Issuer) Answers(claims func(code string) map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = claims
}

// Token is a token for somebody, valid for an hour, with other claims; nil removes a claim.
func (i *Issuer) Token(claims map[string]any) string { return i.Key().Sign(i.t, i.claims(claims), nil) }

func (i *Issuer) claims(more map[string]any) jwt.MapClaims {
	now := time.Now()
	all := jwt.MapClaims{
		"iss": i.URL, "sub": "00u1", "aud": Audience, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "email": "ada@example.com",
		"groups": []string{"staff", "headway:team-a:reader"},
	}
	maps.Copy(all, more)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

// Claims are those of a token as a map.
func (i *Issuer) Claims(more map[string]any) map[string]any { return i.claims(more) }

// Sign makes a token with this key.
func (k Key) Sign(t testing.TB, claims map[string]any, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims(claims))
	token.Header["kid"] = k.ID
	maps.Copy(token.Header, header)
	text, err := token.SignedString(k.Private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// JWK is the public key as identity providers publish it.
func (k Key) JWK() map[string]any {
	raw, err := k.Private.PublicKey.Bytes()
	if err != nil {
		panic(err) // it is on its curve
	}
	text := base64.RawURLEncoding.EncodeToString
	return map[string]any{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": k.ID, "x": text(raw[1:33]), "y": text(raw[33:])}
}

func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var answer any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answer = map[string]any{
			"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
			"id_token_signing_alg_values_supported": []string{"ES256"},
		}
	case "/keys":
		i.reads++
		var all []any
		for _, k := range i.keys {
			all = append(all, k.JWK())
		}
		answer = map[string]any{"keys": all}
	case "/token":
		if i.answer != nil {
			answer = map[string]any{
				"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": i.keys[0].Sign(i.t, i.claims(i.answer(r.FormValue("code"))), nil),
			}
		}
	}
	if i.down || answer == nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		i.t.Error(err)
	}
}
