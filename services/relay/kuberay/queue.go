package kuberay

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/headwayhq/headway/services/relay"
)

// queueLabel names the Kueue LocalQueue of an object. It is the value of Kueue's constant QueueLabel.
const queueLabel = "kueue.x-k8s.io/queue-name"

// Kueue's reasons for which a workload doesn't leave its queue by waiting, by what they mean. Before version 0.19 Kueue says
// Pending or Inadmissible for most of them, and the message tells.
var (
	heldReasons  = []string{"Suspended", "AdmissionGated", "OnHold", "Misconfigured", "Inadmissible"}
	largeReasons = []string{"NoMatchingFlavor", "ExceedsMaxQuota"}
	heldWords    = []string{"is stopped", "terminating or missing", "is inactive", "not found", "doesn't exist", "admission is gated"}
	largeWords   = []string{"insufficient quota for", "> maximum capacity", "doesn't match node affinity", "untolerated taint", "unavailable in clusterqueue"}
)

// place is where a workload stands in its queue.
type place struct {
	Queue    string // the ClusterQueue
	Position int    // counted from 1, of Of; 0: not known
	Of       int
	Inactive string        // why the ClusterQueue admits nothing
	Asked    []relay.Asked // what of this may not be read
}

func (p place) String() string {
	if p.Position == 0 {
		return ""
	}
	return "place " + strconv.Itoa(p.Position) + " of " + strconv.Itoa(p.Of)
}

// queueName describes the queues of a workload.
func (w *workload) queueName(at place) string {
	cluster := at.Queue
	if a := w.Status.Admission; a != nil {
		cluster = a.ClusterQueue
	}
	if cluster == "" {
		return "queue " + w.Spec.Queue
	}
	return "queue " + w.Spec.Queue + " of ClusterQueue " + cluster
}

// judge returns what keeps a workload in its queue, or nil if it is admitted or over.
func (w *workload) judge(now time.Time, at place) *link {
	is := func(kind string) *condition { return find(w.Status.Conditions, kind) }
	if is("Finished").is("True") {
		return nil
	}
	in := w.queueName(at)
	l := func(code string, since time.Time, detail ...string) *link {
		return &link{code: code, step: stepAccepted, since: since, detail: sentence(append([]string{in}, detail...)...)}
	}
	evicted, quota := is("Evicted"), is("QuotaReserved")
	switch {
	case w.Spec.Active != nil && !*w.Spec.Active:
		since, words := w.Metadata.CreationTimestamp, ""
		if evicted.is("True") {
			since, words = evicted.Since, sentence(evicted.Reason, evicted.Message)
		}
		return l(held, since, "the workload is deactivated", words)
	case evicted.is("True") && slices.Contains([]string{"Deactivated", "RequeuingLimitExceeded", "MaximumExecutionTimeExceeded"}, evicted.Reason):
		return l(held, evicted.Since, evicted.Reason, evicted.Message)
	}
	for _, c := range w.Status.Checks {
		if c.State == "Rejected" {
			return l(held, c.Since, "admission check "+c.Name+" is Rejected", c.Message)
		}
	}
	if evicted.is("True") && !quota.is("True") && now.Sub(evicted.Since) < takenFor && !slices.Contains([]string{"ClusterQueueStopped", "LocalQueueStopped"}, evicted.Reason) {
		return w.evicted(l, evicted)
	}
	if !quota.is("True") {
		return w.pending(l, quota, at)
	}
	if is("Admitted").is("True") {
		return nil
	}
	for _, c := range w.Status.Checks {
		if c.State == "Pending" || c.State == "Retry" {
			code := queued
			if hasAny(c.Name+" "+c.Message, "provision") { // the check of a ProvisioningRequest asks for nodes
				code = nodeLaunching
			}
			return l(code, later(quota.Since, c.Since), "admission check "+c.Name+" is "+c.State, c.Message)
		}
	}
	return l(queued, quota.Since, "quota is reserved, and the workload isn't admitted yet")
}

func (w *workload) evicted(l func(string, time.Time, ...string) *link, evicted *condition) *link {
	why := ""
	if c := find(w.Status.Conditions, "Preempted"); c.is("True") {
		why = c.Reason
	}
	return l(preempted, evicted.Since, evicted.Reason, why, evicted.Message)
}

// pending is a workload without quota.
func (w *workload) pending(l func(string, time.Time, ...string) *link, quota *condition, at place) *link {
	since := w.Metadata.CreationTimestamp
	if c := find(w.Status.Conditions, "Evicted"); c.is("True") {
		since = c.Since // it was in, and has to wait anew
	}
	if at.Inactive != "" {
		return l(held, since, "the ClusterQueue is inactive", at.Inactive)
	}
	if quota == nil {
		return l(queued, since, at.String(), "Kueue hasn't looked at it yet")
	}
	words := quota.Message
	if quota.Reason != "Pending" {
		words = sentence(quota.Reason, quota.Message)
	}
	code := queued
	switch {
	case slices.Contains(largeReasons, quota.Reason), quota.Reason == "Pending" && hasAny(quota.Message, largeWords...) && !hasAny(quota.Message, "insufficient unused quota"):
		code = tooLarge
	case slices.Contains(heldReasons, quota.Reason), quota.Reason == "Pending" && hasAny(quota.Message, heldWords...):
		code = held
	}
	out := l(code, since, at.String(), words)
	if code != queued {
		out = l(code, since, words) // the list of places has those that can't be admitted too
		out.at = quota.Since
	}
	return out
}

// judge returns what keeps a gang in Volcano's queue, or nil if it is placed.
func (g *podGroup) judge() *link {
	c := find(g.Status.Conditions, "Unschedulable")
	if find(g.Status.Conditions, "Scheduled").is("True") || !slices.Contains([]string{"", "Pending", "Inqueue", "Unknown"}, g.Status.Phase) {
		return nil
	}
	l := &link{code: queued, step: stepAccepted, since: g.Metadata.CreationTimestamp, demand: amounts(g.Spec.Minimum)}
	words := ""
	if c.is("True") {
		l.at, words = c.Since, sentence(c.Reason, c.Message)
	}
	if hasAny(words, "queue is closed", "closed state", "queue state") {
		l.code = held
	}
	if g.Status.Phase == "Inqueue" && words == "" {
		return nil // it may be scheduled: its pods tell
	}
	all := ""
	if g.Spec.MinMember > 0 {
		all = fmt.Sprintf("%d of %d pods run", g.Status.Running, g.Spec.MinMember)
	}
	queue := g.Spec.Queue
	if queue == "" {
		queue = "default"
	}
	l.detail = sentence("Volcano's queue "+queue, all, words)
	return l
}
