package kuberay

import (
	"context"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// change is one message from the API server: either the list of all objects, or one object that was added, changed or
// deleted.
type change struct {
	jobs []*rayJob
	all  map[string]bool // of a whole list: the keys of all objects, including those that can't be read
	gone bool
}

// follow lists the objects and watches for changes until ctx ends. A watch that ends is resumed at the version it had
// reached. The objects are listed again only when the API server no longer has that version.
func (s *Source) follow(ctx context.Context, changes chan<- change) {
	retry := backoff.NewExponentialBackOff(backoff.WithInitialInterval(s.o.Retry), backoff.WithMultiplier(2),
		backoff.WithMaxInterval(30*time.Second), backoff.WithMaxElapsedTime(0))
	tell := func(c change) error {
		if c.all == nil { // the watch works
			retry.Reset()
		}
		select {
		case changes <- c:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for version := ""; ; {
		var err error
		version, err = s.once(ctx, version, tell)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			retry.Reset()
		case refused(err, http.StatusGone):
			version = ""
		default:
			s.o.Logger.Warn("watching RayJobs failed, will retry", "error", err)
		}
		select {
		case <-time.After(retry.NextBackOff()):
		case <-ctx.Done():
			return
		}
	}
}

// once lists the objects if no version is known, then watches for changes. It returns the version that the watch
// reached.
func (s *Source) once(ctx context.Context, version string, tell func(change) error) (string, error) {
	if version == "" {
		list, err := s.server.list(ctx, s.rayJobs(), nil)
		if err != nil {
			return "", err
		}
		whole := change{all: map[string]bool{}}
		for _, object := range list.Items {
			j, err := decode(object)
			whole.all[j.key()] = true
			if err != nil {
				s.o.Logger.Warn("reading RayJob failed", "error", err)
				continue
			}
			whole.jobs = append(whole.jobs, j)
		}
		if err := tell(whole); err != nil {
			return "", err
		}
		version = list.Metadata.ResourceVersion
	}
	err := s.server.watch(ctx, s.rayJobs(), version, func(e event) error {
		j, err := decode(e.Object)
		if j.Metadata.ResourceVersion != "" {
			version = j.Metadata.ResourceVersion
		}
		switch {
		case err != nil:
			s.o.Logger.Warn("reading RayJob failed", "error", err)
		case e.Type != "BOOKMARK":
			return tell(change{jobs: []*rayJob{j}, gone: e.Type == "DELETED"})
		}
		return nil
	})
	return version, err
}
