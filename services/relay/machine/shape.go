package machine

import (
	"maps"
	"slices"
	"strings"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// Shape holds amounts that are demanded or available, by resource.
type Shape map[string]float64

// within reports whether other has at least each amount of s. An amount of zero demands nothing.
func (s Shape) within(other Shape) bool {
	for k, n := range s {
		if n > other[k]+amountError {
			return false
		}
	}
	return true
}

// amountError absorbs Ray's rounding: its fixed-point numbers have steps of 1/10,000.
const amountError = 1e-5

// withinCamel is within for amounts whose names the dashboard has camelCased.
func (s Shape) withinCamel(other map[string]float64) bool {
	for k, n := range s {
		if n > max(other[k], other[rayapi.Camel(k)])+amountError {
			return false
		}
	}
	return true
}

// equal reports whether two shapes demand the same. An amount of zero is no demand.
func (s Shape) equal(other Shape) bool { return s.within(other) && other.within(s) }

func (s Shape) plus(other Shape) Shape {
	sum := maps.Clone(s)
	if sum == nil {
		sum = Shape{}
	}
	for k, n := range other {
		sum[k] += n
	}
	return sum
}

// facts returns the shape in the form that events use.
func (s Shape) facts() map[string]any {
	out := map[string]any{}
	for k, n := range s {
		if n > 0 {
			out[k] = n
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// selects evaluates a label selector as Ray does: "a", "!a", "in(a,b)", "!in(a,b)". Source: ray.io's documentation of
// label selectors.
func selects(selector, labels map[string]string) bool {
	for key, want := range selector {
		have, there := labels[key]
		not := strings.HasPrefix(want, "!")
		want = strings.TrimPrefix(want, "!")
		match := there && have == want
		if list, ok := strings.CutPrefix(want, "in("); ok {
			match = there && slices.ContainsFunc(strings.Split(strings.TrimSuffix(list, ")"), ","),
				func(v string) bool { return strings.TrimSpace(v) == have })
		}
		if match == not {
			return false
		}
	}
	return true
}
