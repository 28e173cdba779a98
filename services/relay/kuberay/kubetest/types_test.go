package kubetest

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	sigsyaml "sigs.k8s.io/yaml"

	rayv1 "github.com/ray-project/kuberay/ray-operator/apis/ray/v1"
	"github.com/ray-project/kuberay/ray-operator/controllers/ray/utils"
	kueue "sigs.k8s.io/kueue/apis/kueue/v1beta2"
	visibility "sigs.k8s.io/kueue/apis/visibility/v1beta2"
	volcano "volcano.sh/apis/pkg/apis/scheduling/v1beta1"
)

// into reads an object of a story with the operator's own Go type, which knows each of its fields.
func into[T any](t *testing.T, where string, object any) *T {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	v := new(T)
	if err := sigsyaml.UnmarshalStrict(text, v); err != nil {
		t.Errorf("%s: %T: %v", where, v, err)
	}
	return v
}

// TestTypes reads all objects of the stories with the Go types of those who write them, and holds the words that no definition
// limits against their constants.
func TestTypes(t *testing.T) {
	seen := map[string]int{}
	for name, states := range stories(t) {
		for i, s := range states {
			where := name + ", state " + string(rune('1'+i))
			status := s.Status
			if s.Object != nil {
				status, _ = s.Object["status"].(map[string]any)
			}
			into[rayv1.RayJobStatus](t, where, status)
			var head *corev1.Pod
			for _, p := range s.Pods {
				pod := into[corev1.Pod](t, where, p)
				if pod.Labels[utils.RayNodeTypeLabelKey] == string(rayv1.HeadNode) {
					head = pod
				}
				seen["pod"]++
			}
			for _, e := range s.Events {
				kubeRays(t, where, into[corev1.Event](t, where, e))
				seen["event"]++
			}
			for _, w := range s.Workloads {
				kueues(t, where, into[kueue.Workload](t, where, w))
				seen["workload"]++
			}
			for _, g := range s.PodGroups {
				into[volcano.PodGroup](t, where, g)
				seen["podgroup"]++
			}
			conditions := into[rayv1.RayJobStatus](t, where, status).RayClusterStatus.Conditions
			if s.Cluster != nil {
				conditions = append(conditions, into[rayv1.RayCluster](t, where, s.Cluster).Status.Conditions...)
			}
			kubeRaysConditions(t, where, conditions, head)
			for _, c := range conditions {
				seen[c.Type]++
			}
		}
	}
	text, err := os.ReadFile("../testdata/pendingworkloads.json")
	if err != nil {
		t.Fatal(err)
	}
	if places := into[visibility.PendingWorkloadsSummary](t, "pendingworkloads.json", json.RawMessage(text)); len(places.Items) != 3 {
		t.Errorf("%+v", places)
	}
	for _, kind := range []string{"pod", "event", "workload", "podgroup", "ReplicaFailure", "HeadPodReady"} {
		if seen[kind] == 0 {
			t.Errorf("no story has a %s", kind)
		}
	}
}

var clusterConditions = []rayv1.RayClusterConditionType{
	rayv1.RayClusterProvisioned, rayv1.HeadPodReady, rayv1.RayClusterReplicaFailure, rayv1.RayClusterSuspending, rayv1.RayClusterSuspended,
}

// kubeRaysConditions holds the conditions of a RayCluster against KubeRay's types, and what they say of its head against KubeRay's own
// function.
func kubeRaysConditions(t *testing.T, where string, conditions []metav1.Condition, head *corev1.Pod) {
	t.Helper()
	for _, c := range conditions {
		if !slices.Contains(clusterConditions, rayv1.RayClusterConditionType(c.Type)) {
			t.Errorf("%s: KubeRay has no condition %q", where, c.Type)
		}
		if c.Type != string(rayv1.HeadPodReady) || head == nil {
			continue
		}
		if m := utils.FindHeadPodReadyCondition(head); m.Status != c.Status || m.Reason != c.Reason || strings.TrimSpace(m.Message) != strings.TrimSpace(c.Message) {
			t.Errorf("%s: of that head KubeRay says %s %s %q, not %s %s %q", where, m.Status, m.Reason, m.Message, c.Status, c.Reason, c.Message)
		}
	}
}

// kubeRays holds an event about one of KubeRay's objects against its reasons.
func kubeRays(t *testing.T, where string, e *corev1.Event) {
	t.Helper()
	if !strings.HasPrefix(e.InvolvedObject.Kind, "Ray") {
		return
	}
	if !slices.Contains([]utils.K8sEventType{
		utils.FailedToCreateRayJobSubmitter, utils.FailedToCreateRayCluster, utils.FailedToCreateHeadPod, utils.FailedToCreateWorkerPod,
		utils.CreatedRayCluster, utils.CreatedRayJobSubmitter, utils.CreatedHeadPod, utils.CreatedWorkerPod, utils.InvalidRayClusterSpec, utils.FailedToCreateServiceAccount, utils.RayClusterNotFound,
	}, utils.K8sEventType(e.Reason)) {
		t.Errorf("%s: KubeRay has no event %q", where, e.Reason)
	}
}

// kueues holds the conditions of a workload against Kueue's types and reasons, those of version 0.19 and those before it.
func kueues(t *testing.T, where string, w *kueue.Workload) {
	t.Helper()
	reasons := map[string][]string{
		kueue.WorkloadQuotaReserved: {
			"QuotaReserved", "Pending", kueue.WorkloadInadmissible, kueue.WorkloadQuotaReservedReasonWaitingForQuota,
			kueue.WorkloadQuotaReservedReasonSuspended, kueue.WorkloadQuotaReservedReasonMisconfigured,
		},
		kueue.WorkloadAdmitted:  {"Admitted", kueue.WorkloadAdmittedReasonUnsatisfiedAdmissionChecks, kueue.WorkloadAdmittedReasonNoReservation},
		kueue.WorkloadEvicted:   {kueue.WorkloadEvictedByPreemption, kueue.WorkloadDeactivated + "DueTo" + kueue.WorkloadRequeuingLimitExceeded},
		kueue.WorkloadPreempted: {kueue.InCohortReclamationReason, kueue.InClusterQueueReason},
	}
	for _, c := range w.Status.Conditions {
		if !slices.Contains(reasons[c.Type], c.Reason) {
			t.Errorf("%s: Kueue has no condition %s with the reason %s", where, c.Type, c.Reason)
		}
	}
	for _, c := range w.Status.AdmissionChecks {
		if !slices.Contains([]kueue.CheckState{kueue.CheckStatePending, kueue.CheckStateRejected, kueue.CheckStateRetry, kueue.CheckStateReady}, c.State) {
			t.Errorf("%s: an admission check has no state %q", where, c.State)
		}
	}
	if reflect.DeepEqual(w.Spec, kueue.WorkloadSpec{}) {
		t.Errorf("%s: the workload has no spec", where)
	}
}
