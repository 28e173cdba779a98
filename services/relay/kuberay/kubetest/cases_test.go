package kubetest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	rayv1 "github.com/ray-project/kuberay/ray-operator/apis/ray/v1"
	"github.com/ray-project/kuberay/ray-operator/controllers/ray/utils"
	kueue "sigs.k8s.io/kueue/apis/kueue/v1beta2"
	visibility "sigs.k8s.io/kueue/apis/visibility/v1beta2"
	volcano "volcano.sh/apis/pkg/apis/scheduling/v1beta1"
)

// truthLine is a line of a story in /truth that is about Kubernetes.
type truthLine struct {
	At         float64        `json:"at"`
	Kubernetes map[string]any `json:"kubernetes"`
	Gone       bool           `json:"gone"`
}

// truthStories are the objects of the stories by which make truth measures what the relay says of RayJobs.
func truthStories(t *testing.T) map[string][]truthLine {
	t.Helper()
	files, err := filepath.Glob("../../../../truth/cases/kubernetes/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	out := map[string][]truthLine{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Buffer(nil, 1<<20); lines.Scan(); {
			var l truthLine
			if strings.HasPrefix(lines.Text(), "#") {
				continue
			}
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				t.Fatal(file, err)
			}
			if l.Kubernetes != nil {
				out[name] = append(out[name], l)
			}
		}
	}
	return out
}

// TestTruthTypes reads the objects of these stories with the Go types of those who write them, as TestTypes does.
func TestTruthTypes(t *testing.T) {
	for name, lines := range truthStories(t) {
		var head *corev1.Pod
		var conditions []metav1.Condition
		for i, l := range lines {
			switch l.Kubernetes["kind"] {
			case "RayJob":
				conditions = append(conditions, into[rayv1.RayJob](t, name, l.Kubernetes).Status.RayClusterStatus.Conditions...)
			case "RayCluster":
				conditions = into[rayv1.RayCluster](t, name, l.Kubernetes).Status.Conditions
			case "Pod":
				if pod := into[corev1.Pod](t, name, l.Kubernetes); pod.Labels[utils.RayNodeTypeLabelKey] == string(rayv1.HeadNode) {
					if head = pod; l.Gone {
						head = nil
					}
				}
			case "Event":
				kubeRays(t, name, into[corev1.Event](t, name, l.Kubernetes))
			case "Workload":
				kueues(t, name, into[kueue.Workload](t, name, l.Kubernetes))
			case "LocalQueue":
				into[kueue.LocalQueue](t, name, l.Kubernetes)
			case "PendingWorkloadsSummary":
				into[visibility.PendingWorkloadsSummary](t, name, l.Kubernetes)
			case "PodGroup":
				into[volcano.PodGroup](t, name, l.Kubernetes)
			default:
				t.Errorf("%s: nobody reads a %v", name, l.Kubernetes["kind"])
			}
			if i+1 == len(lines) || lines[i+1].At > l.At {
				kubeRaysConditions(t, name, conditions, head)
				conditions = nil
			}
		}
	}
}

// truthCases gives the objects of these stories to the server, which refuses what its definitions don't know.
func truthCases(t *testing.T, client dynamic.Interface) {
	for name, lines := range truthStories(t) {
		s := &stage{t: t, client: client, namespace: "truth-" + name}
		s.apply(namespaces, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": s.namespace}})
		for _, l := range lines {
			s.give(l.Kubernetes, l.Gone)
		}
	}
}

func (s *stage) give(object map[string]any, gone bool) {
	s.t.Helper()
	gvr, ok := kinds[object["kind"].(string)]
	if !ok { // an answer, not an object
		return
	}
	name := object["metadata"].(map[string]any)["name"].(string)
	now := int64(0)
	if gvr == pods || gvr == workloads || gone { // these limit what may change, so they are made anew
		err := s.client.Resource(gvr).Namespace(s.namespace).Delete(s.t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		if gone && err != nil {
			s.t.Fatal(name, err)
		}
	}
	if gone {
		return
	}
	for _, made := range []string{"managedFields", "deletionTimestamp", "deletionGracePeriodSeconds"} { // by the server
		unstructured.RemoveNestedField(object, "metadata", made)
	}
	switch gvr {
	case pods:
		object = wholePod(object)
	case workloads:
		object = wholeWorkload(object)
	}
	s.apply(gvr, object)
}
