package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/headwayhq/headway/services/relay/machine"
	"github.com/headwayhq/headway/services/relay/rayapi"
)

// Offer is what a relay can learn from a cluster.
type Offer struct {
	Cluster, Address string
	Ray, Session     string
	Checks           []Check
	Jobs             []rayapi.Job
	Err              error // why the cluster can't be used at present: ErrToken, or it doesn't answer
}

// Check is one source: what it provides, whether the cluster offers it, and which setting enables it.
type Check struct {
	Source string
	OK     bool
	Says   string
	Set    string
}

// ErrToken means that the cluster requires a token, or another one than was sent.
var ErrToken = errors.New("the cluster requires a token")

// Probe queries each cluster once for each source.
func (r *Relay) Probe(ctx context.Context) []Offer {
	offers := make([]Offer, len(r.clusters))
	var wg sync.WaitGroup
	for i, c := range r.clusters {
		wg.Go(func() { offers[i] = c.probe(ctx, r) })
	}
	wg.Wait()
	return offers
}

func (c *cluster) probe(ctx context.Context, r *Relay) Offer {
	o := Offer{Cluster: c.name, Address: c.api.Address()}
	v, err := c.api.Version(ctx)
	var status *rayapi.StatusError
	switch {
	case errors.As(err, &status) && (status.Code == http.StatusUnauthorized || status.Code == http.StatusForbidden):
		o.Err = fmt.Errorf("cluster %s: %w: %s", c.name, ErrToken, status.Says)
		return o
	case err != nil:
		o.Err = fmt.Errorf("cluster %s: %s", c.name, rayapi.Plain(err))
		return o
	}
	o.Ray, o.Session = v.Ray, v.Session
	for _, p := range c.probes(&o, r) {
		gives, err := p.ask(ctx)
		k := Check{Source: p.source, OK: err == nil, Says: gives}
		if err != nil {
			k.Says, k.Set = rayapi.Plain(err), p.set
		}
		o.Checks = append(o.Checks, k)
	}
	return o
}

// probe queries a cluster for one source: ask says what it provides, set what enables it.
type probe struct {
	source, set string
	ask         func(ctx context.Context) (gives string, err error)
}

// probes is the table of what a relay can learn from a cluster, and from which source.
func (c *cluster) probes(o *Offer, r *Relay) []probe {
	return []probe{
		{"jobs API", "run the full dashboard: ray start --include-dashboard=true, and ray[default] installed", func(ctx context.Context) (string, error) {
			body, err := c.api.JobsBody(ctx)
			if err == nil {
				o.Jobs, _, err = rayapi.DecodeJobs(body)
			}
			return fmt.Sprintf("status, outcome, message, exit code of %d jobs", len(o.Jobs)), err
		}},
		{"state API", "run the full dashboard: ray[default] installed on the head", func(ctx context.Context) (string, error) {
			nodes, err := c.api.Nodes(ctx)
			return fmt.Sprintf("who waits for what; %d nodes", len(nodes)), err
		}},
		{"autoscaler", "needed only where nodes are launched on demand: start the head with an autoscaler (KubeRay: enableInTreeAutoscaling)", func(ctx context.Context) (string, error) {
			a, err := c.api.Autoscaler(ctx, c.now())
			if err == nil && a.At.IsZero() {
				err = errors.New("it reports nothing")
			}
			return "nodes on their way, refusals", err
		}},
		{"cluster events", "run the full dashboard: ray[default] installed on the head", func(ctx context.Context) (string, error) {
			_, err := c.api.Events(ctx)
			return "what the autoscaler calls infeasible, and workers killed for memory", err
		}},
		{"Ray Data", "install ray[data] on the head", func(ctx context.Context) (string, error) {
			_, err := c.api.Datasets(ctx, "01000000")
			return "progress by rows, and the operator that holds the others up", err
		}},
		{"stacks", "on the head, before ray start: RAY_DASHBOARD_ENABLE_PROFILING=1; in containers also the capability SYS_PTRACE", func(ctx context.Context) (string, error) {
			on, err := c.api.ProfilingEnabled(ctx)
			var status *rayapi.StatusError
			if err == nil && !on {
				err = errors.New("profiling is off")
			} else if errors.As(err, &status) && status.Code == http.StatusNotFound {
				err = nil // a Ray before 2.60, which allows it
			}
			return "where a job hangs, once it does, for the namespaces of --ray-proof", err
		}},
		{"event export", exportSettings, func(ctx context.Context) (string, error) {
			if r.o.Secret == "" {
				return "", errors.New("no receiver: --ray-events-secret isn't set")
			}
			says, ok := r.exported.awaited(ctx, o.Session)
			if !ok {
				return "", fmt.Errorf("nothing was received within %v; nodes post when a job, an actor or a node changes", exportWait)
			}
			return says + "; ends within a second, exact starts", nil
		}},
	}
}

// exportSettings are the environment variables to set on the nodes.
const exportSettings = "on every node, before ray start: RAY_enable_ray_event=1, RAY_DASHBOARD_AGGREGATOR_AGENT_EVENTS_EXPORT_ADDR=http://HEADWAY/v1/ray/events/SECRET and " +
	"RAY_DASHBOARD_AGGREGATOR_AGENT_EXPOSABLE_EVENT_TYPES=DRIVER_JOB_DEFINITION_EVENT,DRIVER_JOB_LIFECYCLE_EVENT,ACTOR_DEFINITION_EVENT,ACTOR_LIFECYCLE_EVENT," +
	"NODE_DEFINITION_EVENT,NODE_LIFECYCLE_EVENT,WORKER_LIFECYCLE_EVENT"

// Place finds where a listed job belongs, or the reason why it isn't relayed.
func (r *Relay) Place(j *rayapi.Job) (Place, string) {
	if j.SubmissionID == "" {
		return Place{}, "was not submitted: only jobs of ray job submit have a status that can be trusted"
	}
	p, why := r.o.Rules.Map(j.SubmissionID, j.Metadata["job_name"], j.Metadata)
	if why == "" && p.NoTier {
		why = machine.NoTier(p.Batch)
	}
	return p, why
}
