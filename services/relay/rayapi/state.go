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
	q := url.Values{"detail": {"1"}, "limit": {strconv.Itoa(limit)}}
	for _, f := range filters {
		q.Add("filter_keys", f.Key)
		q.Add("filter_predicates", "=")
		q.Add("filter_values", f.Value)
	}
	var answer struct {
		Data struct {
			Result struct {
				Result []T `json:"result"`
			} `json:"result"`
		} `json:"data"`
	}
	err := c.getJSON(ctx, path, q, &answer)
	return answer.Data.Result.Result, err
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

// Tasks requests tasks. A filter is required: without one the request takes 7.8 s with 10,000 tasks.
func (c *Client) Tasks(ctx context.Context, first Filter, more ...Filter) ([]Task, error) {
	return state[Task](ctx, c, "/api/v0/tasks", append([]Filter{first}, more...)...)
}

// SomeTask reports whether there is a task other than the driver's own, which runs as long as the driver does.
func (c *Client) SomeTask(ctx context.Context, filters ...Filter) (bool, error) {
	tasks, err := stateOf[Task](ctx, c, "/api/v0/tasks", 20, filters...)
	for _, t := range tasks {
		if t.Type != "DRIVER_TASK" {
			return true, err
		}
	}
	return false, err
}

// PlacementGroup is a placement group of the state API.
type PlacementGroup struct {
	ID      string `json:"placement_group_id"`
	Name    string `json:"name"`
	JobID   string `json:"creator_job_id"`
	State   string `json:"state"` // PENDING, PREPARED, CREATED, REMOVED, RESCHEDULING
	Bundles []struct {
		Resources map[string]float64 `json:"unit_resources"`
		Labels    map[string]string  `json:"label_selector"`
		NodeID    string             `json:"node_id"`
	} `json:"bundles"`
}

// PlacementGroups requests placement groups.
func (c *Client) PlacementGroups(ctx context.Context, filters ...Filter) ([]PlacementGroup, error) {
	return state[PlacementGroup](ctx, c, "/api/v0/placement_groups", filters...)
}

// Node is a node of the state API.
type Node struct {
	ID      string             `json:"node_id"`
	Head    bool               `json:"is_head_node"`
	State   string             `json:"state"`
	Total   map[string]float64 `json:"resources_total"`
	Labels  map[string]string  `json:"labels"`
	StartMS int64              `json:"start_time_ms"`
}

// Started is when the node joined.
func (n *Node) Started() time.Time { return Millis(n.StartMS) }

// Nodes requests all nodes, including those that died recently.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	return state[Node](ctx, c, "/api/v0/nodes")
}

// RuntimeEnv is a runtime environment of the state API.
type RuntimeEnv struct {
	Env     json.RawMessage `json:"runtime_env"`
	Success *bool           `json:"success"` // nil while it is being built
	NodeID  string          `json:"node_id"`
}

// RuntimeEnvs requests all runtime environments.
func (c *Client) RuntimeEnvs(ctx context.Context) ([]RuntimeEnv, error) {
	return state[RuntimeEnv](ctx, c, "/api/v0/runtime_envs")
}
