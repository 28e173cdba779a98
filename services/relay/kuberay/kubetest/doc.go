// Package kubetest holds the RayJob stories against a real API server: the one of apiextensions-apiserver, with an etcd, both in process, and
// KubeRay's own CustomResourceDefinition. It is a module of its own, since nothing else needs an API server.
package kubetest
