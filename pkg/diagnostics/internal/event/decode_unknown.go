package event

import (
	"slices"
	"strings"
)

// decMaxUnknown is how many unknown fields of an event are named.
const decMaxUnknown = 16

// unknown skips a field that the event's type doesn't have, and remembers its name.
func (s *scanner) unknown() {
	if len(s.strays) < decMaxUnknown {
		var room [128]byte
		name := s.appendPath(room[:0], false)
		if !slices.ContainsFunc(s.strays, func(known string) bool { return known == string(name) }) {
			s.strays = append(s.strays, string(name))
		}
	}
	s.skip()
}

// dataFields are the fields that the decoder reads, by the object that has them: the event's type, then the path to
// the object as Decoder.Unknown writes it. A test holds them against the decoder.
var dataFields = map[string]string{
	"batch": "status attempt settled name pipeline owner labels retry_of bucket_id total_tiers total_objects created_at " +
		"submitted_at started_at completed_at error error_type tiers",
	"batch.tiers[]":               "tier_num requires_gpu total_documents collections",
	"batch.tiers[].collections[]": "collection_id collection_name expected_documents",
	"tier": "tier_num attempt status task_id worker requires_gpu started_at completed_at processed_documents total_documents " +
		"failed_documents error error_type errors counts",
	"tier.counts":   "fetched after_filter missing_inputs submitted written",
	"tier.errors[]": "error_type message component stage affected_count affected_document_ids recovery_suggestion",
	"job": "tier_num attempt submission_id job_id extractor collections status submitted_at started_at ended_at message error_type " +
		"exit_code dashboard_url resources submission_params cluster run session processed_documents total_documents waiting_on",
	"job.resources":  "num_cpus num_gpus memory_bytes",
	"job.waiting_on": "kind since demand offered nodes_pending infeasible detail code asked holders fixes",
	"collection":     "collection_id collection_name tier_num document_count expected_documents",
	"stage":          "tier_num attempt stage component worker unit count total_ms max_ms buckets",
	"health":         "ordinal batch_id namespace from to blocked_reason stuck_seconds evidence revision as_of link changed cause_from cause_to policy_hash",
	"proof":          "submission_id cluster run kind process name text frame frame_since looks unavailable",
}

// Nearest gives the field of an event of type t that was probably meant by one that Decoder.Unknown named: in the same
// object, at most two edits away, and fewer for a short name.
func Nearest(t Type, unknown string) (field string, ok bool) {
	dot := strings.LastIndexByte(unknown, '.')
	if dot < 0 {
		return "", false
	}
	object, name := t.noun()+strings.TrimPrefix(unknown[:dot], "data"), unknown[dot+1:]
	least := min(2, len(name)/2) + 1
	for known := range strings.FieldsSeq(dataFields[object]) {
		if n := edits(name, known, least); n < least {
			field, least = known, n
		}
	}
	return field, field != ""
}

// Hint is a sentence about a field that Decoder.Unknown named, such as “processed_document isn't a field; processed_documents?”.
func Hint(t Type, unknown string) string {
	text := strings.TrimPrefix(unknown, "data.") + " isn't a field"
	if field, ok := Nearest(t, unknown); ok {
		text += "; " + field + "?"
	}
	return text
}

// edits is the Levenshtein distance of two texts, or enough where it is no less than that.
func edits(a, b string, enough int) int {
	if max(len(a)-len(b), len(b)-len(a)) >= enough {
		return enough
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], enough)
}
