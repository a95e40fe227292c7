package coordinator

import (
	"cmp"
	"encoding/binary"
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
	// Excluded is the share of them that has no part in the result. Rules by coordinates
	// exclude nobody.
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
	f := &Figures{View: view.String(), Rule: e.cfg.Plan.Rule().Name(), Vectors: len(vectors), Excluded: float64(len(out.Excluded)) / float64(len(vectors)),
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
	middle := median(norms)
	for i, v := range vectors {
		line := Figure{Bucket: v.bucket, Client: v.client, Clients: v.clients, Excluded: slices.Contains(out.Excluded, i), Cosine: cosines[i]}
		if out.Weights != nil {
			line.Weight = figure(out.Weights[i])
		}
		line.NormRatio = figure(norms[i] / middle)
		f.Each = append(f.Each, line)
	}
	var groups [][]int
	f.TopEigenvalue, groups = likeness(vectors, coins, each)
	for g, members := range groups {
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

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Bounds of what likeness costs: the most vectors, and products of coordinates in all.
const (
	mostCompared = 2048
	mostProducts = 1 << 30
)

// likeness compares the vectors with each other: which share of their variance lies in
// one direction, and which of them are duplicates. Where the model is too large for that,
// coordinates that the coins choose stand for all.
func likeness(vectors []opened, coins io.Reader, each func(int, func(int))) (top *float64, groups [][]int) {
	n := len(vectors)
	if n < 2 || n > mostCompared {
		return nil, nil
	}
	rows := centred(vectors, min(len(vectors[0].mean), max(1, mostProducts/(n*n))), coins, each)
	gram := make([][]float64, n)
	longest := make([]float64, n) // squared lengths before they were centred
	each(n, func(i int) {
		gram[i], longest[i] = make([]float64, n), rows[i].squared
		for j := range i + 1 {
			gram[i][j] = dot(rows[i].values, rows[j].values)
		}
	})
	for i := range gram {
		for j := range i {
			gram[j][i] = gram[i][j]
		}
	}
	if n > 2 {
		top = topShare(gram)
	}
	return top, duplicates(gram, longest)
}

// row is a vector at the chosen coordinates, less the mean of all.
type row struct {
	values  []float64
	squared float64 // length before
}

func centred(vectors []opened, most int, coins io.Reader, each func(int, func(int))) []row {
	d := len(vectors[0].mean)
	var chosen []int // nil: all
	if most < d {
		chosen = make([]int, most)
		var b [8]byte
		for i := range chosen {
			_, _ = io.ReadFull(coins, b[:]) // a field.Stream never fails
			chosen[i] = int(binary.LittleEndian.Uint64(b[:]) % uint64(d))
		}
	}
	rows := make([]row, len(vectors))
	each(len(vectors), func(i int) {
		if chosen == nil {
			rows[i].values = slices.Clone(vectors[i].mean)
		} else {
			rows[i].values = make([]float64, most)
			for j, at := range chosen {
				rows[i].values[j] = vectors[i].mean[at]
			}
		}
		rows[i].squared = dot(rows[i].values, rows[i].values)
	})
	mean := make([]float64, most)
	for i := range rows {
		for j, x := range rows[i].values {
			mean[j] += x
		}
	}
	each(len(rows), func(i int) {
		for j := range mean {
			rows[i].values[j] -= mean[j] / float64(len(rows))
		}
	})
	return rows
}

// topShare is the largest eigenvalue of a Gram matrix over the sum of all, by power
// iteration from its longest row; nil if that is zero.
func topShare(gram [][]float64) *float64 {
	const iterations = 200
	trace, longest := 0.0, 0
	for i := range gram {
		trace += gram[i][i]
		if gram[i][i] > gram[longest][longest] {
			longest = i
		}
	}
	if !(trace > 0) {
		return nil
	}
	v, value := slices.Clone(gram[longest]), 0.0
	for range iterations {
		length := math.Sqrt(dot(v, v))
		if !(length > 0) {
			return nil
		}
		for i := range v {
			v[i] /= length
		}
		next := make([]float64, len(v))
		for i := range gram {
			next[i] = dot(gram[i], v)
		}
		value, v = dot(next, v), next
	}
	return figure(min(1, value/trace))
}

// duplicates groups rows by near equality: what is near one of a group belongs to it.
func duplicates(gram [][]float64, squared []float64) [][]int {
	group := make([]int, len(gram))
	for i := range group {
		group[i] = i
	}
	for i := range gram {
		for j := range i {
			distance := gram[i][i] + gram[j][j] - 2*gram[i][j]
			if distance > duplicateDistance*duplicateDistance*max(squared[i], squared[j]) || group[i] == group[j] {
				continue
			}
			into, from := min(group[i], group[j]), max(group[i], group[j])
			for k := range group {
				if group[k] == from {
					group[k] = into
				}
			}
		}
	}
	members := map[int][]int{}
	for i, g := range group {
		members[g] = append(members[g], i)
	}
	var out [][]int
	for g := range gram {
		if len(members[g]) > 1 {
			out = append(out, members[g])
		}
	}
	slices.SortStableFunc(out, func(a, b []int) int { return cmp.Compare(len(b), len(a)) })
	return out
}
