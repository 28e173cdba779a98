package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/headwayhq/headway/services/internal/printable"
)

// Claims say which claims of an identity provider's tokens give roles in namespaces.
type Claims struct {
	Groups     string   `name:"claim-groups" help:"The claim of a token whose values give roles: headway:NAMESPACES:ROLE, or those of --grant. A dot leads into an object." default:"groups" env:"HEADWAY_CLAIM_GROUPS"`
	Prefix     string   `name:"claim-prefix" help:"How the values of that claim begin that name namespaces and a role." default:"headway:" env:"HEADWAY_CLAIM_PREFIX"`
	Given      []string `name:"grant" placeholder:"VALUE=NAMESPACES:ROLE" sep:"none" help:"What another value of that claim gives, such as platform-team=*:admin; may be repeated." env:"HEADWAY_GRANT"`
	Namespaces string   `name:"claim-namespaces" help:"A claim that lists namespaces, for providers that keep them apart from roles." env:"HEADWAY_CLAIM_NAMESPACES"`
	Roles      string   `name:"claim-roles" help:"The claim that lists the roles in these namespaces." env:"HEADWAY_CLAIM_ROLES"`
}

// maxGrants limits what one token gives.
const maxGrants = 200

func (c Claims) check() error {
	for _, g := range c.Given {
		value, text, found := strings.Cut(g, "=")
		if _, ok := parseGrant(text); !ok || !found || value == "" {
			return fmt.Errorf("--grant: must be VALUE=NAMESPACES:ROLE, such as platform-team=*:admin, not %s", printable.Text(shorten(g)))
		}
	}
	if (c.Namespaces == "") != (c.Roles == "") {
		return errors.New("--claim-namespaces and --claim-roles belong together")
	}
	return nil
}

// grants are what the claims of a token give. Values that mean nothing here are passed over: a company has many groups.
func (c Claims) grants(claims map[string]any) (out []Grant) {
	add := func(text string) {
		if g, ok := parseGrant(text); ok && len(out) < maxGrants {
			out = append(out, g)
		}
	}
	for _, value := range claimed(claims, c.Groups) {
		if text, is := strings.CutPrefix(value, c.Prefix); is && c.Prefix != "" {
			add(text)
		}
		for _, g := range c.Given {
			if name, text, _ := strings.Cut(g, "="); name == value {
				add(text)
			}
		}
	}
	if c.Namespaces == "" {
		return out
	}
	var names []string
	for _, role := range claimed(claims, c.Roles) {
		if _, err := ParseRoles([]string{role}); err == nil {
			names = append(names, role)
		}
	}
	namespaces, err := ParseNamespaces(claimed(claims, c.Namespaces))
	may, fault := ParseRoles(names)
	if err == nil && fault == nil {
		out = append(out, Grant{may, namespaces})
	}
	return out
}

// parseGrant reads NAMESPACES:ROLE, where namespaces are separated by commas.
func parseGrant(text string) (g Grant, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return g, false
	}
	var err, fault error
	g.Namespaces, err = ParseNamespaces(strings.Split(text[:i], ","))
	g.Roles, fault = ParseRoles([]string{text[i+1:]})
	return g, err == nil && fault == nil
}

// claimed are the values of a claim: those of a list, or the words of a text. The name of a claim may have dots in it; otherwise a dot
// leads into an object.
func claimed(claims map[string]any, name string) (out []string) {
	value, there := claims[name]
	for !there {
		first, rest, more := strings.Cut(name, ".")
		inner, is := claims[first].(map[string]any)
		if !more || !is {
			return nil
		}
		claims, name = inner, rest
		value, there = claims[name]
	}
	switch value := value.(type) {
	case string:
		return strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == ',' })
	case []any:
		for _, v := range value {
			if text, is := v.(string); is {
				out = append(out, text)
			}
		}
	}
	return out
}

// personOf reads who the claims of a token are about. The subject is unique for an issuer, and means nothing to people.
func (c Claims) personOf(claims map[string]any) Person {
	text := func(name string) string { s, _ := claims[name].(string); return printable.Text(shorten(s)) }
	p := Person{Issuer: text("iss"), Subject: text("sub"), Grants: c.grants(claims)}
	for _, name := range []string{"preferred_username", "email", "name", "sub"} {
		if p.Name = text(name); p.Name != "" {
			break
		}
	}
	return p
}

// Person is somebody whom an identity provider knows, or a service.
type Person struct {
	Issuer  string  `json:"issuer"`
	Subject string  `json:"subject"`
	Name    string  `json:"name"`
	Grants  []Grant `json:"grants"`
}

// principal is what a person may do.
func (p Person) principal(kind string) Principal {
	out := Principal{Kind: kind, ID: p.Subject, Name: p.Name, Grants: p.Grants}
	for _, g := range p.Grants {
		for _, r := range g.Roles {
			if !slices.Contains(out.Roles, r) {
				out.Roles = append(out.Roles, r)
			}
		}
		for _, ns := range g.Namespaces {
			if !slices.Contains(out.Namespaces, ns) {
				out.Namespaces = append(out.Namespaces, ns)
			}
		}
	}
	return out
}
