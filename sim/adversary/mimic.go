package adversary

import "math"

// watch is what the warm-up of mimic carries on.
type watch struct {
	round           uint32    // the last one that was learned from
	rounds          int       // how many were
	mean, direction []float64 // running mean and unit vector
	target          int       // whom they copy
}

// mimic copies one of the updates that the attackers see: a fixed one, or with warmup the
// one of the client that stood out most when the warm-up ended.
func mimic(a Attack, k Known) ([][]float32, error) {
	rows, ids := k.seen(a), k.OwnIDs
	if a.Omniscient() {
		ids = k.HonestIDs
	}
	at := int(a.Number("index")) % len(rows)
	if a.Number("warmup") > 0 {
		if k.Memory == nil {
			return nil, ErrKnown.At("attack %s, round %d: no memory", a.Name(), k.Round)
		}
		w := &k.Memory.mimic
		if w.rounds > 0 && len(w.mean) != len(rows[0]) {
			return nil, ErrKnown.At("attack %s, round %d: memory of vectors of %d values, now %d", a.Name(), k.Round, len(w.mean), len(rows[0]))
		}
		learned := w.rounds > 0 && k.Round <= w.round
		if !learned && w.rounds < int(a.Number("warmup")) {
			w.learn(rows, k)
			w.target = place(ids, foremost(rows, w.direction))
		}
		// Of those who are present, in case the target is not.
		at = foremost(rows, w.direction)
		for i := range rows {
			if place(ids, i) == w.target {
				at = i
				break
			}
		}
	}
	return copies(len(k.Own), rows[at]), nil
}

// learn takes one step of a power iteration for the direction of most variance, averaged
// over rounds: epfml's MimicVariantAttacker, after Karimireddy et al., ICLR
// 2022. It starts at a direction drawn from the coins.
func (w *watch) learn(rows [][]float32, k Known) {
	centre := mean(rows)
	if w.rounds == 0 {
		w.mean, w.direction = centre, make([]float64, len(centre))
		for j := range w.direction {
			w.direction[j] = k.Coins.NormFloat64()
		}
	}
	old := float64(w.rounds) / float64(w.rounds+1)
	w.mean = plus(scaled(old, w.mean), 1-old, centre)
	next := make([]float64, len(centre))
	for _, row := range rows {
		along := dot(row, w.direction) - dot(w.mean, w.direction)
		for j, x := range row {
			next[j] += float64(along * (float64(x) - w.mean[j]))
		}
	}
	w.direction = unit(plus(scaled(old, w.direction), 1-old, unit(next)))
	w.round = k.Round
	w.rounds++
}

// unit is v with length 1, or v if it has none.
func unit(v []float64) []float64 {
	if norm := math.Sqrt(dot(v, v)); norm > 0 {
		return scaled(1/norm, v)
	}
	return v
}

// foremost is the row that reaches farthest along the direction.
func foremost(rows [][]float32, direction []float64) int {
	at, most := 0, math.Inf(-1)
	for i, row := range rows {
		if x := dot(row, direction); x > most {
			at, most = i, x
		}
	}
	return at
}
