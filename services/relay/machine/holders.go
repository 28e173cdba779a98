package machine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// fits judges a wait that fits on some live node.
func (m *Moment) fits(w Wait, v verdict, nodes []Node) verdict {
	if v, ok := m.environment(w, v); ok {
		return v
	}
	if !m.inVain(w, nodes) {
		return m.unplaced(w, v, nodes)
	}
	if !w.Entrypoint && (m.Now.Sub(w.Since) < busyAfter || m.Moving[w.Submission]) {
		return verdict{}
	}
	return m.taken(w, v, nodes)
}

// environment judges by the runtime environment that a wait needs; ok is false if that isn't in its way.
func (m *Moment) environment(w Wait, v verdict) (verdict, bool) {
	if w.RuntimeEnv == "" {
		return v, false
	}
	zero := int64(0)
	failed, isFailed := m.Failed[w.RuntimeEnv]
	v.kind, v.demand, v.pending = "runtime_env", nil, &zero
	switch {
	case m.Building[w.RuntimeEnv]:
		v.code, v.detail = envBuilding, "the runtime environment is being set up"
	case isFailed:
		v.code, v.detail = envFailed, tidy(failed)
	case w.Says != "" && m.Now.Sub(w.Since) >= neverBefore:
		v.code, v.from, v.detail = envBuilding, w.Since.Add(neverBefore), tidy(w.Says)
	default:
		return verdict{who: w.Who, since: w.Since, from: w.Since, demand: w.Shape}, false
	}
	return v, true
}

// unplaced judges a wait for which there is room, as far as is known.
func (m *Moment) unplaced(w Wait, v verdict, nodes []Node) verdict {
	room := slices.ContainsFunc(nodes, func(n Node) bool { return n.Free != nil && w.Shape.within(n.Free) })
	if w.Entrypoint || !room || m.Now.Sub(w.Since) < unplacedAfter || m.Moving[w.Submission] {
		return verdict{}
	}
	zero, no := int64(0), false
	v.kind, v.code, v.pending, v.infeasible, v.offered = "resources", notStarted, &zero, &no, m.offered(w.Shape)
	v.from = w.Since.Add(unplacedAfter)
	v.detail = "a node has room for it"
	return v
}

// taken judges a wait for what others have, by who has it.
func (m *Moment) taken(w Wait, v verdict, nodes []Node) verdict {
	joined := nodes[0].Joined
	for _, n := range nodes {
		joined = earliest(joined, n.Joined)
	}
	v.since = latest(w.Since, joined)
	v.from = v.since
	zero, no := int64(0), false
	v.kind, v.code, v.pending, v.infeasible, v.offered = "resources", inUse, &zero, &no, m.offered(w.Shape)
	for k, n := range w.Shape {
		if u, ok := m.usage(k); ok && n > 0 {
			v.offered[k+"_available"] = max(0, u[1]-u[0])
		}
	}
	v.holders = m.holdersOf(w, nodes)
	v.detail = m.heldBy(w, v.holders, nodes)
	if m.HeldAt.IsZero() || m.HeldAt.Before(w.Since) {
		return v
	}
	others := func(h Holder) bool { return h.Submission != w.Submission && !h.Over }
	own := func(h Holder) bool { return h.Submission == w.Submission && !h.Over }
	over := func(h Holder) bool { return h.Over }
	switch {
	case m.Autoscaler.V2 && m.wordStands(w):
		v.code = atLimit
		v.detail += "; the autoscaler may launch no more for it"
	case m.others(w, v.holders, nodes) || m.freed(w, v.holders, nodes, others):
		// Waiting helps: the others end.
	case m.freed(w, v.holders, nodes, over):
		v.code = heldByFinished
	case m.freed(w, v.holders, nodes, own) && !w.Entrypoint:
		v.code, v.from = inUseByItself, w.Since.Add(busyAfter)
	}
	return v
}

func (m *Moment) wordStands(w Wait) bool {
	_, last := m.wordsFor(w, Bundle{w.Shape, w.Labels})
	return !last.IsZero() && m.Now.Sub(last) < wordLasts && m.Now.Sub(w.Since) >= neverBefore
}

// inVain reports whether the autoscaler's report proves that the wait is unmet: it was made after the wait began,
// counts at least as many demands of that shape as there are waits, and shows too little free for one. Demands name no
// job: if fewer are counted than waits exist, one of them is about to be placed, and it isn't known which.
func (m *Moment) inVain(w Wait, nodes []Node) bool {
	if m.Autoscaler.At.Before(w.Since) {
		return false
	}
	waiting, demanded, more := 0, 0, false
	for _, other := range m.Waits {
		if other.Group == "" && other.Shape.equal(w.Shape) {
			waiting++
		}
	}
	for _, d := range m.Autoscaler.Demands {
		if w.Shape.equal(d.Shape) {
			demanded, more = demanded+d.Count, more || d.AtLeast
		}
	}
	if w.Group == "" && (demanded == 0 || demanded < waiting && !more) {
		return false
	}
	known := len(nodes) > 0
	for _, n := range nodes {
		if n.Free == nil {
			known = false
		} else if w.Group == "" && w.Shape.within(n.Free) {
			return false
		}
	}
	if w.Group != "" && m.allFree() {
		return !lays(w, m.Nodes, func(n Node) Shape { return n.Free })
	}
	if known {
		return true
	}
	for k, n := range w.Shape {
		if u, ok := m.usage(k); ok && n > u[1]-u[0]+amountError {
			return true
		}
	}
	return false
}

// allFree reports whether it is known of every node what is free.
func (m *Moment) allFree() bool {
	return !slices.ContainsFunc(m.Nodes, func(n Node) bool { return n.Free == nil })
}

func (m *Moment) usage(resource string) ([2]float64, bool) {
	if u, ok := m.Autoscaler.Usage[resource]; ok {
		return u, true
	}
	u, ok := m.Autoscaler.Usage[rayapi.Camel(resource)]
	return u, ok
}

// lacking are the resources of a wait of which too little is free, on the nodes that could have it.
func (m *Moment) lacking(w Wait, nodes []Node) map[string]bool {
	out := map[string]bool{}
	for k, n := range w.Shape {
		if u, ok := m.usage(k); ok && n > u[1]-u[0]+amountError {
			out[k] = true
		}
	}
	for k, n := range w.Shape {
		if len(out) == 0 && n > 0 && !slices.ContainsFunc(nodes, func(o Node) bool { return o.Free == nil || n <= o.Free[k]+amountError }) {
			out[k] = true
		}
	}
	return out
}

// holdersOf are those that hold what a wait lacks, the largest first.
func (m *Moment) holdersOf(w Wait, nodes []Node) (out []Holder) {
	lacks := m.lacking(w, nodes)
	on := map[string]bool{"": true}
	for _, n := range nodes {
		on[n.ID] = true
	}
	for _, h := range m.Holders {
		if on[h.Node] && h.amount(lacks) > 0 {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b Holder) int {
		return cmp.Or(cmp.Compare(b.amount(lacks), a.amount(lacks)), cmp.Compare(a.Submission, b.Submission), cmp.Compare(a.Job, b.Job), cmp.Compare(a.What, b.What))
	})
	return out
}

func (h Holder) amount(of map[string]bool) (sum float64) {
	for k, n := range h.Shape {
		if of[k] || len(of) == 0 {
			sum += n
		}
	}
	return sum
}

// freed reports whether there were room for a wait if some of the holders let go.
func (m *Moment) freed(w Wait, holders []Holder, nodes []Node, some func(Holder) bool) bool {
	back := map[string]Shape{}
	for _, h := range holders {
		if some(h) {
			back[h.Node] = back[h.Node].plus(h.Shape)
		}
	}
	if len(back) == 0 {
		return false
	}
	if w.Group != "" && m.allFree() {
		return lays(w, m.Nodes, func(n Node) Shape { return n.Free.plus(back[n.ID]) })
	}
	for _, n := range nodes {
		if n.Free != nil && w.Shape.within(n.Free.plus(back[n.ID]).plus(back[""])) {
			return true
		}
	}
	if m.allFree() {
		return false
	}
	all := Shape{}
	for _, s := range back {
		all = all.plus(s)
	}
	for k, n := range w.Shape {
		if u, ok := m.usage(k); ok && n > u[1]-u[0]+all[k]+amountError {
			return false
		}
	}
	return true
}

// others reports whether there were room for a wait if all that is held by no known holder were free: by tasks, which aren't
// listed, of others, since the wait's own job runs none.
func (m *Moment) others(w Wait, holders []Holder, nodes []Node) bool {
	for _, n := range nodes {
		if n.Free == nil {
			continue
		}
		rest := maps.Clone(n.Total)
		for _, h := range holders {
			if h.Node == n.ID {
				for k, a := range h.Shape {
					rest[k] -= a
				}
			}
		}
		if w.Group == "" && w.Shape.within(rest) {
			return true
		}
	}
	return false
}

// heldBy names the jobs that hold what is lacking.
func (m *Moment) heldBy(w Wait, holders []Holder, nodes []Node) string {
	var names []string
	for _, h := range holders {
		name := orElse(h.Submission, "job "+h.Job)
		if h.Submission == w.Submission {
			name = "itself"
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 0 && m.spread(w) > 1:
		return fmt.Sprintf("enough is free, spread over %d nodes", m.spread(w))
	case len(names) == 0:
		return "all of it is in use"
	case len(names) > 3:
		return fmt.Sprintf("held by %s and %d more", strings.Join(names[:3], ", "), len(names)-3)
	}
	return "held by " + strings.Join(names, ", ")
}

// spread is on how many nodes there is some of what a wait needs, if all of them together have enough free.
func (m *Moment) spread(w Wait) (nodes int) {
	sum := Shape{}
	for _, n := range m.Nodes {
		some := false
		for k, want := range w.Shape {
			some = some || want > 0 && n.Free[k] > 0
		}
		if some {
			nodes++
			sum = sum.plus(n.Free)
		}
	}
	if w.Group != "" || !w.Shape.within(sum) {
		return 0
	}
	return nodes
}
