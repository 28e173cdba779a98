package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/services/api/access"
)

// AccessKey is a key as lists show it. Its text is shown once, when it is made.
type AccessKey struct {
	ID         string        `json:"id"`
	Name       string        `json:"name"`
	Namespaces []string      `json:"namespaces"`    // names, prefixes that end in *, or * for all
	Roles      []access.Role `json:"roles"`         // what it allows
	CreatedAt  time.Time     `json:"created_at"`    // when it was made
	CreatedBy  string        `json:"created_by"`    // the id of the key that made it; empty: the server itself
	ExpiresAt  *time.Time    `json:"expires_at"`    // null: never
	LastUsedAt *time.Time    `json:"last_used_at"`  // to the hour; null: not yet
	Key        string        `json:"key,omitempty"` // the key itself, only in the answer that makes it
}

func shownKey(k access.Listed, text string) AccessKey {
	out := AccessKey{ID: k.ID, Name: k.Name, Namespaces: k.Namespaces, Roles: k.Roles, CreatedAt: k.Created, CreatedBy: k.CreatedBy, Key: text}
	if !k.Expires.IsZero() {
		out.ExpiresAt = &k.Expires
	}
	if !k.Used.IsZero() {
		out.LastUsedAt = &k.Used
	}
	return out
}

// maxKeyBody limits the body of a request for a key.
const maxKeyBody = 64 << 10

// getKeys lists the keys that the caller may manage.
func (s *Service) getKeys(c echo.Context, p *access.Principal) error {
	if s.keys == nil {
		return noKeys()
	}
	list := []AccessKey{}
	for _, k := range s.keys.List(p) {
		list = append(list, shownKey(k, ""))
	}
	return noStore(c, http.StatusOK, map[string]any{"keys": list})
}

func (s *Service) createKey(c echo.Context, p *access.Principal) error {
	if s.keys == nil {
		return noKeys()
	}
	var wanted access.Wanted
	if err := readBody(c, &wanted); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), storeWithin)
	defer cancel()
	k, text, err := s.keys.Create(ctx, p, wanted)
	s.audit(c, p, "key created", k.ID, err)
	if err != nil {
		return keyProblem(err)
	}
	return noStore(c, http.StatusCreated, shownKey(access.Listed{Key: k}, text))
}

func (s *Service) revokeKey(c echo.Context, p *access.Principal) error {
	if s.keys == nil {
		return noKeys()
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), storeWithin)
	defer cancel()
	id := c.Param("key_id")
	_, err := s.keys.Revoke(ctx, p, id)
	s.audit(c, p, "key revoked", id, err)
	if err != nil {
		return keyProblem(err)
	}
	setCommon(c.Response().Header())
	return c.NoContent(http.StatusNoContent)
}

// maxOverlap is the longest time for which a replaced secret may be accepted.
const maxOverlap = 30 * 24 * time.Hour

func (s *Service) rotateKey(c echo.Context, p *access.Principal) error {
	if s.keys == nil {
		return noKeys()
	}
	var wanted struct {
		Overlap int64 `json:"overlap_seconds"`
	}
	if err := readBody(c, &wanted); err != nil {
		return err
	}
	if wanted.Overlap < 0 || wanted.Overlap > int64(maxOverlap/time.Second) {
		return badRequest("overlap_seconds", "must be 0 to 2592000")
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), storeWithin)
	defer cancel()
	id := c.Param("key_id")
	k, text, err := s.keys.Rotate(ctx, p, id, time.Duration(wanted.Overlap)*time.Second)
	s.audit(c, p, "key rotated", id, err)
	if err != nil {
		return keyProblem(err)
	}
	return noStore(c, http.StatusOK, shownKey(access.Listed{Key: k}, text))
}

// readBody reads the JSON of a request, in which no unknown field may be: a misspelled one could make a key that is too powerful.
func readBody(c echo.Context, to any) error {
	d := json.NewDecoder(http.MaxBytesReader(c.Response().Writer, c.Request().Body, maxKeyBody))
	d.DisallowUnknownFields()
	var big *http.MaxBytesError
	switch err := d.Decode(to); {
	case errors.As(err, &big):
		return err
	case err != nil:
		return problem(http.StatusBadRequest, "bad_body", "The body isn't the JSON object of this route.").because(err)
	}
	return nil
}

func noKeys() error {
	return problem(http.StatusNotFound, "access_off", "This server has no access control. Start it with --access keys to use keys.")
}

func keyProblem(err error) error {
	var invalid *access.InvalidError
	var stored *jetstream.APIError
	switch {
	case errors.As(err, &invalid):
		return badRequest(invalid.Field, invalid.Reason)
	case errors.Is(err, access.ErrNoKey):
		return problem(http.StatusNotFound, "key_not_found", "No such key, or none that you may manage.")
	case errors.As(err, &stored) && stored.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return problem(http.StatusConflict, "key_changed", "The key was changed at the same time. Look at it, and try again.")
	}
	return unavailable(waited("NATS", time.Now(), err))
}

// audit logs a change of who may do what: at a level that is always logged. The id is that of a key, or of a session.
func (s *Service) audit(c echo.Context, p *access.Principal, what, id string, err error) {
	outcome := "done"
	if err != nil {
		outcome = "refused: " + err.Error()
	}
	s.log.Warn("access changed", "what", what, "id", shorten(id, 64), "by", p.ID, "from", c.RealIP(), "outcome", outcome)
}
