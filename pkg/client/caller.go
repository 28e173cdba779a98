package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Token returns the credential to send: an API key, or another token that the API accepts. It is called for each request and each
// reconnection, so one that is costly to get should be kept. It is called once more when the credential is refused, or ended while a
// stream was open: RefusedCredential then says which one. If it returns that one again, the caller gets the refusal.
type Token func(context.Context) (string, error)

// Key returns the Token of a credential that never changes.
func Key(key string) Token {
	return func(context.Context) (string, error) { return key, nil }
}

type refusedKey struct{}

// RefusedCredential returns the credential that the API no longer accepts, in the context of a call of Token that asks for another
// one; "" otherwise.
func RefusedCredential(ctx context.Context) string {
	refused, _ := ctx.Value(refusedKey{}).(string)
	return refused
}

// caller sends requests to an API with a credential.
type caller struct {
	base  string
	token Token // nil: none is sent
	http  *http.Client
}

func newCaller(address string, token Token, c *http.Client) (caller, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return caller{}, errors.New("client: URL: not an http or https address")
	}
	if c == nil {
		c = &http.Client{}
	}
	return caller{base: strings.TrimSuffix(address, "/"), token: token, http: c}, nil
}

// send sends a request made by build. If its credential is refused, it is sent once more with another one. refused is a credential that
// is known to have ended; the one that was sent is returned. A status of 300 or more is a *StatusError, and the body is closed.
func (c *caller) send(ctx context.Context, refused string, build func() (*http.Request, error)) (_ *http.Response, credential string, err error) {
	for {
		if c.token != nil {
			next, failed := c.token(instead(ctx, refused))
			switch {
			case failed != nil && err != nil:
				return nil, credential, fmt.Errorf("client: another token, after %v: %w", err, failed) //nolint:errorlint // a watch retries
			case failed != nil:
				return nil, credential, fmt.Errorf("client: token: %w", failed)
			case err != nil && next == credential:
				return nil, credential, err
			}
			credential = next
		}
		response, failed := c.once(build, credential)
		var status *StatusError
		if !errors.As(failed, &status) || status.Status != http.StatusUnauthorized || c.token == nil || err != nil {
			return response, credential, failed
		}
		refused, err = credential, failed
	}
}

// instead is the context of a call for a credential in place of a refused one, if there is one.
func instead(ctx context.Context, refused string) context.Context {
	if refused == "" {
		return ctx
	}
	return context.WithValue(ctx, refusedKey{}, refused)
}

func (c *caller) once(build func() (*http.Request, error), credential string) (*http.Response, error) {
	request, err := build()
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if credential != "" {
		request.Header.Set("Authorization", "Bearer "+credential)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if response.StatusCode < http.StatusMultipleChoices {
		return response, nil
	}
	defer response.Body.Close()
	return nil, statusError(response)
}
