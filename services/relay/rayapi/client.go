package rayapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options of a Client. URL is required.
type Options struct {
	URL       string
	Token     string
	Timeout   time.Duration // of one request; default 10 s
	Transport http.RoundTripper
}

// Client sends requests to one dashboard. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	token   string
	timeout time.Duration
	http    *http.Client
}

// answerLimit is the largest answer in bytes: a thousand failed jobs contain 20,000 characters of log each.
const answerLimit = 64 << 20

// New returns a client, or an error if the URL is invalid.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("rayapi: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("rayapi: %q isn't the address of a dashboard, as http://ray-head:8265", u.Redacted())
	}
	u.Path, u.RawQuery, u.Fragment = strings.TrimRight(u.Path, "/"), "", ""
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	return &Client{base: u, token: o.Token, timeout: o.Timeout, http: &http.Client{
		Transport: o.Transport,
		// Following a redirect would send the token to another server.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Address returns the URL of the dashboard without credentials.
func (c *Client) Address() string {
	u := *c.base
	u.User = nil
	return u.String()
}

// Host returns the host and port of the dashboard.
func (c *Client) Host() string { return c.base.Host }

// StatusError is an answer with a status other than 200.
type StatusError struct {
	Path     string
	Code     int
	Says     string
	Location string // host that a redirect leads to
}

func (e *StatusError) Error() string {
	if e.Location != "" {
		return fmt.Sprintf("%s answered %d: it redirects to %s", e.Path, e.Code, e.Location)
	}
	return strings.TrimSuffix(fmt.Sprintf("%s answered %d: %s", e.Path, e.Code, e.Says), ": ")
}

// get returns the answer's body.
func (c *Client) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	return c.fetch(ctx, http.MethodGet, path, query, "application/json")
}

func (c *Client) fetch(ctx context.Context, method, path string, query url.Values, accept string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	res, err := c.open(ctx, method, path, query, accept)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, answerLimit+1))
	if err != nil {
		return nil, fmt.Errorf("rayapi: %s: %w", path, err)
	}
	if len(body) > answerLimit {
		return nil, fmt.Errorf("rayapi: %s: the answer is larger than %d MiB", path, answerLimit>>20)
	}
	if accept == "application/json" && isPage(res.Header, body) {
		return nil, &PageError{Path: path, Title: title(body)}
	}
	return body, nil
}

// open sends a request. The caller closes the answer's body. It fails with a *StatusError if the status isn't 200.
func (c *Client) open(ctx context.Context, method, path string, query url.Values, accept string) (*http.Response, error) {
	u := c.base.JoinPath(path)
	if strings.HasSuffix(path, "/") && !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("rayapi: %w", err)
	}
	req.Header.Set("Accept", accept)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("rayapi: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		says, _ := io.ReadAll(io.LimitReader(res.Body, 300))
		e := &StatusError{Path: path, Code: res.StatusCode, Says: strings.TrimSpace(string(says)), Location: elsewhere(res)}
		if isPage(res.Header, says) {
			e.Says = "a web page, not an answer of Ray's"
		}
		return nil, e
	}
	return res, nil
}

func (c *Client) getJSON(ctx context.Context, path string, query url.Values, into any) error {
	body, err := c.get(ctx, path, query)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("rayapi: %s: %w", path, err)
	}
	return nil
}

// Version identifies the Ray version and the session of a cluster.
type Version struct {
	Ray     string `json:"ray_version"`
	Session string `json:"session_name"`
}

// Version requests the Ray version and the session.
func (c *Client) Version(ctx context.Context) (v Version, err error) {
	err = c.getJSON(ctx, "/api/version", nil, &v)
	return v, err
}
