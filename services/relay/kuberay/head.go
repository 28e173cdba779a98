package kuberay

import (
	"slices"
	"time"
)

// head returns what is known of the head of a job that has begun, if it is gone or another one took its place.
func (s *situation) head() *link {
	lost := func(since time.Time, detail ...string) *link {
		return &link{code: headLost, step: stepJoined, since: since, detail: sentence(append([]string{"the head of RayCluster " + s.job.Status.ClusterName}, detail...)...)}
	}
	c := find(s.conditions(), "HeadPodReady")
	provisioned := find(s.conditions(), "RayClusterProvisioned")
	if c.is("False") && provisioned.is("True") && c.Since.After(provisioned.Since) {
		return lost(c.Since, s.headWords(sentence(c.Reason, c.Message)))
	}
	if c == nil || s.cluster == nil { // the pod itself tells
		for _, p := range s.pods {
			if p.role() != head || s.replaced(p) {
				continue
			}
			if l := p.judge(s.now, s.podEvents(p), false); l != nil && l.code != submitterFails {
				out := lost(l.since, l.detail)
				out.ended = l.ended
				return out
			}
		}
	}
	return s.replacedHead()
}

// headWords is how the head ended, as its pod says, else as the cluster's condition does.
func (s *situation) headWords(words string) string {
	for _, p := range s.pods {
		if p.role() != head {
			continue
		}
		if l := p.judge(s.now, s.podEvents(p), false); l != nil {
			return l.detail
		}
	}
	var last *ending
	for i := range s.endings {
		if e := &s.endings[i]; e.group == headGroup && (last == nil || e.at.After(last.at)) {
			last = e
		}
	}
	if last != nil && s.now.Sub(last.at) < loopWithin {
		return last.detail
	}
	return words
}

// headGroup is the value of KubeRay's label ray.io/group on heads.
const headGroup = "headgroup"

// replacedHead is a head that began after the job did. The job's driver ran on the one before, and its cluster has
// forgotten it, unless it keeps its state elsewhere.
func (s *situation) replacedHead() *link {
	begun := s.job.Status.Info.StartTime
	if begun == nil || s.cluster != nil && s.cluster.Spec.FaultTolerance != nil {
		return nil
	}
	for _, p := range s.pods {
		if p.role() != head || p.over() || len(p.Status.Containers) == 0 {
			continue
		}
		c := &p.Status.Containers[0]
		run := c.State.Running
		if run == nil || !run.Since.After(begun.Add(secondTry)) {
			continue
		}
		if s.now.Sub(run.Since) < secondTry { // KubeRay may have asked the new one already
			return nil
		}
		why := "another pod took its place"
		if t := c.Last.Terminated; t != nil {
			why = "it was restarted: " + exit(t)
		}
		return &link{code: driverLost, step: stepJoined, since: run.Since, at: run.Since.Add(secondTry), detail: sentence(p.name()+" began after the job", why)}
	}
	return nil
}

// headCondition is what the cluster's conditions tell of the head where its pods can't be listed: the reason of the first
// container that isn't ready.
func (s *situation) headCondition() *link {
	c := find(s.conditions(), "HeadPodReady")
	if !c.is("False") || slices.ContainsFunc(s.pods, func(p *pod) bool { return p.role() == head && !p.over() }) {
		return nil
	}
	if find(s.conditions(), "RayClusterProvisioned").is("True") {
		return &link{code: headLost, step: stepJoined, since: c.Since, detail: s.headWords(sentence("the head of RayCluster "+s.job.Status.ClusterName, c.Reason, c.Message))}
	}
	detail := sentence("the head of RayCluster "+s.job.Status.ClusterName+" isn't ready", c.Reason, c.Message)
	l := &link{code: starting, step: stepContainer, since: c.Since, detail: detail}
	switch {
	case slices.Contains(imageReasons, c.Reason):
		l.code, _, _ = classify(c.Reason, c.Message)
		l.step = stepImage
	case slices.Contains(configReasons, c.Reason) || slices.Contains([]string{"ContainerCannotRun", "StartError"}, c.Reason):
		l.code = configError
	case c.Reason == "CrashLoopBackOff":
		l.code = crashLoop
	case c.Reason == "OOMKilled":
		l.code = outOfMemory
	case c.Reason == "HeadPodNotFound" || c.Reason == "Unknown":
		return nil
	}
	return l
}
