// Package kubetest runs the RayJob stories against a real API server: apiextensions-apiserver with an etcd, both in
// process, and KubeRay's own CustomResourceDefinition. It is a module of its own because nothing else needs an API
// server.
package kubetest
