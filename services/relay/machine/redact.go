package machine

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// Limits of a message. Ray's messages contain up to 20,000 characters of a job's log; the beginning says what failed,
// the end why.
const (
	messageHead = 300
	messageTail = 700
)

// secrets match what must not be published in a message: credentials in URLs and headers, well-known key formats, private keys,
// signatures of pre-signed URLs, e-mail addresses, and any value after a name that marks it as a secret. Sources: RFC 3986 (userinfo),
// RFC 6750 and 7617 (Authorization), the documented forms of keys of AWS, Azure, GitHub, Google, Headway, Hugging Face, OpenAI and Slack,
// RFC 7519 (JWT), RFC 7468 (PEM). The Python client has the same list, and a test that it is the same.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`(://)[^/\s:@]*:[^/\s]+(@)`),
	regexp.MustCompile(`(?i)(bearer\s+)[A-Za-z0-9._~+/=-]{8,}()`),
	regexp.MustCompile(`\b([Bb]asic\s+|BASIC\s+)(?:[A-Za-z]*[0-9+/=]|[A-Z]*[a-z]+[A-Z])[A-Za-z0-9+/=]{4,}()`),
	regexp.MustCompile(`()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b()`),
	regexp.MustCompile(`()\b(?:ghp|gho|ghs|ghr|github_pat|xox[abprs]|hf|sk)[_-][A-Za-z0-9_-]{16,}()`),
	regexp.MustCompile(`()\bhw_[A-Za-z0-9]{12}_[A-Za-z0-9]{30,}()`),
	regexp.MustCompile(`()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?()`),
	regexp.MustCompile(`(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END|$)`),
	regexp.MustCompile(`(?i)((?:x-(?:amz|goog)-signature|[?&;](?:signature|sig))=)[^\s"'&]{3,}()`),
	regexp.MustCompile(`(?i)(\b[a-z0-9_.-]{0,64}(?:(?:password|passwd|secret|api[_-]?key|access_?key|private_?key|credential)s?|token)\\*["']?\s*[=:]\s*)` + value),
	regexp.MustCompile(`((?:\b[A-Z0-9_]{0,64}KEY|AccountKey|SharedAccessKey)\\*["']?\s*[=:]\s*)` + value),
	regexp.MustCompile(`(^|[^A-Za-z0-9._%+/-])[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\b()`),
}

// value matches a value up to its closing quote, or without quotes up to the next white space. A secret may contain anything else.
// What is redacted already stays as it is.
const value = `(?:\[redacted\]|\\+"[^"\\]+\\+"|"(?:[^"\\]|\\.)+"|'(?:[^'\\]|\\.)+'|\\*["']?[^\s"']{3,})()`

const redacted = "${1}[redacted]${2}"

// Redact replaces the secrets in a text.
func Redact(s string) string {
	for _, r := range secrets {
		s = r.ReplaceAllString(s, redacted)
	}
	return s
}

// tidy makes a message of Ray's fit to be relayed: redacted, truncated, valid UTF-8.
func tidy(s string) string {
	s = Redact(strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD")))
	if utf8.RuneCountInString(s) <= messageHead+messageTail {
		return s
	}
	r := []rune(s)
	return string(r[:messageHead]) + " … " + string(r[len(r)-messageTail:])
}
