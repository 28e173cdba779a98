package kuberay

import (
	"fmt"
	"strings"
)

// placing is a pod that has no node.
func (p *pod) placing(events happened) *link {
	c := p.condition("PodScheduled")
	since := c.Since
	l := func(code string, detail ...string) *link {
		l := p.link(code, stepPlaced, since, detail...)
		l.demand = p.demand()
		return l
	}
	if c.Reason == "SchedulingGated" {
		return l(queued, c.Reason, c.Message)
	}
	if c.Reason != "Unschedulable" {
		return nil
	}
	if p.Status.Nominated != "" {
		return l(inUse, "the scheduler makes room on node "+p.Status.Nominated, p.nowhere())
	}
	if p.Spec.SchedulerName == "volcano" || hasAny(c.Message, "in gang unschedulable", "pod group is not ready") {
		return l(queued, c.Message)
	}
	if l := p.nodes(events, l); l != nil {
		return l
	}
	return l(unschedulable, c.Reason, p.whyNowhere(events), p.nowhere())
}

// nowhere are the scheduler's words on the nodes, without those on pods that it might take away.
func (p *pod) nowhere() string {
	words, _, _ := strings.Cut(p.condition("PodScheduled").Message, " preemption: ")
	return words
}

// whyNowhere is what the scheduler doesn't say itself.
func (p *pod) whyNowhere(events happened) string {
	words := p.condition("PodScheduled").Message
	switch {
	case hasAny(words, "persistentvolumeclaim"):
		if e := events.latest("ProvisioningFailed", "FailedBinding"); e != nil {
			return sentence("volume claim "+e.About.Name, e.Reason, e.Message)
		}
	case hasAny(words, "node(s) were unschedulable"):
		return "nodes that are cordoned or drained take no pods"
	}
	return ""
}

// groupsOfNodes writes the cluster autoscaler's list, "[{gpu-pool 0->1 (max: 4)} {other 1->2 (max: 3)}]", as text.
var groupsOfNodes = strings.NewReplacer("[{", "", "} {", ", ", "}]", "")

// nodes is what those who add nodes said of a pod that fits on none, or nil. The cluster autoscaler and Karpenter report by
// events about the pod; the latest counts.
func (p *pod) nodes(events happened, l func(string, ...string) *link) *link {
	latest := events.latest("TriggeredScaleUp", "Nominated", "NotTriggerScaleUp", "FailedScaleUp")
	if latest == nil {
		return nil
	}
	words := sentence(latest.Reason, groupsOfNodes.Replace(latest.Message))
	since := latest.began()
	var out *link
	switch latest.Reason {
	case "TriggeredScaleUp", "Nominated":
		out = l(nodeLaunching, words)
		if latest.times() >= 3 {
			out = l(nodeNotJoining, fmt.Sprintf("%d launches came to nothing", latest.times()-1), words)
			since = latest.seen()
		}
	case "FailedScaleUp":
		out = l(nodeRefused, words)
		if hasAny(latest.Message, "quota", "limitexceeded") {
			out = l(overQuota, words)
		}
	default:
		if !hasAny(latest.Message, "max node group size reached", "max cluster", "limit reached") {
			return l(unschedulable, p.nowhere(), words)
		}
		out = l(atLimit, words, p.nowhere())
	}
	out.at = since
	return out
}
