package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/pkg/buildinfo"
	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
	"github.com/headwayhq/headway/services/internal/folding"
)

const (
	pastAtOnce = 4                // past moments that are read at once
	pastWithin = 20 * time.Second // the limit of one, which may read many events
	// settled is the age from which on a moment's events are all in the log, whatever its servers' clocks and the way of an event
	// between them.
	settled = time.Minute
)

// History reads what log and history have of single batches. Errors: those of eventlog.Log.
type History interface {
	Info(ctx context.Context) (eventlog.Info, error)
	LastOfBatch(ctx context.Context, namespace, batch string) (m eventlog.Message, found bool, err error)
	LastAnnounced(ctx context.Context, namespace, batch string) (m eventlog.Message, found bool, err error)
	ReadBatch(ctx context.Context, o eventlog.BatchOptions, sink func(eventlog.Message) error) error
	ReadAnnounced(ctx context.Context, namespace, batch string, upTo uint64, sink func(eventlog.Message) error) error

	HistoryInfo(ctx context.Context) (eventlog.HistoryInfo, error)
	ReadFloor(ctx context.Context, generation string) (eventlog.Floor, error)
	Checkpoint(ctx context.Context, generation, namespace, batch string) (*eventlog.Checkpoint, error)
	Periods(ctx context.Context, generation, namespace, batch string) ([]time.Time, error)
	Base(ctx context.Context, generation, namespace, batch string, period time.Time) (*eventlog.Base, error)
}

// past answers about past moments: it folds what the log stored of a batch up to then.
type past struct {
	log   History
	most  int // messages
	reads chan struct{}
}

// orPast serves a request by past if it names a moment with ?at=.
func orPast(present handler, past func(c echo.Context, p *access.Principal, at time.Time) error) handler {
	return func(c echo.Context, p *access.Principal) error {
		if !strings.Contains(c.Request().URL.RawQuery, "at") || !c.QueryParams().Has("at") {
			return present(c, p)
		}
		given := c.QueryParams()["at"]
		if len(given) > 1 {
			return badRequest("at", "is given more than once")
		}
		at, err := pastMoment(given[0])
		if err != nil {
			return err
		}
		return past(c, p, at)
	}
}

var pastLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00"}

// pastMoment reads ?at=: a time of RFC 3339, also without seconds, with a space instead of the T, or with a + that wasn't encoded.
func pastMoment(text string) (time.Time, error) {
	s := strings.ToUpper(strings.TrimSpace(text))
	if i := strings.LastIndexByte(s, ' '); i > len("2006-01-02") { // a + in a query is a space
		s = s[:i] + "+" + s[i+1:]
	}
	s = strings.Replace(s, " ", "T", 1)
	for _, layout := range pastLayouts {
		if at, err := time.Parse(layout, s); err == nil && at.Year() >= 1970 && at.Year() <= 2261 { // the range of nanoseconds in 64 bits
			return at.UTC(), nil
		}
	}
	return time.Time{}, badRequest("at", "must be a time with its zone, such as 2026-03-01T12:00Z or 2026-03-01T13:00:00+01:00")
}

func noPastStream(echo.Context, *access.Principal, time.Time) error {
	return badRequest("at", "a past moment doesn't change, so there is no stream of it; leave out the one or the other")
}

// getPast answers with a snapshot as of a past moment.
func (s *Service) getPast(c echo.Context, p *access.Principal, at time.Time) error {
	if wantsStream(c.Request()) {
		return noPastStream(c, p, at)
	}
	return s.answerPast(c, p, at, s.snapshotFields, true, func(m *momentary, v variant) []byte {
		snapshot := m.derived.Render(at, m.policy, m.meta(v.page))
		if v.public {
			snapshot = snapshot.Public()
		}
		return snapshot.AppendJSON(nil)
	})
}

// explainPast answers with an explanation as of a past moment.
func (s *Service) explainPast(c echo.Context, p *access.Principal, at time.Time) error {
	return s.answerPast(c, p, at, s.explanationFields, false, func(m *momentary, v variant) []byte {
		e := m.derived.Explain(at, m.policy, m.meta(v.page))
		return e.AppendJSON(nil)
	})
}

func (s *Service) answerPast(c echo.Context, p *access.Principal, at time.Time, fields []string, paged bool, render func(*momentary, variant) []byte) error {
	k, err := s.batchKey(c, p)
	if err != nil {
		return err
	}
	v, err := parseVariant(c, fields, paged)
	if err != nil {
		return err
	}
	v.public = p.Public() != nil
	ctx, cancel := context.WithTimeout(c.Request().Context(), pastWithin)
	defer cancel()
	now, err := s.newest(ctx, k)
	if err != nil {
		return err
	}
	tag := s.pastTag(now, at, fmt.Sprint(c.Path(), v.key(), v.public))
	final := time.Since(at) > settled
	if final && matches(c.Request(), tag) {
		return notModified(c, tag)
	}
	m, read, err := s.momentOf(ctx, now, at)
	s.limiter.also(p, k.Namespace, read/readCharged)
	if err != nil {
		return s.notToPublic(p, err)
	}
	body, err := pick(render(m, v), v.fields)
	if err != nil {
		return err
	}
	if !final {
		tag = strings.TrimSuffix(tag, `"`) + "." + hashOf(body) + `"`
	}
	return s.answer(c, &rendered{body: body, head: [2]string{tag, strconv.Itoa(len(body))}})
}

// newest is the present view of a batch, read together with how far the log is folded.
func (s *Service) newest(ctx context.Context, k push.Key) (*content, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	r, err := s.source.Read(ctx, k)
	if err != nil {
		return nil, unavailable(err)
	}
	if r.Frame == nil {
		return nil, r.Absent
	}
	return viewOf(r.Frame)
}

// pastTag is the entity tag of the answer about a past moment. It follows from what the answer depends on: the stream, the rules of the
// fold and of this build, and the thresholds. So who has the answer is told so without reading the log again.
func (s *Service) pastTag(c *content, at time.Time, of string) string {
	build := buildinfo.Read()
	rules := hashOf(fmt.Appendf(nil, "%q", []string{c.source.policies.Hash(), build.Version, build.Commit, strings.Join(c.source.linkHosts, ","), of}))
	return `W/"at-` + c.own.identity + "-" + strconv.Itoa(diagnostics.FoldVersion) + "-" + strconv.FormatInt(at.UnixNano(), 36) + "." + rules + `"`
}

// momentary is a batch as it was at a moment.
type momentary struct {
	derived   diagnostics.Derived
	policy    diagnostics.Policy
	id        string
	linkHosts []string
	past      *diagnostics.Past
}

func (m *momentary) meta(page *diagnostics.Page) diagnostics.Meta {
	return diagnostics.Meta{RevisionID: m.id, Page: page, LinkHosts: m.linkHosts, Past: m.past}
}

// momentOf is the batch as it was at a moment: its present view if no event came since, else what its events up to then give. read is
// how many of them were read.
func (s *Service) momentOf(ctx context.Context, now *content, at time.Time) (m *momentary, read int, err error) {
	select {
	case s.past.reads <- struct{}{}:
		defer func() { <-s.past.reads }()
	case <-ctx.Done():
		return nil, 0, unavailable(ctx.Err())
	}
	begun := time.Now()
	derived := now.derive()
	r := &pastReader{past: &s.past, now: now, present: derived.View(), at: at}
	view, err := r.view(ctx)
	var answered *problemError
	switch {
	case errors.As(err, &answered):
		return nil, r.read, err
	case err != nil:
		return nil, r.read, unavailable(waited("NATS", begun, err))
	}
	m = &momentary{derived: *derived, id: now.id, policy: now.policy(), linkHosts: now.source.linkHosts}
	if view != r.present {
		m.derived, m.id = diagnostics.Derive(view), revisionID(now.own.identity, diagnostics.FoldVersion, view.Revision)
	}
	if h := r.announced; h.PolicyHash != "" && h.PolicyHash != m.policy.Hash() {
		m.past = &diagnostics.Past{PolicyChanged: true, AnnouncedAt: time.Unix(0, h.AsOf).UTC()}
	}
	return m, r.read, nil
}

// pastReader finds the view of a batch as of a moment.
type pastReader struct {
	past *past
	now  *content
	at   time.Time

	present *diagnostics.View // of now

	decoder   diagnostics.Decoder
	read      int                     // messages
	announced diagnostics.HealthFacts // the last announcement that is folded
	first     time.Time               // when the first message was stored, or zero
	all       bool                    // the log certainly has all messages of the batch
}

// errEnough ends reading.
var errEnough = errors.New("enough is read")

func (r *pastReader) view(ctx context.Context) (*diagnostics.View, error) {
	ns, batch := r.present.Namespace, r.present.Batch
	info, err := r.past.log.Info(ctx)
	if err != nil {
		return nil, err
	}
	if r.at.After(info.Now) {
		return nil, badRequest("at", "is in the future: by the log's clock it is "+stamped(info.Now)).detail("now", stamped(info.Now))
	}
	if info.Identity != r.now.own.identity {
		return nil, notReady() // the stream was made again a moment ago
	}
	last, found, err := r.past.log.LastOfBatch(ctx, ns, batch)
	if err != nil {
		return nil, err
	}
	since := info.GoneBefore // from when on the present view is the answer
	if found {
		since = last.Stored
	}
	caughtUp := r.now.own.cursor >= last.Seq
	if caughtUp && !since.After(r.at) {
		return r.present, r.lastAnnounced(ctx)
	}
	if !info.GoneBefore.IsZero() && !r.now.own.complete { // what the present view says isn't certain
		return nil, notReady()
	}
	if r.whole(info) {
		view, err := r.fold(ctx, info, last, since)
		if err != nil {
			return nil, err
		}
		return view, r.stillThere(ctx, info, r.whole)
	}
	history, err := r.past.log.HistoryInfo(ctx)
	if err != nil {
		return nil, err
	}
	head, all, err := r.head(ctx, history.Generation, info)
	if err != nil {
		return nil, err
	}
	if all {
		r.all = true
		view, err := r.fold(ctx, info, last, since)
		if err != nil {
			return nil, err
		}
		return view, r.stillThere(ctx, info, func(now eventlog.Info) bool { return head != nil && head.First >= now.First })
	}
	b, from, err := r.base(ctx, history.Generation, head, info)
	switch {
	case err != nil:
		return nil, err
	case b != nil:
		return r.foldOnto(ctx, info, last, b)
	case !since.After(r.at):
		return nil, stale(info.Now.Sub(r.now.own.watermark))
	case from.IsZero() || from.After(since):
		from = since
	}
	return nil, r.gone(from, info)
}

// stillThere makes sure that nothing that had to be read was removed from the log while it was read, which a reader doesn't notice.
func (r *pastReader) stillThere(ctx context.Context, before eventlog.Info, enough func(eventlog.Info) bool) error {
	info, err := r.past.log.Info(ctx)
	switch {
	case err != nil:
		return err
	case info.Identity != before.Identity || info.First != before.First && !enough(info):
		return notReady()
	}
	return nil
}

// fold folds the messages up to the moment.
func (r *pastReader) fold(ctx context.Context, info eventlog.Info, last eventlog.Message, since time.Time) (*diagnostics.View, error) {
	ns, batch := r.present.Namespace, r.present.Batch
	view, rest := diagnostics.NewView(ns, batch), diagnostics.NewView(ns, batch)
	refused, _ := diagnostics.Refusals(r.present)
	toEnd := refused > 0 && !info.GoneBefore.IsZero() && !r.all // rejected messages may be gone too: are there all?
	some := false
	err := r.past.log.ReadBatch(ctx, eventlog.BatchOptions{
		Partition: last.Partition, Namespace: ns, Batch: batch, From: info.First, To: last.Seq, Identity: info.Identity,
	}, func(m eventlog.Message) error {
		if r.read++; r.read > r.past.most {
			return r.tooMany()
		}
		into := view
		if m.Stored.After(r.at) {
			if into = rest; !toEnd && !r.first.IsZero() {
				return errEnough
			}
		}
		did, err := r.take(into, &m)
		if err != nil {
			return err
		}
		if did && r.first.IsZero() {
			r.first = m.Stored
		}
		some = some || did && into == view
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	if toEnd {
		diagnostics.Join(rest, view)
		if n, more := diagnostics.Refusals(rest); n < refused || more {
			return nil, r.gone(since, info)
		}
	}
	switch {
	case some:
		return view, nil
	case r.first.IsZero():
		return nil, notReady() // the present view has events that the log doesn't show yet
	}
	return nil, r.before(r.first)
}

// take folds one message; did reports whether it is part of the view.
func (r *pastReader) take(v *diagnostics.View, m *eventlog.Message) (did bool, err error) {
	event, rejection := folding.Decode(&r.decoder, m)
	if rejection != nil {
		refusal, whose := folding.Refused(m, rejection)
		if whose {
			folding.Refusal(v, refusal, m.Seq)
		}
		return whose, nil
	}
	if event.Type == diagnostics.TypeHealth && !m.Stored.After(r.at) {
		r.announced = diagnostics.HealthFacts{AsOf: event.HealthFacts.AsOf, PolicyHash: strings.Clone(event.HealthFacts.PolicyHash)}
	}
	if _, _, err = folding.Into(diagnostics.Fold, v, event, m.Seq); err != nil {
		return false, problem(http.StatusInternalServerError, "internal_error", "An internal error occurred.").because(err)
	}
	return true, nil
}

// lastAnnounced reads the batch's last announcement.
func (r *pastReader) lastAnnounced(ctx context.Context) error {
	m, found, err := r.past.log.LastAnnounced(ctx, r.present.Namespace, r.present.Batch)
	if err != nil {
		return err
	}
	if !found {
		return r.announcedUpTo(ctx, r.present.HealthSeq)
	}
	if e, no := folding.Decode(&r.decoder, &m); no == nil {
		r.announced = e.HealthFacts
	}
	return nil
}

// whole reports whether the log still has all events of the batch.
func (r *pastReader) whole(info eventlog.Info) bool {
	if info.GoneBefore.IsZero() {
		return true
	}
	if r.present.Incomplete {
		return false
	}
	if _, more := diagnostics.Refusals(r.present); more {
		return false
	}
	since, ok := diagnostics.StoredSince(r.present)
	return ok && since.After(info.GoneBefore.Add(settled)) // the servers of the log may have different clocks
}

// gone says that events of the batch are gone, from when on it can be asked for, and what is known of the time until the moment.
func (r *pastReader) gone(since time.Time, info eventlog.Info) *problemError {
	timeline := []diagnostics.TimelineEntry{}
	f := r.now.fence()
	for _, e := range r.now.derive().Render(f.asOf, r.now.policy(), r.now.meta(f, time.Now(), nil)).Timeline {
		if !e.At.After(r.at) {
			timeline = append(timeline, e)
		}
	}
	return r.tooLate(since, info.GoneBefore, timeline)
}

func (r *pastReader) tooLate(since, goneBefore time.Time, timeline []diagnostics.TimelineEntry) *problemError {
	return problem(http.StatusGone, "moment_gone", "Events before "+stamped(goneBefore)+" are gone from the log, and this batch may have had some, so how it was at "+
		stamped(r.at)+" can't be told any more. It can be told from "+stamped(since)+" on. The changes of state until then are in timeline.").
		detail("answerable_from", stamped(since)).detail("gone_before", stamped(goneBefore)).detail("timeline", timeline)
}

func (r *pastReader) before(first time.Time) *problemError {
	return problem(http.StatusNotFound, "before_first_event",
		"Nothing was known of this batch at "+stamped(r.at)+": its first event was stored at "+stamped(first)+".").detail("first_event", stamped(first))
}

func (r *pastReader) tooMany() *problemError {
	return problem(http.StatusUnprocessableEntity, "too_many_events", "This batch had more than "+strconv.Itoa(r.past.most)+" events up to "+stamped(r.at)+", too many to read for one answer. Ask for an earlier moment.").
		detail("limit", r.past.most)
}

// notToPublic removes from a problem what isn't for everybody.
func (s *Service) notToPublic(p *access.Principal, err error) error {
	var answered *problemError
	if p.Public() != nil && errors.As(err, &answered) {
		delete(answered.p.Error.Details, "timeline")
	}
	return err
}

func stamped(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }
