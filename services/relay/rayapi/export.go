package rayapi

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Exported is one event of Ray's event export, reduced to the parts that concern jobs. Several parts may be set.
type Exported struct {
	Session string
	Type    string    // for example ACTOR_LIFECYCLE_EVENT
	Known   bool      // the type is one of those that can be read, or are known to tell nothing of jobs
	At      time.Time // of the event; transitions have times of their own
	Actor   *ActorDefinition
	Task    *TaskDefinition
	Driver  *DriverDefinition
	Node    *NodeDefinition
	Worker  *WorkerDeath
	ID      string // of the actor, task, driver's job or node that States are of, in hex
	States  []Transition
}

// Transition is one step of an actor, task, driver or node.
type Transition struct {
	State     string
	At        time.Time
	Resources map[string]float64 // nodes: what they have
	Draining  bool               // nodes: they take nothing new
	Death     *Death
}

// Death says why an actor died.
type Death struct {
	RuntimeEnv    string // runtimeEnvFailedContext: why
	Unschedulable string // actorUnschedulableContext: why
}

// ActorDefinition is the content of an ACTOR_DEFINITION_EVENT.
type ActorDefinition struct {
	ID, JobID, Class, Name, RuntimeEnv, PlacementGroupID string
	Resources                                            map[string]float64
	Labels                                               map[string]string
}

// TaskDefinition is the content of a TASK_DEFINITION_EVENT. Actor tasks are left out.
type TaskDefinition struct {
	ID, JobID, Type, Name, PlacementGroupID string
	Resources                               map[string]float64
	Labels                                  map[string]string
}

// DriverDefinition is the content of a DRIVER_JOB_DEFINITION_EVENT.
type DriverDefinition struct {
	JobID    string
	Metadata map[string]string
}

// NodeDefinition is the content of a NODE_DEFINITION_EVENT.
type NodeDefinition struct {
	ID     string
	Labels map[string]string
}

// WorkerDeath is the content of a WORKER_LIFECYCLE_EVENT that names memory as the reason.
type WorkerDeath struct {
	JobID  string
	At     time.Time
	Detail string
}

// ErrTooMany means that one body contains more events than the limit.
var ErrTooMany = errors.New("too many events")

// DecodeExport reads the JSON array that a node posts. An unreadable event is counted in unread and skipped. An error
// means that the body isn't an array of objects, or ErrTooMany.
func DecodeExport(body []byte, limit int) (events []Exported, unread int, err error) {
	var each []json.RawMessage
	if err := json.Unmarshal(body, &each); err != nil {
		return nil, 0, fmt.Errorf("rayapi: export: %w", err)
	}
	if len(each) > limit {
		return nil, 0, fmt.Errorf("rayapi: export: %d events, at most %d: %w", len(each), limit, ErrTooMany)
	}
	for _, b := range each {
		var w wireEvent
		if json.Unmarshal(b, &w) != nil {
			unread++
			continue
		}
		events = append(events, w.event())
	}
	return events, unread, nil
}

// wireEvent accepts both spellings of each name.
type wireEvent struct {
	Session string
	typ     string
	at      string
	parts   map[string]wirePart
}

// UnmarshalJSON keeps the parts with known names, in either spelling.
func (w *wireEvent) UnmarshalJSON(b []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	w.parts = map[string]wirePart{}
	for key, v := range raw {
		switch name := camel(key); name {
		case "sessionName":
			_ = json.Unmarshal(v, &w.Session)
		case "timestamp":
			_ = json.Unmarshal(v, &w.at)
		case "eventType":
			_ = json.Unmarshal(v, &w.typ)
		case "actorDefinitionEvent", "actorLifecycleEvent", "taskDefinitionEvent", "taskLifecycleEvent", "driverJobDefinitionEvent",
			"driverJobLifecycleEvent", "nodeDefinitionEvent", "nodeLifecycleEvent", "workerLifecycleEvent":
			var p wirePart
			if err := json.Unmarshal(v, &p); err != nil {
				return err
			}
			w.parts[name] = p
		}
	}
	return nil
}

// wirePart is an object with camelCased names.
type wirePart map[string]json.RawMessage

// UnmarshalJSON accepts either spelling.
func (p *wirePart) UnmarshalJSON(b []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*p = make(wirePart, len(raw))
	for k, v := range raw {
		(*p)[camel(k)] = v
	}
	return nil
}

// camel is the camelCase of a field's name.
func camel(s string) string {
	if !strings.Contains(s, "_") {
		return s
	}
	return Camel(s)
}

func (p wirePart) text(key string) (s string) {
	_ = json.Unmarshal(p[key], &s)
	return s
}

func (p wirePart) texts(key string) (m map[string]string) {
	_ = json.Unmarshal(p[key], &m)
	return m
}

func (p wirePart) amounts(key string) (m map[string]float64) {
	_ = json.Unmarshal(p[key], &m)
	return m
}

// part returns a nested object, or nil if it is absent or null.
func (p wirePart) part(key string) (q wirePart) {
	if v := p[key]; len(v) == 0 || string(v) == "null" || json.Unmarshal(v, &q) != nil {
		return nil
	}
	return q
}

// id returns an id in hex, from either encoding, or "" for none. Ray also writes an absent id as all ones.
func (p wirePart) id(key string) string { return hexID(p.text(key)) }

func hexID(s string) string {
	if s == "" {
		return ""
	}
	if len(s)%2 == 0 && strings.Trim(s, "0123456789abcdef") == "" && (len(s) == 8 || len(s) >= 32) {
		return s
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		if b, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "=")); err != nil {
			return s
		}
	}
	return hex.EncodeToString(b)
}

// nilID reports whether an id is one of Ray's null ids, which are all ones.
func nilID(hex string) bool { return strings.Trim(hex, "f") == "" }

func (w *wireEvent) event() Exported {
	e := Exported{Session: w.Session, Type: w.typ, Known: len(w.parts) > 0 || w.typ == "TASK_PROFILE_EVENT" || w.typ == "PLATFORM_EVENT"}
	if at, err := time.Parse(time.RFC3339Nano, w.at); err == nil {
		e.At = at.UTC()
	}
	for name, p := range w.parts {
		switch name {
		case "actorDefinitionEvent":
			e.Actor = &ActorDefinition{
				ID: p.id("actorId"), JobID: p.id("jobId"), Class: p.text("className"), Name: p.text("name"),
				RuntimeEnv: p.text("serializedRuntimeEnv"), PlacementGroupID: p.id("placementGroupId"),
				Resources: p.amounts("requiredResources"), Labels: p.texts("labelSelector"),
			}
			if nilID(e.Actor.PlacementGroupID) {
				e.Actor.PlacementGroupID = ""
			}
		case "taskDefinitionEvent":
			e.Task = &TaskDefinition{
				ID: p.id("taskId"), JobID: p.id("jobId"), Type: p.text("taskType"), Name: p.text("taskName"),
				PlacementGroupID: p.id("placementGroupId"), Resources: p.amounts("requiredResources"), Labels: p.texts("labelSelector"),
			}
			if nilID(e.Task.PlacementGroupID) {
				e.Task.PlacementGroupID = ""
			}
		case "driverJobDefinitionEvent":
			e.Driver = &DriverDefinition{JobID: p.id("jobId"), Metadata: p.part("config").texts("metadata")}
		case "nodeDefinitionEvent":
			e.Node = &NodeDefinition{ID: p.id("nodeId"), Labels: p.texts("labels")}
		case "actorLifecycleEvent":
			e.ID, e.States = p.id("actorId"), p.transitions()
		case "taskLifecycleEvent":
			e.ID, e.States = p.id("taskId"), p.transitions()
		case "driverJobLifecycleEvent":
			e.ID, e.States = p.id("jobId"), p.transitions()
		case "nodeLifecycleEvent":
			e.ID, e.States = p.id("nodeId"), p.transitions()
		case "workerLifecycleEvent":
			e.Worker = p.workerDeath()
		}
	}
	return e
}

func (p wirePart) transitions() (out []Transition) {
	var steps []wirePart
	_ = json.Unmarshal(p["stateTransitions"], &steps)
	for _, s := range steps {
		at, err := time.Parse(time.RFC3339Nano, s.text("timestamp"))
		if err != nil {
			continue // a step without a time can't be ordered
		}
		t := Transition{State: s.text("state"), At: at.UTC(), Resources: s.amounts("resources")}
		t.Draining = t.State == "ALIVE" && s.text("aliveSubState") == "DRAINING"
		if cause := s.part("deathCause"); cause != nil {
			d := Death{}
			if c := cause.part("runtimeEnvFailedContext"); c != nil {
				d.RuntimeEnv = orText(c.text("errorMessage"), "the runtime environment could not be set up")
			}
			if c := cause.part("actorUnschedulableContext"); c != nil {
				d.Unschedulable = orText(c.text("errorMessage"), "the actor can't be placed")
			}
			t.Death = &d
		}
		out = append(out, t)
	}
	return out
}

func orText(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (p wirePart) workerDeath() *WorkerDeath {
	var steps []wirePart
	_ = json.Unmarshal(p["stateTransitions"], &steps)
	for _, s := range steps {
		d := s.part("deathInfo")
		if s.text("state") != "DEAD" || d.text("exitType") != "NODE_OUT_OF_MEMORY" {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, s.text("timestamp"))
		if err != nil {
			continue
		}
		return &WorkerDeath{JobID: p.id("jobId"), At: at.UTC(), Detail: d.text("exitDetail")}
	}
	return nil
}
