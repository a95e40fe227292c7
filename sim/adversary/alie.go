package adversary

import "math"

// zMax is the greatest z at which the attackers of A Little Is Enough (Baruch et al.,
// NeurIPS 2019) have enough honest clients beyond them to form a majority:
// PhiInv((n-f-s)/(n-f)) with s = floor(n/2)+1-f. Negative where they have not, which is
// at small f; NaN where no normal quantile is meant (n below 3, or f above n/2).
func zMax(n, f int) float64 {
	s := n/2 + 1 - f
	if n <= f || s <= 0 || n-f-s <= 0 {
		return math.NaN()
	}
	p := float64(n-f-s) / float64(n-f)
	return math.Sqrt2 * math.Erfinv(2*p-1)
}

// alie is mean + z std, or mean - z std.
func alie(a Attack, k Known) ([][]float32, error) {
	rows, err := k.spread(a)
	if err != nil {
		return nil, err
	}
	z := a.Number("z")
	if a.word("z") == "max" {
		if z = zMax(k.Clients, k.Byzantine); math.IsNaN(z) {
			return nil, ErrKnown.At("attack %s, round %d: z=max has no value for %d attackers among %d clients", a.Name(), k.Round, k.Byzantine, k.Clients)
		}
	}
	if a.word("direction") == "subtract" {
		z = -z
	}
	return copies(len(k.Own), offset(rows, z)), nil
}

// offset is the mean of at least two vectors plus z of their deviations.
func offset[T float](rows [][]T, z float64) []float64 {
	centre := mean(rows)
	return plus(centre, z, deviation(rows, centre))
}
