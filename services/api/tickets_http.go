package api

import (
	"context"
	"net/http"
	neturl "net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/services/api/access"
)

// Ticket opens one stream, once.
type Ticket struct {
	Ticket    string    `json:"ticket"`     // to add to the stream's URL as ?ticket=
	ExpiresAt time.Time `json:"expires_at"` // when it can't be used any more
}

// makeTicket makes a ticket for a stream of the request's namespace.
func (s *Service) makeTicket(c echo.Context, p *access.Principal) error {
	if s.tickets == nil {
		return noKeys()
	}
	ns, err := s.namespace(c, p)
	if err != nil {
		return err
	}
	var wanted struct {
		Path string `json:"path"`
	}
	if err := readBody(c, &wanted); err != nil {
		return err
	}
	u, err := neturl.Parse(wanted.Path)
	if err != nil || u.Host != "" || !strings.HasPrefix(u.Path, "/v1/") || len(wanted.Path) > maxTicketPath {
		return badRequest("path", "must be the path of a stream, such as /v1/batches/stream")
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), storeWithin)
	defer cancel()
	begun := time.Now()
	text, expires, err := s.tickets.Make(ctx, p, ns, u.EscapedPath())
	if err != nil {
		return unavailable(waited("Redis", begun, err))
	}
	return noStore(c, http.StatusCreated, Ticket{text, expires})
}

const maxTicketPath = 2048

// byTicket lets the holder of a ticket in, where a request for a stream has one instead of a key. The ticket is removed from the request.
func (s *Service) byTicket(c echo.Context, needs access.Action) (p *access.Principal, no *access.Refusal) {
	r := c.Request()
	query := r.URL.Query()
	ticket := query["ticket"]
	query.Del("ticket")
	u := *r.URL
	u.RawQuery = query.Encode()
	r = r.WithContext(r.Context())
	r.URL = &u
	c.SetRequest(r)
	if len(ticket) != 1 || needs != access.Read || !isStream(c) { // nothing is asked of Redis for other routes
		return nil, access.NoTicket()
	}
	return s.tickets.Use(r.Context(), ticket[0], u.EscapedPath())
}

func hasTicket(r *http.Request) bool {
	return strings.Contains(r.URL.RawQuery, "ticket=") && r.Header.Get("Authorization") == "" && r.Method == http.MethodGet
}

func isStream(c echo.Context) bool {
	return strings.HasSuffix(c.Path(), "/stream") || wantsStream(c.Request())
}
