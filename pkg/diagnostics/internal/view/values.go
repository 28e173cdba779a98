package view

import (
	"strconv"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// The values that registers of a view hold.
type (
	Text   string
	JSON   string // canonical
	Number int64
	Flag   bool
	Status event.Word
)

func (t Text) Canonical() string { return string(event.AppendString(nil, string(t))) }

func (t JSON) Canonical() string { return string(t) }

func (n Number) Canonical() string { return strconv.FormatInt(int64(n), 10) }

func (f Flag) Canonical() string { return strconv.FormatBool(bool(f)) }

func (w Status) Canonical() string { return event.Word(w).String() }

// Length is how many bytes the text has.
func (t Text) Length() int { return len(t) }

// Length is how many bytes the JSON has.
func (t JSON) Length() int { return len(t) }

// Waiting is what a job waits for; Kind "" means that it waits for nothing.
type Waiting event.Waiting

func (w Waiting) Canonical() string {
	b := event.AppendString(nil, w.Kind)
	b = strconv.AppendInt(append(b, ','), w.Since, 10)
	b = append(append(b, ','), w.DemandJSON...)
	b = append(append(b, ','), w.OfferedJSON...)
	b = appendOpt(b, w.NodesPending.Set, Number(w.NodesPending.V).Canonical())
	b = appendOpt(b, w.Infeasible.Set, Flag(w.Infeasible.V).Canonical())
	b = appendOpt(b, w.Detail.Set, Text(w.Detail.V).Canonical())
	b = appendOpt(b, w.Code.Set, Text(w.Code.V).Canonical())
	b = append(append(b, ','), w.AskedJSON...)
	b = append(append(b, ','), w.HoldersJSON...)
	b = append(append(b, ','), w.FixesJSON...)
	return string(b)
}

// Length is how many bytes its texts have, and what else of it is written at most.
func (w Waiting) Length() int {
	const others = 80
	return others + len(w.Kind) + len(w.DemandJSON) + len(w.OfferedJSON) + len(w.Detail.V) + len(w.Code.V) +
		len(w.AskedJSON) + len(w.HoldersJSON) + len(w.FixesJSON)
}

// Announced is a change of health as the detector announced it.
type Announced struct {
	From, To           event.Health
	Reason             string
	AsOf               int64
	StuckSeconds       float64
	ChangedJSON        string            // "" in older ones
	CauseFrom, CauseTo event.Opt[string] // not set in older ones; "": no cause
}

func (a Announced) Canonical() string {
	b := append([]byte{byte(a.From), byte(a.To)}, a.Reason...)
	b = strconv.AppendInt(append(b, ','), a.AsOf, 10)
	b = strconv.AppendFloat(append(b, ','), a.StuckSeconds, 'g', -1, 64)
	b = append(append(b, ','), a.ChangedJSON...)
	b = appendOpt(b, a.CauseFrom.Set, Text(a.CauseFrom.V).Canonical())
	return string(appendOpt(b, a.CauseTo.Set, Text(a.CauseTo.V).Canonical()))
}

// Length is how many bytes its texts have, and what else of it is written at most.
func (a Announced) Length() int {
	const others = 40
	return others + len(a.Reason) + len(a.ChangedJSON) + len(a.CauseFrom.V) + len(a.CauseTo.V)
}

func appendOpt(b []byte, said bool, canonical string) []byte {
	b = append(b, ',')
	if said {
		b = append(b, canonical...)
	}
	return b
}
