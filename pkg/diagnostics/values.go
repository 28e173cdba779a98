package diagnostics

import (
	"strconv"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

type (
	text     string
	jsonText string
	num      int64
	flag     bool
	word     event.Word
)

func (t text) Canonical() string { return string(event.AppendString(nil, string(t))) }

func (t jsonText) Canonical() string { return string(t) }

func (n num) Canonical() string { return strconv.FormatInt(int64(n), 10) }

func (f flag) Canonical() string { return strconv.FormatBool(bool(f)) }

func (w word) Canonical() string { return event.Word(w).String() }

type waiting event.Waiting

func (w waiting) Canonical() string {
	b := event.AppendString(nil, w.Kind)
	b = strconv.AppendInt(append(b, ','), w.Since, 10)
	b = append(append(b, ','), w.DemandJSON...)
	b = append(append(b, ','), w.OfferedJSON...)
	b = appendOpt(b, w.NodesPending.Set, num(w.NodesPending.V).Canonical())
	b = appendOpt(b, w.Infeasible.Set, flag(w.Infeasible.V).Canonical())
	b = appendOpt(b, w.Detail.Set, text(w.Detail.V).Canonical())
	return string(b)
}

type announced struct {
	from, to     event.Health
	reason       string
	asOf         int64
	stuckSeconds float64
}

func (a announced) Canonical() string {
	b := append([]byte{byte(a.from), byte(a.to)}, a.reason...)
	b = strconv.AppendInt(append(b, ','), a.asOf, 10)
	return string(strconv.AppendFloat(append(b, ','), a.stuckSeconds, 'g', -1, 64))
}

func appendOpt(b []byte, set bool, canonical string) []byte {
	b = append(b, ',')
	if set {
		b = append(b, canonical...)
	}
	return b
}
