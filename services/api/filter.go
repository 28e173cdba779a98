package api

import (
	"encoding/base64"
	"encoding/json"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Statuses and healths, in the order in which counters show them.
var (
	statuses = []string{
		"DRAFT", "PENDING", "PROCESSING", "COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED", "SKIPPED", "UNKNOWN",
	}
	healths = []string{"ok", "scaling", "stuck", "degraded"}
)

// Limits of a filter.
const (
	maxText    = 200
	maxFilters = 20 // values of one parameter
)

// filter selects the rows of a list. Of the values of one parameter one has to match (for label: all).
type filter struct {
	status, health, pipeline []string
	owner, cause, alike      []string
	labels                   []string // "key:value"
	text                     string   // lower case
	after, before            int64    // nanoseconds; 0: none
}

func (f *filter) keep(r *row) bool {
	if len(f.status) > 0 && !slices.Contains(f.status, r.status) || len(f.health) > 0 && !slices.Contains(f.health, r.health) ||
		len(f.pipeline) > 0 && !slices.Contains(f.pipeline, r.pipeline) || len(f.owner) > 0 && !slices.Contains(f.owner, r.owner) ||
		len(f.cause) > 0 && !slices.Contains(f.cause, r.cause) || len(f.alike) > 0 && !slices.Contains(f.alike, r.alike) ||
		f.after != 0 && r.ordered < f.after || f.before != 0 && r.ordered >= f.before {
		return false
	}
	for _, l := range f.labels {
		if !slices.Contains(r.labels, l) {
			return false
		}
	}
	return f.text == "" || strings.Contains(r.text, f.text)
}

// key identifies a list by namespace, filter and order, so that a cursor can't be used with another one.
func (f *filter) key(ns, sort string) string {
	h := fnv.New64a()
	for _, part := range [][]string{{ns}, f.status, f.health, f.pipeline, f.owner, f.cause, f.alike, f.labels, {f.text, strconv.FormatInt(f.after, 36), strconv.FormatInt(f.before, 36), sort}} {
		_, _ = h.Write([]byte(strings.Join(part, "\x00") + "\x01")) // a hash's Write never fails
	}
	return strconv.FormatUint(h.Sum64(), 36)
}

func parseFilter(c echo.Context) (*filter, error) {
	f := &filter{}
	for _, w := range words(c, "status") {
		w = strings.ToUpper(w)
		switch w {
		case "QUEUED":
			w = "PENDING"
		case "IN_PROGRESS":
			w = "PROCESSING"
		}
		if !slices.Contains(statuses, w) {
			return nil, badRequest("status", "must be of "+strings.Join(statuses, ", "))
		}
		f.status = append(f.status, w)
	}
	var err error
	if f.health, err = healthWords(c); err != nil {
		return nil, err
	}
	q := c.QueryParams()
	f.pipeline, f.owner = slices.Clone(q["pipeline"]), slices.Clone(q["owner"])
	f.cause, f.alike = slices.Clone(q["cause"]), slices.Clone(q["alike"])
	for _, l := range q["label"] {
		if key, _, ok := strings.Cut(l, ":"); !ok || key == "" {
			return nil, badRequest("label", "must be key:value")
		}
		f.labels = append(f.labels, l)
	}
	f.text = strings.ToLower(strings.TrimSpace(c.QueryParam("q")))
	if len(f.text) > maxText {
		return nil, badRequest("q", "must be at most "+strconv.Itoa(maxText)+" bytes")
	}
	for _, t := range []struct {
		name string
		to   *int64
	}{{"created_after", &f.after}, {"created_before", &f.before}} {
		if !q.Has(t.name) {
			continue
		}
		at, err := moment(q.Get(t.name), t.name)
		if err != nil {
			return nil, err
		}
		*t.to = at.UnixNano()
	}
	for name, values := range map[string]*[]string{"status": &f.status, "health": &f.health, "pipeline": &f.pipeline, "owner": &f.owner, "cause": &f.cause, "alike": &f.alike, "label": &f.labels} {
		slices.Sort(*values)
		if *values = slices.Compact(*values); len(*values) > maxFilters {
			return nil, badRequest(name, "must be at most "+strconv.Itoa(maxFilters)+" values")
		}
	}
	return f, nil
}

// healthWords reads ?health=.
func healthWords(c echo.Context) (out []string, err error) {
	for _, w := range words(c, "health") {
		w = strings.ToLower(w)
		if _, ok := diagnostics.ParseHealth(w); !ok {
			return nil, badRequest("health", "must be of "+strings.Join(healths, ", "))
		}
		out = append(out, w)
	}
	return out, nil
}

// moment reads a parameter that is a time.
func moment(text, name string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || at.Year() < 1970 || at.Year() > 2261 { // the range of nanoseconds in 64 bits
		return at, badRequest(name, "must be a time such as 2026-03-01T12:00:00Z")
	}
	return at, nil
}

// words are the values of a parameter that may be repeated or have a list separated by commas.
func words(c echo.Context, name string) []string {
	var out []string
	for _, v := range c.QueryParams()[name] {
		for w := range strings.SplitSeq(v, ",") {
			if w = strings.TrimSpace(w); w != "" {
				out = append(out, w)
			}
		}
	}
	return out
}

// place is the contents of a page cursor: where the previous page ended, and in which list. It names no row, so
// it stays valid while rows change and move.
type place struct {
	Health  string     `json:"h"`
	Ordered int64      `json:"o"`
	Batch   string     `json:"b"`
	List    string     `json:"l"`           // filter.key
	Key     *columnKey `json:"k,omitempty"` // in the order of a column
}

func (p place) String() string {
	b, _ := json.Marshal(p) //nolint:errchkjson // plain types
	return base64.RawURLEncoding.EncodeToString(b)
}

func parsePlace(text, list string) (*row, *columnKey, error) {
	bad := badRequest("cursor", "doesn't belong to a list with this namespace, filters and order")
	if len(text) > 1024 {
		return nil, nil, bad
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, nil, bad
	}
	var p place
	if json.Unmarshal(raw, &p) != nil || !diagnostics.ValidID(p.Batch) || !slices.Contains(healths, p.Health) || p.List != list {
		return nil, nil, bad
	}
	return &row{ordered: p.Ordered, batch: p.Batch, health: p.Health, need: needOf(p.Health)}, p.Key, nil
}
