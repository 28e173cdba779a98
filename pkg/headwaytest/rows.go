package headwaytest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ApplyRows is what docs/api.md says of format=rows, by the letter and without our types: it returns the state that the data
// of an event makes of the one before. Both are JSON.
func ApplyRows(state, change []byte) ([]byte, error) {
	var was, is map[string]any
	if err := decode(state, &was); err != nil {
		return nil, err
	}
	if err := decode(change, &is); err != nil {
		return nil, err
	}
	for name, value := range is["set"].(map[string]any) {
		was[name] = value
	}
	for name, parts := range is["lists"].(map[string]any) {
		old := was[name].([]any)
		list := []any{}
		for _, part := range parts.([]any) {
			if run, is := part.([]any); is {
				from, count := number(run[0]), number(run[1])
				list = append(list, old[from:from+count]...)
			} else {
				list = append(list, part)
			}
		}
		was[name] = list
	}
	for name, key := range map[string]string{"tiers": "tier_num", "collections": "collection_id"} {
		list, err := applyEntries(was[name].([]any), is[name], key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		was[name] = list
	}
	return json.Marshal(was)
}

// applyEntries takes one entry after the other.
func applyEntries(rows []any, entries any, key string) ([]any, error) {
	if entries == nil {
		return rows, nil
	}
	rows = slices.Clone(rows)
	find := func(value any) int {
		return slices.IndexFunc(rows, func(r any) bool { return r.(map[string]any)[key] == value })
	}
	for _, e := range entries.([]any) {
		entry := e.(map[string]any)
		at := find(entry["key"])
		after, placed := entry["after"]
		switch {
		case placed:
			if at >= 0 {
				rows = slices.Delete(rows, at, at+1)
			}
			behind := -1
			if after != nil {
				if behind = find(after); behind < 0 {
					return nil, fmt.Errorf("there is no row %v to be behind", after)
				}
			}
			rows = slices.Insert(rows, behind+1, entry["row"])
		case at < 0:
			return nil, fmt.Errorf("there is no row %v", entry["key"])
		case entry["gone"] == true:
			rows = slices.Delete(rows, at, at+1)
		default:
			row, err := applyEntry(rows[at].(map[string]any), entry)
			if err != nil {
				return nil, err
			}
			rows[at] = row
		}
	}
	return rows, nil
}

func applyEntry(was, entry map[string]any) (map[string]any, error) {
	row := maps.Clone(was)
	if whole, given := entry["row"].(map[string]any); given {
		row = maps.Clone(whole)
		if _, given := whole["jobs"]; !given && was["jobs"] != nil {
			row["jobs"] = was["jobs"]
		}
	}
	if clocks, given := entry["clocks"].(map[string]any); given {
		for name, value := range clocks {
			if name != "phases" {
				row[name] = value
				continue
			}
			phases := slices.Clone(row[name].([]any))
			last := maps.Clone(phases[len(phases)-1].(map[string]any))
			last["duration_seconds"] = value
			phases[len(phases)-1] = last
			row[name] = phases
		}
	}
	if entry["jobs"] != nil {
		jobs, err := applyEntries(row["jobs"].([]any), entry["jobs"], "ray_job_id")
		if err != nil {
			return nil, fmt.Errorf("jobs: %w", err)
		}
		row["jobs"] = jobs
	}
	return row, nil
}

func decode(text []byte, to any) error {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	return d.Decode(to)
}

func number(v any) int {
	n, _ := v.(json.Number).Int64()
	return int(n)
}
