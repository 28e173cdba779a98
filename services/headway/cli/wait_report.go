package cli

import (
	"encoding/xml"
	"io"
	"strings"
	"time"
)

// What CI systems read as JUnit XML: one suite, one case for each batch.
type (
	suiteXML struct {
		XMLName  xml.Name  `xml:"testsuite"`
		Name     string    `xml:"name,attr"`
		Tests    int       `xml:"tests,attr"`
		Failures int       `xml:"failures,attr"`
		Errors   int       `xml:"errors,attr"`
		Time     float64   `xml:"time,attr"`
		At       string    `xml:"timestamp,attr"`
		Cases    []caseXML `xml:"testcase"`
	}
	caseXML struct {
		Class   string      `xml:"classname,attr"`
		Name    string      `xml:"name,attr"`
		Time    float64     `xml:"time,attr"`
		Failure *problemXML `xml:"failure"` // it ended otherwise, or the time is over
		Error   *problemXML `xml:"error"`   // it can't be told
		Out     string      `xml:"system-out,omitempty"`
	}
	problemXML struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"` // the code of the cause, else the outcome
		Text    string `xml:",chardata"` // the next actions
	}
)

// writeReport writes what came of each batch as JUnit XML.
func writeReport(out io.Writer, namespace string, began time.Time, all []outcome) error {
	if namespace == "" {
		namespace = "headway"
	}
	suite := suiteXML{Name: "headway wait", Tests: len(all), At: began.UTC().Format("2006-01-02T15:04:05")}
	for i := range all {
		o := &all[i]
		suite.Time = max(suite.Time, o.Seconds)
		c := caseXML{Class: namespace, Name: plain(o.Batch), Time: o.Seconds}
		problem := &problemXML{Message: o.Says, Type: o.Outcome, Text: plainLines(o.next)}
		if o.Cause != nil {
			problem.Type = plain(*o.Cause)
		}
		switch o.Outcome {
		case outcomeReached:
			c.Out = o.Says
		case outcomeUnknown:
			c.Error = problem
			suite.Errors++
		default:
			c.Failure = problem
			suite.Failures++
		}
		suite.Cases = append(suite.Cases, c)
	}
	text, err := xml.MarshalIndent(suite, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, xml.Header+string(text)+"\n")
	return err
}

func plainLines(all []string) string {
	out := make([]string, len(all))
	for i, one := range all {
		out[i] = plain(one)
	}
	return strings.Join(out, "\n")
}
