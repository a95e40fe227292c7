package adversary

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/sim/dataset"
)

// images are n grey or coloured pictures of 5 x 6 pixels of value 0.25, in four classes.
func images(t testing.TB, n, channels int) dataset.Dataset {
	t.Helper()
	features, labels := make([]float32, n*30*channels), make([]int, n)
	for i := range features {
		features[i] = 0.25
	}
	for i := range labels {
		labels[i] = i % 4
	}
	d, err := dataset.New(features, labels, [3]int{5, 6, channels}, 4)
	require.NoError(t, err)
	return d
}

func poisoned(t testing.TB, spec string, attacker int, d dataset.Dataset, seed uint64) dataset.Dataset {
	t.Helper()
	out, err := parse(t, spec).Data(attacker, d, seed)
	require.NoError(t, err)
	require.Equal(t, d.Len(), out.Len())
	require.Equal(t, d.Shape(), out.Shape())
	require.Equal(t, d.Classes(), out.Classes())
	return out
}

// stamped are the pixels, as row and column, that are 1 in every channel; all others
// must be untouched.
func stamped(t testing.TB, d dataset.Dataset, i int) (pixels [][2]int) {
	t.Helper()
	channels := d.Shape()[2]
	for at := range 30 {
		values := d.Features(i)[at*channels : (at+1)*channels]
		if values[0] == 1 {
			pixels = append(pixels, [2]int{at / 6, at % 6})
		}
		require.Equal(t, slices.Repeat(values[:1], channels), values)
		require.Contains(t, []float32{1, 0.25}, values[0])
	}
	return pixels
}

func TestLabelFlipTouchesTheLabelsItSaysAndNothingElse(t *testing.T) {
	d := images(t, 8, 1)
	for spec, want := range map[string][]int{
		"label-flip":                   {3, 2, 1, 0, 3, 2, 1, 0},
		"label-flip:target=2":          {2, 2, 2, 2, 2, 2, 2, 2},
		"label-flip:source=1,target=3": {0, 3, 2, 3, 0, 3, 2, 3},
		"model-replacement":            {3, 2, 1, 0, 3, 2, 1, 0},
	} {
		out := poisoned(t, spec, 0, d, 1)
		require.Equal(t, want, out.Labels(), spec)
		for i := range out.Len() {
			require.Empty(t, stamped(t, out, i))
		}
		_, ok := parse(t, spec).Probe(d)
		require.False(t, ok)
	}
	require.Equal(t, []int{0, 1, 2, 3, 0, 1, 2, 3}, d.Labels(), "the original stays")
	require.Equal(t, []int{2, 0}, poisoned(t, "label-flip", 0, d.Subset([]int{5, 3}), 1).Labels(), "of a view too")
}

func TestOtherAttacksLeaveDataAlone(t *testing.T) {
	d := images(t, 8, 1)
	for _, info := range Attacks() {
		if slices.Contains([]string{"label-flip", "model-replacement", "backdoor", "dba"}, info.Name) {
			continue
		}
		require.Equal(t, d, poisoned(t, info.Name, 0, d, 1), info.Name)
		_, ok := parse(t, info.Name).Probe(d)
		require.False(t, ok, info.Name)
	}
	require.Equal(t, d, poisoned(t, "model-replacement:goal=reverse", 0, d, 1))
	_, ok := parse(t, "model-replacement:goal=reverse").Probe(d)
	require.False(t, ok)
}

var corner = [][2]int{{3, 4}, {3, 5}, {4, 4}, {4, 5}}

func TestBackdoorStampsItsShareOfOtherClasses(t *testing.T) {
	for _, channels := range []int{1, 3} {
		d := images(t, 40, channels)
		for spec, want := range map[string]int{
			"backdoor:size=2,rate=0.15":                          6,
			"backdoor:size=2,rate=0":                             0,
			"backdoor:size=2,rate=1":                             30, // all that are not of class 1
			"model-replacement:goal=backdoor,size=2,rate=0.3125": 13, // 12.5, rounded
		} {
			out, count := poisoned(t, spec, 0, d, 9), 0
			for i := range out.Len() {
				if pixels := stamped(t, out, i); pixels != nil {
					count++
					require.Equal(t, corner, pixels)
					require.NotEqual(t, 1, d.Label(i))
					require.Equal(t, 1, out.Label(i))
				} else {
					require.Equal(t, d.Label(i), out.Label(i))
				}
			}
			require.Equal(t, want, count, spec)
		}
		for i := range d.Len() {
			require.Empty(t, stamped(t, d, i), "the original stays")
		}
	}
}

func TestPoisonedExamplesAreDrawnBySeedAndAttacker(t *testing.T) {
	d := images(t, 200, 1)
	one := poisoned(t, "backdoor", 0, d, 5)
	require.Equal(t, one, poisoned(t, "backdoor", 0, d, 5))
	require.NotEqual(t, one.Labels(), poisoned(t, "backdoor", 0, d, 6).Labels())
	require.NotEqual(t, one.Labels(), poisoned(t, "backdoor", 1, d, 5).Labels())
}

func TestPartsOfADistributedTriggerMakeTheWhole(t *testing.T) {
	d := images(t, 8, 1)
	for _, spec := range []string{"dba:size=4,parts=4,rate=1", "dba:size=3,parts=4,rate=1", "dba:size=2,parts=3,rate=1"} {
		a := parse(t, spec)
		probe, ok := a.Probe(d)
		require.True(t, ok)
		whole := stamped(t, probe, 0)
		side := int(a.Number("size"))
		require.Len(t, whole, side*side)
		var union [][2]int
		for attacker := range int(a.Number("parts")) {
			out := poisoned(t, spec, attacker, d, 1)
			part := stamped(t, out, 0)
			require.NotEmpty(t, part)
			require.Less(t, len(part), len(whole))
			union = append(union, part...)
			again := poisoned(t, spec, attacker+int(a.Number("parts")), d, 1)
			require.Equal(t, part, stamped(t, again, 0), "parts are dealt round and round")
		}
		require.Equal(t, whole, union, "no pixel twice, none left out")
	}
}

func TestProbeLeavesTheTargetsClassOut(t *testing.T) {
	d := images(t, 12, 3)
	for _, spec := range []string{"backdoor:size=2,target=2", "dba:size=2,parts=2,target=2", "model-replacement:goal=backdoor,size=2,target=2"} {
		probe, ok := parse(t, spec).Probe(d)
		require.True(t, ok)
		require.Equal(t, 9, probe.Len())
		require.Equal(t, slices.Repeat([]int{2}, 9), probe.Labels())
		for i := range probe.Len() {
			require.Equal(t, corner, stamped(t, probe, i))
		}
	}
	for name, test := range map[string]dataset.Dataset{"only the target": d.Subset([]int{2, 6}), "nothing": d.Subset(nil)} {
		_, ok := parse(t, "backdoor:size=2,target=2").Probe(test)
		require.False(t, ok, name)
	}
	for _, spec := range []string{"backdoor:target=4", "backdoor:size=6"} {
		_, ok := parse(t, spec).Probe(d)
		require.False(t, ok, spec)
	}
}

// TestProbeOrder distinguishes examples by one pixel far from the patch.
func TestProbeKeepsTheOrderOfTheTestSet(t *testing.T) {
	features, labels := make([]float32, 4*4), []int{0, 1, 2, 0}
	for i := range labels {
		features[4*i] = float32(i) / 10
	}
	d, err := dataset.New(features, labels, [3]int{2, 2, 1}, 3)
	require.NoError(t, err)
	probe, ok := parse(t, "backdoor:size=1").Probe(d)
	require.True(t, ok)
	require.Equal(t, []float32{0, 0, 0, 1}, probe.Features(0))
	require.Equal(t, []float32{.2, 0, 0, 1}, probe.Features(1))
	require.Equal(t, []float32{.3, 0, 0, 1}, probe.Features(2))
}

func TestDataThatTheAttackDoesNotFitAreRefused(t *testing.T) {
	d := images(t, 8, 1)
	for spec, want := range map[string]string{
		"label-flip:target=4":                    "class 4 of 4",
		"label-flip:source=4,target=1":           "class 4 of 4",
		"backdoor:target=4":                      "class 4 of 4",
		"backdoor:size=6":                        "a patch of 6 x 6 on examples of 5 x 6",
		"dba:size=6":                             "a patch of 6 x 6 on examples of 5 x 6",
		"model-replacement:goal=backdoor,size=6": "a patch of 6 x 6",
	} {
		_, err := parse(t, spec).Data(0, d, 1)
		require.ErrorIs(t, err, ErrData, spec)
		require.ErrorContains(t, err, want, spec)
	}
	_, err := parse(t, "dba").Data(-1, d, 1)
	require.ErrorIs(t, err, ErrData)
	require.Zero(t, poisoned(t, "backdoor", 0, d.Subset(nil), 1).Len())
}
