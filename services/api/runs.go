package api

import (
	"context"
	"encoding/json"
	neturl "net/url"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/history"
	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
)

// Limits of the runs of a pipeline. Each run is a batch whose view is read and judged.
const (
	defaultRuns  = 30
	maxRuns      = 100
	runTiers     = 100              // tiers of each run
	runsAtOnce   = 4                // requests that read views at the same time
	runsParallel = 8                // views that are read for one request at the same time
	runsWithin   = 20 * time.Second // limits one request
)

// runsAnswer has runs of a pipeline.
type runsAnswer struct {
	Pipeline   string            `json:"pipeline"`
	Runs       []diagnostics.Run `json:"runs"`
	Active     int               `json:"active"`
	Next       *string           `json:"next_cursor"`
	Searched   searched          `json:"searched"`
	Incomplete bool              `json:"incomplete"`
	Reasons    []gap             `json:"incomplete_reasons"`
}

// getRuns answers with the runs of a pipeline: the newest that go on, then those that have ended, the latest end first.
func (s *Service) getRuns(c echo.Context, p *access.Principal) error {
	ns, err := s.namespace(c, p)
	if err != nil {
		return err
	}
	if err := onlyParameters(c, runParameters); err != nil {
		return err
	}
	q, err := s.parseRuns(c, ns)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), runsWithin)
	defer cancel()
	select {
	case s.runsReads <- struct{}{}:
		defer func() { <-s.runsReads }()
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
	found, active, err := s.findRuns(ctx, p, ns, q)
	if err != nil {
		return err
	}
	out := runsAnswer{Pipeline: q.filter.pipeline[0], Active: active, Next: found.Next, Searched: found.Searched}
	s.limiter.also(p, ns, len(found.Batches)) // each is read as if it had been asked for by itself
	if out.Runs, out.Reasons, err = s.readRuns(ctx, ns, found); err != nil {
		return err
	}
	out.Incomplete = len(out.Reasons) > 0
	body, err := json.Marshal(out)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "private, no-cache")
	return s.write(c, "application/json", body)
}

// parseRuns reads which runs are asked for, as a search for finished batches of a pipeline.
func (s *Service) parseRuns(c echo.Context, ns string) (*finishedQuery, error) {
	name := c.Param("pipeline")
	if c.Request().URL.RawPath != "" { // then the router has matched the encoded path
		var err error
		if name, err = neturl.PathUnescape(name); err != nil {
			return nil, badRequest("pipeline", "isn't percent-encoded")
		}
	}
	q := &finishedQuery{filter: &filter{pipeline: []string{name}}, limit: defaultRuns}
	if text := c.QueryParam("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxRuns {
			return nil, badRequest("limit", "must be 1 to "+strconv.Itoa(maxRuns))
		}
		q.limit = n
	}
	q.to = time.Now().UTC().Truncate(aDay).Add(aDay)
	q.from = q.to.Add(-time.Duration(s.limits.FinishedDays) * aDay)
	q.key = q.filter.key(ns, "runs")
	if text := c.QueryParam("cursor"); text != "" {
		if err := q.resume(text); err != nil {
			return nil, badRequest("cursor", "doesn't belong to the runs of this pipeline and namespace")
		}
	}
	return q, nil
}

// findRuns finds the rows of the runs, and how many runs go on in all.
func (s *Service) findRuns(ctx context.Context, p *access.Principal, ns string, q *finishedQuery) (found finishedAnswer, active int, err error) {
	x, gaps, done, err := s.list(ctx, ns, false)
	if err != nil {
		return found, 0, unavailable(err)
	}
	defer done()
	going, looked := x.going(q.filter)
	if active = len(going); !q.after.End.IsZero() { // a later page
		going = nil
	}
	going = going[:min(len(going), q.limit)]
	if q.limit -= len(going); q.limit == 0 { // those that have ended are on the next page
		next := q.cursor(history.Place{End: q.to.Add(-time.Microsecond)})
		found = finishedAnswer{Next: &next, Searched: searched{From: q.to, To: q.to}, Reasons: gaps}
	} else {
		ended := x.finished(q)
		page, err := s.finishedPage(ctx, ns, q, ended)
		if err != nil {
			return found, 0, unavailable(err)
		}
		looked += page.Examined
		found = q.answer(ended, page, gaps)
	}
	s.limiter.also(p, ns, looked/rowsCharged)
	rows := make([]json.RawMessage, 0, len(going)+len(found.Batches))
	for _, r := range going {
		rows = append(rows, r.json)
	}
	found.Batches = append(rows, found.Batches...)
	return found, active, nil
}

// going are the rows of a filter that haven't ended, the newest first.
func (x *index) going(f *filter) (out []*row, looked int) {
	x.shown.Load().newest.Scan(func(r *row) bool {
		if looked++; r.over == 0 && f.keep(r) {
			out = append(out, r)
		}
		return true
	})
	return out, looked
}

// readRuns reads the batches of rows. One that was removed meanwhile is left out; so is one that can't be read while views are being
// rebuilt, which the reasons say.
func (s *Service) readRuns(ctx context.Context, ns string, of finishedAnswer) ([]diagnostics.Run, []gap, error) {
	found := make([]*diagnostics.Run, len(of.Batches))
	unsure := make([]error, len(of.Batches))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runsParallel)
	for i, raw := range of.Batches {
		r, err := parseRow(raw)
		if err != nil {
			return nil, nil, err
		}
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return unavailable(err)
			}
			read, err := s.source.Read(ctx, push.Key{Namespace: ns, Name: r.batch})
			switch {
			case err != nil:
				return unavailable(err)
			case read.Frame != nil:
				view := read.Frame.Content.(*shown).content
				run := view.derive().Run(view.fence().asOf, view.policy(), runTiers)
				found[i] = &run
			case !certain(read.Absent):
				unsure[i] = read.Absent
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	runs, gaps := make([]diagnostics.Run, 0, len(found)), of.Reasons
	for i, run := range found {
		switch {
		case run != nil:
			runs = append(runs, *run)
		case unsure[i] != nil && len(gaps) == 0:
			return nil, nil, unsure[i] // it became unreadable only now
		}
	}
	return slices.Clip(runs), gaps, nil
}
