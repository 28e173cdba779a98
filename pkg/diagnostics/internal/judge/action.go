package judge

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Kinds of actions. Ray offers the first three. For the others the policy of a namespace has a link or command to its
// orchestrator.
const (
	ActionOpen     = "open"     // the job's page in Ray's dashboard
	ActionLogs     = "logs"     // of the job
	ActionStop     = "stop"     // the job
	ActionRetry    = "retry"    // one tier, as a higher attempt
	ActionResubmit = "resubmit" // the batch, from a tier on
	ActionResize   = "resize"   // what the tier's jobs ask for
)

// ActionTemplate says how an action is taken in a namespace: by a link or by a command. Both may hold
// {namespace} {batch_id} {tier_num} {next_attempt} {ray_job_id} {cluster} {demand} {num_gpus}.
type ActionTemplate struct {
	Kind    string
	Label   string // "" for the usual one
	Href    string
	Command string
}

var Placeholder = regexp.MustCompile(`\{[^{}]*\}`)

func placeholders() []string {
	return []string{"{namespace}", "{batch_id}", "{tier_num}", "{next_attempt}", "{ray_job_id}", "{cluster}", "{demand}", "{num_gpus}"}
}

// Validate returns what is wrong with a template.
func (a ActionTemplate) Validate() error {
	kinds := []string{ActionOpen, ActionLogs, ActionStop, ActionRetry, ActionResubmit, ActionResize}
	switch {
	case !slices.Contains(kinds, a.Kind):
		return fmt.Errorf("kind: %q is none of %s", a.Kind, strings.Join(kinds, ", "))
	case (a.Href == "") == (a.Command == ""):
		return errors.New("give either href or command")
	case a.Href != "" && !IsHTTP(a.Href):
		return errors.New("href: must begin with http:// or https://")
	case strings.ContainsAny(a.Command, "\r\n"):
		return errors.New("command: must be one line")
	}
	for _, p := range Placeholder.FindAllString(a.Label+a.Href+a.Command, -1) {
		if !slices.Contains(placeholders(), p) {
			return fmt.Errorf("%s is none of %s", p, strings.Join(placeholders(), " "))
		}
	}
	return nil
}

// IsHTTP reports whether a link is http or https. Any other could be a script on a page.
func IsHTTP(link string) bool {
	return strings.HasPrefix(link, "https://") || strings.HasPrefix(link, "http://")
}
