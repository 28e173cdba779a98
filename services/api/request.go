package api

import (
	"mime"
	"net/http"
	neturl "net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/internal/seeded"
	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
)

// namespace is the namespace of a request, for which it counts.
func (s *Service) namespace(c echo.Context, p *access.Principal) (string, error) {
	ns, err := s.namespaceOf(c, p)
	switch {
	case err != nil:
		return "", err
	case ns == "":
		return "", badRequest("X-Namespace", "must name one of your namespaces, which GET /v1/namespaces lists")
	}
	return ns, s.limiter.into(ns)
}

// namespaceOf is the namespace of a request: the one that it names, if it is the principal's, else the principal's own; "" if it names
// none, and the principal has several.
func (s *Service) namespaceOf(c echo.Context, p *access.Principal) (string, error) {
	ns, err := namedNamespace(c)
	if err != nil {
		return "", err
	}
	if ns == "" {
		return p.Namespaces.Default(), nil
	}
	if !p.Namespaces.Has(ns) {
		return "", s.elsewhere(ns, c.Param("batch_id"))
	}
	return ns, nil
}

// namedNamespace is the namespace that a request names; "" if it names none.
func namedNamespace(c echo.Context) (string, error) {
	named := c.Request().Header["X-Namespace"]
	if seeded.Bug("namespace-from-query") && c.QueryParam("namespace") != "" {
		return c.QueryParam("namespace"), nil
	}
	if len(named) > 1 {
		return "", badRequest("X-Namespace", "is given more than once")
	}
	if c.Request().URL.RawQuery != "" {
		q := c.QueryParams()["namespace"]
		if len(q) > 1 || len(q) == 1 && len(named) == 1 && q[0] != named[0] {
			return "", badRequest("namespace", "is given more than once, with different values")
		}
		if len(q) == 1 {
			named = q
		}
	}
	if len(named) == 0 {
		return "", nil
	}
	if !diagnostics.ValidNamespace(named[0]) {
		return "", badRequest("namespace", "must match ^[A-Za-z0-9_-]{1,128}$")
	}
	return named[0], nil
}

// batchKey is the batch that the path names, in the caller's namespace.
func (s *Service) batchKey(c echo.Context, p *access.Principal) (push.Key, error) {
	ns, err := s.namespace(c, p)
	if err != nil {
		return push.Key{}, err
	}
	given := c.Param("batch_id")
	if c.Request().URL.RawPath != "" { // then the router has matched the encoded path
		if given, err = neturl.PathUnescape(given); err != nil {
			return push.Key{}, badRequest("batch_id", "isn't percent-encoded")
		}
	}
	id, ok := diagnostics.EncodeID(given)
	if !ok {
		return push.Key{}, badRequest("batch_id", idRule)
	}
	if scope := p.Public(); scope != nil && scope.Batch != id {
		return push.Key{}, s.elsewhere(ns, c.Param("batch_id"))
	}
	return push.Key{Namespace: ns, Name: id}, nil
}

const idRule = "must have 1 to 128 bytes and no control characters"

// streamFormat reads ?format=: how changes are sent to the client of a batch's stream.
func streamFormat(c echo.Context) (push.Format, error) {
	if c.Request().URL.RawQuery == "" {
		return push.Full, nil
	}
	switch given := c.QueryParams()["format"]; {
	case len(given) == 0, len(given) == 1 && given[0] == "full":
		return push.Full, nil
	case len(given) == 1 && given[0] == "patch":
		return push.Patch, nil
	case len(given) == 1 && given[0] == "rows":
		return push.Rows, nil
	}
	return push.Full, badRequest("format", "must be one of full, patch, rows")
}

// wantsStream reports whether Accept prefers an event stream to JSON.
func wantsStream(r *http.Request) bool {
	accept := r.Header["Accept"]
	if len(accept) == 0 {
		return false
	}
	stream, other := 0.0, 0.0
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			kind, params, err := mime.ParseMediaType(strings.TrimSpace(part))
			if err != nil {
				continue
			}
			q := 1.0
			if text, given := params["q"]; given {
				if q, err = strconv.ParseFloat(text, 64); err != nil {
					q = 0
				}
			}
			switch kind {
			case "text/event-stream":
				stream = max(stream, q)
			case "application/json":
				other = max(other, q)
			}
		}
	}
	return stream > 0 && stream >= other
}

// noneMatch calls f with each entity tag of If-None-Match, without quotes, until
// it returns true, and reports whether it did. "*" is passed unchanged.
func noneMatch(r *http.Request, f func(tag string) bool) bool {
	for _, line := range r.Header["If-None-Match"] {
		for part := range strings.SplitSeq(line, ",") {
			tag := strings.TrimPrefix(strings.TrimSpace(part), "W/")
			if tag == "*" {
				if f(tag) {
					return true
				}
				continue
			}
			if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
				continue
			}
			if f(tag[1 : len(tag)-1]) {
				return true
			}
		}
	}
	return false
}

// Header values that all answers share. The slices must not be changed.
var (
	headVary     = []string{"Authorization, Cookie, X-Namespace, Accept, Accept-Encoding, Origin"}
	headNosniff  = []string{"nosniff"}
	headNoCache  = []string{"private, no-cache"}
	headJSONType = []string{"application/json"}
	headGzip     = []string{"gzip"}
)

// setCommon sets the headers that every answer has.
func setCommon(h http.Header) {
	h["Vary"], h["X-Content-Type-Options"] = headVary, headNosniff
}
