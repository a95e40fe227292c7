package report

import (
	"math"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBoundsAreRoundedAwayFromTheTruth(t *testing.T) {
	for v, want := range map[float64]string{1.23401: "1.235", 1.234: "1.234", 12.3401: "12.35", 9.9991: "10", 0: "0", 0.00123401: "0.001235", 4: "4", math.Inf(1): "+Inf"} {
		require.Equal(t, want, Upper(v))
		require.Equal(t, want, Epsilon(&v))
	}
	require.Equal(t, "–", Epsilon(nil))
	read := func(text string) float64 {
		v, err := strconv.ParseFloat(text, 64)
		require.NoError(t, err, text)
		return v
	}
	for v := 1e-3; v < 1e6; v *= 1.0037 {
		require.GreaterOrEqual(t, read(Upper(v)), v*(1-2e-12))
		require.LessOrEqual(t, read(Upper(v)), v*1.0011)
		require.LessOrEqual(t, read(lower(v)), v*(1+2e-12))
		require.GreaterOrEqual(t, read(lower(v)), v*0.9989)
	}
}

func TestOddsAreNeverBelowTheExponentialOfEpsilon(t *testing.T) {
	times := regexp.MustCompile(`at most (\S+) times as likely`)
	for epsilon := 0.0; epsilon <= 20; epsilon += 0.0123 {
		said := times.FindStringSubmatch(Odds(epsilon))
		require.Len(t, said, 2)
		v, err := strconv.ParseFloat(said[1], 64)
		require.NoError(t, err)
		require.GreaterOrEqual(t, v, math.Exp(epsilon)*(1-2e-12), epsilon)
		require.LessOrEqual(t, v, math.Exp(epsilon)*1.0011, epsilon)
	}
	require.Contains(t, Odds(1), "2.719 times")
	require.Equal(t, "a bound, and no protection in practice", Odds(20.01))
}
