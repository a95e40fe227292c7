// Package bench measures what Choir's arithmetic and protocols cost on the machine
// it runs on, beside the limits of that machine: one thread, everything through the
// interfaces that the coordinator and the clients use.
//
// A time is processor time (on systems that tell; elsewhere, time), the least of
// several repetitions: what else goes on in a machine only adds to it. Robust rules are
// the exception: their times are those that pass while two threads are at work.
package bench

import (
	"regexp"
	"runtime"
	"slices"

	"github.com/choir-fl/choir/fault"
)

// Schema names the JSON document's version.
const Schema = "choir.bench/1"

// Document is the JSON document of `choir bench --json`. Fields are added, never changed.
type Document struct {
	Schema  string   `json:"schema"`
	Results []Result `json:"results"`
}

// Result is one measurement. N, D and W are null where they do not apply; a name may
// come with several of them.
type Result struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
	// N is the clients in the cohort, or vectors combined; secrets recovered; the standard deviation of noise;
	// the reciprocal of the grid of a privacy loss distribution.
	N *int `json:"n"`
	D *int `json:"d"` // words of a vector, or shares of a secret
	W *int `json:"w"` // bits of a word on the wire
	// Computed from the costs of single operations, measured in the same run.
	Computed bool `json:"computed"`
}

// Units of results. Nanoseconds are of one thread.
const (
	PerCoordinate       = "ns/coord"           // of one vector
	PerCoordinateClient = "ns/coord/client"    // for each client in the sum
	PerNeighbour        = "ns/coord/neighbour" // for each client with which masks are shared
	PerExpansion        = "ns/coord/expansion" // for each mask taken off
	PerSample           = "ns/sample"
	PerClient           = "ms/client"
	Milliseconds        = "ms"
	BytesPerCoordinate  = "byte/coord"
	BytesPerClient      = "byte/client"
	BytesPerMember      = "byte/member" // of the committee
	PerThousandLetters  = "ms/1000 letters"
	Seconds             = "s"
)

// Bounds of Options.D.
const (
	DefaultD = 1 << 20
	MinD     = 1 << 10
	MaxD     = 1 << 26
)

// ErrOptions refuses what cannot be measured.
var ErrOptions = fault.New(fault.Usage, "bench/options", "measurement is refused", "see choir bench --help")

// Options says what to measure.
type Options struct {
	// D is the number of words in a vector, MinD to MaxD.
	D int
	// Filter selects measurements by name; nil means all.
	Filter *regexp.Regexp
	// Progress is told what is measured next. May be nil.
	Progress func(what string)
}

// group is a set of measurements that are made together.
type group struct {
	what  string
	names []string
	run   func(*suite) error
}

var groups = []group{
	{"expansion of masks", []string{"limit/aesctr", "limit/add", "pairwise/unmask"}, expansion},
	{"digest", []string{"limit/sha256"}, digest},
	{"encoding", []string{"field/encode"}, encoding},
	{"packing", []string{"field/pack", "field/unpack"}, packing},
	{"plain sums", []string{"plain/aggregate"}, plainSums},
	{"encryption", []string{"oneshot/encrypt", "oneshot/digest"}, longLayer},
	{"encrypted sums", []string{"oneshot/aggregate"}, oneshotSums},
	{"opening of encrypted sums", []string{"oneshot/unmask"}, oneshotUnmasking},
	{"encrypted uploads", []string{"oneshot/upload"}, oneshotUploads},
	{"oneshot messages", oneshotPhaseNames(), oneshotMessages},
	{"letters to a committee", []string{"oneshot/letters/first", "oneshot/letters/second"}, oneshotLetters},
	{"the check of a roster", []string{"client/roster"}, roster},
	{"a client of a whole attempt", []string{"oneshot/client"}, oneshotClient},
	{"the coordinator of a whole attempt", []string{"oneshot/coordinator"}, oneshotCoordinator},
	{"exact noise", []string{"noise/dgauss", "noise/skellam"}, sampling},
	{"shared noise", []string{"ddp/rotate", "ddp/draw", "ddp/encode", "ddp/decode", "ddp/64blocks"}, shares},
	{"privacy accounting", []string{"account/pld", "account/rdp", "account/calibrate", "mf/sensitivity"}, accounting},
	{"robust rules", robustNames(), combining},
	{"pairwise uploads", []string{"pairwise/mask", "pairwise/aggregate", "pairwise/upload"}, pairwiseUploads},
	{"pairwise messages", phaseNames(), pairwiseMessages},
	{"pairwise keys", []string{"pairwise/advertise", "pairwise/share"}, pairwiseKeys},
	{"recovery of secrets", []string{"pairwise/shamir"}, recovery},
	{"whole attempts of scheme pairwise", []string{"pairwise/client", "pairwise/coordinator"}, pairwiseWhole},
}

// Names lists all measurements in the order they are made.
func Names() (out []string) {
	for _, g := range groups {
		out = append(out, g.names...)
	}
	return out
}

// Limits names the measurements whose sum a measurement is to be held against: what
// the machine would take for its arithmetic alone.
func Limits(name string) []string {
	switch name {
	case "pairwise/mask", "pairwise/unmask":
		return []string{"limit/aesctr", "limit/add"}
	case "plain/aggregate", "pairwise/aggregate", "field/pack", "field/unpack":
		return []string{"limit/add"}
	case "oneshot/encrypt", "oneshot/unmask": // which expand 8 and 5 bytes for a coordinate
		return []string{"limit/aesctr"}
	case "oneshot/aggregate":
		return []string{"limit/add"}
	case "oneshot/digest":
		return []string{"limit/sha256"}
	case "field/encode": // it draws 4 bytes of coins for a coordinate
		return []string{"limit/aesctr"}
	}
	return nil
}

// suite is a run of measurements.
type suite struct {
	d         int
	wanted    func(name string) bool
	selective bool // a filter says what is wanted
	results   []Result
}

// Run measures on one thread, and robust rules on two: it sets GOMAXPROCS until it
// returns, so nothing else of the process should be at work.
func Run(o Options) (Document, error) {
	if o.D < MinD || o.D > MaxD {
		return Document{}, ErrOptions.At("%d words, not %d to %d", o.D, MinD, MaxD)
	}
	s := &suite{d: o.D, selective: o.Filter != nil, wanted: func(name string) bool { return o.Filter == nil || o.Filter.MatchString(name) }}
	if !slices.ContainsFunc(Names(), s.wanted) {
		return Document{}, ErrOptions.At("no measurement is called like %q", o.Filter)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, g := range groups {
		if !slices.ContainsFunc(g.names, s.wanted) {
			continue
		}
		if o.Progress != nil {
			o.Progress(g.what)
		}
		if err := g.run(s); err != nil {
			return Document{}, err
		}
	}
	return Document{Schema: Schema, Results: s.results}, nil
}

// add keeps a result that was asked for. A zero n, d or w does not apply.
func (s *suite) add(name, unit string, value float64, n, d, w int) {
	if !s.wanted(name) {
		return
	}
	optional := func(v int) *int {
		if v == 0 {
			return nil
		}
		return &v
	}
	s.results = append(s.results, Result{Name: name, Unit: unit, Value: value, N: optional(n), D: optional(d), W: optional(w)})
}

// compute keeps a result that was not measured itself.
func (s *suite) compute(name, unit string, value float64, n, d, w int) {
	had := len(s.results)
	if s.add(name, unit, value, n, d, w); len(s.results) > had {
		s.results[had].Computed = true
	}
}
