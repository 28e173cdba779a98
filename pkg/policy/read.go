package policy

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Problem is what is wrong at one place of a policy file.
type Problem struct {
	Line   int    // 0: the file as a whole
	Field  string // "namespaces.search.timeout"; "" for the file as a whole
	Reason string
}

func (p Problem) Error() string {
	text := p.Reason
	if p.Field != "" {
		text = p.Field + ": " + text
	}
	if p.Line > 0 {
		text = "line " + strconv.Itoa(p.Line) + ": " + text
	}
	return text
}

// Problems is everything that is wrong in a policy file, in the order of its lines. There is at least one.
type Problems []Problem

func (ps Problems) Error() string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.Error()
	}
	return strings.Join(texts, "; ")
}

// reader reads a policy file as far as it can, so that one reading finds all problems.
type reader struct{ problems Problems }

func (r *reader) wrongf(at *yaml.Node, field, format string, args ...any) {
	r.problems = append(r.problems, Problem{Line: at.Line, Field: field, Reason: fmt.Sprintf(format, args...)})
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

func (r *reader) file(p *Set, data []byte) {
	var root, second yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(data))
	err := d.Decode(&root)
	if err == nil {
		if more := d.Decode(&second); more == nil {
			r.wrongf(&second, "", "a second document begins here: one file has one")
		} else if !errors.Is(more, io.EOF) {
			err = more
		}
	}
	switch {
	case errors.Is(err, io.EOF): // an empty file
		return
	case err != nil:
		text, line := strings.TrimPrefix(err.Error(), "yaml: "), 0
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			line, _ = strconv.Atoi(m[1])
			text = strings.TrimPrefix(text, m[0])
		}
		r.problems = append(r.problems, Problem{Line: line, Reason: "is neither YAML nor JSON: " + text})
		return
	}
	var standard, namespaces *yaml.Node
	r.fields(root.Content[0], "", func(name, value *yaml.Node) {
		switch name.Value {
		case "default":
			standard = value
		case "namespaces":
			namespaces = value
		default:
			r.wrongf(name, name.Value, "is not a section: a policy file has default and namespaces")
		}
	})
	if standard != nil {
		r.section(&p.standard, standard, "default", SourceFile)
	}
	if namespaces != nil {
		r.fields(namespaces, "namespaces", func(name, value *yaml.Node) {
			path := "namespaces." + name.Value
			if !diagnostics.ValidNamespace(name.Value) {
				r.wrongf(name, path, "is not the name of a namespace, which has 1 to 128 letters, digits, - and _")
				return
			}
			s := p.standard.copy()
			r.section(&s, value, path, SourceNamespace)
			r.pipelines(&s)
			p.byNamespace[name.Value] = s
		})
	}
	r.pipelines(&p.standard)
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	r.problems = slices.Compact(r.problems) // the pipelines of the section default are read once for each namespace
}

func (s *section) copy() section {
	out := *s
	out.set, out.given = maps.Clone(s.set), maps.Clone(s.given)
	return out
}

// pipelines reads the sections of pipelines, over the thresholds of the section that they stand in. A namespace's own count more
// than those of the section default.
func (r *reader) pipelines(s *section) {
	of := map[string]section{}
	for _, path := range slices.Sorted(maps.Keys(s.given)) { // default.… comes before namespaces.…
		r.fields(s.given[path], path, func(name, value *yaml.Node) {
			if name.Value == "" {
				r.wrongf(name, path, "has a pipeline without a name")
				return
			}
			own, there := of[name.Value]
			if !there {
				own = s.copy()
				own.given = nil
			}
			r.section(&own, value, path+"."+name.Value, SourcePipeline)
			of[name.Value] = own
		})
	}
	for name, own := range of {
		if s.pipelines == nil {
			s.pipelines, s.policy.Pipelines = map[string]section{}, map[string]diagnostics.Policy{}
		}
		s.pipelines[name], s.policy.Pipelines[name] = own, own.policy
	}
}

// section reads thresholds over those that s has already.
func (r *reader) section(s *section, n *yaml.Node, path string, from Source) {
	r.fields(n, path, func(name, value *yaml.Node) {
		field, before := path+"."+name.Value, len(r.problems)
		switch k, known := keyOf(name.Value); {
		case value.Tag == "!!null": // nothing was set
			return
		case name.Value == stuckAfter:
			r.stuckAfter(s, value, path, from)
			return
		case name.Value == pipelines && from != SourcePipeline:
			s.given[field] = value
			return
		case !known:
			r.wrongf(name, field, "is not a key; headway policy show lists them")
		case name.Value == hold && from != SourceFile:
			r.wrongf(name, field, "is the same for all namespaces, set default.hold")
		default:
			r.value(value, field, k, k.in(s))
		}
		if len(r.problems) == before {
			s.set[name.Value] = origin{from, path, name.Line}
		}
	})
}

// value reads a value to where it stands in the policy.
func (r *reader) value(n *yaml.Node, field string, k key, to any) {
	switch to := to.(type) {
	case **Age:
		a := new(Age)
		if err := a.UnmarshalText([]byte(n.Value)); err != nil || n.Kind != yaml.ScalarNode {
			r.wrongf(n, field, "%q %v", n.Value, errAge)
			return
		}
		*to = a
	case *time.Duration:
		r.duration(n, field, to)
	case *int:
		v, err := strconv.Atoi(n.Value)
		if err != nil || v < k.least {
			r.wrongf(n, field, "must be an integer, at least %d", k.least)
			return
		}
		*to = v
	case *bool:
		if n.Decode(to) != nil {
			r.wrongf(n, field, "must be true or false")
		}
	case *string:
		if n.Kind != yaml.ScalarNode {
			r.wrongf(n, field, "must be a text")
			return
		}
		*to = n.Value
	case *[]diagnostics.ActionTemplate:
		r.actions(n, field, to)
	}
}

func (r *reader) duration(n *yaml.Node, field string, to *time.Duration) {
	d, err := time.ParseDuration(n.Value)
	switch {
	case n.Kind != yaml.ScalarNode:
		r.wrongf(n, field, "must be a positive duration such as 20m or 30s")
	case err != nil || d <= 0:
		r.wrongf(n, field, "%q is not a positive duration such as 20m or 30s", n.Value)
	default:
		*to = d
	}
}

func (r *reader) stuckAfter(s *section, n *yaml.Node, section string, from Source) {
	path := section + "." + stuckAfter
	after := maps.Clone(s.policy.StuckAfter)
	if after == nil {
		after = map[string]time.Duration{}
	}
	r.fields(n, path, func(name, value *yaml.Node) {
		code := name.Value
		if err := diagnostics.CheckStuckAfter(code); err != nil {
			r.wrongf(name, path+"."+code, "%v", err)
			return
		}
		if value.Tag == "!!null" {
			return
		}
		var d time.Duration
		if r.duration(value, path+"."+code, &d); d > 0 {
			after[code], s.set[stuckAfter+"."+code] = d, origin{from, section, name.Line}
		}
	})
	s.policy.StuckAfter = after
}

// actions reads templates of steps that a person can take. A list replaces the one of the section before.
func (r *reader) actions(n *yaml.Node, path string, to *[]diagnostics.ActionTemplate) {
	if n.Kind != yaml.SequenceNode {
		r.wrongf(n, path, "must be a list")
		return
	}
	actions := make([]diagnostics.ActionTemplate, len(n.Content))
	for i, one := range n.Content {
		field, before := fmt.Sprintf("%s[%d]", path, i), len(r.problems)
		a := &actions[i]
		known := map[string]*string{"kind": &a.Kind, "label": &a.Label, "href": &a.Href, "command": &a.Command}
		r.fields(one, field, func(name, value *yaml.Node) {
			if to, ok := known[name.Value]; ok && value.Tag != "!!null" {
				r.value(value, field+"."+name.Value, key{}, to)
			} else if !ok {
				r.wrongf(name, field+"."+name.Value, "is not a key of an action, which has kind, label, href and command")
			}
		})
		if err := a.Validate(); err != nil && len(r.problems) == before {
			r.wrongf(one, field, "%v", err)
		}
	}
	*to = actions
}

// deepest is how deep merge keys may nest.
const deepest = 4

// fields calls take for each key of a mapping, and for each key that a merge key (<<) adds to it. Aliases are resolved.
func (r *reader) fields(n *yaml.Node, path string, take func(name, value *yaml.Node)) {
	lines := map[string]int{}
	var walk func(n *yaml.Node, depth int)
	walk = func(n *yaml.Node, depth int) {
		n = target(n)
		if n.Tag == "!!null" {
			return
		}
		if n.Kind != yaml.MappingNode || depth == deepest {
			r.wrongf(n, path, "must be a mapping")
			return
		}
		var merged []*yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, value := n.Content[i], target(n.Content[i+1])
			line, twice := lines[name.Value]
			switch {
			case name.Tag == "!!merge":
				merged = append(merged, value)
			case twice && depth == 0:
				r.wrongf(name, strings.TrimPrefix(path+"."+name.Value, "."), "is set twice, first in line %d", line)
			case !twice:
				lines[name.Value] = name.Line
				take(name, value)
			}
		}
		for _, m := range merged {
			if m.Kind != yaml.SequenceNode {
				walk(m, depth+1)
				continue
			}
			for _, one := range m.Content {
				walk(one, depth+1)
			}
		}
	}
	walk(n, 0)
}

func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
