package kuberay

import (
	"fmt"
	"log/slog"
	"net/url"

	"github.com/headwayhq/headway/services/relay"
)

// Flags are the flags of every program that relays RayJobs, for kong.
type Flags struct {
	KubeRay       bool   `name:"kuberay" help:"Watch KubeRay's RayJob objects." env:"HEADWAY_KUBERAY"`
	KubeConfig    string `name:"kubeconfig" help:"Kubernetes configuration; default: KUBECONFIG, ~/.kube/config, or the account of the pod." type:"existingfile" placeholder:"FILE"`
	KubeContext   string `name:"kube-context" help:"Context in the Kubernetes configuration." placeholder:"NAME" env:"HEADWAY_KUBE_CONTEXT"`
	KubeNamespace string `name:"kube-namespace" help:"Kubernetes namespace of the RayJobs; default: all." placeholder:"NAME" env:"HEADWAY_KUBE_NAMESPACE"`
}

// Source returns the source that the flags describe, or nil if RayJobs aren't to be watched.
func (f *Flags) Source(log *slog.Logger) (relay.Source, error) {
	if !f.KubeRay {
		return nil, nil
	}
	o, err := f.Options()
	if err != nil {
		return nil, err
	}
	o.Logger = log
	return New(o), nil
}

// Options returns the options for the API server that the flags name.
func (f *Flags) Options() (o Options, err error) {
	way, err := findAccess(f.KubeConfig, f.KubeContext)
	if err != nil {
		return o, fmt.Errorf("--kuberay: no way to an API server: %w; --kubeconfig names a configuration", err)
	}
	o.Namespace = f.KubeNamespace
	if o.HTTP, err = way.client(); err != nil {
		return o, fmt.Errorf("--kubeconfig: %w", err)
	}
	if o.URL, err = url.Parse(way.server); err != nil {
		return o, fmt.Errorf("--kubeconfig: %w", err)
	}
	return o, nil
}
