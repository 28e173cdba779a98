package machine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// launchesFor returns the launches that may help. Only version 1 tells what a node type has. Otherwise a type is
// assumed to fit, unless the autoscaler reported after the start of the launch that none does.
func (m *Moment) launchesFor(w Wait, b Bundle) (out []Launching) {
	_, last := m.wordsFor(w, b)
	for _, l := range m.Launching {
		switch {
		case m.Autoscaler.PendingTotal != nil:
			if !b.Shape.withinCamel(m.Autoscaler.PendingTotal) {
				continue
			}
		case !last.IsZero() && last.After(l.Began):
			continue
		}
		out = append(out, l)
	}
	return out
}

// wordsFor returns the times of the first and last report on a shape in the series that lasts until now, without a gap
// longer than wordLasts.
func (m *Moment) wordsFor(w Wait, b Bundle) (first, last time.Time) {
	words := slices.SortedFunc(slices.Values(m.Words), func(a, b rayapi.Word) int { return b.At.Compare(a.At) })
	before := m.Now
	for _, word := range words {
		if word.At.After(m.Now.Add(time.Second)) || !saysOf(word, w, b) {
			continue
		}
		if before.Sub(word.At) >= wordLasts {
			break
		}
		first = word.At
		if last.IsZero() {
			last = word.At
		}
		before = word.At
	}
	return first, last
}

func saysOf(word rayapi.Word, w Wait, b Bundle) bool {
	if w.Group != "" && word.Detail != "" {
		return strings.Contains(word.Detail, w.Group) || slices.ContainsFunc(word.Shapes, func(s map[string]float64) bool { return w.Shape.equal(s) })
	}
	return slices.ContainsFunc(word.Shapes, func(s map[string]float64) bool {
		return b.Shape.equal(s) || w.Group != "" && w.Shape.equal(s)
	})
}

func (m *Moment) launching(v verdict, launches []Launching) verdict {
	v.kind, v.code = "node_launch", nodeLaunching
	n, no := int64(0), false
	began := time.Time{}
	for _, l := range launches {
		n += int64(l.Count)
		began = earliest(began, l.Began)
	}
	v.since = latest(v.since, began)
	v.from = v.since
	v.pending, v.infeasible = &n, &no
	return v
}

// failure returns the latest failed launch that concerns a wait: of a type that is being launched now, or was since
// the wait began.
func (m *Moment) failure(w Wait, b Bundle, launches []Launching) (last *rayapi.Failure) {
	_, word := m.wordsFor(w, b)
	for i, f := range m.Autoscaler.Failures {
		tried := slices.ContainsFunc(launches, func(l Launching) bool { return l.Type == rayapi.Camel(f.Type) })
		if f.At.Before(w.Since.Add(-time.Second)) || !tried && !word.IsZero() {
			continue
		}
		if last == nil || f.At.After(last.At) {
			last = &m.Autoscaler.Failures[i]
		}
	}
	return last
}

func (m *Moment) refused(w Wait, v verdict, f rayapi.Failure, launches []Launching) verdict {
	v = m.launching(v, launches)
	says := strings.ToLower(f.Category + " " + f.Detail)
	switch {
	case containsAny(says, noStock...):
		v.code, v.since, v.from = nodeRefused, latest(w.Since, f.At), f.At
	case containsAny(says, "quota", "limitexceeded", "limit exceeded"):
		v.kind, v.code, v.since, v.from = "quota", nodeQuota, latest(w.Since, f.At), f.At
	case containsAny(says, "imagepull", "image pull", "errimage", "pull image", "invalidimagename"):
		v.kind, v.code, v.since, v.from = "image_pull", imageFailed, latest(w.Since, f.At), f.At
	default:
		v.code, v.from = nodeRefused, latest(v.from, f.At)
	}
	v.detail = fmt.Sprintf("%s of node type %s", orElse(f.Category, "launch failed"), f.Type)
	if f.Detail != "" {
		v.detail += ": " + tidy(f.Detail)
	}
	return v
}

// noStock are the words of providers that have no such machine at present, which no quota changes.
var noStock = []string{
	"insufficientinstancecapacity", "insufficient capacity", "insufficientcapacity", "stockout", "resource_pool_exhausted", "zone_resource_pool",
	"out of capacity", "allocationfailed", "skunotavailable",
}

func containsAny(s string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
}
