package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Verdicts on one mutant. Only killed is good.
const (
	killed   = "killed"   // the named test failed, as it must
	survived = "SURVIVED" // the named test passed although the guard is gone
	faulty   = "ERROR"    // the mutant itself is broken; see the detail
)

// outcome is a verdict with what a person needs to act on it.
type outcome struct {
	mutant  mutant
	verdict string
	detail  string
}

// runner runs go test in one module.
type runner struct {
	root    string   // absolute path of the module root
	scratch string   // absolute path of a directory for patched copies
	timeout string   // for one test binary, as for go test -timeout
	env     []string // environment of the go command
}

// testRun is what one go test -json run said. A test that began and never ended,
// because the process crashed or ran out of time, counts as failed.
type testRun struct {
	passed, failed []string // names of tests and subtests
	noBuild        bool
	said           []line // everything printed, for the detail of an error
	err            error  // the exit status of the go command
}

// line is some output of one test, or of the package and the go command if test is empty.
type line struct{ test, text string }

// tail returns the last lines that were said by the package or by a test that about accepts.
func (run testRun) tail(about func(test string) bool) string {
	var text strings.Builder
	for _, l := range run.said {
		if l.test == "" || about(l.test) {
			text.WriteString(l.text)
		}
	}
	return tail(text.String())
}

// goTest runs the tests that selection names in pkg, with extra flags before them.
func (r runner) goTest(ctx context.Context, pkg, selection string, extra ...string) testRun {
	// Without debugging information a binary takes half as long to link.
	args := append([]string{"test", "-json", "-vet=off", "-ldflags=-w", "-timeout=" + r.timeout, "-run=" + selection}, extra...)
	command := exec.CommandContext(ctx, "go", append(args, pkg)...)
	command.Dir, command.Env = r.root, r.env
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	run := testRun{err: command.Run()}

	begun := make(map[string]bool)
	events := json.NewDecoder(&stdout)
	for {
		var e struct{ Action, Test, Output, FailedBuild string }
		if err := events.Decode(&e); err != nil {
			if !errors.Is(err, io.EOF) {
				run.err = errors.Join(run.err, fmt.Errorf("reading go test -json: %w", err))
			}
			break
		}
		run.said = append(run.said, line{e.Test, e.Output})
		if e.Action == "build-fail" || e.FailedBuild != "" {
			run.noBuild = true
		}
		if e.Test == "" {
			continue
		}
		switch e.Action {
		case "run":
			begun[e.Test] = true
		case "pass":
			run.passed = append(run.passed, e.Test)
		case "fail":
			run.failed = append(run.failed, e.Test)
		}
		if e.Action == "pass" || e.Action == "fail" || e.Action == "skip" {
			delete(begun, e.Test)
		}
	}
	if run.err != nil {
		run.failed = slices.AppendSeq(run.failed, maps.Keys(begun))
	}
	slices.Sort(run.failed)
	run.said = append(run.said, line{text: stderr.String()})
	return run
}

// baseline runs the named tests of one package without any patch and returns,
// for each mutant by name, why its failure would say nothing ("" if it is sound).
func (r runner) baseline(ctx context.Context, pkg string, mutants []mutant) map[string]string {
	var selections []string
	for _, m := range mutants {
		if s := runFlag(m.test); !slices.Contains(selections, s) {
			selections = append(selections, s)
		}
	}
	run := r.goTest(ctx, pkg, strings.Join(selections, "|"))
	unsound := make(map[string]string)
	for _, m := range mutants {
		named, err := compilePattern(m.test)
		switch {
		case err != nil:
			unsound[m.name] = err.Error()
		case run.noBuild:
			unsound[m.name] = pkg + " does not build without the patch:\n" + run.tail(named.matches)
		case slices.ContainsFunc(run.failed, named.matches):
			unsound[m.name] = m.test + " fails without the patch:\n" + run.tail(named.matches)
		case !slices.ContainsFunc(run.passed, named.matches):
			unsound[m.name] = fmt.Sprintf("no test %s passes in %s without the patch", m.test, pkg)
			if run.err != nil {
				unsound[m.name] += ":\n" + run.tail(named.matches)
			}
		}
	}
	return unsound
}

// try applies one mutant and runs its test.
func (r runner) try(ctx context.Context, m mutant) outcome {
	fault := func(format string, args ...any) outcome {
		return outcome{m, faulty, fmt.Sprintf(format, args...)}
	}
	overlay, err := r.overlay(ctx, m)
	if err != nil {
		return fault("%v", err)
	}
	named, err := compilePattern(m.test)
	if err != nil {
		return fault("%v", err)
	}
	// One failure is enough, and half of the time would go into debug information.
	run := r.goTest(ctx, m.pkg, runFlag(m.test), "-count=1", "-failfast", "-ldflags=-s -w", "-overlay="+overlay)
	switch {
	case run.noBuild:
		return fault("the patched code does not build:\n%s", run.tail(named.matches))
	case slices.ContainsFunc(run.failed, named.matches):
		return outcome{m, killed, run.failed[0]}
	case run.err != nil:
		return fault("go test failed, but not in %s:\n%s", m.test, run.tail(named.matches))
	case slices.ContainsFunc(run.passed, named.matches):
		return outcome{m, survived, fmt.Sprintf("%s in %s still passes without the guard: %s", m.test, m.pkg, m.guard)}
	default:
		return fault("no test to run: %s matches nothing in %s", m.test, m.pkg)
	}
}

// overlay writes patched copies of the files that m touches and the file that
// lays them over the originals, and returns its path. git apply is strict: it
// accepts a hunk that moved, never one whose context changed.
func (r runner) overlay(ctx context.Context, m mutant) (string, error) {
	dir := filepath.Join(r.scratch, m.name)
	tree := filepath.Join(dir, "tree")
	replace := make(map[string]string)
	for _, file := range m.files {
		text, err := os.ReadFile(filepath.Join(r.root, file))
		if err != nil {
			return "", fmt.Errorf("the patch no longer applies: %w", err)
		}
		if err := writeFile(filepath.Join(tree, file), text); err != nil {
			return "", err
		}
		replace[filepath.Join(r.root, file)] = filepath.Join(tree, file)
	}

	apply := exec.CommandContext(ctx, "git", "apply", "--whitespace=nowarn", m.patch)
	apply.Dir = tree
	// Inside a work tree git would resolve names against that tree, so it is told
	// not to look for one, and does not hear of one from a hook that called us.
	inherited := slices.DeleteFunc(slices.Clone(r.env), func(v string) bool { return strings.HasPrefix(v, "GIT_") })
	apply.Env = append(inherited, "GIT_CEILING_DIRECTORIES="+r.scratch)
	if output, err := apply.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the patch no longer applies: make it anew against the present code:\n%s", cmp.Or(tail(string(output)), err.Error()))
	}

	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, writeFile(path, text)
}

func writeFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// tail returns the last lines of a long output.
func tail(output string) string {
	const most = 15
	lines := strings.Split(strings.TrimRight(output, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
