package field

import "slices"

// Extra is one coordinate beside the model update: a non-negative integer with
// a public bound, such as a weight, a count of examples or a scaled loss.
//
// Extras are summed as they are; they are not clipped, scaled or noised. An
// extra that needs noise is noised by its owner, who puts value + share + tail
// with Bound = largest value + 2*tail and takes clients*tail off the sum.
type Extra struct {
	// Name identifies the extra within its layout; not empty.
	Name string

	// Bound is the largest integer one client may put; at least 1.
	Bound uint64
}

// Layout says which word of a vector holds what: words [0, Main) are the main
// coordinates, and each extra follows, in the order of the spec, with one word.
// A scheme may append words of its own after Len. A Layout is immutable and
// comes from [Quantizer.Layout].
type Layout struct {
	main   int
	extras []Extra
}

// Main is the number of main coordinates.
func (l Layout) Main() int { return l.main }

// Len is the number of words, main coordinates and extras.
func (l Layout) Len() int { return l.main + len(l.extras) }

// Extras gives the extras in order, as a copy.
func (l Layout) Extras() []Extra { return slices.Clone(l.extras) }

// Extra gives the place of the named extra among the extras, which is its
// index in the arguments of Encode and the result of Decode; its word is
// Main() + index. The second result is false if there is no such extra.
func (l Layout) Extra(name string) (index int, ok bool) {
	i := slices.IndexFunc(l.extras, func(e Extra) bool { return e.Name == name })
	return i, i >= 0
}
