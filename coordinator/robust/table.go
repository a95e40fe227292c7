package robust

import "slices"

// Info describes a rule or pre-aggregator: the one table for documents, help texts and
// the check of a plan.
type Info struct {
	Name string
	// View is what the rule needs to see, in the words of plans: "sum", "bucket_means",
	// "vectors". A wider view serves as well.
	View string
	// Breakdown is how many of n vectors may be Byzantine before the result can be
	// anything, if f is set to that.
	Breakdown string
	// Precondition is what n and f have to fulfil; what does not is refused.
	Precondition string
	// Cost is in operations, for n vectors of length d.
	Cost string
	// Warning is what to know before relying on it; "" for most.
	Warning string
	// Distances says that it chooses by distances or angles, Coordinates that a rule works
	// coordinate by coordinate and has no weights.
	Distances, Coordinates bool
	Parameters             []Parameter
}

// Rules lists the rules that Spec.Rule can name.
func Rules() []Info {
	out := make([]Info, len(recipes))
	for i, r := range recipes {
		out[i] = r.Info
		out[i].Parameters = slices.Clone(r.Parameters)
	}
	return out
}

// Preaggregators lists what Spec.Pre can name. Their one parameter, where they have one,
// follows the name after a colon.
func Preaggregators() []Info {
	out := make([]Info, len(prerecipes))
	for i, p := range prerecipes {
		out[i] = p.Info
		out[i].Parameters = slices.Clone(p.Parameters)
	}
	return out
}

type recipe struct {
	Info
	flower bool // Flower has it
	build  func(p settings) method
}

type prerecipe struct {
	Info
	build func(f int, x float64) preaggregator
}

var neighbourhood = option("neighbours", "byzfl", "how many others count in a score: n-f-2 (original) or n-f-1 (byzfl, which admits n > 2f)", "original", "byzfl")

var recipes = []recipe{
	{Info{Name: "mean", View: "sum", Breakdown: "0", Precondition: "n >= 1", Cost: "nd",
		Warning: "it withstands nobody, whatever f says"}, true, newMean},
	{Info{Name: "median", View: "bucket_means", Breakdown: "f < n/2", Precondition: "n > 2f", Cost: "nd",
		Coordinates: true}, true, newCoordinates},
	{Info{Name: "trimmed-mean", View: "bucket_means", Breakdown: "f < n/2", Precondition: "n > 2f", Cost: "nd",
		Coordinates: true}, true, newCoordinates},
	{Info{Name: "meamed", View: "bucket_means", Breakdown: "f < n/2", Precondition: "n > 2f", Cost: "nd",
		Coordinates: true}, false, newCoordinates},
	{Info{Name: "krum", View: "bucket_means", Breakdown: "2f + 2 < n", Precondition: "n > 2f+2; n > 2f with neighbours byzfl", Cost: "n^2 d",
		Warning: "it takes one vector whole, which under unlike data is one client's", Distances: true,
		Parameters: []Parameter{neighbourhood}}, true, newKrum},
	{Info{Name: "multi-krum", View: "bucket_means", Breakdown: "2f + 2 < n", Precondition: "n > 2f+2, keep <= n-f; n > 2f with neighbours byzfl", Cost: "n^2 d",
		Distances: true, Parameters: []Parameter{neighbourhood,
			count("keep", "n-f", "", "n-f", 1, MaxVectors, "how many vectors of least score are averaged")}}, true, newMultiKrum},
	{Info{Name: "bulyan", View: "bucket_means", Breakdown: "4f + 3 <= n", Precondition: "n >= 4f+3", Cost: "n^2 d + n^3",
		Distances: true, Coordinates: true, Parameters: []Parameter{neighbourhood}}, true, newBulyan},
	{Info{Name: "geometric-median", View: "bucket_means", Breakdown: "f < n/2", Precondition: "n > 2f", Cost: "n^2 d + iterations n^2",
		Parameters: []Parameter{
			numeric("nu", "1e-6", "0.1", "", 1e-12, 1e9, "distances below it count as it: a multiple of the data's scale, under byzfl a length"),
			count("iterations", "1000", "3", "", 1, 1e6, "steps at most"),
			numeric("tolerance", "1e-6", "0", "", 0, 1, "ends once a step is shorter than this times the data's scale")}}, false, newGeometricMedian},
	{Info{Name: "mda", View: "bucket_means", Breakdown: "f < n/2", Precondition: "n > 2f, and subsets of n-f times (n-f)^2 at most 878,850,700 (n = 25, f = 12)", Cost: "n^2 d + subsets n^2",
		Distances: true}, false, newMDA},
	{Info{Name: "smea", View: "bucket_means", Breakdown: "f < n/2", Precondition: "n > 2f, and subsets of n-f times (n-f)^3 at most 425,040,000 (n = 25, f = 5)", Cost: "n^2 d + subsets n^3",
		Distances: true}, false, newSMEA},
	{Info{Name: "caf", View: "bucket_means", Breakdown: "f < n/2", Precondition: "2f < n <= 256", Cost: "n^2 d + iterations n^3",
		Warning: "where a step would take less than a hundredth of the weight it takes more than the definition's, which would need thousands of steps", Distances: true}, false, newCAF},
	{Info{Name: "monna", View: "vectors", Breakdown: "f < n/2", Precondition: "n > 2f, n > pivot", Cost: "nd",
		Warning: "whoever sends the pivot decides", Distances: true,
		Parameters: []Parameter{count("pivot", "0", "", "", 0, MaxVectors-1, "place, from 0, of the vector that is trusted")}}, false, newMoNNA},
	{Info{Name: "centered-clipping", View: "bucket_means", Breakdown: "f < n/2", Precondition: "n > 2f", Cost: "n^2 d + iterations n^2",
		Warning: "it is as good as its reference, the last result; there is none in the first round",
		Parameters: []Parameter{
			numeric("tau", "adaptive", "100", "adaptive", 1e-12, 1e15, "length to which differences from the reference are clipped; adaptive: their median length"),
			count("iterations", "3", "1", "", 1, 1e4, "steps")}}, false, newCenteredClipping},
	{Info{Name: "fltrust", View: "bucket_means", Breakdown: "f < n", Precondition: "n > f, a root update", Cost: "n^2 d",
		Warning: "it is as good as the data that the root update is learned from", Distances: true}, false, newFLTrust},
	{Info{Name: "flame", View: "bucket_means", Breakdown: "f < n/2", Precondition: "n > 2f", Cost: "n^2 d + n^3",
		Warning: "without the noise of the paper: noise is the plan's privacy section", Distances: true}, false, newFLAME},
	{Info{Name: "dnc", View: "bucket_means", Breakdown: "f < n/2", Precondition: "n > 2f, n > rounds ceil(c f)", Cost: "n^2 d + n^3; with subsample rounds (n^2 subsample + n^3)",
		Distances: true, Parameters: []Parameter{
			count("subsample", "all", "", "all", 1, 1e9, "coordinates drawn anew for every round; the paper draws 10000"),
			count("rounds", "1", "", "", 1, 1000, "only what every round keeps is averaged"),
			numeric("c", "1", "", "", 1, 100, "each round drops c f vectors, rounded up: never fewer than f")}}, false, newDnC},
	{Info{Name: "foolsgold", View: "vectors", Breakdown: "sybils only", Precondition: "n > f, n > 1", Cost: "n^2 d",
		Warning: "only against many clients that one party controls: honest clients that resemble each other get no weight, and lone attackers all of it", Distances: true}, false, newFoolsGold},
}

var prerecipes = []prerecipe{
	{Info{Name: "clip", View: "bucket_means", Breakdown: "that of the rule", Precondition: "n >= 1", Cost: "n^2 d",
		Parameters: []Parameter{numeric("C", "", "", "", 1e-12, 1e15, "length to which each vector is shortened")}},
		func(_ int, x float64) preaggregator { return clip(x) }},
	{Info{Name: "arc", View: "bucket_means", Breakdown: "that of the rule", Precondition: "n > 2f", Cost: "n^2 d"},
		func(f int, _ float64) preaggregator { return arc(f) }},
	{Info{Name: "nnm", View: "bucket_means", Breakdown: "that of the rule", Precondition: "n > 2f", Cost: "n^2 d + n^3", Distances: true},
		func(f int, _ float64) preaggregator { return nnm(f) }},
	{Info{Name: "bucketing", View: "bucket_means", Breakdown: "that of the rule among ceil(n/S) means", Precondition: "that of the rule for ceil(n/S) means; coins", Cost: "nd",
		Parameters: []Parameter{count("S", "", "", "", 1, MaxVectors, "vectors to a mean; each vector in one, drawn at random")}},
		func(_ int, x float64) preaggregator { return bucketing(int(x)) }},
}
