package cli

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

// Help is headway help.
type Help struct {
	Verb []string `arg:"" optional:"" help:"The verb, as in headway help keys create."`
}

// Run prints what --help prints.
func (h *Help) Run(k *kong.Context) error {
	_, err := k.Parse(append(h.Verb, "--help")) // it prints, and ends the program
	return Usage(err)
}

var (
	saidUnknown  = regexp.MustCompile(`^unknown flag (\S+)$`)
	saidEnum     = regexp.MustCompile(`^(\S+) must be one of (\S+) but got "(.*)"$`)
	saidExtra    = regexp.MustCompile(`^unexpected argument (\S+)$`)
	saidDuration = regexp.MustCompile(`expected duration but got ("[^"]*").*`)
	saidFlag     = regexp.MustCompile(`^(?:-\w, )?(--[a-z-]+)(?:=\S+)?: (.*)$`)
	saidMissing  = regexp.MustCompile(`^missing flags: (.*)$`)
	saidWanted   = regexp.MustCompile(`^expected "(.*)"$`)
	saidNothing  = regexp.MustCompile(`expected \S+ value but got "EOL" .*`)
	saidVerb     = regexp.MustCompile(`^expected one of `)
)

// sample is what the parser shows of a flag's value.
var sample = regexp.MustCompile(`=[A-Z"][^ ]*?(,\.\.\.)?(, |$)`)

// Usage turns what the parser says of a command line into at most two lines: the flag or argument and the reason, and where to read on.
// Other errors stay as they are.
func Usage(err error) error {
	var exit ExitError
	var parse *kong.ParseError
	if err == nil || errors.As(err, &exit) || !errors.As(err, &parse) {
		return err
	}
	verb := "headway"
	if parse.Context != nil {
		if node := parse.Context.Selected(); node != nil {
			verb = node.FullPath()
		}
	}
	help := verb + " --help lists its flags."
	said := strings.TrimPrefix(parse.Error(), verb[min(len(verb), len("headway ")):]+": ") // a verb's own check
	text, meant, guessed := strings.Cut(strings.Join(strings.Fields(said), " "), ", did you mean ")
	switch {
	case saidVerb.MatchString(text):
		said, help = "name a verb", "headway --help lists them."
		if verb != "headway" {
			help = verb + " --help lists them."
		}
	case saidUnknown.MatchString(text):
		said = saidUnknown.FindStringSubmatch(text)[1] + ": there is no such flag"
	case saidEnum.MatchString(text):
		m := saidEnum.FindStringSubmatch(text)
		said = fmt.Sprintf("%s: must be one of %s, and is %q", bareFlag(m[1]), strings.ReplaceAll(strings.ReplaceAll(m[2], `"`, ""), ",", ", "), m[3])
	case saidExtra.MatchString(text):
		word := saidExtra.FindStringSubmatch(text)[1]
		if said = word + ": one argument too many"; verb == "headway" {
			said, help = word+": there is no such verb", "headway --help lists them."
		}
	case saidMissing.MatchString(text):
		said = sample.ReplaceAllString(saidMissing.FindStringSubmatch(text)[1], "$2") + ": must be given"
	case saidWanted.MatchString(text):
		said = strings.SplitN(saidWanted.FindStringSubmatch(text)[1], " ", 2)[0] + ": must be given"
	case saidFlag.MatchString(text):
		m := saidFlag.FindStringSubmatch(text)
		said = m[1] + ": " + saidNothing.ReplaceAllString(saidDuration.ReplaceAllString(m[2], "$1 isn't a duration; give one with a unit, as 30s, 10m or 2h"), "needs a value")
	}
	if guessed {
		said += "; did you mean " + strings.ReplaceAll(meant, `"`, "")
	}
	return ExitError{Code: exitUsage, Err: fmt.Errorf("%s\n%s", said, help)}
}

// bareFlag is a flag without the sample of its value.
func bareFlag(s string) string {
	name, _, _ := strings.Cut(s, "=")
	return name
}
