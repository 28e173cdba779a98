package kuberay

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"github.com/headwayhq/headway/services/relay"
)

// run is one run of a source, with the goroutines that ask the API server.
type run struct {
	*Source
	changes   chan change
	places    chan placed
	lines     chan relay.Observation
	followers sync.WaitGroup
	started   bool
}

func (r *run) follow(ctx context.Context, of *resource) {
	r.followers.Go(func() { r.Source.follow(ctx, of, r.changes) })
}

// start follows the other resources once the RayJobs are known, so that it is known what belongs to them.
func (r *run) start(ctx context.Context, c change) {
	if r.started || c.of.id != rayJobs.id {
		return
	}
	r.started = true
	for i := range others {
		r.follow(ctx, &others[i])
	}
}

// ask asks for the places in the queues in which a RayJob waits, now and then.
func (r *run) ask(ctx context.Context) {
	if queues := r.queues(); len(queues) > 0 {
		r.followers.Go(func() { r.askPlaces(ctx, queues, r.places) })
	}
}

// queues are those in which a RayJob waits, if it is time to ask for the places in them.
func (s *Source) queues() []string {
	now := s.o.Now()
	if now.Sub(s.placed) < s.o.Places {
		return nil
	}
	queues := map[string]bool{}
	for _, all := range s.store.works {
		for _, w := range all {
			if w.Spec.Queue != "" && !find(w.Status.Conditions, "QuotaReserved").is("True") && !find(w.Status.Conditions, "Finished").is("True") {
				queues[w.Metadata.Namespace+"/"+w.Spec.Queue] = true
			}
		}
	}
	if len(queues) > 0 {
		s.placed = now
	}
	return slices.Sorted(maps.Keys(queues))
}

// belongings are what may belong to a RayJob, by the names that the store gives them.
func (j *rayJob) belongings() []string {
	ns, name, cluster := j.Metadata.Namespace, j.Metadata.Name, j.Status.ClusterName
	out := []string{j.Metadata.UID, submitterOf(ns, name), about("Job", ns, name), "PodGroup " + ns + "/ray-" + name + "-pg"}
	if cluster != "" {
		out = append(out, clusterOf(ns, cluster), "PodGroup "+ns+"/ray-"+cluster+"-pg")
	}
	return out
}

// owner returns what an object belongs to, if it is a pod that is known.
func (s *store) owner(what string) string {
	for _, id := range []string{"pods", "submitters"} {
		if len(what) > 4 && what[:4] == "Pod " {
			if owner, ok := s.at[id][what[4:]]; ok {
				return owner
			}
		}
	}
	return what
}

func keyOf(object json.RawMessage) string {
	o, _ := decodeAs[struct {
		Metadata metadata `json:"metadata"`
	}](object)
	return o.Metadata.key()
}
