package api

import (
	_ "embed"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

//go:embed plain.html
var plainPage []byte

// pagePolicy lets the dashboard load scripts, styles and images of this server, send requests to this server, and nothing else:
// nothing inline, no code from text, no embedding in a frame.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func plainPolicy() string {
	return "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src '" + inlineHash(plainPage, "style") + "'"
}

// getPage answers every address of the dashboard with the same page; the browser decides what it shows.
func (s *Service) getPage(c echo.Context) error { return s.page(c, http.StatusOK) }

// asksForPage reports whether a request is that of a person who follows a link or types an address, not that of a program.
func asksForPage(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html") &&
		!strings.HasPrefix(r.URL.Path, "/v1/") && !strings.HasPrefix(r.URL.Path, "/assets/")
}

func (s *Service) page(c echo.Context, status int) error {
	h := c.Response().Header()
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	if s.dashboard.Built() {
		h.Set("Content-Security-Policy", pagePolicy)
		page := s.dashboard.Page
		if s.keys != nil {
			page = s.dashboard.Guarded
		}
		return s.writeAs(c, status, "text/html; charset=utf-8", page)
	}
	h.Set("Content-Security-Policy", s.plainPolicy)
	return s.writeAs(c, status, "text/html; charset=utf-8", s.plain)
}

// getAsset answers with a file of the page. The contents of a name never change.
func (s *Service) getAsset(c echo.Context) error {
	a, there := s.dashboard.Assets[c.Param("*")]
	if !there {
		return echo.ErrNotFound
	}
	h := c.Response().Header()
	setCommon(h)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Type", a.Type)
	body := a.Body
	if a.Zip != nil && acceptsGzip(c.Request()) {
		h.Set("Content-Encoding", "gzip")
		body = a.Zip
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.Response().WriteHeader(http.StatusOK)
	if c.Request().Method != http.MethodHead {
		_, _ = c.Response().Write(body) // a client that left needs no answer
	}
	return nil
}
