package mf

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// checked is the pattern in its one form.
func checked(t testing.TB, steps, participations, separation int) Participation {
	p, err := Participation{steps, participations, separation}.check()
	require.NoError(t, err)
	return p
}

func made(t testing.TB, p Parameters) Mechanism {
	m, err := p.Check()
	require.NoError(t, err)
	return m
}

// mechanisms are one of each family over a pattern.
func mechanisms(t testing.TB, p Participation) map[string]Mechanism {
	form := checked(t, p.Steps, p.Participations, p.Separation)
	return map[string]Mechanism{
		"tree":    made(t, Parameters{Family: Tree, Participation: p}),
		"bandmf":  made(t, Parameters{Family: BandMF, Participation: p, Criterion: MaxError, Bands: form.Separation}),
		"2 bands": made(t, Parameters{Family: BandMF, Participation: p, Criterion: MeanError, Bands: min(2, form.Separation)}),
		"1 band":  made(t, Parameters{Family: BandMF, Participation: p, Criterion: MaxError, Bands: 1}),
		"blt":     made(t, Parameters{Family: BLT, Participation: p, Criterion: MaxError, Buffers: 2}),
		"blt 4":   made(t, Parameters{Family: BLT, Participation: p, Criterion: MeanError, Buffers: 4}),
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	good := Parameters{Family: BandMF, Participation: Participation{100, 3, 20}, Criterion: MaxError, Bands: 20}
	made(t, good)
	for name, c := range map[string]struct {
		change func(*Parameters)
		want   error
	}{
		"no family":               {func(p *Parameters) { p.Family = 0 }, ErrParameters},
		"family":                  {func(p *Parameters) { p.Family = 4 }, ErrParameters},
		"no steps":                {func(p *Parameters) { p.Participation.Steps = 0 }, ErrParticipation},
		"steps":                   {func(p *Parameters) { p.Participation.Steps = MaxSteps + 1 }, ErrParticipation},
		"participations below 0":  {func(p *Parameters) { p.Participation.Participations = -1 }, ErrParticipation},
		"no separation":           {func(p *Parameters) { p.Participation.Separation = 0 }, ErrParticipation},
		"no criterion":            {func(p *Parameters) { p.Criterion = 0 }, ErrParameters},
		"criterion":               {func(p *Parameters) { p.Criterion = 3 }, ErrParameters},
		"no bands":                {func(p *Parameters) { p.Bands = 0 }, ErrParameters},
		"bands over separation":   {func(p *Parameters) { p.Bands = 21 }, ErrParameters},
		"buffers of bandmf":       {func(p *Parameters) { p.Buffers = 2 }, ErrParameters},
		"bands of blt":            {func(p *Parameters) { p.Family, p.Buffers = BLT, 2 }, ErrParameters},
		"1 buffer":                {func(p *Parameters) { p.Family, p.Bands, p.Buffers = BLT, 0, 1 }, ErrParameters},
		"5 buffers":               {func(p *Parameters) { p.Family, p.Bands, p.Buffers = BLT, 0, 5 }, ErrParameters},
		"criterion of a tree":     {func(p *Parameters) { p.Family, p.Bands = Tree, 0 }, ErrParameters},
		"participations of trees": {func(p *Parameters) { *p = Parameters{Family: Tree, Participation: Participation{MaxSteps, 0, 1}} }, ErrParticipation},
		"work": {func(p *Parameters) {
			p.Participation, p.Bands = Participation{MaxSteps, 1, 1}, maxBandWork/MaxSteps+1
		}, ErrParameters},
	} {
		p := good
		c.change(&p)
		_, err := p.Check()
		require.ErrorIs(t, err, c.want, name)
	}
	_, err := Mechanism{}.Run(Noise{Dimension: 1, Clip: 1, Sigma: 1})
	require.ErrorIs(t, err, ErrParameters)
}

func TestPatternsHaveOneForm(t *testing.T) {
	require.Equal(t, Participation{2000, 6, 314}, checked(t, 2000, 6, 314))
	require.Equal(t, Participation{2000, 7, 314}, checked(t, 2000, 0, 314), "no cap: as many as fit, the last at 6*314 = 1884")
	require.Equal(t, Participation{1884, 6, 314}, checked(t, 1884, 9, 314), "the last at 5*314 = 1570")
	require.Equal(t, Participation{100, 1, 100}, checked(t, 100, 1, 3))
	require.Equal(t, Participation{100, 1, 100}, checked(t, 100, 0, 314))
}

func TestNamesAreThoseOfPlans(t *testing.T) {
	for _, f := range []Family{Tree, BandMF, BLT} {
		got, err := ParseFamily(f.String())
		require.NoError(t, err)
		require.Equal(t, f, got)
	}
	for _, name := range []string{"", "ftrl", "BLT"} {
		_, err := ParseFamily(name)
		require.ErrorIs(t, err, ErrName)
	}
	require.Equal(t, "max mean", fmt.Sprint(MaxError, " ", MeanError))
	require.Empty(t, Family(9).String())
}

func TestErrorIsThatOfTheDenseFactors(t *testing.T) {
	for _, p := range []Participation{{1, 1, 1}, {2, 1, 1}, {37, 3, 9}, {512, 4, 100}} {
		for name, m := range mechanisms(t, p) {
			if m.p.Family == Tree {
				continue
			}
			c := m.c
			if len(c) < p.Steps {
				c = append(append([]float64(nil), c...), make([]float64, p.Steps-len(c))...)
			}
			worst, sum := 0.0, 0.0
			for _, row := range denseRows(c) {
				worst = max(worst, dot(row, row))
				sum += dot(row, row)
			}
			require.InEpsilon(t, math.Sqrt(worst), m.Error(MaxError), 1e-10, name)
			require.InEpsilon(t, math.Sqrt(sum/float64(p.Steps)), m.Error(MeanError), 1e-10, name)
		}
	}
	require.True(t, math.IsNaN(Mechanism{}.Error(MaxError)))
	require.True(t, math.IsNaN(mechanisms(t, Participation{4, 1, 1})["tree"].Error(0)))
}

// denseRows are the rows of B = A C^-1, by solving B C = A from the last column to the first.
func denseRows(c []float64) [][]float64 {
	n := len(c)
	rows := make([][]float64, n)
	for i := range rows {
		rows[i] = make([]float64, n)
		for j := i; j >= 0; j-- {
			x := 1.0
			for k := j + 1; k <= i; k++ {
				x -= rows[i][k] * c[k-j]
			}
			rows[i][j] = x
		}
	}
	return rows
}

func TestOptimisationIsRepeatable(t *testing.T) {
	for _, p := range []Parameters{
		{Family: BandMF, Participation: Participation{300, 3, 50}, Criterion: MeanError, Bands: 40},
		{Family: BLT, Participation: Participation{300, 3, 50}, Criterion: MaxError, Buffers: 3},
	} {
		require.Equal(t, made(t, p), made(t, p))
	}
}

func TestStateIsSmall(t *testing.T) {
	p := Participation{2000, 6, 314}
	require.Equal(t, 11, made(t, Parameters{Family: Tree, Participation: p}).Vectors())
	require.Equal(t, 31, made(t, Parameters{Family: BandMF, Participation: p, Criterion: MaxError, Bands: 32}).Vectors())
	require.Equal(t, 4, made(t, Parameters{Family: BLT, Participation: p, Criterion: MaxError, Buffers: 4}).Vectors())
}

func BenchmarkCheck(b *testing.B) {
	p := Participation{2000, 6, 314}
	for name, m := range map[string]Parameters{
		"tree":      {Family: Tree, Participation: p},
		"bandmf/32": {Family: BandMF, Participation: p, Criterion: MaxError, Bands: 32}, "bandmf/314": {Family: BandMF, Participation: p, Criterion: MaxError, Bands: 314},
		"blt/2": {Family: BLT, Participation: p, Criterion: MaxError, Buffers: 2}, "blt/4": {Family: BLT, Participation: p, Criterion: MaxError, Buffers: 4},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				made(b, m)
			}
			c := made(b, m)
			b.ReportMetric(c.Error(MaxError)*c.Sensitivity(), "max-error")
			b.ReportMetric(c.Error(MeanError)*c.Sensitivity(), "mean-error")
		})
	}
}
