package kuberay

import (
	"encoding/json"
	"time"
)

// The kinds of objects below hold only the fields that are read. Their names are those of the operators' own Go types;
// kubetest fills them from these types.

// rayCluster is a ray.io/v1 RayCluster.
type rayCluster struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		FaultTolerance *struct{} `json:"gcsFaultToleranceOptions"`
		Groups         []struct {
			Name     string `json:"groupName"`
			Replicas *int   `json:"replicas"`
		} `json:"workerGroupSpecs"`
	} `json:"spec"`
	Status struct {
		State      string      `json:"state"`
		Conditions []condition `json:"conditions"`
	} `json:"status"`
}

// desired is how many pods a group should have, or 0 if that isn't known.
func (c *rayCluster) desired(group string) int {
	if c == nil {
		return 0
	}
	for _, g := range c.Spec.Groups {
		if g.Name == group && g.Replicas != nil {
			return *g.Replicas
		}
	}
	return 0
}

// pod is a pod of a Ray cluster, or of a Kubernetes Job that submits.
type pod struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		NodeName      string `json:"nodeName"`
		SchedulerName string `json:"schedulerName"`
		Volumes       []struct {
			Claim struct {
				Name string `json:"claimName"`
			} `json:"persistentVolumeClaim"`
		} `json:"volumes"`
		Containers []struct {
			Name      string `json:"name"`
			Resources struct {
				Requests map[string]string `json:"requests"`
				Limits   map[string]string `json:"limits"`
			} `json:"resources"`
		} `json:"containers"`
	} `json:"spec"`
	Status struct {
		Phase          string      `json:"phase"`
		Reason         string      `json:"reason"`
		Message        string      `json:"message"`
		Nominated      string      `json:"nominatedNodeName"`
		Conditions     []condition `json:"conditions"`
		StartTime      *time.Time  `json:"startTime"`
		Containers     []container `json:"containerStatuses"`
		InitContainers []container `json:"initContainerStatuses"`
	} `json:"status"`
}

type container struct {
	Name     string         `json:"name"`
	Image    string         `json:"image"`
	Ready    bool           `json:"ready"`
	Restarts int            `json:"restartCount"`
	State    containerState `json:"state"`
	Last     containerState `json:"lastState"`
}

type containerState struct {
	Waiting *struct {
		Reason  string `json:"reason"`
		Message string `json:"message"`
	} `json:"waiting"`
	Running *struct {
		Since time.Time `json:"startedAt"`
	} `json:"running"`
	Terminated *terminated `json:"terminated"`
}

type terminated struct {
	ExitCode int       `json:"exitCode"`
	Signal   int       `json:"signal"`
	Reason   string    `json:"reason"`
	Message  string    `json:"message"`
	At       time.Time `json:"finishedAt"`
}

// kubeEvent is a v1 Event. Older reporters count in count, newer ones in series.
type kubeEvent struct {
	Metadata metadata `json:"metadata"`
	About    struct {
		Kind      string `json:"kind"`
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
		UID       string `json:"uid"`
		Field     string `json:"fieldPath"`
	} `json:"involvedObject"`
	Reason  string     `json:"reason"`
	Message string     `json:"message"`
	Count   int        `json:"count"`
	First   *time.Time `json:"firstTimestamp"`
	Last    *time.Time `json:"lastTimestamp"`
	Time    *time.Time `json:"eventTime"`
	Series  *struct {
		Count int        `json:"count"`
		Last  *time.Time `json:"lastObservedTime"`
	} `json:"series"`
}

func (e *kubeEvent) began() time.Time { return firstOf(e.First, e.Time, &e.Metadata.CreationTimestamp) }

func (e *kubeEvent) seen() time.Time {
	if e.Series != nil && e.Series.Last != nil {
		return e.Series.Last.UTC()
	}
	return firstOf(e.Last, e.Time, &e.Metadata.CreationTimestamp)
}

func (e *kubeEvent) times() int {
	if e.Series != nil {
		return max(e.Series.Count, 1)
	}
	return max(e.Count, 1)
}

func firstOf(times ...*time.Time) time.Time {
	for _, t := range times {
		if t != nil && !t.IsZero() {
			return t.UTC()
		}
	}
	return time.Time{}
}

// workload is a kueue.x-k8s.io Workload. What is read is the same in v1beta1 and v1beta2.
type workload struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Queue  string `json:"queueName"`
		Active *bool  `json:"active"`
	} `json:"spec"`
	Status struct {
		Conditions []condition `json:"conditions"`
		Admission  *struct {
			ClusterQueue string `json:"clusterQueue"`
		} `json:"admission"`
		Checks []struct {
			Name    string    `json:"name"`
			State   string    `json:"state"`
			Since   time.Time `json:"lastTransitionTime"`
			Message string    `json:"message"`
		} `json:"admissionChecks"`
	} `json:"status"`
}

// podGroup is a scheduling.volcano.sh/v1beta1 PodGroup.
type podGroup struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Queue     string            `json:"queue"`
		MinMember int               `json:"minMember"`
		Minimum   map[string]string `json:"minResources"`
	} `json:"spec"`
	Status struct {
		Phase      string      `json:"phase"`
		Conditions []condition `json:"conditions"`
		Running    int         `json:"running"`
	} `json:"status"`
}

// find returns the condition of a type, or nil.
func find(conditions []condition, kind string) *condition {
	for i := range conditions {
		if conditions[i].Type == kind {
			return &conditions[i]
		}
	}
	return nil
}

func (c *condition) is(status string) bool { return c != nil && c.Status == status }

// decodeAs reads an object of a kind.
func decodeAs[T any](object json.RawMessage) (*T, error) {
	v := new(T)
	err := json.Unmarshal(object, v)
	return v, err
}
