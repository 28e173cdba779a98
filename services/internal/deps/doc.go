// Package deps holds no code. Its tests keep the arrows between packages pointing inward:
//
//	services → pkg → pkg/diagnostics
//
// Adapters never import one another, services never import one another, and only services/headway composes. In the core
// each package imports only those below it, and no local name hides another.
package deps
