package account

import "math"

// part is a law of one step and how often it is composed.
type part struct {
	atoms
	count float64
}

// logMGF returns ln of the sum of mass times e^(l*loss), in blocks so that nothing
// overflows or vanishes.
func (a *atoms) logMGF(l float64) float64 {
	const block = 64
	step := math.Exp(l * a.grid)
	if !(step < 1e4 && step > 1e-4) { // few atoms on a coarse grid
		total := math.Inf(-1)
		for i, m := range a.mass {
			if m > 0 {
				total = logAdd(total, math.Log(m)+l*(a.origin+float64(i)*a.grid))
			}
		}
		return total
	}
	top, sum := math.Inf(-1), 0.0
	for b := 0; b < len(a.mass); b += block {
		s, w := 0.0, 1.0
		for _, m := range a.mass[b:min(b+block, len(a.mass))] {
			s += m * w
			w *= step
		}
		if s == 0 {
			continue
		}
		x := l * (a.origin + float64(b)*a.grid)
		if v := math.Log(s) + x; v > top+600 {
			sum, top = sum*math.Exp(top-v)+1, v
		} else {
			sum += s * math.Exp(x-top)
		}
	}
	return top + math.Log(sum)
}

// lumps are a law in at most some five hundred pieces, for searches that need no exact
// value: their masses, means and variances.
type lumps struct{ mass, mean, variance []float64 }

func (a *atoms) lumps() (r lumps) {
	width := len(a.mass)/256 + 1
	var m, first, second, begin float64
	cells := 0
	for i, p := range a.mass {
		if cells == 0 {
			begin = a.origin + float64(i)*a.grid
		}
		x := float64(cells) * a.grid
		m, first, second, cells = m+p, first+p*x, second+p*x*x, cells+1
		if m > 0 && (cells >= width || m > 4e-3 || i == len(a.mass)-1) {
			mean := first / m
			r.mass, r.mean, r.variance = append(r.mass, m), append(r.mean, begin+mean), append(r.variance, max(0, second/m-mean*mean))
			m, first, second, cells = 0, 0, 0, 0
		}
	}
	return r
}

func (r lumps) logMGF(l float64) float64 {
	top, sum := math.Inf(-1), 0.0
	for i, m := range r.mass {
		if x := l*r.mean[i] + l*l*r.variance[i]/2; x > top+30 {
			sum, top = sum*math.Exp(top-x)+m, x
		} else {
			sum += m * math.Exp(x-top)
		}
	}
	return top + math.Log(sum)
}

// tilted returns the masses times e^(tilt*loss - norm), and the index nearest their mean.
func (a *atoms) tilted(tilt, norm float64) (w []float64, center int) {
	w = make([]float64, len(a.mass))
	mean, sum, v := 0.0, 0.0, 0.0
	step := math.Exp(tilt * a.grid)
	for i, m := range a.mass {
		x := 0.0
		if i%64 == 0 || step > 1e4 {
			v = math.Exp(tilt*(a.origin+float64(i)*a.grid) - norm)
		}
		if m > 0 {
			if x = m * v; math.IsInf(v, 1) || v < 1e-280 {
				x = math.Exp(math.Log(m) + tilt*(a.origin+float64(i)*a.grid) - norm)
			}
		}
		v *= step
		w[i] = x
		mean += x * float64(i)
		sum += x
	}
	return w, int(math.Round(mean / sum))
}
