package share

import "slices"

// Combine opens the sums of len(out) secrets from the members' answers:
// answers[i] is what the member at points[i] has accumulated, len(out) elements
// below p. A sum is returned as the signed number nearest to 0 that it is
// modulo p.
//
// Every answer is compared in every element with the polynomials of the given
// degree, which must be the most members that may be corrupt. As long as no more
// are, the sums are right, and liars has exactly the members whose answers are
// wrong: their positions, indices into points, in ascending order; nil if there
// is none. How many are corrected: package comment, "How many liars".
//
// Errors: [ErrPoints] and [ErrDegree] as for [Split], [ErrTooFew] below
// 2*degree+1 answers, [ErrLength], [ErrRange], [ErrUndecodable]. After an error
// out is zero and nobody is named.
func Combine(out []int32, points []int, answers [][]uint32, degree int) (liars []int, err error) {
	clear(out)
	if err := checkCode(points, degree); err != nil {
		return nil, err
	}
	limit := correctable(len(points), degree)
	if limit < 0 {
		return nil, ErrTooFew.At("%d answers, degree %d", len(points), degree)
	}
	if len(answers) != len(points) {
		return nil, ErrLength.At("%d answers for %d points", len(answers), len(points))
	}
	for i, answer := range answers {
		if len(answer) != len(out) {
			return nil, ErrLength.At("answer of %d elements from point %d, want %d", len(answer), points[i], len(out))
		}
		if !canonical(answer) {
			return nil, ErrRange.At("answer from point %d", points[i])
		}
	}
	o := newOpener(points, answers, degree)
	for k := o.open(out, 0); k < len(out); k = o.open(out, k) {
		// Without the named members, fewer may still be wrong than the rest of the
		// limit, which is within what the rest of the points can correct. What locate
		// names is not trusted: open looks at element k again.
		wrong, ok := locate(o.points, o.word(k), degree, limit-len(liars))
		if !ok {
			clear(out)
			return nil, ErrUndecodable.At("%d answers, degree %d, element %d", len(points), degree, k)
		}
		for _, i := range wrong {
			liars = append(liars, slices.Index(points, o.points[i]))
		}
		honest, kept := []int(nil), [][]uint32(nil)
		for i, x := range o.points {
			if !slices.Contains(wrong, i) {
				honest, kept = append(honest, x), append(kept, o.answers[i])
			}
		}
		o = newOpener(honest, kept, degree)
	}
	slices.Sort(liars)
	return liars, nil
}

// correctable returns how many of r > degree answers may be wrong and are
// corrected; it is negative if they are too few to tell a wrong sum from a right
// one. The first bound makes the polynomial unique; the second leaves it 2*degree+1
// answers that agree, of which degree+1 are honest and determine it.
func correctable(r, degree int) int {
	return min((r-degree-1)/2, r-2*degree-1)
}

// opener opens elements whose answers all agree. The first degree+1 answers
// determine the polynomial.
type opener struct {
	points  []int
	answers [][]uint32
	base    int // degree + 1
	// secret holds the Lagrange coefficients that take the base to the value at 0,
	// others[i] those that take it to the value at points[base+i].
	secret [MaxDegree + 1]uint64
	others [][MaxDegree + 1]uint64
}

func newOpener(points []int, answers [][]uint32, degree int) *opener {
	o := &opener{points: points, answers: answers, base: degree + 1}
	base := points[:o.base]
	o.secret = lagrange(base, 0)
	for _, x := range points[o.base:] {
		o.others = append(o.others, lagrange(base, x))
	}
	return o
}

// lagrange returns the coefficients at x of the polynomials that are 1 at one
// point of base and 0 at the others: the product of (x - z)/(y - z) over the
// points z other than y. The rest is 0.
func lagrange(base []int, x int) (row [MaxDegree + 1]uint64) {
	for i, y := range base {
		numerator, denominator := uint32(1), uint32(1)
		for j, z := range base {
			if j != i {
				numerator = mul(numerator, reduce(lift(int32(x-z))))
				denominator = mul(denominator, reduce(lift(int32(y-z))))
			}
		}
		row[i] = uint64(mul(numerator, invert(denominator)))
	}
	return row
}

// open fills out from element k on, and returns the first element whose answers
// do not all lie on one polynomial, or len(out).
func (o *opener) open(out []int32, k int) int {
	var values [MaxDegree + 1]uint64
	for ; k < len(out); k++ {
		for i := range o.base {
			values[i] = uint64(o.answers[i][k])
		}
		for i := range o.others {
			if dot(&o.others[i], &values, o.base) != o.answers[o.base+i][k] {
				return k
			}
		}
		sum := int64(dot(&o.secret, &values, o.base))
		if sum > Prime/2 {
			sum -= Prime
		}
		out[k] = int32(sum)
	}
	return k
}

// word returns element k of all answers.
func (o *opener) word(k int) []uint32 {
	word := make([]uint32, len(o.answers))
	for i, answer := range o.answers {
		word[i] = answer[k]
	}
	return word
}

// dot returns the sum of n products of elements, mod p.
func dot(row, values *[MaxDegree + 1]uint64, n int) uint32 {
	sum := uint64(0)
	for i := range n {
		sum += fold(row[i] * values[i])
	}
	return reduce(sum)
}
