// Package cli holds the verbs of the headway binary that talk to a running Headway.
package cli

import "fmt"

// Commands are the verbs.
type Commands struct {
	Demo       Demo       `cmd:"" help:"Send a simulated workload to a running Headway."`
	Get        Get        `cmd:"" help:"Print the diagnosis of a batch."`
	Explain    Explain    `cmd:"" help:"Print why the health of a batch is what it is."`
	List       List       `cmd:"" help:"List batches, those that need somebody first."`
	History    History    `cmd:"" help:"List batches that have ended, the latest first, also those that list no longer has."`
	Runs       Runs       `cmd:"" help:"List the runs of a pipeline: how each ended, how long it took, what it waited for."`
	Attach     Attach     `cmd:"" help:"Attach to Ray clusters: check what they offer, and relay what they report."`
	Watch      Watch      `cmd:"" help:"Show batches live until they end."`
	Wait       Wait       `cmd:"" help:"Wait until batches are completed, stuck or over, for scripts and CI."`
	Publish    Publish    `cmd:"" help:"Publish events from a file or standard input, one JSON object a line."`
	Health     Health     `cmd:"" help:"Print changes of health."`
	Completion Completion `cmd:"" help:"Print a script that makes a shell complete verbs and flags."`
	Doctor     Doctor     `cmd:"" help:"Check NATS, Redis, the views and the API, and say what to do."`
	Bundle     Bundle     `cmd:"" help:"Write an archive for a bug report: versions, configuration, state, and what concerns one batch, without secrets."`
	Ready      Ready      `cmd:"" help:"Ask one program whether it can do its work, for health checks of containers."`
	Streams    Streams    `cmd:"" help:"List the settings of the NATS streams, and change them: replicas, how long events are kept."`
	Upgrade    Upgrade    `cmd:"" help:"List the fold versions of the views, select the one that serves, and remove old ones."`
	Login      Login      `cmd:"" help:"Sign in to a Headway: check a key, and store it in a context."`
	Logout     Logout     `cmd:"" help:"Remove the key of a context."`
	Contexts   Contexts   `cmd:"" help:"List the contexts of headway login, choose the current one, and delete them."`
	Whoami     Whoami     `cmd:"" help:"Print which Headway is used, as who, and what for."`
	Keys       Keys       `cmd:"" help:"Make, list, revoke and rotate API keys."`
	Policy     Policy     `cmd:"" help:"Check a policy file, or print the thresholds of a namespace and where each comes from."`
	DLQ        DLQ        `cmd:"" name:"dlq" help:"List dead letters, and publish a corrected event in place of one."`
	Erase      Erase      `cmd:"" help:"Erase batches: overwrite everything that is stored of them, and keep only that they were erased."`
	Help       Help       `cmd:"" help:"Print what a verb does, and its flags."`
	VersionCmd Version    `cmd:"" name:"version" help:"Print version, commit and Go version."`
}

// ExitError ends the program with a code of its own.
type ExitError struct {
	Code int
	Err  error // nil if everything was printed already
}

func (e ExitError) Error() string { return fmt.Sprintf("exit code %d: %v", e.Code, e.Err) }

func (e ExitError) Unwrap() error { return e.Err }

// The exit codes of all verbs, documented in docs/cli.md.
const (
	exitNo      = 1  // something was refused or is wrong; watch: a batch failed or was canceled
	exitErrors  = 2  // watch: a batch completed with errors
	exitUnknown = 3  // no answer: unreachable, access refused, not found, interrupted
	exitTimeout = 4  // wait: the time is over
	exitUsage   = 80 // the command line is not understood
)

// ExitCodes describes them in --help.
const ExitCodes = "Exit codes: 0 done (watch: completed); 1 something is wrong or was refused (watch: failed or canceled); " +
	"2 watch: completed with errors; 3 no answer: unreachable, no access, not found, interrupted; 4 wait: the time is over; 80 invalid command line."
