package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestExp(t *testing.T) {
	gen := func(pre, each, post string) string {
		var b strings.Builder
		b.WriteString(pre)
		for i := 0; b.Len() < 1<<20 - 100; i++ {
			if strings.Contains(each, "%") {
			fmt.Fprintf(&b, each, i) } else { b.WriteString(each) }
			 }
		b.WriteString(post)
		return b.String()
	}
	slow := func(name, in string) {
		start := time.Now()
		_, err := Parse("p", strings.NewReader(in))
		if d := time.Since(start); d > 3*time.Second || name == "dashes x" {
		fmt.Printf("%q %v %.100v\n", name, time.Since(start), err)
		}
	}
	for name, in := range map[string]string{
		"block keys": gen("", "k%d: 1\n", ""), "flow keys": gen("{", "k%d: 1,", "}"), "flow list": gen("job: [", "%d,", "1]"), "block list": gen("job:\n", "- %d\n", ""),
		"flow nulls": gen("{", "k%d,", "}"), "plain words": gen("job: ", "k%d ", ""), "plain lines": gen("job: ", "\n  k%d ", ""), "block nulls": gen("", "k%d:\n", ""),
		"list of maps": gen("job:\n", "- {a: %d}\n", ""), "comments x": gen("", "# %d\n", "job: a"), "comment after": gen("job:\n", "- %d # x\n", ""), "docs x": gen("", "a%d\n---\n", ""),"quoted x": gen("\"", " %d", "\""), "literal x": gen("job: |\n", " %d\n", ""), "lit2 x": gen("model:\n", " x%d: |\n  x\n", ""),
		"keys with lists": gen("", "k%d:\n - a\n", ""), "keys with flow": gen("", "k%d: []\n", ""), "flow keys with flow": gen("{", "k%d: [],\n", ""), "dots x": gen("", "a%d\n...\n", ""), "tensors x": gen("model:\n tensors:\n", " - name: x%d\n   shape: [1, 2]\n", ""), "flow tensors": gen("model: {tensors: [", "{name: x%d, shape: [1]},", "]}"),
		"nested list":gen("a:\n", "- - %d\n", ""), "dashes x": gen("a:\n", "-\n", ""), "shape x": gen("model: {tensors: [{name: x, shape: [", "1,", "]}]}"),
		"keys and comments": gen("a:\n", "# %d\nb: 1\n", ""), "list comments": gen("a:\n", "- # %d\n  1\n", ""),
	} {
		slow(name, in)
	}
	parts := []string{"[", "{", "- ", "a: ", "a,", "[,", "x:", "- -\n", "-\n", "! ", "? ", "'", "\"", "|\n", ">\n", "\n", " ", "#", "]", "}", "---\n", "...\n", "1 ", ", ", ": ", "a\n", "\t", "<<: "}
	for _, x := range parts { for _, y := range parts {
		slow(x+y, gen("", x+y, ""))
		slow(x+y, gen("a:\n ", x+y, ""))
	}}
}
