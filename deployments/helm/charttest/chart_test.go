package charttest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// helms are labels that would be wrong where Helm isn't used.
var helms = regexp.MustCompile(`(?m)^ +(app\.kubernetes\.io/managed-by|helm\.sh/chart): .*\n`)

var update = flag.Bool("update", false, "write what the chart renders now")

const (
	chartDir = "../headway"
	base     = "../../kustomize/base"
)

// render returns what `helm template` would print, with the templates in the order of their names.
func render(t *testing.T, values map[string]any, release, namespace string) (map[string]string, error) {
	t.Helper()
	chart, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := util.ToRenderValues(chart, values, common.ReleaseOptions{Name: release, Namespace: namespace, IsInstall: true, Revision: 1}, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(chart, all)
}

// objects joins the rendered files whose names end with one of these, or all of them.
func objects(files map[string]string, only ...string) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		wanted := len(only) == 0 || slices.ContainsFunc(only, func(end string) bool { return strings.HasSuffix(name, end) })
		if text := strings.TrimSpace(files[name]); wanted && strings.HasSuffix(name, ".yaml") && text != "" {
			out.WriteString("---\n" + strings.TrimPrefix(text, "---\n") + "\n")
		}
	}
	return out.String()
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func valuesOf(t *testing.T, text []byte) map[string]any {
	t.Helper()
	values := map[string]any{}
	if err := yaml.UnmarshalStrict(text, &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// golden compares with a file that the chart wrote, or writes it.
func golden(t *testing.T, file, text string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have := read(t, file); string(have) != text {
		t.Errorf("%s isn't what the chart renders: (cd deployments/helm/charttest && GOWORK=off go test . -update)", file)
	}
}

func TestRenders(t *testing.T) {
	t.Parallel()
	sets, err := filepath.Glob(chartDir + "/ci/*.yaml")
	if err != nil || len(sets) < 6 {
		t.Fatal(sets, err)
	}
	for _, set := range sets {
		t.Run(filepath.Base(set), func(t *testing.T) {
			t.Parallel()
			values := valuesOf(t, read(t, set))
			for _, m := range lint.RunAll(chartDir, values, "headway").Messages {
				if m.Severity > support.InfoSev {
					t.Error(m)
				}
			}
			files, err := render(t, values, "headway", "headway")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", filepath.Base(set)), objects(files))
		})
	}
}

// fingerprint is a hash of all that the golden files are rendered from. TestChart in services/headway/app compares it, since `make test`
// builds no Helm.
func fingerprint(t *testing.T) string {
	t.Helper()
	hash := sha256.New()
	for _, dir := range []string{"headway", "headway/ci", "headway/templates", "charttest"} {
		entries, err := os.ReadDir("../" + dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if name := dir + "/" + e.Name(); !e.IsDir() && (dir != "charttest" || strings.HasSuffix(name, ".yaml")) {
				fmt.Fprintf(hash, "%s %x\n", name, sha256.Sum256(read(t, "../"+name)))
			}
		}
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// What stands elsewhere for people without Helm is what the chart renders.
func TestRenderedElsewhere(t *testing.T) { // before TestKustomize, which reads what this writes with -update
	const says = "# Rendered from deployments/helm/headway, with the values of deployments/helm/"
	from := func(name, release, namespace string, only ...string) string {
		files, err := render(t, valuesOf(t, read(t, name)), release, namespace)
		if err != nil {
			t.Fatal(err)
		}
		return helms.ReplaceAllString(objects(files, only...), "")
	}
	golden(t, base+"/headway.yaml", says+"charttest/base.yaml. Don't edit it.\n"+from("base.yaml", "headway", "headway"))
	rights := from("relay.yaml", "headway", "RELAY_NAMESPACE", "relay-rights.yaml")
	role, cluster, found := strings.Cut(rights, "---\n# Why a ClusterQueue")
	if !found {
		t.Fatal(rights)
	}
	golden(t, "../../kubernetes/relay.yaml", says+`charttest/relay.yaml. Don't edit it.
#
#   sed s/RELAY_NAMESPACE/search/ relay.yaml | kubectl apply -n search -f -
#
# with the namespace of the RayJobs. A relay in another namespace has its ServiceAccount there.
apiVersion: v1
kind: ServiceAccount
metadata: {name: headway-relay}
`+role)
	golden(t, "testdata/chart.sha256", fingerprint(t)+"\n")
	golden(t, "../../kubernetes/relay-cluster.yaml", says+"charttest/relay.yaml. Don't edit it.\n# Optional, with relay.yaml.\n---\n# Why a ClusterQueue"+cluster)
}

// kubectl apply -k builds the same objects as the chart, in a namespace.
func TestKustomize(t *testing.T) {
	t.Parallel()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), base)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]any{}
	for _, r := range built.Resources() {
		o, err := r.Map()
		if err != nil {
			t.Fatal(err)
		}
		meta := o["metadata"].(map[string]any)
		if meta["namespace"] != "headway" {
			t.Errorf("%s is in namespace %v", r.CurId(), meta["namespace"])
		}
		delete(meta, "namespace")
		have[r.GetKind()+" "+r.GetName()] = o
	}
	documents := 0
	for _, text := range bytes.Split(read(t, base+"/headway.yaml"), []byte("\n---\n")) {
		o := valuesOf(t, append(text[:len(text):len(text)], '\n')) // which the last line of a text needs
		if len(o) == 0 {
			continue
		}
		documents++
		id := o["kind"].(string) + " " + o["metadata"].(map[string]any)["name"].(string)
		want, got := normal(t, o), normal(t, have[id])
		if !reflect.DeepEqual(want, got) {
			t.Errorf("%s differs:\n%s\n%s", id, want, got)
		}
	}
	if documents != len(have) {
		t.Errorf("%d objects of %d", len(have), documents)
	}
}

func normal(t *testing.T, o any) string {
	t.Helper()
	text, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Wrong values are refused, in words that say which value to set.
func TestSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	const addresses = "nats: {url: 'nats://n'}\nredis: {url: 'redis://r'}\n"
	for name, c := range map[string]struct {
		values string
		says   []string
	}{
		"nothing is set":   {"{}", []string{"nats.url is missing. Set it to the address of NATS", "redis.url is missing. Set it to the address of Redis, such as redis://redis.redis:6379/0"}},
		"no scheme":        {"nats: {url: 'nats:4222'}\nredis: {url: 'redis:6379'}", []string{`nats.url: "nats:4222" doesn't begin with nats://`, `redis.url: "redis:6379" begins with none of redis://`}},
		"password in URL":  {"nats: {url: 'nats://me:secret@n'}\nredis: {url: 'redis://:secret@r'}", []string{"Set nats.auth and nats.secret instead", "Set redis.auth and redis.secret instead"}},
		"no Secret":        {addresses + "nats: {url: 'nats://n', auth: creds}", []string{"nats.secret is missing. nats.auth is creds"}},
		"Secret unused":    {addresses + "redis: {url: 'redis://r', secret: x}", []string{"redis.secret is set, but redis.auth is none"}},
		"no certificate":   {addresses + "nats: {url: 'nats://n', tls: {clientCertificate: true}}", []string{"nats.tls.secret is missing"}},
		"not encrypted":    {addresses + "redis: {url: 'redis://r', tls: {secret: x}}", []string{"redis.url doesn't begin with rediss"}},
		"too many ingests": {addresses + "ingest: {autoscaling: {enabled: true, maxReplicas: 40}}", []string{"ingest.autoscaling.maxReplicas (40) is more than log.partitions (32)"}},
		"more than most":   {addresses + "api: {autoscaling: {enabled: true, minReplicas: 20}}", []string{"api.autoscaling.maxReplicas (10) is less than minReplicas (20)"}},
		"scaled by what":   {addresses + "api: {autoscaling: {enabled: true, streams: 0}}", []string{"api.autoscaling is enabled, but by nothing. Set streams or cpuPercent"}},
		"no host":          {addresses + "api: {ingress: {enabled: true}}", []string{"api.ingress.host is missing"}},
		"nothing to watch": {addresses + "relay: {enabled: true}", []string{"there is nothing to watch"}},
		"relay is off":     {addresses + "relay: {kuberay: {enabled: true}}", []string{"relay.enabled is false"}},
		"misspelt":         {addresses + "api: {replica: 3}", []string{"at '/api': additional properties 'replica' not allowed"}},
		"wrong kind":       {addresses + "api: {replicas: two}", []string{"at '/api/replicas': got string, want integer"}},
		"unknown word":     {addresses + "api: {access: key}", []string{"at '/api/access': value must be one of 'keys', 'none'"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := map[string]any{}
			// A case may give a part of the addresses again.
			if err := yaml.Unmarshal([]byte(c.values), &values); err != nil {
				t.Fatal(err)
			}
			_, err := render(t, values, "headway", "headway")
			if err == nil {
				t.Fatal("it was rendered")
			}
			for _, says := range c.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%q isn't in: %v", says, err)
				}
			}
		})
	}
}

// The schema knows each value of values.yaml: what it doesn't know would be refused.
func TestSchemaKnowsAllValues(t *testing.T) {
	t.Parallel()
	var within func(path string, schema, values map[string]any)
	within = func(path string, schema, values map[string]any) {
		known, _ := schema["properties"].(map[string]any)
		if known == nil {
			return
		}
		for key := range known {
			if _, ok := values[key]; !ok && path+key != "global" {
				t.Errorf("values.yaml lacks %s%s", path, key)
			}
		}
		for key, v := range values {
			s, ok := known[key].(map[string]any)
			if !ok {
				t.Errorf("values.schema.json lacks %s%s", path, key)
			} else if inner, ok := v.(map[string]any); ok {
				within(path+key+".", s, inner)
			}
		}
	}
	within("", valuesOf(t, read(t, chartDir+"/values.schema.json")), valuesOf(t, read(t, chartDir+"/values.yaml")))
}
