package api

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/history"
	"github.com/headwayhq/headway/services/api/access"
)

const (
	finishedWithin  = 10 * time.Second // limits the reading of rows for one request
	finishedAtOnce  = 8                // requests that read rows at the same time
	finishedDefault = 7                // days
	daysCharged     = 10               // days that are counted for the price of one more request
	aDay            = 24 * time.Hour
)

// finishedQuery selects finished batches.
type finishedQuery struct {
	from, to time.Time // of the end: from inclusive, to exclusive
	after    history.Place
	filter   *filter
	limit    int
	key      string // filter.key, with what was asked of the time
}

// searched says in which part of the time an answer has looked.
type searched struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Examined int       `json:"examined"`
}

// getFinished answers with the batches that ended in a time, the latest end first: those in Redis as they are there, and the others as
// the history has them.
func (s *Service) getFinished(c echo.Context, p *access.Principal) error {
	ns, err := s.namespace(c, p)
	if err != nil {
		return err
	}
	if err := onlyParameters(c, finishedParameters); err != nil {
		return err
	}
	q, err := s.parseFinished(c, ns)
	if err != nil {
		return err
	}
	x, gaps, done, err := s.list(c.Request().Context(), ns, false)
	if err != nil {
		return unavailable(err)
	}
	defer done()
	shown := x.finished(q)
	page, err := s.finishedPage(c.Request().Context(), ns, q, shown)
	if err != nil {
		return unavailable(err)
	}
	s.limiter.also(p, ns, (shown.looked+page.Examined)/rowsCharged)
	body, err := json.Marshal(q.answer(shown, page, gaps))
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "private, no-cache")
	return s.write(c, "application/json", body)
}

func (s *Service) parseFinished(c echo.Context, ns string) (*finishedQuery, error) {
	f, err := parseFilter(c)
	if err != nil {
		return nil, err
	}
	for _, status := range f.status {
		if !diagnostics.Over(status) {
			return nil, badRequest("status", "must be of a batch that has ended: "+strings.Join(slices.DeleteFunc(slices.Clone(statuses), func(s string) bool { return !diagnostics.Over(s) }), ", "))
		}
	}
	q := &finishedQuery{filter: f}
	if q.limit, err = pageLimit(c); err != nil {
		return nil, err
	}
	if q.from, q.to, err = s.period(c); err != nil {
		return nil, err
	}
	q.key = f.key(ns, "finished "+c.QueryParam("from")+" "+c.QueryParam("to"))
	if text := c.QueryParam("cursor"); text != "" {
		if err := q.resume(text); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// period reads ?from= and ?to=, of which each is a day in UTC or a moment. Without them it is the last seven days, today included.
func (s *Service) period(c echo.Context) (from, to time.Time, err error) {
	given := c.QueryParams()
	to = time.Now().UTC().Truncate(aDay).Add(aDay)
	if given.Has("to") {
		var whole bool
		if to, whole, err = dayOrMoment(given.Get("to"), "to"); err != nil {
			return from, to, err
		}
		if whole {
			to = to.Add(aDay)
		}
	}
	from = to.Add(-time.Microsecond).Truncate(aDay).Add(-(finishedDefault - 1) * aDay)
	if given.Has("from") {
		if from, _, err = dayOrMoment(given.Get("from"), "from"); err != nil {
			return from, to, err
		}
	}
	switch {
	case !from.Before(to):
		return from, to, badRequest("from", "must be before the end of the time, "+to.Format(time.RFC3339))
	case to.Sub(from) > time.Duration(s.limits.FinishedDays)*aDay:
		return from, to, badRequest("from", "must be at most "+strconv.Itoa(s.limits.FinishedDays)+" days before the end of the time, "+to.Format(time.RFC3339))
	}
	return from, to, nil
}

// dayOrMoment reads a parameter that is a day in UTC, and then it is its begin, or a moment.
func dayOrMoment(text, name string) (at time.Time, day bool, err error) {
	if at, err = time.Parse(time.DateOnly, text); err == nil && at.Year() >= 1970 && at.Year() <= 2260 {
		return at, true, nil
	}
	if at, err = moment(text, name); err != nil {
		return at, false, badRequest(name, "must be a day such as 2026-03-01, or a time such as 2026-03-01T12:00:00Z")
	}
	return at.UTC().Truncate(time.Microsecond), false, nil
}

// finishedPlace is the contents of a cursor in finished batches. It has the time that was asked for, because the default moves on at midnight.
type finishedPlace struct {
	End   int64  `json:"e"` // microseconds, as the two below
	Batch string `json:"b,omitempty"`
	From  int64  `json:"f"`
	To    int64  `json:"t"`
	List  string `json:"l"`
}

func (q *finishedQuery) cursor(at history.Place) string {
	b, _ := json.Marshal(finishedPlace{at.End.UnixMicro(), at.Batch, q.from.UnixMicro(), q.to.UnixMicro(), q.key}) //nolint:errchkjson // plain types
	return base64.RawURLEncoding.EncodeToString(b)
}

// resume goes on where a cursor says.
func (q *finishedQuery) resume(text string) error {
	bad := badRequest("cursor", "doesn't belong to finished batches of this namespace, time and filter")
	raw, err := base64.RawURLEncoding.DecodeString(text)
	var p finishedPlace
	if err != nil || len(text) > 1024 || json.Unmarshal(raw, &p) != nil || p.List != q.key || p.Batch != "" && !diagnostics.ValidID(p.Batch) || p.End < p.From-1 || p.End >= p.To {
		return bad
	}
	from, to := time.UnixMicro(p.From).UTC(), time.UnixMicro(p.To).UTC()
	if to.Sub(from) > max(q.to.Sub(q.from), finishedDefault*aDay) { // nobody gets more than may be asked for
		return bad
	}
	q.from, q.to, q.after = from, to, history.Place{End: time.UnixMicro(p.End).UTC(), Batch: p.Batch}
	return nil
}

// comes reports whether a batch that ended at a moment comes after a place. It is history.Page's order.
func comes(end time.Time, batch string, after history.Place) bool {
	return after.End.IsZero() || end.Before(after.End) || end.Equal(after.End) && batch > after.Batch
}

// edge is the moment of a place: everything that ended later comes before it.
func edge(at history.Place) time.Time {
	if at.Batch == "" {
		return at.End.Add(time.Microsecond)
	}
	return at.End
}

// finishedRows are the finished batches of an index.
type finishedRows struct {
	index  *index
	seen   map[string]bool // whether or not they match the filter
	rows   []*row          // those that do, in order
	looked int
}

func (r *row) ended() time.Time { return time.UnixMicro(r.over).UTC() }

// finished are the batches of an index that ended in the time asked for, after the place of a cursor.
func (x *index) finished(q *finishedQuery) *finishedRows {
	out := &finishedRows{index: x, seen: map[string]bool{}}
	from, to := q.from.UnixMicro(), q.to.UnixMicro()
	x.shown.Load().newest.Scan(func(r *row) bool {
		out.looked++
		if r.over == 0 || r.over < from || r.over >= to || !comes(r.ended(), r.batch, q.after) {
			return true
		}
		out.seen[r.batch] = true
		if q.filter.keep(r) {
			out.rows = append(out.rows, r)
		}
		return true
	})
	slices.SortFunc(out.rows, func(a, b *row) int { return cmp.Or(cmp.Compare(b.over, a.over), strings.Compare(a.batch, b.batch)) })
	return out
}

// replaces reports whether Redis says something else of a batch than that it ended at this moment, or has said it in this answer.
func (f *finishedRows) replaces(batch string, end time.Time) bool {
	if f.seen[batch] {
		return true
	}
	f.index.mu.Lock()
	defer f.index.mu.Unlock()
	r := f.index.rows[batch]
	return r != nil && !r.ended().Equal(end)
}

// finishedPage reads a page of the history, without the batches that Redis has.
func (s *Service) finishedPage(ctx context.Context, ns string, q *finishedQuery, shown *finishedRows) (history.Page, error) {
	damaged := 0
	page := history.Page{}
	err := s.readFinished(ctx, func(ctx context.Context, old *history.Rows) (err error) {
		page, err = old.Page(ctx, history.Query{
			Namespace: ns, From: q.from, To: q.to, After: q.after, Limit: q.limit, Examine: s.limits.FinishedRows,
			Keep: func(r *history.Row) bool {
				if shown.replaces(r.Batch, r.End) {
					return false
				}
				parsed, err := parseRow(r.Data)
				if err != nil {
					damaged++
					return false
				}
				return q.filter.keep(parsed)
			},
		})
		return err
	})
	if damaged > 0 {
		s.log.Warn("rows of the history can't be read", "namespace", ns, "rows", damaged)
	}
	return page, err
}

// readFinished calls read with the rows of the history, unless there is none.
func (s *Service) readFinished(ctx context.Context, read func(context.Context, *history.Rows) error) error {
	if s.finished == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, finishedWithin)
	defer cancel()
	begun := time.Now()
	select {
	case s.finishedReads <- struct{}{}:
		defer func() { <-s.finishedReads }()
	case <-ctx.Done():
		return fmt.Errorf("api: finished batches: %w", ctx.Err())
	}
	old, err := s.finished(ctx)
	if err == nil {
		err = read(ctx, old)
	}
	if err != nil {
		return fmt.Errorf("api: finished batches: %w", waited("NATS", begun, err))
	}
	return nil
}

type finishedAnswer struct {
	Batches    []json.RawMessage `json:"batches"`
	Next       *string           `json:"next_cursor"`
	Searched   searched          `json:"searched"`
	Incomplete bool              `json:"incomplete"`
	Reasons    []gap             `json:"incomplete_reasons"`
}

// answer merges what Redis and the history have.
func (q *finishedQuery) answer(shown *finishedRows, page history.Page, gaps []gap) finishedAnswer {
	out := finishedAnswer{
		Batches: []json.RawMessage{}, Searched: searched{q.from, q.to, len(shown.seen) + page.Examined}, Incomplete: len(gaps) > 0, Reasons: gaps,
	}
	if !q.after.End.IsZero() {
		out.Searched.To = edge(q.after)
	}
	recent, old := shown.rows, page.Rows
	if page.More { // the others belong to what the history has next
		n, _ := slices.BinarySearchFunc(recent, page.Next, func(r *row, next history.Place) int {
			if comes(r.ended(), r.batch, next) {
				return 1
			}
			return -1
		})
		recent = recent[:n]
	}
	var last history.Place
	for len(out.Batches) < q.limit && len(recent)+len(old) > 0 {
		if len(old) == 0 || len(recent) > 0 && comes(old[0].End, old[0].Batch, history.Place{End: recent[0].ended(), Batch: recent[0].batch}) {
			last = history.Place{End: recent[0].ended(), Batch: recent[0].batch}
			out.Batches, recent = append(out.Batches, recent[0].json), recent[1:]
			continue
		}
		last = history.Place{End: old[0].End, Batch: old[0].Batch}
		out.Batches, old = append(out.Batches, old[0].Data), old[1:]
	}
	switch {
	case len(recent)+len(old) > 0:
	case page.More:
		last = page.Next
	default:
		return out
	}
	next := q.cursor(last)
	out.Next, out.Searched.From = &next, edge(last)
	return out
}

// dayCount is how many batches ended on a day.
type dayCount struct {
	Day      string `json:"day"`
	Finished int    `json:"finished"`
}

// getFinishedDays counts the finished batches of each day.
func (s *Service) getFinishedDays(c echo.Context, p *access.Principal) error {
	ns, err := s.namespace(c, p)
	if err != nil {
		return err
	}
	if err := onlyParameters(c, finishedDayParameters); err != nil {
		return err
	}
	from, to, err := s.period(c)
	if err != nil {
		return err
	}
	first, last := from.Truncate(aDay), to.Add(-time.Microsecond).Truncate(aDay)
	counted := map[time.Time]int{}
	err = s.readFinished(c.Request().Context(), func(ctx context.Context, old *history.Rows) (err error) {
		counted, err = old.Counts(ctx, ns, first, last)
		return err
	})
	if err != nil {
		return unavailable(err)
	}
	out := struct {
		Days []dayCount `json:"days"`
	}{[]dayCount{}}
	for day := first; !day.After(last); day = day.Add(aDay) {
		out.Days = append(out.Days, dayCount{day.Format(time.DateOnly), counted[day]})
	}
	s.limiter.also(p, ns, len(out.Days)/daysCharged)
	body, err := json.Marshal(out)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "private, no-cache")
	return s.write(c, "application/json", body)
}
