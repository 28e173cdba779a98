package api

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
)

// lagStep is how much the reported lag may be out of date while the moment of evaluation doesn't move.
const lagStep = 5 * time.Second

// fence has the fields that the api needs of a partition's fence.
type fence struct {
	identity   string
	fold       int
	cursor     uint64
	watermark  time.Time
	asOf       time.Time
	complete   bool
	goneBefore time.Time // events stored before are gone from the log; zero if none are
}

func (f *fence) position() push.Position {
	return push.Position{Identity: f.identity, Fold: f.fold, Cursor: f.cursor, Watermark: f.watermark, Complete: f.complete}
}

func revisionID(identity string, fold int, seq uint64) string {
	return identity + "-" + strconv.Itoa(fold) + "-" + strconv.FormatUint(seq, 10)
}

// content is one view, with its last rendered answer.
type content struct {
	view      *diagnostics.View
	derived   diagnostics.Derived
	id        string
	own       *fence // of the read or push that brought the view
	now       func(*content) *fence
	policies  Policies
	linkHosts []string
	last      atomic.Pointer[rendered]
}

// rendered is an answer. What it says, except running times, holds from asOf until another moment; zero: for ever.
type rendered struct {
	asOf, until time.Time
	at          time.Time
	health      string
	over        bool // nothing follows
	body        []byte
	parts       *diagnostics.Parts // of body; nil if it has a part of the fields
	hash        string
	head        [2]string // values of ETag and Content-Length, shared by all answers

	once sync.Once
	zip  []byte
}

// zipped is the compressed body, computed once for all clients.
func (r *rendered) zipped(z *compressor) []byte {
	r.once.Do(func() { r.zip = z.compress(r.body) })
	return r.zip
}

// newContent parses a stored value. present returns the newest known fence of its partition.
func newContent(value []byte, f *fence, p Policies, present func(*content) *fence) (*content, error) {
	view, err := diagnostics.Parse(value)
	if err != nil {
		return nil, err
	}
	derived := diagnostics.Derive(view)
	return &content{
		view: view, derived: derived, id: revisionID(f.identity, f.fold, view.Revision), own: f, now: present, policies: p,
	}, nil
}

func (c *content) policy() diagnostics.Policy { return c.policies.For(c.view.Namespace) }

// render returns the answer. It is rendered again only when the moment of evaluation has moved, or when it hasn't moved
// for so long that the reported lag would be wrong.
func (c *content) render(now time.Time) *rendered {
	f := c.fence()
	last := c.last.Load()
	if last != nil && last.asOf.Equal(f.asOf) && now.Sub(last.at) < lagStep {
		return last
	}
	s, until := c.derived.RenderUntil(f.asOf, c.policy(), c.meta(f, now, nil))
	parts := s.Encode()
	r := &rendered{
		asOf: f.asOf, until: until, at: now, health: s.Health.String(), over: c.derived.Over(f.asOf, c.policy()),
		body: parts.JSON(), parts: parts,
	}
	if last.holds(f.asOf) {
		r.hash = last.hash
	} else {
		r.hash = hashOf(r.body)
	}
	r.head = [2]string{c.etag(r.hash), strconv.Itoa(len(r.body))}
	c.last.Store(r)
	return r
}

// holds reports whether what an answer says holds at a moment. nil never does.
func (r *rendered) holds(at time.Time) bool {
	return r != nil && !at.Before(r.asOf) && (r.until.IsZero() || at.Before(r.until))
}

// answerHash is the hash of the present answer, which is rendered only if it may differ from the last one.
func (c *content) answerHash(now time.Time) string {
	if last := c.last.Load(); last.holds(c.fence().asOf) {
		return last.hash
	}
	return c.render(now).hash
}

func hashOf(body []byte) string { return strconv.FormatUint(diagnostics.AnswerHash(body), 36) }

// etag identifies what an answer about this view says, except running times (rule 16).
func (c *content) etag(hash string) string { return `W/"` + c.id + "." + hash + `"` }

// fence is the newest known fence of the view's partition. It determines the moment of evaluation.
func (c *content) fence() *fence {
	f := c.own
	if later := c.now(c); later != nil && later.identity == f.identity && later.asOf.After(f.asOf) {
		f = later
	}
	return f
}

func (c *content) meta(f *fence, now time.Time, page *diagnostics.Page) diagnostics.Meta {
	return diagnostics.Meta{RevisionID: c.id, Lag: max(0, now.Sub(f.watermark)), Page: page, LinkHosts: c.linkHosts}
}

// part is an answer with some of the fields. It isn't cached.
func (c *content) part(body []byte, fields []string, hash func(body []byte) string) (*rendered, error) {
	body, err := pick(body, fields)
	if err != nil {
		return nil, err
	}
	return &rendered{body: body, head: [2]string{c.etag(hash(body)), strconv.Itoa(len(body))}}, nil
}

// renderVariant renders a part of the answer.
func (c *content) renderVariant(now time.Time, v variant) (*rendered, error) {
	f := c.fence()
	s := c.derived.Render(f.asOf, c.policy(), c.meta(f, now, v.page))
	if v.public {
		s = s.Public()
	}
	return c.part(s.AppendJSON(nil), v.fields, hashOf)
}

// explain renders the derivation of the verdict. It changes whenever the answer does.
func (c *content) explain(now time.Time, v variant) (*rendered, error) {
	f := c.fence()
	e := c.derived.Explain(f.asOf, c.policy(), c.meta(f, now, nil))
	return c.part(e.AppendJSON(nil), v.fields, func([]byte) string { return c.answerHash(now) + "-explain-" + hashOf([]byte(v.key())) })
}

// tagID is the revision id inside an entity tag.
func tagID(tag string) (push.LastID, bool) { return push.ParseLastID(tag) }

// shown is the content of a frame: a view at the moment at which the first stream needs it.
type shown struct {
	*content
	*rendered

	clock *clock
	frame *push.Frame
}

func (s *shown) AppendJSON(dst []byte) []byte {
	s.rendered = s.render(time.Now())
	s.clock.set(s)
	return append(dst, s.body...)
}

// AppendChange implements push.RowContent.
func (s *shown) AppendChange(dst []byte, from push.Content) []byte {
	return s.parts.AppendChange(dst, from.(*shown).parts)
}

// AppendPublic implements push.PublicContent.
func (s *shown) AppendPublic(dst []byte) []byte {
	public := s.derived.Render(s.rendered.asOf, s.policy(), s.meta(s.fence(), time.Now(), nil)).Public()
	return public.AppendJSON(dst)
}

func (s *shown) Final() bool  { return s.over }
func (s *shown) Mark() string { return s.health }
func (s *shown) Tag() string  { return s.hash }

// frame creates the frame of a view.
func (c *clock) frame(of *content) *push.Frame {
	if at, erased := of.view.ErasedAt(); erased {
		return goneFrame(of, erasedProblem(of.view.BatchID(), at))
	}
	s := &shown{content: of, clock: c}
	s.frame = &push.Frame{Identity: of.own.identity, Fold: of.own.fold, Seq: of.view.Revision, ID: of.id, Content: s}
	return s.frame
}
