package diagnostics

import (
	"bytes"
	"encoding/json"
)

// AppendJSON appends the snapshot as one line of JSON.
func (s *Snapshot) AppendJSON(dst []byte) []byte { return appendJSON(dst, s) }

func appendJSON(dst []byte, v any) []byte {
	b := bytes.NewBuffer(dst)                            // Marshal would make another copy, of megabytes where a batch is large
	if err := json.NewEncoder(b).Encode(v); err != nil { // only plain types and valid raw JSON are in it
		panic("diagnostics: " + err.Error())
	}
	return b.Bytes()[:b.Len()-1] // without the end of the line
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a canonical JSON string (RFC 8785).
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b >= 0x20:
			dst = append(dst, b)
		case b == '\b':
			dst = append(dst, '\\', 'b')
		case b == '\f':
			dst = append(dst, '\\', 'f')
		case b == '\n':
			dst = append(dst, '\\', 'n')
		case b == '\r':
			dst = append(dst, '\\', 'r')
		case b == '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15])
		}
	}
	return append(dst, '"')
}

// cut shortens s to at most n characters, at a character's border.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
