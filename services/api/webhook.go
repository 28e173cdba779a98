package api

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// allowWebhook answers the handshake with which CloudEvents' webhooks ask whether they may deliver events here. Everybody may who
// may send events at all, and 429 says when there are too many. The address for a later permission (WebHook-Request-Callback) is
// never called: anybody could have the server send requests to it. All other requests, also the preflights of browsers, are
// answered like OPTIONS of the other routes, without permission.
func allowWebhook(c echo.Context) error {
	h := c.Response().Header()
	setCommon(h)
	h.Set("Allow", "OPTIONS, POST")
	origin := c.Request().Header.Get("Webhook-Request-Origin")
	if origin == "" || c.Request().Header.Get("Access-Control-Request-Method") != "" {
		return c.NoContent(http.StatusNoContent)
	}
	h.Set("Webhook-Allowed-Origin", origin)
	h.Set("Webhook-Allowed-Rate", "*")
	return c.NoContent(http.StatusOK)
}
