package rayapi

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	statusHeader  = regexp.MustCompile(`Autoscaler status: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)`)
	textLaunching = regexp.MustCompile(`^(\S+), (\d+) launching`)
	textPending   = regexp.MustCompile(`^(\d+\.\d+\.\d+\.\d+|[^:]+): (\S+?),? `) // version 1: "192.0.2.2: gpu_workers, uninitialized"
	textFailure   = regexp.MustCompile(`^(\S+): (LaunchFailed|NodeLaunchFailed)\b.*?(?:latest_attempt: (\d\d:\d\d:\d\d))?\)?$`)
	textDemand    = regexp.MustCompile(`^(\{[^}]*\}): (\d+)(\+?) pending tasks/actors`)
	textGroup     = regexp.MustCompile(`^(.*) \((PACK|SPREAD|STRICT_PACK|STRICT_SPREAD)\): \d+\+? pending placement groups`)
	textBundle    = regexp.MustCompile(`(\{[^}]*\})(?: \* (\d+))?`)
	textUsage     = regexp.MustCompile(`^([\d.]+)/([\d.]+) (\S+)`)
)

// parseStatus reads the text form of the status. Its times are in the head's local time without a zone, so only their
// distance to the heading is used. The heading's time is now, since the text is generated for the request.
func parseStatus(text string, now time.Time) Autoscaler {
	a := Autoscaler{Usage: map[string][2]float64{}}
	header := statusHeader.FindStringSubmatch(text)
	if header == nil {
		return a
	}
	a.At, a.V2 = now, true
	heading, _ := time.Parse("2006-01-02 15:04:05", header[1])
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n ")
		if line == "" {
			continue
		}
		if !strings.HasPrefix(line, " ") {
			section = strings.TrimSuffix(line, ":")
			continue
		}
		line = strings.TrimSpace(line)
		switch section {
		case "Pending":
			if m := textLaunching.FindStringSubmatch(line); m != nil {
				n, _ := strconv.Atoi(m[2])
				a.launching(Camel(m[1]), n)
			} else if m := textPending.FindStringSubmatch(line); m != nil {
				a.launching(Camel(m[2]), 1, m[1])
			}
		case "Recent failures":
			if m := textFailure.FindStringSubmatch(line); m != nil {
				f := Failure{Type: m[1], Category: "LaunchFailed"}
				if t, err := time.Parse("15:04:05", m[3]); err == nil {
					ago := heading.Sub(time.Date(heading.Year(), heading.Month(), heading.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC))
					if ago < 0 {
						ago += 24 * time.Hour
					}
					f.At = now.Add(-ago)
				}
				a.Failures = append(a.Failures, f)
			}
		case "Pending Demands":
			if m := textGroup.FindStringSubmatch(line); m != nil {
				g := GroupDemand{Strategy: m[2]}
				for _, b := range textBundle.FindAllStringSubmatch(m[1], -1) {
					n, err := strconv.Atoi(b[2])
					if err != nil {
						n = 1
					}
					for _, shape := range shapes(b[1]) {
						for range min(n, bundlesKept-len(g.Bundles)) {
							g.Bundles = append(g.Bundles, shape)
						}
					}
				}
				a.Groups = append(a.Groups, g)
			} else if m := textDemand.FindStringSubmatch(line); m != nil {
				d := Demand{AtLeast: m[3] == "+"}
				d.Count, _ = strconv.Atoi(m[2])
				if s := shapes(m[1]); len(s) == 1 {
					d.Shape = s[0]
					a.Demands = append(a.Demands, d)
				}
			}
		case "Total Usage":
			if m := textUsage.FindStringSubmatch(line); m != nil {
				used, _ := strconv.ParseFloat(m[1], 64)
				total, _ := strconv.ParseFloat(m[2], 64)
				a.Usage[m[3]] = [2]float64{used, total}
			}
		}
	}
	a.sort()
	return a
}

// launching adds nodes that are being launched, of which some are up.
func (a *Autoscaler) launching(kind string, n int, up ...string) {
	if n == 0 {
		return
	}
	for i := range a.Launching {
		if l := &a.Launching[i]; l.Type == kind {
			l.Count, l.Up, l.Machines = l.Count+n, l.Up+len(up), append(l.Machines, up...)
			return
		}
	}
	a.Launching = append(a.Launching, Launch{kind, n, len(up), up})
}
