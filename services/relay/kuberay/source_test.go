package kuberay

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/headwayhq/headway/services/relay"
)

func newFake(objects ...runtime.Object) *fake.FakeDynamicClient {
	return fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{rayJobs: "RayJobList", podsV1: "PodList"}, objects...)
}

// watching is closed once the source's watch stands: what the stand-in is told before, it tells nobody.
func watching(client *fake.FakeDynamicClient) <-chan struct{} {
	stands := make(chan struct{})
	var once sync.Once
	client.PrependWatchReactor("rayjobs", func(clienttesting.Action) (bool, watch.Interface, error) {
		w, err := client.Tracker().Watch(rayJobs, "")
		once.Do(func() { close(stands) })
		return true, w, err
	})
	return stands
}

// running runs a source until the test ends, and returns what it yields.
func running(t *testing.T, client *fake.FakeDynamicClient) <-chan []relay.Observation {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	seen, done := make(chan []relay.Observation), make(chan error, 1)
	go func() {
		done <- New(Options{Client: client, Pods: time.Millisecond}).Run(ctx, func(_ context.Context, o ...relay.Observation) error {
			select {
			case seen <- o:
			case <-ctx.Done():
			}
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return seen
}

// await reads until a line begins as wanted, and returns it.
func await(t *testing.T, seen <-chan []relay.Observation, begin string) string {
	t.Helper()
	var heard []string
	for {
		select {
		case o := <-seen:
			lines := said(o)
			if i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, begin) }); i >= 0 {
				return lines[i]
			}
			heard = append(heard, lines...)
		case <-t.Context().Done():
			t.Fatalf("nothing begins with %q: %q", begin, heard)
		}
	}
}

func TestSourceWatches(t *testing.T) {
	states := stories(t)["image_never_comes"]
	client := newFake()
	pods := client.Resource(podsV1).Namespace("search")
	for _, p := range states[0].Pods {
		if _, err := pods.Create(t.Context(), &unstructured.Unstructured{Object: p}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	stands := watching(client)
	seen := running(t, client)
	<-stands
	api := client.Resource(rayJobs).Namespace("search")
	if _, err := api.Create(t.Context(), &unstructured.Unstructured{Object: states[0].Object}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, seen, states[0].Says[0])
	await(t, seen, states[0].Says[0]) // looked at again, without a change of the object
	if _, err := api.Update(t.Context(), &unstructured.Unstructured{Object: states[2].Object}, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, seen, states[2].Says[0])
	if err := api.Delete(t.Context(), "nightly", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, seen, "nightly-1  @")
}

// An account that may not list pods still gets the rest.
func TestSourceWithoutPods(t *testing.T) {
	states := stories(t)["image_never_comes"]
	client := newFake(&unstructured.Unstructured{Object: states[0].Object})
	client.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(podsV1.GroupResource(), "", errors.New("no"))
	})
	await(t, running(t, client), "nightly-1 PENDING @10:00:05 waits node_launch")
}

// Who stops while a failure is held back tells of it.
func TestSourceStopsWhileRetrying(t *testing.T) {
	states := stories(t)["retried"]
	s := New(Options{Client: newFake()})
	for _, state := range states[:3] {
		s.take(t.Context(), change{object: &unstructured.Unstructured{Object: state.Object}})
	}
	var told []string
	s.giveUp(func(_ context.Context, o ...relay.Observation) error { told = append(told, said(o)...); return nil })
	if want := states[4].Says[:1]; !slices.Equal(told, want) {
		t.Errorf("%q, not %q", told, want)
	}
}

func TestCheck(t *testing.T) {
	client := newFake(&unstructured.Unstructured{Object: stories(t)["quota"][0].Object})
	if n, err := New(Options{Client: client}).Check(t.Context()); n != 1 || err != nil {
		t.Error(n, err)
	}
	for _, c := range []struct {
		err  error
		says string
	}{
		{apierrors.NewNotFound(rayJobs.GroupResource(), ""), "is KubeRay installed?"},
		{apierrors.NewForbidden(rayJobs.GroupResource(), "", errors.New("no")), "needs the verbs list and watch on rayjobs.ray.io"},
	} {
		client.PrependReactor("list", "rayjobs", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, c.err })
		if _, err := New(Options{Client: client}).Check(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Error(err)
		}
	}
}
