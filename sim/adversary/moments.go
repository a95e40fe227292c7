package adversary

import "math"

// The attacks are written for both precisions: updates are float32, and tests hold the
// formulas to published values in float64. Sums are float64 in a fixed order, with
// products rounded by explicit conversions, so that no machine fuses them.
type float interface{ float32 | float64 }

// mean is the mean of at least one vector.
func mean[T float](rows [][]T) []float64 {
	sum := make([]float64, len(rows[0]))
	for _, row := range rows {
		for j, x := range row {
			sum[j] += float64(x)
		}
	}
	for j := range sum {
		sum[j] /= float64(len(rows))
	}
	return sum
}

// deviation is the sample standard deviation, with n-1 below, of at least two vectors
// about their mean.
func deviation[T float](rows [][]T, centre []float64) []float64 {
	sum := make([]float64, len(centre))
	for _, row := range rows {
		for j, x := range row {
			d := float64(x) - centre[j]
			sum[j] += float64(d * d)
		}
	}
	for j := range sum {
		sum[j] = math.Sqrt(sum[j] / float64(len(rows)-1))
	}
	return sum
}

// dot is the inner product of vectors of one length.
func dot[S, T float](a []S, b []T) float64 {
	sum := 0.0
	for j, x := range a {
		sum += float64(float64(x) * float64(b[j]))
	}
	return sum
}

// distance2 is the squared distance of vectors of one length.
func distance2[S, T float](a []S, b []T) float64 {
	sum := 0.0
	for j, x := range a {
		d := float64(x) - float64(b[j])
		sum += float64(d * d)
	}
	return sum
}

// signs has 1, 0 or -1 for each coordinate.
func signs(v []float64) []float64 {
	s := make([]float64, len(v))
	for j, x := range v {
		switch {
		case x > 0:
			s[j] = 1
		case x < 0:
			s[j] = -1
		}
	}
	return s
}

// plus is v + factor * w.
func plus(v []float64, factor float64, w []float64) []float64 {
	out := make([]float64, len(v))
	for j := range v {
		out[j] = v[j] + float64(factor*w[j])
	}
	return out
}

// scaled is factor * v.
func scaled[T float](factor float64, v []T) []float64 {
	out := make([]float64, len(v))
	for j, x := range v {
		out[j] = factor * float64(x)
	}
	return out
}

// single is v in the precision of updates.
func single[T float](v []T) []float32 {
	out := make([]float32, len(v))
	for j, x := range v {
		out[j] = float32(x)
	}
	return out
}

// copies are n vectors that share nothing, each v.
func copies[T float](n int, v []T) [][]float32 {
	rows := make([][]float32, n)
	for i := range rows {
		rows[i] = single(v)
	}
	return rows
}
