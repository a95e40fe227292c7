package adversary

import "math"

// evaluation is how far the rule's result is from the honest mean at a factor.
type evaluation func(factor float64) (float64, error)

// maximize is ByzFL's search for the factor of an optimal attack: 20 evaluations, of 0
// first; from the best factor so far a step of 10, doubled while the distance grows, and
// multiplied by 0.8 each time once it did not. Factors are never negative, and 0 is
// returned if none was better. Source: ByzFL, class Optimal_InnerProductManipulation.
func maximize(at evaluation) (best, most float64, err error) {
	const evaluations, ratio = 20, 0.8
	step := 10.0
	if most, err = at(0); err != nil {
		return 0, 0, err
	}
	expanding := true
	for range evaluations - 1 {
		x := best + step
		y, err := at(x)
		if err != nil {
			return 0, 0, err
		}
		better := y > most
		if better {
			best, most = x, y
		}
		expanding = expanding && better
		if expanding {
			step *= 2
		} else {
			step *= ratio
		}
	}
	return best, most, nil
}

// widen tries factors of both signs from 0.01 to 100, two to a decade, and keeps best
// unless one of them does better: a rule that clips makes large factors alike, so that
// the search above may see no slope and return 0 (reference, section 1.3).
func widen(at evaluation, best, most float64) (float64, error) {
	for e := -4; e <= 4; e++ {
		for _, sign := range []float64{1, -1} {
			x := sign * math.Pow(10, float64(e)/2)
			y, err := at(x)
			if err != nil {
				return 0, err
			}
			if y > most {
				best, most = x, y
			}
		}
	}
	return best, nil
}

// optimal is base + factor * direction with the factor at which the rule, applied to the
// honest updates and f copies of the vector, is farthest from the honest mean.
func optimal(a Attack, k Known, along func(rows [][]float32) (base, direction []float64)) ([][]float32, error) {
	if k.Aggregate == nil {
		return nil, ErrKnown.At("attack %s, round %d: the plan has no rule over vectors to optimise against", a.Name(), k.Round)
	}
	rows, err := k.honest(a)
	if err != nil {
		return nil, err
	}
	centre := mean(rows)
	base, direction := along(k.seen(a))
	at := func(factor float64) (float64, error) {
		crafted := single(plus(base, factor, direction))
		all := append([][]float32(nil), rows...)
		for range k.Own {
			all = append(all, crafted)
		}
		result, err := k.Aggregate(all)
		if err != nil {
			return 0, err
		}
		if len(result) != len(centre) {
			return 0, ErrKnown.At("attack %s, round %d: the rule gave %d values for %d", a.Name(), k.Round, len(result), len(centre))
		}
		return math.Sqrt(distance2(result, centre)), nil
	}
	best, most, err := maximize(at)
	if err == nil && a.word("search") == "wide" {
		best, err = widen(at, best, most)
	}
	if err != nil {
		return nil, err
	}
	return copies(len(k.Own), plus(base, best, direction)), nil
}

func optimalALIE(a Attack, k Known) ([][]float32, error) {
	return optimal(a, k, func(rows [][]float32) ([]float64, []float64) {
		centre := mean(rows)
		return centre, deviation(rows, centre)
	})
}

func optimalIPM(a Attack, k Known) ([][]float32, error) {
	return optimal(a, k, func(rows [][]float32) ([]float64, []float64) {
		centre := mean(rows)
		return make([]float64, len(centre)), scaled(-1, centre)
	})
}
