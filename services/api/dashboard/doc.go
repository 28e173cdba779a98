// Package dashboard holds the page that people look at, as built by vite from what lies beside this file, inside the
// program. It is files and nothing else; services/api serves them.
//
// A build without Node has no page: Built tells, and Page is nil then.
package dashboard
