package api

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/services/api/access"
)

// enterStream counts a stream, until leave is called.
func (s *Service) enterStream(p *access.Principal, ns string) (leave func(), err error) {
	limit := s.limiter.namespaces.quotas.of(ns)[openStreams]
	entered, full := s.streams.enter(ns, limit)
	switch {
	case full:
		return nil, tooManyStreams(openStreams, whose{scope: ofServer, kind: "server"}, s.streams.total)
	case !entered:
		return nil, tooManyStreams(openStreams, ofThe(ns), limit)
	case p.ID == "":
		return func() { s.streams.leave(ns) }, nil
	}
	key, most := who(p).key(), s.limiter.principals.quotas.standard[openStreams]
	if p.Public() != nil && limit > 1 && (most == 0 || most > limit/2) {
		most = limit / 2 // half of the places are left for the team itself
	}
	if entered, _ := s.streamers.enter(key, most); !entered {
		s.streams.leave(ns)
		return nil, tooManyStreams(openStreams, who(p), most)
	}
	return func() { s.streamers.leave(key); s.streams.leave(ns) }, nil
}

// enterWaiting counts a stream of a batch that nobody has heard of, until leave is called. caller is the key, or what else is known of
// who asks.
func (s *Service) enterWaiting(caller whose, ns string) (leave func(), err error) {
	limit := s.limiter.namespaces.quotas.of(ns)[waitingStreams]
	if entered, _ := s.waiters.enter(ns, limit); !entered {
		return nil, tooManyStreams(waitingStreams, ofThe(ns), limit)
	}
	limit = s.limiter.principals.quotas.standard[waitingStreams]
	key := caller.key()
	if entered, _ := s.callers.enter(key, limit); !entered {
		s.waiters.leave(ns)
		return nil, tooManyStreams(waitingStreams, caller, limit)
	}
	return func() { s.callers.leave(key); s.waiters.leave(ns) }, nil
}

func tooManyStreams(l limitID, of whose, value int64) *problemError {
	what := "streams open"
	if l == waitingStreams {
		what = "streams open for batches that nobody has heard of"
	}
	return over("too_many_"+l.String(), l, of, value,
		of.String()+" may have "+strconv.FormatInt(value, 10)+" "+what+". Close some, or try again after Retry-After.").retry(5 * time.Second)
}

// roomWithin is how long a POST waits for the list of its namespace.
const roomWithin = time.Second

// room refuses events if they would begin more batches than their namespace may have. Batches are counted as its list shows them, some
// milliseconds after their first event. Without Redis nobody knows their number, so all are let in: events don't depend on Redis.
func (s *Service) room(ctx context.Context, ns string, messages []message) error {
	q := s.limiter.namespaces.quotas.of(ns)
	if q[keptBatches] == 0 && q[activeBatches] == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, roomWithin)
	defer cancel()
	x, _, done, err := s.list(ctx, ns, false)
	if err != nil {
		s.log.Debug("counting batches failed", "error", err)
		return nil
	}
	defer done()
	begin := x.without(messages)
	counted := x.counted()
	used := counted.used()
	for _, l := range []limitID{keptBatches, activeBatches} {
		if most := q[l]; begin > 0 && most > 0 && used[l]+begin > most {
			return tooManyBatches(l, ns, most, used[l])
		}
	}
	return nil
}

func tooManyBatches(l limitID, ns string, most, used int64) *problemError {
	what, until := "batches", "Wait until retention has removed some"
	if l == activeBatches {
		what, until = "batches that aren't over", "Wait until some are over"
	}
	return over("too_many_batches", l, ofThe(ns), most,
		ofThe(ns).String()+" may have "+strconv.FormatInt(most, 10)+" "+what+", and has "+strconv.FormatInt(used, 10)+
			". Nothing was stored. "+until+", and send the same request again; events of batches that are there already are accepted.").
		detail("used", used).retry(30 * time.Second)
}

// without is how many batches of events have no row.
func (x *index) without(messages []message) (n int64) {
	seen := make(map[string]struct{}, 1)
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, m := range messages {
		batch := batchOf(m.subject)
		if _, again := seen[batch]; !again && x.rows[batch] == nil {
			n++
		}
		seen[batch] = struct{}{}
	}
	return n
}

// used is what the limits of batches count.
func (c *counts) used() map[limitID]int64 {
	ended := 0
	for i, status := range statuses {
		if diagnostics.Over(status) {
			ended += c.status[i]
		}
	}
	return map[limitID]int64{keptBatches: int64(c.total), activeBatches: int64(c.total - ended)}
}

// batchOf is the batch of an event's subject, headway.events.<namespace>.<batch>.<rest>.
func batchOf(subject string) string { return strings.SplitN(subject, ".", 5)[3] }
