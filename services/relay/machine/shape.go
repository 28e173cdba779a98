package machine

import (
	"maps"
	"slices"
	"strings"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// Shape is what is demanded or had, by resource.
type Shape map[string]float64

// within reports whether other has each amount of s. Zero demands nothing.
func (s Shape) within(other Shape) bool {
	for k, n := range s {
		if n > other[k]+amountError {
			return false
		}
	}
	return true
}

// amountError absorbs how Ray rounds: its fixed point numbers have steps of 1/10,000.
const amountError = 1e-5

// withinCamel is within, where the other's names were camelCased on their way.
func (s Shape) withinCamel(other map[string]float64) bool {
	for k, n := range s {
		if n > max(other[k], other[rayapi.Camel(k)])+amountError {
			return false
		}
	}
	return true
}

// equal reports whether two shapes demand the same; a zero is no demand.
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

// facts are the shape as an event has it.
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

// selects judges a label selector as Ray does: "a", "!a", "in(a,b)", "!in(a,b)".
// Source: ray.io's documentation of label selectors.
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
