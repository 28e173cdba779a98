package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// Limits of a page.
const (
	DefaultLimit   = 50
	DefaultExamine = 20_000
)

// Row is the list row of a finished batch.
type Row struct {
	Batch string
	End   time.Time
	Data  []byte // JSON, as in the view store

	checkpoint uint64
}

// Place is between two rows: after the row of Batch that ended at End. The zero value is before all.
type Place struct {
	End   time.Time
	Batch string
}

// Query selects finished batches of a namespace, the latest end first.
type Query struct {
	Namespace string
	From, To  time.Time // of the end: From inclusive, To exclusive
	After     Place
	Limit     int             // rows of a page; default DefaultLimit
	Examine   int             // see Page; default DefaultExamine
	Keep      func(*Row) bool // nil keeps all
}

// Page is a part of what a query selects. A search ends early once it has looked at Query.Examine rows: then More is true though Rows may
// be fewer than the limit, or none, and it goes on at Next. Spans of time are read as a whole, so at most as many rows are
// looked at beyond that, or those of one hour if it has more.
type Page struct {
	Rows     []Row
	Next     Place
	More     bool // there may be more from Next on
	Examined int
}

// Page reads a page. It may lag behind a Put by what a replica lags. Errors: a query that isn't valid, the server's, the context's.
func (r *Rows) Page(ctx context.Context, q Query) (Page, error) {
	q.Limit, q.Examine = cmp.Or(q.Limit, DefaultLimit), cmp.Or(q.Examine, DefaultExamine)
	if q.To.Sub(q.From) > maxRange {
		return Page{}, fmt.Errorf("history: page: from %s to %s is more than ten years", q.From.Format(time.DateOnly), q.To.Format(time.DateOnly))
	}
	w := walk{q: q, seen: map[string]bool{}, before: q.To.UTC()}
	if end := q.After.End; !end.IsZero() && end.Before(w.before) {
		w.before = end.UTC().Add(time.Microsecond)
	}
	// Making a consumer costs the server as much as reading some hundred rows. A page is soon full, most often within an hour. A search
	// looks at all rows, so it reads as many at once as it may.
	size, most := anHour, r.atOnce
	if q.Keep != nil {
		size, most = aDay, min(q.Examine, DefaultExamine)
	}
	var crowded, busy time.Time // the month and the day that have too many rows
	for few := 0; !w.ended && w.before.After(q.From); {
		latest := w.before.Add(-time.Nanosecond)
		switch {
		case few > 1 && !aMonth.since(latest).Equal(crowded) && !aMonth.since(latest).Before(q.From):
			size = aMonth
		case aDay.since(latest).Equal(busy):
			size = anHour
		}
		atMost := most
		if size == anHour {
			atMost = 0 // there is nothing smaller
		}
		n, err := r.read(ctx, rowPrefix+r.generation+".*."+q.Namespace+latest.Format(size.filter), atMost, w.see)
		switch {
		case err != nil:
			return w.Page, fmt.Errorf("history: page: %w", err)
		case atMost == 0 || n <= atMost:
			w.take(size.since(latest))
			if few++; n > most/31 || aDay.since(latest).Equal(busy) {
				few = 0
			}
		case size == aMonth:
			crowded = aMonth.since(latest)
		default:
			busy, few = aDay.since(latest), 0
		}
		size = aDay
	}
	return w.Page, nil
}

// maxRange bounds the time that a query may select.
const maxRange = 10 * 366 * 24 * time.Hour

// span is how much time is read at once: rows of a day; hour by hour where a day has too many, and
// month by month after two spans with few.
type span struct{ filter string }

var (
	aMonth = span{".200601.>"}
	aDay   = span{".200601.02.>"}
	anHour = span{".200601.02.15.*"}
)

// since is when the span with a moment begins.
func (s span) since(at time.Time) time.Time {
	switch s {
	case aMonth:
		return time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	case aDay:
		return at.Truncate(24 * time.Hour)
	}
	return at.Truncate(time.Hour)
}

// walk makes a page of spans, the latest first.
type walk struct {
	Page
	q      Query
	before time.Time       // what ended then or later was looked at
	seen   map[string]bool // a batch whose end was corrected has two rows for a moment
	rows   []Row           // of the present span, those that may be on the page
	ended  bool
}

// see looks at a row of the present span.
func (w *walk) see(row Row) {
	if !row.End.Before(w.before) || row.End.Before(w.q.From) || !w.q.After.before(&row) {
		return
	}
	w.Examined++
	if w.q.Keep != nil && !w.q.Keep(&row) {
		return
	}
	if w.rows = append(w.rows, row); len(w.rows) > 8*(w.q.Limit+fetchAtOnce) {
		w.sort()
	}
}

// sort puts the rows in order, and keeps no more of them than can be on the page: each at most twice.
func (w *walk) sort() {
	slices.SortFunc(w.rows, func(a, b Row) int {
		return cmp.Or(b.End.Compare(a.End), strings.Compare(a.Batch, b.Batch), cmp.Compare(b.checkpoint, a.checkpoint))
	})
	if most := 2 * (w.q.Limit + 1); len(w.rows) > most {
		clear(w.rows[most:])
		w.rows = w.rows[:most]
	}
}

// take adds the rows of the present span, which began at since, and goes on to the one before it.
func (w *walk) take(since time.Time) {
	w.sort()
	for _, row := range w.rows {
		if w.seen[row.Batch] {
			continue
		}
		if len(w.Rows) == w.q.Limit {
			last := &w.Rows[w.q.Limit-1]
			w.Next, w.More, w.ended = Place{last.End, last.Batch}, true, true
			return
		}
		w.seen[row.Batch] = true
		w.Rows = append(w.Rows, row)
	}
	w.rows, w.before = w.rows[:0], since
	if w.Examined >= w.q.Examine && since.After(w.q.From) {
		w.Next, w.More, w.ended = Place{End: since.Add(-time.Microsecond)}, true, true
	}
}

// before says whether a row comes after the place. A place without a batch is before all that ended at its moment.
func (p Place) before(row *Row) bool {
	return p.End.IsZero() || row.End.Before(p.End) || row.End.Equal(p.End) && row.Batch > p.Batch
}

// fetchAtOnce is how many rows one request brings.
const fetchAtOnce = 1000

// read passes the rows of a filter to see, in any order, and says how many there are. It reads none if there are more than atMost (0: any
// number).
func (r *Rows) read(ctx context.Context, filter string, atMost int, see func(Row)) (n int, err error) {
	c, err := r.consumer(ctx, filter, false)
	if err != nil {
		return 0, err
	}
	defer r.drop(ctx, c)
	n = int(c.CachedInfo().NumPending)
	if atMost > 0 && n > atMost {
		return n, nil
	}
	for got, more := 0, true; got < n && more; {
		batch, err := c.FetchNoWait(min(n-got, fetchAtOnce))
		if err != nil {
			return 0, err
		}
		more = false // if none comes, the others were replaced or removed meanwhile
		for m := range batch.Messages() {
			see(rowOf(m))
			got, more = got+1, true
		}
		if err := cmp.Or(batch.Error(), ctx.Err()); err != nil && !errors.Is(err, nats.ErrTimeout) {
			return 0, err
		}
	}
	return n, nil
}

func rowOf(m jetstream.Msg) Row {
	subject, header := m.Subject(), m.Headers()
	end, _ := strconv.ParseInt(header.Get(endHeader), 10, 64)
	return Row{
		Batch: subject[strings.LastIndexByte(subject, '.')+1:], End: time.UnixMicro(end).UTC(), Data: m.Data(), checkpoint: checkpointOf(header),
	}
}

// consumer makes one for one reading. Its number of pending messages is how many the filter has.
func (r *Rows) consumer(ctx context.Context, filter string, count bool) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, apiLimit)
	defer cancel()
	return r.js.CreateConsumer(ctx, r.stream, jetstream.ConsumerConfig{
		FilterSubject: filter, AckPolicy: jetstream.AckNonePolicy, HeadersOnly: count, MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute,
	})
}

// drop deletes a consumer in the background. If that fails, the server does so after a minute.
func (r *Rows) drop(ctx context.Context, c jetstream.Consumer) {
	name := c.CachedInfo().Name
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), apiLimit)
		defer cancel()
		_ = r.js.DeleteConsumer(ctx, r.stream, name)
	}()
}

// countAtOnce is how many days are counted at once.
const countAtOnce = 8

// Counts are the numbers of finished batches by day of their end, from the day of from to that of to. A batch whose end is being
// corrected counts twice for a moment.
func (r *Rows) Counts(ctx context.Context, namespace string, from, to time.Time) (map[time.Time]int, error) {
	from, to = from.UTC().Truncate(24*time.Hour), to.UTC().Truncate(24*time.Hour)
	var days []time.Time
	for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
		days = append(days, day)
	}
	numbers := make([]int, len(days))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(countAtOnce)
	for i, day := range days {
		group.Go(func() error {
			c, err := r.consumer(ctx, rowPrefix+r.generation+".*."+namespace+day.Format(aDay.filter), true)
			if err != nil {
				return fmt.Errorf("history: count %s: %w", day.Format(time.DateOnly), err)
			}
			r.drop(ctx, c)
			numbers[i] = int(c.CachedInfo().NumPending)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	out := map[time.Time]int{}
	for i, day := range days {
		out[day] = numbers[i]
	}
	return out, nil
}
