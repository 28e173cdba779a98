package rayapi

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"time"
)

// Filter is one condition of the state API, evaluated by the server.
type Filter struct{ Key, Value string }

// stateLimit is the largest number of entries of one kind that the state API returns.
const stateLimit = 10_000

func state[T any](ctx context.Context, c *Client, path string, filters ...Filter) ([]T, error) {
	return stateOf[T](ctx, c, path, stateLimit, filters...)
}

func stateOf[T any](ctx context.Context, c *Client, path string, limit int, filters ...Filter) ([]T, error) {
	rows, _, err := counted[T](ctx, c, path, limit, filters...)
	return rows, err
}

// counted returns at most limit entries, and how many match the filters.
func counted[T any](ctx context.Context, c *Client, path string, limit int, filters ...Filter) (rows []T, matching int, err error) {
	q := url.Values{"detail": {"1"}, "limit": {strconv.Itoa(limit)}}
	for _, f := range filters {
		q.Add("filter_keys", f.Key)
		q.Add("filter_predicates", "=")
		q.Add("filter_values", f.Value)
	}
	var answer struct {
		Data struct {
			Result struct {
				Result   []T `json:"result"`
				Filtered int `json:"num_filtered"`
			} `json:"result"`
		} `json:"data"`
	}
	err = c.getJSON(ctx, path, q, &answer)
	rows = answer.Data.Result.Result
	return rows, max(answer.Data.Result.Filtered, len(rows)), err
}

// Actor is an actor of the state API.
type Actor struct {
	ID               string             `json:"actor_id"`
	Class            string             `json:"class_name"`
	State            string             `json:"state"`
	JobID            string             `json:"job_id"`
	Name             string             `json:"name"`
	RuntimeEnv       string             `json:"serialized_runtime_env"`
	Resources        map[string]float64 `json:"required_resources"`
	PlacementGroupID string             `json:"placement_group_id"`
	Labels           map[string]string  `json:"label_selector"`
	Fallback         Fallback           `json:"fallback_strategy"`
	Detached         bool               `json:"is_detached"`
	Restarts         flexible           `json:"num_restarts"`
	Rebuilt          flexible           `json:"num_restarts_due_to_lineage_reconstruction"`
	Preempted        flexible           `json:"num_restarts_due_to_node_preemption"`
	NodeID           string             `json:"node_id"` // of one that is alive
}

// Ends is how often the actor was restarted because it had ended, and not because of a preempted node or a lost object.
func (a *Actor) Ends() int { return int(a.Restarts - a.Rebuilt - a.Preempted) }

// Fallback holds the label selectors that Ray tries if no node satisfies the first one.
type Fallback struct {
	Options []struct {
		Labels map[string]string `json:"label_selector"`
	} `json:"options"`
}

// Selectors are the label selectors of the options.
func (f Fallback) Selectors() (out []map[string]string) {
	for _, o := range f.Options {
		out = append(out, o.Labels)
	}
	return out
}

// Actors requests actors.
func (c *Client) Actors(ctx context.Context, filters ...Filter) ([]Actor, error) {
	return state[Actor](ctx, c, "/api/v0/actors", filters...)
}

// Task is a task of the state API.
type Task struct {
	ID               string             `json:"task_id"`
	Name             string             `json:"name"`
	Type             string             `json:"type"` // NORMAL_TASK, ACTOR_CREATION_TASK, ACTOR_TASK, DRIVER_TASK
	State            string             `json:"state"`
	JobID            string             `json:"job_id"`
	ActorID          string             `json:"actor_id"`
	NodeID           string             `json:"node_id"`
	WorkerPID        int64              `json:"worker_pid"`
	StartMS          float64            `json:"start_time_ms"`
	Resources        map[string]float64 `json:"required_resources"`
	PlacementGroupID string             `json:"placement_group_id"`
	Labels           map[string]string  `json:"label_selector"`
	Fallback         Fallback           `json:"fallback_strategy"`
	Attempt          int                `json:"attempt_number"`
	Error            string             `json:"error_type"`
	ErrorText        string             `json:"error_message"`
	EnvInfo          json.RawMessage    `json:"runtime_env_info"`
	EndMS            float64            `json:"end_time_ms"`
	Alike            int                `json:"-"` // how many tasks of the job wait, if this is one of them
	Events           []struct {
		State   string  `json:"state"`
		Created float64 `json:"created_ms"`
	} `json:"events"`
}

// Since is when the task entered its state, or zero if that isn't reported.
func (t *Task) Since() time.Time {
	for i := len(t.Events) - 1; i >= 0; i-- {
		if t.Events[i].State == t.State {
			return Millis(int64(t.Events[i].Created))
		}
	}
	return time.Time{}
}

// Env is the task's runtime environment; nil if it has none.
func (t *Task) Env() []byte {
	var info struct {
		Env string `json:"serialized_runtime_env"`
	}
	if json.Unmarshal(t.EnvInfo, &info) != nil || info.Env == "" {
		return nil
	}
	return []byte(info.Env)
}

// Waiting is the state of tasks that wait for a node, or a worker on it.
const Waiting = "PENDING_NODE_ASSIGNMENT"

// waitingTimeout is for a request that takes a busy dashboard longer than all others. Ray itself gives it 30 s.
const waitingTimeout = 30 * time.Second

// WaitingTasks requests some of a job's tasks that wait for a node, or of all jobs if job is "", and how many there are. However few
// it returns, Ray converts all of them: with 10,000 tasks this takes more than a second.
func (c *Client) WaitingTasks(ctx context.Context, job string, limit int) (some []Task, all int, err error) {
	filters := []Filter{{"state", Waiting}}
	if job != "" {
		filters = append(filters, Filter{"job_id", job})
	}
	patient := *c
	patient.timeout = max(c.timeout, waitingTimeout)
	return counted[Task](ctx, &patient, "/api/v0/tasks", limit, filters...)
}

// Task requests the attempts of one task, which Ray finds by its id.
func (c *Client) Task(ctx context.Context, id string) ([]Task, error) {
	return stateOf[Task](ctx, c, "/api/v0/tasks", 100, Filter{"task_id", id})
}

// RetriedOften is the number of the attempt that tells work that is begun again and again: the fourth.
const RetriedOften = 3

// Retried requests some tasks of all jobs whose fourth attempt has failed. Ray converts all that have failed, and the answer is small.
func (c *Client) Retried(ctx context.Context) ([]Task, error) {
	return stateOf[Task](ctx, c, "/api/v0/tasks", 20, Filter{"state", "FAILED"}, Filter{"attempt_number", strconv.Itoa(RetriedOften)})
}

// Blocked requests some tasks of all jobs that wait for the results of others.
func (c *Client) Blocked(ctx context.Context) ([]Task, error) {
	return stateOf[Task](ctx, c, "/api/v0/tasks", 100, Filter{"state", "PENDING_ARGS_AVAIL"})
}

// Attempts requests all attempts of one task that is retried often.
func (c *Client) Attempts(ctx context.Context, id string) ([]Task, error) {
	return stateOf[Task](ctx, c, "/api/v0/tasks", 1_000, Filter{"task_id", id})
}

// Runs returns how many tasks of a job run other than the driver's own, which runs as long as the driver does. Those that wait in ray.get
// for others count too.
func (c *Client) Runs(ctx context.Context, job string) (n int, err error) {
	tasks, all, err := counted[Task](ctx, c, "/api/v0/tasks", 20, Filter{"job_id", job}, Filter{"state", "RUNNING"})
	for _, t := range tasks {
		if t.Type == "DRIVER_TASK" {
			all--
		}
	}
	return all, err
}

// PlacementGroup is a placement group of the state API.
type PlacementGroup struct {
	ID    string `json:"placement_group_id"`
	Name  string `json:"name"`
	JobID string `json:"creator_job_id"`
	State string `json:"state"` // PENDING, PREPARED, CREATED, REMOVED, RESCHEDULING
	Stats struct {
		State   string   `json:"scheduling_state"` // NO_RESOURCES, INFEASIBLE, FAILED_TO_COMMIT_RESOURCES, …
		Created flexible `json:"creation_request_received_ns"`
	} `json:"stats"`
	Bundles []struct {
		Resources map[string]float64 `json:"unit_resources"`
		Labels    map[string]string  `json:"label_selector"`
		NodeID    string             `json:"node_id"`
	} `json:"bundles"`
}

// Since is when the group was asked for; zero if that isn't reported.
func (g *PlacementGroup) Since() time.Time { return Millis(int64(g.Stats.Created / 1e6)) }

// Waits reports whether the group isn't laid out yet.
func (g *PlacementGroup) Waits() bool { return g.State == "PENDING" || g.State == "RESCHEDULING" }

// PlacementGroups requests placement groups.
func (c *Client) PlacementGroups(ctx context.Context, filters ...Filter) ([]PlacementGroup, error) {
	return state[PlacementGroup](ctx, c, "/api/v0/placement_groups", filters...)
}

// Node is a node of the state API.
type Node struct {
	ID      string             `json:"node_id"`
	Head    bool               `json:"is_head_node"`
	State   string             `json:"state"`
	Message string             `json:"state_message"`
	IP      string             `json:"node_ip"`
	Total   map[string]float64 `json:"resources_total"`
	Labels  map[string]string  `json:"labels"`
	StartMS int64              `json:"start_time_ms"`
	EndMS   int64              `json:"end_time_ms"`
}

// Started is when the node joined.
func (n *Node) Started() time.Time { return Millis(n.StartMS) }

// Ended is when the node died; zero if it lives.
func (n *Node) Ended() time.Time { return Millis(n.EndMS) }

// Nodes requests all nodes, including those that died recently.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	return state[Node](ctx, c, "/api/v0/nodes")
}

// RuntimeEnv is a runtime environment of the state API.
type RuntimeEnv struct {
	Env     json.RawMessage `json:"runtime_env"`
	Success *bool           `json:"success"` // nil while it is being built
	NodeID  string          `json:"node_id"`
	Error   string          `json:"error"` // if Success is false
}

// RuntimeEnvs requests all runtime environments.
func (c *Client) RuntimeEnvs(ctx context.Context) ([]RuntimeEnv, error) {
	return state[RuntimeEnv](ctx, c, "/api/v0/runtime_envs")
}
