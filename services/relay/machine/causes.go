package machine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// Node is a live node.
type Node struct {
	ID     string
	Total  Shape
	Labels map[string]string
	Joined time.Time
}

// Wait is something that a job requested and hasn't got yet.
type Wait struct {
	Submission string
	Who        string // "entrypoint", "actor A", "task g", "placement group p"
	Entrypoint bool
	Shape      Shape
	Labels     map[string]string
	Bundles    []Bundle // of a placement group; Shape is their sum
	Group      string   // id of the placement group
	Since      time.Time
	RuntimeEnv string // in canonical form; "" if it needs none
}

// Bundle of a placement group.
type Bundle struct {
	Shape  Shape
	Labels map[string]string
}

// Launching describes nodes of a type that are being launched, and since when, if that is known.
type Launching struct {
	Type  string
	Count int
	Began time.Time // zero: before the relay first looked
}

// Holder is a job whose entrypoint has got the resources it requested.
type Holder struct {
	Submission string
	Shape      Shape
}

// Moment is everything that is known of a cluster as of Now.
type Moment struct {
	Now        time.Time
	Nodes      []Node // empty: not known yet, and then no cause is given
	Waits      []Wait
	Launching  []Launching
	Autoscaler rayapi.Autoscaler
	Words      []rayapi.Word
	Building   map[string]bool // runtime environments being built, in canonical form
	Holders    []Holder
	Moving     map[string]bool // submissions with a running task
}

// verdict says why a job waits. Its kind is "" if it waits for nothing.
type verdict struct {
	kind       string
	who        string
	since      time.Time
	from       time.Time // earliest time at which this was known: the stamp of its event
	demand     Shape
	offered    Shape
	pending    *int64
	infeasible *bool
	detail     string
}

// Delays of the rules.
const (
	// neverBefore: the autoscaler reports an infeasible shape 6 to 8 s after the submission. A launch that has just
	// begun may make an earlier report wrong.
	neverBefore = 10 * time.Second
	// wordLasts is how long such a report counts. Version 1 of the autoscaler repeats it every 35 s, version 2 every 5
	// s.
	wordLasts = 2 * time.Minute
	// busyAfter: tasks and actors of a running job normally queue for resources that the job itself uses, so a wait
	// counts only after this time.
	busyAfter = 30 * time.Second
)

// Judge returns, for each waiting submission, why it waits.
//
//	shape or label fits no live node        resources
//	 … and the autoscaler reports that no type has it, 10 s after the wait began: infeasible, while it
//	   repeats that and no node that could fit is being launched
//	 … a node that may fit is on its way    node_launch
//	 … and its provider rejects it             quota, image_pull, or node_launch with the reason
//	fits, but the autoscaler counts it as unmet           resources, feasible
//	fits, and its environment is being built      runtime_env
//	fits otherwise                          nothing: it is being started
//
// If a job has several waits, the worst one in this order counts, and of equal ones the earliest.
func Judge(m Moment) map[string]verdict {
	out := map[string]verdict{}
	if len(m.Nodes) == 0 {
		return out
	}
	for _, w := range m.Waits {
		v := m.judge(w)
		if v.kind == "" {
			continue
		}
		if have, ok := out[w.Submission]; !ok || worse(v, have) {
			out[w.Submission] = v
		}
	}
	return out
}

func worse(a, b verdict) bool {
	rank := func(v verdict) int {
		switch {
		case v.infeasible != nil && *v.infeasible:
			return 0
		case v.kind == "quota" || v.kind == "image_pull":
			return 1
		case v.kind == "resources" && v.infeasible == nil:
			return 2
		case v.kind == "node_launch":
			return 3
		case v.kind == "resources":
			return 4
		}
		return 5
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), a.since.Compare(b.since), cmp.Compare(a.who, b.who)) < 0
}

func (m *Moment) judge(w Wait) verdict {
	v := verdict{who: w.Who, since: w.Since, from: w.Since, demand: w.Shape}
	lacking, fitting := m.place(&w)
	if lacking == nil {
		return m.fits(w, v, fitting)
	}
	v.demand, v.offered = lacking.Shape, m.offered(lacking.Shape)
	v.detail = m.labelsLack(lacking)
	launches := m.launchesFor(w, *lacking)
	if failed := m.failure(w, *lacking, launches); failed != nil {
		return m.refused(w, v, *failed, launches)
	}
	if len(launches) > 0 {
		return m.launching(v, launches)
	}
	v.kind = "resources"
	zero := int64(0)
	v.pending = &zero
	first, last := m.wordsFor(w, *lacking)
	if !last.IsZero() && m.Now.Sub(last) < wordLasts && m.Now.Sub(w.Since) >= neverBefore {
		yes := true
		v.infeasible, v.from = &yes, latest(first, w.Since.Add(neverBefore))
	}
	return v
}

// place finds a node for each part of a wait. lacking is the first part that fits on no node; fitting are the nodes
// that the first part fits on.
func (m *Moment) place(w *Wait) (lacking *Bundle, fitting []Node) {
	parts := w.Bundles
	if len(parts) == 0 {
		parts = []Bundle{{w.Shape, w.Labels}}
	}
	for i, b := range parts {
		var here []Node
		for _, n := range m.Nodes {
			if b.Shape.within(n.Total) && selects(b.Labels, n.Labels) {
				here = append(here, n)
			}
		}
		if len(here) == 0 {
			return &parts[i], nil
		}
		if i == 0 {
			fitting = here
		}
	}
	return nil, fitting
}

// offered returns, for each demanded resource, the largest total on one live node.
func (m *Moment) offered(demand Shape) Shape {
	out := Shape{}
	for k, n := range demand {
		if n <= 0 {
			continue
		}
		out[k] = 0
		for _, node := range m.Nodes {
			out[k] = max(out[k], node.Total[k])
		}
	}
	return out
}

func (m *Moment) labelsLack(b *Bundle) string {
	if len(b.Labels) == 0 || slices.ContainsFunc(m.Nodes, func(n Node) bool { return selects(b.Labels, n.Labels) }) {
		return ""
	}
	var want []string
	for k, v := range b.Labels {
		want = append(want, k+"="+v)
	}
	slices.Sort(want)
	return "no live node has the labels " + strings.Join(want, ", ")
}

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
	v.kind = "node_launch"
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
	case containsAny(says, "quota", "limitexceeded", "limit exceeded", "insufficientinstancecapacity", "insufficient capacity", "stockout", "exhausted"):
		v.kind, v.since, v.from = "quota", latest(w.Since, f.At), f.At
	case containsAny(says, "imagepull", "image pull", "errimage", "pull image", "invalidimagename"):
		v.kind, v.since, v.from = "image_pull", latest(w.Since, f.At), f.At
	default:
		v.from = latest(v.from, f.At)
	}
	v.detail = fmt.Sprintf("%s of node type %s", orElse(f.Category, "launch failed"), f.Type)
	if f.Detail != "" {
		v.detail += ": " + tidy(f.Detail)
	}
	return v
}

func containsAny(s string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
}

// fits judges a wait that fits on some live node.
func (m *Moment) fits(w Wait, v verdict, nodes []Node) verdict {
	if w.RuntimeEnv != "" && m.Building[w.RuntimeEnv] {
		zero := int64(0)
		v.kind, v.demand, v.pending = "runtime_env", nil, &zero
		v.detail = "the runtime environment is being set up"
		return v
	}
	if !m.inVain(w) {
		return verdict{}
	}
	if !w.Entrypoint && (m.Now.Sub(w.Since) < busyAfter || m.Moving[w.Submission]) {
		return verdict{}
	}
	joined := nodes[0].Joined
	for _, n := range nodes {
		joined = earliest(joined, n.Joined)
	}
	v.since = latest(w.Since, joined)
	v.from = v.since
	zero, no := int64(0), false
	v.kind, v.pending, v.infeasible, v.offered = "resources", &zero, &no, m.offered(w.Shape)
	v.detail = m.heldBy(w)
	for k, n := range w.Shape {
		if u, ok := m.usage(k); ok && n > 0 {
			v.offered[k+"_available"] = max(0, u[1]-u[0])
		}
	}
	return v
}

// inVain reports whether the autoscaler's report proves that the wait is unmet: it was made after the wait began,
// counts at least as many demands of that shape as there are waits, and shows too little free for one. Demands name no
// job: if fewer are counted than waits exist, one of them is about to be placed, and it isn't known which.
func (m *Moment) inVain(w Wait) bool {
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
	for k, n := range w.Shape {
		if u, ok := m.usage(k); ok && n > u[1]-u[0]+amountError {
			return true
		}
	}
	return false
}

func (m *Moment) usage(resource string) ([2]float64, bool) {
	if u, ok := m.Autoscaler.Usage[resource]; ok {
		return u, true
	}
	u, ok := m.Autoscaler.Usage[rayapi.Camel(resource)]
	return u, ok
}

// heldBy names the entrypoints that hold the resource that is lacking.
func (m *Moment) heldBy(w Wait) string {
	var names []string
	for _, h := range m.Holders {
		for k, n := range w.Shape {
			if u, ok := m.usage(k); ok && n > u[1]-u[0] && h.Shape[k] > 0 && h.Submission != w.Submission && !slices.Contains(names, h.Submission) {
				names = append(names, h.Submission)
			}
		}
	}
	slices.Sort(names)
	switch {
	case len(names) == 0:
		return "all of it is in use"
	case len(names) > 3:
		return fmt.Sprintf("held by %s and %d more", strings.Join(names[:3], ", "), len(names)-3)
	}
	return "held by " + strings.Join(names, ", ")
}
