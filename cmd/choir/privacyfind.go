package main

import (
	"math"
	"strconv"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
)

// sought is what a command looks for.
type sought struct {
	name   string               // the name under which a value is stated
	open   func(statement) bool // whether a statement leaves it open
	closed string               // why there is nothing to find
	whole  bool                 // a whole number
	find   func(question) (float64, error)
}

// orNothing lets a command that seeks nothing fill in nothing.
func (s *sought) orNothing() *sought {
	if s == nil {
		return &sought{open: func(statement) bool { return false }}
	}
	return s
}

// filled returns the statement with a value for what is sought, if it is open.
func (s statement) filled(what *sought, value float64) statement {
	if !what.open(s) {
		return s
	}
	if what.whole {
		return s.with(what.name, strconv.FormatInt(int64(value), 10))
	}
	return s.with(what.name, strconv.FormatFloat(value, 'g', -1, 64))
}

var (
	noiseSought = sought{
		name:   "noise-multiplier",
		open:   func(s statement) bool { return !s.has("noise-multiplier") && !s.has("stddev") },
		closed: "the noise is stated, so there is none to find",
		find: func(q question) (float64, error) {
			return account.Noise(q.epsilon, q.delta, q.method(), q.events)
		},
	}
	stepsSought = sought{
		name:   "steps",
		open:   func(s statement) bool { return !s.has("steps") },
		closed: "the steps are stated, so there are none to find",
		whole:  true,
		find:   func(q question) (float64, error) { return q.most(dp.MaxCount) },
	}
	cohortSought = sought{
		name: "m",
		open: func(s statement) bool {
			return (s.given["sampling"] == "poisson" || s.given["sampling"] == "fixed") && !s.has("q") && !s.has("m")
		},
		closed: "nothing is sampled without stating --q or --m, so there is no cohort to find",
		whole:  true,
		find: func(q question) (float64, error) {
			limit := int64(math.MaxInt32)
			for _, s := range q.stated {
				if q.sought.open(s) {
					limit = min(limit, int64(s.reading().clients("n")))
				}
			}
			return q.most(limit)
		},
	}
)

// most is exact: what it counts is below 2^53.
func (q question) most(limit int64) (float64, error) {
	n, err := account.Most(limit, q.epsilon, q.delta, q.method(), func(n int64) ([]dp.Event, error) { return q.events(float64(n)) })
	return float64(n), err
}
