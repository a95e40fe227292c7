package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

func TestCompletionIsWrittenForEachShell(t *testing.T) {
	t.Parallel()
	for _, shell := range shells {
		o := choir(t, t.TempDir(), "completion", shell)
		require.Equal(t, 0, o.code)
		require.Contains(t, o.out, "choir")
		require.Contains(t, o.out, "__complete")
	}
	o := choir(t, t.TempDir(), "__complete", "sim", "--scheme", "")
	require.Equal(t, 0, o.code)
	require.Contains(t, o.out, "pairwise")
	o = choir(t, t.TempDir(), "__complete", "plan", "")
	require.Contains(t, o.out, "explain")
}

func TestVersionAndHelpExitWith0(t *testing.T) {
	t.Parallel()
	o := choir(t, t.TempDir(), "version")
	require.Equal(t, 0, o.code)
	require.True(t, strings.HasPrefix(o.out, "choir "))
	for _, args := range [][]string{{}, {"--help"}, {"help"}, {"help", "plan", "check"}, {"plan"}, {"sim", "-h"}} {
		o := choir(t, t.TempDir(), args...)
		require.Equal(t, 0, o.code, args)
		require.Contains(t, o.out, "Usage:")
		require.Empty(t, o.errOut)
	}
}

// units are the words by which the usage of a number says what it counts or measures.
var units = []string{"number of", "clients", "rounds", "words", "share", "seed", "computations", "seconds", "bytes", "duration", "port"}

// flagLine is a flag in the help text: name, type of its value, usage.
var flagLine = regexp.MustCompile(`(?m)^ +(?:-\w, +)?--([\w-]+)(?: (\w+))?(?:   +(.*))?$`)

func TestEveryCommandAndFlagIsExplainedAndNumbersHaveUnits(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		require.NotEmpty(t, cmd.Short, cmd.CommandPath())
		for _, flag := range flagLine.FindAllStringSubmatch(cmd.LocalFlags().FlagUsages(), -1) {
			name, kind, usage := flag[1], flag[2], flag[3]
			require.NotEmpty(t, usage, "%s --%s", cmd.CommandPath(), name)
			if kind == "int" || kind == "uint" || kind == "float" {
				require.True(t, slices.ContainsFunc(units, func(u string) bool { return strings.Contains(usage, u) }), "%s --%s says no unit: %s", cmd.CommandPath(), name, usage)
			}
		}
		for _, below := range cmd.Commands() {
			walk(below)
		}
	}
	walk(newRootCommand())
}
