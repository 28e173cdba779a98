package kuberay

import (
	"net/url"
	"slices"
	"strings"
)

// resource is a kind of objects that the source watches.
type resource struct {
	id       string // differs also between two watches of one kind
	name     string // as rights name it
	kind     string
	groups   []string // paths of the API group's versions, the best first
	selector string   // of labels
}

// rayJobs is the only resource that the source can't do without.
var rayJobs = resource{id: "rayjobs", name: "rayjobs", kind: "RayJob", groups: []string{"apis/ray.io/v1"}}

// others say why a RayJob doesn't get on. Where one may not be read or isn't installed, the rest goes on.
var others = []resource{
	{id: "rayclusters", name: "rayclusters", kind: "RayCluster", groups: []string{"apis/ray.io/v1"}},
	{id: "pods", name: "pods", kind: "Pod", groups: []string{"api/v1"}, selector: "ray.io/cluster"},
	{id: "submitters", name: "pods", kind: "Pod", groups: []string{"api/v1"}, selector: "job-name,!ray.io/cluster"}, // KubeRay gives them no label
	{id: "events", name: "events", kind: "Event", groups: []string{"api/v1"}},
	{id: "workloads", name: "workloads", kind: "Workload", groups: []string{"apis/kueue.x-k8s.io/v1beta2", "apis/kueue.x-k8s.io/v1beta1"}},
	{id: "podgroups", name: "podgroups", kind: "PodGroup", groups: []string{"apis/scheduling.volcano.sh/v1beta1"}},
}

// wantedEvents are the reasons of the events that are kept, of Kubernetes, the cluster autoscaler and Karpenter. KubeRay's are
// those that something was made or refused.
var wantedEvents = []string{
	"SuccessfulCreate", "Pulling", "Pulled", "Failed", "FailedToRetrieveImagePullSecret", "Unhealthy", "NodeNotReady", "ProvisioningFailed", "FailedBinding",
	"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox", "NetworkNotReady",
	"TriggeredScaleUp", "NotTriggerScaleUp", "FailedScaleUp", "Nominated",
}

func wanted(reason string) bool {
	return slices.Contains(wantedEvents, reason) || refuses(reason) || makes(reason)
}

// refuses reports whether an event says that something of a RayJob couldn't be made: FailedToCreateHeadPod, InvalidRayJobSpec, a
// Job's FailedCreate.
func refuses(reason string) bool {
	switch reason {
	case "FailedToCreateRedisCleanupJob": // when it is over
		return false
	case "FailedCreate", "RayClusterNotFound", "AutoscalerServiceAccountNotFound":
		return true
	}
	return strings.HasPrefix(reason, "FailedToCreate") || strings.HasPrefix(reason, "InvalidRay")
}

// makes reports whether an event says that something of a RayJob was made. The kubelet's Created is about a container.
func makes(reason string) bool {
	return strings.HasPrefix(reason, "Created") && reason != "Created" || reason == "SuccessfulCreate"
}

func (r *resource) path(group, namespace string) string {
	if namespace == "" {
		return group + "/" + r.name
	}
	return group + "/namespaces/" + namespace + "/" + r.name
}

func (r *resource) query() url.Values {
	if r.selector == "" {
		return url.Values{}
	}
	return url.Values{"labelSelector": {r.selector}}
}

// right names the right that a refused request lacks, as roles name it.
func (r *resource) right(verb, namespace string) string {
	name := r.name
	if group := strings.Split(r.groups[0], "/"); group[0] == "apis" {
		name += "." + group[1]
	}
	where := "in all namespaces"
	if namespace != "" {
		where = "in namespace " + namespace
	}
	return "the right to " + verb + " " + name + " " + where + " is missing"
}
