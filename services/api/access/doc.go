// Package access decides who may do what through the API.
//
//	request ──▶ Guard: is the host one of ours, may the page that sends it? ──▶ 421, 403
//	        ──▶ Keys: whose credential is it, is it valid? ──▶ 401
//	        ──▶ Principal: has it a role for what the route does, is the namespace its own? ──▶ 403, 404
//
// The guard stands in front of everything that a program serves, also while it waits for its backends. Without access control a
// browser is the way in: a page of an attacker whose name is rebound to this address is of the same origin as the API, and any page
// may send it a POST.
//
// # Contract
//
//   - Keys are stored as hashes in a bucket of JetStream, and compared in constant time. Each process follows the bucket: a revoked key
//     is refused within 5 s, and its streams end.
//   - While NATS can't be reached, keys that are known are accepted for 10 minutes, and unknown ones are told to try again. Nothing is
//     ever open because something can't be checked.
//   - Sessions are stored beside the keys. A cookie counts for requests of this server's own pages only.
//   - Tokens of identity providers are checked with the keys that their issuers publish, and public tokens with a secret of the bucket.
//     Neither is stored; a token that was seen is known by its hash.
//   - What was made with a credential, a session, a ticket or a public token, can do no more than it, and ends with it.
//   - Role and namespace of a route are asked of the same Principal. A role is missing for all namespaces alike (403); a namespace that
//     isn't the principal's is answered like something that doesn't exist.
package access
