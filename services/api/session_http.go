package api

import (
	"context"
	"errors"
	"net/http"

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
	return noStore(c, http.StatusOK, SignInOptions{Keys: s.keys != nil, Providers: []SignInProvider{}})
}

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
	ctx, cancel := context.WithTimeout(c.Request().Context(), storeWithin)
	defer cancel()
	p, text, err := s.keys.SignIn(ctx, given.Key)
	var no *access.Refusal
	if errors.As(err, &no) {
		return refusal(no) // 10,000 wrong keys are no 10,000 lines of the log
	}
	return s.signedIn(c, p, text, err)
}

// signedIn gives the browser its session.
func (s *Service) signedIn(c echo.Context, p *access.Principal, text string, err error) error {
	if err != nil {
		s.audit(c, access.Stranger(), "signed in", "", err)
		return keyProblem(err)
	}
	s.audit(c, p, "signed in", p.Session(), nil)
	access.SetSession(c.Response(), c.Request(), text, p.Expires)
	return getMe(c, p)
}

// signOut ends the session of the request. Who has none is signed out already.
func (s *Service) signOut(c echo.Context) error {
	if s.keys != nil {
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
