package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
	"github.com/headwayhq/headway/services/internal/program"
)

// handler answers a request of a principal. Only a principal leads to a namespace, so no handler can forget to ask it.
type handler func(echo.Context, *access.Principal) error

// route is one route, and what its callers have to be allowed to do.
type route struct {
	method, path string
	needs        access.Action
	handle       handler
}

// table has all routes. A GET is also a HEAD.
func (s *Service) table() []route {
	const (
		get    = http.MethodGet
		post   = http.MethodPost
		batch  = "/v1/analytics/performance/batches/:batch_id/diagnostics"
		remove = http.MethodDelete
	)
	return []route{
		{get, batch, access.Read, orPast(s.getDiagnostics, s.getPast)},
		{get, batch + "/stream", access.Read, orPast(s.streamDiagnostics, noPastStream)},
		{get, batch + "/explain", access.Inspect, orPast(s.explainDiagnostics, s.explainPast)},
		{get, "/v1/batches", access.Read, s.getBatches},
		{get, "/v1/batches/stream", access.Read, s.streamBatches},
		{get, "/v1/batches/groups", access.Inspect, s.getGroups},
		{remove, "/v1/batches/:batch_id", access.Operate, s.eraseBatch},
		{get, "/v1/batches/history", access.Inspect, s.getFinished},
		{get, "/v1/batches/history/days", access.Inspect, s.getFinishedDays},
		{get, "/v1/pipelines/:pipeline/runs", access.Inspect, s.getRuns},
		{get, "/v1/health-events", access.Inspect, s.getChanges},
		{get, "/v1/namespaces", access.Inspect, s.getNamespaces},
		{get, "/v1/me", access.Known, s.getMe},
		{post, "/v1/session", access.Anybody, public(s.signIn)},
		{remove, "/v1/session", access.Anybody, public(s.signOut)},
		{get, "/v1/session/providers", access.Anybody, public(s.getSignInOptions)},
		{get, access.LoginPath, access.Anybody, public(s.beginSignIn)},
		{get, access.CallbackPath, access.Anybody, public(s.endSignIn)},
		{post, "/v1/stream-tickets", access.Read, s.makeTicket},
		{post, "/v1/public-tokens", access.Send, s.makePublicToken},
		{post, "/v1/events", access.Send, s.postEvents},
		{http.MethodOptions, "/v1/events", access.Anybody, public(allowWebhook)},
		{get, "/v1/keys", access.Manage, s.getKeys},
		{post, "/v1/keys", access.Manage, s.createKey},
		{remove, "/v1/keys/:key_id", access.Manage, s.revokeKey},
		{post, "/v1/keys/:key_id/rotate", access.Manage, s.rotateKey},
		{get, "/livez", access.Anybody, public(s.livez)},
		{get, "/readyz", access.Anybody, s.readyz},
		{get, "/metrics", access.Operate, s.getMetrics},
		{get, "/openapi.json", access.Anybody, public(s.description(openAPIZipped))},
		{get, "/asyncapi.json", access.Anybody, public(s.description(asyncAPIZipped))},
		{get, "/docs", access.Anybody, public(s.getDocs)},
		{get, "/", access.Anybody, public(s.getPage)},
		{get, "/batches/:batch_id", access.Anybody, public(s.getPage)},
		{get, "/pipelines/:pipeline", access.Anybody, public(s.getPage)},
		{get, "/assets/*", access.Anybody, public(s.getAsset)},
	}
}

// public makes a handler of one that answers everybody in the same way.
func public(h echo.HandlerFunc) handler {
	return func(c echo.Context, _ *access.Principal) error { return h(c) }
}

func (s *Service) routes() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = echo.ExtractIPDirect() // no proxy is trusted
	e.HTTPErrorHandler = s.onError
	e.Use(s.measured, s.recovered, readable)
	for _, r := range s.table() {
		h := s.admit(r)
		e.Add(r.method, r.path, h)
		if r.method == http.MethodGet {
			e.HEAD(r.path, h)
		}
	}
	return e
}

// admit lets a route's callers in: those whose credential is valid, and has a role for what the route does.
func (s *Service) admit(r route) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.keys == nil {
			return r.handle(c, access.Everybody())
		}
		var p *access.Principal
		var no *access.Refusal
		if s.tickets != nil && hasTicket(c.Request()) {
			p, no = s.byTicket(c, r.needs)
		} else {
			p, no = s.keys.Authenticate(c.Request())
		}
		switch {
		case no == nil:
			if no = p.May(r.needs); no != nil {
				return refusal(no)
			}
			if err := s.limiter.enter(p); err != nil {
				return err
			}
			return r.handle(c, p.For(r.needs))
		case r.needs == access.Anybody:
			return r.handle(c, access.Stranger())
		}
		return refusal(no)
	}
}

// untilEnded serves a stream of a principal until its credential ends. Then the stream's last event says why, as a problem.
func untilEnded(p *access.Principal, serve func(context.Context, *push.Writer) error) func(context.Context, *push.Writer) error {
	return func(ctx context.Context, out *push.Writer) error {
		ctx, done := p.During(ctx)
		defer done()
		err := serve(ctx, out)
		why := access.Ended(ctx)
		if why == nil || err != nil && !errors.Is(err, errOver) { // after a write that failed, nothing can be written
			return err
		}
		body, _ := json.Marshal(refusal(why).p)
		return out.Events(push.AppendEvent(nil, "", "problem", body))
	}
}

// refusal is the answer to a request that isn't allowed.
func refusal(r *access.Refusal) *problemError {
	return problem(r.Status, r.Kind, r.Detail).retry(r.Retry).because(r)
}

// Stranger reports whether the sender of a request may learn nothing about the server.
func (s *Service) Stranger(r *http.Request) bool {
	if s.keys == nil {
		return false
	}
	p, no := s.keys.Authenticate(r)
	return no != nil || p.Public() != nil
}

// elsewhere is the answer to a request for a namespace that isn't the caller's, whether it exists or not: that of a batch which doesn't
// exist.
func (s *Service) elsewhere(ns, batch string) error {
	if f := s.source.latest[s.source.partition(ns, batch)].Load(); f != nil {
		return notFound(f.goneBefore)
	}
	return notFound(time.Time{})
}

func (s *Service) getMetrics(c echo.Context, p *access.Principal) error {
	if !p.Namespaces.All() {
		return problem(http.StatusForbidden, "namespaces_missing", "Metrics are of all namespaces. This needs a key whose namespaces are *.")
	}
	return echo.WrapHandler(program.Metrics(s.metrics.gatherer))(c)
}
