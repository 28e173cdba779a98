package access

import (
	"crypto/rand"
	"crypto/sha256"
	"math/big"
	"strings"
	"time"
)

// A key is hw_<id>_<secret>. The id names it in lists and logs; the secret has 256 random bits, so its hash needs no salt.
const (
	keyPrefix   = "hw_"
	idLength    = 12
	secretBytes = 32
	secretSize  = 43 // 62^43 > 2^256
	base62      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// random returns so many random characters of base62: those of a number of so many random bytes.
func random(size, bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	n, digit := new(big.Int).SetBytes(b), new(big.Int)
	out := make([]byte, size)
	for i := size - 1; i >= 0; i-- {
		n.DivMod(n, big.NewInt(int64(len(base62))), digit)
		out[i] = base62[digit.Int64()]
	}
	return string(out)
}

// makeKey returns a new key for an id.
func makeKey(id string) (text string, hash []byte) { return makeSecret(keyPrefix, id) }

// makeSecret returns a new credential of the form of a key.
func makeSecret(prefix, id string) (text string, hash []byte) {
	text = prefix + id + "_" + random(secretSize, secretBytes)
	sum := sha256.Sum256([]byte(text))
	return text, sum[:]
}

// idOf returns the id of something that looks like a key, or like another credential with this prefix.
func idOf(prefix, text string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok || len(rest) != idLength+1+secretSize || rest[idLength] != '_' {
		return "", false
	}
	return rest[:idLength], true
}

// Key is what is stored of a key.
type Key struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Namespaces Namespaces `json:"namespaces"`
	Roles      []Role     `json:"roles"`
	Created    time.Time  `json:"created_at"`
	CreatedBy  string     `json:"created_by"`
	Expires    time.Time  `json:"expires_at,omitzero"`
	Secrets    []Secret   `json:"secrets"` // the newest first
}

// Secret is a stored secret of a key: its SHA-256.
type Secret struct {
	Hash  []byte    `json:"sha256"`
	Until time.Time `json:"until,omitzero"` // of one that was replaced
}
