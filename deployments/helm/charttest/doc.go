// Package charttest renders and lints the chart with Helm's own code. It is a module of its own, so that nothing else requires Helm.
package charttest
