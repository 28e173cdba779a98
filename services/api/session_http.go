package api

import (
	"context"
	"errors"
	"html"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/services/api/access"
)

// SignInOptions are the ways to sign in to the dashboard.
type SignInOptions struct {
	Keys      bool             `json:"keys"`      // with an API key
	Providers []SignInProvider `json:"providers"` // with an account of a company
}

// SignInProvider is an identity provider.
type SignInProvider struct {
	Name     string `json:"name"`      // to show
	LoginURL string `json:"login_url"` // for the browser to go to; ?return= is the path to come back to
}

// getSignInOptions tells everybody how to sign in.
func (s *Service) getSignInOptions(c echo.Context) error {
	options := SignInOptions{Keys: s.keys != nil, Providers: []SignInProvider{}}
	if s.provider != nil {
		options.Providers = append(options.Providers, SignInProvider{s.provider.Name, s.limits.BasePath + access.LoginPath})
	}
	return noStore(c, http.StatusOK, options)
}

// signInCosts is as how many requests of a key a sign-in counts, since each is stored, and told to every process.
const signInCosts = 50

// signIn exchanges a key for a session, whose cookie no script can read.
func (s *Service) signIn(c echo.Context) error {
	if s.keys == nil {
		return noKeys()
	}
	if access.FromOtherPage(c.Request()) {
		return problem(http.StatusForbidden, "cross_origin", "Only the pages of this server can sign in with a session. Pages of other origins send a key in the header Authorization.")
	}
	var given struct {
		Key string `json:"key"`
	}
	if err := readBody(c, &given); err != nil {
		return err
	}
	holder, no := s.keys.Holder(given.Key)
	if no != nil {
		return refusal(no) // 10,000 wrong keys are no 10,000 lines of the log
	}
	if err := s.limiter.enter(holder); err != nil {
		return err
	}
	s.limiter.also(holder, "", signInCosts)
	ctx, cancel := context.WithTimeout(c.Request().Context(), storeWithin)
	defer cancel()
	p, text, err := s.keys.SignIn(ctx, holder)
	if errors.As(err, &no) {
		return refusal(no)
	}
	if err := s.signedIn(c, p, text, access.Secure(c.Request()), err); err != nil {
		return err
	}
	return s.getMe(c, p)
}

// signedIn gives the browser its session.
func (s *Service) signedIn(c echo.Context, p *access.Principal, text string, secure bool, err error) error {
	if err != nil {
		s.audit(c, access.Stranger(), "signed in", "", err)
		return keyProblem(err)
	}
	s.audit(c, p, "signed in", p.Session(), nil)
	access.SetSession(c.Response(), secure, text, p.Expires)
	return nil
}

// beginSignIn sends a browser to the identity provider.
func (s *Service) beginSignIn(c echo.Context) error {
	if s.provider == nil {
		return noProvider()
	}
	if no := s.provider.Begin(c.Response(), c.Request()); no != nil {
		return s.tellPerson(c, no)
	}
	return nil
}

// endSignIn begins a session for whom the identity provider sends back.
func (s *Service) endSignIn(c echo.Context) error {
	if s.provider == nil {
		return noProvider()
	}
	who, path, no := s.provider.End(c.Response(), c.Request())
	if no != nil {
		if who.Subject != "" {
			s.log.Warn("access changed", "what", "signed in", "by", who.Subject, "from", c.RealIP(), "outcome", "refused: "+no.Detail)
		}
		return s.tellPerson(c, no)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), storeWithin)
	defer cancel()
	p, text, err := s.keys.SignInAs(ctx, who)
	if errors.As(err, &no) {
		return s.tellPerson(c, no)
	}
	if err := s.signedIn(c, p, text, s.provider.OverTLS(), err); err != nil {
		return err
	}
	setCommon(c.Response().Header())
	return c.Redirect(http.StatusSeeOther, path)
}

func noProvider() error {
	return problem(http.StatusNotFound, "provider_missing", "This server has no identity provider. Sign in with a key, or start it with --oidc-issuer.")
}

// tellPerson answers somebody whose browser shows what it gets, since no script has sent the request.
func (s *Service) tellPerson(c echo.Context, no *access.Refusal) error {
	if !strings.Contains(c.Request().Header.Get("Accept"), "text/html") {
		return refusal(no)
	}
	h := c.Response().Header()
	setCommon(h)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	if no.Retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(no.Retry.Seconds())))
	}
	return c.HTML(no.Status, `<!doctype html><html lang="en"><meta charset="utf-8"><title>Signing in failed</title><h1>Signing in failed</h1><p>`+
		html.EscapeString(no.Detail)+`</p><p><a href="`+s.limits.BasePath+`/">Back to Headway</a></p></html>`)
}

// signOut ends the session of the request. Who has none is signed out already.
func (s *Service) signOut(c echo.Context) error {
	if s.keys != nil {
		if access.Unproven(c.Request()) {
			return problem(http.StatusForbidden, "cross_origin", "Only a page of this server can end its session. Browsers say which page sends a request with Sec-Fetch-Site or Origin; this request has neither, or that of another page.")
		}
		ctx, cancel := context.WithTimeout(c.Request().Context(), storeWithin)
		defer cancel()
		p, err := s.keys.SignOut(ctx, c.Request())
		if p != nil || err != nil {
			if p == nil {
				p = access.Stranger()
			}
			s.audit(c, p, "signed out", p.Session(), err)
		}
		var no *access.Refusal
		switch {
		case errors.As(err, &no):
			return refusal(no)
		case err != nil:
			return keyProblem(err)
		}
	}
	access.ClearSession(c.Response(), c.Request())
	h := c.Response().Header()
	setCommon(h)
	h.Set("Cache-Control", "no-store")
	return c.NoContent(http.StatusNoContent)
}
