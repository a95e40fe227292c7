package adversary

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Attack is one attack with all its parameters set. The zero value is the attack "none":
// the attackers are honest. It is immutable and safe for concurrent use.
type Attack struct {
	kind   *kind   // nil: none
	values []value // one for each of the kind's parameters
}

// value is a word, or a number where the word is empty.
type value struct {
	word   string
	number float64
}

// kind is an attack before its parameters are set.
type kind struct {
	name, does, knows, source string
	parameters                []parameter
	check                     func(Attack) error                       // of parameters against each other; nil: none
	craft                     func(Attack, Known) ([][]float32, error) // nil: sends Own
	data                      func(Attack) poison                      // nil: leaves data alone
	cheat                     Cheat
}

// parameter is a number from least to most, if least <= most, or one of words.
type parameter struct {
	name, fallback, means string
	words                 []string
	least, most           float64
	whole                 bool
}

// Info describes an attack.
type Info struct {
	Name       string
	Does       string // what the attackers do
	Knows      string // what of Known it uses, for attacks on updates
	Source     string // paper, or suite that has it
	Cheat      Cheat  // the rule of the protocol that it breaks, CheatNone if none
	Parameters []Parameter
}

// Parameter describes one parameter of an attack.
type Parameter struct {
	Name    string
	Default string
	Range   string // the values it takes, in words
	Means   string
}

// Attacks lists every attack that [Parse] reads, "none" first. The list is the caller's.
func Attacks() []Info {
	list := []Info{{Name: none, Does: "attackers behave as honest clients"}}
	for _, k := range kinds {
		info := Info{Name: k.name, Does: k.does, Knows: k.knows, Source: k.source, Cheat: k.cheat}
		for _, p := range k.parameters {
			info.Parameters = append(info.Parameters, Parameter{Name: p.name, Default: p.fallback, Range: p.values(), Means: p.means})
		}
		list = append(list, info)
	}
	return list
}

const none = "none"

// Parse reads an attack: its name, or its name, a colon and parameters KEY=VALUE with
// commas between them, in any order, each at most once. It refuses with [ErrSpec], saying
// where: an unknown name, a parameter of another attack, a value out of range, spaces.
func Parse(spec string) (Attack, error) {
	name, list, given := strings.Cut(spec, ":")
	at := slices.IndexFunc(kinds, func(k *kind) bool { return k.name == name })
	if at < 0 && name != none {
		names := []string{none}
		for _, k := range kinds {
			names = append(names, k.name)
		}
		return Attack{}, ErrSpec.At("attack %q is none of %s", name, strings.Join(names, ", "))
	}
	var a Attack
	if name != none {
		a = Attack{kind: kinds[at], values: make([]value, len(kinds[at].parameters))}
		for i, p := range a.kind.parameters {
			a.values[i], _ = p.parse(p.fallback) // a test reads every default
		}
	}
	if !given {
		return a, nil
	}
	seen := map[string]bool{}
	for item := range strings.SplitSeq(list, ",") {
		key, text, ok := strings.Cut(item, "=")
		i := a.index(key)
		switch {
		case !ok:
			return Attack{}, ErrSpec.At("attack %s: %q is not of the form parameter=value", name, item)
		case i < 0:
			return Attack{}, ErrSpec.At("attack %s has no parameter %q%s", name, key, a.list())
		case seen[key]:
			return Attack{}, ErrSpec.At("attack %s: parameter %s is given twice", name, key)
		}
		seen[key] = true
		p := a.kind.parameters[i]
		if a.values[i], ok = p.parse(text); !ok {
			return Attack{}, ErrSpec.At("attack %s: parameter %s is %q, must be %s", name, key, text, p.values())
		}
	}
	if a.kind.check != nil {
		if err := a.kind.check(a); err != nil {
			return Attack{}, err
		}
	}
	return a, nil
}

// Name is the attack's name.
func (a Attack) Name() string {
	if a.kind == nil {
		return none
	}
	return a.kind.name
}

// String writes the attack such that [Parse] reads the same again: its name and the
// parameters that are not at their default, in the order of the list of attacks.
func (a Attack) String() string {
	if a.kind == nil {
		return none
	}
	var set []string
	for i, p := range a.kind.parameters {
		if a.changed(i) {
			set = append(set, p.name+"="+a.values[i].String())
		}
	}
	if set == nil {
		return a.kind.name
	}
	return a.kind.name + ":" + strings.Join(set, ",")
}

// Omniscient reports whether the attack was set to see every honest update
// (knowledge=all), so that a simulator need not train honest clients for nothing.
func (a Attack) Omniscient() bool { return a.word("knowledge") == "all" }

// Number is a parameter of the attack that is a number; 0 if it has no such parameter or
// a word stands there. It is how a simulator reads the parameters of cheats.
func (a Attack) Number(name string) float64 {
	if i := a.index(name); i >= 0 {
		return a.values[i].number
	}
	return 0
}

// word is a parameter that is a word; empty if a number stands there or there is none.
func (a Attack) word(name string) string {
	if i := a.index(name); i >= 0 {
		return a.values[i].word
	}
	return ""
}

// changed reports whether the i-th parameter is not at its default.
func (a Attack) changed(i int) bool {
	fallback, _ := a.kind.parameters[i].parse(a.kind.parameters[i].fallback)
	return a.values[i] != fallback
}

func (a Attack) index(name string) int {
	if a.kind == nil {
		return -1
	}
	return slices.IndexFunc(a.kind.parameters, func(p parameter) bool { return p.name == name })
}

// list names the parameters for an error.
func (a Attack) list() string {
	if a.kind == nil || len(a.kind.parameters) == 0 {
		return "; it has none"
	}
	var names []string
	for _, p := range a.kind.parameters {
		names = append(names, p.name)
	}
	return "; it has " + strings.Join(names, ", ")
}

func (v value) String() string {
	if v.word != "" {
		return v.word
	}
	return strconv.FormatFloat(v.number, 'g', -1, 64)
}

// parse reads a value. Of numbers it takes decimal ones only: no infinities, no
// hexadecimal digits, no underscores.
func (p parameter) parse(text string) (value, bool) {
	if slices.Contains(p.words, text) {
		return value{word: text}, true
	}
	if strings.Trim(text, "+-.0123456789eE") != "" {
		return value{}, false
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || !(x >= p.least && x <= p.most) || p.whole && x != math.Trunc(x) {
		return value{}, false
	}
	return value{number: x + 0}, true // -0 becomes 0, which is written the same
}

// values says which values a parameter takes.
func (p parameter) values() string {
	parts := slices.Clone(p.words)
	if p.least <= p.most {
		number := "a number"
		if p.whole {
			number = "a whole number"
		}
		parts = append(parts, number+" from "+value{number: p.least}.String()+" to "+value{number: p.most}.String())
	}
	return strings.Join(parts, " or ")
}
