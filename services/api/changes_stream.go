package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
)

// Why a stream doesn't begin right after the id that its client names.
const (
	gapNone      = "now" // it names none
	gapUnknown   = "unknown_id"
	gapRecreated = "recreated"
	gapExpired   = "expired"
)

var gapTexts = map[string]string{
	gapNone:      "Changes of health follow from here on.",
	gapUnknown:   "The id isn't one of this stream. Changes of health follow from here on.",
	gapRecreated: "The log of changes was created anew, or restored to an earlier state. All changes that it has follow. Some may be repeated, with the same id and source.",
	gapExpired:   "Changes before here may be missing, because retention has removed some from the log.",
}

// broken compares a position with the log; "" if the log has everything after it.
func broken(p position, log eventlog.Info) string {
	switch {
	case p.identity != log.Identity, p.seq > log.Last:
		return gapRecreated
	case p.seq+1 < log.First:
		return gapExpired
	}
	return ""
}

func (s *Service) streamChanges(c echo.Context, p *access.Principal) error {
	q, err := s.parseChanges(c, p, changesStreamParameters)
	if err != nil {
		return err
	}
	leave, err := s.enterStream(p, q.ns)
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
	last := lastEventID(c.Request())
	s.stream(c, p, leave, func(ctx context.Context, out *push.Writer) error { return s.serveChanges(ctx, out, last, q) }, nil)
	return nil
}

// serveChanges waits until it is known where to begin, catches up with what was stored before, and then sends what comes.
func (s *Service) serveChanges(ctx context.Context, out *push.Writer, last string, q changesQuery) error {
	defer s.changes.join(q.ns)()
	var at position
	for {
		p, why, err := s.beginning(ctx, last, q)
		if err == nil {
			at = p
			if why != "" {
				note, _ := json.Marshal(map[string]string{"reason": why, "message": gapTexts[why]}) //nolint:errchkjson // texts
				if err := out.Events(push.AppendEvent(nil, at.String(), "position", note)); err != nil {
					return err
				}
			}
			break
		}
		if more, err := s.pause(ctx, out); !more || err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		if _, _, _, known := s.changes.since(q.ns, at); known {
			return s.serveLive(ctx, out, q, at)
		}
		end, _ := s.changes.now()
		if end.reset != at.reset {
			return s.endBehind(out, at)
		}
		next, err := s.catchUp(ctx, out, q, at, end)
		if err != nil {
			return err
		}
		at = next
	}
	return nil
}

// beginning is where a stream begins, and why not right after what its client has seen; "" if it does.
func (s *Service) beginning(ctx context.Context, last string, q changesQuery) (at position, why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	select {
	case <-s.changes.began:
	case <-ctx.Done():
		return at, "", errNotRead
	case <-s.hub.Done():
		return at, "", errNotRead
	}
	end, floor := s.changes.now()
	at, ok := parsePosition(last)
	if !ok {
		if why = gapNone; last != "" {
			why = gapUnknown
		}
		if !q.from.IsZero() {
			end.seq, err = s.firstSince(ctx, q.from, end)
		}
		return end, why, err
	}
	at.reset = end.reset
	if at.identity == end.identity && floor <= at.seq && at.seq <= end.seq {
		return at, "", nil
	}
	info, err := s.changes.log.HealthInfo(ctx)
	if err != nil {
		return at, "", err
	}
	if info.Identity != end.identity {
		return at, "", errNotRead // the reader will notice
	}
	if why = broken(at, info); why != "" {
		at.identity, at.seq = info.Identity, info.First-1
	}
	return at, why, nil
}

var (
	errNotRead = errors.New("the log of health changes wasn't read yet")
	errOver    = errors.New("the client has left, its credential has ended, or the server stops")
)

// firstSince is the position before the first change stored at a time or later, whatever its namespace.
func (s *Service) firstSince(ctx context.Context, at time.Time, end position) (uint64, error) {
	done, err := s.reading(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	seq := end.seq
	err = s.changes.log.ReadHealth(ctx, eventlog.HealthOptions{Since: at, Identity: end.identity, AtOnce: 1}, func(m eventlog.Message) bool {
		seq = m.Seq - 1
		return false
	})
	return seq, err
}

// catchUp sends one page of what isn't in memory, at most up to end. If it can't be read, it returns the same position after a pause.
func (s *Service) catchUp(stream context.Context, out *push.Writer, q changesQuery, at, end position) (position, error) {
	ctx, cancel := context.WithTimeout(stream, storeWithin)
	q.from, q.to = time.Time{}, time.Time{}
	page, err := s.readChanges(ctx, q, &at, eventlog.Info{Identity: end.identity, Last: end.seq}, catchUpPage)
	cancel()
	if err != nil {
		more, err := s.pause(stream, out)
		if err == nil && !more {
			err = errOver
		}
		return at, err
	}
	var buf []byte
	for _, c := range page.changes {
		c.encode(end.identity)
		buf = append(buf, c.data...)
	}
	if len(buf) > 0 {
		if err := out.Events(buf); err != nil {
			return at, err
		}
	}
	page.end.reset = at.reset
	return page.end, nil
}

// serveLive sends what comes, until the client falls so far behind that changes have left memory.
func (s *Service) serveLive(ctx context.Context, out *push.Writer, q changesQuery, at position) error {
	beat := time.NewTimer(out.Heartbeat())
	defer beat.Stop()
	for {
		changes, next, changed, known := s.changes.since(q.ns, at)
		if !known {
			return s.endBehind(out, at)
		}
		at = next
		var buf []byte
		for _, c := range changes {
			if q.keep(c) {
				buf = append(buf, c.data...)
			}
		}
		if len(buf) > 0 {
			if err := out.Events(buf); err != nil {
				return err
			}
		}
		select {
		case <-changed:
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

// endBehind ends the stream of a client that the log has left behind, and says how to go on. Clients for server-sent events do so by
// themselves.
func (s *Service) endBehind(out *push.Writer, at position) error {
	return out.Explain("This stream is too far behind, and ends. Connect again with Last-Event-ID: " + at.String())
}
