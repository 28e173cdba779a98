package kuberay

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/headwayhq/headway/services/relay"
)

// pod holds the fields that are read from a pod of a Ray cluster.
type pod struct {
	Metadata metadata `json:"metadata"`
	Status   struct {
		Conditions     []condition `json:"conditions"`
		StartTime      *time.Time  `json:"startTime"`
		Containers     []container `json:"containerStatuses"`
		InitContainers []container `json:"initContainerStatuses"`
	} `json:"status"`
}

type container struct {
	Name  string `json:"name"`
	Image string `json:"image"`
	State struct {
		Waiting *struct {
			Reason  string `json:"reason"`
			Message string `json:"message"`
		} `json:"waiting"`
	} `json:"state"`
}

func decodePods(list []json.RawMessage) []pod {
	out := make([]pod, 0, len(list))
	for _, object := range list {
		var p pod
		if json.Unmarshal(object, &p) == nil {
			out = append(out, p)
		}
	}
	return out
}

// imageReasons are the kubelet's reasons for a container whose image can't be pulled.
var imageReasons = []string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable", "ImageInspectError"}

// waits returns what the pod waits for, or nil if nothing holds it up.
func (p *pod) waits() *relay.Waits {
	since := p.Metadata.CreationTimestamp.UTC()
	for _, c := range p.Status.Conditions {
		if c.Type == "PodScheduled" && c.Status == "False" && c.Reason == "Unschedulable" {
			return &relay.Waits{Kind: "resources", Since: c.Since.UTC(), Detail: "pod " + p.Metadata.Name + " is unschedulable: " + c.Message}
		}
	}
	if p.Status.StartTime != nil {
		since = p.Status.StartTime.UTC()
	}
	for _, c := range slices.Concat(p.Status.InitContainers, p.Status.Containers) {
		if w := c.State.Waiting; w != nil && slices.Contains(imageReasons, w.Reason) {
			// The kubelet's reason and message alternate between the failure and the backoff. They are left out, since
			// each alternation would be published as a change.
			return &relay.Waits{Kind: "image_pull", Since: since, Detail: "pod " + p.Metadata.Name + " can't pull " + c.Image}
		}
	}
	return nil
}
