// Command audit asks what is known of vulnerabilities in the code that Headway consists of and is built with.
//
//	govulncheck  Go modules and the standard library: what our code calls
//	gosec        our own Go code
//	npm audit    the packages of package-lock.json
//	pip-audit    the requirements of the Python code
//
// A finding fails it unless accepted.txt has it with a reason, and so does a line there that nothing finds any more. What can't be asked,
// because a registry doesn't answer or refuses, is said. With -strict that fails too.
package main
