package adversary

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/fault"
)

func parse(t testing.TB, spec string) Attack {
	t.Helper()
	a, err := Parse(spec)
	require.NoError(t, err)
	return a
}

func TestEveryAttackOfTheListIsReadWithItsDefaults(t *testing.T) {
	var names []string
	for _, info := range Attacks() {
		names = append(names, info.Name)
		a := parse(t, info.Name)
		require.Equal(t, info.Name, a.Name())
		require.Equal(t, info.Name, a.String())
		require.Equal(t, info.Cheat, a.Cheat())
		require.NotEmpty(t, info.Does)
		if info.Name != none {
			require.NotEmpty(t, info.Knows)
			require.NotEmpty(t, info.Source)
		}
		var given []string
		for i, p := range info.Parameters {
			require.NotEmpty(t, p.Means)
			require.NotEmpty(t, p.Range)
			_, ok := a.kind.parameters[i].parse(p.Default)
			require.True(t, ok, "%s: the default of %s is a value it takes", info.Name, p.Name)
			require.Equal(t, p.Default, a.values[i].String(), "defaults are written as values are")
			given = append(given, p.Name+"="+p.Default)
		}
		if given != nil {
			require.Equal(t, a, again(t, info.Name+":"+strings.Join(given, ",")), "defaults may be given")
		}
	}
	require.Equal(t, []string{"none", "sign-flip", "label-flip", "alie", "ipm", "opt-alie", "opt-ipm", "fang-krum", "fang-trim", "min-max", "min-sum",
		"mimic", "gaussian", "inf", "nan", "zero", "replay", "free-rider", "model-replacement", "backdoor", "dba", "sybil",
		"out-of-range", "wrap-around", "false-weight", "dropout-after-masking", "inconsistent-shares", "bucket-steering"}, names)
}

// again parses and holds String to Parse.
func again(t testing.TB, spec string) Attack {
	a := parse(t, spec)
	require.Equal(t, a, parse(t, a.String()))
	return a
}

func TestStringHoldsWhatIsNotDefaultInTheOrderOfTheList(t *testing.T) {
	for spec, want := range map[string]string{
		"none":                                     "none",
		"alie:z=1.5":                               "alie",
		"alie:knowledge=all,jitter=1e-1,z=2":       "alie:z=2,knowledge=all,jitter=0.1",
		"alie:z=max":                               "alie:z=max",
		"alie:z=-0":                                "alie:z=0",
		"label-flip:target=7,source=1":             "label-flip:source=1,target=7",
		"label-flip:target=2":                      "label-flip:target=2",
		"gaussian:std=+.5,mean=1":                  "gaussian:mean=1,std=0.5",
		"false-weight:factor=10":                   "false-weight:factor=10",
		"dba:parts=9,size=3":                       "dba:size=3,parts=9",
		"model-replacement:target=3,goal=backdoor": "model-replacement:goal=backdoor,target=3",
	} {
		require.Equal(t, want, again(t, spec).String())
	}
	require.Equal(t, "none", Attack{}.String())
	require.Equal(t, Attack{}, parse(t, "none"), "the zero value is the attack none")
}

func TestParseRefusesAndNamesWhatIsWrong(t *testing.T) {
	for spec, want := range map[string]string{
		"":                             `attack "" is none of none, sign-flip`,
		"Alie":                         `attack "Alie" is none of`,
		"alie ":                        `attack "alie " is none of`,
		"none:":                        `attack none: "" is not of the form parameter=value`,
		"none:z=1":                     `attack none has no parameter "z"; it has none`,
		"alie:":                        `attack alie: "" is not of the form parameter=value`,
		"alie:z":                       `attack alie: "z" is not of the form parameter=value`,
		"alie:z=1,":                    `attack alie: "" is not of the form`,
		"alie:z=1, jitter=1":           `attack alie has no parameter " jitter"; it has z, direction, knowledge, jitter`,
		"alie:scale=1":                 `attack alie has no parameter "scale"`,
		"alie:z=1,z=1":                 `attack alie: parameter z is given twice`,
		"alie:z=":                      `parameter z is "", must be max or a number from -100 to 100`,
		"alie:z=101":                   `parameter z is "101"`,
		"alie:z=-100.5":                `parameter z is "-100.5"`,
		"alie:z=NaN":                   `parameter z is "NaN"`,
		"alie:z=inf":                   `parameter z is "inf"`,
		"alie:z=0x1p1":                 `parameter z is "0x1p1"`,
		"alie:z=1e400":                 `parameter z is "1e400"`,
		"alie:z=1=1":                   `parameter z is "1=1"`,
		"alie:knowledge=some":          `parameter knowledge is "some", must be own or all`,
		"alie:knowledge=0":             `parameter knowledge is "0", must be own or all`,
		"alie:jitter=-1":               `parameter jitter is "-1", must be a number from 0 to 100`,
		"mimic:index=0.5":              `parameter index is "0.5", must be a whole number from 0 to 1e+09`,
		"gaussian:knowledge=all":       `attack gaussian has no parameter "knowledge"; it has mean, std`,
		"inf:jitter=1":                 `attack inf has no parameter "jitter"; it has none`,
		"backdoor:rate=1.1":            `parameter rate is "1.1"`,
		"label-flip:source=1":          `source needs a target that is another class`,
		"label-flip:source=1,target=1": `source needs a target that is another class`,
		"dba:size=2,parts=5":           `a patch of 2 x 2 has no 5 parts`,
		"model-replacement:target=2":   `parameter target goes with goal=backdoor`,
		"model-replacement:rate=1":     `parameter rate goes with goal=backdoor`,
		"model-replacement:size=2":     `parameter size goes with goal=backdoor`,
		"out-of-range:factor=0.5":      `parameter factor is "0.5"`,
		"sybil:from=0":                 `parameter from is "0"`,
		"model-replacement:eta=0":      `parameter eta is "0"`,
		"fang-trim:b=0.5":              `parameter b is "0.5"`,
		"wrap-around:x=1":              `attack wrap-around has no parameter "x"; it has none`,
		"opt-alie:search=narrow":       `parameter search is "narrow", must be wide or byzfl`,
	} {
		a, err := Parse(spec)
		require.ErrorIs(t, err, ErrSpec, spec)
		require.ErrorContains(t, err, want, spec)
		require.Equal(t, fault.Usage, fault.ClassOf(err))
		require.Equal(t, Attack{}, a)
	}
}

func TestCheatsAreNamedAsTheirAttacks(t *testing.T) {
	found := 0
	for _, info := range Attacks() {
		if c := info.Cheat; c != CheatNone {
			require.Equal(t, info.Name, c.String())
			found++
		}
	}
	require.Equal(t, 6, found)
	require.Equal(t, CheatBucketSteering, parse(t, "bucket-steering").Cheat())
	require.Equal(t, CheatNone, parse(t, "alie").Cheat())
	require.Empty(t, CheatNone.String())
	require.Equal(t, "cheat 200", Cheat(200).String())
	require.Equal(t, 1000.0, parse(t, "false-weight").Number("factor"))
	require.Equal(t, 3.0, parse(t, "bucket-steering:bucket=3").Number("bucket"))
	require.Zero(t, parse(t, "bucket-steering").Number("factor"))
	require.Zero(t, parse(t, "alie:z=max").Number("z"))
}

func TestOnlyKnowledgeAllIsOmniscient(t *testing.T) {
	require.True(t, parse(t, "alie:knowledge=all").Omniscient())
	require.False(t, parse(t, "alie").Omniscient())
	require.False(t, parse(t, "gaussian").Omniscient())
	require.False(t, Attack{}.Omniscient())
}

func FuzzParse(f *testing.F) {
	for _, info := range Attacks() {
		f.Add(info.Name)
		for _, p := range info.Parameters {
			f.Add(info.Name + ":" + p.Name + "=" + p.Default)
		}
	}
	for _, spec := range []string{"alie:z=max,knowledge=all,jitter=0.1", "alie:z=-0", "label-flip:source=1,target=7", "ipm:scale=1e5,jitter=1e-300", "none:", "a:b=c", "alie:z=1,z=1"} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		a, err := Parse(spec)
		if err != nil {
			require.ErrorIs(t, err, ErrSpec)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		again(t, spec)
		for _, v := range a.values {
			require.False(t, math.IsNaN(v.number) || math.IsInf(v.number, 0))
		}
	})
}
