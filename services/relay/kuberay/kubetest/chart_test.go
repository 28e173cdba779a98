package kubetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	clientset "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

const deployments = "../../../../deployments"

// warnings are what the API server says besides its answers.
type warnings struct {
	mu   sync.Mutex
	said []string
}

func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, text)
}

// TestChart applies all that the chart renders to Kubernetes' API server, which refuses unknown fields, in namespaces that refuse pods
// beyond the Pod Security Standard “restricted”. Each is applied twice: the second time must change nothing.
func TestChart(t *testing.T) {
	access, objects := apiServer(t)
	extensions, err := clientset.NewForConfig(access)
	if err != nil {
		t.Fatal(err)
	}
	define(t, serviceMonitor(), extensions, objects)
	rendered, err := filepath.Glob(deployments + "/helm/charttest/testdata/*.yaml")
	if err != nil || len(rendered) < 6 {
		t.Fatal(rendered, err)
	}
	for _, file := range append(rendered, deployments+"/kustomize/base/headway.yaml", deployments+"/kubernetes/relay.yaml", deployments+"/kubernetes/relay-cluster.yaml") {
		t.Run(filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			namespace := "n-" + strings.TrimSuffix(filepath.Base(file), ".yaml") + "-" + filepath.Base(filepath.Dir(file))
			applyAll(t, access, bytes.ReplaceAll(text, []byte("RELAY_NAMESPACE"), []byte(namespace)), namespace)
		})
	}
}

func applyAll(t *testing.T, access *rest.Config, text []byte, namespace string) {
	t.Helper()
	said := &warnings{}
	config := rest.CopyConfig(access)
	config.WarningHandlerWithContext = said
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	found, err := discovery.NewDiscoveryClientForConfig(access)
	if err != nil {
		t.Fatal(err)
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))
	makeNamespace(t, client, namespace)
	applied := 0
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(&o.Object); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(o.Object) == 0 {
			continue
		}
		mapping, err := mapper.RESTMapping(o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
		if err != nil {
			t.Fatal(err)
		}
		objects := dynamic.ResourceInterface(client.Resource(mapping.Resource))
		if mapping.Scope.Name() == "namespace" {
			at := namespace
			if o.GetNamespace() != "" {
				at = o.GetNamespace()
				makeNamespace(t, client, at)
			}
			objects = client.Resource(mapping.Resource).Namespace(at)
		}
		data, err := o.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		force := true
		apply := func() *unstructured.Unstructured {
			got, err := objects.Patch(t.Context(), o.GetName(), "application/apply-patch+yaml", data,
				metav1.PatchOptions{FieldManager: "chart", FieldValidation: metav1.FieldValidationStrict, Force: &force})
			if err != nil {
				t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
			}
			return got
		}
		first := apply()
		if second := apply(); second.GetResourceVersion() != first.GetResourceVersion() {
			t.Errorf("%s %s changes when it is applied again", o.GetKind(), o.GetName())
		}
		applied++
		if o.GetKind() == "ServiceMonitor" {
			into[monitoring.ServiceMonitor](t, o.GetName(), o.Object)
		}
		if o.GetKind() == "Deployment" {
			podOf(t, client, first, namespace)
		}
	}
	if applied == 0 {
		t.Error("nothing was applied")
	}
	for _, w := range said.said {
		t.Errorf("the API server warns: %s", w)
	}
}

// podOf makes a pod of a deployment, as its controller would.
func podOf(t *testing.T, client dynamic.Interface, o *unstructured.Unstructured, namespace string) {
	t.Helper()
	var d apps.Deployment
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &d); err != nil {
		t.Fatal(err)
	}
	pod := &core.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: *d.Spec.Template.ObjectMeta.DeepCopy(), Spec: d.Spec.Template.Spec}
	pod.Name = d.Name
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(pod)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Resource(pods).Namespace(namespace).Create(t.Context(), &unstructured.Unstructured{Object: object}, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}); err != nil {
		t.Errorf("a pod of %s: %v", d.Name, err)
	}
	// The same pod as root is refused, so the standard is in force.
	root := false
	pod.Name, pod.Spec.SecurityContext.RunAsNonRoot = d.Name+"-root", &root
	if object, err = runtime.DefaultUnstructuredConverter.ToUnstructured(pod); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Resource(pods).Namespace(namespace).Create(t.Context(), &unstructured.Unstructured{Object: object}, metav1.CreateOptions{}); err == nil || !strings.Contains(err.Error(), "PodSecurity") {
		t.Errorf("a pod that may run as root: %v", err)
	}
}

func makeNamespace(t *testing.T, client dynamic.Interface, name string) {
	t.Helper()
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{
		"name": name, "labels": map[string]any{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"},
	}}}
	if _, err := client.Resource(namespaces).Apply(t.Context(), name, o, metav1.ApplyOptions{FieldManager: "test", Force: true}); err != nil {
		t.Fatal(err)
	}
}

// serviceMonitor knows the kind alone: the operator's definition is in no module that has only that. Its fields are read with the
// operator's own types.
func serviceMonitor() *apiextensions.CustomResourceDefinition {
	keep := true
	group := monitoring.SchemeGroupVersion
	return &apiextensions.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "servicemonitors." + group.Group},
		Spec: apiextensions.CustomResourceDefinitionSpec{
			Group: group.Group, Scope: apiextensions.NamespaceScoped,
			Names: apiextensions.CustomResourceDefinitionNames{Plural: "servicemonitors", Singular: "servicemonitor", Kind: "ServiceMonitor", ListKind: "ServiceMonitorList"},
			Versions: []apiextensions.CustomResourceDefinitionVersion{{
				Name: group.Version, Served: true, Storage: true,
				Schema: &apiextensions.CustomResourceValidation{OpenAPIV3Schema: &apiextensions.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &keep}},
			}},
		},
	}
}

// The rights tests below use what the chart renders. It gives no verb that writes.
func TestChartOnlyReads(t *testing.T) {
	for _, file := range []string{"relay.yaml", "relay-cluster.yaml"} {
		text, err := os.ReadFile(filepath.Join(deployments, "kubernetes", file))
		if err != nil {
			t.Fatal(err)
		}
		rules := 0
		for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
			var role struct {
				Rules []struct{ APIGroups, Resources, Verbs []string }
			}
			if err := decoder.Decode(&role); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			for _, r := range role.Rules {
				rules++
				for _, verb := range r.Verbs {
					if !slices.Contains([]string{"get", "list", "watch"}, verb) {
						t.Errorf("%s: %v on %v", file, verb, r.Resources)
					}
				}
				if slices.Contains(r.Resources, "*") || slices.Contains(r.APIGroups, "*") || slices.Contains(r.Resources, "secrets") {
					t.Errorf("%s: %v", file, r)
				}
			}
		}
		if rules == 0 {
			t.Errorf("%s has no rules", file)
		}
	}
}
