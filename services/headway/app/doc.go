// Package app implements headway run: all services in one process, with embedded servers.
package app
