package machine

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// fixesKept is how many changes are named.
const fixesKept = 4

// fixes are the smallest changes after which a job would no longer wait, each found by judging the changed moment again.
func (m *Moment) fixes(w Wait, v verdict) (out []string) {
	switch v.code {
	case tooLarge, groupLaid:
		out = append(out, m.lowered(w)...)
		out = append(out, m.anyNode(w)...)
	case labelsLack:
		if !m.waits(func(c *Moment, w *Wait) { w.Labels = nil }, w) {
			out = append(out, "ask without "+labelsText(w.Labels))
		}
		out = append(out, m.anyNode(w)...)
	case inUse, inUseByItself, heldByFinished, atLimit:
		out = append(out, m.released(w, v)...)
		if v.code == inUseByItself {
			out = append(out, m.anyNode(w)...)
		}
	}
	return out[:min(len(out), fixesKept)]
}

// waits judges a wait in a moment that was changed.
func (m *Moment) waits(change func(*Moment, *Wait), w Wait) bool {
	c := *m
	c.Nodes, c.Holders = slices.Clone(m.Nodes), slices.Clone(m.Holders)
	c.Now = m.Now.Add(unplacedAfter)
	w.RuntimeEnv = ""
	change(&c, &w)
	fitting := c.Nodes
	if w.Group == "" {
		fitting = c.nodesFor(Bundle{w.Shape, w.Labels}, w.Fallback)
	} else if slices.ContainsFunc(w.Bundles, func(b Bundle) bool { return len(c.nodesFor(b, nil)) == 0 }) ||
		!lays(w, c.Nodes, func(n Node) Shape { return n.Total }) {
		return true
	}
	if len(fitting) == 0 {
		return true
	}
	if w.Group != "" {
		return c.allFree() && !lays(w, c.Nodes, func(n Node) Shape { return n.Free })
	}
	return !slices.ContainsFunc(fitting, func(n Node) bool { return n.Free == nil || w.Shape.within(n.Free) })
}

// idle judges a wait in a moment in which nothing is in use.
func idle(c *Moment) {
	for i := range c.Nodes {
		c.Nodes[i].Free = c.Nodes[i].Total
	}
}

// lowered are the demands that the fewest changes make fit a node.
func (m *Moment) lowered(w Wait) (out []string) {
	if w.Group != "" {
		return m.fewer(w)
	}
	best, least := "", 0
	for _, n := range m.Nodes {
		to := maps.Clone(w.Shape)
		var changes []string
		for _, k := range slices.Sorted(maps.Keys(w.Shape)) {
			if have := n.Total[k]; w.Shape[k] > have+amountError {
				to[k] = have
				if have < amountError {
					changes = append(changes, argument(k)+" to 0, since no node has any "+k)
				} else {
					changes = append(changes, argument(k)+" to "+quantity(k, have))
				}
			}
		}
		if len(changes) == 0 || best != "" && len(changes) >= least {
			continue
		}
		if m.waits(func(c *Moment, w *Wait) { idle(c); w.Shape = to }, w) {
			continue
		}
		best, least = "lower "+strings.Join(changes, " and "), len(changes)
	}
	if best != "" {
		out = append(out, best)
	}
	return out
}

// fewer is the largest number of bundles, from the first on, that can be laid out, or the strategy under which all can be.
func (m *Moment) fewer(w Wait) (out []string) {
	for _, strategy := range []string{"PACK", "SPREAD"} {
		if w.Strategy == "STRICT_"+strategy && !m.waits(func(c *Moment, w *Wait) { idle(c); w.Strategy = strategy }, w) {
			out = append(out, "take "+strategy+" instead of "+w.Strategy)
		}
	}
	for n := len(w.Bundles) - 1; n > 0 && len(w.Bundles) <= bundlesTried; n-- {
		change := func(c *Moment, w *Wait) {
			idle(c)
			w.Bundles, w.Shape = w.Bundles[:n], Shape{}
			for _, b := range w.Bundles {
				w.Shape = w.Shape.plus(b.Shape)
			}
		}
		if !m.waits(change, w) {
			return append(out, fmt.Sprintf("ask for %s instead of %d", count(n, "bundle"), len(w.Bundles)))
		}
	}
	return out
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// bundlesTried is the size of groups up to which smaller ones are tried.
const bundlesTried = 64

// anyNode is a node that would do, if one would.
func (m *Moment) anyNode(w Wait) []string {
	shape, more := w.Shape, "a node"
	if w.Group != "" && w.Strategy != "STRICT_PACK" {
		i := slices.IndexFunc(w.Bundles, func(b Bundle) bool { return len(m.nodesFor(b, nil)) == 0 })
		if i < 0 {
			i = 0
		}
		shape, more = w.Bundles[i].Shape, "one more node"
	}
	if m.waits(func(c *Moment, w *Wait) {
		idle(c)
		c.Nodes = append(c.Nodes, Node{ID: "new", Total: shape, Free: shape, Labels: exactly(w.Labels)})
	}, w) {
		return nil
	}
	with := shape.text()
	if len(w.Labels) > 0 {
		with = strings.TrimPrefix(with+" and "+labelsText(w.Labels), " and ")
	}
	return []string{"add " + more + " with " + with}
}

// exactly are labels that satisfy a selector of plain values, or nil.
func exactly(selector map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range selector {
		if list, ok := strings.CutPrefix(v, "in("); ok {
			v, _, _ = strings.Cut(strings.TrimSuffix(list, ")"), ",")
		}
		if !strings.HasPrefix(v, "!") {
			out[k] = strings.TrimSpace(v)
		}
	}
	return out
}

// released are the holders of which one alone would make room, and for what is left behind how it is told apart from work.
func (m *Moment) released(w Wait, v verdict) (out []string) {
	for _, h := range v.holders {
		if h.Submission == w.Submission && !h.Over && v.code != inUseByItself {
			continue
		}
		change := func(c *Moment, _ *Wait) {
			for i := range c.Nodes {
				if n := &c.Nodes[i]; n.ID == h.Node && n.Free != nil {
					n.Free = n.Free.plus(h.Shape)
				}
			}
		}
		if h.Node == "" || m.waits(change, w) {
			continue
		}
		what, holds := orElse(h.Submission, "job "+h.Job), " holds "+h.Shape.text()
		var fix string
		switch {
		case h.Over && !h.Ended.IsZero():
			fix = "ask the owner of " + h.What + " of " + what + " to end it: it" + holds + ", and " + what + " ended at " + h.Ended.UTC().Format("15:04:05Z")
		case h.Over:
			fix = "ask the owner of " + h.What + " of " + what + " to end it: it" + holds + ", and " + what + " is over"
		case h.Submission == w.Submission:
			fix = "let " + h.What + " end first, or give it less: it" + holds
		default:
			fix = "stop " + what + ", whose " + h.What + holds
		}
		if !slices.Contains(out, fix) {
			out = append(out, fix)
		}
		if len(out) == 2 {
			break
		}
	}
	return out
}

// text describes a shape: "1 GPU, 8 CPU".
func (s Shape) text() string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(s)) {
		if s[k] > 0 {
			parts = append(parts, quantity(k, s[k])+" "+k)
		}
	}
	return strings.Join(parts, ", ")
}

func quantity(resource string, n float64) string {
	if strings.Contains(resource, "memory") && n >= 1<<20 {
		return strconv.FormatFloat(n/(1<<30), 'f', 1, 64) + " GiB"
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// argument is the name of a resource where a task or actor asks for it.
func argument(resource string) string {
	switch resource {
	case "CPU":
		return "num_cpus"
	case "GPU":
		return "num_gpus"
	}
	return resource
}
