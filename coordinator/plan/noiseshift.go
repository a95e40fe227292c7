package plan

import "math"

// noiseShift is how far bad of m values move a rule by coordinates from the mean of the
// others, in their standard deviations, if those are normal and the bad ones are larger
// than all of them: noise spreads honest vectors, and where honest values end bad ones
// choose. Values are as quantiles expect them, for m that is not small. 0 for other rules.
//
// Of the trimmed mean, which drops f on both sides, the honest ones from rank f on are
// left, and all but the f - bad largest: with p = f/(m-bad) and q = 1 - (f-bad)/(m-bad)
// their mean is (phi(x_p) - phi(x_q))/(q - p), x being quantiles and phi the density of the
// normal law. Of the median it is the quantile m/2/(m-bad).
func noiseShift(rule string, m, f, bad int) float64 {
	honest := float64(m - bad)
	switch {
	case bad <= 0 || honest <= 0:
	case rule == "median" && float64(m)/2 < honest:
		return quantile(float64(m) / 2 / honest)
	case rule == "trimmed-mean" && bad <= f && 2*f < m:
		p, q := float64(f)/honest, 1-float64(f-bad)/honest
		return (density(quantile(p)) - density(quantile(q))) / (q - p)
	}
	return 0
}

func quantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

func density(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }
