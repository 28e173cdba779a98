package answer

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// SnapshotChange is what differs between two snapshots: whole members, and of tiers, jobs and collections whole rows by their keys.
type SnapshotChange struct {
	Set         map[string]json.RawMessage `json:"set"`   // members other than tiers and collections
	Lists       map[string][]ListPart      `json:"lists"` // members that are lists of objects without keys, each part after part
	Tiers       []RowChange                `json:"tiers,omitempty"`
	Collections []RowChange                `json:"collections,omitempty"`
}

// ListPart is an element of a list, or [from, count]: as many elements of the list before, from that one on, the first being 0.
type ListPart = json.RawMessage

// RowChange is how one row of a list differs. One with After stands behind the row of that key, and was elsewhere before if it is known;
// any other stays where it is.
type RowChange struct {
	Key    json.RawMessage     `json:"key"`              // the value of the row's first member
	Gone   bool                `json:"gone,omitempty"`   // the row is removed
	After  json.RawMessage     `json:"after,omitempty"`  // the key of the row before it; null: it is the first
	Row    json.RawMessage     `json:"row,omitempty"`    // the row; without jobs it keeps those that it had
	Clocks map[string]*float64 `json:"clocks,omitempty"` // running times, where nothing else in the row changed
	Jobs   []RowChange         `json:"jobs,omitempty"`
}

// Apply returns the snapshot that a change makes of s, which isn't modified: the two share what is equal.
func (s *Snapshot) Apply(change []byte) (Snapshot, error) {
	var c SnapshotChange
	if err := json.Unmarshal(change, &c); err != nil {
		return Snapshot{}, err
	}
	next, err := s.set(&c)
	if err != nil {
		return Snapshot{}, err
	}
	next.Tiers, err = applyRows(s.Tiers, c.Tiers, func(t *TierDiagnostic) int { return t.TierNum }, changeTier)
	if err != nil {
		return Snapshot{}, fmt.Errorf("tiers: %w", err)
	}
	next.Collections, err = applyRows(s.Collections, c.Collections, func(c *CollectionDiagnostic) string { return c.CollectionID }, changeRow)
	if err != nil {
		return Snapshot{}, fmt.Errorf("collections: %w", err)
	}
	return next, nil
}

// set reads the members into a new snapshot, because decoding into s would write to what its pointers and slices share with
// snapshots that were handed out.
func (s *Snapshot) set(c *SnapshotChange) (next Snapshot, err error) {
	from, to := reflect.ValueOf(s).Elem(), reflect.ValueOf(&next).Elem()
	for i := range snapshotMembers {
		m := &snapshotMembers[i]
		value, changed := c.Set[m.title()]
		parts, listed := c.Lists[m.title()]
		switch was, is := from.Field(m.index), to.Field(m.index); {
		case changed:
			err = json.Unmarshal(value, is.Addr().Interface())
		case listed && m.element != nil:
			err = appendParts(is, was, parts)
		default:
			is.Set(was)
		}
		if err != nil {
			return next, fmt.Errorf("%s: %w", m.title(), err)
		}
	}
	return next, nil
}

var errNoElements = errors.New("elements of a list that it doesn't have")

func appendParts(list, old reflect.Value, parts []ListPart) error {
	out := reflect.MakeSlice(list.Type(), 0, old.Len()+len(parts))
	for _, part := range parts {
		if part[0] != '[' {
			element := reflect.New(list.Type().Elem())
			if err := json.Unmarshal(part, element.Interface()); err != nil {
				return err
			}
			out = reflect.Append(out, element.Elem())
			continue
		}
		var run [2]int
		if err := json.Unmarshal(part, &run); err != nil {
			return err
		}
		from, n := run[0], run[1]
		if from < 0 || n < 0 || n > old.Len() || from > old.Len()-n {
			return errNoElements
		}
		out = reflect.AppendSlice(out, old.Slice(from, from+n))
	}
	list.Set(out)
	return nil
}

var errUnknownRow = errors.New("a change of a row that isn't known")

// applyRows makes a new list. change changes a copy of a row.
func applyRows[K comparable, T any](old []T, changes []RowChange, key func(*T) K, change func(*T, *RowChange) error) ([]T, error) {
	if len(changes) == 0 {
		return old, nil
	}
	by := make(map[K]*RowChange, len(changes))
	first, behind := (*RowChange)(nil), map[K]*RowChange{}
	for i := range changes {
		c := &changes[i]
		var k, after *K
		if err := json.Unmarshal(c.Key, &k); err != nil || k == nil {
			return nil, fmt.Errorf("the key %s of a row: %w", c.Key, err)
		}
		if by[*k] = c; c.After == nil {
			continue
		}
		if err := json.Unmarshal(c.After, &after); err != nil {
			return nil, fmt.Errorf("the place of a row: %w", err)
		}
		if after == nil {
			first = c
		} else {
			behind[*after] = c
		}
	}
	out, applied := make([]T, 0, len(old)+len(behind)+1), 0
	// put appends the rows that were put one behind the other.
	put := func(c *RowChange) error {
		for c != nil {
			var row T
			if err := json.Unmarshal(c.Row, &row); err != nil {
				return err
			}
			out, applied = append(out, row), applied+1
			k := key(&row)
			c = behind[k]
			delete(behind, k)
		}
		return nil
	}
	if err := put(first); err != nil {
		return nil, err
	}
	for i := range old {
		row, k := old[i], key(&old[i])
		c := by[k]
		switch {
		case c != nil && c.Gone:
			applied++
			continue
		case c != nil && c.After != nil:
			continue
		case c != nil:
			applied++
			if err := change(&row, c); err != nil {
				return nil, err
			}
		}
		out = append(out, row)
		if err := put(behind[k]); err != nil {
			return nil, err
		}
	}
	if applied != len(changes) {
		return nil, errUnknownRow
	}
	return out, nil
}

func changeTier(t *TierDiagnostic, c *RowChange) (err error) {
	jobs := t.Jobs
	if err := changeRow(t, c); err != nil {
		return err
	}
	if t.Jobs == nil {
		t.Jobs = jobs
	}
	for name, value := range c.Clocks {
		switch name {
		case "duration_seconds":
			t.DurationSeconds = value
		case "queue_seconds":
			t.QueueSeconds = value
		}
	}
	t.Jobs, err = applyRows(t.Jobs, c.Jobs, func(j *JobDiagnostic) string { return j.RayJobID }, changeJob)
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	return nil
}

func changeJob(j *JobDiagnostic, c *RowChange) error {
	if err := changeRow(j, c); err != nil {
		return err
	}
	for name, value := range c.Clocks {
		switch {
		case name == "duration_seconds":
			j.DurationSeconds = value
		case name == "queue_seconds":
			j.QueueSeconds = value
		case name == "phases" && value != nil && len(j.Phases) > 0:
			j.Phases = append([]JobPhase(nil), j.Phases...)
			j.Phases[len(j.Phases)-1].DurationSeconds = *value
		}
	}
	return nil
}

// changeRow replaces a row, if the change has a whole one.
func changeRow[T any](row *T, c *RowChange) error {
	if c.Row == nil {
		return nil
	}
	var whole T
	if err := json.Unmarshal(c.Row, &whole); err != nil {
		return err
	}
	*row = whole
	return nil
}
