package kubetest

// The stories hold what the source reads. What the definitions require besides is filled in here.

// wholePod adds the containers whose statuses a pod has, and its node if it has one.
func wholePod(p map[string]any) map[string]any {
	status, _ := p["status"].(map[string]any)
	spec := map[string]any{}
	if given, ok := p["spec"].(map[string]any); ok {
		for k, v := range given {
			spec[k] = v
		}
	}
	for list, from := range map[string]string{"containers": "containerStatuses", "initContainers": "initContainerStatuses"} {
		var all []any
		statuses, _ := status[from].([]any)
		for _, c := range statuses {
			c := c.(map[string]any)
			all = append(all, map[string]any{"name": c["name"], "image": c["image"]})
		}
		if spec[list] == nil && len(all) > 0 {
			spec[list] = all
		}
	}
	if spec["containers"] == nil {
		spec["containers"] = []any{map[string]any{"name": "ray-head", "image": "ray:2"}}
	}
	if status["startTime"] != nil {
		spec["nodeName"] = "node-1"
	}
	spec["terminationGracePeriodSeconds"] = int64(0)
	p["spec"] = spec
	return p
}

// wholeWorkload adds one set of pods, and its assignment where the workload has an admission.
func wholeWorkload(w map[string]any) map[string]any {
	spec := map[string]any{"podSets": []any{map[string]any{
		"name": "head", "count": int64(1),
		"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "ray-head", "image": "ray:2"}}}},
	}}}
	for k, v := range w["spec"].(map[string]any) {
		spec[k] = v
	}
	w["spec"] = spec
	status, _ := w["status"].(map[string]any)
	if admission, ok := status["admission"].(map[string]any); ok {
		admission["podSetAssignments"] = []any{map[string]any{"name": "head", "count": int64(1)}}
	}
	return w
}
