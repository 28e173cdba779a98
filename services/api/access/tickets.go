package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	ticketPrefix = "hwt_"
	ticketFor    = 30 * time.Second
	ticketUnder  = "headway-ticket:"
	ticketWithin = 2 * time.Second // for Redis to answer
)

// Tickets let an EventSource in, which can't send a header: each opens one stream, once, within 30 s. They are kept in Redis, so that any
// process takes them; a ticket that is lost with Redis is asked for again.
type Tickets struct {
	redis redis.UniversalClient
	keys  *Keys
}

// NewTickets returns the tickets of holders of keys.
func NewTickets(client redis.UniversalClient, keys *Keys) *Tickets { return &Tickets{client, keys} }

// ticket is what is stored of one.
type ticket struct {
	Public    *public   `json:"public,omitempty"`  // the public token with which it was asked for, else
	Session   string    `json:"session,omitempty"` // the session, else
	Person    *Person   `json:"person,omitempty"`  // whose token it was, else
	Expires   time.Time `json:"expires_at,omitzero"`
	Key       string    `json:"key"`
	Hash      []byte    `json:"sha256"` // of the secret of the key
	Namespace string    `json:"namespace"`
	Path      string    `json:"path"`
}

// Make returns a ticket for one stream in one namespace of a principal.
func (t *Tickets) Make(ctx context.Context, p *Principal, namespace, path string) (text string, expires time.Time, err error) {
	text = ticketPrefix + random(secretSize, secretBytes)
	made := ticket{Namespace: namespace, Path: path}
	switch {
	case p.public != nil:
		made.Public = p.public
	case p.session != nil:
		made.Session = p.session.id
	case p.person != nil:
		made.Person, made.Expires = p.person, p.ends
	default:
		made.Key, made.Hash = p.ID, p.hash
	}
	value, err := json.Marshal(made)
	if err != nil {
		return "", expires, err
	}
	if err := t.redis.Set(ctx, ticketName(text), value, ticketFor).Err(); err != nil {
		return "", expires, fmt.Errorf("access: store ticket: %w", err)
	}
	return text, time.Now().UTC().Add(ticketFor).Truncate(time.Second), nil
}

// ticketName is the name of a stored ticket. Who can read Redis learns no ticket.
func ticketName(text string) string {
	sum := sha256.Sum256([]byte(text))
	return ticketUnder + hex.EncodeToString(sum[:])
}

// The refusals of tickets.
var (
	errTicket = &Refusal{Status: http.StatusUnauthorized, Kind: "ticket_invalid",
		Detail: "This ticket was used, has expired, or is for another stream. Ask for a new one: POST /v1/stream-tickets."}
	errNoRedis = &Refusal{Status: http.StatusServiceUnavailable, Kind: "access_unavailable", Retry: 2 * time.Second,
		Detail: "Tickets can't be checked at the moment, because Redis can't be reached. Try again shortly."}
)

// NoTicket is the refusal of a request whose ticket can't be one for it.
func NoTicket() *Refusal { return errTicket }

// Use takes a ticket for a path, and returns who has asked for it, limited to its namespace and to reading.
func (t *Tickets) Use(ctx context.Context, text, path string) (*Principal, *Refusal) {
	if !strings.HasPrefix(text, ticketPrefix) || len(text) != len(ticketPrefix)+secretSize {
		return nil, errTicket
	}
	ctx, cancel := context.WithTimeout(ctx, ticketWithin)
	defer cancel()
	value, err := t.redis.GetDel(ctx, ticketName(text)).Bytes()
	var stored ticket
	switch {
	case errors.Is(err, redis.Nil):
		return nil, errTicket
	case err != nil:
		return nil, errNoRedis
	case json.Unmarshal(value, &stored) != nil || stored.Path != path:
		return nil, errTicket
	}
	p, no := t.keys.asked(stored, time.Now())
	switch {
	case no == errUnsure:
		return nil, no
	case no != nil || !p.For(Read).Namespaces.Has(stored.Namespace):
		return nil, errTicket
	}
	return p.reading(stored.Namespace), nil
}

// asked is who has asked for a ticket, if the credential is still valid.
func (k *Keys) asked(of ticket, now time.Time) (*Principal, *Refusal) {
	switch {
	case of.Public != nil:
		return k.shown(*of.Public, now)
	case of.Person != nil && now.Before(of.Expires):
		p := of.Person.principal("jwt")
		p.Expires, p.ends = of.Expires, of.Expires
		return newPrincipal(p), nil
	case of.Key != "":
		return k.holder(of.Key, of.Hash, now)
	}
	if h := k.sessions.of(of.Session); h != nil {
		return k.signedIn(h, now)
	}
	return nil, errTicket
}

// reading is the same principal, limited to reading one namespace.
func (p *Principal) reading(namespace string) *Principal {
	limited := *p
	limited.Kind, limited.Namespaces, limited.Grants = "ticket", Namespaces{namespace}, nil
	for a := range limited.may {
		limited.may[a] = p.may[a] && (Action(a) == Read || Action(a) == Known)
	}
	return &limited
}
