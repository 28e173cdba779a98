package access

import (
	"fmt"
	"slices"
	"strings"
)

// Action is what a route lets its callers do. Each route of the API names one.
type Action uint8

const (
	Anybody Action = iota // no credential is needed, and nothing of any namespace is told
	Known                 // every valid credential is enough
	Read                  // snapshots, lists and their streams; also what a public token shows of them
	Inspect               // explanations, groups of batches, changes of health, and which namespaces there are
	Send                  // events
	Operate               // dead letters, erasure, and what concerns the server itself
	Manage                // keys
)

func (a Action) String() string {
	return [...]string{"anybody", "known", "read", "inspect", "send", "operate", "manage"}[a]
}

// Role is a set of actions, given to a credential.
type Role string

const (
	Reader   Role = "reader"
	Writer   Role = "writer"
	Operator Role = "operator"
	Admin    Role = "admin"
)

// roles says what each role may do. A writer may not read: the key of a producer is on many machines, and the messages of failures
// are in what it would read.
var roles = []struct {
	role Role
	may  []Action
}{
	{Reader, []Action{Known, Read, Inspect}},
	{Writer, []Action{Known, Send}},
	{Operator, []Action{Known, Read, Inspect, Operate}},
	{Admin, []Action{Known, Read, Inspect, Send, Operate, Manage}},
}

// ParseRoles checks the names of roles.
func ParseRoles(names []string) ([]Role, error) {
	var all, out []Role
	for _, r := range roles {
		all = append(all, r.role)
	}
	for _, name := range names {
		if !slices.Contains(all, Role(name)) {
			return nil, fmt.Errorf("must be of %s", join(all, ", "))
		}
		if !slices.Contains(out, Role(name)) {
			out = append(out, Role(name))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("must have at least one of %s", join(all, ", "))
	}
	return out, nil
}

// having are the roles that may do something.
func having(a Action) (out []Role) {
	for _, r := range roles {
		if slices.Contains(r.may, a) {
			out = append(out, r.role)
		}
	}
	return out
}

func join(of []Role, separator string) string {
	names := make([]string, len(of))
	for i, r := range of {
		names[i] = string(r)
	}
	return strings.Join(names, separator)
}
