package api

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// limitID is something of which a principal, a namespace or the whole server may have only so much.
type limitID int

const (
	requestRate limitID = iota
	eventRate
	byteRate
	openStreams
	waitingStreams
	keptBatches
	activeBatches
	heldBytes
	limitCount
)

const rates = byteRate + 1 // limits below this one are of something in each second

// limitKind is what is said of a limit, and its defaults where there is access control: 0 is none, and never means that it can't be set.
type limitKind struct {
	name, unit           string
	principal, namespace int64
}

var limitTable = [limitCount]limitKind{
	requestRate:    {"requests_per_second", "requests/s", 500, 2_000},
	eventRate:      {"events_per_second", "events/s", 5_000, 10_000},
	byteRate:       {"bytes_per_second", "bytes/s", 16 << 20, 32 << 20},
	openStreams:    {"streams", "streams", 5_000, 5_000},
	waitingStreams: {"waiting_streams", "streams", 100, 1_000},
	keptBatches:    {"batches", "batches", never, 0},
	activeBatches:  {"active_batches", "batches", never, 0},
	heldBytes:      {"body_bytes", "bytes", never, never},
}

const (
	never     = -1               // can't be set
	mostOf    = 1 << 40          // the greatest value of a limit, with which nothing overflows
	unlimited = LimitSet("none") // as a value
)

func (l limitID) String() string { return limitTable[l].name }

// Scopes of limits.
const (
	ofServer    = "server"
	ofPrincipal = "principal"
	ofNamespace = "namespace"
)

// LimitSet is the value of a limit as it is given: a number, or none.
type LimitSet string

// UnmarshalJSON takes numbers too, which is what they are in a configuration file.
func (v *LimitSet) UnmarshalJSON(text []byte) error {
	*v = LimitSet(strings.Trim(string(text), `"`))
	return nil
}

// quota is how much of each limit there is; 0: no limit.
type quota [limitCount]int64

// metered reports whether something has to be counted by the second.
func (q *quota) metered() bool { return q[requestRate] > 0 || q[eventRate] > 0 || q[byteRate] > 0 }

// quotas are those of all principals, or of all namespaces.
type quotas struct {
	scope    string
	standard quota
	own      map[string]*quota // of namespaces with values of their own
}

func (q *quotas) of(name string) *quota {
	if own := q.own[name]; own != nil {
		return own
	}
	return &q.standard
}

// principalQuotas are the quotas of principals. Without access control there is only one, everybody, who has none.
func (l *Limits) principalQuotas(keyed bool) (*quotas, error) {
	q := &quotas{scope: ofPrincipal}
	for i, d := range limitTable {
		if keyed {
			q.standard[i] = max(0, d.principal)
		}
	}
	q.standard[waitingStreams] = int64(l.WaitingPerCaller)
	for _, name := range slices.Sorted(maps.Keys(l.Principal)) {
		if err := q.standard.set("principal-limit", name, l.Principal[name], mayPrincipal); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// namespaceQuotas are the quotas of namespaces. Without access control they only have those that were given, and of streams.
func (l *Limits) namespaceQuotas(keyed bool) (*quotas, error) {
	q := &quotas{scope: ofNamespace, own: map[string]*quota{}}
	for i, d := range limitTable {
		if keyed {
			q.standard[i] = max(0, d.namespace)
		}
	}
	q.standard[openStreams], q.standard[waitingStreams] = int64(l.StreamsPerNamespace), int64(l.WaitingPerNamespace)
	names := slices.Sorted(maps.Keys(l.Namespace))
	for _, name := range names {
		if !strings.Contains(name, "/") {
			if err := q.standard.set("namespace-limit", name, l.Namespace[name], mayNamespace); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range names { // after those of all namespaces, which hold where a namespace has no value of its own
		ns, of, is := strings.Cut(name, "/")
		if !is {
			continue
		}
		if !diagnostics.ValidNamespace(ns) {
			return nil, fmt.Errorf("--namespace-limit: %q isn't a namespace", shorten(ns, 128))
		}
		if q.own[ns] == nil {
			own := q.standard
			q.own[ns] = &own
		}
		if err := q.own[ns].set("namespace-limit", of, l.Namespace[name], mayNamespace); err != nil {
			return nil, err
		}
	}
	return q, nil
}

func mayPrincipal(d limitKind) bool { return d.principal != never }
func mayNamespace(d limitKind) bool { return d.namespace != never }

func (q *quota) set(flag, name string, value LimitSet, may func(limitKind) bool) error {
	var known []string
	at := -1
	for i, d := range limitTable {
		if may(d) {
			known = append(known, d.name)
			if d.name == name {
				at = i
			}
		}
	}
	if at < 0 {
		why := "must be one of " + strings.Join(known, ", ")
		if near := nearest(name, known); near != "" {
			why = near + "?"
		}
		return fmt.Errorf("--%s: %q isn't a limit: %s", flag, shorten(name, 64), why)
	}
	if value == unlimited {
		q[at] = 0
		return nil
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || n < 1 || n > mostOf {
		return fmt.Errorf("--%s: %s: %q must be a whole number from 1 to %d, or none", flag, name, shorten(string(value), 64), int64(mostOf))
	}
	q[at] = n
	return nil
}
