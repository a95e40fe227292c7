// Command choir trains one model over many clients without anybody seeing a
// client's contribution. See `choir help`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
	"github.com/choir-fl/choir/sim"
)

// Exit codes.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3 // unsafe plan, budget spent
)

// version is set by the linker in releases.
var version = "dev"

// schemes are those that this binary knows.
var schemes = []sim.Scheme{plain.Scheme{}, pairwise.Scheme{}}

func serverSchemes() (out []secagg.ServerScheme) {
	for _, s := range schemes {
		out = append(out, s)
	}
	return out
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes one command line.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	for _, line := range lines(err) {
		fmt.Fprintln(errOut, "choir:", line)
	}
	return exitCode(err)
}

// lines renders an error: one line for each of several joined ones.
func lines(err error) []string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []string
		for _, e := range joined.Unwrap() {
			out = append(out, lines(e)...)
		}
		return out
	}
	return []string{strings.ReplaceAll(err.Error(), "\n", " ")}
}

// errUsage marks a command line that cannot be understood.
var errUsage = fault.New(fault.Usage, "choir/usage", "command line is wrong", "see --help")

func exitCode(err error) int {
	switch fault.ClassOf(err) {
	case fault.Usage:
		return exitUsage
	case fault.Refused:
		return exitRefused
	}
	if errors.Is(err, context.Canceled) {
		return exitFailed
	}
	return exitFailed
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "choir",
		Short: "Federated learning in which nobody, the coordinator included, sees a client's contribution",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return errUsage.At("unknown command %q", args[0])
			}
			return nil
		},
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return errUsage.At("%s", cmd.CommandPath()).Because(err) })
	root.AddCommand(newSimCommand(), newVersionCommand())
	return root
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error { return countArgs(0, 0)(cmd, args) }

// countArgs demands between least and most arguments.
func countArgs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return errUsage.At("%s takes %d to %d arguments, not %d", cmd.CommandPath(), least, most, len(args))
		}
		return nil
	}
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			goVersion := ""
			if info, ok := debug.ReadBuildInfo(); ok {
				goVersion = " " + info.GoVersion
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "choir %s%s\n", version, goVersion)
			return err
		},
	}
}
