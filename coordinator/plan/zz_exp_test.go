package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestExp(t *testing.T) {
	for _, s := range []string{"", "   ", "# x", "job: a\njob: b\n", "job: a\n---\njob: b\n", "---\njob: a\n", "---\njob: a\n...\n", "job: &x a\nschema: *x\n", "jobs: a\n", "job: a\nmodel:\n  tensors:\n  - name: x\n    shape: [1, 2\n", "job: [", "model: {tensors: [{name: a, shape: [-1]}]}", "cohort: {size: 1e3}", "cohort: {size: 1.5}", "cohort: {size: 99999999999999999999}", "cohort:\n  size: \"5\"\n", "deadlines: {admission: 30}", "deadlines: {admission: 30x}","stop: {accuracy: .nan}", "stop: {accuracy: .inf}", "job: 123", "job: true", "job: ~", "- a", "a", "job: a\n\tmodel: x", "\x00", "\xff\xfe", "job: !!binary aGk=", "<<: {job: x}", "model: null", "job: >\n  abc\n  def\n", "{job: a, schema: b}", "encoding: {clip_norm: 0x10}","encoding: {clip_norm: 1_0}", "cohort: {size: 012}", "cohort: {size: 0o12}", "? job\n: x\n", "encoding: {clip_norm: 1e3}","encoding: {clip_norm: 5}","encoding: {clip_norm: -.5}", "encoding: {clip_norm: 1.}", "encoding: {clip_norm: 1e999}", "model:\n", "model:\n  architecture: x\n  # c\ncohort: # d\n  # e\n  size: 5 # f\n", "job: 'it''s'", "job: \"a\\nb\"", "model: {tensors: []}", "job: a b c", "cohort: {size: -5}", "privacy: {trust_coordinator: yes}", "privacy: {trust_coordinator: \"true\"}", "job: 1.0", "job: a: b", "deadlines: {admission: \"30s\"}", "cohort: {size: 5, size: 6}","{}"} {
		l, err := Parse("p.yaml", strings.NewReader(s))
		fmt.Printf("%q -> %v | job %q schema %q size %v clip %v adm %v acc %v\n", s, err, l.Job, l.Schema, l.Cohort.Size, l.Encoding.ClipNorm, l.Deadlines.Admission, l.Stop.Accuracy)
	}
	for _, n := range []int{10000, 100000, 1<<20} {
		for _, c := range []string{"[", "{", "- ", "a: [", "{a: ", "! ", "&a ", "? ", "'", "\"", "|", "\n ", "a:\n ", "a: b\n", "- a\n", "a: 'x\n\n", "#\n", "# ", "\"\\x41\" ", "a,", ": ", "[],", "{},", "- []\n", "\n", "a: |\n b\n", " - a\n", "a\n", "'a'\n", "a: {}\n", "{a: [],", "[a,", "[a:b,"} {
			start := time.Now()
			in := strings.Repeat(c, n/len(c))
			for _, pre := range []string{"", "[", "{", "a: [", "- ", "{a: ","a: "} {
			_, err := Parse("p", strings.NewReader(pre+in[1:]))
			d := time.Since(start)
			e := fmt.Sprint(err)
			if d > 1000*time.Millisecond { fmt.Printf("%q %q x %d: %v %.80s\n", pre, c, n, d, e) }
			}
		}
	}
}
