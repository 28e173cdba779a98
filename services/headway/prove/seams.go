package main

import (
	"bytes"
	"regexp"
)

// seam is a moment in a program's work that can be recognized on one of its connections.
type seam struct {
	name, kind, what string
	redis            bool // on the connection to Redis, else on that to NATS
	up               bool // when the program sends, else when it receives
	match            func([]byte) bool
}

func has(all ...string) func([]byte) bool {
	return func(data []byte) bool {
		for _, s := range all {
			if !bytes.Contains(data, []byte(s)) {
				return false
			}
		}
		return true
	}
}

func matches(pattern string) func([]byte) bool {
	return regexp.MustCompile(pattern).Match
}

// seams returns the seams of all programs, as they appear on the wire.
func seams() []seam {
	return []seam{
		{"read", "ingest", "events are delivered", false, false, has("MSG ", "headway.log.")},
		{"load", "ingest", "views are about to be read", true, true, matches(`(?i)mget(.|\s)*:fence(.|\s)*:v:`)},
		{"commit", "ingest", "a commit is about to be made", true, true, has("evalsha", ":fence", ":due", ":v:")},
		{"committed", "ingest", "a commit was made, its reply is on its way", true, false, matches(`^\*2\r\n\$13\r\n\d{13}\r\n`)},
		{"bury", "ingest", "a dead letter is about to be stored", false, true, matches(`PUB headway\.dlq\.`)},
		{"buried", "ingest", "a dead letter was stored, its acknowledgement is on its way", false, false, has(`"stream":"`+deadStream+`"`, `"seq"`)},
		{"due", "detector", "what is due is about to be read", true, true, matches(`(?i)evalsha(.|\s)*:due`)},
		{"announce", "detector", "a change is about to be announced", false, true, matches(`PUB headway\.events\.[^ ]*\.health`)},
		{"announced", "detector", "a change was announced, its acknowledgement is on its way", false, false, has(`"stream":"`+eventsStream+`"`, `"seq"`)},
		{"moved", "detector", "an entry is about to move to its next check", true, true, matches(`(?i)evalsha(.|\s)*:due(.|\s)*:v:`)},
		{"look", "api", "a view is about to be read", true, true, matches(`(?i)mget(.|\s)*:v:`)},
		{"push", "api", "a changed view is delivered", true, false, has("message", "push:")},
		{"subscribe", "api", "changes of a batch are about to be subscribed to", true, true, matches(`(?i)\r\nsubscribe\r\n`)},
		{"keep", "api", "a posted event is about to be kept", false, true, matches(`PUB headway\.events\.`)},
		{"kept", "api", "a posted event was kept, its acknowledgement is on its way", false, false, has(`"stream":"`+eventsStream+`"`, `"seq"`)},
	}
}

func (s seam) links(p *program) *links {
	if s.redis {
		return p.redis
	}
	return p.nats
}
