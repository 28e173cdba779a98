package kubetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.yaml.in/yaml/v3"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	clientset "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	"k8s.io/apiextensions-apiserver/test/integration/fixtures"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	sigsyaml "sigs.k8s.io/yaml"

	rayv1 "github.com/ray-project/kuberay/ray-operator/apis/ray/v1"

	"github.com/headwayhq/headway/services/relay"
	"github.com/headwayhq/headway/services/relay/kuberay"
)

var rayJobs = schema.GroupVersionResource{Group: "ray.io", Version: "v1", Resource: "rayjobs"}

// apiServer starts etcd and an API server that knows RayJobs.
func apiServer(t *testing.T) (*rest.Config, dynamic.Interface) {
	t.Helper()
	config := embed.NewConfig()
	config.Dir, config.LogLevel = t.TempDir(), "panic"
	config.UnsafeNoFsync = true
	client, peer := freeURL(t), freeURL(t)
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(etcd.Close)
	<-etcd.Server.ReadyNotify()
	t.Setenv("KUBE_INTEGRATION_ETCD_URL", client.String())
	stop, access, _, err := fixtures.StartDefaultServer(t)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	extensions, err := clientset.NewForConfig(access)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := dynamic.NewForConfig(access)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/ray-project/kuberay/ray-operator").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "config/crd/bases/ray.io_rayjobs.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var definition apiextensions.CustomResourceDefinition
	if err := sigsyaml.UnmarshalStrict(text, &definition); err != nil {
		t.Fatal(err)
	}
	if _, err := fixtures.CreateNewV1CustomResourceDefinition(&definition, extensions, objects); err != nil {
		t.Fatal(err)
	}
	return access, objects
}

func freeURL(t *testing.T) url.URL {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return url.URL{Scheme: "http", Host: ln.Addr().String()}
}

type state struct {
	At      string
	Object  map[string]any
	Status  map[string]any
	Pods    []map[string]any
	Deleted bool
	Says    []string
}

// TestStories gives each story to the server, which refuses what its definition doesn't know, and reads what the source says of it.
func TestStories(t *testing.T) {
	access, client := apiServer(t)
	transport, err := rest.HTTPClientFor(access)
	if err != nil {
		t.Fatal(err)
	}
	address, _, err := rest.DefaultServerUrlFor(access)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	seen := make(chan relay.Observation)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	source := kuberay.New(kuberay.Options{HTTP: transport, URL: address, Pods: 100 * time.Millisecond})
	go func() {
		done <- source.Run(ctx, func(_ context.Context, o ...relay.Observation) error {
			for _, o := range o {
				select {
				case seen <- o:
				case <-ctx.Done():
				}
			}
			return nil
		})
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for _, file := range files {
		name := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".yaml"), "_", "-")
		t.Run(name, func(t *testing.T) { play(t, client.Resource(rayJobs).Namespace("search"), name, read(t, file), seen) })
	}
	if n, err := source.Check(t.Context()); err != nil || n != len(files)-1 { // one was deleted
		t.Error(n, err)
	}
}

func read(t *testing.T, file string) (out []state) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var raw any
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		asYAML, err := yaml.Marshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		var s state
		if err := sigsyaml.UnmarshalStrict(asYAML, &s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
}

func play(t *testing.T, api dynamic.ResourceInterface, name string, states []state, seen <-chan relay.Observation) {
	t.Helper()
	strict := metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}
	object := &unstructured.Unstructured{Object: states[0].Object}
	object.SetName(name)
	status, _ := object.Object["status"].(map[string]any)
	delete(object.Object, "status")
	kept, err := api.Create(t.Context(), object, strict)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range states {
		if i > 0 {
			status = s.Status
		}
		switch {
		case s.Deleted:
			err = api.Delete(t.Context(), name, metav1.DeleteOptions{})
		case status != nil:
			kept.Object["status"] = status
			kept, err = api.UpdateStatus(t.Context(), kept, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict})
		}
		if err != nil {
			t.Fatalf("state %d: %v", i+1, err)
		}
		if status != nil {
			asYAML, _ := yaml.Marshal(kept.Object["status"])
			if err := sigsyaml.UnmarshalStrict(asYAML, new(rayv1.RayJobStatus)); err != nil {
				t.Errorf("state %d: KubeRay's own type: %v", i+1, err)
			}
		}
		for _, want := range s.Says {
			await(t, seen, "rayjob "+string(kept.GetUID()), want, name)
		}
	}
}

// await reads until the source says what a line says: of which submission, and which status, or that it is forgotten. Times are the
// server's, and this server has no pods.
func await(t *testing.T, seen <-chan relay.Observation, session, line, name string) {
	t.Helper()
	words := strings.Fields(line)
	if words[0] == "nightly" { // one that was never submitted goes by its object's name
		words[0] = name
	}
	for {
		select {
		case o := <-seen:
			if o.Session == session && o.Submission == words[0] && (string(o.Status) == words[1] || o.Forgotten && strings.Contains(line, "forgotten")) {
				return
			}
		case <-t.Context().Done():
			t.Fatalf("the source never says %q", line)
		}
	}
}
