package kuberay

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/services/relay"
)

// sourceName is the source of all observations of this package.
const sourceName = "kuberay"

// replicaFailure is the condition of a RayCluster whose pods can't be created or deleted. It is the value of KubeRay's
// constant RayClusterReplicaFailure (ray-operator/apis/ray/v1/raycluster_types.go of v1.5.0).
const replicaFailure = "ReplicaFailure"

// metadata holds the fields that are read from an object's metadata. Absent times are null.
type metadata struct {
	Namespace         string            `json:"namespace"`
	Name              string            `json:"name"`
	UID               string            `json:"uid"`
	ResourceVersion   string            `json:"resourceVersion"`
	CreationTimestamp time.Time         `json:"creationTimestamp"`
	DeletionTimestamp *time.Time        `json:"deletionTimestamp"`
	Annotations       map[string]string `json:"annotations"`
	Labels            map[string]string `json:"labels"`
	Owners            []struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
		UID  string `json:"uid"`
	} `json:"ownerReferences"`
	ManagedFields []struct {
		Subresource string     `json:"subresource"`
		Time        *time.Time `json:"time"`
	} `json:"managedFields"`
}

// condition is Kubernetes' common form of a condition.
type condition struct {
	Type    string    `json:"type"`
	Status  string    `json:"status"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Since   time.Time `json:"lastTransitionTime"`
}

// rayJob holds the fields that are read from a ray.io/v1 RayJob, under the names of KubeRay 1.5's
// CustomResourceDefinition.
type rayJob struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Suspend             bool              `json:"suspend"`
		JobID               string            `json:"jobId"` // chosen by a person
		SubmissionMode      string            `json:"submissionMode"`
		Metadata            map[string]string `json:"metadata"`
		EntrypointNumCPUs   float64           `json:"entrypointNumCpus"`
		EntrypointNumGPUs   float64           `json:"entrypointNumGpus"`
		EntrypointResources string            `json:"entrypointResources"` // a JSON object
	} `json:"spec"`
	Status struct {
		JobID            string     `json:"jobId"`
		JobStatus        string     `json:"jobStatus"`
		DeploymentStatus string     `json:"jobDeploymentStatus"`
		Reason           string     `json:"reason"`
		Message          string     `json:"message"`
		DashboardURL     string     `json:"dashboardURL"`
		ClusterName      string     `json:"rayClusterName"`
		StartTime        *time.Time `json:"startTime"`
		EndTime          *time.Time `json:"endTime"`
		Info             struct {
			StartTime *time.Time `json:"startTime"`
			EndTime   *time.Time `json:"endTime"`
		} `json:"rayJobInfo"`
		Cluster struct {
			State      string      `json:"state"`
			Conditions []condition `json:"conditions"`
		} `json:"rayClusterStatus"`
	} `json:"status"`
}

// decode reads an object. With an error it also returns the object, as far as it could be read.
func decode(object json.RawMessage) (*rayJob, error) {
	j := new(rayJob)
	if err := json.Unmarshal(object, j); err != nil {
		return j, fmt.Errorf("kuberay: RayJob %s: %w", j.key(), err)
	}
	return j, nil
}

func (j *rayJob) key() string { return j.Metadata.Namespace + "/" + j.Metadata.Name }

// told returns when the operator last wrote the object's status: the status has been true since then at the latest.
func (j *rayJob) told() time.Time {
	at := j.Metadata.CreationTimestamp
	for _, f := range j.Metadata.ManagedFields {
		if f.Subresource == "status" && f.Time != nil && f.Time.After(at) {
			at = *f.Time
		}
	}
	return at.UTC()
}

// submission returns the job's id in Ray, or the object's name while it has none: in a queue, before a person submits to its
// cluster, before the operator takes it up, or if it was refused. A RayJob that is suspended when the operator first sees it
// has an id for a second, under which nothing is ever submitted.
func (j *rayJob) submission() string {
	if j.Status.JobID == "" || j.neverRan() {
		return j.Metadata.Name
	}
	return j.Status.JobID
}

// neverRan reports whether the RayJob was suspended before anything of it was made.
func (j *rayJob) neverRan() bool {
	return j.Spec.Suspend && j.Status.JobStatus == "" && j.Status.DashboardURL == "" && !j.over() && !j.retrying()
}

// hasID reports whether submission returns an id of Ray's.
func (j *rayJob) hasID() bool { return j.Status.JobID != "" && !j.neverRan() }

func (j *rayJob) retrying() bool { return j.Status.DeploymentStatus == "Retrying" }

// over reports whether KubeRay is finished with the job.
func (j *rayJob) over() bool {
	return slices.Contains([]string{"Complete", "Failed", "ValidationFailed"}, j.Status.DeploymentStatus)
}

// status returns the status of the present submission. A failure that KubeRay found itself (a deadline, a submitter
// that failed) overrides the last status that Ray reported.
func (j *rayJob) status() relay.Status {
	s := relay.Status(j.Status.JobStatus)
	switch {
	case s == relay.Stopped && strings.HasPrefix(j.Status.DeploymentStatus, "Suspend"):
		return relay.Running // taken away by a queue, not stopped by a person
	case s.Terminal():
		return s
	case j.over() || j.retrying():
		return relay.Failed
	case s == relay.Running:
		return s
	}
	return relay.Pending // Initializing, Waiting, Suspending, Suspended, and Running before Ray has started it
}

// base returns the fields that every observation of the present submission has.
func (j *rayJob) base() relay.Observation {
	o := relay.Observation{
		Cluster: j.cluster(), Session: "rayjob " + j.Metadata.UID, Submission: j.submission(), Source: sourceName,
		At: j.told(), SeenBy: true, SubmittedAt: j.Metadata.CreationTimestamp.UTC(),
		JobName: j.Metadata.Name, Metadata: j.metadata(), Resources: j.resources(),
	}
	switch {
	case !j.hasID():
	case j.Spec.SubmissionMode == "InteractiveMode": // a person submitted, long after the attempt began
		o.SubmittedAt = firstOf(j.Status.Info.StartTime, &o.At)
	case j.Status.StartTime != nil: // start of the present attempt
		o.SubmittedAt = j.Status.StartTime.UTC()
	}
	if u := j.dashboard(); u != "" {
		o.DashboardURL = u + "/#/jobs/" + o.Submission
	}
	o.Outside = j.Spec.JobID == "" || o.Cluster != ""
	return o
}

func (j *rayJob) dashboard() string {
	u := j.Status.DashboardURL
	if u != "" && !strings.Contains(u, "://") {
		u = "http://" + u
	}
	return strings.TrimRight(u, "/")
}

// cluster tells apart jobs that have the same id. One that KubeRay made up is no other job's: it needs no cluster, and so the
// job is the same whatever name its cluster has for who relays that too. Where a person chose the id, the cluster is the
// address of its dashboard, which is the name of a cluster that is relayed without another one.
func (j *rayJob) cluster() string {
	if j.Spec.JobID == "" {
		return ""
	}
	u, err := url.Parse(j.dashboard())
	if err != nil {
		return ""
	}
	return u.Host
}

// metadata returns the job's own metadata merged over the object's annotations: the job's own values win.
func (j *rayJob) metadata() map[string]string {
	out := map[string]string{}
	for k, v := range j.Metadata.Annotations {
		if strings.HasPrefix(k, "headway.") {
			out[k] = v
		}
	}
	for k, v := range j.Spec.Metadata {
		out[k] = v
	}
	return out
}

func (j *rayJob) resources() map[string]float64 {
	out := map[string]float64{}
	_ = json.Unmarshal([]byte(j.Spec.EntrypointResources), &out) // custom resources; unreadable text counts as no demand
	if n := j.Spec.EntrypointNumCPUs; n > 0 {
		out["CPU"] = n
	}
	if n := j.Spec.EntrypointNumGPUs; n > 0 {
		out["GPU"] = n
	}
	return out
}

// observe returns an observation of the object's present submission, including what it waits for, which is asked only while
// it is live.
func (j *rayJob) observe(waits func() *relay.Waits) (o relay.Observation) {
	o = j.base()
	o.Status = j.status()
	if !o.Status.Terminal() {
		o.Waits = waits()
		return o
	}
	o.EndedAt = o.At
	for _, t := range []*time.Time{j.Status.Info.EndTime, j.Status.EndTime} {
		if t != nil {
			o.EndedAt = t.UTC()
			break
		}
	}
	if o.Status != relay.Succeeded {
		o.ErrorType, o.Message = errorType(j.Status.Reason), j.Status.Message
	}
	return o
}

// errorType returns the operator's reason of a failure. AppFailed says only that the job failed, so it is left to Ray's own
// report, which names the reason.
func errorType(reason string) string {
	if reason == "AppFailed" {
		return ""
	}
	return reason
}
