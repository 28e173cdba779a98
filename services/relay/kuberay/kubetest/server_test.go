package kubetest

import (
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	clientset "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	"k8s.io/apiextensions-apiserver/test/integration/fixtures"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app/testing"
	sigsyaml "sigs.k8s.io/yaml"
)

// Resources of the stories.
var (
	namespaces  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	pods        = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	events      = schema.GroupVersionResource{Version: "v1", Resource: "events"}
	rayJobs     = schema.GroupVersionResource{Group: "ray.io", Version: "v1", Resource: "rayjobs"}
	rayClusters = schema.GroupVersionResource{Group: "ray.io", Version: "v1", Resource: "rayclusters"}
	workloads   = schema.GroupVersionResource{Group: "kueue.x-k8s.io", Version: "v1beta2", Resource: "workloads"}
	podGroups   = schema.GroupVersionResource{Group: "scheduling.volcano.sh", Version: "v1beta1", Resource: "podgroups"}

	kinds = map[string]schema.GroupVersionResource{"RayJob": rayJobs, "RayCluster": rayClusters, "Pod": pods, "Event": events, "Workload": workloads, "PodGroup": podGroups}
)

// definitions are the operators' own, by module and path.
var definitions = [][2]string{
	{"github.com/ray-project/kuberay/ray-operator", "config/crd/bases/ray.io_rayjobs.yaml"},
	{"github.com/ray-project/kuberay/ray-operator", "config/crd/bases/ray.io_rayclusters.yaml"},
	{"sigs.k8s.io/kueue", "config/components/crd/bases/kueue.x-k8s.io_workloads.yaml"},
	{"sigs.k8s.io/kueue", "config/components/crd/bases/kueue.x-k8s.io_localqueues.yaml"},
	{"sigs.k8s.io/kueue", "config/components/crd/bases/kueue.x-k8s.io_clusterqueues.yaml"},
}

// apiServer starts etcd and Kubernetes' API server, with its own authorization, and teaches it the operators' kinds.
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
	storage := storagebackend.NewDefaultConfig("kubetest", nil)
	storage.Transport.ServerList = []string{client.String()}
	// Pods are made by the test, for accounts and priorities that no controller makes here.
	server, err := apiserver.StartTestServer(t, apiserver.NewDefaultTestServerOptions(),
		[]string{"--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount,Priority,TaintNodesByCondition"}, storage)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.TearDownFn)
	access := rest.CopyConfig(server.ClientConfig)
	access.QPS = -1
	extensions, err := clientset.NewForConfig(access)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := dynamic.NewForConfig(access)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range definitions {
		text, err := os.ReadFile(filepath.Join(moduleDir(t, d[0]), d[1]))
		if err != nil {
			t.Fatal(err)
		}
		definition := new(apiextensions.CustomResourceDefinition)
		if err := sigsyaml.UnmarshalStrict(text, definition); err != nil {
			t.Fatal(err)
		}
		define(t, definition, extensions, objects)
	}
	define(t, volcanoDefinition(), extensions, objects)
	return access, objects
}

func define(t *testing.T, d *apiextensions.CustomResourceDefinition, extensions clientset.Interface, objects dynamic.Interface) {
	t.Helper()
	if d.Annotations == nil {
		d.Annotations = map[string]string{}
	}
	d.Annotations["api-approved.kubernetes.io"] = "unapproved, for a test"
	if _, err := fixtures.CreateNewV1CustomResourceDefinitionWatchUnsafe(d, extensions); err != nil {
		t.Fatal(d.Name, err)
	}
	for _, v := range d.Spec.Versions { // served a moment after it was accepted
		if !v.Served {
			continue
		}
		gvr := schema.GroupVersionResource{Group: d.Spec.Group, Version: v.Name, Resource: d.Spec.Names.Plural}
		served := func(ctx context.Context) (bool, error) {
			_, err := objects.Resource(gvr).List(ctx, metav1.ListOptions{})
			return err == nil, nil
		}
		if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, served); err != nil {
			t.Fatal(gvr, err)
		}
	}
}

// volcanoDefinition knows the kind alone: Volcano's module has its types, and not its definitions. TestTypes reads the PodGroups
// of the stories with these types.
func volcanoDefinition() *apiextensions.CustomResourceDefinition {
	keep := true
	return &apiextensions.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "podgroups.scheduling.volcano.sh"},
		Spec: apiextensions.CustomResourceDefinitionSpec{
			Group: podGroups.Group, Scope: apiextensions.NamespaceScoped,
			Names: apiextensions.CustomResourceDefinitionNames{Plural: "podgroups", Singular: "podgroup", Kind: "PodGroup", ListKind: "PodGroupList"},
			Versions: []apiextensions.CustomResourceDefinitionVersion{{
				Name: podGroups.Version, Served: true, Storage: true, Subresources: &apiextensions.CustomResourceSubresources{Status: &apiextensions.CustomResourceSubresourceStatus{}},
				Schema: &apiextensions.CustomResourceValidation{OpenAPIV3Schema: &apiextensions.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &keep}},
			}},
		},
	}
}

func moduleDir(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
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

// kubeConfig writes a kubeconfig with client-go, which the relay reads without it.
func kubeConfig(t *testing.T, access *rest.Config) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["it"] = &clientcmdapi.Cluster{Server: access.Host, CertificateAuthorityData: access.CAData, CertificateAuthority: access.CAFile, TLSServerName: access.ServerName}
	config.AuthInfos["me"] = &clientcmdapi.AuthInfo{
		Token: access.BearerToken, ClientCertificateData: access.CertData, ClientKeyData: access.KeyData, ClientCertificate: access.CertFile, ClientKey: access.KeyFile,
	}
	config.Contexts["here"] = &clientcmdapi.Context{Cluster: "it", AuthInfo: "me"}
	config.CurrentContext = "here"
	file := filepath.Join(t.TempDir(), "config")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}
