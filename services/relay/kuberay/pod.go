package kuberay

import (
	"slices"
	"strconv"
	"time"
)

// Delays of the rules on pods.
const (
	// secondTry: a kubelet tries again after 10 s. One failure isn't a state.
	secondTry = 30 * time.Second
	// loopWithin is how close together restarts are that make a loop.
	loopWithin = 10 * time.Minute
	// steadyFor is how long a container runs before its earlier ends don't count any more.
	steadyFor = 2 * time.Minute
	// takenFor is how long a preemption or an eviction is named before what its replacement waits for.
	takenFor = 2 * time.Minute
	// joinWithin is how long a node that runs may take to join its cluster.
	joinWithin = 2 * time.Minute
)

// submitterName is the container that submits: in a pod of its own, or beside the head. It is the value of KubeRay's
// constant SubmitterContainerName.
const submitterName = "ray-job-submitter"

// role is what a pod is for a RayJob.
type role int

const (
	head role = iota
	worker
	submitter
)

func (p *pod) role() role {
	switch {
	case p.Metadata.Labels["ray.io/cluster"] == "":
		return submitter
	case p.Metadata.Labels["ray.io/node-type"] == "worker":
		return worker
	}
	return head
}

func (p *pod) group() string { return p.Metadata.Labels["ray.io/group"] }

func (p *pod) name() string {
	switch p.role() {
	case worker:
		return "worker pod " + p.Metadata.Name
	case submitter:
		return "submitter pod " + p.Metadata.Name
	}
	return "head pod " + p.Metadata.Name
}

func (p *pod) condition(kind string) *condition { return find(p.Status.Conditions, kind) }

func (p *pod) ready() bool { return p.condition("Ready").is("True") }

// over reports whether the pod has ended or is being deleted.
func (p *pod) over() bool {
	return p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" || p.Metadata.DeletionTimestamp != nil
}

// began is when the kubelet took the pod up, or else when it was made.
func (p *pod) began() time.Time { return firstOf(p.Status.StartTime, &p.Metadata.CreationTimestamp) }

// lastChange is the latest time that the pod's status has: when it ended, if it has.
func (p *pod) lastChange() time.Time {
	at := p.began()
	for _, c := range p.Status.Conditions {
		at = later(at, c.Since)
	}
	for _, c := range p.Status.Containers {
		if t := c.State.Terminated; t != nil {
			at = later(at, t.At)
		}
	}
	return at
}

func (p *pod) link(code string, step step, since time.Time, detail ...string) *link {
	l := &link{
		code: code, step: step, minor: p.role() == worker, since: since.UTC(), detail: sentence(append([]string{p.name()}, detail...)...),
	}
	if l.minor {
		l.brings = p.demand()
	}
	return l
}

// judge returns what keeps the pod from working, or nil. The events are those about the pod; headUp says that the head of
// its cluster is ready, for which workers wait.
func (p *pod) judge(now time.Time, events happened, headUp bool) *link {
	if p.Status.Phase == "Succeeded" {
		return nil
	}
	if l := p.taken(now); l != nil {
		return l
	}
	if p.Status.Phase == "Failed" {
		return p.failed()
	}
	if p.Metadata.DeletionTimestamp != nil || p.ready() && !p.shaky(now) {
		return nil
	}
	if p.condition("PodScheduled").is("False") {
		return p.placing(events)
	}
	var all []*link
	for i := range p.Status.InitContainers {
		if l := p.containerLink(&p.Status.InitContainers[i], now, events, true); l != nil {
			return l // containers start one after the other until here
		}
	}
	for i := range p.Status.Containers {
		c := &p.Status.Containers[i]
		if w := c.State.Waiting; w != nil && w.Reason == "PodInitializing" && p.initializing() {
			continue // it waits for an init container that runs
		}
		all = append(all, p.containerLink(c, now, events, i == 0))
	}
	if l := first(all); l != nil {
		return l
	}
	return p.joining(now, events, headUp)
}

// initializing reports whether an init container runs.
func (p *pod) initializing() bool {
	return slices.ContainsFunc(p.Status.InitContainers, func(c container) bool { return c.State.Running != nil })
}

// taken is a pod whose node was taken from it.
func (p *pod) taken(now time.Time) *link {
	c := p.condition("DisruptionTarget")
	since := p.lastChange()
	switch {
	case p.Status.Reason == "Evicted":
		return p.link(evicted, stepPlaced, since, "Evicted", p.Status.Message)
	case c.is("True") && now.Sub(c.Since) < takenFor:
		return p.link(preempted, stepPlaced, c.Since, c.Reason, c.Message)
	case p.Status.Phase == "Failed" && slices.Contains([]string{"Shutdown", "NodeShutdown", "Terminated", "NodeLost", "Preempting"}, p.Status.Reason):
		return p.link(preempted, stepPlaced, since, p.Status.Reason, p.Status.Message)
	}
	return nil
}

// failed is a pod that ended with an error and isn't restarted.
func (p *pod) failed() *link {
	if c, t := p.ended(); t != nil {
		return p.terminatedLink(c, t, 0)
	}
	if p.Status.Reason != "" { // the kubelet doesn't take it
		return p.link(setupFailed, stepSetUp, p.lastChange(), p.Status.Reason, p.Status.Message)
	}
	return nil
}

// ended returns the container whose end with an error ended the pod.
func (p *pod) ended() (*container, *terminated) {
	for _, list := range [][]container{p.Status.InitContainers, p.Status.Containers} {
		for i := range list {
			if t := list[i].State.Terminated; t != nil && t.ExitCode != 0 {
				return &list[i], t
			}
		}
	}
	return nil, nil
}

// shaky reports whether a container of the pod was restarted and doesn't run for long yet.
func (p *pod) shaky(now time.Time) bool {
	return slices.ContainsFunc(p.Status.Containers, func(c container) bool {
		return c.Restarts > 0 && c.State.Running != nil && now.Sub(c.State.Running.Since) < steadyFor && c.Last.Terminated != nil
	})
}

// containerLink is what keeps a container from running, or nil. Ends of containers count for Ray's own and those that it
// needs, not for what others put beside them.
func (p *pod) containerLink(c *container, now time.Time, events happened, ours bool) *link {
	ours = ours || c.Name == submitterName || c.Name == "autoscaler"
	if t := c.State.Terminated; t != nil && t.ExitCode != 0 && ours {
		return p.terminatedLink(c, t, c.Restarts)
	}
	if c.State.Running != nil {
		if !ours || c.Restarts == 0 || now.Sub(c.State.Running.Since) >= steadyFor {
			return nil
		}
		return p.restarted(c, now)
	}
	w := c.State.Waiting
	if w == nil {
		return nil
	}
	at := "container " + c.Name
	switch {
	case slices.Contains(imageReasons, w.Reason):
		return p.image(c, now, events)
	case slices.Contains(configReasons, w.Reason):
		since := events.since(p.began(), "Failed")
		return p.link(configError, stepContainer, since, at, w.Reason, w.Message)
	case w.Reason == "CrashLoopBackOff" && ours:
		return p.restarted(c, now)
	case w.Reason == "CrashLoopBackOff":
		return nil
	}
	return p.settingUp(c, events)
}

// configReasons are the kubelet's reasons for a container that can't be made or started as it is described.
var configReasons = []string{
	"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError",
}

// terminatedLink is a container that ended with an error.
func (p *pod) terminatedLink(c *container, t *terminated, restarts int) *link {
	l := p.endLink(c, t, restarts)
	l.ended = &ended{pod: p, container: c.Name, at: t.At}
	return l
}

func (p *pod) endLink(c *container, t *terminated, restarts int) *link {
	at := "container " + c.Name
	switch {
	case c.Name == submitterName:
		return p.link(submitterFails, stepJoined, t.At, at, exit(t), t.Message)
	case slices.Contains([]string{"ContainerCannotRun", "StartError"}, t.Reason) || slices.Contains([]int{126, 127}, t.ExitCode):
		return p.link(configError, stepContainer, t.At, at, exit(t), t.Message)
	case t.Reason == "OOMKilled" && (p.role() == head || restarts >= 2):
		return p.link(outOfMemory, stepContainer, t.At, at, exit(t), p.limit(c.Name))
	case restarts >= 3:
		return p.link(crashLoop, stepContainer, t.At, at, again(restarts), exit(t), t.Message)
	}
	return p.link(starting, stepContainer, t.At, at, "ended", exit(t), t.Message)
}

// restarted is a container that was restarted, and doesn't run for long since.
func (p *pod) restarted(c *container, now time.Time) *link {
	l := p.restartLink(c, now)
	if t := c.Last.Terminated; l != nil && t != nil {
		l.ended = &ended{pod: p, container: c.Name, at: t.At, previous: true}
	}
	return l
}

func (p *pod) restartLink(c *container, now time.Time) *link {
	t := c.Last.Terminated
	if t == nil {
		t = &terminated{}
	}
	w := "container " + c.Name
	back := ""
	if c.Restarts >= 2 { // a kubelet waits before the second restart, and longer before each one after it
		back = "CrashLoopBackOff"
	}
	since := p.began()
	if !t.At.IsZero() {
		since = t.At
	}
	switch {
	case !t.At.IsZero() && now.Sub(t.At) > loopWithin && c.State.Running != nil:
		return nil
	case t.Reason == "OOMKilled" && (p.role() == head || c.Restarts >= 2):
		return p.link(outOfMemory, stepContainer, since, w, back, again(c.Restarts), "last "+exit(t), p.limit(c.Name))
	case slices.Contains([]string{"ContainerCannotRun", "StartError"}, t.Reason) || slices.Contains([]int{126, 127}, t.ExitCode):
		return p.link(configError, stepContainer, since, w, back, exit(t), t.Message)
	case c.Restarts >= 3:
		return p.link(crashLoop, stepContainer, since, w, back, again(c.Restarts), "last "+exit(t), t.Message)
	}
	return p.link(starting, stepContainer, since, w, again(c.Restarts), "last "+exit(t), t.Message)
}

func again(restarts int) string {
	if restarts == 1 {
		return "restarted once"
	}
	return "restarted " + strconv.Itoa(restarts) + " times"
}

// exit describes an end in the kubelet's words.
func exit(t *terminated) string {
	s := "exit code " + strconv.Itoa(t.ExitCode)
	if t.Reason != "" && t.Reason != "Error" {
		s = t.Reason + ", " + s
	}
	return s
}

// limit names the memory limit of a container.
func (p *pod) limit(name string) string {
	for _, c := range p.Spec.Containers {
		if m := c.Resources.Limits["memory"]; c.Name == name && m != "" {
			return "its limit is " + m
		}
	}
	return ""
}

// settingUp is a container that is being made, without an error of its own.
func (p *pod) settingUp(c *container, events happened) *link {
	began := p.began()
	for _, reason := range []string{"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox", "NetworkNotReady"} {
		if e := events.latest(reason); e != nil && e.times() >= 3 {
			return p.link(setupFailed, stepSetUp, e.began(), reason, e.Message)
		}
	}
	if pull, done := events.of("Pulling", c.Name), events.of("Pulled", c.Name); pull != nil && (done == nil || done.seen().Before(pull.seen())) {
		return p.link(pulling, stepImage, pull.seen(), "container "+c.Name+" pulls "+c.Image)
	}
	detail := "is being started"
	for _, reason := range []string{"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"} {
		if e := events.latest(reason); e != nil {
			detail = sentence(reason, e.Message)
		}
	}
	return p.link(starting, stepSetUp, began, "container "+c.Name, detail)
}

// joining is a pod whose containers run and that isn't ready.
func (p *pod) joining(now time.Time, events happened, headUp bool) *link {
	since := p.began()
	for _, list := range [][]container{p.Status.InitContainers, p.Status.Containers} {
		for _, c := range list {
			if c.State.Running != nil {
				since = later(since, c.State.Running.Since)
			}
		}
	}
	if p.condition("Ready") == nil && p.Status.Phase == "Running" && !slices.ContainsFunc(p.Status.Containers, func(c container) bool { return !c.Ready }) {
		return nil // nothing says that it isn't ready
	}
	why := ""
	if e := events.latest("Unhealthy", "NodeNotReady"); e != nil {
		why = sentence(e.Reason, e.Message)
		if unready := p.condition("Ready"); e.Reason == "NodeNotReady" && unready.is("False") {
			return p.link(nodeLost, stepPlaced, unready.Since, "node "+p.Spec.NodeName, why)
		}
	}
	switch {
	case p.role() == worker && !headUp:
		return nil // it waits for the head, of which is said what that waits for
	case p.role() == worker && now.Sub(since) >= joinWithin:
		l := p.link(nodeNotJoining, stepJoined, since, "runs and doesn't join the cluster", why)
		l.at = since.Add(joinWithin)
		return l
	case p.role() == submitter:
		return nil
	case p.role() == head && why != "" && now.Sub(since) >= joinWithin:
		l := p.link(nodeNotJoining, stepJoined, since, "runs and isn't ready", why)
		l.at = since.Add(joinWithin)
		return l
	case len(p.Status.Containers) == 0 && len(p.Status.InitContainers) == 0:
		return p.link(starting, stepSetUp, since, "has its node, and no container yet")
	}
	return p.link(starting, stepContainer, since, "isn't ready", why)
}
