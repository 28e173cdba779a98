package kuberay

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/headwayhq/headway/services/relay/proof"
)

// change is what was learned of a resource: the whole list of its objects, one object that was added, changed or deleted,
// or that it can't be read.
type change struct {
	of      *resource
	objects []json.RawMessage
	whole   bool
	gone    bool
	lacks   string // why it can't be read: mostly the right that is missing
	absent  bool   // the API server doesn't know it
}

// follow lists the objects of a resource and watches for changes until ctx ends. A watch that ends is resumed at the version
// it had reached. The objects are listed again only when the API server no longer has that version.
func (s *Source) follow(ctx context.Context, r *resource, changes chan<- change) {
	retry := backoff.NewExponentialBackOff(backoff.WithInitialInterval(s.o.Retry), backoff.WithMultiplier(2),
		backoff.WithMaxInterval(30*time.Second), backoff.WithMaxElapsedTime(0))
	f := &follower{source: s, of: r, tell: func(c change) error {
		if !c.whole && c.lacks == "" { // the watch works
			retry.Reset()
		}
		select {
		case changes <- c:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	for {
		err := f.once(ctx)
		wait := retry.NextBackOff()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			retry.Reset()
		case refused(err, http.StatusGone):
			f.version = ""
		case errors.Is(err, errNoWatch): // list again and again instead
			f.version, wait = "", s.o.Tick
		case f.otherVersion(err):
		case f.denied(err):
			wait = s.o.Denied // somebody has to grant a right or install something: that is no matter of seconds
		default:
			s.o.Logger.Warn("watching Kubernetes objects failed, will retry", "resource", r.name, "error", err)
			f.unread(err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// follower follows one resource.
type follower struct {
	source  *Source
	of      *resource
	group   int    // index of the version of the API group
	version string // that the watch reached; "" before the first list
	verb    string // of the last request
	listed  bool   // once
	tell    func(change) error
}

// once lists the objects if no version is known, then watches for changes until the watch ends.
func (f *follower) once(ctx context.Context) error {
	if f.version == "" {
		if err := f.list(ctx); err != nil {
			return err
		}
	}
	f.verb = "watch"
	return f.source.server.watch(ctx, f.path(), f.version, f.of.query(), func(e event) error {
		var o struct {
			Metadata struct {
				ResourceVersion string `json:"resourceVersion"`
			} `json:"metadata"`
		}
		if json.Unmarshal(e.Object, &o) == nil && o.Metadata.ResourceVersion != "" {
			f.version = o.Metadata.ResourceVersion
		}
		if e.Type == "BOOKMARK" {
			return nil
		}
		return f.tell(change{of: f.of, objects: []json.RawMessage{e.Object}, gone: e.Type == "DELETED"})
	})
}

func (f *follower) path() string { return f.of.path(f.of.groups[f.group], f.source.o.Namespace) }

// list tells all objects, and notes the version that the list has.
func (f *follower) list(ctx context.Context) error {
	f.verb = "list"
	list, err := f.source.server.list(ctx, f.path(), f.of.query())
	if err != nil {
		return err
	}
	if err := f.tell(change{of: f.of, objects: list.Items, whole: true}); err != nil {
		return err
	}
	f.version, f.listed = list.Metadata.ResourceVersion, true
	return nil
}

// unread tells that a resource fails before it was ever read. What was read before a failure counts until the next list.
func (f *follower) unread(err error) {
	if !f.listed && f.of.id != rayJobs.id {
		_ = f.tell(change{of: f.of, lacks: f.of.name + " can't be read: " + proof.Lines(err.Error())}) // it fails only with the context
	}
}

// otherVersion goes on to the next version of the API group if this one isn't served, and reports whether there is one.
func (f *follower) otherVersion(err error) bool {
	if !refused(err, http.StatusNotFound) {
		return false
	}
	f.group, f.version = (f.group+1)%len(f.of.groups), ""
	return f.group != 0
}

// denied tells that the API server doesn't serve the resource, or not to this account.
func (f *follower) denied(err error) bool {
	c := change{of: f.of}
	switch {
	case f.of.id == rayJobs.id:
		return false
	case refused(err, http.StatusNotFound):
		c.absent = true
	case refused(err, http.StatusForbidden):
		c.lacks = f.of.right(f.verb, f.source.o.Namespace)
	default:
		return false
	}
	_ = f.tell(c) // it fails only with the context
	return true
}
