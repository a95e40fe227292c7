package main

import (
	"errors"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/fault"
)

// eventKey is a part of an event: a flag, and a name in --event.
type eventKey struct {
	name, usage string
	values      []string
}

var (
	mechanismValues = []string{"gaussian", "dgauss", "laplace", "skellam"}
	relationValues  = []string{"add-remove", "zero-out", "replace-one"}
	samplingValues  = []string{"none", "poisson", "fixed"}
)

var eventKeys = []eventKey{
	{"mechanism", "law of the noise: gaussian, dgauss (discrete Gaussian), laplace or skellam", mechanismValues},
	{"relation", "what neighbours differ in: add-remove, zero-out or replace-one", relationValues},
	{"sampling", "how cohorts are drawn: none (no amplification), poisson or fixed (a secret subset of fixed size)", samplingValues},
	{"q", "probability in (0,1] with which each client is drawn, for poisson; or give --n and --m", nil},
	{"n", "number of clients that cohorts are drawn from", nil},
	{"m", "number of clients in a cohort; with poisson the expected number", nil},
	{"capacity", "number of clients that a poisson cohort is cut down to; needs --population", nil},
	{"population", "number of clients that are drawn from, with --capacity", nil},
	{"noise-multiplier", "standard deviation of the noise over the sensitivity under --relation (clip norm; twice that under replace-one)", nil},
	{"stddev", "standard deviation of the noise in the units of --clip, in place of --noise-multiplier (dgauss: its parameter sigma)", nil},
	{"clip", "bound of the norm of one contribution (laplace: L1, else L2; dgauss, skellam: in steps of the integer grid)", nil},
	{"sensitivity", "most by which the sum changes under --relation, in place of --clip", nil},
	{"l1", "bound of the L1 norm of one contribution in steps of the integer grid, for skellam", nil},
	{"dimension", "number of coordinates of the sum, for dgauss and skellam", nil},
	{"steps", "number of times that this is done", nil},
}

func keyNames() (names []string) {
	for _, k := range eventKeys {
		names = append(names, k.name)
	}
	return names
}

// statement is what a person says about one event.
type statement struct {
	where, dash string // for errors: the place, and what stands before a name
	given       map[string]string
}

// parseGroup reads the i-th --event.
func parseGroup(where string, i int, group string) (statement, error) {
	s := statement{where: where + " --event " + strconv.Itoa(i), given: map[string]string{}}
	refuse := func(why string) error { return errPrivacy.At("%s", s.where).Because(errors.New(why)) }
	for _, part := range strings.Split(group, ",") {
		name, value, ok := strings.Cut(part, "=")
		switch {
		case !ok:
			return statement{}, refuse(strconv.Quote(part) + " is not name=value")
		case !slices.Contains(keyNames(), name):
			return statement{}, refuse(strconv.Quote(name) + " is none of " + strings.Join(keyNames(), ", "))
		case s.has(name):
			return statement{}, refuse(name + " is given twice")
		}
		s.given[name] = value
	}
	return s, nil
}

func (s statement) has(name string) bool { _, ok := s.given[name]; return ok }

// with returns a copy with one value more.
func (s statement) with(name, value string) statement {
	s.given = maps.Clone(s.given)
	s.given[name] = value
	return s
}

func (s statement) without(names ...string) statement {
	s.given = maps.Clone(s.given)
	for _, name := range names {
		delete(s.given, name)
	}
	return s
}

// String writes the statement as --event takes it.
func (s statement) String() string {
	var parts []string
	for _, name := range keyNames() {
		if s.has(name) {
			parts = append(parts, name+"="+s.given[name])
		}
	}
	return strings.Join(parts, ",")
}

func (s statement) event() (dp.Event, error) { return s.reading().event() }

// event makes the event, and ends the reading.
func (r *reading) event() (dp.Event, error) {
	spec := dp.Spec{Dimension: 1}
	spec.Mechanism, _ = dp.ParseMechanism(r.one("mechanism", mechanismValues))
	spec.Relation, _ = dp.ParseRelation(r.one("relation", relationValues))
	spec.Sampling = r.sampling()
	r.noise(&spec)
	spec.Count = r.whole("steps", dp.MaxCount)
	if err := r.end(); err != nil {
		return dp.Event{}, err
	}
	e, err := dp.NewEvent(spec)
	if err != nil && fault.ClassOf(err) != fault.Refused {
		err = errPrivacy.At("%s", r.where).Because(err)
	}
	return e, err
}

// reading collects what is wrong with a statement while it is read.
type reading struct {
	statement
	used           map[string]bool
	missing, wrong []string
}

func (s statement) reading() *reading { return &reading{statement: s, used: map[string]bool{}} }

func (r *reading) refuse(name, why string) {
	r.wrong = append(r.wrong, r.dash+name+" "+r.given[name]+": "+why)
}

// text returns what is given under a name, and notes its absence.
func (r *reading) text(name string) (string, bool) {
	r.used[name] = true
	if !r.has(name) {
		r.missing = append(r.missing, r.dash+name)
	}
	return r.given[name], r.has(name)
}

// one reads one of several words; "" if it is not.
func (r *reading) one(name string, values []string) string {
	v, ok := r.text(name)
	if ok && !slices.Contains(values, v) {
		r.refuse(name, "one of "+strings.Join(values, ", ")+" is wanted")
		return ""
	}
	return v
}

// number reads a positive finite number. It is stated so that NaN fails.
func (r *reading) number(name string) float64 {
	v, ok := r.text(name)
	if !ok {
		return 0
	}
	x, err := strconv.ParseFloat(v, 64)
	if err != nil || !(x > 0 && x <= math.MaxFloat64) {
		r.refuse(name, "a finite number above 0 is wanted")
		return 0
	}
	return x
}

// whole reads a number from 1 to most.
func (r *reading) whole(name string, most int64) int64 {
	v, ok := r.text(name)
	if !ok {
		return 0
	}
	x, err := strconv.ParseInt(v, 10, 64)
	if err != nil || x < 1 || x > most {
		r.refuse(name, "a whole number from 1 to "+strconv.FormatInt(most, 10)+" is wanted")
		return 0
	}
	return x
}

func (r *reading) clients(name string) int { return int(r.whole(name, math.MaxInt32)) }

// either returns which of two names is given, and notes if it is neither or both.
func (r *reading) either(a, b string) string {
	switch {
	case r.has(a) && r.has(b):
		r.used[a], r.used[b] = true, true
		r.wrong = append(r.wrong, r.dash+a+" and "+r.dash+b+" exclude each other")
	case r.has(a):
		return a
	case r.has(b):
		return b
	default:
		r.missing = append(r.missing, r.dash+a+" or "+r.dash+b)
	}
	return ""
}

// end returns what was wrong: first what cannot be, then what is missing, then what
// has no place.
func (r *reading) end() error {
	refuse := func(why string) error { return errPrivacy.At("%s", r.where).Because(errors.New(why)) }
	if len(r.wrong) > 0 {
		return refuse(strings.Join(r.wrong, "; "))
	}
	if len(r.missing) > 0 {
		return refuse("missing: " + strings.Join(r.missing, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(r.given)) {
		if !r.used[name] {
			return refuse(r.dash + name + " does not go with the rest, and would be ignored")
		}
	}
	return nil
}

func (r *reading) sampling() (s dp.Sampling) {
	switch r.one("sampling", samplingValues) {
	case "none":
		s.Mode = dp.SamplingNone
	case "fixed":
		s.Mode, s.Population, s.Size = dp.SamplingFixed, r.clients("n"), r.clients("m")
		if s.Size > s.Population && s.Population > 0 {
			r.refuse("m", "it is above the number of clients drawn from")
		}
	case "poisson":
		s.Mode = dp.SamplingPoisson
		s.Rate = r.rate()
		if r.has("capacity") || r.has("population") {
			s.Mode, s.Size, s.Population = dp.SamplingTruncatedPoisson, r.clients("capacity"), r.clients("population")
			if s.Size > s.Population && s.Population > 0 {
				r.refuse("capacity", "it is above the population")
			}
			if n := r.given["n"]; n != "" && n != r.given["population"] {
				r.refuse("n", "the population is another")
			}
		}
	}
	return s
}

// rate is q, or the expected cohort over the number of clients.
func (r *reading) rate() float64 {
	if !r.has("n") && !r.has("m") || r.has("q") {
		q := r.number("q")
		if q > 1 {
			r.refuse("q", "a number in (0,1] is wanted")
		}
		return q
	}
	n, m := r.clients("n"), r.clients("m")
	if m > n && n > 0 {
		r.refuse("m", "it is above the number of clients drawn from")
	}
	return float64(m) / float64(max(n, 1))
}

// noise reads noise and sensitivity. A noise multiplier alone says all there is to
// know about a continuous law; the discrete ones depend on their grid.
func (r *reading) noise(s *dp.Spec) {
	discrete := s.Mechanism == dp.DiscreteGaussian || s.Mechanism == dp.Skellam
	spread := r.either("noise-multiplier", "stddev")
	var level float64
	if spread != "" {
		level = r.number(spread)
	}
	factor := 1.0
	if s.Relation == dp.ReplaceOne {
		factor = 2
	}
	s.Clip = 1 / factor
	if discrete || spread == "stddev" || r.has("clip") || r.has("sensitivity") {
		switch r.either("clip", "sensitivity") {
		case "clip":
			s.Clip = r.number("clip")
		case "sensitivity":
			s.Clip = r.number("sensitivity") / factor
		}
	}
	reach := 1.0
	if spread == "noise-multiplier" {
		reach = factor * s.Clip
	}
	if !discrete {
		s.StdDev = level * reach
		return
	}
	s.Dimension = r.clients("dimension")
	if s.Mechanism == dp.Skellam {
		s.L1 = r.number("l1")
	}
	if a, b := new(big.Rat).SetFloat64(level), new(big.Rat).SetFloat64(reach); a != nil && b != nil {
		sigma := a.Mul(a, b)
		s.Variance = sigma.Mul(sigma, sigma)
	}
}
