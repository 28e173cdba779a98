// Package access decides who may do what through the API.
//
//	request ──▶ Guard: is the host one of ours, may the page that sends it? ──▶ 421, 403
//
// The guard stands in front of everything that a program serves, also while it waits for its backends. Without access control a
// browser is the way in: a page of an attacker whose name is rebound to this address is of the same origin as the API, and any page
// may send it a POST.
package access
