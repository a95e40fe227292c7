package coordinator

import (
	"cmp"
	"io"
	"math"
	"slices"

	"github.com/choir-fl/choir/coordinator/robust"
	"github.com/choir-fl/choir/secagg"
)

// Figures say what a rule made of the vectors that an attempt opened, and what they
// looked like. What the view does not show is nil or empty: see Unseen.
type Figures struct {
	View    string `json:"view"` // of the attempt: sum, bucket_means, vectors
	Rule    string `json:"rule"`
	Vectors int    `json:"vectors"` // that were combined
	// F is how many Byzantine vectors the rule is set for, of the number of a full cohort.
	F int `json:"f,omitempty"`
	// Excluded is the share of them that has no part in the result. Rules by coordinates
	// exclude nobody. F over Vectors is what it is held against.
	Excluded float64 `json:"excluded"`
	// Carried is the weight of the last step in the result.
	Carried float64 `json:"carried,omitempty"`
	// Cosine is that of the aggregate and the one accepted before it; nil if there is none,
	// or one of them is zero.
	Cosine *float64 `json:"cosine"`
	// TopEigenvalue is the share of the vectors' variance that lies in one direction.
	// Nil with fewer than three vectors.
	TopEigenvalue *float64 `json:"top_eigenvalue,omitempty"`
	// Duplicates is the size of the largest group of vectors that are equal to a hundredth
	// of their length; 0 if there is none.
	Duplicates int `json:"duplicates,omitempty"`
	// Norms are the least, the lower quartile, the median, the upper quartile and the largest
	// of the vectors' norms, interpolated between neighbours (Hyndman and Fan, 1996, type 7).
	Norms []float64 `json:"norms,omitempty"`
	// Each holds a line for each vector, in the order of buckets, then for those that were
	// left out; none under view sum.
	Each []Figure `json:"each,omitempty"`
	// Omitted is how many lines a history leaves out.
	Omitted int `json:"omitted,omitempty"`
}

// Figure says what became of one vector.
type Figure struct {
	Bucket  int            `json:"bucket"`
	Client  secagg.PartyID `json:"client,omitempty"` // under view vectors
	Clients int            `json:"clients"`          // in it
	// Spoiled vectors could not be opened, and weightless ones say nothing: they have no
	// other figures.
	Spoiled    bool `json:"spoiled,omitempty"`
	Weightless bool `json:"weightless,omitempty"`
	Excluded   bool `json:"excluded,omitempty"`
	// Weight is its weight in the result; nil under rules that have none.
	Weight *float64 `json:"weight,omitempty"`
	// NormRatio is its norm over the median of all; nil if that is zero.
	NormRatio *float64 `json:"norm_ratio,omitempty"`
	// Cosine is that of it and the aggregate; nil if one of them is zero.
	Cosine *float64 `json:"cosine,omitempty"`
	// Score is the Krum score: the sum of the squared distances to the n - f - 2 nearest
	// others of n vectors (Blanchard et al., NeurIPS 2017, section 3), whatever the rule. Rank
	// is its place among all, 1 for the least; equal scores have one rank. Nil and 0 with
	// fewer than f + 3 vectors, and with more than can be compared.
	Score *float64 `json:"score,omitempty"`
	Rank  int      `json:"rank,omitempty"`
	// Group numbers the group of duplicates that it belongs to, from 1, which is the largest;
	// 0 if it has none.
	Group int `json:"group,omitempty"`
}

// Unseen says in a sentence or two what a view keeps from a coordinator, and so from its
// alerts.
func Unseen(v secagg.View) string {
	switch v {
	case secagg.ViewBucketMeans:
		return "Means of buckets are seen, and no client's vector: a bucket that stands out names nobody in it. " +
			"Which clients were in such buckets more often than chance is not reckoned, for it would attribute vectors to clients."
	case secagg.ViewVectors:
		return "Every client's vector is seen. Whether it was learned from honest data is not."
	default:
		return "One sum is seen: not who sent what, nor whether anybody sent too much or the same as another. Attributing poison is unavailable in this mode."
	}
}

// left is a vector that no rule saw.
type left struct {
	source
	spoiled bool
}

// duplicateDistance is up to which distance, in shares of the longer one, two vectors
// are called duplicates.
const duplicateDistance = 0.01

// figures describes what was combined. coins choose the coordinates that are looked at
// where all would be too many.
func (e *Engine) figures(s secagg.Session, vectors []opened, leftOut []left, out robust.Outcome, update []float64, last []float32, coins io.Reader, each func(int, func(int))) *Figures {
	view := e.cfg.Plan.Terms().View
	if s.Binding.Fallback {
		view = secagg.ViewBucketMeans
	}
	f := &Figures{View: view.String(), Rule: e.cfg.Plan.Rule().Name(), Vectors: len(vectors), F: e.cfg.Plan.RuleSpec().F, Excluded: float64(len(out.Excluded)) / float64(len(vectors)),
		Cosine: cosine(update, last)}
	if c := figure(out.Carried); c != nil {
		f.Carried = *c
	}
	if view == secagg.ViewSum {
		return f
	}
	norms, cosines := make([]float64, len(vectors)), make([]*float64, len(vectors))
	each(len(vectors), func(i int) {
		norms[i], cosines[i] = math.Sqrt(dot(vectors[i].mean, vectors[i].mean)), cosine(vectors[i].mean, update)
	})
	f.Norms = quartiles(norms)
	middle := f.Norms[2]
	for i, v := range vectors {
		line := Figure{Bucket: v.bucket, Client: v.client, Clients: v.clients, Excluded: slices.Contains(out.Excluded, i), Cosine: cosines[i]}
		if out.Weights != nil {
			line.Weight = figure(out.Weights[i])
		}
		line.NormRatio = figure(norms[i] / middle)
		f.Each = append(f.Each, line)
	}
	alike := likeness(vectors, f.F, coins, each)
	f.TopEigenvalue = alike.top
	for i, score := range alike.scores {
		f.Each[i].Score, f.Each[i].Rank = figure(score), alike.rank(i)
	}
	for g, members := range alike.groups {
		f.Duplicates = max(f.Duplicates, len(members))
		for _, i := range members {
			f.Each[i].Group = g + 1
		}
	}
	for _, l := range leftOut {
		f.Each = append(f.Each, Figure{Bucket: l.bucket, Client: l.client, Clients: l.clients, Spoiled: l.spoiled, Weightless: !l.spoiled})
	}
	return f
}

// maxLines is the most lines of figures in a line of the history, which is in the head.
const maxLines = 64

// Bounded is what of the figures a history keeps: of the vectors those that stand out
// most. Nil of nil.
func (f *Figures) Bounded() *Figures {
	if f == nil || len(f.Each) <= maxLines {
		return f
	}
	short := *f
	short.Each = slices.Clone(f.Each)
	slices.SortStableFunc(short.Each, func(a, b Figure) int { return cmp.Compare(b.remarkable(), a.remarkable()) })
	short.Each = short.Each[:maxLines]
	slices.SortStableFunc(short.Each, func(a, b Figure) int { return cmp.Compare(a.Bucket, b.Bucket) })
	short.Omitted = len(f.Each) - maxLines
	return &short
}

// remarkable orders vectors: those that were left out first, duplicates, then by norm.
func (f Figure) remarkable() float64 {
	switch {
	case f.Spoiled:
		return math.Inf(1)
	case f.Group > 0:
		return math.MaxFloat64 / float64(1+f.Group)
	case f.Excluded:
		return math.MaxFloat32
	case f.NormRatio != nil:
		return *f.NormRatio
	}
	return 0
}

// figure is a number that can be written down; nil for one that cannot.
func figure(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

func dot[A, B float32 | float64](a []A, b []B) float64 {
	var sum float64
	for i, x := range a {
		sum += float64(float64(x) * float64(b[i]))
	}
	return sum
}

// cosine is that of two vectors; nil if one is missing or zero.
func cosine[T float32 | float64](a []float64, b []T) *float64 {
	if len(b) != len(a) {
		return nil
	}
	c := dot(a, b) / (math.Sqrt(dot(a, a)) * math.Sqrt(dot(b, b)))
	return figure(max(-1, min(1, c))) // NaN stays what it is
}

// quartiles are the least, the quartiles and the largest of at least one value.
func quartiles(values []float64) []float64 {
	sorted := slices.Sorted(slices.Values(values))
	out := make([]float64, 5)
	for i := range out {
		at, quarters := i*(len(sorted)-1)/4, float64(i*(len(sorted)-1)%4)
		out[i] = sorted[at]
		if quarters > 0 {
			out[i] += float64(quarters / 4 * (sorted[at+1] - sorted[at]))
		}
	}
	return out
}
