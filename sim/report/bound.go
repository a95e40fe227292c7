package report

import (
	"fmt"
	"math"
)

// Upper prints an upper bound with four digits, rounded up, so that what is printed is a
// bound too.
func Upper(v float64) string {
	unit, ok := fourthDigit(v)
	if !ok {
		return fmt.Sprintf("%g", v)
	}
	return fmt.Sprintf("%.4g", math.Ceil(v/unit*(1-1e-12))*unit)
}

// lower prints a lower bound with four digits, rounded down.
func lower(v float64) string {
	unit, ok := fourthDigit(v)
	if !ok {
		return fmt.Sprintf("%g", v)
	}
	return fmt.Sprintf("%.4g", math.Floor(v/unit*(1+1e-12))*unit)
}

// fourthDigit is the worth of the fourth digit of a positive finite number; false of
// others.
func fourthDigit(v float64) (unit float64, ok bool) {
	if !(v > 0) || math.IsInf(v, 1) {
		return 0, false
	}
	return math.Pow(10, math.Floor(math.Log10(v))-3), true
}

// Epsilon prints an upper bound as Upper does, or a dash for none.
func Epsilon(v *float64) string {
	if v == nil {
		return "–"
	}
	return Upper(*v)
}

// Odds says what an upper bound of epsilon means: at most e^epsilon times as likely.
func Odds(epsilon float64) string {
	if epsilon > 20 {
		return "a bound, and no protection in practice"
	}
	return fmt.Sprintf("whatever is concluded is at most %s times as likely with a client's data as without, but for delta", Upper(math.Exp(epsilon)))
}
