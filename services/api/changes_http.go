package api

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/services/api/access"
)

const (
	changesAtOnce = 16     // reads of stored changes of health
	readAtMost    = 10_000 // messages that one page looks at
	catchUpPage   = 200    // changes that a stream reads at once
)

// Parameters of changes of health; others are refused.
var (
	changesParameters       = []string{"namespace", "health", "code", "from", "to", "limit", "cursor"}
	changesStreamParameters = []string{"namespace", "health", "code", "from", "lastEventId"}
)

// String is the id of a server-sent event, and a cursor.
func (p position) String() string { return p.identity + "-" + strconv.FormatUint(p.seq, 10) }

func parsePosition(text string) (p position, ok bool) {
	i := strings.LastIndexByte(text, '-')
	if i <= 0 || len(text) > 128 {
		return p, false
	}
	seq, err := strconv.ParseUint(text[i+1:], 10, 64)
	return position{identity: text[:i], seq: seq}, err == nil
}

// changesQuery selects changes of health.
type changesQuery struct {
	ns           string
	health, code []string
	from, to     time.Time // when they were stored; to is exclusive
}

func (q *changesQuery) keep(c *change) bool {
	return (len(q.health) == 0 || slices.Contains(q.health, c.to)) && (len(q.code) == 0 || slices.Contains(q.code, c.code))
}

func (s *Service) parseChanges(c echo.Context, p *access.Principal, known []string) (q changesQuery, err error) {
	if q.ns, err = s.namespace(c, p); err != nil {
		return q, err
	}
	if err = onlyParameters(c, known); err != nil {
		return q, err
	}
	if q.health, err = healthWords(c); err != nil {
		return q, err
	}
	q.code = words(c, "code")
	for name, values := range map[string][]string{"health": q.health, "code": q.code} {
		if len(values) > maxFilters {
			return q, badRequest(name, "must be at most "+strconv.Itoa(maxFilters)+" values")
		}
	}
	for name, to := range map[string]*time.Time{"from": &q.from, "to": &q.to} {
		if text := c.QueryParam(name); text != "" {
			if *to, err = moment(text, name); err != nil {
				return q, err
			}
		}
	}
	return q, nil
}

// getChanges answers with a page of changes of health, or streams them.
func (s *Service) getChanges(c echo.Context, p *access.Principal) error {
	if wantsStream(c.Request()) {
		return s.streamChanges(c, p)
	}
	q, err := s.parseChanges(c, p, changesParameters)
	if err != nil {
		return err
	}
	limit, err := pageLimit(c)
	if err != nil {
		return err
	}
	var from *position
	if text := c.QueryParam("cursor"); text != "" {
		at, ok := parsePosition(text)
		if !ok {
			return badRequest("cursor", "isn't one of this list")
		}
		from = &at
	}
	page, err := s.pageOfChanges(c.Request().Context(), q, from, limit)
	s.limiter.also(p, q.ns, page.looked/readCharged)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Cache-Control", "private, no-cache")
	if page.more {
		next := c.Request().URL.Query()
		next.Set("cursor", page.end.String())
		next.Del("from")
		h.Set("Link", "<"+c.Request().URL.Path+"?"+next.Encode()+`>; rel="next"`)
	}
	if q.to.IsZero() {
		h.Set("Last-Event-ID", page.end.String())
	}
	events := make([][]byte, len(page.changes))
	for i, c := range page.changes {
		events[i] = c.data
	}
	return s.write(c, batchType, append(append([]byte{'['}, bytes.Join(events, []byte{','})...), ']'))
}

// changesPage are changes of health in order. end is where the next page begins.
type changesPage struct {
	changes []*change
	end     position
	more    bool
	looked  int // messages that were read
}

// pageOfChanges reads a page after from, else from a time on.
func (s *Service) pageOfChanges(ctx context.Context, q changesQuery, from *position, limit int) (changesPage, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	begun := time.Now()
	info, err := s.changes.log.HealthInfo(ctx)
	if err != nil {
		return changesPage{}, unavailable(waited("NATS", begun, err))
	}
	if from != nil {
		q.from = time.Time{}
		if why := broken(*from, info); why != "" {
			return changesPage{}, problem(http.StatusGone, "cursor_gone", "The log of changes no longer has what follows this cursor. Begin again with from.").detail("reason", why)
		}
	}
	page, err := s.readChanges(ctx, q, from, info, limit)
	if err != nil {
		return page, unavailable(waited("NATS", begun, err))
	}
	return page, nil
}

// reading waits until not too many read stored changes.
func (s *Service) reading(ctx context.Context) (done func(), err error) {
	select {
	case s.changesReads <- struct{}{}:
		return func() { <-s.changesReads }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// readChanges reads stored changes.
func (s *Service) readChanges(ctx context.Context, q changesQuery, from *position, info eventlog.Info, limit int) (page changesPage, err error) {
	done, err := s.reading(ctx)
	if err != nil {
		return page, err
	}
	defer done()
	o := eventlog.HealthOptions{Namespace: q.ns, From: 1, Since: q.from, Identity: info.Identity, AtOnce: limit + 1}
	if from != nil {
		o.From = from.seq + 1
	}
	if len(q.health)+len(q.code) > 0 {
		o.AtOnce = 0 // few of those that are read are wanted
	}
	page.end = position{identity: info.Identity, seq: o.From - 1}
	var d diagnostics.Decoder
	err = s.changes.log.ReadHealth(ctx, o, func(m eventlog.Message) bool {
		if !q.to.IsZero() && !m.Stored.Before(q.to) {
			return false
		}
		if page.more = len(page.changes) == limit || page.looked == readAtMost; page.more {
			return false
		}
		page.looked++
		page.end.seq = m.Seq
		if c := newChange(&d, m); c != nil && q.keep(c) {
			page.changes = append(page.changes, c)
		}
		return true
	})
	if !page.more {
		page.end.seq = max(page.end.seq, info.Last)
	}
	return page, err
}
