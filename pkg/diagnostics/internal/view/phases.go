package view

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// Phase is a kind of a job's wait, or its work.
type Phase uint8

// The phases of a job.
const (
	PhaseQueued      Phase = iota // submitted without further reports, or waiting for its turn or for room
	PhaseQuota                    // for a quota, or at the limit of an autoscaler
	PhaseNode                     // for a node
	PhaseImage                    // for an image
	PhaseEnvironment              // for its runtime environment
	PhaseStarting                 // nothing blocks it, or its containers and processes start
	PhaseWorking                  // it has started and waits for nothing
)

func (p Phase) String() string {
	return [...]string{"queued", "quota", "node_launch", "image", "environment", "starting", "working"}[min(p, PhaseWorking)]
}

// phaseByCode has the phases of codes, by prefix; the longest that matches counts.
var phaseByCode = map[string]Phase{
	"CAPACITY:QUEUED": PhaseQueued, "CAPACITY:HELD": PhaseQueued, "CAPACITY:IN_USE": PhaseQueued, "CAPACITY:PREEMPTED": PhaseQueued, "PLACEMENT:": PhaseQueued,
	"CAPACITY:QUOTA": PhaseQuota, "CAPACITY:AT_LIMIT": PhaseQuota,
	"CAPACITY:NODE_": PhaseNode, "PLACEMENT:POD_": PhaseNode,
	"IMAGE:": PhaseImage, "ENVIRONMENT:": PhaseEnvironment, "CONTAINER:": PhaseStarting, "RAY:": PhaseStarting,
}

var inQueue = regexp.MustCompile(`(?i)\b(queue[ds]?|queueing|in line|position|admission|admitted)\b`)

// InQueue reports whether a detail mentions a queue.
func InQueue(detail string) bool { return inQueue.MatchString(detail) }

// phaseOf is the phase of a job with this wait.
func phaseOf(w *Waiting) Phase {
	longest, phase := 0, PhaseQueued
	for prefix, p := range phaseByCode {
		if len(prefix) > longest && strings.HasPrefix(w.Code.V, prefix) {
			longest, phase = len(prefix), p
		}
	}
	switch {
	case longest > 0:
		return phase
	case w.Kind == "":
		return PhaseStarting
	case w.Kind == "node_launch" || w.Kind == "resources" && w.NodesPending.V > 0:
		return PhaseNode
	case w.Kind == "image_pull":
		return PhaseImage
	case w.Kind == "runtime_env":
		return PhaseEnvironment
	case w.Kind == "quota" && !InQueue(w.Detail.V):
		return PhaseQuota
	}
	return PhaseQueued
}

// Phases are the moments at which a job's phase began, in order of time. Within a bucket the latest one is kept. The bucket width
// is the smallest power of two seconds that leaves at most maxPhases of them, so what is kept depends on the set of events alone.
type Phases struct {
	Shift uint8
	Marks []PhaseMark
}

// PhaseMark is the moment at which a phase of a job began.
type PhaseMark struct {
	At    int64
	Phase Phase
}

const maxPhases = 24

func (p *Phases) bucket(at int64) int64 { return at / 1e9 >> p.Shift }

// say records a mark and reports whether anything changed.
func (p *Phases) say(m PhaseMark) bool {
	i, found := slices.BinarySearchFunc(p.Marks, p.bucket(m.At), func(o PhaseMark, b int64) int { return cmp.Compare(p.bucket(o.At), b) })
	if found {
		if o := p.Marks[i]; cmp.Or(cmp.Compare(m.At, o.At), cmp.Compare(m.Phase, o.Phase)) <= 0 {
			return false
		}
		p.Marks[i] = m
		return true
	}
	p.Marks = slices.Insert(p.Marks, i, m)
	for len(p.Marks) > maxPhases {
		p.coarsen(p.Shift + 1)
	}
	return true
}

func (p *Phases) coarsen(shift uint8) {
	p.Shift = shift
	kept := p.Marks[:0]
	for _, m := range p.Marks {
		if k := len(kept); k > 0 && p.bucket(kept[k-1].At) == p.bucket(m.At) {
			kept[k-1] = m // marks ascend
			continue
		}
		kept = append(kept, m)
	}
	p.Marks = kept
}

func (p *Phases) join(o *Phases) {
	if o.Shift > p.Shift {
		p.coarsen(o.Shift)
	}
	for _, m := range o.Marks {
		p.say(m)
	}
}

// phase records the phase of a job that follows from what an event reports that it waits for.
func (f *folder) phase(p *Phases, w *Waiting) {
	m := PhaseMark{At: f.at.Time, Phase: phaseOf(w)}
	if w.Kind != "" {
		m.At = min(w.Since, m.At)
	}
	before, shift := len(p.Marks), p.Shift
	f.did(p.say(m))
	if len(p.Marks) > before || p.Shift != shift {
		f.grown += weightPoint
	}
}

func (w *walker) phases(p, o *Phases) {
	if w.joining {
		if w.only == nil {
			p.join(o)
			return
		}
		for _, m := range o.Marks {
			if w.only.has(m.At) {
				p.say(m)
			}
		}
		return
	}
	w.byte(&p.Shift)
	if w.weighing { // as of a series
		n := maxPhases
		if p.Shift == 0 {
			n = len(p.Marks)
		}
		w.weight += weightLen + weightPoint*n
		return
	}
	at := int64(0)
	visitSlice(&w.codec, &p.Marks, func(c *codec, m *PhaseMark) {
		d := m.At - at
		c.i(&d)
		m.At = at + d
		at = m.At
		c.byte((*uint8)(&m.Phase))
	})
	if p.Shift > 62 {
		w.fail()
	}
}
