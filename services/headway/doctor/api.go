package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/services/api/access"
)

// api checks whether the API is ready, and what the given credential reaches there.
func (x *examination) api(ctx context.Context) {
	var status *client.StatusError
	switch err := x.call(ctx, http.MethodGet, "/readyz"); {
	case err == nil:
		x.sayf("api", OK, "", "reached at %s, ready", x.o.BareURL)
	case !errors.As(err, &status):
		x.sayf("api", Wrong, "Start headway run, or api, or name another with --url.", "%s can't be reached: %s", x.o.BareURL, cause(err))
		x.sayf("credential", Unknown, "", "the API wasn't reached; %s", x.o.As)
		x.sayf("api access", Unknown, "", "the API wasn't reached")
		return
	case status.Status == http.StatusServiceUnavailable:
		x.sayf("api", Wrong, "See lag above: the API is ready when Redis answers and the views were complete once.", "reached at %s, not ready: %s", x.o.BareURL, status.Detail)
	default:
		x.sayf("api", Wrong, "See whether --url names Headway's API.", "%s answers %d: %s", x.o.BareURL, status.Status, status.Detail)
		return
	}
	if x.credential(ctx) {
		x.reach(ctx)
	}
}

// expiresSoon is how long before a credential's end the doctor says so.
const expiresSoon = 7 * 24 * time.Hour

// credential says whose credential is in use. It reports whether the API accepts it.
func (x *examination) credential(ctx context.Context) bool {
	ctx, cancel := x.limited(ctx)
	defer cancel()
	me, err := x.o.API.Me(ctx)
	var status *client.StatusError
	switch {
	case errors.As(err, &status) && status.Status == http.StatusNotFound:
		x.sayf("credential", OK, "", "%s; this API doesn't say whose it is", x.o.As)
		return true
	case errors.As(err, &status) && status.Status == http.StatusUnauthorized:
		x.sayf("credential", Wrong, "Sign in with headway login, or give a valid key with HEADWAY_TOKEN or --token-file.", "%s; refused (%s): %s", x.o.As, status.Kind, status.Detail)
		x.sayf("api access", Unknown, "", "the credential is refused")
		return false
	case err != nil:
		x.sayf("credential", Unknown, "", "%s; no answer: %s", x.o.As, cause(err))
		x.sayf("api access", Unknown, "", "no answer")
		return false
	case me.Access == "none":
		x.sayf("credential", OK, "", "%s; the API has no access control, so everybody may do everything", x.o.As)
		return true
	}
	state, do, ends := OK, "", "never ends"
	if me.Expires != nil {
		ends = "ends at " + me.Expires.UTC().Format(time.RFC3339)
		if time.Until(*me.Expires) < expiresSoon {
			state, do = Note, "Get a new one before it ends: headway keys create, or headway keys rotate."
		}
	}
	x.sayf("credential", state, do, "%s; %s %s, %s in %s, %s", x.o.As, me.Access, named(me), strings.Join(me.Roles, " and "), strings.Join(me.Namespaces, ", "), ends)
	switch {
	case x.o.Namespace != "" && !access.Namespaces(me.Namespaces).Has(x.o.Namespace):
		x.sayf("api access", Wrong, "Name one of "+strings.Join(me.Namespaces, ", ")+" with --namespace, or use another credential.", "the namespace %s isn't the credential's", x.o.Namespace)
		return false
	case x.o.Namespace == "" && me.Default == nil:
		x.sayf("api access", Wrong, "Name one of "+strings.Join(me.Namespaces, ", ")+" with --namespace.", "the credential has several namespaces, so one has to be named")
		return false
	}
	return true
}

func named(me client.Me) string {
	if me.Name == "" {
		return me.ID
	}
	return fmt.Sprintf("%s (%s)", me.ID, me.Name)
}

// reach asks what the credential may do, by doing what changes nothing.
func (x *examination) reach(ctx context.Context) {
	where := "the namespace " + x.o.Namespace
	if x.o.Namespace == "" {
		where = "its namespace"
	}
	var may, not []string
	for _, try := range []struct{ what, method, path string }{
		{"read " + where, http.MethodGet, "/v1/batches?limit=1"},
		{"send events to it", http.MethodPost, "/v1/events"}, // without any: who may send is refused only because of that
		{"manage keys", http.MethodGet, "/v1/keys"},
	} {
		var status *client.StatusError
		switch err := x.call(ctx, try.method, try.path); {
		case err == nil, errors.As(err, &status) && status.Status == http.StatusUnsupportedMediaType:
			may = append(may, try.what)
		case errors.As(err, &status) && status.Status == http.StatusForbidden:
			not = append(not, try.what)
		case errors.As(err, &status) && status.Kind == "access_off": // nobody has keys
		case errors.As(err, &status):
			x.sayf("api access", Unknown, "", "%s: %d: %s", try.what, status.Status, status.Detail)
			return
		default:
			x.sayf("api access", Unknown, "", "%s: no answer: %s", try.what, cause(err))
			return
		}
	}
	says := "may do nothing here"
	if len(may) > 0 {
		says = "may " + strings.Join(may, ", ")
	}
	if len(not) > 0 {
		says += "; may not " + strings.Join(not, ", ")
	}
	x.sayf("api access", OK, "", "%s", says)
}

func (x *examination) call(ctx context.Context, method, path string) error {
	ctx, cancel := x.limited(ctx)
	defer cancel()
	return x.o.API.Call(ctx, method, path, nil, nil)
}
