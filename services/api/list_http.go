package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
)

const (
	defaultPage = 50
	maxPage     = 200
)

func (s *Service) getBatches(c echo.Context, p *access.Principal) error {
	if wantsStream(c.Request()) {
		return s.streamBatches(c, p)
	}
	ns, err := s.namespace(c, p)
	if err != nil {
		return err
	}
	if err := onlyParameters(c, listParameters); err != nil {
		return err
	}
	f, err := parseFilter(c)
	if err != nil {
		return err
	}
	scope := p.Public()
	if scope != nil {
		if scope.Label == "" || len(f.pipeline)+len(f.owner)+len(f.cause)+len(f.alike)+len(f.labels) > 0 || f.text != "" || sortingOf(c.QueryParam("sort")) != nil { // which would tell what isn't shown
			return refusal(access.OutOfScope())
		}
		f.labels = []string{scope.Label}
	}
	limit, err := pageLimit(c)
	if err != nil {
		return err
	}
	order := cmp.Or(c.QueryParam("sort"), newest)
	if !slices.Contains(sorts, order) {
		return badRequest("sort", "must be of "+strings.Join(sorts, ", "))
	}
	by := sortingOf(order)
	list := f.key(ns, order)
	var after *row
	var at *columnKey
	if text := c.QueryParam("cursor"); text != "" {
		if after, at, err = parsePlace(text, list); err != nil {
			return err
		}
	}
	x, gaps, done, err := s.list(c.Request().Context(), ns, false)
	if err != nil {
		return unavailable(err)
	}
	defer done()
	looked := 0
	keep := func(r *row) bool { looked++; return f.keep(r) }
	var rows []*row
	var counted counts
	var more bool
	if by == nil {
		rows, counted, more = x.page(order, after, limit, f.text, keep)
	} else {
		shown := x.shown.Load()
		var from *ranked
		if after != nil && at != nil {
			from = &ranked{*at, after}
		}
		rows, more = shown.sort(by, from, limit, keep)
		counted = shown.counts
	}
	s.limiter.also(p, ns, looked/rowsCharged)
	next := "null"
	if more {
		last := rows[len(rows)-1]
		end := place{Health: last.health, Ordered: last.ordered, Batch: last.batch, List: list}
		if by != nil {
			value := by.of(last)
			end.Key = &value
		}
		next = `"` + end.String() + `"`
	}
	if scope != nil {
		rows, counted = publicRows(rows), countsOf(rows)
	}
	c.Response().Header().Set("Cache-Control", "private, no-cache")
	return s.write(c, "application/json", appendList(nil, rows, next, counted, gaps))
}

// pageLimit reads ?limit=.
func pageLimit(c echo.Context) (int, error) {
	text := c.QueryParam("limit")
	if text == "" {
		return defaultPage, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > maxPage {
		return 0, badRequest("limit", "must be 1 to "+strconv.Itoa(maxPage))
	}
	return limit, nil
}

// list returns the index of a namespace, and why batches may be missing in it. It waits for both concurrently.
func (s *Service) list(ctx context.Context, ns string, stay bool) (x *index, gaps []gap, done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	if x, done, err = s.lists.use(ctx, ns, stay); err != nil {
		return nil, nil, nil, err
	}
	if !s.source.refreshedWithin(2 * time.Second) {
		if _, err := s.source.refresh(ctx); err != nil {
			done()
			return nil, nil, nil, err
		}
	}
	if err := s.lists.settle(ctx, x); err != nil {
		s.log.Debug("judging rows failed", "error", err) // they are shown as they were, and judged with the next repair
	}
	return x, s.source.gaps(time.Now()), done, nil
}

func appendList(b []byte, rows []*row, next string, counted counts, gaps []gap) []byte {
	b = append(b, `{"batches":[`...)
	for i, r := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, r.json...)
	}
	b = append(b, `],"next_cursor":`...)
	b = append(b, next...)
	b = counted.appendJSON(append(b, `,"counts":`...))
	b = append(b, `,"incomplete":`...)
	b = strconv.AppendBool(b, len(gaps) > 0)
	why, _ := json.Marshal(gaps) //nolint:errchkjson // plain types
	return append(append(append(b, `,"incomplete_reasons":`...), why...), '}')
}

func (s *Service) streamBatches(c echo.Context, p *access.Principal) error {
	ns, err := s.namespace(c, p)
	if err != nil {
		return err
	}
	if err := onlyParameters(c, listStreamParameters); err != nil {
		return err
	}
	keep, err := s.chosen(c)
	if err != nil {
		return err
	}
	public := false
	if scope := p.Public(); scope != nil {
		if public = scope.Label != ""; !public {
			return refusal(access.OutOfScope())
		}
		keep = labelled(scope.Label, keep)
	}
	leave, err := s.enterStream(p, ns)
	if err != nil {
		return err
	}
	w := c.Response()
	setCommon(w.Header())
	if c.Request().Method == http.MethodHead {
		leave()
		push.SetHeaders(w.Header())
		return c.NoContent(http.StatusOK)
	}
	counting := keep == nil // a client that selected batches gets no counts of all
	if counting {
		keep = func(*row) bool { return true }
	}
	s.stream(c, p, leave, func(ctx context.Context, out *push.Writer) error {
		return s.serveList(ctx, out, ns, keep, counting, public)
	}, nil)
	return nil
}

// serveList waits until the rows can be read, and serves them.
func (s *Service) serveList(ctx context.Context, out *push.Writer, ns string, keep func(*row) bool, counting, public bool) error {
	for {
		x, gaps, done, err := s.list(ctx, ns, true)
		if err == nil {
			defer done()
			return s.serveRows(ctx, out, x, keep, counting, public, gaps)
		}
		if more, err := s.pause(ctx, out); !more || err != nil {
			return err
		}
	}
}

// chosen is the filter of ?ids=; nil: everything.
func (s *Service) chosen(c echo.Context) (func(*row) bool, error) {
	if _, given := c.QueryParams()["ids"]; !given {
		return nil, nil //nolint:nilnil // everything, and nothing wrong
	}
	ids := words(c, "ids")
	if len(ids) == 0 || len(ids) > s.limits.StreamIDs {
		return nil, badRequest("ids", "must be 1 to "+strconv.Itoa(s.limits.StreamIDs)+" batch ids")
	}
	set := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		known, ok := diagnostics.EncodeID(id)
		if !ok {
			return nil, badRequest("ids", "each "+idRule)
		}
		set[known] = struct{}{}
	}
	return func(r *row) bool { _, ok := set[r.batch]; return ok }, nil
}

// serveRows writes the newest rows, then each row that changes, the newest state of each, and the counters
// whenever they have changed.
func (s *Service) serveRows(ctx context.Context, out *push.Writer, x *index, keep func(*row) bool, counting, public bool, gaps []gap) error {
	_, version, changed := x.since(^uint64(0), keep) // before the page: what changes meanwhile is sent again
	rows, counted, _ := x.page(newest, nil, maxPage, "", keep)
	if public {
		rows, counted = publicRows(rows), countsOf(rows)
	}
	if err := out.Events(push.AppendEvent(nil, "", push.Snapshot.String(), appendList(nil, rows, "null", counted, gaps))); err != nil {
		return err
	}
	s.metrics.rows.Inc()
	sent := make(map[string]uint64, len(rows)) // only for what changed between since and page
	for _, r := range rows {
		if r.version > version {
			sent[r.batch] = r.version
		}
	}
	var buf []byte
	beat := time.NewTimer(out.Heartbeat())
	defer beat.Stop()
	for {
		select {
		case <-changed:
			before := version
			rows, version, changed = x.since(version, keep)
			if public {
				rows = publicRows(rows)
			}
			buf = buf[:0]
			written := 0
			for _, r := range rows {
				if sent[r.batch] != r.version {
					buf = append(buf, r.event...)
					written++
				}
			}
			clear(sent)
			if now := x.counted(); counting && now != counted {
				counted = now
				buf = push.AppendEvent(buf, "", "counts", counted.appendJSON(nil))
				written++
			}
			if len(buf) == 0 {
				continue
			}
			if err := out.Events(buf); err != nil {
				return err
			}
			s.metrics.rows.Add(float64(written))
			if counting { // otherwise the versions between may be of other batches
				s.metrics.skipped.Add(float64(version-before) - float64(len(rows)))
			}
		case <-beat.C:
			if err := out.Comment(); err != nil {
				return err
			}
			beat.Reset(out.Heartbeat())
		case <-ctx.Done():
			return nil
		case <-s.hub.Done():
			return nil
		}
	}
}
