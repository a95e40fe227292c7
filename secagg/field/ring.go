package field

// Add adds src to dst word by word, mod 2^32 and therefore mod every 2^w. It
// panics if the lengths differ: both are vectors of one layout, and whoever
// takes words from outside has checked their number in [Unpack]. Calls on
// disjoint words may run concurrently.
func Add(dst, src []uint32) {
	if len(dst) != len(src) {
		panic("field: Add of vectors of different lengths") //nolint:forbidigo // both are vectors of one layout: a programmer's error
	}
	for len(dst) >= 8 && len(src) >= 8 {
		dst[0] += src[0]
		dst[1] += src[1]
		dst[2] += src[2]
		dst[3] += src[3]
		dst[4] += src[4]
		dst[5] += src[5]
		dst[6] += src[6]
		dst[7] += src[7]
		dst, src = dst[8:], src[8:]
	}
	for i := range src {
		dst[i] += src[i]
	}
}

// Sub subtracts src from dst word by word, mod 2^32 and therefore mod every
// 2^w. It panics if the lengths differ; see [Add].
func Sub(dst, src []uint32) {
	if len(dst) != len(src) {
		panic("field: Sub of vectors of different lengths") //nolint:forbidigo // both are vectors of one layout: a programmer's error
	}
	for len(dst) >= 8 && len(src) >= 8 {
		dst[0] -= src[0]
		dst[1] -= src[1]
		dst[2] -= src[2]
		dst[3] -= src[3]
		dst[4] -= src[4]
		dst[5] -= src[5]
		dst[6] -= src[6]
		dst[7] -= src[7]
		dst, src = dst[8:], src[8:]
	}
	for i := range src {
		dst[i] -= src[i]
	}
}
