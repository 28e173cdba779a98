package machine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// Gone is a node that died, or that is being drained and takes nothing new.
type Gone struct {
	Node
	At    time.Time
	Why   string // in Ray's words
	Taken bool   // by a drain or a preemption, which somebody wanted
}

// takenFor is how long a taken node is the cause of a wait. After that it is what comes in its place.
const takenFor = 2 * time.Minute

// goneOf returns a dead node as one that was lost or taken; ok is false for one that ended as expected.
func goneOf(n *rayapi.Node) (g Gone, ok bool) {
	says := strings.ToLower(n.Message)
	g = Gone{Node: Node{ID: n.ID, Total: n.Total, Labels: n.Labels, Joined: n.Started()}, At: n.Ended(), Why: n.Message}
	g.Taken = strings.Contains(says, "preempt")
	expected := strings.HasPrefix(says, "expected termination") || strings.Contains(says, "idle")
	return g, !g.At.IsZero() && (g.Taken || !expected)
}

// lost judges a wait that no live node satisfies by the nodes that could have: one of them held work of its job.
func (m *Moment) lost(w Wait, v verdict, part Bundle) (verdict, bool) {
	if w.Entrypoint || w.Began.IsZero() {
		return v, false
	}
	var last *Gone
	for i := range m.Gone {
		g := &m.Gone[i]
		fits := part.Shape.within(g.Total) && selectsAny(part.Labels, w.Fallback, g.Labels)
		if fits && g.At.After(w.Began) && (last == nil || g.At.After(last.At)) {
			last = g
		}
	}
	switch {
	case last == nil:
		return v, false
	case !last.Taken:
		v.code = nodeLost
	case m.Now.Sub(last.At) < takenFor:
		v.code = preempted
	default:
		return v, false
	}
	zero := int64(0)
	v.kind, v.pending = "resources", &zero
	v.since = latest(w.Since, last.At)
	v.from = v.since
	v.detail = fmt.Sprintf("node %s: %s", cut(last.ID), tidy(last.Why))
	return v, true
}

// The fate of launches that bring no node.
const (
	joinsWithin  = 5 * time.Minute  // a machine that has been there for longer doesn't join
	nothingTimes = 3                // launches in vain after which the next one is no reason to wait
	nothingLasts = 30 * time.Minute // how long a launch in vain counts
)

// launchSeen is what is remembered of the launches of a node type.
type launchSeen struct {
	count   int         // in the last report; 0: none is in progress
	began   time.Time   // zero: before the relay first looked
	up      time.Time   // since when a machine is there that hasn't joined; zero: none is
	there   []string    // those machines
	ended   []time.Time // when launches ended
	nothing []time.Time // of those since a node joined last, all of which brought none
}

// launching returns the launches in progress and an estimate of their start: a launch that is in this report and not in the previous
// one began in between, on average half a poll earlier.
func (w *world) launching(a rayapi.Autoscaler, nodes []Node) (out []Launching, seen map[string]launchSeen) {
	seen = map[string]launchSeen{}
	for _, l := range a.Launching {
		s, known := w.launches[l.Type]
		if slices.ContainsFunc(s.there, func(machine string) bool { return !slices.Contains(l.Machines, machine) }) {
			// One has ended, and others go on or took its place before this report.
			s = s.end(a.At, nodes)
			if !slices.ContainsFunc(s.there, func(machine string) bool { return slices.Contains(l.Machines, machine) }) {
				s.count, s.up = 0, time.Time{}
			}
		}
		s.there = l.Machines
		if s.count == 0 {
			s.began = time.Time{}
			if !w.looked.IsZero() {
				s.began = a.At.Add(-min(a.At.Sub(w.looked)/2, halfLook))
			}
		}
		switch {
		case l.Up == 0:
			s.up = time.Time{}
		case s.up.IsZero() && known:
			s.up = a.At
		case s.up.IsZero():
			s.up = latest(s.began, a.At)
		}
		s.count = l.Count
		s = s.since(a.At.Add(-nothingLasts))
		seen[l.Type] = s
		out = append(out, Launching{l.Type, l.Count, s.began, s.up, s.ended, s.nothing})
	}
	for kind, s := range w.launches {
		if _, lasts := seen[kind]; lasts {
			continue
		}
		if s.count > 0 {
			s = s.end(a.At, nodes)
		}
		s.count, s.up, s.there = 0, time.Time{}, nil
		if s = s.since(a.At.Add(-nothingLasts)); len(s.ended) > 0 {
			seen[kind] = s
		}
	}
	return out, seen
}

// end is after a launch ended: in vain, unless a node has joined since it began.
func (s launchSeen) end(at time.Time, nodes []Node) launchSeen {
	s.ended, s.nothing = append(slices.Clone(s.ended), at), append(slices.Clone(s.nothing), at)
	if slices.ContainsFunc(nodes, func(n Node) bool { return !n.Joined.Before(s.began) }) {
		s.nothing = nil
	}
	return s
}

// since forgets what ended before a moment.
func (s launchSeen) since(moment time.Time) launchSeen {
	s.ended, s.nothing = slices.DeleteFunc(slices.Clone(s.ended), moment.After), slices.DeleteFunc(slices.Clone(s.nothing), moment.After)
	return s
}

// unjoined judges launches that may help by what came of them so far; ok is false while there is reason to wait for them.
func (m *Moment) unjoined(w Wait, v verdict, launches []Launching) (verdict, bool) {
	for _, l := range launches {
		vain := l.Nothing
		if w.Group != "" { // its nodes come one by one, and each goes again before the next one is there
			vain = slices.DeleteFunc(slices.Clone(l.Ended), w.Since.After)
		}
		switch {
		case len(vain) >= nothingTimes:
			v.since, v.from = latest(w.Since, vain[0]), vain[nothingTimes-1]
			v.detail = fmt.Sprintf("launches of node type %s came to nothing %s", l.Type, times(len(vain)))
		case !l.Up.IsZero() && m.Now.Sub(l.Up) >= joinsWithin:
			v.since, v.from = latest(w.Since, l.Up), l.Up.Add(joinsWithin)
			v.detail = fmt.Sprintf("a machine of node type %s has been there since %s", l.Type, l.Up.UTC().Format("15:04:05Z"))
		default:
			return v, false // this one may come
		}
	}
	if len(launches) == 0 {
		return v, false
	}
	v.code = nodeNotJoining
	return v, true
}
