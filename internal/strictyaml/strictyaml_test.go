package strictyaml

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/fault"
)

var errTest = fault.New(fault.Usage, "strictyaml/test", "file cannot be read", "correct it")

// all has a field of each kind.
type all struct {
	Inner `yaml:",inline"`
	Text  string            `yaml:"text"`
	Int   int32             `yaml:"int,omitempty"`
	Uint  uint64            `yaml:"uint"`
	Float *float64          `yaml:"float"`
	Truth bool              `yaml:"truth"`
	Time  time.Duration     `yaml:"time"`
	List  []Inner           `yaml:"list"`
	Map   map[string]string `yaml:"map"`
	Size  size              `yaml:"size"`
	Both  both              `yaml:"both"`
	Other string            // no key
}

type Inner struct {
	A *Inner `yaml:"a"`
	B []int  `yaml:"b"`
}

// size is a number, or "large".
type size int

func (s *size) ReadYAML(v Value) error {
	if v.Word() == "large" {
		*s = 100
		return nil
	}
	if err := v.Into((*int)(s)); err != nil {
		return err
	}
	if *s > 100 {
		return v.Refuse("%d is too large", *s)
	}
	return nil
}

// both is a name or a section.
type both struct {
	name    string
	section *Inner
}

func (b *both) ReadYAML(v Value) error {
	if v.Section() {
		return v.Into(&b.section)
	}
	return v.Into(&b.name)
}

func read(text string, into *all) error {
	return Read("file.yaml", errTest, strings.NewReader(text), into)
}

func TestFileIsReadIntoFieldsOfEachKind(t *testing.T) {
	half := 0.5
	got := all{Int: 7, Other: "stays"}
	require.NoError(t, read(`# a comment
a: {b: [1, -2]}
text: "5"
uint: 18446744073709551615
float: 5e-1
truth: true
time: 1m30s
list:
  - b:
    - 4
  - a:
      b:
      - 5
  - {a: {}}
map: {word: yes, number: 1.50}
size: large
both:
  b: [3]
`, &got))
	require.Equal(t, all{Inner: Inner{A: &Inner{B: []int{1, -2}}}, Text: "5", Int: 7, Uint: 1<<64 - 1, Float: &half, Truth: true, Time: 90 * time.Second,
		List: []Inner{{B: []int{4}}, {A: &Inner{B: []int{5}}}, {A: &Inner{}}}, Map: map[string]string{"word": "yes", "number": "1.50"}, Size: 100,
		Both: both{section: &Inner{B: []int{3}}}, Other: "stays"}, got)
	var named all
	require.NoError(t, read("both: file.yaml\nsize: 3\n", &named))
	require.Equal(t, all{Both: both{name: "file.yaml"}, Size: 3}, named)
}

func TestWhatAFileWasNotMeantAsIsRefusedAtItsLine(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"unknown key":                {"truth: true\ntruths: true", `file.yaml:2: file cannot be read (key "truths" is unknown); correct it`},
		"field without a key":        {"\"\": x", `file.yaml:1: file cannot be read (key "" is unknown)`},
		"key twice":                  {"text: a\nint: 1\ntext: b", "file.yaml:3: "},
		"key twice, once quoted":     {"'text': a\ntext: b", "file.yaml:2: "},
		"key twice in a map":         {"map: {a: 1, a: 2}", "file.yaml:1: "},
		"key twice, once inlined":    {"b: []\nb: []", "file.yaml:2: "},
		"negative for whole":         {"uint: -1", `uint: "-1" is not a whole number in decimal, or too large`},
		"too large for whole":        {"uint: 18446744073709551616", "uint: "},
		"too large for the type":     {"int: 2147483648", "int: "},
		"quoted number":              {"float: '1'", "float: "},
		"null for a pointer":         {"a: ~", "a has no value"},
		"null for a custom type":     {"size:", "size has no value"},
		"quoted word":                {"size: 'large'", "size: "},
		"what a custom type refuses": {"text: a\nsize: 101", "file.yaml:2: file cannot be read (size: 101 is too large)"},
		"unknown key of a section":   {"both:\n  c: 1", `file.yaml:2: file cannot be read (key "both.c" is unknown)`},
		"list for a map":             {"map: [a]", "map is not a list of keys and values"},
		"list in a map":              {"map: {a: [1]}", `"map.a" is neither a word nor a number`},
		"line break in a map's key":  {"map: {\"a\\nb\": [1]}", `"map.a\nb" is neither a word nor a number`},
		"long word for a text":       {"text: >" + strings.Repeat(">", 1000), `">>>`},
		"number of an item":          {"list:\n- b: [1]\n- b: [1, x]", "file.yaml:3: file cannot be read (list[1].b[1]: "},
		"anchor":                     {"text: &a x", "not used here"},
		"nothing":                    {"# nothing", "there is nothing in it"},
		"items without values":       {"list:\n" + strings.Repeat("- a:\n", 1<<17), "file.yaml:3: file cannot be read (a key before it has no value)"},
		"longer than any":            {"#" + strings.Repeat(" ", maxFile), "longer than"},
		"a megabyte of empty lines":  {"text: |\n" + strings.Repeat("\n", 1<<20-10), "line breaks in a row"},
		"lines of spaces, with CR":   {"text: |\n" + strings.Repeat(" \t\r\n", maxBlank/2), "line breaks in a row"},
	} {
		t.Run(name, func(t *testing.T) {
			err := read(c.text, &all{})
			require.ErrorIs(t, err, errTest)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "\n")
			require.Less(t, len(err.Error()), 400)
		})
	}
}

func TestTextMayEndInAsManyEmptyLinesAsAnyNeeds(t *testing.T) {
	var got all
	require.NoError(t, read("text: |\n  a\n"+strings.Repeat("\n", maxBlank-1)+"  b\n"+strings.Repeat(" \n", maxBlank-1), &got))
	require.Equal(t, "a\n"+strings.Repeat("\n", maxBlank-1)+"b\n", got.Text)
}
