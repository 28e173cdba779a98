package api

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
)

func (s *Service) getDiagnostics(c echo.Context, p *access.Principal) error {
	if wantsStream(c.Request()) {
		return s.streamDiagnostics(c, p)
	}
	k, err := s.batchKey(c, p)
	if err != nil {
		return err
	}
	v, err := parseVariant(c, s.snapshotFields, true)
	if err != nil {
		return err
	}
	view, err := s.current(c, k)
	if err != nil || view == nil {
		return err
	}
	if v.public = p.Public() != nil; v.whole() {
		return s.whole(c, view)
	}
	r, err := view.renderVariant(time.Now(), v)
	if err != nil {
		return err
	}
	return s.answer(c, r)
}

// whole answers with the whole snapshot. For a client that has the same answer already nothing is rendered.
func (s *Service) whole(c echo.Context, view *content) error {
	now := time.Now()
	if len(c.Request().Header["If-None-Match"]) > 0 {
		if tag := view.etag(view.answerHash(now)); matches(c.Request(), tag) {
			return notModified(c, tag)
		}
	}
	return s.answer(c, view.render(now, false))
}

func matches(r *http.Request, etag string) bool {
	bare := etag[3 : len(etag)-1]
	return noneMatch(r, func(tag string) bool { return tag == "*" || tag == bare })
}

func notModified(c echo.Context, tag string) error {
	h := c.Response().Header()
	setCommon(h)
	h["Etag"], h["Cache-Control"] = []string{tag}, headNoCache
	return c.NoContent(http.StatusNotModified)
}

func (s *Service) explainDiagnostics(c echo.Context, p *access.Principal) error {
	k, err := s.batchKey(c, p)
	if err != nil {
		return err
	}
	v, err := parseVariant(c, s.explanationFields, false)
	if err != nil {
		return err
	}
	view, err := s.current(c, k)
	if err != nil || view == nil {
		return err
	}
	r, err := view.explain(time.Now(), v)
	if err != nil {
		return err
	}
	return s.answer(c, r)
}

// current is the newest view of k; nil if the client was answered already, because it has a newer one than the
// store has at present.
func (s *Service) current(c echo.Context, k push.Key) (*content, error) {
	r := c.Request()
	f, warm := s.hub.Current(k)
	if warm && s.aheadOf(r, f.Identity, f.Seq) {
		warm = false // the client has seen more than the hub has in memory
		s.hub.Repair()
	}
	if warm {
		return viewOf(f)
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeWithin)
	defer cancel()
	if f == nil && s.seen.lately(k, time.Now()) {
		// A batch that is requested again is kept in memory from then on. Where that isn't possible at present, it is read as the first time.
		if kept, err := s.hub.Keep(ctx, k); err == nil && kept.Frame != nil && !s.aheadOf(r, kept.Frame.Identity, kept.Frame.Seq) {
			return kept.Frame.Content.(*shown).content, nil
		}
	}
	read, err := s.source.Read(ctx, k)
	if err != nil {
		return nil, unavailable(err)
	}
	if s.aheadOf(r, read.Identity, read.Cursor) && (read.Frame == nil || s.aheadOf(r, read.Frame.Identity, read.Frame.Seq)) {
		setCommon(c.Response().Header())
		return nil, c.NoContent(http.StatusNotModified) // rule 15
	}
	if read.Frame == nil {
		return nil, read.Absent
	}
	s.seen.note(k, time.Now())
	return viewOf(read.Frame)
}

// viewOf is the view of a frame. Errors: that of a batch that was erased.
func viewOf(f *push.Frame) (*content, error) {
	if f.Gone != nil {
		return nil, f.Gone
	}
	return f.Content.(*shown).content, nil
}

// aheadOf reports whether the client has a revision of this identity after seq.
func (s *Service) aheadOf(r *http.Request, identity string, seq uint64) bool {
	return noneMatch(r, func(tag string) bool {
		id, ok := tagID(tag)
		return ok && id.Identity == identity && id.Seq > seq
	})
}

func (s *Service) answer(c echo.Context, body *rendered) error {
	h := c.Response().Header()
	setCommon(h)
	h["Etag"], h["Cache-Control"] = body.head[:1:1], headNoCache
	if matches(c.Request(), body.head[0]) {
		return c.NoContent(http.StatusNotModified)
	}
	h["Content-Type"], h["Content-Length"] = headJSONType, body.head[1:2:2]
	send := body.body
	if len(send) >= compressFrom && acceptsGzip(c.Request()) {
		send = body.zipped(&s.gzip)
		h["Content-Encoding"] = headGzip
		h.Set("Content-Length", strconv.Itoa(len(send)))
	}
	c.Response().WriteHeader(http.StatusOK)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	_, _ = c.Response().Write(send) // a client that left needs no answer
	return nil
}

// seen remembers which batches were shown recently, so that a single request, or a scan of ids, keeps nothing in memory.
type seen struct {
	mu sync.Mutex
	at map[push.Key]time.Time
}

const (
	seenFor = time.Minute
	seenMax = 10_000
)

func (s *seen) lately(k push.Key, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.at[k]
	return ok && now.Sub(at) < seenFor
}

func (s *seen) note(k push.Key, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil || len(s.at) >= seenMax {
		s.at = map[push.Key]time.Time{}
	}
	s.at[k] = now
}
