package kubetest

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	rbac "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/headwayhq/headway/services/relay"
	"github.com/headwayhq/headway/services/relay/kuberay"
)

// rights holds deployments/kubernetes/relay.yaml against the API server's own authorization: an account with that role learns why
// an image isn't pulled. Without one of its rules it says which right is missing, and uses it once it is granted.
func rights(t *testing.T, access *rest.Config, client dynamic.Interface) {
	const namespace = "rights"
	h := newHeard()
	s := &stage{t: t, client: client, namespace: namespace, clock: new(clock), heard: h}
	s.apply(namespaces, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace}})
	role := install(t, client, namespace)
	typed, err := kubernetes.NewForConfig(access)
	if err != nil {
		t.Fatal(err)
	}
	token, err := typed.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), "headway-relay", &authentication.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	whole := append([]rbac.PolicyRule{}, role.Rules...)
	grant := func(rules []rbac.PolicyRule) {
		t.Helper()
		if role, err = typed.RbacV1().Roles(namespace).Get(t.Context(), role.Name, metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
		role.Rules = rules
		if _, err := typed.RbacV1().Roles(namespace).Update(t.Context(), role, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	grant(without(whole, "pods"))
	image := stories(t)["conditions-alone"][0]
	image.Lacks = nil
	image.Says = nil
	s.play([]state{image})

	account := rest.AnonymousClientConfig(access)
	account.BearerToken = token.Status.Token
	options, err := (&kuberay.Flags{KubeConfig: kubeConfig(t, account), KubeNamespace: namespace}).Options()
	if err != nil {
		t.Fatal(err)
	}
	options.Now, options.Tick, options.Denied = s.clock.now, 100*time.Millisecond, 100*time.Millisecond
	watch(t, options, h)
	const missing = "the right to list pods in namespace rights is missing"
	h.await(t, "rayjob "+s.uid, "nightly-1", missing, func(o relay.Observation) bool {
		return o.Waits != nil && o.Waits.Code == "IMAGE:PULL_FAILED" && len(o.Waits.Asked) == 2 && o.Waits.Asked[0].Says == missing && strings.Contains(o.Waits.Detail, "not found")
	})
	grant(whole)
	h.await(t, "rayjob "+s.uid, "nightly-1", "nothing is missing", func(o relay.Observation) bool {
		return o.Waits != nil && o.Waits.Code == "IMAGE:PULL_FAILED" && len(o.Waits.Asked) == 0
	})
	pods := stories(t)["image"][2]
	pods.Object, pods.Status = image.Object, nil
	s.set(image.Object, image.Object["status"].(map[string]any), &pods)
	h.await(t, "rayjob "+s.uid, "nightly-1", "the pod's own words", func(o relay.Observation) bool {
		return o.Waits != nil && o.Waits.Code == "IMAGE:PULL_FAILED" && strings.Contains(o.Waits.Detail, "head pod nightly-a-head-9k: container ray-head can't pull")
	})
}

// logRights: the last lines of a container that ends again and again are asked for under a right of their own. This server has no
// kubelet that could answer, so with the right it is the way to the kubelet that fails.
func logRights(t *testing.T, access *rest.Config, client dynamic.Interface) {
	typed, err := kubernetes.NewForConfig(access)
	if err != nil {
		t.Fatal(err)
	}
	for namespace, granted := range map[string]bool{"logs": true, "no-logs": false} {
		h := newHeard()
		s := &stage{t: t, client: client, namespace: namespace, clock: new(clock), heard: h}
		s.apply(namespaces, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace}})
		role := install(t, client, namespace)
		if !granted {
			if role, err = typed.RbacV1().Roles(namespace).Get(t.Context(), role.Name, metav1.GetOptions{}); err != nil {
				t.Fatal(err)
			}
			role.Rules = without(role.Rules, "pods/log")
			if _, err := typed.RbacV1().Roles(namespace).Update(t.Context(), role, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		token, err := typed.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), "headway-relay", &authentication.TokenRequest{}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		account := rest.AnonymousClientConfig(access)
		account.BearerToken = token.Status.Token
		options, err := (&kuberay.Flags{KubeConfig: kubeConfig(t, account), KubeNamespace: namespace}).Options()
		if err != nil {
			t.Fatal(err)
		}
		options.Now, options.Tick = s.clock.now, 100*time.Millisecond
		story := stories(t)["container"]
		story[0].Says, story[2].Says = nil, nil
		s.play([]state{story[0], story[2]})
		watch(t, options, h)
		why := h.awaitLog(t, "rayjob "+s.uid)
		missing := "The log can't be read: the right to get pods/log in namespace " + namespace + " is missing."
		if (why == missing) == granted || why == "" {
			t.Errorf("granted %v: %q", granted, why)
		}
	}
}

// without returns the rules without a resource.
func without(rules []rbac.PolicyRule, resource string) (out []rbac.PolicyRule) {
	for _, r := range rules {
		if r.Resources[0] != resource {
			out = append(out, r)
		}
	}
	return out
}

// install makes the objects of relay.yaml.
func install(t *testing.T, client dynamic.Interface, namespace string) *rbac.Role {
	t.Helper()
	text, err := os.ReadFile("../../../../deployments/kubernetes/relay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("RELAY_NAMESPACE"), []byte(namespace))
	role := &rbac.Role{}
	resources := map[string]schema.GroupVersionResource{
		"ServiceAccount": {Version: "v1", Resource: "serviceaccounts"},
		"Role":           rbac.SchemeGroupVersion.WithResource("roles"),
		"RoleBinding":    rbac.SchemeGroupVersion.WithResource("rolebindings"),
	}
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(&o.Object); err == io.EOF { //nolint:errorlint // it is never wrapped
			return role
		} else if err != nil {
			t.Fatal(err)
		}
		if o.GetKind() == "Role" {
			role = into[rbac.Role](t, "relay.yaml", o.Object)
		}
		if _, err := client.Resource(resources[o.GetKind()]).Namespace(namespace).Create(t.Context(), o, strict); err != nil {
			t.Fatal(err)
		}
	}
}
