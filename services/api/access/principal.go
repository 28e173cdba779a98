package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Principal is who sends a request: what a credential stands for.
type Principal struct {
	Kind       string // "none" without access control, else "key", "session", "jwt", "public" or "ticket"
	ID, Name   string // of the key, or of the person
	Roles      []Role
	Namespaces Namespaces
	Grants     []Grant // if not each role is for each of the namespaces
	Created    time.Time
	Expires    time.Time // zero: never

	hash    []byte       // of the secret
	session *heldSession // nil: the credential is no session
	person  *Person      // whose token it is; nil: it is no token
	public  *public      // what it shows; nil: it is no public token
	ends    time.Time    // when the streams of a credential end that nobody watches; zero: with its life
	may     [Manage + 1]bool
	life    context.Context // ends with the credential; nil: never
}

// everybody is the principal of each request without access control.
var everybody = newPrincipal(Principal{Kind: "none", Roles: []Role{Admin}, Namespaces: Namespaces{"*"}})

// stranger is the principal of a request without a valid credential.
var stranger = newPrincipal(Principal{Kind: "none"})

// Stranger may do nothing.
func Stranger() *Principal { return stranger }

// Everybody may do everything.
func Everybody() *Principal { return everybody }

// Grant is a set of roles in a set of namespaces.
type Grant struct {
	Roles      []Role     `json:"roles"`
	Namespaces Namespaces `json:"namespaces"`
}

func newPrincipal(p Principal) *Principal {
	for _, r := range roles {
		if slices.Contains(p.Roles, r.role) {
			for _, a := range r.may {
				p.may[a] = true
			}
		}
	}
	return &p
}

// For is the same principal, limited to the namespaces in which it may do something.
func (p *Principal) For(a Action) *Principal {
	if len(p.Grants) < 2 || a == Anybody || a == Known {
		return p
	}
	limited := *p
	limited.Namespaces = nil
	for _, g := range p.Grants {
		if slices.ContainsFunc(having(a), func(r Role) bool { return slices.Contains(g.Roles, r) }) {
			limited.Namespaces = append(limited.Namespaces, g.Namespaces...)
		}
	}
	return &limited
}

// May returns nil if the principal has a role for the action.
func (p *Principal) May(a Action) *Refusal {
	if a == Anybody || p.may[a] {
		return nil
	}
	if p.public != nil {
		return errScope
	}
	who := "The key " + p.ID
	if p.Name != "" && p.hash == nil {
		who = p.Name
	}
	has := "has the role " + join(p.Roles, " and ")
	if len(p.Roles) == 0 {
		has = "has no role here: no group or other claim of the token gives one"
	}
	return &Refusal{Status: http.StatusForbidden, Kind: "role_missing", Detail: fmt.Sprintf("%s %s. This needs %s.", who, has, join(having(a), " or "))}
}

// errEnded is why what a credential allowed has ended.
type errEnded struct{ why *Refusal }

func (e errEnded) Error() string { return e.why.Detail }

// During returns a context that also ends when the credential does. Ended then says why.
func (p *Principal) During(ctx context.Context) (context.Context, context.CancelFunc) {
	if p.life == nil && p.ends.IsZero() {
		return ctx, func() {}
	}
	during, cancel := context.WithCancelCause(ctx)
	var over []func()
	if p.life != nil {
		stop := context.AfterFunc(p.life, func() { cancel(context.Cause(p.life)) })
		over = append(over, func() { stop() })
	}
	if !p.ends.IsZero() {
		over = append(over, at(p.ends, func() { cancel(errEnded{expired(p.Expires)}) }))
	}
	if p.session != nil {
		p.session.streams.Add(1)
		over = append(over, func() { p.session.streams.Add(-1) })
	}
	return during, sync.OnceFunc(func() {
		for _, f := range over {
			f()
		}
		cancel(nil)
	})
}

// at calls f at a time of the clock of the wall, which goes on while a machine is suspended.
func at(when time.Time, f func()) (stop func()) {
	const look = 20 * time.Second
	var mu sync.Mutex
	var timer *time.Timer
	stopped := false
	var next func()
	next = func() {
		mu.Lock()
		defer mu.Unlock()
		left := time.Until(when.Round(0))
		switch {
		case stopped:
		case left <= 0:
			f()
		default:
			timer = time.AfterFunc(min(left, look), next)
		}
	}
	next()
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		if timer != nil {
			timer.Stop()
		}
	}
}

// Ended says why the credential ended that a context of During belongs to; nil if it didn't.
func Ended(during context.Context) *Refusal {
	var ended errEnded
	if errors.As(context.Cause(during), &ended) {
		return ended.why
	}
	return nil
}

// Session is the id of the session with which a principal is signed in; "": none.
func (p *Principal) Session() string {
	if p.session == nil {
		return ""
	}
	return p.session.id
}

// Refusal is why a request is refused, in words for the caller.
type Refusal struct {
	Status int
	Kind   string // the type of the problem
	Detail string
	Retry  time.Duration // after which it may be different; 0: not by itself
}

func (r *Refusal) Error() string { return r.Detail }

// The refusals of credentials. Only who has the right secret learns that it has expired.
var (
	errNone = &Refusal{Status: http.StatusUnauthorized, Kind: "credential_missing",
		Detail: "This needs a credential. Send a key in the header Authorization, as Bearer hw_…; `headway keys create` makes one."}
	errInURL = &Refusal{Status: http.StatusUnauthorized, Kind: "credential_in_url",
		Detail: "A credential in the URL is refused, because URLs are logged. Send it in the header Authorization, and replace it if it is in use."}
	errInvalid = &Refusal{Status: http.StatusUnauthorized, Kind: "credential_invalid",
		Detail: "This credential isn't known here. It may have been revoked, or belong to another Headway."}
	errRevoked = &Refusal{Status: http.StatusUnauthorized, Kind: "credential_ended",
		Detail: "The credential was revoked, or changed. Get the present one, and connect again."}
	errNoIssuer = &Refusal{Status: http.StatusServiceUnavailable, Kind: "access_unavailable", Retry: 2 * time.Second,
		Detail: "This token can't be checked at the moment, because the keys of its issuer can't be read. Try again shortly."}
	errNewKey = &Refusal{Status: http.StatusServiceUnavailable, Kind: "access_unavailable", Retry: unknownEvery,
		Detail: "The issuer of this token had published no such key a moment ago. If the key is new, try again shortly."}
	errUnsure = &Refusal{Status: http.StatusServiceUnavailable, Kind: "access_unavailable", Retry: 2 * time.Second,
		Detail: "Credentials can't be checked at the moment, because NATS can't be reached. Try again shortly."}
)

func expired(at time.Time) *Refusal {
	return &Refusal{Status: http.StatusUnauthorized, Kind: "credential_expired", Detail: "The credential expired at " + at.UTC().Format(time.RFC3339) + ". Get a new one."}
}
