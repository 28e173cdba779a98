package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
)

// A cause in words. Codes, and what the API says of them, are open: a word that a later version adds is shown as it is.

var (
	certainties = map[string]string{"known": "known", "inferred": "inferred from what is known", "unknown": "not certain"}
	actors      = map[string]string{
		"pipeline": "whoever wrote or submitted the job has to act", "platform": "whoever runs the cluster has to act",
		"orchestrator": "whoever runs the orchestrator has to act", "producer": "whoever sends the events has to act", "nobody": "nobody has to act",
	}
	helps = map[string]string{"yes": "waiting helps", "perhaps": "it may end by itself", "no": "waiting doesn't help"}
)

func worded(words map[string]string, word *string) string {
	if word == nil {
		return ""
	}
	if text, known := words[*word]; known {
		return text
	}
	return plain(*word)
}

// causeWords are what is known of a cause beside its sentence: code, how sure it is, since when, who acts, whether waiting
// helps. at formats a moment.
func causeWords(c *client.Cause, at func(time.Time) string) string {
	parts := []string{plain(string(c.Code)), worded(certainties, &c.Certainty)}
	if c.Since != nil {
		parts = append(parts, "since "+at(*c.Since))
	}
	for _, text := range []string{worded(actors, c.WhoActs), worded(helps, c.WaitingHelps)} {
		if text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, ", ")
}

// causeLists are what a source added to a cause, and what the cause rests on, each with its label.
func causeLists(c *client.Cause) (out [][2]string) {
	for _, list := range []struct {
		label string
		raw   json.RawMessage
	}{{"held by", c.Holders}, {"fixes", c.Fixes}, {"asked", c.Asked}} {
		if said := saidList(list.raw); said != "" {
			out = append(out, [2]string{list.label, said})
		}
	}
	if len(c.Evidence) > 0 {
		ids := make([]string, len(c.Evidence))
		for i, id := range c.Evidence {
			ids[i] = plain(id)
		}
		out = append(out, [2]string{"evidence", "events " + strings.Join(ids, ", ")})
	}
	return out
}

// saidList is a list in the words of its source: texts as they are, objects by their fields.
func saidList(raw json.RawMessage) string {
	var all []any
	if json.Unmarshal(raw, &all) != nil {
		return ""
	}
	parts := make([]string, 0, len(all))
	for _, one := range all {
		if text := saidValue(one); text != "" {
			parts = append(parts, plain(text))
		}
	}
	return strings.Join(parts, "; ")
}

func saidValue(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case map[string]any:
		if v["truncated"] == true {
			return fmt.Sprintf("more than is kept (%v bytes)", v["bytes"])
		}
		parts := make([]string, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if text := saidValue(v[key]); text != "" {
				parts = append(parts, strings.ReplaceAll(key, "_", " ")+" "+text)
			}
		}
		return strings.Join(parts, ", ")
	case []any:
		parts := make([]string, 0, len(v))
		for _, one := range v {
			parts = append(parts, saidValue(one))
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(v)
}

// reasonOf is why a batch is what it is: the blocked reason, else the sentence of its cause.
func reasonOf(s *client.Snapshot, now time.Time) string {
	switch {
	case s.BlockedReason != nil:
		return reasonWords(*s.BlockedReason, now)
	case s.Cause != nil:
		return localized(s.Cause.Sentence, now)
	}
	return ""
}

// causeOf is the cause of a tier: its own, else that of the first of its jobs that has one.
func causeOf(t *diagnostics.TierDiagnostic) string {
	if t.Cause != nil {
		return plain(string(t.Cause.Code))
	}
	for i := range t.Jobs {
		if c := t.Jobs[i].Cause; c != nil {
			return plain(string(c.Code))
		}
	}
	return ""
}

// tierCount counts the current tier as people do: the first is 1, and of a batch that is done it is the last.
func tierCount(current, total int, status, of string) string {
	if total == 0 {
		return "–"
	}
	return strings.Replace(strings.TrimPrefix(diagnostics.TierName(current, total, status), "tier "), " of ", of, 1)
}

func tierOf(r *client.Row, of string) string {
	return tierCount(r.CurrentTier, r.TotalTiers, r.Status, of)
}

func tierIn(s *client.Snapshot, of string) string {
	return tierCount(s.CurrentTier, s.TotalTiers, s.Status, of)
}

// documents are how many are done, of how many where that is known.
func documents(p diagnostics.Progress) string {
	if p.TotalDocuments == 0 {
		return grouped(p.ProcessedDocuments)
	}
	return grouped(p.ProcessedDocuments) + " of " + grouped(p.TotalDocuments)
}

// cause prints what is known of a cause beside its sentence.
func (w writer) cause(label, indent string, c *client.Cause) {
	if c == nil {
		return
	}
	w.linef("%s%s", label, causeWords(c, func(t time.Time) string { return clock(&t) }))
	for _, list := range causeLists(c) {
		w.linef("%s%s: %s", indent, list[0], list[1])
	}
}

// doubts prints what makes other sentences doubtful.
func (w writer) doubts(all []client.Cause, now time.Time) {
	for i := range all {
		w.linef("doubt     %s: %s", plain(string(all[i].Code)), localized(all[i].Sentence, now))
	}
}
