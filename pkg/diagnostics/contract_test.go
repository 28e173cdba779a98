package diagnostics

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// Fields of the compatible API, whose client is strict: integers are integers, times can be parsed, and a field marked with ! is
// present and not null.
var contract = map[string]string{
	"batch_id": "string!", "batch_name": "string!", "status": "string!", "bucket_id": "string!",
	"current_tier": "integer!", "total_tiers": "integer!", "overall_progress": "number!",
	"created_at": "time", "submitted_at": "time", "started_at": "time", "completed_at": "time", "estimated_completion": "time",
	"duration_seconds": "number", "tiers": "array!", "collections": "array!", "performance_summary": "object",
	"insights": "array!", "has_failures": "bool!", "failed_tier_count": "integer!", "total_objects": "integer!",
	"health": "string!", "blocked_reason": "string", "stuck_seconds": "number", "next_actions": "array!",

	"tiers.tier_num": "integer!", "tiers.status": "string!", "tiers.task_id": "string", "tiers.started_at": "time",
	"tiers.completed_at": "time", "tiers.duration_seconds": "number", "tiers.progress": "object",
	"tiers.progress.processed_documents": "integer", "tiers.progress.total_documents": "integer", "tiers.progress.percentage": "number",
	"tiers.ray_job_id": "string", "tiers.ray_dashboard_url": "string", "tiers.error": "string", "tiers.error_type": "string",
	"tiers.requires_gpu": "bool", "tiers.ray_job_status": "string", "tiers.submission_params": "object",

	"collections.collection_id": "string!", "collections.collection_name": "string!", "collections.status": "string!",
	"collections.document_count": "integer!", "collections.expected_documents": "integer",

	"insights.type": "string!", "insights.severity": "string!", "insights.message": "string!", "insights.stage": "string",
	"insights.metric_value": "number", "insights.recommendation": "string",

	// Extensions.
	"view": "object!", "last_activity_at": "time", "health_evidence": "object!", "eta": "object", "timeline": "array!",
	"tiers.jobs": "array!", "tiers.attempt": "integer!", "tiers.queue_seconds": "number", "tiers.throughput_docs_per_second": "number",
	"failure_category": "string", "failed_documents_sample": "array!", "actions": "array!",
	"view.id": "string!", "view.revision": "integer!", "view.as_of": "time!", "view.lag_seconds": "number!", "view.incomplete": "bool!",
	"health_evidence.signal": "string!", "health_evidence.since": "time", "health_evidence.threshold_seconds": "number",
	"health_evidence.tier_num": "integer", "health_evidence.ray_job_id": "string", "health_evidence.event_ids": "array!",
	"health_evidence.last_heard": "time", "health_evidence.waiting_on": "object",
	"eta.p50": "time!", "eta.p90": "time!", "eta.confidence": "string!", "eta.method": "string!",

	"performance_summary.total_time_seconds": "number!", "performance_summary.queue_seconds": "number!",
	"performance_summary.cold_start_seconds": "number!", "performance_summary.processing_seconds": "number!",
	"performance_summary.throughput_docs_per_second": "number!", "performance_summary.documents_processed": "integer!",
	"performance_summary.documents_failed": "integer!", "performance_summary.tiers": "array!", "performance_summary.stages": "array!",
	"performance_summary.bottlenecks": "array!",
}

func checkContract(t *testing.T, answer []byte) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber()
	var all map[string]any
	if err := d.Decode(&all); err != nil {
		t.Fatal(err)
	}
	for path, kind := range contract {
		checkField(t, all, path, path, kind)
	}
	noNullArrays(t, "", all)
}

func checkField(t *testing.T, in map[string]any, path, rest, kind string) {
	t.Helper()
	name, deeper, nested := strings.Cut(rest, ".")
	v, there := in[name]
	if !there {
		t.Errorf("%s is missing", path)
		return
	}
	if !nested {
		if !fits(v, kind) {
			t.Errorf("%s = %v, want %s", path, v, kind)
		}
		return
	}
	switch v := v.(type) {
	case map[string]any:
		checkField(t, v, path, deeper, kind)
	case []any:
		for _, e := range v {
			checkField(t, e.(map[string]any), path, deeper, kind)
		}
	}
}

func fits(v any, kind string) bool {
	word, required := strings.CutSuffix(kind, "!")
	if v == nil {
		return !required
	}
	switch word {
	case "string":
		_, ok := v.(string)
		return ok
	case "bool":
		_, ok := v.(bool)
		return ok
	case "object":
		_, ok := v.(map[string]any)
		return ok
	case "array":
		_, ok := v.([]any)
		return ok
	case "time":
		s, ok := v.(string)
		_, err := time.Parse(time.RFC3339Nano, s)
		return ok && err == nil && strings.HasSuffix(s, "Z")
	case "integer":
		n, ok := v.(json.Number)
		return ok && !strings.ContainsAny(string(n), ".eE")
	}
	_, ok := v.(json.Number)
	return ok
}

// noNullArrays checks that fields with a name in the plural, and others known to be lists, are lists.
func noNullArrays(t *testing.T, path string, v any) {
	t.Helper()
	lists := map[string]bool{"tiers": true, "jobs": true, "collections": true, "insights": true, "stages": true, "points": true,
		"bottlenecks": true, "actions": true, "next_actions": true, "timeline": true, "event_ids": true, "errors": true, "affected_document_ids": true}
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if lists[k] && e == nil {
				t.Errorf("%s.%s is null", path, k)
			}
			noNullArrays(t, path+"."+k, e)
		}
	case []any:
		for _, e := range v {
			noNullArrays(t, path, e)
		}
	}
}
