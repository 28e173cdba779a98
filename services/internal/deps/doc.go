// Package deps contains no code. Its tests check that packages are imported only in this direction:
//
//	services → pkg → pkg/diagnostics
//
// Adapters never import one another, services never import one another, and only services/headway combines them. In the
// core, each package imports only those below it, and no local name shadows a package.
package deps
