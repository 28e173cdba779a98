package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	sessionPrefix = "hws_"
	sessionsUnder = "session."

	maxSessions    = 500 // of one key or person; the one that was used least recently makes room for another
	renewedAtOnce  = 200 // sessions whose use is noted in one round
	renewedInParts = 12  // the use of a session is noted to this part of the idle time
)

// Session is what is stored of a session: who is signed in, and until when.
type Session struct {
	Hash    []byte    `json:"sha256"`        // of the cookie
	Key     string    `json:"key,omitempty"` // the id of the key that signed in, else
	KeyHash []byte    `json:"key_sha256,omitempty"`
	Person  *Person   `json:"person,omitempty"` // who has signed in at an identity provider
	Created time.Time `json:"created_at"`
	Expires time.Time `json:"expires_at"` // however much it is used
	Seen    time.Time `json:"seen_at"`    // when it was last used, coarse
}

// Lifetimes say when sessions end; zero values mean the defaults.
type Lifetimes struct {
	Idle     time.Duration `name:"session-idle" help:"After how long without a request or an open stream a session of the dashboard ends." default:"12h" env:"HEADWAY_SESSION_IDLE"`
	Absolute time.Duration `name:"session-absolute" help:"After how long a session of the dashboard ends however much it is used, up to 720h." default:"168h" env:"HEADWAY_SESSION_ABSOLUTE"`
}

const maxAbsolute = 30 * 24 * time.Hour

func (l *Lifetimes) fill() {
	if l.Idle <= 0 {
		l.Idle = 12 * time.Hour
	}
	if l.Absolute <= 0 {
		l.Absolute = 7 * 24 * time.Hour
	}
}

func (l Lifetimes) check() error {
	l.fill()
	if l.Idle < time.Minute || l.Idle > l.Absolute || l.Absolute > maxAbsolute {
		return errors.New("--session-idle: must be at least 1m and at most --session-absolute, which must be at most 720h")
	}
	return nil
}

// coarse is how exactly the last use of a session is noted.
func (l Lifetimes) coarse() time.Duration { return l.Idle / renewedInParts }

// sessions are those that this process knows.
type sessions struct {
	Lifetimes
	held sync.Map // by id: *heldSession
}

// heldSession is a session as this process knows it.
type heldSession struct {
	Session
	id       string
	person   func() *Principal // Person, always the same one
	revision atomic.Uint64
	seen     atomic.Int64 // unix time
	noted    atomic.Int64 // the same, as stored
	streams  atomic.Int64 // open ones; they are a use of the session

	mu        sync.Mutex
	ended     *Refusal
	of        *Principal // of which principal is the next one
	principal *Principal
	end       context.CancelCauseFunc // ends the streams of principal
}

var (
	errNoSession = &Refusal{Status: http.StatusUnauthorized, Kind: "credential_invalid",
		Detail: "This session isn't known here. It may have ended, or belong to another Headway. Sign in again."}
	errSignedOut = &Refusal{Status: http.StatusUnauthorized, Kind: "credential_ended", Detail: "This session was signed out. Sign in again."}
)

// SignIn begins a session for the holder of a key. The text of the session is for a cookie, and stored nowhere.
func (k *Keys) SignIn(ctx context.Context, by *Principal) (*Principal, string, error) {
	return k.begin(ctx, Session{Key: by.ID, KeyHash: by.hash}, time.Now())
}

// Holder is who has a key.
func (k *Keys) Holder(key string) (*Principal, *Refusal) { return k.byKey(key, time.Now()) }

// SignInAs begins a session for somebody whom an identity provider knows.
func (k *Keys) SignInAs(ctx context.Context, p Person) (*Principal, string, error) {
	return k.begin(ctx, Session{Person: &p}, time.Now())
}

// sameOwner reports whether two sessions are of one key or person.
func (s Session) sameOwner(other Session) bool {
	if s.Person == nil || other.Person == nil {
		return s.Person == other.Person && s.Key == other.Key
	}
	return s.Person.Issuer == other.Person.Issuer && s.Person.Subject == other.Person.Subject
}

// begin stores a session.
func (k *Keys) begin(ctx context.Context, s Session, now time.Time) (*Principal, string, error) {
	id := random(idLength, 9)
	var text string
	text, s.Hash = makeSecret(sessionPrefix, id)
	s.Created = now.UTC().Truncate(time.Second)
	s.Seen, s.Expires = s.Created, s.Created.Add(k.sessions.Absolute)
	if err := k.makeRoom(ctx, s); err != nil {
		return nil, "", err
	}
	revision, err := k.store(ctx, id, s, 0)
	if err != nil {
		return nil, "", fmt.Errorf("access: store session: %w", err)
	}
	h := newSession(id, s, revision)
	if known, loaded := k.sessions.held.LoadOrStore(id, h); loaded { // the watch was faster
		h = known.(*heldSession)
	}
	p, no := k.signedIn(h, now)
	if no != nil {
		return nil, "", no
	}
	return p, text, nil
}

// store writes a session, if its revision is still the last one. It goes away by itself when it has ended.
func (k *Keys) store(ctx context.Context, id string, s Session, revision uint64) (uint64, error) {
	if _, err := k.bucket(ctx); err != nil {
		return 0, err
	}
	value, err := json.Marshal(s)
	if err != nil {
		return 0, err
	}
	kept := min(s.Seen.Add(k.sessions.Idle+k.sessions.coarse()).Sub(s.Seen), s.Expires.Sub(s.Seen))
	ack, err := k.js.Publish(ctx, "$KV."+bucketName+"."+sessionsUnder+id, value,
		jetstream.WithExpectLastSequencePerSubject(revision), jetstream.WithMsgTTL(max(time.Second, kept.Truncate(time.Second))))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// makeRoom ends a session of who has too many.
func (k *Keys) makeRoom(ctx context.Context, s Session) error {
	var oldest *heldSession
	count := 0
	k.sessions.held.Range(func(_, v any) bool {
		if h := v.(*heldSession); h.sameOwner(s) {
			if count++; oldest == nil || h.seen.Load() < oldest.seen.Load() {
				oldest = h
			}
		}
		return true
	})
	if count < maxSessions {
		return nil
	}
	return k.endSession(ctx, oldest)
}

// SignOut ends the session of a request, and returns who was signed in; nil if nobody was.
func (k *Keys) SignOut(ctx context.Context, r *http.Request) (*Principal, error) {
	h, no := k.sessionOf(r, time.Now())
	if no == errUnsure {
		return nil, no
	}
	if h == nil {
		return nil, nil //nolint:nilnil // signed out before, or never in
	}
	p, _ := k.signedIn(h, time.Now())
	if p == nil { // it has ended, but is still stored
		p = &Principal{ID: h.Key, session: h}
	}
	return p, k.endSession(ctx, h)
}

func (k *Keys) endSession(ctx context.Context, h *heldSession) error {
	kv, err := k.bucket(ctx)
	if err != nil {
		return err
	}
	if err := kv.Purge(ctx, sessionsUnder+h.id, jetstream.PurgeTTL(markerFor)); err != nil {
		return fmt.Errorf("access: end session: %w", err)
	}
	k.sessions.forget(h.id, errSignedOut)
	return nil
}

// sessionOf is the session whose cookie a request has; nil with a refusal if it has none that counts.
func (k *Keys) sessionOf(r *http.Request, now time.Time) (*heldSession, *Refusal) {
	text := sessionCookie(r)
	if text == "" || !fromOwnPage(r) {
		return nil, errNone
	}
	id, ok := idOf(sessionPrefix, text)
	if !ok {
		return nil, errNoSession
	}
	age := k.age(now)
	if age > knownFor {
		return nil, errUnsure
	}
	sum := sha256.Sum256([]byte(text))
	hash, h := none, k.sessions.of(id)
	if h != nil {
		hash = h.Hash
	}
	if subtle.ConstantTimeCompare(hash, sum[:]) == 1 {
		return h, nil
	}
	if age > freshFor {
		return nil, errUnsure // it may have begun meanwhile
	}
	return nil, errNoSession
}

// signedIn is who is signed in, and notes that the session is in use.
func (k *Keys) signedIn(h *heldSession, now time.Time) (*Principal, *Refusal) {
	if e := h.ends(k.sessions.Idle); !now.Before(e) {
		return nil, expired(e)
	}
	base, no := h.base(k, now)
	if no != nil {
		return nil, no
	}
	if t := now.Unix(); t > h.seen.Load() {
		h.seen.Store(t)
	}
	return h.as(base)
}

// base is whose session this is: the holder of the key if it is still valid, or the person as of the sign-in.
func (h *heldSession) base(k *Keys, now time.Time) (*Principal, *Refusal) {
	if h.Person == nil {
		return k.holder(h.Key, h.KeyHash, now)
	}
	if k.age(now) > knownFor {
		return nil, errUnsure
	}
	return h.person(), nil
}

// as is the principal of the session: the one that has signed in, until the session ends.
func (h *heldSession) as(base *Principal) (*Principal, *Refusal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended != nil {
		return nil, h.ended
	}
	if h.of == base {
		return h.principal, nil
	}
	if h.end != nil {
		h.end(errEnded{errRevoked})
	}
	p := *base
	p.Kind, p.session = "session", h
	if p.Expires.IsZero() || h.Expires.Before(p.Expires) {
		p.Expires = h.Expires
	}
	p.life, h.end = context.WithCancelCause(base.life)
	h.of, h.principal = base, &p
	return &p, nil
}

// stop ends the streams of a session, which can't be used any more.
func (h *heldSession) stop(why *Refusal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = why
	if h.end != nil {
		h.end(errEnded{why})
	}
}

// ends is when the session ends, unless it is used before.
func (h *heldSession) ends(idle time.Duration) time.Time {
	if e := time.Unix(h.seen.Load(), 0).Add(idle).UTC(); e.Before(h.Expires) {
		return e
	}
	return h.Expires
}

func newSession(id string, s Session, revision uint64) *heldSession {
	h := &heldSession{Session: s, id: id}
	h.person = sync.OnceValue(func() *Principal {
		p := newPrincipal(s.Person.principal("session"))
		p.life = context.Background()
		return p
	})
	h.renewed(s.Seen, revision)
	return h
}

// renewed takes over what is stored about the use of the session.
func (h *heldSession) renewed(seen time.Time, revision uint64) {
	h.revision.Store(revision)
	h.noted.Store(seen.Unix())
	h.seen.Store(max(h.seen.Load(), seen.Unix()))
}

func (s *sessions) of(id string) *heldSession {
	if h, there := s.held.Load(id); there {
		return h.(*heldSession)
	}
	return nil
}

func (s *sessions) forget(id string, why *Refusal) {
	if h, there := s.held.LoadAndDelete(id); there {
		h.(*heldSession).stop(why)
	}
}

// saw handles a stored session. It reports whether there is one.
func (s *sessions) saw(id string, entry jetstream.KeyValueEntry) bool {
	if entry.Operation() != jetstream.KeyValuePut {
		s.forget(id, errSignedOut)
		return false
	}
	var stored Session
	if json.Unmarshal(entry.Value(), &stored) != nil {
		s.forget(id, errSignedOut)
		return false
	}
	if h, loaded := s.held.LoadOrStore(id, newSession(id, stored, entry.Revision())); loaded {
		h.(*heldSession).renewed(stored.Seen, entry.Revision())
	}
	return true
}

// only forgets sessions that aren't stored any more.
func (s *sessions) only(stored map[string]bool) {
	s.held.Range(func(id, _ any) bool {
		if !stored[id.(string)] {
			s.forget(id.(string), errSignedOut)
		}
		return true
	})
}

// expire ends the streams of sessions that have ended.
func (s *sessions) expire(now time.Time) {
	s.held.Range(func(_, v any) bool {
		h := v.(*heldSession)
		if e := h.ends(s.Idle); h.streams.Load() > 0 && now.Before(h.Expires) {
			h.seen.Store(max(h.seen.Load(), now.Unix()))
		} else if !now.Before(e) {
			h.stop(expired(e))
		}
		return true
	})
}

// noteSessions stores which sessions were used. What can't be stored is stored later, or was stored by another process meanwhile.
func (k *Keys) noteSessions(ctx context.Context) {
	left := renewedAtOnce
	k.sessions.held.Range(func(_, v any) bool {
		h := v.(*heldSession)
		if h.seen.Load()-h.noted.Load() < max(1, int64(k.sessions.coarse()/time.Second)) {
			return true
		}
		s := h.Session
		s.Seen = time.Unix(h.seen.Load(), 0).UTC()
		if revision, err := k.store(ctx, h.id, s, h.revision.Load()); err == nil {
			h.renewed(s.Seen, revision)
		}
		left--
		return left > 0 && ctx.Err() == nil
	})
}
