package rayapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"
)

// PageError means that a web page came where Ray answers in JSON: a sign-on or error page of something in between.
type PageError struct {
	Path  string
	Title string
}

func (e *PageError) Error() string {
	if e.Title == "" {
		return e.Path + " answered with a web page instead of JSON"
	}
	return fmt.Sprintf("%s answered with a web page, %q, instead of JSON", e.Path, e.Title)
}

// isPage reports whether an answer is a web page.
func isPage(h http.Header, body []byte) bool {
	start := bytes.ToLower(bytes.TrimSpace(body[:min(len(body), 200)]))
	return strings.HasPrefix(h.Get("Content-Type"), "text/html") || bytes.HasPrefix(start, []byte("<!doctype html")) || bytes.HasPrefix(start, []byte("<html"))
}

var titleTag = regexp.MustCompile(`(?is)<title[^>]*>\s*([^<]{1,80})`)

func title(page []byte) string {
	if m := titleTag.FindSubmatch(page[:min(len(page), 1<<16)]); m != nil {
		return strings.TrimSpace(strings.ToValidUTF8(string(m[1]), ""))
	}
	return ""
}

// elsewhere is the host that a redirect leads to; its path and query may hold secrets.
func elsewhere(res *http.Response) string {
	u, err := url.Parse(res.Header.Get("Location"))
	if err != nil || res.StatusCode < 300 || res.StatusCode > 399 {
		return ""
	}
	if u.Host == "" {
		return "another path"
	}
	return u.Scheme + "://" + u.Host
}

// Plain describes what is wrong with a source in words for people who set up a relay: what answered, and what to set.
func Plain(err error) string {
	var status *StatusError
	var page *PageError
	var timeout net.Error
	var dns *net.DNSError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &page):
		return page.Error() + ": a sign-on page or proxy is in between; give an address that reaches Ray's dashboard directly, or a token that it accepts"
	case errors.As(err, &status):
		switch {
		case status.Location != "":
			return status.Error() + ", which is not Ray's dashboard; give an address behind the sign-on, or https:// if it only wants that"
		case status.Code == http.StatusUnauthorized || status.Code == http.StatusForbidden:
			return status.Error() + "; give the cluster's token (--ray-token or --ray-token-file)"
		case status.Code == http.StatusTooManyRequests:
			return status.Error() + "; the dashboard has more requests in progress than it takes"
		}
		return status.Error()
	case errors.As(err, &dns):
		return "the name " + dns.Name + " is unknown; check the address of the dashboard"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused: nothing listens at the address of the dashboard, or the head is down"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "nothing answered in time: the address leads nowhere, a firewall drops the packets, or the dashboard hangs"
	}
	return err.Error()
}
