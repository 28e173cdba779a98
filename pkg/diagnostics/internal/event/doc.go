// Package event scans, decodes and validates one event of a producer, and writes canonical JSON.
//
// The scanner is written by hand, because the standard library silently accepts invalid UTF-8 and duplicate keys, and is several
// times slower. An event is refused as a whole, with the path of one field and a reason.
package event
