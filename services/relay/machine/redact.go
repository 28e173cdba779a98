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

// secrets match what must not be published in a message: credentials in URLs, bearer tokens, well-known key formats, and any value
// after a name that marks it as a secret. Sources: RFC 3986 (userinfo), RFC 6750, the documented prefixes of AWS, GitHub,
// Slack and Hugging Face keys, JWT's three parts.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`(://)[^/\s:@]*:[^/\s@]+(@)`),
	regexp.MustCompile(`(?i)(bearer\s+)[A-Za-z0-9._~+/=-]{8,}()`),
	regexp.MustCompile(`()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b()`),
	regexp.MustCompile(`()\b(?:ghp|gho|ghs|ghr|github_pat|xox[abprs]|hf|sk)[_-][A-Za-z0-9_-]{16,}()`),
	regexp.MustCompile(`()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*()`),
	regexp.MustCompile(`(?i)(["']?\b[a-z0-9_.-]*(?:password|passwd|secret|token|api_?key|access_?key|private_?key|credential)s?["']?\s*[=:]\s*["']?)[^\s"',;}]{3,}()`),
}

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
