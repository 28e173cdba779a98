package program

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

type deadlines struct {
	*httptest.ResponseRecorder
	read time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error { d.read = t; return nil }

// A server reads what is left of a body before it answers, so whoever is refused could otherwise hold the connection.
func TestBodiesEnd(t *testing.T) {
	h := bodiesEnd(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	with := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	h.ServeHTTP(with, httptest.NewRequest(http.MethodPost, "/v1/events", strings.NewReader("x")))
	if left := time.Until(with.read); left <= 0 || left > bodyTimeout {
		t.Errorf("a body may take %v", left)
	}
	without := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	h.ServeHTTP(without, httptest.NewRequest(http.MethodGet, "/v1/batches/stream", http.NoBody))
	if !without.read.IsZero() {
		t.Error("a request without a body has a deadline")
	}
}
