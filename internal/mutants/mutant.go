package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mutant is one patch that takes a guard away, and the test that must notice.
type mutant struct {
	name  string   // file name without ".patch"
	patch string   // absolute path of the patch
	pkg   string   // package of the test, relative to the module root: ./secagg/pairwise
	test  string   // pattern as for go test -run, anchored element by element
	guard string   // what the patch removes, one line
	files []string // files that the patch changes, relative to the module root
}

// loadMutants reads the patches of dir whose names contain any of the words
// (all patches when there are no words), sorted by package and name. Faults of
// single patches are joined into the error; the good ones are returned beside it.
func loadMutants(dir string, words []string) ([]mutant, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	var mutants []mutant
	var faults []error
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".patch")
		wanted := len(words) == 0 || slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
		if !wanted {
			continue
		}
		m, err := readMutant(name, path)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		mutants = append(mutants, m)
	}
	slices.SortFunc(mutants, func(a, b mutant) int {
		return strings.Compare(a.pkg+"\x00"+a.name, b.pkg+"\x00"+b.name)
	})
	return mutants, errors.Join(faults...)
}

var (
	packageForm = regexp.MustCompile(`^\./[A-Za-z0-9_./-]+$`)
	testForm    = regexp.MustCompile(`^Test\S*$`)
)

// readMutant parses the header and the names of the changed files. It does not
// judge whether the patch applies.
func readMutant(name, path string) (mutant, error) {
	m := mutant{name: name, patch: path}
	fault := func(format string, args ...any) (mutant, error) {
		return mutant{}, fmt.Errorf("%s.patch: %s", name, fmt.Sprintf(format, args...))
	}
	f, err := os.Open(path)
	if err != nil {
		return mutant{}, err
	}
	defer f.Close()

	header := true
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if value, ok := strings.CutPrefix(line, "# "); ok && header {
			key, text, _ := strings.Cut(value, ":")
			text = strings.TrimSpace(text)
			switch key {
			case "package":
				m.pkg = text
			case "test":
				m.test = text
			case "guard":
				m.guard = text
			}
			continue
		}
		switch from, isFrom := strings.CutPrefix(line, "--- "); {
		case isFrom:
			header = false
			if !strings.HasPrefix(from, "a/") {
				return fault("it may only change files that exist, with a/ and b/ prefixes; found %q", line)
			}
		case strings.HasPrefix(line, "+++ "):
			to, ok := strings.CutPrefix(line, "+++ b/")
			if !ok {
				return fault("it may only change files that exist, with a/ and b/ prefixes; found %q", line)
			}
			to, _, _ = strings.Cut(to, "\t")
			m.files = append(m.files, to)
		}
	}
	if err := lines.Err(); err != nil {
		return fault("%v", err)
	}

	switch {
	case !packageForm.MatchString(m.pkg):
		return fault(`the header needs "# package: ./path/of/package"; found %q`, m.pkg)
	case !testForm.MatchString(m.test):
		return fault(`the header needs "# test: TestName"; found %q`, m.test)
	case m.guard == "":
		return fault(`the header needs "# guard: what the patch removes"`)
	case len(m.files) == 0:
		return fault("there is no unified diff in it")
	}
	for _, file := range m.files {
		if !filepath.IsLocal(file) || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return fault("%s is not a Go file of the product: a mutant removes a guard, it does not edit tests", file)
		}
	}
	if _, err := compilePattern(m.test); err != nil {
		return fault("test: %v", err)
	}
	return m, nil
}

// pattern matches test names element by element, as go test -run does, but with
// each element anchored at both ends.
type pattern []*regexp.Regexp

func compilePattern(text string) (pattern, error) {
	var p pattern
	for element := range strings.SplitSeq(text, "/") {
		re, err := regexp.Compile(anchored(element))
		if err != nil {
			return nil, err
		}
		p = append(p, re)
	}
	return p, nil
}

func anchored(element string) string { return "^(?:" + element + ")$" }

// runFlag returns the value for go test -run that selects what text names.
func runFlag(text string) string {
	elements := strings.Split(text, "/")
	for i, e := range elements {
		elements[i] = anchored(e)
	}
	return strings.Join(elements, "/")
}

// matches reports whether test is one of the named tests or one of their subtests.
func (p pattern) matches(test string) bool {
	elements := strings.Split(test, "/")
	if len(elements) < len(p) {
		return false
	}
	for i, re := range p {
		if !re.MatchString(elements[i]) {
			return false
		}
	}
	return true
}
