package kuberay

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/services/relay"
)

// situation is everything that is known of a RayJob at a moment.
type situation struct {
	now     time.Time
	job     *rayJob
	cluster *rayCluster // nil: not there, or not readable
	pods    []*pod      // of its cluster and its submitter
	events  func(kind, name, uid string) happened
	works   []*workload
	gang    *podGroup
	places  map[string]place  // by the workload's name
	endings []ending          // of its cluster's pods
	lacks   map[string]string // rights that are missing, by resource, in words
	absent  map[string]bool   // resources that the API server doesn't know

	ended *ended // the container whose end is said to be in the job's way
}

// ending is a pod that ended with an error or was taken away, and was replaced or may be.
type ending struct {
	group, pod, detail string
	code               string
	at                 time.Time
}

// waits returns why the job doesn't get on. It is never nil for a job that hasn't begun; with an empty Kind the job waits
// for nothing that is known.
func (s *situation) waits() *relay.Waits {
	j := s.job
	var l *link
	if j.status() == relay.Running {
		l = s.running()
	} else {
		l = s.pending()
	}
	switch {
	case l != nil:
		s.ended = l.ended
		w := l.waits()
		w.Asked = s.asked()
		return w
	case j.status() == relay.Running:
		return &relay.Waits{At: s.now}
	}
	return s.nothing()
}

// pending returns the first link of a job that hasn't begun.
func (s *situation) pending() *link {
	j := s.job
	if l := s.queue(); l != nil {
		return l
	}
	if l := s.refused(); l != nil {
		return l
	}
	switch j.Status.DeploymentStatus {
	case "Suspended", "Suspending":
		return s.suspended()
	case "Waiting":
		return &link{code: waitsForSubmit, since: j.told(), detail: "RayJob " + j.Metadata.Name + " is in InteractiveMode: cluster " +
			j.Status.ClusterName + " is ready, and spec.jobId names no job"}
	case "":
		if waited := s.now.Sub(j.Metadata.CreationTimestamp); waited >= secondTry {
			return &link{code: notStarted, since: j.Metadata.CreationTimestamp, at: j.Metadata.CreationTimestamp.Add(secondTry),
				detail: "KubeRay's operator hasn't taken the RayJob up"}
		}
		return nil
	}
	return first(append(s.podLinks(0), s.gangLink(), s.loop(), s.headCondition()))
}

// running returns what a job that has begun waits for.
func (s *situation) running() *link {
	if s.job.Status.DeploymentStatus == "Suspending" || s.job.Status.DeploymentStatus == "Suspended" {
		if l := s.queue(); l != nil {
			return l
		}
		return s.suspended()
	}
	if l := s.head(); l != nil {
		return l
	}
	return first(append(s.podLinks(secondTry), s.loop(), s.refused()))
}

// queue returns what keeps the job in a queue. While one workload is admitted the job runs, and others are for growing.
func (s *situation) queue() *link {
	var all []*link
	for _, w := range s.works {
		l := w.judge(s.now, s.places[w.Metadata.Name])
		if l == nil && !find(w.Status.Conditions, "Finished").is("True") {
			return nil
		}
		all = append(all, l)
	}
	return first(all)
}

func (s *situation) gangLink() *link {
	if s.gang == nil {
		return nil
	}
	return s.gang.judge()
}

// suspended is a RayJob that no queue's workload speaks for.
func (s *situation) suspended() *link {
	j := s.job
	l := &link{code: held, since: j.told(), detail: "the RayJob is suspended, and no queue manages it"}
	queue := j.Metadata.Labels[queueLabel]
	switch {
	case slices.ContainsFunc(s.works, func(w *workload) bool { return find(w.Status.Conditions, "Admitted").is("True") }):
		l.code, l.detail = starting, "queue "+queue+" admitted the RayJob, and KubeRay resumes it"
	case s.lacks["workloads"] != "":
		l.code, l.detail = unknown, "the RayJob is suspended, and whether by a queue isn't known: "+s.lacks["workloads"]
	case queue != "" && s.absent["workloads"]:
		l.detail = "the RayJob is suspended and names queue " + queue + ", and Kueue isn't installed"
	case queue != "" && s.now.Sub(l.since) < secondTry:
		l.code, l.detail = queued, "queue "+queue
	case queue != "":
		l.detail, l.at = "the RayJob is suspended and names queue "+queue+", and Kueue made no workload for it", l.since.Add(secondTry)
	}
	return l
}

// refused is an object that Kubernetes or the operator refuses, or a pod for which there is no quota.
func (s *situation) refused() *link {
	j := s.job
	if c := find(s.conditions(), replicaFailure); c.is("True") && !strings.Contains(c.Reason, "Delete") {
		return &link{code: refusal(c.Message), step: stepCreated, since: c.Since, detail: sentence(c.Reason, c.Message)}
	}
	for _, about := range []struct{ kind, name, uid string }{
		{"RayJob", j.Metadata.Name, j.Metadata.UID}, {"RayCluster", j.Status.ClusterName, ""}, {"Job", j.Metadata.Name, ""},
	} {
		events := s.events(about.kind, about.name, about.uid)
		e := events.last(refuses)
		if e == nil || s.now.Sub(e.seen()) > eventLasts {
			continue
		}
		if made := events.last(makes); made != nil && !made.seen().Before(e.seen()) {
			continue
		}
		return &link{code: refusal(e.Message), step: stepAccepted, since: e.began(), detail: sentence(about.kind+" "+about.name, e.Reason, e.Message)}
	}
	return nil
}

// eventLasts is how long an event bears a cause that no object's state bears: KubeRay tries again every 2 to 3 s, and
// reports each failure.
const eventLasts = 2 * time.Minute

// refusal tells by the words of a refusal what is missing.
func refusal(words string) string {
	switch {
	case hasAny(words, "exceeded quota", "quotaexceeded", "quota_exceeded", "limitexceeded"):
		return overQuota
	case hasAny(words, "insufficientinstancecapacity", "resource_pool_exhausted", "stockout"):
		return nodeRefused
	}
	return rejected
}

// conditions are those of the cluster itself. The RayJob's copy of them is written only after a successful question for the
// job, and is old when it matters; it serves where the cluster can't be read.
func (s *situation) conditions() []condition {
	if s.cluster != nil {
		return s.cluster.Status.Conditions
	}
	return s.job.Status.Cluster.Conditions
}

// podLinks are what keeps the job's pods, for longer than a time.
func (s *situation) podLinks(than time.Duration) (all []*link) {
	up := slices.ContainsFunc(s.pods, func(p *pod) bool { return p.role() == head && p.up() })
	groups := map[string]int{}
	for _, p := range s.pods {
		if p.role() == worker && p.up() {
			groups[p.group()]++
		}
	}
	for _, p := range s.pods {
		l := p.judge(s.now, s.podEvents(p), up)
		if l == nil || s.now.Sub(l.since) < than || s.replaced(p) {
			continue
		}
		if p.role() == submitter && l.code == submitterFails && !s.gaveUp(l) {
			continue
		}
		if p.role() == worker {
			n := max(s.cluster.desired(p.group()), groups[p.group()]+1)
			if s.job.status() == relay.Running && 2*groups[p.group()] > n {
				continue // it has most of them, and whether it needs the rest isn't known here
			}
			if n > 1 {
				l.detail += fmt.Sprintf(" (%d of %d pods of group %s work)", groups[p.group()], n, p.group())
			}
		}
		all = append(all, l)
	}
	return all
}

// podEvents are the events about a pod and its volume claims.
func (s *situation) podEvents(p *pod) happened {
	all := s.events("Pod", p.Metadata.Name, p.Metadata.UID)
	for _, v := range p.Spec.Volumes {
		if v.Claim.Name == "" {
			continue
		}
		both := maps.Clone(s.events("PersistentVolumeClaim", v.Claim.Name, ""))
		if len(both) > 0 {
			maps.Copy(both, all)
			all = both
		}
	}
	return all
}

// up reports whether a pod works, as far as is known.
func (p *pod) up() bool {
	return !p.over() && p.Status.Phase == "Running" && (p.ready() || p.condition("Ready") == nil)
}

// replaced reports whether a pod has ended and another one has its part.
func (s *situation) replaced(p *pod) bool {
	return p.over() && slices.ContainsFunc(s.pods, func(other *pod) bool {
		return other != p && other.role() == p.role() && other.group() == p.group() && other.up() && other.Metadata.CreationTimestamp.After(p.Metadata.CreationTimestamp)
	})
}

// gaveUp reports whether the end of a submitter is for good: its pod is replaced at first, and where the program itself
// failed, KubeRay says so within seconds.
func (s *situation) gaveUp(l *link) bool {
	failed := 0
	for _, p := range s.pods {
		if p.role() == submitter && p.Status.Phase == "Failed" {
			failed++
		}
	}
	return failed >= 2 || s.now.Sub(l.since) >= 10*time.Second
}

// loop is a group whose pods end and are replaced again and again, instead of being restarted.
func (s *situation) loop() *link {
	count := map[string]int{}
	var last *ending
	for i := range s.endings {
		e := &s.endings[i]
		if s.now.Sub(e.at) > loopWithin {
			continue
		}
		if count[e.group]++; count[e.group] >= 3 && (last == nil || e.at.After(last.at)) {
			last = e
		}
	}
	if last == nil || slices.ContainsFunc(s.pods, func(p *pod) bool {
		return p.group() == last.group && p.up() && s.now.Sub(p.began()) >= steadyFor
	}) {
		return nil
	}
	code := crashLoop
	if last.code == outOfMemory || last.code == evicted || last.code == preempted {
		code = last.code
	}
	return &link{code: code, step: stepContainer, minor: last.group != headGroup, since: last.at, detail: sentence(
		fmt.Sprintf("%d pods of group %s ended within %d min and were replaced", count[last.group], last.group, int(loopWithin.Minutes())), last.detail)}
}

// nothing is a job that hasn't begun, without a known reason.
func (s *situation) nothing() *relay.Waits {
	j := s.job
	since := j.base().SubmittedAt
	w := &relay.Waits{Kind: "resources", Code: notStarted, Since: since, At: later(since, j.told()), Asked: s.asked()}
	switch {
	case s.lacks["pods"] != "":
		w.Code, w.Detail = unknown, "what its pods do isn't known: "+s.lacks["pods"]
	case s.now.Sub(later(since, j.told())) < 10*time.Second:
		w.Kind, w.Code, w.Detail = "node_launch", starting, "RayCluster "+j.Status.ClusterName+" is being made"
	case j.Status.DeploymentStatus == "Running":
		w.Detail = "RayCluster " + j.Status.ClusterName + " is ready, and Ray hasn't begun the job"
	case slices.ContainsFunc(s.pods, func(p *pod) bool { return !p.over() }):
		w.Detail = "the pods of RayCluster " + j.Status.ClusterName + " work, and KubeRay hasn't submitted the job"
	case slices.ContainsFunc(s.pods, s.hangs):
		p := s.pods[slices.IndexFunc(s.pods, s.hangs)]
		w.Detail = p.name() + " was to end at " + p.Metadata.DeletionTimestamp.UTC().Format("15:04:05Z") + " and hasn't, and there is no other"
	default:
		w.Detail = "KubeRay has made no pod of RayCluster " + j.Status.ClusterName
	}
	return w
}

// hangs reports whether a pod was to be gone long ago.
func (s *situation) hangs(p *pod) bool {
	at := p.Metadata.DeletionTimestamp
	return at != nil && s.now.Sub(*at) >= time.Minute
}

// asked are the resources that may not be read for this job, with the right that is missing. Those on queues count only for a job that names one: who
// may not read them isn't told either that there are none.
func (s *situation) asked() (out []relay.Asked) {
	j := s.job
	inKueue := j.Metadata.Labels[queueLabel] != "" || strings.HasPrefix(j.Status.DeploymentStatus, "Suspend")
	inVolcano := slices.ContainsFunc(s.pods, func(p *pod) bool { return p.Spec.SchedulerName == "volcano" }) || j.Metadata.Labels["volcano.sh/queue-name"] != ""
	for _, what := range []string{"pods", "events", "rayclusters", "workloads", "podgroups"} {
		if s.lacks[what] == "" || what == "workloads" && !inKueue || what == "podgroups" && !inVolcano {
			continue
		}
		out = append(out, relay.Asked{Source: "Kubernetes, " + what, Says: s.lacks[what]})
	}
	for _, w := range s.works {
		if !find(w.Status.Conditions, "QuotaReserved").is("True") {
			return append(out, s.places[w.Metadata.Name].Asked...)
		}
	}
	return out
}
