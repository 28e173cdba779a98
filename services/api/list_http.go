package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
)

const (
	defaultPage = 50
	maxPage     = 200
)

var statuses = []string{
	"DRAFT", "PENDING", "PROCESSING", "COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED", "SKIPPED", "UNKNOWN",
}

// filter is what a list is narrowed to.
type filter struct{ status, health []string }

func (f filter) keep(r *row) bool {
	return (len(f.status) == 0 || slices.Contains(f.status, r.status)) &&
		(len(f.health) == 0 || slices.Contains(f.health, r.health))
}

func (f filter) key() string { return strings.Join(f.status, ",") + "/" + strings.Join(f.health, ",") }

func parseFilter(c echo.Context) (f filter, err error) {
	for _, w := range words(c, "status") {
		w = strings.ToUpper(w)
		switch w {
		case "QUEUED":
			w = "PENDING"
		case "IN_PROGRESS":
			w = "PROCESSING"
		}
		if !slices.Contains(statuses, w) {
			return f, badRequest("status", "must be of "+strings.Join(statuses, ", "))
		}
		f.status = append(f.status, w)
	}
	for _, w := range words(c, "health") {
		w = strings.ToLower(w)
		if _, ok := diagnostics.ParseHealth(w); !ok {
			return f, badRequest("health", "must be of ok, scaling, stuck, degraded")
		}
		f.health = append(f.health, w)
	}
	slices.Sort(f.status)
	slices.Sort(f.health)
	f.status, f.health = slices.Compact(f.status), slices.Compact(f.health)
	return f, nil
}

// words are the values of a parameter that may be repeated or hold a list with commas.
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

// place is what a page cursor holds: where the page before ended, and for which filter.
type place struct {
	Ordered int64  `json:"o"`
	Batch   string `json:"b"`
	Filter  string `json:"f"`
}

func (p place) String() string {
	b, _ := json.Marshal(p) //nolint:errchkjson // plain types
	return base64.RawURLEncoding.EncodeToString(b)
}

func parsePlace(text string, f filter) (*row, error) {
	bad := badRequest("cursor", "is not one that was given for this list and filter")
	if len(text) > 1024 {
		return nil, bad
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, bad
	}
	var p place
	if json.Unmarshal(raw, &p) != nil || !validID(p.Batch) || p.Filter != f.key() {
		return nil, bad
	}
	return &row{ordered: p.Ordered, batch: p.Batch}, nil
}

func (s *Service) getBatches(c echo.Context) error {
	if wantsStream(c.Request()) {
		return s.streamBatches(c)
	}
	ns, err := namespace(c)
	if err != nil {
		return err
	}
	f, err := parseFilter(c)
	if err != nil {
		return err
	}
	limit := defaultPage
	if text := c.QueryParam("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxPage {
			return badRequest("limit", "must be 1 to "+strconv.Itoa(maxPage))
		}
	}
	var after *row
	if text := c.QueryParam("cursor"); text != "" {
		if after, err = parsePlace(text, f); err != nil {
			return err
		}
	}
	x, done, err := s.lists.use(c.Request().Context(), ns)
	if err != nil {
		return unavailable(err)
	}
	defer done()
	incomplete, err := s.incomplete(c)
	if err != nil {
		return unavailable(err)
	}
	rows, more := x.page(after, limit, f.keep)
	next := "null"
	if more {
		last := rows[len(rows)-1]
		next = `"` + place{last.ordered, last.batch, f.key()}.String() + `"`
	}
	h := c.Response().Header()
	setCommon(h)
	h.Set("Cache-Control", "private, no-cache")
	return c.JSONBlob(http.StatusOK, appendList(nil, rows, next, incomplete))
}

// incomplete reports whether a partition is being rebuilt, so that rows may be missing.
func (s *Service) incomplete(c echo.Context) (bool, error) {
	if time.Since(time.Unix(0, s.source.freshAt.Load())) > 2*time.Second {
		if _, err := s.source.refresh(c.Request().Context()); err != nil {
			return false, err
		}
	}
	for p := range s.source.latest {
		if f := s.source.latest[p].Load(); f == nil || !f.complete {
			return true, nil
		}
	}
	return false, nil
}

func appendList(b []byte, rows []*row, next string, incomplete bool) []byte {
	b = append(b, `{"batches":[`...)
	for i, r := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, r.json...)
	}
	b = append(b, `],"next_cursor":`...)
	b = append(b, next...)
	b = append(b, `,"incomplete":`...)
	b = strconv.AppendBool(b, incomplete)
	return append(b, '}')
}

func (s *Service) streamBatches(c echo.Context) error {
	ns, err := namespace(c)
	if err != nil {
		return err
	}
	keep, err := s.chosen(c)
	if err != nil {
		return err
	}
	if !s.streams.enter(ns) {
		return tooMany("streams")
	}
	defer s.streams.leave(ns)
	x, done, err := s.lists.use(c.Request().Context(), ns)
	if err != nil {
		return unavailable(err)
	}
	defer done()
	incomplete, err := s.incomplete(c)
	if err != nil {
		return unavailable(err)
	}
	w := c.Response()
	setCommon(w.Header())
	if c.Request().Method == http.MethodHead {
		push.SetHeaders(w.Header())
		return c.NoContent(http.StatusOK)
	}
	if err := s.serveRows(c, x, keep, incomplete); err != nil {
		s.log.Debug("api: stream ended", "error", err)
	}
	return nil
}

// chosen is the filter of ?ids=, or everything.
func (s *Service) chosen(c echo.Context) (func(*row) bool, error) {
	if _, given := c.QueryParams()["ids"]; !given {
		return func(*row) bool { return true }, nil
	}
	ids := words(c, "ids")
	if len(ids) == 0 || len(ids) > s.limits.StreamIDs {
		return nil, badRequest("ids", "must be 1 to "+strconv.Itoa(s.limits.StreamIDs)+" batch ids")
	}
	set := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		if !validID(id) {
			return nil, badRequest("ids", "each must match ^[A-Za-z0-9_-]{1,128}$")
		}
		set[id] = struct{}{}
	}
	return func(r *row) bool { _, ok := set[r.batch]; return ok }, nil
}

// serveRows writes the newest rows, then each row that changes, the newest state of each.
func (s *Service) serveRows(c echo.Context, x *index, keep func(*row) bool, incomplete bool) error {
	_, version, changed := x.since(^uint64(0), keep) // before the page: what changes meanwhile is sent again
	rows, _ := x.page(nil, maxPage, keep)
	out := push.NewWriter(c.Response(), s.push)
	if err := out.Begin(); err != nil {
		return err
	}
	buf := push.AppendEvent(nil, "", push.Snapshot.String(), appendList(nil, rows, "null", incomplete))
	if err := out.Write(buf); err != nil {
		return err
	}
	sent := make(map[string]uint64, len(rows)) // only for what changed between since and page
	for _, r := range rows {
		if r.version > version {
			sent[r.batch] = r.version
		}
	}
	beat := time.NewTimer(out.Heartbeat())
	defer beat.Stop()
	for {
		select {
		case <-changed:
			rows, version, changed = x.since(version, keep)
			buf = buf[:0]
			for _, r := range rows {
				if sent[r.batch] != r.version {
					buf = append(buf, r.event...)
				}
			}
			clear(sent)
			if len(buf) == 0 {
				continue
			}
			if err := out.Write(buf); err != nil {
				return err
			}
		case <-beat.C:
			if err := out.Comment(); err != nil {
				return err
			}
			beat.Reset(out.Heartbeat())
		case <-c.Request().Context().Done():
			return nil
		case <-s.hub.Done():
			return nil
		}
	}
}
