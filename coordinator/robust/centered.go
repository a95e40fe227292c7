package robust

// centeredClipping moves a point v, which starts at the reference, by the mean of the
// vectors' differences from it, each clipped to tau: v += mean(min(1, tau/|x_i-v|)
// (x_i-v)), over and over (Karimireddy et al., ICML 2021, section 4). One vector moves v
// by tau/n at most.
//
// cross and square are the reference's inner products with the vectors and with itself.
// tau of 0 is the median distance of the vectors from v, anew in every iteration: no
// minority can make it larger than the distances of the others. The result is carried
// times the reference plus the sum of the weighed vectors.
func centeredClipping(g gram, cross []float64, square, tau float64, iterations int) (w []float64, carried float64) {
	w, carried = make([]float64, g.n), 1
	for range iterations {
		gw := g.times(w)
		own := double.dot(w, gw)
		toReference := double.dot(w, cross)
		square := own + float64(2*carried*toReference) + float64(carried*carried*square)
		distances := make([]float64, g.n)
		for i := range distances {
			dot := gw[i] + float64(carried*cross[i])
			distances[i] = norm(g.dot(i, i) + square - 2*dot)
		}
		bound := tau
		if tau == 0 {
			bound = median(distances)
		}
		moved := 0.
		step := make([]float64, g.n)
		for i, x := range distances {
			step[i] = 1 / float64(g.n)
			if x > bound {
				step[i] *= bound / x
			}
			moved += step[i]
		}
		for i := range w {
			w[i] = float64(w[i]*(1-moved)) + step[i]
		}
		carried *= 1 - moved
	}
	return w, carried
}
