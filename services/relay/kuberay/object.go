package kuberay

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/services/relay"
)

// sourceName is the source of all observations of this package.
const sourceName = "kuberay"

// replicaFailure is the condition of a RayCluster whose pods can't be created or deleted. The word is the value of KubeRay's constant
// RayClusterReplicaFailure (ray-operator/apis/ray/v1/raycluster_types.go of v1.5.0); the constant's name is seen in no object.
const replicaFailure = "ReplicaFailure"

// metadata is what is read of any object's metadata. Times that aren't there are null.
type metadata struct {
	Namespace         string            `json:"namespace"`
	Name              string            `json:"name"`
	UID               string            `json:"uid"`
	ResourceVersion   string            `json:"resourceVersion"`
	CreationTimestamp time.Time         `json:"creationTimestamp"`
	DeletionTimestamp *time.Time        `json:"deletionTimestamp"`
	Annotations       map[string]string `json:"annotations"`
	ManagedFields     []struct {
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

// rayJob is what is read of a ray.io/v1 RayJob. Field names are those of KubeRay 1.5's CustomResourceDefinition.
type rayJob struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
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
			EndTime *time.Time `json:"endTime"`
		} `json:"rayJobInfo"`
		Cluster struct {
			State      string      `json:"state"`
			Conditions []condition `json:"conditions"`
		} `json:"rayClusterStatus"`
	} `json:"status"`
}

// decode returns the object also with an error: then as far as it could be read.
func decode(object json.RawMessage) (*rayJob, error) {
	j := new(rayJob)
	if err := json.Unmarshal(object, j); err != nil {
		return j, fmt.Errorf("kuberay: RayJob %s: %w", j.key(), err)
	}
	return j, nil
}

func (j *rayJob) key() string { return j.Metadata.Namespace + "/" + j.Metadata.Name }

// told is when its operator last wrote its status: what the status says is true since then at the latest.
func (j *rayJob) told() time.Time {
	at := j.Metadata.CreationTimestamp
	for _, f := range j.Metadata.ManagedFields {
		if f.Subresource == "status" && f.Time != nil && f.Time.After(at) {
			at = *f.Time
		}
	}
	return at.UTC()
}

// submission is the job's id in Ray. An object that was refused before it got one goes by its name.
func (j *rayJob) submission() string {
	if j.Status.JobID == "" && j.over() {
		return j.Metadata.Name
	}
	return j.Status.JobID
}

func (j *rayJob) retrying() bool { return j.Status.DeploymentStatus == "Retrying" }

// over: KubeRay does nothing more for it.
func (j *rayJob) over() bool {
	return slices.Contains([]string{"Complete", "Failed", "ValidationFailed"}, j.Status.DeploymentStatus)
}

// status is of the present submission. KubeRay's own failures (a deadline, a submitter that failed) stand above the status that Ray had
// when it gave up on it.
func (j *rayJob) status() relay.Status {
	s := relay.Status(j.Status.JobStatus)
	switch {
	case s.Terminal():
		return s
	case j.over() || j.retrying():
		return relay.Failed
	case s == relay.Running:
		return s
	}
	return relay.Pending // Initializing, Waiting, Suspending, Suspended, and Running before Ray has started it
}

// base is what every observation of the present submission says.
func (j *rayJob) base() relay.Observation {
	o := relay.Observation{
		Cluster: j.Status.ClusterName, Session: "rayjob " + j.Metadata.UID, Submission: j.submission(), Source: sourceName,
		At: j.told(), SeenBy: true, SubmittedAt: j.Metadata.CreationTimestamp.UTC(),
		JobName: j.Metadata.Name, Metadata: j.metadata(), Resources: j.resources(),
	}
	if t := j.Status.StartTime; t != nil { // of the present attempt
		o.SubmittedAt = t.UTC()
	}
	if u := j.Status.DashboardURL; u != "" {
		if !strings.Contains(u, "://") {
			u = "http://" + u
		}
		o.DashboardURL = strings.TrimRight(u, "/") + "/#/jobs/" + o.Submission
	}
	return o
}

// metadata is the job's own, before annotations of the object under the same keys.
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
	_ = json.Unmarshal([]byte(j.Spec.EntrypointResources), &out) // custom ones; what can't be read demands nothing
	if n := j.Spec.EntrypointNumCPUs; n > 0 {
		out["CPU"] = n
	}
	if n := j.Spec.EntrypointNumGPUs; n > 0 {
		out["GPU"] = n
	}
	return out
}

// observe is what the object says of its present submission, with what its cluster's pods wait for. ok is false where it has none.
func (j *rayJob) observe(pods []pod) (o relay.Observation, ok bool) {
	o = j.base()
	if o.Submission == "" {
		return o, false
	}
	o.Status = j.status()
	if !o.Status.Terminal() {
		o.Waits = &relay.Waits{}
		if w := j.waits(pods); o.Status == relay.Pending && w != nil {
			o.Waits = w
		}
		return o, true
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
	return o, true
}

// errorType gives KubeRay's reasons the words that Headway knows a category for. AppFailed says only that the job failed: Ray knows
// why, and its own word stands beside.
func errorType(reason string) string {
	switch reason {
	case "DeadlineExceeded", "JobDeploymentStatusTransitionGracePeriodExceeded":
		return "timeout"
	case "ValidationFailed":
		return "validation"
	case "SubmissionFailed":
		return "JOB_SUPERVISOR_ACTOR_START_FAILURE"
	case "AppFailed", "":
		return ""
	}
	return reason
}

// waits is why it is PENDING, or nil where nothing tells.
func (j *rayJob) waits(pods []pod) *relay.Waits {
	since := j.base().SubmittedAt
	switch j.Status.DeploymentStatus {
	case "Suspended", "Suspending":
		return &relay.Waits{Kind: "quota", Since: j.told(), Detail: "the RayJob is suspended: a queue admits it, or a person does"}
	}
	var all []*relay.Waits
	for _, p := range pods {
		if w := p.waits(); w != nil {
			all = append(all, w)
		}
	}
	if len(all) > 0 { // an image that can't be pulled before what may come by itself, then the longest wait
		slices.SortFunc(all, func(a, b *relay.Waits) int {
			return cmp.Or(cmp.Compare(order[a.Kind], order[b.Kind]), a.Since.Compare(b.Since), cmp.Compare(a.Detail, b.Detail))
		})
		return all[0]
	}
	for _, c := range j.Status.Cluster.Conditions {
		if c.Type == replicaFailure && c.Status == "True" {
			kind := "resources"
			if strings.Contains(c.Message, "quota") {
				kind = "quota"
			}
			return &relay.Waits{Kind: kind, Since: c.Since.UTC(), Detail: c.Reason + ": " + c.Message}
		}
	}
	if j.Status.DeploymentStatus == "Initializing" && j.Status.ClusterName != "" && j.Status.Cluster.State != "ready" {
		detail := "the pods of RayCluster " + j.Status.ClusterName + " are starting"
		return &relay.Waits{Kind: "node_launch", Since: since, Detail: detail}
	}
	return nil
}

var order = map[string]int{"image_pull": 0, "quota": 1, "resources": 2, "node_launch": 3}
