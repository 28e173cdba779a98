package api

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
)

// compressFrom is the size from which an answer is worth compressing.
const compressFrom = 1 << 10

// acceptsGzip reports whether the client accepts gzip (RFC 9110, 12.5.3).
func acceptsGzip(r *http.Request) bool {
	q, star := -1.0, -1.0
	for _, line := range r.Header["Accept-Encoding"] {
		for part := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(part, ";")
			weight := 1.0
			if text, given := strings.CutPrefix(strings.TrimSpace(params), "q="); given {
				var err error
				if weight, err = strconv.ParseFloat(text, 64); err != nil {
					weight = 0
				}
			}
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "gzip", "x-gzip":
				q = weight
			case "*":
				star = weight
			}
		}
	}
	if q < 0 {
		q = star
	}
	return q > 0
}

type compressor struct{ pool sync.Pool }

func (z *compressor) compress(body []byte) []byte {
	w, ok := z.pool.Get().(*gzip.Writer)
	if !ok {
		w = gzip.NewWriter(nil)
	}
	defer z.pool.Put(w)
	out := bytes.NewBuffer(make([]byte, 0, len(body)/4))
	w.Reset(out)
	_, _ = w.Write(body) // to memory
	_ = w.Close()
	return out.Bytes()
}

// write sends a JSON answer, compressed if the client accepts that and it is worthwhile.
func (s *Service) write(c echo.Context, kind string, body []byte) error {
	return s.writeAs(c, http.StatusOK, kind, body)
}

func (s *Service) writeAs(c echo.Context, status int, kind string, body []byte) error {
	h := c.Response().Header()
	setCommon(h)
	if len(body) >= compressFrom && acceptsGzip(c.Request()) {
		h.Set("Content-Encoding", "gzip")
		body = s.gzip.compress(body)
	}
	return send(c, status, kind, body)
}

func send(c echo.Context, status int, kind string, body []byte) error {
	h := c.Response().Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.Response().WriteHeader(status)
	if c.Request().Method != http.MethodHead {
		_, _ = c.Response().Write(body) // a client that left needs no answer
	}
	return nil
}
