// Package deps holds no code. Its test keeps the arrows between packages pointing inward:
//
//	services → pkg → pkg/diagnostics
//
// Adapters never import one another, services never import one another, and only services/headway composes.
package deps
