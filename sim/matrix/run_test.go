package matrix

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/sim"
)

// invent makes up a result that depends on the simulation alone.
func invent(cfg sim.Config) (sim.Result, error) {
	accuracy := 0.9 - float64(cfg.Adversary.Byzantine) - float64(cfg.Plan.Training.WorkerMomentum)/10 + float64(cfg.Seed)/100 - float64(len(cfg.Partition[0]))/1000
	var res sim.Result
	for i := range cfg.Plan.Rounds.Count {
		v := accuracy - float64(i)/1000
		res.Rounds = append(res.Rounds, sim.Round{Round: i + 1, Outcome: sim.Released, TestAccuracy: &v})
	}
	return res, nil
}

func open(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := OpenJournal(dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { j.Close() })
	return j
}

// documents runs a matrix to its end and returns what is written.
func documents(t *testing.T, m *Matrix, dir string, parallel int, simulate func(sim.Config) (sim.Result, error)) (jsonDoc, csvDoc string) {
	t.Helper()
	j := open(t, dir)
	require.NoError(t, m.Run(context.Background(), Running{Journal: j, Parallel: parallel, Build: "b1", Simulate: simulate}))
	return render(t, m, j)
}

func render(t *testing.T, m *Matrix, j *Journal) (jsonDoc, csvDoc string) {
	t.Helper()
	r, err := m.Report(j)
	require.NoError(t, err)
	var a, b bytes.Buffer
	require.NoError(t, r.WriteJSON(&a))
	require.NoError(t, r.WriteCSV(&b))
	return a.String(), b.String()
}

func counting(n *atomic.Int64, simulate func(sim.Config) (sim.Result, error)) func(sim.Config) (sim.Result, error) {
	return func(cfg sim.Config) (sim.Result, error) {
		n.Add(1)
		return simulate(cfg)
	}
}

func TestAnInterruptedRunGoesOnAndReportsTheSameBytes(t *testing.T) {
	m := must(t, small)
	wantJSON, wantCSV := documents(t, m, t.TempDir(), 1, invent)
	for _, k := range []int{0, 1, 7, 16} {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(context.Background())
			if k == 0 {
				cancel()
			}
			j := open(t, dir)
			err := m.Run(ctx, Running{Journal: j, Parallel: 2, Build: "b1", Simulate: invent, Progress: func(_ Outcome, ran, of int) {
				require.Equal(t, 16, of)
				if ran == k {
					cancel()
				}
			}})
			if k < 16 {
				require.ErrorIs(t, err, ErrInterrupted)
			} else {
				require.NoError(t, err)
			}
			require.NoError(t, j.Close())
			var ran atomic.Int64
			gotJSON, gotCSV := documents(t, m, dir, 2, counting(&ran, invent))
			require.EqualValues(t, 16-k, ran.Load(), "cells of the second run")
			require.Equal(t, wantJSON, gotJSON)
			require.Equal(t, wantCSV, gotCSV)
		})
	}
}

func TestResultsDoNotDependOnHowManyRunAtATime(t *testing.T) {
	m := must(t, small)
	wantJSON, wantCSV := documents(t, m, t.TempDir(), 1, invent)
	gotJSON, gotCSV := documents(t, m, t.TempDir(), 2, invent)
	require.Equal(t, wantJSON, gotJSON)
	require.Equal(t, wantCSV, gotCSV)
}

// TestNoMoreRunAtATimeThanAsked holds each simulation until as many run as may.
func TestNoMoreRunAtATimeThanAsked(t *testing.T) {
	m := must(t, small)
	var now, most atomic.Int64
	meet := make(chan struct{})
	_, _ = documents(t, m, t.TempDir(), 2, func(cfg sim.Config) (sim.Result, error) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		select { // in pairs: 16 simulations, two at a time
		case meet <- struct{}{}:
		case <-meet:
		}
		now.Add(-1)
		return invent(cfg)
	})
	require.EqualValues(t, 2, most.Load())
}

func TestATornLastLineIsCutOffAndItsCellRunsAgain(t *testing.T) {
	m := must(t, small)
	dir := t.TempDir()
	wantJSON, _ := documents(t, m, dir, 1, invent)
	path := filepath.Join(dir, Results)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, cut := range []int{1, 40, 150} {
		require.NoError(t, os.WriteFile(path, whole[:len(whole)-cut], 0o600))
		var ran atomic.Int64
		gotJSON, _ := documents(t, m, dir, 1, counting(&ran, invent))
		require.EqualValues(t, 1, ran.Load())
		require.Equal(t, wantJSON, gotJSON)
		again, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(whole), string(again), "cut %d", cut)
	}
}

func TestALineThatMakesNoSenseIsAnErrorWithItsNumber(t *testing.T) {
	digest := strings.Repeat("a", 64)
	good := `{"digest":"` + digest + `","build":"b","cell":"c","status":"done","accuracy":0.5,"best":0.5,"final":0.5,"attack_success":null,"rounds_failed":0}`
	for name, bad := range map[string]string{"no JSON": "{", "unknown status": strings.Replace(good, "done", "dont", 1), "unknown field": strings.Replace(good, "build", "bild", 1),
		"above 1": strings.Replace(good, `"best":0.5`, `"best":1.5`, 1), "no number": strings.Replace(good, `"final":0.5`, `"final":null`, 1),
		"success above 1": strings.Replace(good, `"attack_success":null`, `"attack_success":1.5`, 1), "negative epsilon": strings.Replace(good, `"attack_success"`, `"epsilon_released":-1,"attack_success"`, 1),
		"attempts below 0":          strings.Replace(good, `"rounds_failed":0`, `"rounds_failed":-1`, 1),
		"a number that was refused": strings.Replace(good, "done", "refused", 1), "no cell": strings.Replace(good, digest, "", 1), "two documents": good + good, "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, Results), []byte(good+"\n"+bad+"\n"+good+"\n"), 0o600))
			_, err := OpenJournal(dir, nil)
			require.ErrorIs(t, err, ErrResults)
			require.ErrorContains(t, err, Results+":2: ")
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := OpenJournal(file, nil)
	require.ErrorIs(t, err, ErrResults)
}

func TestAChangedMatrixRunsWhatChanged(t *testing.T) {
	dir := t.TempDir()
	documents(t, must(t, small), dir, 1, invent)
	var ran atomic.Int64
	documents(t, must(t, changed(t, "worker_momentum: 0.5", "worker_momentum: 0.6")), dir, 1, counting(&ran, invent))
	require.EqualValues(t, 8, ran.Load(), "the cells of one defence")
	documents(t, must(t, changed(t, "clip_norm: 10", "clip_norm: 9")), dir, 1, counting(&ran, invent))
	require.EqualValues(t, 24, ran.Load(), "all")
	documents(t, must(t, small), dir, 1, counting(&ran, invent))
	require.EqualValues(t, 24, ran.Load(), "back to what is there")
}

func TestCellsThatAreOneRunOnce(t *testing.T) {
	var ran atomic.Int64
	m := must(t, changed(t, "[0.2]", "[0.2, 0.4]"))
	doc, _ := documents(t, m, t.TempDir(), 2, counting(&ran, invent))
	require.EqualValues(t, 24, ran.Load())
	require.NotContains(t, doc, Pending)
}

var errNotForMe = fault.New(fault.Refused, "test/refused", "rule withstands nothing", "lower f")

func TestARefusedOrFailedCellHasAReasonAndNeverANumber(t *testing.T) {
	m := must(t, small)
	dir := t.TempDir()
	broken := func(cfg sim.Config) (sim.Result, error) {
		res, _ := invent(cfg)
		switch {
		case cfg.Adversary.Byzantine > 0 && cfg.Plan.Training.WorkerMomentum > 0 && cfg.Seed == 2:
			return res, errNotForMe.At("n 6")
		case cfg.Adversary.Byzantine == 0 && cfg.Plan.Training.WorkerMomentum > 0:
			return res, errors.New("run aborted: nothing is left")
		case cfg.Adversary.Byzantine > 0 && cfg.Plan.Training.WorkerMomentum == 0 && cfg.Seed == 1:
			res.Rounds = res.Rounds[:4]
			res.Final.RoundsFailed = 2
		}
		return res, nil
	}
	_, _ = documents(t, m, dir, 2, broken)
	j := open(t, dir)
	r, err := m.Report(j)
	require.NoError(t, err)
	require.Equal(t, 4+2, r.Count(Failed))
	require.Equal(t, 2, r.Count(Refused))
	for _, c := range r.Cells {
		require.Equal(t, c.Status == Done, c.Accuracy != nil && c.Best != nil && c.Final != nil, c.Cell)
		require.Equal(t, c.Status == Done, c.Reason == "", c.Cell)
	}
	first, slow := r.Tables[0].Rows[0], r.Tables[0].Rows[1]
	require.Equal(t, Refused, slow.Entries[1].Status)
	require.Contains(t, slow.Entries[1].Reason, "seed 2: n 6: rule withstands nothing")
	require.Nil(t, slow.Entries[1].Mean, "one seed has no number")
	require.Nil(t, slow.Worst)
	require.Equal(t, "sign-flip", slow.Unknown)
	require.Nil(t, slow.AttackFree)
	require.Contains(t, slow.Entries[0].Reason, "nothing is left")
	require.Contains(t, first.Entries[1].Reason, "4 evaluations; the last 5 were to be averaged")
	require.Equal(t, 2, first.Entries[1].RoundsFailed)
	require.NotNil(t, first.AttackFree)
	require.Nil(t, first.Drop)

	var ran atomic.Int64
	documents(t, m, dir, 1, counting(&ran, invent))
	require.Zero(t, ran.Load(), "they are finished, too")
	require.NoError(t, j.Close())
	j, err = OpenJournal(dir, func(o Outcome) bool { return o.Status != Done })
	require.NoError(t, err)
	require.NoError(t, m.Run(context.Background(), Running{Journal: j, Parallel: 1, Build: "b1", Simulate: counting(&ran, invent)}))
	require.EqualValues(t, 8, ran.Load(), "unless they are forgotten")
	require.NoError(t, j.Close())
	r, err = m.Report(open(t, dir))
	require.NoError(t, err)
	require.Equal(t, 16, r.Count(Done))
}

func TestACellThatTheCheckRefusedNeverRuns(t *testing.T) {
	m := must(t, changed(t, "name: slow, rule: mean", "name: slow, rule: no-such-rule"))
	var ran atomic.Int64
	dir := t.TempDir()
	documents(t, m, dir, 2, counting(&ran, invent))
	require.EqualValues(t, 8, ran.Load())
	r, err := m.Report(open(t, dir))
	require.NoError(t, err)
	require.Equal(t, 8, r.Count(Refused))
	require.Contains(t, r.Tables[0].Rows[1].Entries[0].Reason, "no-such-rule")
	require.Nil(t, r.Tables[0].Rows[1].Entries[0].Mean)
}

func TestABrokenInvariantEndsEverything(t *testing.T) {
	m := must(t, small)
	j := open(t, t.TempDir())
	err := m.Run(context.Background(), Running{Journal: j, Parallel: 2, Simulate: func(sim.Config) (sim.Result, error) {
		return sim.Result{}, fmt.Errorf("seed 1: %w: a client is counted twice", sim.ErrInvariant)
	}})
	require.ErrorIs(t, err, sim.ErrInvariant)
	require.Empty(t, j.known)
}

func TestTheWorstCaseIsTheLeastMeanOverAttacksAndNamesIt(t *testing.T) {
	accuracies := map[string][2]float64{"none": {0.2, 0.2}, "sign-flip": {0.1, 0.9}, "alie": {0.5, 0.47}, "ipm": {0.6, 0.38}, "zero": {0.7, 0.7}}
	m := must(t, changed(t, "[none, sign-flip]", "[zero, alie, none, ipm, sign-flip]"))
	dir := t.TempDir()
	documents(t, m, dir, 2, func(cfg sim.Config) (sim.Result, error) {
		v := accuracies[cfg.Adversary.Attack.String()][cfg.Seed-1]
		var res sim.Result
		for range 6 {
			res.Rounds = append(res.Rounds, sim.Round{Outcome: sim.Released, TestAccuracy: &v})
		}
		success := v / 2
		res.Final.AttackSuccess = &success
		return res, nil
	})
	r, err := m.Report(open(t, dir))
	require.NoError(t, err)
	require.Len(t, r.Tables, 2)
	row := r.Tables[1].Rows[1]
	require.Equal(t, "alie", row.Worst.Attack)
	require.InDelta(t, 0.485, row.Worst.Mean, 1e-12)
	require.InDelta(t, 0.03/math.Sqrt2, *row.Worst.Deviation, 1e-12, "of a sample of two")
	require.InDelta(t, 0.2, *row.AttackFree, 1e-12, "the attack-free mean is no attack")
	require.InDelta(t, 0.2-0.485, *row.Drop, 1e-12)
	require.InDelta(t, 0.8/math.Sqrt2, *row.Entries[4].Deviation, 1e-12)
	require.InDelta(t, 0.25, *row.Entries[4].AttackSuccess, 1e-12)
}

func TestNoWorstCaseIsKnownWhereAnAttackHasNoNumber(t *testing.T) {
	m := must(t, changed(t, "[none, sign-flip]", "[none, zero, ipm, alie]"))
	dir := t.TempDir()
	documents(t, m, dir, 2, func(cfg sim.Config) (sim.Result, error) {
		if cfg.Adversary.Attack.Name() == "ipm" {
			return sim.Result{}, errors.New("run aborted")
		}
		return invent(cfg)
	})
	r, err := m.Report(open(t, dir))
	require.NoError(t, err)
	row := r.Tables[0].Rows[0]
	require.NotNil(t, row.Entries[1].Mean)
	require.NotNil(t, row.Entries[3].Mean)
	require.NotNil(t, row.AttackFree)
	require.Nil(t, row.Worst)
	require.Nil(t, row.Drop)
	require.Equal(t, "ipm", row.Unknown)
}

func TestOneSeedHasNoDeviationAndNoAttackNoWorst(t *testing.T) {
	m := must(t, strings.Replace(changed(t, "[1, 2]", "[1]"), "[none, sign-flip]", "[none]", 1))
	dir := t.TempDir()
	documents(t, m, dir, 2, invent)
	r, err := m.Report(open(t, dir))
	require.NoError(t, err)
	row := r.Tables[0].Rows[0]
	require.Nil(t, row.Entries[0].Deviation)
	require.Nil(t, row.Worst)
	require.Empty(t, row.Unknown)
	require.Nil(t, row.Drop)
}

func TestAnAccuracyIsTheMeanOfTheLastReleasedEvaluations(t *testing.T) {
	at := func(v float64) sim.Round { return sim.Round{Outcome: sim.Released, TestAccuracy: &v} }
	res := sim.Result{Rounds: []sim.Round{at(0.9), at(0.1), {Outcome: sim.Failed}, at(0.2), {Outcome: sim.Failed}, at(0.6)}}
	var o Outcome
	require.NoError(t, o.measure(res, 3))
	require.InDelta(t, 0.3, *o.Accuracy, 1e-12)
	require.Equal(t, 0.9, *o.Best)
	require.Equal(t, 0.6, *o.Final)
	require.Error(t, o.measure(res, 5))
}

func TestTheReportHasTheEpsilonsOfEachDefence(t *testing.T) {
	m := must(t, changed(t, "rule: mean, worker_momentum: 0.5", "rule: no-such-rule"))
	dir := t.TempDir()
	documents(t, m, dir, 1, func(cfg sim.Config) (sim.Result, error) {
		res, err := invent(cfg)
		released, coordinator := float64(cfg.Seed), 10*float64(cfg.Seed)
		res.Final.EpsilonReleased, res.Final.EpsilonCoordinator = &released, &coordinator
		return res, err
	})
	r, err := m.Report(open(t, dir))
	require.NoError(t, err)
	for _, table := range r.Tables {
		require.EqualValues(t, 2, *table.Rows[0].EpsilonReleased, "the greatest of seeds 1 and 2")
		require.EqualValues(t, 20, *table.Rows[0].EpsilonCoordinator)
		require.Nil(t, table.Rows[1].EpsilonReleased, "it was refused")
	}
	_, text := render(t, m, open(t, dir))
	require.Contains(t, text, ",2,20,0,")

	row := Row{}
	row.cost([]Line{{Outcome: Outcome{Status: Done, EpsilonReleased: new(float64)}}, {Outcome: Outcome{Status: Done}}})
	require.Nil(t, row.EpsilonReleased, "no bound of some is one of all")
}

func TestADefenceMaySetTheNoise(t *testing.T) {
	m := must(t, changed(t, "worker_momentum: 0.5", "noise_multiplier: 0.25"))
	require.Zero(t, m.Cells()[0].plan.Privacy.NoiseMultiplier)
	require.EqualValues(t, 0.25, m.Cells()[4].plan.Privacy.NoiseMultiplier)
	require.Equal(t, "mean, noise multiplier 0.25", m.literal.Defences[1].String())
}

func TestCSVHoldsWhatTheReportHolds(t *testing.T) {
	m := must(t, changed(t, "name: slow, rule: mean", `name: "a, \"quoted\" name", rule: no-such-rule`))
	dir := t.TempDir()
	documents(t, m, dir, 1, invent)
	r, err := m.Report(open(t, dir))
	require.NoError(t, err)
	_, text := render(t, m, open(t, dir))
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	require.NoError(t, err)
	require.Len(t, records, 17)
	column := map[string]int{}
	for i, name := range records[0] {
		column[name] = i
	}
	for i, c := range r.Cells {
		record := records[i+1]
		require.Equal(t, c.Defence, record[column["defence"]])
		require.Equal(t, c.Digest, record[column["digest"]])
		require.Equal(t, c.Reason, record[column["reason"]])
		if c.Accuracy == nil {
			require.Empty(t, record[column["accuracy"]])
			continue
		}
		var v float64
		require.NoError(t, json.Unmarshal([]byte(record[column["accuracy"]]), &v))
		require.Equal(t, *c.Accuracy, v)
	}
}

func TestTheReportNamesEveryBuildThatHadAPart(t *testing.T) {
	m := must(t, small)
	dir := t.TempDir()
	j := open(t, dir)
	ctx, cancel := context.WithCancel(context.Background())
	require.ErrorIs(t, m.Run(ctx, Running{Journal: j, Parallel: 1, Build: "older", Simulate: invent, Progress: func(Outcome, int, int) { cancel() }}), ErrInterrupted)
	require.NoError(t, j.Close())
	documents(t, m, dir, 1, invent)
	r, err := m.Report(open(t, dir))
	require.NoError(t, err)
	require.Equal(t, []string{"b1", "older"}, r.Builds)
}

// TestRealCellsRun simulates: a defence, without attack and under one, once at a time and
// two at a time.
func TestRealCellsRun(t *testing.T) {
	m := must(t, strings.NewReplacer("  - {name: slow, rule: mean, worker_momentum: 0.5}\n", "", `[iid, "gamma:0"]`, "[iid]", "[1, 2]", "[1]").Replace(small))
	require.Len(t, m.Cells(), 2)
	one, _ := documents(t, m, t.TempDir(), 1, sim.Run)
	two, _ := documents(t, m, t.TempDir(), 2, sim.Run)
	require.Equal(t, one, two)
	var r Report
	require.NoError(t, json.Unmarshal([]byte(one), &r))
	require.Equal(t, 2, r.Count(Done), one)
	require.Greater(t, *r.Tables[0].Rows[0].AttackFree, 0.6)
}

func FuzzOutcome(f *testing.F) {
	f.Add(`{"digest":"` + strings.Repeat("a", 64) + `","build":"b","cell":"c","status":"done","accuracy":0.5,"best":0.5,"final":0.5,"attack_success":null,"rounds_failed":0}`)
	f.Add(`{"digest":"` + strings.Repeat("b", 64) + `","build":"","cell":"","status":"refused","reason":"r","accuracy":null,"best":null,"final":null,"attack_success":null,"rounds_failed":3}`)
	f.Fuzz(func(t *testing.T, line string) {
		o, err := parseOutcome([]byte(line))
		if err != nil {
			return
		}
		b, err := json.Marshal(o)
		require.NoError(t, err)
		again, err := parseOutcome(b)
		require.NoError(t, err)
		require.Equal(t, o, again)
	})
}
