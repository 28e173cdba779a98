package api

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// schemas are made by reflection, and nullable where the Go type is. They allow other fields, because a later version of the API may
// add some; strict closes them for our own tests.
type schemas struct {
	out      map[string]any
	comments map[string]string
}

// words are the fields that have a fixed set of values.
var fieldWords = map[string]any{
	"Snapshot.status": map[string]any{"$ref": "#/components/schemas/Status"}, "Row.status": map[string]any{"$ref": "#/components/schemas/Status"},
	"Explanation.status":               map[string]any{"$ref": "#/components/schemas/Status"},
	"Run.status":                       map[string]any{"$ref": "#/components/schemas/Status"},
	"RunTier.status":                   enum("PENDING", "PROCESSING", "COMPLETED", "FAILED", "SKIPPED", "CANCELED"),
	"RunWait.phase":                    openEnum("queued", "quota", "node_launch", "image", "environment", "starting"),
	"Run.cause":                        anyOf(causeCode, map[string]any{"type": "null"}),
	"RunTier.cause":                    anyOf(causeCode, map[string]any{"type": "null"}),
	"TierDiagnostic.status":            enum("PENDING", "PROCESSING", "COMPLETED", "FAILED", "SKIPPED", "CANCELED"),
	"TierDiagnostic.ray_job_status":    enum("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "STOPPED", nil),
	"JobDiagnostic.status":             enum("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "STOPPED"),
	"CollectionDiagnostic.status":      enum("ready", "processing", "empty"),
	"Insight.type":                     openEnum("bottleneck", "optimization", "warning"),
	"Insight.severity":                 enum("info", "warning", "critical"),
	"ETA.confidence":                   enum("low", "medium", "high"),
	"Action.kind":                      openEnum("open", "logs", "stop", "retry", "resubmit", "resize"),
	"TimelineEntry.kind":               openEnum("batch", "tier", "job", "health"),
	"Snapshot.failure_category":        openEnum("infrastructure", "timeout", "orphaned", "pipeline", nil),
	"WaitingOn.kind":                   openEnum("resources", "runtime_env", "node_launch", "image_pull", "quota"),
	"Case.finding":                     enum("moving", "waiting", "stuck"),
	"Snapshot.labels":                  objectOrNull,
	"Row.labels":                       objectOrNull,
	"TierDiagnostic.submission_params": objectOrNull,
	"JobDiagnostic.resources":          objectOrNull,
	"Cause.code":                       causeCode,
	"Row.cause":                        anyOf(causeCode, map[string]any{"type": "null"}),
	"Change.cause":                     anyOf(causeCode, map[string]any{"type": "null"}),
	"Cause.demand":                     map[string]any{"description": "what is asked for, as its source says it"},
	"Cause.offered":                    map[string]any{"description": "what is there, as its source says it"},
	"Cause.holders":                    listOf("who holds what is waited for"),
	"Cause.fixes":                      listOf("what would help"),
	"Cause.asked":                      listOf("what was asked, and what answered"),
	"Message.params":                   map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}},
	"Cause.certainty":                  enum("known", "inferred", "unknown"),
	"Cause.who_acts":                   enum("pipeline", "platform", "orchestrator", "producer", "nobody", nil),
	"Cause.waiting_helps":              enum("yes", "perhaps", "no", nil),
	"Subject.kind":                     openEnum("batch", "tier", "job", "collection", "source"),
	"WaitingOn.demand":                 map[string]any{"description": "what is asked for, as the cluster says it"},
	"WaitingOn.offered":                map[string]any{"description": "what is there, as the cluster says it"},
	"Me.access":                        openEnum("none", "key", "session", "jwt", "public"),
	"Me.roles":                         map[string]any{"type": "array", "items": role},
	"Grant.roles":                      map[string]any{"type": "array", "items": role},
	"AccessKey.roles":                  map[string]any{"type": "array", "items": role},
	"Problem.limit":                    limitNames,
	"MyLimit.name":                     limitNames,
	"Problem.success":                  map[string]any{"type": "boolean", "const": false},
	"ProblemError.details":             map[string]any{"type": "object", "additionalProperties": true},
	"Snapshot.overall_progress":        percentage,
	"Progress.percentage":              percentage,
	"Snapshot.failed_documents_sample": map[string]any{"type": "array", "maxItems": 10, "items": map[string]any{"type": "string"}},
	"Snapshot.insights":                map[string]any{"type": "array", "maxItems": 10, "items": map[string]any{"$ref": "#/components/schemas/Insight"}},
	"Snapshot.tiers":                   map[string]any{"type": "array", "items": map[string]any{"$ref": "#/components/schemas/TierDiagnostic"}},
	"PerformanceSummary.bottlenecks":   map[string]any{"type": "array", "items": map[string]any{"type": "string"}},
	"HealthEvidence.signal":            map[string]any{"type": "string"},
	"SnapshotChange.lists": map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "array", "items": map[string]any{
		"description": "a new element, or [from, n]: n elements of the list before, from this index on"}}},
	"RowChange.key":                       anyOf(rowKey...),
	"RowChange.after":                     anyOf(append(rowKey, map[string]any{"type": "null"})...),
	"RowChange.row":                       anyObject,
	"RowChange.clocks":                    map[string]any{"type": "object", "additionalProperties": map[string]any{"type": []any{"number", "null"}, "format": "double"}},
	"ErrorDiagnostic.recovery_suggestion": map[string]any{"type": []any{"string", "null"}},
}

var causeCode = map[string]any{"$ref": "#/components/schemas/CauseCode"}

// listOf describes a list whose elements are decided by their source: texts or objects.
func listOf(what string) map[string]any {
	return map[string]any{"type": "array", "items": map[string]any{}, "description": what}
}

// limitNames are the names of limitTable.
var limitNames = openEnum("requests_per_second", "events_per_second", "bytes_per_second", "streams", "waiting_streams", "batches", "active_batches", "body_bytes")

var role = openEnum("reader", "writer", "operator", "admin")

var percentage = map[string]any{"type": "number", "format": "double", "minimum": 0, "maximum": 100}

// enum is one of these words, or null where the last one is nil. No word is added to it within v1.
func enum(words ...any) map[string]any {
	if last := len(words) - 1; words[last] == nil {
		return anyOf(enum(words[:last]...), map[string]any{"type": "null"})
	}
	return map[string]any{"type": "string", "enum": words}
}

// openEnum is an enum to which a later version may add words.
func openEnum(words ...any) map[string]any {
	if last := len(words) - 1; words[last] == nil {
		return anyOf(enum(words[:last]...), map[string]any{"type": "string"}, map[string]any{"type": "null"})
	}
	return anyOf(enum(words...), map[string]any{"type": "string"})
}

func anyOf(kinds ...any) map[string]any { return map[string]any{"anyOf": kinds} }

var (
	anyObject = map[string]any{"type": "object", "additionalProperties": true}
	rowKey    = []any{map[string]any{"type": "integer", "format": "int64"}, map[string]any{"type": "string"}}
)

// objectOrNull has any members. openapi-typescript takes an object that names none for one that can have none.
var objectOrNull = map[string]any{"type": []any{"object", "null"}, "additionalProperties": true}

func (s *schemas) schema(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[diagnostics.Health]():
		return map[string]any{"$ref": "#/components/schemas/Health"}
	case t == reflect.TypeFor[json.RawMessage]():
		return map[string]any{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		inner := s.schema(t.Elem())
		if kind, plain := inner["type"].(string); plain {
			inner["type"] = []any{kind, "null"}
			return inner
		}
		return anyOf(inner, map[string]any{"type": "null"})
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.schema(t.Elem())}
	case reflect.Array:
		return map[string]any{"type": "array", "items": s.schema(t.Elem()), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return map[string]any{"type": "integer", "format": "int64"}
	case reflect.Float64:
		return map[string]any{"type": "number", "format": "double"}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": true}
	case reflect.Struct:
		s.object(t)
		return map[string]any{"$ref": "#/components/schemas/" + t.Name()}
	}
	panic("no schema for " + t.String())
}

// part describes what fields= leaves of a type: some of its fields, each as in the whole.
func (s *schemas) part(name string) {
	s.out[name+"Part"] = map[string]any{
		"type": "object", "description": "The fields of " + name + " that `fields` asks for.", "minProperties": 1,
		"properties": s.out[name].(map[string]any)["properties"],
	}
}

func (s *schemas) object(t reflect.Type) {
	if s.out[t.Name()] != nil {
		return
	}
	properties, required := map[string]any{}, []any{}
	o := map[string]any{"type": "object", "properties": properties}
	s.out[t.Name()] = o
	if text := s.comments[t.Name()]; text != "" {
		o["description"] = text
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, tagged := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "" && !tagged {
			continue
		}
		p, known := fieldWords[t.Name()+"."+name].(map[string]any)
		if !known {
			p = s.schema(f.Type)
		} else {
			s.schema(f.Type) // for the types in it
		}
		if text := s.comments[t.Name()+"."+f.Name]; text != "" {
			p = maps.Clone(p) // fields share it
			p["description"] = text
		}
		properties[name] = p
		if !strings.Contains(options, "omitempty") {
			required = append(required, name)
		}
	}
	o["required"] = required
}
