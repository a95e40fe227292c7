package robust

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Spec names a rule, what is done to the vectors before it, and the rule's parameters, as
// a plan does. Plain data; Check makes it a Rule.
type Spec struct {
	// Rule is a name of the table Rules. "" is mean.
	Rule string
	// F is how many of the vectors that are combined may be Byzantine; of bucket means, how
	// many means. mean, fltrust, flame and foolsgold work the same for every F that they admit.
	F int
	// Pre names pre-aggregators, applied in this order: "clip:2", "arc", "nnm", "bucketing:2".
	Pre []string
	// Parameters are those of the rule that differ from the defaults of the table.
	Parameters map[string]string
	// Compat is "", "byzfl" or "flower". byzfl changes the defaults that the table lists,
	// and starts geometric-median at zero with a nu that is a length; for other rules it
	// changes nothing. flower lets krum, multi-krum and bulyan take any n > 2f, with at
	// least one neighbour and at least one value about the median; it is refused for rules
	// that Flower lacks.
	Compat string
}

// maxPre is how many pre-aggregators a Spec may list.
const maxPre = 8

// Check returns the rule that a Spec describes, pre-aggregators included. It refuses with
// ErrSpec unknown names, parameters that are not the rule's, values out of range, and
// pairs that cannot work together.
func (s Spec) Check() (Rule, error) {
	r, err := s.recipe()
	if err != nil {
		return nil, err
	}
	if s.F < 0 || s.F > MaxVectors {
		return nil, ErrSpec.At("f %d", s.F)
	}
	of, err := s.values(r)
	if err != nil {
		return nil, err
	}
	pre, err := s.preaggregators()
	if err != nil {
		return nil, err
	}
	if r.Name == "mean" && len(pre) == 0 {
		return Mean{}, nil
	}
	rule := r.build(settings{name: r.Name, f: s.F, of: of, byzfl: s.Compat == "byzfl", flower: s.Compat == "flower"})
	return combined{name: r.Name, pre: pre, rule: rule}, nil
}

// Distances reports whether the rule or a pre-aggregator chooses by distances or angles.
// Where noise is larger than what honest vectors differ by, such a choice is one at random.
func (s Spec) Distances() bool {
	r, err := s.recipe()
	return err == nil && r.Distances || slices.Contains(s.Pre, "nnm")
}

// recipe looks the rule up.
func (s Spec) recipe() (recipe, error) {
	name := s.Rule
	if name == "" {
		name = "mean"
	}
	if name == rfa.Name {
		return recipe{}, ErrByClients.At("%s", name)
	}
	at := slices.IndexFunc(recipes, func(r recipe) bool { return r.Name == name })
	if at < 0 {
		return recipe{}, ErrSpec.At("rule %q", s.Rule)
	}
	r := recipes[at]
	switch {
	case s.Compat != "" && s.Compat != "byzfl" && s.Compat != "flower":
		return recipe{}, ErrSpec.At("compat %q", s.Compat)
	case s.Compat == "flower" && !r.flower:
		return recipe{}, ErrSpec.At("%s, which Flower does not have", name)
	case s.Compat == "flower" && s.Parameters["neighbours"] == "byzfl":
		return recipe{}, ErrSpec.At("ByzFL's neighbours under Flower's conventions")
	}
	return r, nil
}

// values reads the parameters, filling in defaults.
func (s Spec) values(r recipe) (map[string]float64, error) {
	for name := range s.Parameters {
		if !slices.ContainsFunc(r.Parameters, func(p Parameter) bool { return p.Name == name }) {
			return nil, ErrSpec.At("parameter %q of %s", name, r.Name)
		}
	}
	of := make(map[string]float64)
	for _, p := range r.Parameters {
		text := s.Parameters[p.Name]
		switch {
		case text != "":
		case s.Compat == "byzfl" && p.ByzFL != "":
			text = p.ByzFL
		default:
			text = p.Default
		}
		x, ok := p.read(text)
		if !ok {
			return nil, ErrSpec.At("%s of %s is %q, not %s", p.Name, r.Name, text, p.Range)
		}
		of[p.Name] = x
	}
	if r.Name == "dnc" && of["rounds"] > 1 && of["subsample"] == 0 {
		return nil, ErrSpec.At("rounds of dnc that all see every coordinate: set subsample")
	}
	return of, nil
}

// preaggregators reads Pre.
func (s Spec) preaggregators() ([]preaggregator, error) {
	if len(s.Pre) > maxPre {
		return nil, ErrSpec.At("%d pre-aggregators", len(s.Pre))
	}
	var out []preaggregator
	for _, text := range s.Pre {
		name, argument, given := strings.Cut(text, ":")
		at := slices.IndexFunc(prerecipes, func(p prerecipe) bool { return p.Name == name })
		if at < 0 {
			return nil, ErrSpec.At("pre-aggregator %q", text)
		}
		p, x := prerecipes[at], 0.
		if given != (len(p.Parameters) == 1) {
			return nil, ErrSpec.At("pre-aggregator %q", text)
		}
		if given {
			var ok bool
			if x, ok = p.Parameters[0].read(argument); !ok {
				return nil, ErrSpec.At("pre-aggregator %q: not %s", text, p.Parameters[0].Range)
			}
		}
		if name == "bucketing" && (s.Rule == "monna" || s.Rule == "foolsgold") {
			return nil, ErrSpec.At("bucketing before %s, which tells senders apart", s.Rule)
		}
		out = append(out, p.build(s.F, x))
	}
	return out, nil
}

// Parameter is one setting of a rule. In Spec.Parameters it is Name and a text.
type Parameter struct {
	Name    string
	Default string // as text; what "" stands for
	ByzFL   string // default under compat byzfl, where it differs
	Range   string // what is allowed, in words
	Meaning string

	options     []string // one of these, whose place is the value
	word        string   // stands for 0
	least, most float64
	whole       bool
}

// read is the value of a text, if it is allowed.
func (p Parameter) read(text string) (float64, bool) {
	if p.options != nil {
		at := slices.Index(p.options, text)
		return float64(at), at >= 0
	}
	if p.word != "" && text == p.word {
		return 0, true
	}
	x, err := strconv.ParseFloat(text, 64)
	return x, err == nil && x >= p.least && x <= p.most && (!p.whole || x == math.Trunc(x))
}

// option is a parameter that is one of several words, by default the first.
func option(name, byzfl, meaning string, options ...string) Parameter {
	return Parameter{Name: name, Default: options[0], ByzFL: byzfl, Range: strings.Join(options, " or "), Meaning: meaning, options: options}
}

// numeric is a parameter that is a number, or word if that is not "".
func numeric(name, standard, byzfl, word string, least, most float64, meaning string) Parameter {
	p := Parameter{Name: name, Default: standard, ByzFL: byzfl, Meaning: meaning, word: word, least: least, most: most}
	p.Range = fmt.Sprintf("%g to %g", least, most)
	if word != "" {
		p.Range += " or " + word
	}
	return p
}

// count is numeric for whole numbers.
func count(name, standard, byzfl, word string, least, most float64, meaning string) Parameter {
	p := numeric(name, standard, byzfl, word, least, most, meaning)
	p.whole = true
	p.Range = "a whole number, " + p.Range
	return p
}
