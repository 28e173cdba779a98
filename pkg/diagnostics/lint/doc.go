// Package lint finds what contradicts itself in an answer: between its fields, between a field and a sentence, and between
// a sentence and what its events say. It is for tests.
package lint
