package layers

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// graph maps the path of each package to its direct imports.
type graph struct {
	module  string              // import path of the module under test
	imports map[string][]string // all packages, ours and others
	names   map[string]string   // package clause, for ours
	std     map[string]bool     // true for the standard library
}

// ban says what some packages must not import themselves.
type ban struct {
	who, what, but []string
	why            string
}

// guarded says which of our packages alone may need something, transitively.
type guarded struct {
	what, by []string
	why      string
}

// closed says all that one package may need, transitively, beside the standard library.
type closed struct {
	who  string
	ours []string
	why  string
}

// violations applies all rules to g and returns one line for each breach, sorted.
func (g graph) violations() []string {
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }

	for _, pkg := range g.ours() {
		here := g.local(pkg)
		line, pattern := place(here)
		if line < 0 {
			say("%s has no place in the order: give it a line in internal/layers/rules_test.go", here)
		}
		for _, name := range []string{path.Base(here), g.names[pkg]} {
			if slices.Contains(nameless, name) {
				say("%s is called %s, which says nothing about what it is for", here, name)
			}
		}

		for _, imported := range g.imports[pkg] {
			there := g.local(imported)
			if g.isOurs(imported) && line >= 0 {
				to, toPattern := place(there)
				inOne := pattern == toPattern && strings.HasSuffix(pattern, "/...")
				if to >= line && !inOne {
					say("%s imports %s, which is not below it", here, there)
				}
			}
			for _, b := range never {
				if anyMatch(b.who, here) && !anyMatch(b.but, here) && anyMatch(b.what, there) {
					say("%s imports %s: %s", here, there, b.why)
				}
			}
		}

		// Of a whole tree of packages that must not be there, only the way in is reported.
		from := g.search(pkg)
		for needed, parent := range from {
			there := g.local(needed)
			for _, r := range reach {
				if anyMatch(r.what, there) && !anyMatch(r.by, here) && (parent == pkg || !anyMatch(r.what, g.local(parent))) {
					say("%s needs %s (%s): %s", here, there, g.chain(from, needed), r.why)
				}
			}
			for _, c := range whole {
				foreign := func(p string) bool { return p != pkg && !g.std[p] && !slices.Contains(c.ours, g.local(p)) }
				if here == c.who && foreign(needed) && !foreign(parent) {
					say("%s needs %s (%s): %s", here, there, g.chain(from, needed), c.why)
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// place returns the line of the order that holds a package of ours and the
// pattern that matched it, or -1.
func place(local string) (int, string) {
	for i, line := range order {
		for _, pattern := range line {
			if match(pattern, local) {
				return i, pattern
			}
		}
	}
	return -1, ""
}

func anyMatch(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, pkg) })
}

// match reports whether pattern, which may end in "/...", covers pkg.
// The pattern "./..." covers all packages of ours.
func match(pattern, pkg string) bool {
	if root, ok := strings.CutSuffix(pattern, "/..."); ok {
		return root == "." || pkg == root || strings.HasPrefix(pkg, root+"/")
	}
	return pattern == pkg
}

// ours returns the packages of the module, sorted.
func (g graph) ours() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(g.imports)), func(p string) bool { return !g.isOurs(p) })
}

func (g graph) isOurs(pkg string) bool {
	return pkg == g.module || strings.HasPrefix(pkg, g.module+"/")
}

// local returns the name of a package of ours relative to the module, and the
// import path of any other.
func (g graph) local(pkg string) string {
	if pkg == g.module {
		return "."
	}
	return strings.TrimPrefix(pkg, g.module+"/")
}

// chain shows a shortest way of imports to a package that search met.
func (g graph) chain(from map[string]string, to string) string {
	way := []string{g.local(to)}
	for at := to; from[at] != at; {
		at = from[at]
		way = append(way, g.local(at))
	}
	slices.Reverse(way)
	return strings.Join(way, " -> ")
}

// search walks breadth first from pkg and returns, for each package that it
// meets, the one from which it came. It does not enter the standard library.
func (g graph) search(pkg string) map[string]string {
	from := map[string]string{pkg: pkg}
	for queue := []string{pkg}; len(queue) > 0; queue = queue[1:] {
		if g.std[queue[0]] {
			continue
		}
		for _, next := range g.imports[queue[0]] {
			if _, met := from[next]; !met {
				from[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
	return from
}
