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
	"github.com/choir-fl/choir/secagg/oneshot"
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

// schemes are those that this binary knows; the first is that of new plans.
var schemes = []sim.Scheme{oneshot.Scheme{}, pairwise.Scheme{}, plain.Scheme{}}

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
		fmt.Fprintln(errOut, "choir:", strings.TrimPrefix(line, "choir ")) // a place may be a whole command
	}
	return exitCode(err)
}

// lines renders an error: one line for each of several joined ones, also where
// they are together the cause of one.
func lines(err error) (out []string) {
	for _, e := range joined(err) {
		out = append(out, lines(e)...)
	}
	if out == nil {
		out = []string{strings.Join(strings.Fields(err.Error()), " ")}
	}
	return out
}

// joined takes an error apart, if it is made of several.
func joined(err error) (parts []error) {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		return several.Unwrap()
	}
	if f, ok := err.(*fault.Error); ok { //nolint:errorlint // only the outermost
		var several interface{ Unwrap() []error }
		if errors.As(f.Unwrap(), &several) && len(several.Unwrap()) > 1 {
			for _, cause := range several.Unwrap() {
				parts = append(parts, f.Because(cause))
			}
		}
	}
	return parts
}

var (
	// errUsage marks a command line that cannot be understood.
	errUsage = fault.New(fault.Usage, "choir/usage", "command line is wrong", "see --help")
	// errInterrupted ends a command that a signal stopped.
	errInterrupted = fault.New(fault.Aborted, "choir/interrupted", "interrupted", "nothing was written")
)

func exitCode(err error) int {
	switch fault.ClassOf(err) {
	case fault.Usage:
		return exitUsage
	case fault.Refused:
		return exitRefused
	}
	return exitFailed
}

// until runs work that cannot be interrupted and returns early when ctx ends. The
// process is expected to end then.
func until[T any](ctx context.Context, work func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		v, err := work()
		done <- outcome{v, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, errInterrupted
	}
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "choir",
		Short:         "Federated learning in which nobody, the coordinator included, sees a client's contribution",
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
		// completion is a command of ours: cobra's takes any argument.
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return errUsage.At("%s", called(cmd)).Because(err) })
	root.AddCommand(newSimCommand(), newPlanCommand(), newBenchCommand(), newCoordinatorCommand(), newClientCommand(), newDecryptorCommand(), newEnrollCommand(),
		newTokenCommand(), newRevokeCommand(), newRunCommand(), newPrivacyCommand(), newLedgerCommand(), newRobustCommand(), newCompletionCommand(), newVersionCommand())
	root.SetHelpCommand(newHelpCommand())
	return root
}

// completeWith offers values of a flag to shells.
func completeWith(cmd *cobra.Command, flag string, values ...string) {
	// It fails for a flag that does not exist or was registered before: a test runs them all.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace))
}

// knownCommand refuses what is no command below a command that only groups others.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return errUsage.At("%s", strings.TrimSpace(called(cmd)+" "+args[0])).Because(errors.New("there is no such command"))
	}
	return nil
}

// called names a command below the root as it is typed.
func called(cmd *cobra.Command) string {
	return strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()), " ")
}

// newGroupCommand makes a command that does nothing but group others.
func newGroupCommand(use, short string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: knownCommand, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(below...)
	return cmd
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error { return countArgs(0, 0)(cmd, args) }

// countArgs demands between least and most arguments.
func countArgs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			wanted := fmt.Sprint(least)
			if most > least {
				wanted = fmt.Sprintf("%d to %d", least, most)
			}
			return errUsage.At("%s", called(cmd)).Because(fmt.Errorf("arguments: %d given, %s wanted", len(args), wanted))
		}
		return nil
	}
}

func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return errUsage.At("%s", strings.Join(args, " ")).Because(errors.New("there is no such command"))
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

// shells are those that a completion script can be written for.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func newCompletionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Write a completion script for a shell to standard output",
		Long: `Write a completion script for a shell to standard output, to be sourced by it:

  bash        source <(choir completion bash)
  zsh         choir completion zsh > "${fpath[1]}/_choir"
  fish        choir completion fish | source
  powershell  choir completion powershell | Out-String | Invoke-Expression`,
		Args:      countArgs(1, 1),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			}
			return errUsage.At("completion: unknown shell %q; known: %s", args[0], strings.Join(shells, ", "))
		},
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
