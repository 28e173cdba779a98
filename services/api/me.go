package api

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/services/api/access"
)

// Me is who sends a request.
type Me struct {
	Access     string         `json:"access"`            // how: none (everybody may do everything), key, session, jwt or public
	ID         string         `json:"id,omitempty"`      // of the key or the person
	Name       string         `json:"name,omitempty"`    // of the key or the person
	Roles      []access.Role  `json:"roles"`             // what one may do
	Namespaces []string       `json:"namespaces"`        // where: names, prefixes that end in *, or * for all
	Grants     []access.Grant `json:"grants,omitempty"`  // which role is for which namespace, if not each is for all of them
	Default    *string        `json:"default_namespace"` // of a request that names none; null: it has to name one
	Expires    *time.Time     `json:"expires_at"`        // null: never
	Limits     MyLimits       `json:"limits"`
}

// getMe says who one is, and which limits hold.
func (s *Service) getMe(c echo.Context, p *access.Principal) error {
	ns, err := s.namespaceOf(c, p)
	if err != nil {
		return err
	}
	me := Me{Access: p.Kind, ID: p.ID, Name: p.Name, Roles: p.Roles, Namespaces: p.Namespaces}
	if p.Public() != nil {
		me.ID, me.Roles = "", []access.Role{} // who has made it is nobody's business
	}
	if len(p.Grants) > 1 {
		me.Grants = p.Grants
	}
	if ns := p.Namespaces.Default(); ns != "" {
		me.Default = &ns
	}
	if !p.Expires.IsZero() {
		me.Expires = &p.Expires
	}
	me.Limits = s.limitsOf(c.Request().Context(), p, ns)
	return noStore(c, http.StatusOK, me)
}

// noStore answers with JSON that belongs to one caller only.
func noStore(c echo.Context, status int, answer any) error {
	h := c.Response().Header()
	setCommon(h)
	h.Set("Cache-Control", "no-store")
	return c.JSON(status, answer)
}

// getNamespaces lists the caller's namespaces in alphabetical order, each with the counts of its list. Those that are named in the
// caller's own set are listed even if they have no batch.
func (s *Service) getNamespaces(c echo.Context, p *access.Principal) error {
	if err := onlyParameters(c, []string{"limit", "cursor"}); err != nil {
		return err
	}
	limit, err := pageLimit(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	all, err := s.lists.names.all(ctx)
	if err != nil {
		return unavailable(err)
	}
	all = slices.DeleteFunc(all, func(ns string) bool { return !p.Namespaces.Has(ns) })
	all = append(all, p.Namespaces.Names()...)
	slices.Sort(all)
	all = slices.Compact(all)
	after := c.QueryParam("cursor")
	from, found := slices.BinarySearch(all, after)
	if found {
		from++
	}
	all = all[from:]
	more := len(all) > limit
	all = all[:min(len(all), limit)]
	s.limiter.also(p, "", len(all)/seenCharged)
	body := []byte(`{"namespaces":[`)
	for i, ns := range all {
		x, _, done, err := s.list(ctx, ns, false)
		if err != nil {
			return unavailable(err)
		}
		counted := x.counted()
		done()
		if i > 0 {
			body = append(body, ',')
		}
		body = append(strconv.AppendQuote(append(body, `{"name":`...), ns), `,"counts":`...)
		body = append(counted.appendJSON(body), '}')
	}
	next := "null"
	if more {
		next = strconv.Quote(all[len(all)-1])
	}
	c.Response().Header().Set("Cache-Control", "private, no-cache")
	return s.write(c, "application/json", append(append(append(body, `],"next_cursor":`...), next...), '}'))
}
