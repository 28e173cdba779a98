package access

import (
	"errors"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Namespaces is a set of namespaces: names, prefixes that end in *, and * for all.
type Namespaces []string

const maxNamespaces = 100

// ParseNamespaces checks the patterns of a set.
func ParseNamespaces(patterns []string) (Namespaces, error) {
	if len(patterns) == 0 || len(patterns) > maxNamespaces {
		return nil, errors.New("must be 1 to 100 names or patterns")
	}
	for _, p := range patterns {
		if prefix, _ := strings.CutSuffix(p, "*"); p == "*" || diagnostics.ValidNamespace(prefix) {
			continue
		}
		return nil, errors.New("each must be a name that matches ^[A-Za-z0-9_-]{1,128}$, such a name with * at its end, or *")
	}
	return Namespaces(patterns), nil
}

// Has reports whether a namespace belongs to the set.
func (n Namespaces) Has(name string) bool {
	for _, p := range n {
		if covers(p, name) {
			return true
		}
	}
	return false
}

// Within reports whether every namespace of the set belongs to another set.
func (n Namespaces) Within(other Namespaces) bool {
	for _, p := range n {
		if !other.Has(p) {
			return false
		}
	}
	return len(n) > 0
}

// All reports whether every namespace belongs to the set.
func (n Namespaces) All() bool { return n.Has("*") }

// Names are the namespaces that the set names one by one.
func (n Namespaces) Names() (out []string) {
	for _, p := range n {
		if !strings.HasSuffix(p, "*") {
			out = append(out, p)
		}
	}
	return out
}

// Default is the namespace of a request that names none: the only one of the set, else "default"; "" if neither belongs to it.
func (n Namespaces) Default() string {
	if len(n) == 1 && !strings.HasSuffix(n[0], "*") {
		return n[0]
	}
	if n.Has(defaultNamespace) {
		return defaultNamespace
	}
	return ""
}

const defaultNamespace = "default"

// covers reports whether all namespaces of a name or pattern belong to a pattern. No name contains *.
func covers(pattern, of string) bool {
	if prefix, is := strings.CutSuffix(pattern, "*"); is {
		return strings.HasPrefix(of, prefix)
	}
	return pattern == of
}
