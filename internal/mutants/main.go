package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// testTimeout bounds one test binary, so that a mutant that makes the code hang is killed by it.
const testTimeout = "120s"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok, err := checkAll(ctx, os.Stdout, ".", os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	if err != nil || !ok {
		stop()
		os.Exit(1)
	}
}

// checkAll tries the mutants of the module at dir whose names contain any of the
// words, two at a time, and reports to w. It returns whether all were killed.
func checkAll(ctx context.Context, w io.Writer, dir string, words []string) (bool, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return false, err
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		return false, fmt.Errorf("run from the root of the module: %w", err)
	}
	if _, err := exec.LookPath("git"); err != nil {
		return false, fmt.Errorf("git applies the patches: %w", err)
	}
	mutants, badPatches := loadMutants(filepath.Join(root, "testdata", "mutants"), words)
	if mutants, err = share(mutants, os.Getenv("MUTANTS_PART")); err != nil {
		return false, err
	}
	if len(mutants) == 0 && badPatches == nil {
		if len(words) > 0 {
			return false, fmt.Errorf("no patch under testdata/mutants has %s in its name", strings.Join(words, " or "))
		}
		_, err := fmt.Fprintln(w, "NOT RUN: there is no patch under testdata/mutants")
		return true, err
	}
	scratch, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(scratch)

	r := runner{root: root, scratch: scratch, timeout: testTimeout, env: os.Environ()}
	results := r.all(ctx, mutants, w)
	if err := ctx.Err(); err != nil {
		return false, err
	}
	survivors, faults := 0, 0
	for _, o := range results {
		switch o.verdict {
		case survived:
			survivors++
		case faulty:
			faults++
		}
	}
	fmt.Fprintf(w, "%d mutants: %d killed, %d survived, %d in error\n",
		len(results), len(results)-survivors-faults, survivors, faults)
	return survivors+faults == 0 && badPatches == nil, badPatches
}

// all tries the mutants, two at a time, those of one package in a row, after the
// tests of that package were seen to pass. It reports each as it is done.
func (r runner) all(ctx context.Context, mutants []mutant, w io.Writer) []outcome {
	byPackage := make(map[string][]mutant)
	for _, m := range mutants {
		byPackage[m.pkg] = append(byPackage[m.pkg], m)
	}
	// One baseline a package, made by whichever worker comes first.
	baselines := make(map[string]func() map[string]string)
	for pkg, group := range byPackage {
		baselines[pkg] = sync.OnceValue(func() map[string]string { return r.baseline(ctx, pkg, group) })
	}

	var lock sync.Mutex // guards results and w
	var results []outcome
	work := make(chan mutant)
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for m := range work {
				began := time.Now()
				o := outcome{mutant: m, verdict: faulty}
				if o.detail = baselines[m.pkg]()[m.name]; o.detail == "" {
					o = r.try(ctx, m)
				}
				lock.Lock()
				results = append(results, o)
				report(w, o, time.Since(began))
				lock.Unlock()
			}
		})
	}
	for _, m := range mutants {
		if ctx.Err() != nil {
			break
		}
		work <- m
	}
	close(work)
	workers.Wait()
	return results
}

// report writes one line for a killed mutant, and the detail too for any other.
func report(w io.Writer, o outcome, took time.Duration) {
	if o.verdict == killed {
		fmt.Fprintf(w, "%-8s %5.1fs  %s  by %s: %s\n", o.verdict, took.Seconds(), o.mutant.name, o.detail, o.mutant.guard)
		return
	}
	fmt.Fprintf(w, "%-8s %5.1fs  %s\n    %s\n", o.verdict, took.Seconds(), o.mutant.name,
		strings.ReplaceAll(o.detail, "\n", "\n    "))
}

// share is the part of the mutants that K/N asks for: those whose names fall into it. All
// of them if nothing is asked for.
func share(mutants []mutant, part string) ([]mutant, error) {
	if part == "" {
		return mutants, nil
	}
	var k, n uint32
	if _, err := fmt.Sscanf(part, "%d/%d", &k, &n); err != nil || n == 0 || k >= n {
		return nil, fmt.Errorf("MUTANTS_PART %q is not K/N with K below N", part)
	}
	return slices.DeleteFunc(mutants, func(m mutant) bool {
		h := fnv.New32a()
		_, _ = h.Write([]byte(m.name)) // a hash never fails
		return h.Sum32()%n != k
	}), nil
}
