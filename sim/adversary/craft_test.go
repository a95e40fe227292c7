package adversary

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/fault"
)

// cohort is h honest clients and f attackers with d values about 0.2, and a rule: the mean.
func cohort(h, f, d int) Known {
	draw := rand.New(rand.NewPCG(7, uint64(h*1000+f)))
	rows := func(n int) [][]float32 {
		out := make([][]float32, n)
		for i := range out {
			out[i] = make([]float32, d)
			for j := range out[i] {
				out[i][j] = float32(0.2 + 0.5*draw.NormFloat64())
			}
		}
		return out
	}
	return Known{Round: 3, Clients: h + f, Byzantine: f, Honest: rows(h), Own: rows(f), Global: make([]float32, d), Step: rows(1)[0], ClipNorm: 1,
		Aggregate: func(u [][]float32) ([]float64, error) { return mean(u), nil }, Memory: &Memory{}, Coins: coins()}
}

// crafted are the attacks that make vectors of their own, each with one knowledge.
func crafted(t *testing.T, knowledge string) []Attack {
	var list []Attack
	for _, info := range Attacks() {
		a := parse(t, info.Name)
		if a.kind == nil || a.kind.craft == nil {
			continue
		}
		if a.index("knowledge") >= 0 {
			a = parse(t, info.Name+":knowledge="+knowledge)
		} else if knowledge == "all" {
			continue
		}
		list = append(list, a)
	}
	return append(list, parse(t, "mimic:warmup=2,knowledge="+knowledge), parse(t, "replay:of=own"), parse(t, "sign-flip:of=mean,knowledge="+knowledge))
}

func bits(rows [][]float32) (out [][]uint32) {
	for _, row := range rows {
		var b []uint32
		for _, x := range row {
			b = append(b, math.Float32bits(x))
		}
		out = append(out, b)
	}
	return out
}

func TestSameCoinsCraftTheSameAndKnownStays(t *testing.T) {
	for _, knowledge := range []string{"own", "all"} {
		for _, a := range crafted(t, knowledge) {
			k, before := cohort(9, 4, 6), cohort(9, 4, 6)
			one, err := a.Craft(k)
			require.NoError(t, err, a)
			two, err := a.Craft(cohort(9, 4, 6))
			require.NoError(t, err, a)
			require.Equal(t, bits(one), bits(two), a)
			require.Equal(t, before.Honest, k.Honest, a)
			require.Equal(t, before.Own, k.Own, a)
			require.Equal(t, before.Step, k.Step, a)
			require.Len(t, one, 4)
			for i := range one {
				require.Len(t, one[i], 6)
			}
		}
	}
}

func TestAttackersWithoutKnowledgeOfOthersNeverLookAtThem(t *testing.T) {
	for _, a := range crafted(t, "own") {
		with, err := a.Craft(cohort(9, 4, 6))
		require.NoError(t, err, a)
		k := cohort(9, 4, 6)
		k.Honest = nil
		without, err := a.Craft(k)
		require.NoError(t, err, a)
		require.Equal(t, bits(with), bits(without), a)
	}
}

func TestOmniscientAttackersUseTheHonestUpdatesOnly(t *testing.T) {
	for _, a := range crafted(t, "all") {
		if !a.Omniscient() || a.String() == "sign-flip:knowledge=all" { // that one negates its own
			continue
		}
		one, err := a.Craft(cohort(9, 4, 6))
		require.NoError(t, err, a)
		k := cohort(9, 4, 6)
		for _, own := range k.Own {
			own[0] = 99
		}
		two, err := a.Craft(k)
		require.NoError(t, err, a)
		require.Equal(t, bits(one), bits(two), a)
		k.Honest = nil
		_, err = a.Craft(k)
		require.ErrorIs(t, err, ErrKnown, a)
	}
}

func TestKnownThatContradictsItselfIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Known){
		"more attackers than updates": func(k *Known) { k.Byzantine = 5 },
		"more attackers than clients": func(k *Known) { k.Clients = 3 },
		"no coins":                    func(k *Known) { k.Coins = nil },
		"lengths of own":              func(k *Known) { k.Own[1] = k.Own[1][:5] },
		"lengths of honest":           func(k *Known) { k.Honest[0] = nil },
		"length of the step":          func(k *Known) { k.Step = k.Step[:5] },
		"names of honest":             func(k *Known) { k.HonestIDs = []int{1} },
		"names of own":                func(k *Known) { k.OwnIDs = []int{1} },
	} {
		k := cohort(9, 4, 6)
		spoil(&k)
		_, err := parse(t, "ipm").Craft(k)
		require.ErrorIs(t, err, ErrKnown, name)
		require.ErrorContains(t, err, "attack ipm, round 3", name)
	}
	k := cohort(1, 1, 1)
	k.Honest, k.Own, k.Step = nil, [][]float32{{}}, nil
	_, err := parse(t, "ipm").Craft(k)
	require.ErrorIs(t, err, ErrKnown)
	k = cohort(3, 0, 2)
	rows, err := parse(t, "ipm").Craft(k)
	require.NoError(t, err)
	require.Empty(t, rows)
}

func TestOneUpdateHasNoDeviationToHideIn(t *testing.T) {
	for _, name := range []string{"alie", "opt-alie", "opt-ipm", "fang-krum", "fang-trim", "min-max", "min-sum"} {
		_, err := parse(t, name).Craft(cohort(9, 1, 6))
		require.ErrorIs(t, err, ErrAlone, name)
		require.Equal(t, fault.Refused, fault.ClassOf(err))
		_, err = parse(t, name+":knowledge=all").Craft(cohort(9, 1, 6))
		require.NoError(t, err, name)
	}
	for _, name := range []string{"ipm", "sign-flip", "mimic", "gaussian", "sybil"} {
		_, err := parse(t, name).Craft(cohort(9, 1, 6))
		require.NoError(t, err, name)
	}
}

func TestAttacksOnDataAndCheatsSendTheirOwnUpdates(t *testing.T) {
	k := cohort(9, 4, 6)
	for _, name := range []string{"none", "label-flip", "backdoor", "dba", "out-of-range", "wrap-around", "false-weight", "dropout-after-masking", "inconsistent-shares", "bucket-steering"} {
		require.Equal(t, k.Own, craft(t, name, k), name)
	}
}

func TestJitterMakesVectorsDifferAndLeavesTheirMean(t *testing.T) {
	for _, name := range []string{"ipm:scale=2", "alie", "mimic", "sybil", "min-max", "min-sum", "replay", "fang-krum", "sign-flip", "model-replacement", "opt-alie"} {
		sep := ":"
		if name == "ipm:scale=2" {
			sep = ","
		}
		const d = 4000
		plain, noised := craft(t, name, cohort(9, 4, d)), craft(t, name+sep+"jitter=0.1", cohort(9, 4, d))
		squares, noise := 0.0, 0.0
		for i := range plain {
			for j := range i {
				require.NotEqual(t, noised[i], noised[j], name)
			}
			squares += dot(plain[i], plain[i])
			noise += distance2(plain[i], noised[i])
		}
		near(t, mean(plain), mean(noised), 1e-5*math.Sqrt(squares/4/d))
		require.InDelta(t, 0.1, math.Sqrt(noise/squares), 0.005, name)
	}
	require.Equal(t, craft(t, "ipm", cohort(9, 1, 6)), craft(t, "ipm:jitter=5", cohort(9, 1, 6)), "a single vector has no duplicate")
}

func TestMinMaxStaysWithinTheHonestMaximumDistanceAndReachesIt(t *testing.T) {
	for _, direction := range []string{"unit", "sign", "std"} {
		for h := 2; h < 12; h++ {
			k := cohort(h, 2, 8)
			rows, sent := doubles(k.Honest), scaled(1, craft(t, "min-max:knowledge=all,direction="+direction, k)[0])
			widest, reach := 0.0, 0.0
			for _, a := range rows {
				reach = max(reach, distance2(a, sent))
				for _, b := range rows {
					widest = max(widest, distance2(a, b))
				}
			}
			require.InDelta(t, 1, reach/widest, 1e-6, "%s, %d honest", direction, h)
			require.Positive(t, dot(plus(sent, -1, mean(rows)), push(rows, mean(rows), direction)))
		}
	}
}

func TestMinSumKeepsItsBoundAndReachesIt(t *testing.T) {
	for _, bound := range []string{"paper", "notebook"} {
		for _, direction := range []string{"unit", "sign", "std"} {
			for h := 3; h < 12; h++ {
				k := cohort(h, 2, 8)
				rows, sent := doubles(k.Honest), scaled(1, craft(t, "min-sum:knowledge=all,bound="+bound+",direction="+direction, k)[0])
				total := func(from []float64) (sum float64) {
					for _, row := range rows {
						sum += distance2(row, from)
					}
					return sum
				}
				want := total(rows[0])
				for _, row := range rows {
					if bound == "paper" {
						want = max(want, total(row))
					} else {
						want = min(want, total(row))
					}
				}
				require.InDelta(t, 1, total(sent)/want, 1e-6, "%s %s %d", bound, direction, h)
			}
		}
	}
}

func TestDirectionlessUpdatesAreSentAsTheirMean(t *testing.T) {
	k := all([][]float64{{1, -1}, {-1, 1}}, 2)
	for _, name := range []string{"min-max", "min-sum"} {
		for _, direction := range []string{"unit", "sign"} {
			require.Equal(t, []float32{0, 0}, craft(t, name+":knowledge=all,direction="+direction, k)[0])
		}
	}
	require.Equal(t, []float32{0, 0}, craft(t, "fang-krum:knowledge=all", all([][]float64{{1, -1}, {-1, 1}, {0, 0}}, 1))[0])
}

func TestWideSearchFindsWhatByzFLsDoesNot(t *testing.T) {
	// A rule that lets only small vectors through, and only those along the honest mean.
	k := all([][]float64{{1}, {1.2}, {0.8}}, 1)
	k.Aggregate = func(rows [][]float32) ([]float64, error) {
		if x := float64(rows[3][0]); x > 1.5 && x < 4 {
			return []float64{x}, nil
		}
		return []float64{1}, nil
	}
	require.Zero(t, craft(t, "opt-ipm:search=byzfl,knowledge=all", k)[0][0], "no factor that is not negative helps")
	require.InDelta(t, math.Sqrt(10), craft(t, "opt-ipm:knowledge=all", k)[0][0], 1e-6)

	calls := 0
	k.Aggregate = func(rows [][]float32) ([]float64, error) {
		calls++
		require.Len(t, rows, 4)
		require.Equal(t, k.Honest, rows[:3], "attackers come last")
		return mean(rows), nil
	}
	byzfl := craft(t, "opt-ipm:search=byzfl,knowledge=all", k)
	require.Equal(t, 20, calls)
	require.Equal(t, byzfl, craft(t, "opt-ipm:knowledge=all", k), "what byzfl finds is kept where nothing is better")
	require.Equal(t, 20+38, calls)
}

func TestOptimalAttacksPassARefusalOn(t *testing.T) {
	k := all(setA, 1)
	_, err := parse(t, "opt-alie:knowledge=all").Craft(k)
	require.ErrorIs(t, err, ErrKnown)
	require.ErrorContains(t, err, "no rule over vectors")
	refusal := errors.New("refused")
	for after := range 38 {
		left := after
		k.Aggregate = func(u [][]float32) ([]float64, error) {
			if left--; left < 0 {
				return nil, refusal
			}
			return mean(u), nil
		}
		_, err = parse(t, "opt-alie:knowledge=all").Craft(k)
		require.ErrorIs(t, err, refusal)
	}
	k.Aggregate = func([][]float32) ([]float64, error) { return []float64{1}, nil }
	_, err = parse(t, "opt-alie:knowledge=all").Craft(k)
	require.ErrorIs(t, err, ErrKnown)
}

func TestStandInsFollowTheAttackersOwnUpdates(t *testing.T) {
	k := cohort(400, 5, 3)
	k.Aggregate = func(rows [][]float32) ([]float64, error) {
		require.Len(t, rows, 405)
		require.Equal(t, k.Own, rows[:5])
		centre := mean(k.Own)
		near(t, centre, mean(rows[:400]), 0.15)
		near(t, deviation(k.Own, centre), deviation(rows[:400], mean(rows[:400])), 0.1)
		return mean(rows), nil
	}
	craft(t, "opt-alie", k)
	k.Clients = 6 // one honest client among five attackers: two stand for it
	k.Aggregate = func(rows [][]float32) ([]float64, error) {
		require.Len(t, rows, 7)
		return mean(rows), nil
	}
	craft(t, "opt-alie", k)
}

func TestGaussianHasItsMomentsAndEachItsOwnDraws(t *testing.T) {
	k := cohort(2, 2, 20000)
	rows := craft(t, "gaussian:mean=3,std=0.5", k)
	require.NotEqual(t, rows[0], rows[1])
	for _, row := range rows {
		columns := make([][]float32, len(row))
		for j, x := range row {
			columns[j] = []float32{x}
		}
		centre := mean(columns)
		require.InDelta(t, 3, centre[0], 0.02)
		require.InDelta(t, 0.5, deviation(columns, centre)[0], 0.02)
	}
}

func TestPlainVectors(t *testing.T) {
	k := cohort(9, 3, 4)
	for i, row := range craft(t, "sign-flip:scale=10", k) {
		near(t, scaled(-10, k.Own[i]), scaled(1, row), 1e-6)
	}
	near(t, scaled(-0.1, mean(k.Own)), scaled(1, craft(t, "ipm", k)[2]), 1e-6)
	for _, x := range craft(t, "inf", k)[1] {
		require.True(t, math.IsInf(float64(x), 1))
	}
	for _, x := range craft(t, "nan", k)[1] {
		require.True(t, math.IsNaN(float64(x)))
	}
	require.Equal(t, [][]float32{make([]float32, 4), make([]float32, 4), make([]float32, 4)}, craft(t, "zero", k))
	rows := craft(t, "mimic:index=1", k)
	require.Equal(t, [][]float32{k.Own[1], k.Own[1], k.Own[1]}, rows)
	rows[0][0] = 77
	require.NotEqual(t, float32(77), rows[1][0], "attackers share no memory")
	require.NotEqual(t, float32(77), k.Own[1][0])
}

func TestModelReplacementMakesTheMeanTheTarget(t *testing.T) {
	k := cohort(9, 1, 4)
	for i := range k.Honest {
		k.Honest[i] = make([]float32, 4) // a model that has converged
	}
	for _, goal := range []string{"labels", "backdoor"} {
		near(t, scaled(1, k.Own[0]), mean(append(k.Honest, craft(t, "model-replacement:goal="+goal, k)...)), 1e-6)
	}
	near(t, scaled(-1, k.Own[0]), mean(append(k.Honest, craft(t, "model-replacement:goal=reverse", k)...)), 1e-6)
	near(t, scaled(5, k.Own[0]), scaled(1, craft(t, "model-replacement:eta=2", k)[0]), 1e-6)
}

func TestSybilsJoinLateAndSendOneVector(t *testing.T) {
	k := cohort(9, 3, 4)
	require.Equal(t, k.Own, craft(t, "sybil:from=4,jitter=0", k), "round 3")
	k.Round = 4
	rows := craft(t, "sybil:from=4,scale=2", k)
	near(t, scaled(-2, k.Own[0]), scaled(1, rows[0]), 1e-6)
	require.Equal(t, [][]float32{rows[0], rows[0], rows[0]}, rows)
}

func TestJitterWaitsForTheSybils(t *testing.T) {
	k := cohort(9, 3, 4)
	require.Equal(t, k.Own, craft(t, "sybil:from=4,jitter=1", k))
	k.Round = 4
	require.NotEqual(t, craft(t, "sybil:from=4", k), craft(t, "sybil:from=4,jitter=1", k))
}

func TestFreeRidersPassOffTheLastStep(t *testing.T) {
	k := cohort(9, 2, 20000)
	require.Equal(t, [][]float32{k.Step, k.Step}, craft(t, "free-rider:noise=0", k))
	root := math.Sqrt(dot(k.Step, k.Step) / 20000)
	rows := craft(t, "free-rider:noise=0.5", k)
	require.NotEqual(t, rows[0], rows[1])
	require.InDelta(t, 0.5*root, math.Sqrt(distance2(rows[0], k.Step)/20000), 0.01)
	rows = craft(t, "free-rider:copy=zero,noise=0.5", k)
	require.InDelta(t, 0.5*root, math.Sqrt(dot(rows[0], rows[0])/20000), 0.01)
	k.Step = nil
	require.Equal(t, make([]float32, 20000), craft(t, "free-rider", k)[0], "nothing to copy yet")
}

func TestReplaySendsTheLastStepOrTheFirstUpdate(t *testing.T) {
	k := cohort(9, 2, 4)
	require.Equal(t, [][]float32{k.Step, k.Step}, craft(t, "replay", k))
	k.Step = nil
	require.Equal(t, k.Own, craft(t, "replay", k), "no step to replay yet")

	k.OwnIDs = []int{10, 20}
	require.Equal(t, k.Own, craft(t, "replay:of=own", k), "nothing of their own yet")
	again := cohort(8, 2, 4)
	again.Memory, again.OwnIDs = k.Memory, k.OwnIDs
	require.Equal(t, again.Own, craft(t, "replay:of=own", again), "a second attempt of the round")
	later := cohort(9, 3, 4)
	later.Round, later.Memory, later.OwnIDs = 9, k.Memory, []int{30, 20, 10}
	require.Equal(t, [][]float32{later.Own[0], again.Own[1], again.Own[0]}, craft(t, "replay:of=own", later))

	wrong := cohort(9, 2, 5)
	wrong.Round, wrong.Memory, wrong.OwnIDs = 10, k.Memory, k.OwnIDs
	_, err := parse(t, "replay:of=own").Craft(wrong)
	require.ErrorIs(t, err, ErrKnown)
	k.Memory = nil
	_, err = parse(t, "replay:of=own").Craft(k)
	require.ErrorContains(t, err, "no memory")
}
