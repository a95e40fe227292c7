package adversary

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Craft makes the vector that each attacker sends, in the order of Known.Own, not
// clipped and for inf and nan not finite. The rows may be those of Own, and are the
// caller's otherwise. Without attackers there are none.
//
// It refuses with [ErrKnown] what contradicts itself or lacks what the attack needs, with
// [ErrAlone] where one known update has no deviation to hide in, and passes on what
// Known.Aggregate refuses with.
func (a Attack) Craft(k Known) ([][]float32, error) {
	if err := k.check(a); err != nil || len(k.Own) == 0 {
		return nil, err
	}
	if a.kind == nil || a.kind.craft == nil {
		return k.Own, nil
	}
	rows, err := a.kind.craft(a, k)
	if err != nil {
		return nil, err
	}
	// Sybils that have not joined yet are honest, without noise.
	if sigma := a.Number("jitter"); sigma > 0 && float64(k.Round) >= a.Number("from") {
		rows = jittered(rows, sigma, k.Coins)
	}
	return rows, nil
}

// jittered are the rows plus normal noise that adds up to zero over them. Its standard
// deviation at each coordinate is sigma times their root mean square coordinate.
func jittered(rows [][]float32, sigma float64, coins *rand.Rand) [][]float32 {
	n := len(rows)
	if n < 2 {
		return rows
	}
	squares := 0.0
	for _, row := range rows {
		squares += dot(row, row)
	}
	// Noise about its own mean has (n-1)/n of the variance.
	std := sigma * math.Sqrt(squares/float64(n*len(rows[0]))*float64(n)/float64(n-1))
	out := make([][]float32, n)
	for i, row := range rows {
		out[i] = slices.Clone(row)
	}
	noise := make([]float64, n)
	for j := range rows[0] {
		sum := 0.0
		for i := range noise {
			noise[i] = coins.NormFloat64()
			sum += noise[i]
		}
		for i := range noise {
			out[i][j] = float32(float64(rows[i][j]) + float64(std*(noise[i]-sum/float64(n))))
		}
	}
	return out
}

func signFlip(a Attack, k Known) ([][]float32, error) {
	factor := -a.Number("scale")
	if a.word("of") == "mean" {
		return copies(len(k.Own), scaled(factor, mean(k.seen(a)))), nil
	}
	rows := make([][]float32, len(k.Own))
	for i, own := range k.Own {
		rows[i] = single(scaled(factor, own))
	}
	return rows, nil
}

func ipm(a Attack, k Known) ([][]float32, error) {
	return copies(len(k.Own), scaled(-a.Number("scale"), mean(k.seen(a)))), nil
}

func gaussian(a Attack, k Known) ([][]float32, error) {
	rows := make([][]float32, len(k.Own))
	for i := range rows {
		rows[i] = make([]float32, len(k.Own[i]))
		for j := range rows[i] {
			rows[i][j] = float32(a.Number("mean") + float64(a.Number("std")*k.Coins.NormFloat64()))
		}
	}
	return rows, nil
}

var (
	infinity   = math.Inf(1)
	notANumber = math.NaN()
)

// constant is an attack that sends x at every coordinate.
func constant(x float64) func(Attack, Known) ([][]float32, error) {
	return func(_ Attack, k Known) ([][]float32, error) {
		row := make([]float64, len(k.Own[0]))
		for j := range row {
			row[j] = x
		}
		return copies(len(k.Own), row), nil
	}
}

// replay sends the last step, or each attacker's first update, and what the attacker has
// to send honestly while there is neither.
func replay(a Attack, k Known) ([][]float32, error) {
	if a.word("of") == "step" {
		if k.Step == nil {
			return k.Own, nil
		}
		return copies(len(k.Own), k.Step), nil
	}
	if k.Memory == nil {
		return nil, ErrKnown.At("attack %s, round %d: no memory", a.Name(), k.Round)
	}
	if k.Memory.first == nil {
		k.Memory.first = map[int]remembered{}
	}
	rows := make([][]float32, len(k.Own))
	for i, own := range k.Own {
		id := place(k.OwnIDs, i)
		first, ok := k.Memory.first[id]
		if !ok || first.round == k.Round { // a second attempt of the round may train anew
			first = remembered{k.Round, slices.Clone(own)}
			k.Memory.first[id] = first
		}
		if len(first.update) != len(own) {
			return nil, ErrKnown.At("attack %s, round %d: memory of vectors of %d values, now %d", a.Name(), k.Round, len(first.update), len(own))
		}
		rows[i] = slices.Clone(first.update)
	}
	return rows, nil
}

// place is who the i-th row is of.
func place(ids []int, i int) int {
	if ids == nil {
		return i
	}
	return ids[i]
}

// freeRider sends the last step or zero with noise in proportion to the last step, and
// zero before there is one.
func freeRider(a Attack, k Known) ([][]float32, error) {
	if k.Step == nil {
		return copies(len(k.Own), make([]float32, len(k.Own[0]))), nil
	}
	std := a.Number("noise") * math.Sqrt(dot(k.Step, k.Step)/float64(len(k.Step)))
	rows := make([][]float32, len(k.Own))
	for i := range rows {
		rows[i] = make([]float32, len(k.Step))
		for j, x := range k.Step {
			under := float64(x)
			if a.word("copy") == "zero" {
				under = 0
			}
			rows[i][j] = float32(under + float64(std*k.Coins.NormFloat64()))
		}
	}
	return rows, nil
}

// replacement boosts each attacker's update: as an update, n/eta (X - G) + G is n/eta
// times its own difference X - G.
func replacement(a Attack, k Known) ([][]float32, error) {
	boost := float64(k.Clients) / a.Number("eta")
	if a.word("goal") == "reverse" {
		boost = -boost
	}
	rows := make([][]float32, len(k.Own))
	for i, own := range k.Own {
		rows[i] = single(scaled(boost, own))
	}
	return rows, nil
}

// sybil sends the reverse of the first attacker's update under every name.
func sybil(a Attack, k Known) ([][]float32, error) {
	if float64(k.Round) < a.Number("from") {
		return k.Own, nil
	}
	return copies(len(k.Own), scaled(-a.Number("scale"), k.Own[0])), nil
}
