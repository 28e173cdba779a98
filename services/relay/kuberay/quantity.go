package kuberay

import (
	"strconv"
	"strings"
)

// suffixes of Kubernetes' quantities, longest first.
var suffixes = []struct {
	text string
	by   float64
}{
	{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40}, {"Pi", 1 << 50},
	{"m", 1e-3}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}, {"P", 1e15},
}

// quantity reads an amount such as 500m or 16Gi. What can't be read is 0.
func quantity(s string) float64 {
	for _, x := range suffixes {
		if n, ok := strings.CutSuffix(s, x.text); ok {
			f, err := strconv.ParseFloat(n, 64)
			if err != nil {
				return 0
			}
			return f * x.by
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return f
}

// amounts reads the amounts of a resource list, under the names that Headway uses where it has one.
func amounts(list map[string]string) map[string]float64 {
	out := map[string]float64{}
	for name, amount := range list {
		switch name {
		case "cpu":
			name = "CPU"
		case "nvidia.com/gpu", "amd.com/gpu":
			name = "GPU"
		}
		if n := quantity(amount); n > 0 {
			out[name] += n
		}
	}
	return out
}

// demand returns what the pod's containers request together.
func (p *pod) demand() map[string]float64 {
	out := map[string]float64{}
	for _, c := range p.Spec.Containers {
		list := map[string]string{}
		for name, amount := range c.Resources.Limits { // a limit without a request is the request
			list[name] = amount
		}
		for name, amount := range c.Resources.Requests {
			list[name] = amount
		}
		for name, n := range amounts(list) {
			out[name] += n
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
