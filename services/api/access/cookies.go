package access

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The cookie of a session. Under TLS its name has the prefix with which browsers take it from this very host only.
const (
	cookieName       = "headway_session"
	secureCookieName = "__Host-" + cookieName
)

// sessionCookie is what a request has in its cookie; "": nothing.
func sessionCookie(r *http.Request) string {
	if len(r.Header["Cookie"]) == 0 {
		return ""
	}
	c, err := r.Cookie(secureCookieName)
	if err != nil && r.TLS == nil && r.Header.Get("X-Forwarded-Proto") != "https" { // a proxy says it; who lies only gets less
		c, err = r.Cookie(cookieName)
	}
	if err != nil {
		return ""
	}
	return c.Value
}

// SetSession gives a browser the cookie of a session. Browsers keep a secure one only if they have come by TLS.
func SetSession(w http.ResponseWriter, secure bool, text string, expires time.Time) {
	http.SetCookie(w, cookie(secure, text, int(time.Until(expires).Seconds())))
}

// ClearSession removes the cookies that a request has.
func ClearSession(w http.ResponseWriter, r *http.Request) {
	for name, secure := range map[string]bool{cookieName: false, secureCookieName: true} {
		if _, err := r.Cookie(name); err == nil {
			http.SetCookie(w, cookie(secure, "", -1))
		}
	}
}

func cookie(secure bool, text string, seconds int) *http.Cookie {
	c := &http.Cookie{Name: cookieName, Value: text, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: seconds}
	if secure {
		c.Name, c.Secure = secureCookieName, true
	}
	return c
}

// Secure reports whether the browser has come by TLS, which may end at a proxy in front. The request is one of this server's own pages.
func Secure(r *http.Request) bool {
	return r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://")
}

// fromOwnPage reports whether a request with a cookie was sent by a page of this server. Browsers add cookies to requests of other
// pages too: those of the same site, such as another port of this host, in spite of SameSite. A request that changes something has to
// prove it. What only reads comes without proof where a browser says nothing, as over plain HTTP, and the page can't read the answer.
func fromOwnPage(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin" || site == "none"
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		return err == nil && u.Host == r.Host
	}
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// Unproven reports whether a request has a cookie that doesn't count, because it doesn't say which page has sent it.
func Unproven(r *http.Request) bool { return sessionCookie(r) != "" && !fromOwnPage(r) }

// FromOtherPage reports whether a browser says that a page of another origin sends a request.
func FromOtherPage(r *http.Request) bool {
	return (r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != "") && !fromOwnPage(r)
}
