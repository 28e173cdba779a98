// Command headway is Headway in one binary: the services in one process, and the tools around them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/pkg/buildinfo"
	"github.com/headwayhq/headway/services/headway/app"
	"github.com/headwayhq/headway/services/headway/cli"
	"github.com/headwayhq/headway/services/internal/printable"
	"github.com/headwayhq/headway/services/internal/program"
)

type commands struct {
	Run app.Run `cmd:"" help:"Run everything in one process, on embedded defaults."`
	cli.Commands
	Version kong.VersionFlag `help:"Print the version."`
}

func main() {
	var c commands
	parser, err := kong.New(&c, kong.Name("headway"),
		kong.Description("Knows how your batch is doing, why it waits, and what to do.\n\n"+cli.ExitCodes),
		kong.Configuration(program.YAML, "headway.yaml"),
		kong.Vars{"data_dir": app.DefaultDataDir(), "version": buildinfo.Read().String()})
	if err != nil {
		panic(err) // our own tags
	}
	if cli.Complete(os.Stdout, parser) {
		return
	}
	k, err := parser.Parse(os.Args[1:])
	err = cli.Usage(err)
	var exit cli.ExitError
	if err == nil {
		ctx, stop := program.Signals()
		k.BindTo(ctx, (*context.Context)(nil))
		c.Run.Stdout, c.Run.Stderr = os.Stdout, os.Stderr
		err = k.Run()
		stop()
	}
	switch {
	case errors.As(err, &exit):
		if exit.Err != nil {
			fmt.Fprintln(os.Stderr, "headway:", printable.Lines(exit.Err.Error()))
		}
		os.Exit(exit.Code)
	case err != nil:
		fmt.Fprintln(os.Stderr, "headway:", printable.Lines(err.Error()))
		os.Exit(1)
	}
}
