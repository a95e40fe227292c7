package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// manuals are the documents that these tests hold against the product.
var manuals = []string{"README.md", "ARCHITECTURE.md", "docs/THREATMODEL.md", "docs/PRIVACY.md", "docs/ROBUSTNESS.md", "docs/FIGURES.md", "docs/SDK.md", "docs/TRAINER.md", "SECURITY.md", "CONTRIBUTING.md"}

func manual(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", name))
	require.NoError(t, err)
	return strings.ReplaceAll(string(b), "\\\n", " ") // a command on several lines
}

var (
	namedTest = regexp.MustCompile("`([a-z][a-z0-9/]*): (Test[A-Za-z0-9_]+)(?:/([^`]+))?`")
	mdLink    = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
	quoted    = regexp.MustCompile(`'[^']*'|"[^"]*"`)
	command   = regexp.MustCompile("(?m)(?:^\\s*(?:export \\w+=)?(?:[a-z_]+=\\$\\()?|`)(?:\\./choir|choir|go run \\./cmd/choir) +([^|&><)`\\n]*)")
	figures   = regexp.MustCompile(`[0-9]+(?:\.[0-9]+)?(?:e[-+][0-9]+)?`)
)

// TestEachMitigationNamesATestThatExists finds in its package each test, and each
// subtest in it or in the suite that it runs, which the threat model names.
func TestEachMitigationNamesATestThatExists(t *testing.T) {
	text := manual(t, "docs/THREATMODEL.md")
	found := namedTest.FindAllStringSubmatch(text, -1)
	require.Greater(t, len(found), 60)
	for _, m := range found {
		sources := sourcesOf(t, filepath.Join("..", "..", m[1]), "_test.go")
		require.True(t, strings.Contains(sources, "func "+m[2]+"(t *testing.T)"), "no such test: %s", m[0])
		if m[3] != "" {
			sources += sourcesOf(t, filepath.Join("..", "..", "secagg", "secaggtest"), ".go")
			require.True(t, strings.Contains(sources, `"`+m[3]+`"`), "no such subtest: %s", m[0])
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if cells := strings.Split(line, "|"); len(cells) == 5 && !strings.Contains(line, "---") && !strings.HasPrefix(line, "| threat") {
			require.Regexp(t, namedTest, cells[3], "a mitigation names no test: %s", cells[1])
		}
	}
}

// sourcesOf reads a package's files.
func sourcesOf(t *testing.T, dir, suffix string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var all strings.Builder
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			require.NoError(t, err)
			all.Write(b)
		}
	}
	return all.String()
}

func TestManualsLinkToWhatExists(t *testing.T) {
	for _, name := range manuals {
		for _, m := range mdLink.FindAllStringSubmatch(manual(t, name), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			_, err := os.Stat(filepath.Join("..", "..", filepath.Dir(name), m[1]))
			require.NoError(t, err, "%s links to %s", name, m[1])
		}
	}
}

// TestManualsShowCommandsAndFlagsThatExist parses each line of choir in a manual.
func TestManualsShowCommandsAndFlagsThatExist(t *testing.T) {
	seen := 0
	for _, name := range manuals {
		for _, m := range command.FindAllStringSubmatch(manual(t, name), -1) {
			root := newRootCommand()
			root.InitDefaultHelpCmd()
			words := strings.Fields(quoted.ReplaceAllString(m[1], "TEXT"))
			cmd, rest, err := root.Find(words)
			require.NoError(t, err, "%s: %s", name, m[0])
			require.False(t, cmd == root && len(words) > 0 && !strings.HasPrefix(words[0], "-"), "%s: %s", name, m[0])
			for _, word := range rest {
				requireFlag(t, cmd, word, name+": "+m[0])
			}
			seen++
		}
	}
	require.Greater(t, seen, 10)
}

// TestManualsShowWhatCommandsPrint runs each choir privacy that stands alone in the manual,
// and finds in its output what is shown next to it. Figures agree to six digits.
func TestManualsShowWhatCommandsPrint(t *testing.T) {
	t.Parallel()
	bare := func(line string) string { return figures.ReplaceAllString(line, "N") }
	var out []string
	seen := 0
	for _, line := range strings.Split(manual(t, "docs/PRIVACY.md"), "\n") {
		line, shown := strings.CutPrefix(line, "    ")
		if asked, ok := strings.CutPrefix(line, "choir privacy "); shown && ok {
			o := privacy(asked)
			require.Equal(t, 0, o.code, o.errOut)
			out = strings.Split(o.out, "\n")
			seen++
		} else if shown && len(out) > 0 {
			i := slices.IndexFunc(out, func(l string) bool { return bare(l) == bare(line) })
			require.GreaterOrEqual(t, i, 0, "it does not print: %s", line)
			got := figures.FindAllString(out[i], -1)
			for j, want := range figures.FindAllString(line, -1) {
				a, err := strconv.ParseFloat(want, 64)
				require.NoError(t, err)
				b, err := strconv.ParseFloat(got[j], 64)
				require.NoError(t, err)
				require.InEpsilon(t, a, b, 1e-6, line)
			}
		}
		if strings.HasPrefix(line, "#") { // what follows is about something else
			out = nil
		}
	}
	require.Equal(t, 4, seen)
}

func requireFlag(t *testing.T, cmd *cobra.Command, word, where string) {
	t.Helper()
	flag, _, _ := strings.Cut(word, "=")
	switch {
	case strings.HasPrefix(flag, "--"):
		require.NotNil(t, cmd.Flags().Lookup(flag[2:]), "%s: %s", where, word)
	case strings.HasPrefix(flag, "-") && len(flag) == 2:
		require.NotNil(t, cmd.Flags().ShorthandLookup(flag[1:]), "%s: %s", where, word)
	}
}
