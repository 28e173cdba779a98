package api

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"
)

// The descriptions are compressed, because they would take 140 KB of the program.

//go:embed openapi.json.gz
var openAPIZipped []byte

//go:embed asyncapi.json.gz
var asyncAPIZipped []byte

//go:embed docs.html
var docsPage []byte

// description serves a description for programs, which is compressed.
func (s *Service) description(zipped []byte) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		setCommon(h)
		h.Set("Cache-Control", "public, max-age=300")
		if acceptsGzip(c.Request()) {
			h.Set("Content-Encoding", "gzip")
			return send(c, http.StatusOK, "application/json", zipped)
		}
		return send(c, http.StatusOK, "application/json", unzipped(zipped))
	}
}

func unzipped(zipped []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		panic(err) // it is part of the program
	}
	text, err := io.ReadAll(r)
	if err != nil {
		panic(err)
	}
	return text
}

// docsPolicy allows the page's inline script and style by their hashes, and requests to this server only.
func docsPolicy() string {
	return "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
		"script-src '" + inlineHash(docsPage, "script") + "'; style-src '" + inlineHash(docsPage, "style") + "'"
}

func (s *Service) getDocs(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Content-Security-Policy", s.docsPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "public, max-age=300")
	if c.Request().Method == http.MethodHead {
		h.Set("Content-Type", "text/html; charset=utf-8")
		return c.NoContent(http.StatusOK)
	}
	return s.write(c, "text/html; charset=utf-8", docsPage)
}

// inlineHash is the source expression of a page's one inline element, for its content security policy.
func inlineHash(page []byte, element string) string {
	_, rest, _ := bytes.Cut(page, []byte("<"+element+">"))
	body, _, _ := bytes.Cut(rest, []byte("</"+element+">"))
	sum := sha256.Sum256(body)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
