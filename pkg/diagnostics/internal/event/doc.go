// Package event reads what producers send: it scans, decodes and validates one event, and writes canonical JSON.
//
// The scanner is written by hand: the standard one accepts invalid UTF-8 and duplicate keys in silence, and costs several
// times as much. An event is refused as a whole, with the path of one field and a reason.
package event
