package kuberay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	watchFor    = 5 * time.Minute  // the API server ends a watch after this time; the next one resumes at the version reached
	listTimeout = 30 * time.Second // for a whole list
)

// server reads objects from a Kubernetes API server with plain HTTP requests. client-go would link encoders, caches and
// types for every API group: 4 MB, a tenth of the program.
type server struct {
	http  *http.Client
	url   *url.URL
	asked atomic.Int64 // requests so far
}

// objects is the answer to a list request. Each object stays encoded, so that an unreadable one doesn't fail the
// others.
type objects struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

// event is one message of a watch.
type event struct {
	Type   string          `json:"type"` // ADDED, MODIFIED, DELETED, BOOKMARK or ERROR
	Object json.RawMessage `json:"object"`
}

// failure is a Kubernetes Status: the body of a rejected request, or the object of an ERROR event in a watch.
type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (f *failure) Error() string { return f.Message }

// errNoWatch says that the answer to a watch was none, but for example another list, as from a proxy that drops the query.
var errNoWatch = errors.New("the server doesn't answer watches")

// refused reports whether the API server answered with this status code.
func refused(err error, code int) bool {
	var f *failure
	return errors.As(err, &f) && f.Code == code
}

func (s *server) list(ctx context.Context, path string, query url.Values) (list objects, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	body, err := s.get(ctx, path, query)
	if err != nil {
		return list, err
	}
	defer body.Close()
	return list, json.NewDecoder(body).Decode(&list)
}

// watch passes each change after version to give. It returns without an error when the API server ends the watch.
func (s *server) watch(ctx context.Context, path, version string, query url.Values, give func(event) error) error {
	ctx, cancel := context.WithTimeout(ctx, watchFor+listTimeout)
	defer cancel()
	query.Set("watch", "true")
	query.Set("allowWatchBookmarks", "true")
	query.Set("resourceVersion", version)
	query.Set("timeoutSeconds", strconv.Itoa(int(watchFor.Seconds())))
	body, err := s.get(ctx, path, query)
	if err != nil {
		return err
	}
	defer body.Close()
	for stream := json.NewDecoder(body); ; {
		var e event
		if err := stream.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		if e.Type == "" {
			return errNoWatch
		}
		if e.Type == "ERROR" {
			f := new(failure)
			if err := json.Unmarshal(e.Object, f); err != nil {
				return fmt.Errorf("watch: %w", err)
			}
			return f
		}
		if err := give(e); err != nil {
			return err
		}
	}
}

func (s *server) get(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	address := s.url.JoinPath(path)
	address.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	req.Header.Set("Accept", "application/json, */*") // logs are plain text
	s.asked.Add(1)
	res, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer res.Body.Close()
	f := new(failure)
	_ = json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(f) // an answer from a proxy may not be a Status
	f.Code = res.StatusCode
	if f.Message == "" {
		f.Message = res.Status
	}
	return nil, f
}
