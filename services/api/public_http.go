package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
)

// PublicToken shows one batch, or the batches with a label, to people who have no account.
type PublicToken struct {
	Token     string    `json:"token"`      // for the header Authorization, as Bearer
	ExpiresAt time.Time `json:"expires_at"` // when it ends, unless what made it ends before
}

// makePublicToken makes a public token for a namespace of the caller.
func (s *Service) makePublicToken(c echo.Context, p *access.Principal) error {
	if s.keys == nil {
		return noKeys()
	}
	ns, err := s.namespace(c, p)
	if err != nil {
		return err
	}
	var wanted access.WantedToken
	if err := readBody(c, &wanted); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), storeWithin)
	defer cancel()
	text, expires, err := s.keys.MakePublic(ctx, p, ns, wanted)
	s.audit(c, p, "public token made", ns+" "+wanted.Batch+wanted.Label, err)
	if err != nil {
		return keyProblem(err)
	}
	return noStore(c, http.StatusCreated, PublicToken{text, expires})
}

// publicRows are the same rows with what everybody may see.
func publicRows(rows []*row) []*row {
	out := make([]*row, 0, len(rows))
	for _, r := range rows {
		if r.erased {
			out = append(out, r)
			continue
		}
		body, err := diagnostics.PublicRow(r.json)
		if err != nil { // it was read before, so it can be read
			continue
		}
		shown := *r
		shown.json, shown.event = body, push.AppendEvent(nil, "", push.Update.String(), body)
		out = append(out, &shown)
	}
	return out
}

// countsOf counts rows. Those of the namespace aren't for everybody.
func countsOf(rows []*row) (c counts) {
	for _, r := range rows {
		c.add(r, 1)
	}
	return c
}

// labelled is a filter that also asks for a label.
func labelled(label string, keep func(*row) bool) func(*row) bool {
	return func(r *row) bool { return slices.Contains(r.labels, label) && (keep == nil || keep(r)) }
}
