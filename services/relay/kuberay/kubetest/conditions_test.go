package kubetest

import (
	"path/filepath"
	"slices"
	"testing"

	rayv1 "github.com/ray-project/kuberay/ray-operator/apis/ray/v1"
)

// TestConditionsAreKubeRays holds the stories against KubeRay's own constants. The definition that the API server knows takes any
// word as the type of a condition, so a story with a wrong one would pass there.
func TestConditionsAreKubeRays(t *testing.T) {
	known := []rayv1.RayClusterConditionType{
		rayv1.RayClusterProvisioned, rayv1.HeadPodReady, rayv1.RayClusterReplicaFailure, rayv1.RayClusterSuspending, rayv1.RayClusterSuspended,
	}
	files, err := filepath.Glob("../testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	found := 0
	for _, file := range files {
		for i, s := range read(t, file) {
			cluster, _ := s.Status["rayClusterStatus"].(map[string]any)
			conditions, _ := cluster["conditions"].([]any)
			for _, c := range conditions {
				word, _ := c.(map[string]any)["type"].(string)
				if !slices.Contains(known, rayv1.RayClusterConditionType(word)) {
					t.Errorf("%s, state %d: KubeRay has no condition %q, only %q", filepath.Base(file), i+1, word, known)
				}
				found++
			}
		}
	}
	if found == 0 {
		t.Error("no story has a condition")
	}
}
