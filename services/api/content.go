package api

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"weak"

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

// content is one view as it is stored, with its last rendered answer.
type content struct {
	value    []byte
	key      push.Key
	revision uint64
	erased   time.Time // zero if it wasn't
	id       string
	own      *fence // of the read or push that brought the view
	source   *source
	derived  derivedView
	last     atomic.Pointer[rendered]
}

// derivedView is what follows from a content's view. Both take ten times the memory of the stored value, so they are kept only until the
// next garbage collection, and made again when they are needed after it.
type derivedView struct {
	mu   sync.Mutex
	kept weak.Pointer[diagnostics.Derived]
}

// rendered is an answer. What it says, except running times, holds from asOf until another moment; zero: for ever.
type rendered struct {
	asOf, until time.Time
	at          time.Time
	health      string
	over        bool               // nothing follows
	body        []byte             // nil once it was dropped
	parts       *diagnostics.Parts // of body; nil if no stream has needed it, or if it has a part of the fields
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

// newContent parses a stored value.
func (s *source) newContent(k push.Key, value []byte, f *fence) (*content, error) {
	view, err := diagnostics.Parse(value)
	if err != nil {
		return nil, err
	}
	c := &content{value: value, key: k, revision: view.Revision, id: revisionID(f.identity, f.fold, view.Revision), own: f, source: s}
	c.erased, _ = view.ErasedAt()
	c.derived.put(view)
	return c, nil
}

func (d *derivedView) put(view *diagnostics.View) *diagnostics.Derived {
	derived := diagnostics.Derive(view)
	d.kept = weak.Make(&derived)
	return &derived
}

func (c *content) derive() *diagnostics.Derived {
	c.derived.mu.Lock()
	defer c.derived.mu.Unlock()
	if kept := c.derived.kept.Value(); kept != nil {
		return kept
	}
	view, err := diagnostics.Parse(c.value)
	if err != nil { // newContent has parsed it
		panic("api: a view that was read: " + err.Error())
	}
	return c.derived.put(view)
}

func (c *content) policy() diagnostics.Policy { return c.source.policies.For(c.key.Namespace) }

// render returns the answer, with its parts if a stream needs them. It is rendered again only when the moment of evaluation has moved, or
// when it hasn't moved for so long that the reported lag would be wrong.
func (c *content) render(now time.Time, inParts bool) *rendered {
	f := c.fence()
	last := c.last.Load()
	if last != nil && last.body != nil && last.asOf.Equal(f.asOf) && now.Sub(last.at) < lagStep && (last.parts != nil || !inParts) {
		return last
	}
	derived := c.derive()
	s, until := derived.RenderUntil(f.asOf, c.policy(), c.meta(f, now, nil))
	r := &rendered{asOf: f.asOf, until: until, at: now, health: s.Health.String(), over: derived.Over(f.asOf, c.policy())}
	var hash uint64
	if inParts {
		r.parts = s.Encode()
		r.body, hash = r.parts.JSON(), r.parts.Hash()
	} else {
		r.body, hash = s.Whole()
	}
	if last.holds(f.asOf) {
		r.hash = last.hash
	} else {
		r.hash = hashText(hash)
	}
	r.head = [2]string{c.etag(r.hash), strconv.Itoa(len(r.body))}
	c.last.Store(r)
	return r
}

// Rest drops the body of the last answer, which nobody has asked for lately. Its tag is kept.
func (c *content) Rest() {
	if r := c.last.Load(); r != nil && r.body != nil {
		c.last.CompareAndSwap(r, &rendered{asOf: r.asOf, until: r.until, health: r.health, over: r.over, hash: r.hash, head: r.head})
	}
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
	return c.render(now, false).hash
}

func hashOf(body []byte) string { return hashText(diagnostics.AnswerHash(body)) }

func hashText(hash uint64) string { return strconv.FormatUint(hash, 36) }

// etag identifies what an answer about this view says, except running times (rule 16).
func (c *content) etag(hash string) string { return `W/"` + c.id + "." + hash + `"` }

// fence is the newest known fence of the view's partition. It determines the moment of evaluation.
func (c *content) fence() *fence {
	f := c.own
	if later := c.source.present(c.key); later != nil && later.identity == f.identity && later.asOf.After(f.asOf) {
		f = later
	}
	return f
}

func (c *content) meta(f *fence, now time.Time, page *diagnostics.Page) diagnostics.Meta {
	return diagnostics.Meta{RevisionID: c.id, Lag: max(0, now.Sub(f.watermark)), Page: page, LinkHosts: c.source.linkHosts}
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
	s := c.derive().Render(f.asOf, c.policy(), c.meta(f, now, v.page))
	if v.public {
		s = s.Public()
	}
	return c.part(s.AppendJSON(nil), v.fields, hashOf)
}

// explain renders the derivation of the verdict. It changes whenever the answer does.
func (c *content) explain(now time.Time, v variant) (*rendered, error) {
	f := c.fence()
	e := c.derive().Explain(f.asOf, c.policy(), c.meta(f, now, nil))
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
	s.rendered = s.render(time.Now(), true)
	s.clock.set(s)
	return append(dst, s.body...)
}

// AppendChange implements push.RowContent.
func (s *shown) AppendChange(dst []byte, from push.Content) []byte {
	return s.parts.AppendChange(dst, from.(*shown).parts)
}

// AppendPublic implements push.PublicContent.
func (s *shown) AppendPublic(dst []byte) []byte {
	public := s.derive().Render(s.rendered.asOf, s.policy(), s.meta(s.fence(), time.Now(), nil)).Public()
	return public.AppendJSON(dst)
}

func (s *shown) Final() bool  { return s.over }
func (s *shown) Mark() string { return s.health }
func (s *shown) Tag() string  { return s.hash }

// frame creates the frame of a view.
func (c *clock) frame(of *content) *push.Frame {
	if !of.erased.IsZero() {
		return goneFrame(of)
	}
	s := &shown{content: of, clock: c}
	s.frame = &push.Frame{Identity: of.own.identity, Fold: of.own.fold, Seq: of.revision, ID: of.id, Content: s}
	return s.frame
}
