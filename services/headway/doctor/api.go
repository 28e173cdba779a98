package doctor

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// api checks whether the API is ready, and whether the given credential has access to the namespace.
func (x *examination) api(ctx context.Context) {
	status, message, err := x.get(ctx, "/readyz")
	switch {
	case err != nil:
		x.sayf("api", Wrong, "Start headway run, or api, or name another with --url.", "%s can't be reached: %s", x.o.BareURL, cause(err))
		x.sayf("api access", Unknown, "", "the API wasn't reached")
		return
	case status == http.StatusServiceUnavailable:
		x.sayf("api", Wrong, "See lag above: the API is ready when Redis answers and the views were complete once.", "reached at %s, not ready: %s", x.o.BareURL, message)
	case status != http.StatusOK:
		x.sayf("api", Wrong, "See whether --url names Headway's API.", "%s answers %d: %s", x.o.BareURL, status, message)
		return
	default:
		x.sayf("api", OK, "", "reached at %s, ready", x.o.BareURL)
	}
	status, message, err = x.get(ctx, "/v1/batches?limit=1")
	switch {
	case err != nil:
		x.sayf("api access", Unknown, "", "no answer: %s", cause(err))
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		x.sayf("api access", Wrong, "Give a valid token with HEADWAY_TOKEN or --token, and its --namespace.", "refused: %s", message)
	case status == http.StatusOK:
		x.sayf("api access", OK, "", "namespace %s can be read", x.o.Namespace)
	default:
		x.sayf("api access", Unknown, "", "%d: %s", status, message)
	}
}

func (x *examination) get(ctx context.Context, path string) (status int, message string, err error) {
	ctx, cancel := x.limited(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(x.o.URL, "/")+path, nil)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("X-Namespace", x.o.Namespace)
	if x.o.Token != "" {
		r.Header.Set("Authorization", "Bearer "+x.o.Token)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return 0, "", err
	}
	var problem struct {
		Error struct{ Message string }
	}
	if json.Unmarshal(body, &problem) != nil || problem.Error.Message == "" {
		problem.Error.Message = http.StatusText(response.StatusCode)
	}
	return response.StatusCode, problem.Error.Message, nil
}
