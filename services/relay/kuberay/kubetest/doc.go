// Package kubetest runs the RayJob stories against a real API server, and applies what the Helm chart renders: Kubernetes' own with an
// etcd, both in process, with its authorization and the operators' own CustomResourceDefinitions. It reads their objects with the
// operators' Go types. It is a module of its own because nothing else needs an API server.
package kubetest
