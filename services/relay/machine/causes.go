package machine

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

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
	// unplacedAfter is how long a task or actor may be without a worker on a node that has room for it.
	unplacedAfter = time.Minute
	// startLimit is Ray's own limit for the start of a job, from its submission (RAY_JOB_START_TIMEOUT_SECONDS).
	startLimit = 15 * time.Minute
)

// Judge returns, for each waiting submission, why it waits.
//
//	no live node has the labels             PLACEMENT:LABELS, 10 s after the wait began
//	shape fits no live node                 unknown whether one comes
//	 … and the autoscaler reports that no type has it, 10 s after the wait began: PLACEMENT:TOO_LARGE, while it
//	   repeats that and no node that could fit is being launched
//	 … a node that may fit is on its way    CAPACITY:NODE_LAUNCHING
//	 … and its provider rejects it          CAPACITY:QUOTA, CAPACITY:NODE_REFUSED, IMAGE:PULL_FAILED
//	 … and doesn't join for 5 min, or is launched in vain for the third time    CAPACITY:NODE_NOT_JOINING
//	 … one that could hold it has died, or is being drained    RAY:NODE_LOST, CAPACITY:PREEMPTED
//	a placement group has no layout         PLACEMENT:GROUP
//	fits, and its environment is being built      ENVIRONMENT:BUILDING
//	fits, but is in use                     CAPACITY:IN_USE, IN_USE_BY_ITSELF, HELD_BY_FINISHED; AT_LIMIT if the
//	                                        autoscaler reports that it may launch no more
//	fits otherwise                          nothing: it is being started; after a minute RAY:NOT_STARTED
//
// If a job has several waits, the worst one in the order of ranks counts, and of equal ones the earliest.
func Judge(m Moment) map[string]verdict {
	out := map[string]verdict{}
	if len(m.Nodes) == 0 {
		return out
	}
	of := map[string]Wait{}
	for _, w := range m.Waits {
		v := m.judge(w)
		if v.kind == "" {
			continue
		}
		if have, ok := out[w.Submission]; !ok || worse(v, have) {
			out[w.Submission], of[w.Submission] = v, w
		}
	}
	for submission, v := range out {
		v.fixes = m.fixes(of[submission], v)
		out[submission] = v
	}
	return out
}

// ranks has the causes by how much they matter if a job has several waits: first what can't end by itself.
var ranks = map[string]int{
	tooLarge: 1, labelsLack: 1, groupLaid: 1, envFailed: 1, inUseByItself: 2, heldByFinished: 2, nodeLost: 3, nodeQuota: 3, nodeRefused: 3, nodeNotJoining: 3, preempted: 3, imageFailed: 3,
	unknown: 4, nodeLaunching: 5, atLimit: 6, inUse: 7, envBuilding: 8, notStarted: 9,
}

func worse(a, b verdict) bool {
	rank := func(v verdict) int {
		if v.infeasible != nil && *v.infeasible {
			return 0
		}
		return ranks[orElse(v.code, unknown)]
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), a.since.Compare(b.since), cmp.Compare(a.who, b.who)) < 0
}

func (m *Moment) judge(w Wait) verdict {
	v := verdict{who: w.Who, since: w.Since, from: w.Since, demand: w.Shape, alike: w.Alike}
	if w.Group != "" {
		v = m.group(w, v)
	} else {
		v = m.single(w, v)
	}
	if w.Entrypoint && v.kind != "" && !w.Since.IsZero() {
		limit := "Ray ends it at " + w.Since.Add(startLimit).UTC().Format("15:04:05Z") + " unless it has started by then"
		v.detail = strings.TrimPrefix(v.detail+"; "+limit, "; ")
	}
	return v
}

// single judges what goes to one node.
func (m *Moment) single(w Wait, v verdict) verdict {
	part := Bundle{w.Shape, w.Labels}
	fitting := m.nodesFor(part, w.Fallback)
	if len(fitting) > 0 {
		return m.fits(w, v, fitting)
	}
	v.offered = m.offered(w.Shape)
	if v, ok := m.coming(w, v, part); ok {
		return v
	}
	if v, ok := m.lost(w, v, part); ok {
		return v
	}
	zero := int64(0)
	v.kind, v.pending = "resources", &zero
	old := m.Now.Sub(w.Since) >= neverBefore
	if missing := m.missingLabels(w); missing != "" {
		v.detail = "no live node has " + missing
		if old {
			v.code, v.from = labelsLack, w.Since.Add(neverBefore)
		}
		return v
	}
	first, last := m.wordsFor(w, part)
	if !last.IsZero() && m.Now.Sub(last) < wordLasts && old {
		yes := true
		v.code, v.infeasible, v.from = tooLarge, &yes, latest(first, w.Since.Add(neverBefore))
		if m.Autoscaler.V2 {
			v.detail = "the autoscaler may launch nothing for it: no node type has that much, or the cluster is at its limit"
		}
	}
	return v
}

// coming judges a wait that no live node satisfies by what is being launched; ok is false if nothing is.
func (m *Moment) coming(w Wait, v verdict, lacking Bundle) (verdict, bool) {
	launches := m.launchesFor(w, lacking)
	if failed := m.failure(w, lacking, launches); failed != nil {
		return m.refused(w, v, *failed, launches), true
	}
	if len(launches) == 0 {
		return v, false
	}
	v = m.launching(v, launches)
	if in, vain := m.unjoined(w, v, launches); vain {
		v = in
	}
	return v, true
}

// nodesFor returns the live nodes on which a part could be, were they idle.
func (m *Moment) nodesFor(b Bundle, fallback []map[string]string) (out []Node) {
	for _, n := range m.Nodes {
		if b.Shape.within(n.Total) && selectsAny(b.Labels, fallback, n.Labels) {
			out = append(out, n)
		}
	}
	return out
}

func selectsAny(labels map[string]string, fallback []map[string]string, have map[string]string) bool {
	return selects(labels, have) || slices.ContainsFunc(fallback, func(l map[string]string) bool { return selects(l, have) })
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

// missingLabels are the labels that a wait requires if no live node that is large enough has them; "" if one has, or if no
// node is large enough whatever its labels.
func (m *Moment) missingLabels(w Wait) string {
	if len(w.Labels) == 0 {
		return ""
	}
	large := false
	for _, n := range m.Nodes {
		large = large || w.Shape.within(n.Total)
		if selectsAny(w.Labels, w.Fallback, n.Labels) && w.Shape.within(n.Total) {
			return ""
		}
	}
	if !large {
		return ""
	}
	return labelsText(w.Labels)
}

func labelsText(labels map[string]string) string {
	var want []string
	for k, v := range labels {
		want = append(want, k+"="+v)
	}
	slices.Sort(want)
	if len(want) == 1 {
		return "the label " + want[0]
	}
	return "the labels " + strings.Join(want, ", ")
}
