package api

import (
	"hash/fnv"
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

// content is one view, with its last rendered answer. It is the content of frames.
type content struct {
	view     *diagnostics.View
	derived  diagnostics.Derived
	id       string
	own      *fence // of the read or push that brought the view
	now      func(*content) *fence
	policies Policies
	finished bool
	mark     string
	last     atomic.Pointer[rendered]
}

type rendered struct {
	asOf time.Time
	at   time.Time
	body []byte
	etag string
	head [2]string // values of ETag and Content-Length, shared by all answers

	once sync.Once
	zip  []byte
}

// zipped is the compressed body, computed once for all clients.
func (r *rendered) zipped(z *compressor) []byte {
	r.once.Do(func() { r.zip = z.compress(r.body) })
	return r.zip
}

// newFrame creates the frame of a stored value. present returns the newest known fence of its partition.
func newFrame(value []byte, f *fence, p Policies, present func(*content) *fence) (*push.Frame, error) {
	view, err := diagnostics.Parse(value)
	if err != nil {
		return nil, err
	}
	derived := diagnostics.Derive(view)
	c := &content{
		view: view, derived: derived, id: revisionID(f.identity, f.fold, view.Revision), own: f, now: present, policies: p,
		finished: derived.Finished(), mark: view.LastAnnounced().String(),
	}
	return &push.Frame{Identity: f.identity, Fold: f.fold, Seq: view.Revision, ID: c.id, Content: c}, nil
}

func (c *content) Final() bool  { return c.finished }
func (c *content) Mark() string { return c.mark }

func (c *content) AppendJSON(dst []byte) []byte { return append(dst, c.render(time.Now()).body...) }

// render returns the answer. It is rendered again only when the moment of evaluation has moved, or when it hasn't moved
// for so long that the reported lag would be wrong.
func (c *content) render(now time.Time) *rendered {
	f := c.fence()
	if r := c.last.Load(); r != nil && r.asOf.Equal(f.asOf) && now.Sub(r.at) < lagStep {
		return r
	}
	s := c.derived.Render(f.asOf, c.policies.For(c.view.Namespace), c.meta(f, now, nil))
	r := newRendered(f.asOf, now, s.AppendJSON(nil), etag(&s, c.policies.Hash()))
	c.last.Store(r)
	return r
}

// fence is the newest known fence of the view's partition. It determines the moment of evaluation.
func (c *content) fence() *fence {
	f := c.own
	if later := c.now(c); later != nil && later.identity == f.identity && later.asOf.After(f.asOf) {
		f = later
	}
	return f
}

func (c *content) meta(f *fence, now time.Time, page *diagnostics.Page) diagnostics.Meta {
	return diagnostics.Meta{RevisionID: c.id, Lag: max(0, now.Sub(f.watermark)), Page: page}
}

func newRendered(asOf, at time.Time, body []byte, tag string) *rendered {
	return &rendered{asOf: asOf, at: at, body: body, etag: tag, head: [2]string{tag, strconv.Itoa(len(body))}}
}

// renderVariant renders a part of the answer. The result isn't cached.
func (c *content) renderVariant(now time.Time, v variant) (*rendered, error) {
	f := c.fence()
	s := c.derived.Render(f.asOf, c.policies.For(c.view.Namespace), c.meta(f, now, v.page))
	body, err := pick(s.AppendJSON(nil), v.fields)
	if err != nil {
		return nil, err
	}
	return newRendered(f.asOf, now, body, etag(&s, c.policies.Hash()+v.key())), nil
}

// explain renders the derivation of the verdict. The result isn't cached.
func (c *content) explain(now time.Time, v variant) (*rendered, error) {
	f := c.fence()
	p := c.policies.For(c.view.Namespace)
	s := c.derived.Render(f.asOf, p, c.meta(f, now, &diagnostics.Page{Tiers: diagnostics.Window{Limit: 1}}))
	e := c.derived.Explain(f.asOf, p, c.meta(f, now, nil))
	body, err := pick(e.AppendJSON(nil), v.fields)
	if err != nil {
		return nil, err
	}
	return newRendered(f.asOf, now, body, etag(&s, c.policies.Hash()+"explain"+v.key())), nil
}

// etag identifies the contents of a snapshot, except running times (rule 16). Causes and doubts may change with time alone, and
// without a change of health nothing is announced that would change the revision.
func etag(s *diagnostics.Snapshot, policyHash string) string {
	h := fnv.New64a()
	put := func(text string) { _, _ = h.Write(append([]byte(text), 0)) } // a hash's Write never fails
	put(s.Health.String())
	if s.BlockedReason != nil {
		put(*s.BlockedReason)
	}
	e := s.HealthEvidence
	put(e.Signal)
	if e.Since != nil {
		put(strconv.FormatInt(e.Since.UnixNano(), 10))
	}
	if e.TierNum != nil {
		put(strconv.Itoa(*e.TierNum))
	}
	if e.RayJobID != nil {
		put(*e.RayJobID)
	}
	of := func(what string, c *diagnostics.Cause) {
		if c != nil {
			put(what + " " + string(c.Code) + " " + c.Certainty)
		}
	}
	of("cause", s.Cause)
	for i := range s.Doubts {
		of("doubt", &s.Doubts[i])
	}
	for i := range s.Tiers {
		tier := "tier " + strconv.Itoa(s.Tiers[i].TierNum)
		of(tier, s.Tiers[i].Cause)
		for k := range s.Tiers[i].Jobs {
			of(tier+" job "+strconv.Itoa(k), s.Tiers[i].Jobs[k].Cause)
		}
	}
	put(policyHash)
	put(strconv.FormatBool(s.View.Incomplete))
	return `W/"` + s.View.ID + "." + strconv.FormatUint(h.Sum64(), 36) + `"`
}

// tagID is the revision id inside an entity tag.
func tagID(tag string) (push.LastID, bool) {
	for i := len(tag) - 1; i > 0; i-- {
		if tag[i] == '.' {
			return push.ParseLastID(tag[:i])
		}
	}
	return push.LastID{}, false
}
