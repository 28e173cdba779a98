package machine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// group judges a placement group. What it demands is the sum of its bundles.
func (m *Moment) group(w Wait, v verdict) verdict {
	if w.State == "RESCHEDULING" {
		zero := int64(0)
		v.kind, v.code, v.pending, v.offered = "resources", nodeLost, &zero, m.offered(w.Shape)
		v.detail = "Ray lays it out again, because a node that had a part of it died"
		return v
	}
	lacking := slices.IndexFunc(w.Bundles, func(b Bundle) bool { return len(m.nodesFor(b, nil)) == 0 })
	if lacking < 0 && lays(w, m.Nodes, func(n Node) Shape { return n.Total }) && (w.State != "INFEASIBLE" || w.Strategy != "") {
		return m.fitsGroup(w, v)
	}
	v.offered = m.offered(w.Shape)
	part := Bundle{Shape: w.Shape}
	if lacking >= 0 {
		part = w.Bundles[lacking]
	}
	if v, ok := m.coming(w, v, part); ok {
		return v
	}
	if v, ok := m.lost(w, v, part); ok {
		return v
	}
	zero := int64(0)
	v.kind, v.pending = "resources", &zero
	v.detail = layout(w)
	if m.Now.Sub(w.Since) < neverBefore {
		return v
	}
	v.code, v.from = groupLaid, w.Since.Add(neverBefore)
	if first, last := m.wordsFor(w, part); !last.IsZero() && m.Now.Sub(last) < wordLasts {
		yes := true
		v.infeasible, v.from = &yes, latest(first, v.from)
	}
	return v
}

// fitsGroup judges a group that could be laid out if the nodes were idle.
func (m *Moment) fitsGroup(w Wait, v verdict) verdict {
	nodes := m.Nodes
	if !m.inVain(w, nodes) || m.Now.Sub(w.Since) < busyAfter {
		return verdict{}
	}
	v = m.taken(w, v, nodes)
	v.detail = layout(w) + ": " + v.detail
	return v
}

// layout describes what a group asks for, and Ray's own word about it.
func layout(w Wait) string {
	counts, order := map[string]int{}, []string{}
	for _, b := range w.Bundles {
		text := b.Shape.text()
		if len(b.Labels) > 0 {
			text += " with " + labelsText(b.Labels)
		}
		if counts[text]++; counts[text] == 1 {
			order = append(order, text)
		}
	}
	parts := make([]string, len(order))
	for i, text := range order {
		parts[i] = fmt.Sprintf("%d × %s", counts[text], text)
	}
	out := strings.Join(parts[:min(4, len(parts))], " and ")
	switch w.Strategy {
	case "STRICT_PACK":
		out = "STRICT_PACK, all on one node: " + out
	case "STRICT_SPREAD":
		out = "STRICT_SPREAD, each on a node of its own: " + out
	case "":
	default:
		out = w.Strategy + ": " + out
	}
	return out
}

// strategyOf finds the strategy of a group in the autoscaler's report, which names no groups but says what they ask for.
func strategyOf(bundles []Bundle, a *rayapi.Autoscaler) (strategy string) {
	for _, g := range a.Groups {
		if len(g.Bundles) != len(bundles) || !sameBundles(bundles, g.Bundles) {
			continue
		}
		if strategy != "" && strategy != g.Strategy {
			return "" // several groups ask for the same
		}
		strategy = g.Strategy
	}
	return strategy
}

func sameBundles(a []Bundle, b []map[string]float64) bool {
	used := make([]bool, len(b))
	for _, x := range a {
		i := slices.IndexFunc(b, func(s map[string]float64) bool { return x.Shape.equal(s) })
		for i >= 0 && i < len(b) && (used[i] || !x.Shape.equal(b[i])) {
			i++
		}
		if i < 0 || i == len(b) {
			return false
		}
		used[i] = true
	}
	return true
}

// lays reports whether a group can be laid out under its strategy on nodes that have so much room. For a strategy that isn't strict, or
// isn't known, the largest bundles are laid first, which may miss a layout of many different bundles.
func lays(w Wait, nodes []Node, room func(Node) Shape) bool {
	bundles := slices.Clone(w.Bundles)
	slices.SortStableFunc(bundles, func(a, b Bundle) int {
		switch {
		case a.Shape.equal(b.Shape):
			return 0
		case b.Shape.within(a.Shape):
			return -1
		case a.Shape.within(b.Shape):
			return 1
		}
		return 0
	})
	switch w.Strategy {
	case "STRICT_PACK":
		return slices.ContainsFunc(nodes, func(n Node) bool {
			return w.Shape.within(room(n)) && !slices.ContainsFunc(bundles, func(b Bundle) bool { return !selects(b.Labels, n.Labels) })
		})
	case "STRICT_SPREAD":
		return spreads(bundles, nodes, room)
	}
	left := make([]Shape, len(nodes))
	for i, n := range nodes {
		left[i] = room(n).plus(nil)
	}
	for _, b := range bundles {
		i := slices.IndexFunc(left, func(s Shape) bool { return b.Shape.within(s) })
		for i >= 0 && i < len(left) && (!b.Shape.within(left[i]) || !selects(b.Labels, nodes[i].Labels)) {
			i++
		}
		if i < 0 || i == len(left) {
			return false
		}
		for k, n := range b.Shape {
			left[i][k] -= n
		}
	}
	return true
}

// spreads matches each bundle with a node of its own, by augmenting paths.
func spreads(bundles []Bundle, nodes []Node, room func(Node) Shape) bool {
	if len(bundles) > len(nodes) {
		return false
	}
	of := make([]int, len(nodes)) // the bundle of a node, plus one
	var place func(b int, tried []bool) bool
	place = func(b int, tried []bool) bool {
		for i, n := range nodes {
			if tried[i] || !bundles[b].Shape.within(room(n)) || !selects(bundles[b].Labels, n.Labels) {
				continue
			}
			tried[i] = true
			if of[i] == 0 || place(of[i]-1, tried) {
				of[i] = b + 1
				return true
			}
		}
		return false
	}
	for b := range bundles {
		if !place(b, make([]bool, len(nodes))) {
			return false
		}
	}
	return true
}
