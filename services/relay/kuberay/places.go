package kuberay

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/headwayhq/headway/services/relay"
)

// placesEvery is how often the places in a queue are asked for, while a RayJob waits in it. They can't be watched.
const placesEvery = time.Minute

// Versions of Kueue's API groups, the best first.
var (
	kueue      = []string{"apis/kueue.x-k8s.io/v1beta2", "apis/kueue.x-k8s.io/v1beta1"}
	visibility = []string{"apis/visibility.kueue.x-k8s.io/v1beta2", "apis/visibility.kueue.x-k8s.io/v1beta1"}
)

// placed are the places in one LocalQueue, by the workload's name.
type placed struct {
	queue  string // namespace/name
	places map[string]place
}

// askPlaces asks for the places in queues, given as namespace/name.
func (s *Source) askPlaces(ctx context.Context, queues []string, answers chan<- placed) {
	for _, queue := range queues {
		answer := placed{queue, s.server.places(ctx, queue)}
		select {
		case answers <- answer:
		case <-ctx.Done():
			return
		}
	}
}

func (s *server) places(ctx context.Context, queue string) map[string]place {
	namespace, name, _ := strings.Cut(queue, "/")
	var local struct {
		Spec struct {
			ClusterQueue string `json:"clusterQueue"`
		} `json:"spec"`
	}
	common := place{}
	read := func(right string, groups []string, path string, into any) {
		if err := s.read(ctx, groups, path, into); refused(err, http.StatusForbidden) {
			common.Asked = append(common.Asked, relay.Asked{Source: "Kubernetes, the queue", Says: "the right to get " + right + " is missing"})
		}
	}
	in := " in namespace " + namespace
	read("localqueues.kueue.x-k8s.io"+in, kueue, "/namespaces/"+namespace+"/localqueues/"+name, &local)
	common.Queue = local.Spec.ClusterQueue
	if common.Queue != "" {
		var cluster struct {
			Status struct {
				Conditions []condition `json:"conditions"`
			} `json:"status"`
		}
		read("clusterqueues.kueue.x-k8s.io", kueue, "/clusterqueues/"+common.Queue, &cluster)
		if c := find(cluster.Status.Conditions, "Active"); c.is("False") {
			common.Inactive = sentence(c.Reason, c.Message)
		}
	}
	var pending struct {
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Position int `json:"positionInLocalQueue"` // counted from 0
		} `json:"items"`
	}
	read("localqueues/pendingworkloads.visibility.kueue.x-k8s.io"+in, visibility, "/namespaces/"+namespace+"/localqueues/"+name+"/pendingworkloads", &pending)
	out := map[string]place{"": common}
	for _, w := range pending.Items {
		at := common
		at.Position, at.Of = w.Position+1, len(pending.Items)
		out[w.Metadata.Name] = at
	}
	return out
}

// read reads one object, in the first version of its API group that is served.
func (s *server) read(ctx context.Context, groups []string, path string, into any) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, group := range groups {
		body, failed := s.get(ctx, group+path, nil)
		if err = failed; refused(err, http.StatusNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		return errors.Join(json.NewDecoder(body).Decode(into), body.Close())
	}
	return err
}
