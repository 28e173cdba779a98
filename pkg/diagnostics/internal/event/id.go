package event

import (
	"strings"
	"unicode/utf8"
)

// Ids name batches, jobs and collections, and stand in subjects, keys and URLs. Those of other systems have characters that
// would break out of there, as train.v1.2 or a/b, so an id is written with every byte that isn't a letter, a digit, _ or - as =XX.
// Whoever reads the id in JSON sees the original.

// maxID is how many bytes an id may have, before it is written so.
const maxID = 128

const idRule = "is not an id: 1 to 128 bytes, without control characters"

// idByte reports whether ids have this byte as it is: letters, digits, _ and -. One bit for each of ASCII.
func idByte(c byte) bool {
	const low, high uint64 = 0x03ff_2000_0000_0000, 0x07ff_fffe_87ff_fffe
	if c < 64 {
		return low>>c&1 != 0
	}
	return c < 128 && high>>(c-64)&1 != 0
}

// ValidNamespace reports whether a text can name a namespace: ^[A-Za-z0-9_-]{1,128}$.
func ValidNamespace(name string) bool {
	for i := range len(name) {
		if !idByte(name[i]) {
			return false
		}
	}
	return name != "" && len(name) <= maxID
}

// ValidID reports whether id is one as EncodeID writes it: letters, digits, _ and -, and =XX for other bytes. Anything else
// could break out of a subject, a key or a pattern.
func ValidID(id string) bool {
	for i := range len(id) {
		if !idByte(id[i]) {
			return validEncoded(id)
		}
	}
	return id != "" && len(id) <= maxID
}

func validEncoded(id string) bool {
	if len(id) > 3*maxID || strings.IndexByte(id, '=') < 0 {
		return false
	}
	original, ok := decodeID(id)
	return ok && allowedID(original)
}

// allowedID reports whether an original can be an id at all.
func allowedID(original string) bool {
	if original == "" || len(original) > maxID || !utf8.ValidString(original) {
		return false
	}
	for i := range len(original) {
		if original[i] < ' ' || original[i] == 0x7f {
			return false
		}
	}
	return true
}

// EncodeID writes an id of any system as ours. What is written so already stays as it is. ok is false for what can't be one:
// nothing, more than 128 bytes, control characters or invalid UTF-8.
func EncodeID(original string) (id string, ok bool) {
	if ValidID(original) {
		return original, true
	}
	if !allowedID(original) {
		return "", false
	}
	b := make([]byte, 0, len(original)+16)
	for i := range len(original) {
		if c := original[i]; idByte(c) {
			b = append(b, c)
		} else {
			b = append(b, '=', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b), true
}

const upperHex = "0123456789ABCDEF"

// DecodeID is the original of an id; a text that is none stays as it is.
func DecodeID(id string) string {
	if strings.IndexByte(id, '=') < 0 {
		return id
	}
	original, ok := decodeID(id)
	if !ok || !allowedID(original) {
		return id
	}
	return original
}

// decodeID undoes =XX, and only where EncodeID would write it.
func decodeID(id string) (string, bool) {
	b := make([]byte, 0, len(id))
	for i := 0; i < len(id); i++ {
		c := id[i]
		switch {
		case idByte(c):
		case c != '=' || i+2 >= len(id):
			return "", false
		default:
			high, low := strings.IndexByte(upperHex, id[i+1]), strings.IndexByte(upperHex, id[i+2])
			if high < 0 || low < 0 {
				return "", false
			}
			if c = byte(high<<4 | low); idByte(c) {
				return "", false
			}
			i += 2
		}
		b = append(b, c)
	}
	return string(b), true
}
