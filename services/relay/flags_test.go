package relay

import (
	"strings"
	"testing"
)

// What can't work is an error that names the flag.
func TestFlags(t *testing.T) {
	f := Flags{Ray: []string{"", "http://a:8265", "b=https://b.example:8443/ray"}, ClusterFlags: ClusterFlags{RayToken: map[string]string{"b": "x", "*": "y"}, RayNamespace: "n"}}
	o, err := f.Options()
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Clusters) != 2 || o.Clusters[0].Name != "a:8265" || o.Clusters[0].Token != "y" || o.Clusters[1].Name != "b" || o.Clusters[1].Token != "x" {
		t.Errorf("%+v", o.Clusters)
	}
	for says, f := range map[string]Flags{
		"--ray: ":             {Ray: []string{"a:8265"}},
		"no credentials":      {Ray: []string{"http://user:secret-word@a:8265"}},
		"--ray-token":         {Ray: []string{"http://a:8265"}, ClusterFlags: ClusterFlags{RayToken: map[string]string{"b": "x"}}},
		"--ray-events-secret": {ClusterFlags: ClusterFlags{RaySecret: "short"}},
		"--ray-pattern":       {ClusterFlags: ClusterFlags{RayPatterns: []string{"("}}},
		"--ray-ca":            {ClusterFlags: ClusterFlags{RayCA: "/does/not/exist"}},
	} {
		_, err := f.Options()
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%q: %v", says, err)
		}
	}
}
