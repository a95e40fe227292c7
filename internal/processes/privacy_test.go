package processes

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise"
)

// noised is a plan with noise that clients share, and a budget for some of its rounds.
func noised(t *testing.T, clients, rounds, affordable int) (plan.Literal, plan.Plan) {
	t.Helper()
	l := plan.Literal{
		Schema: secagg.PlanSchema, Job: "job",
		Model:     plan.Model{Tensors: []plan.Tensor{{Name: "w", Shape: []int{1000}}}, Initial: "initial.safetensors"},
		Scheme:    plan.Scheme{Name: pairwise.Name, CrossSilo: true},
		Cohort:    plan.Cohort{Size: clients, Minimum: clients},
		Rounds:    plan.Rounds{Count: rounds},
		Deadlines: plan.Deadlines{Admission: patience, Exchange: patience, Upload: patience},
		Encoding:  plan.Encoding{ClipNorm: 1}, Training: plan.Training{Epochs: 1, BatchSize: 1, LearningRate: 1},
		Aggregation: plan.Aggregation{Denominator: string(secagg.DenominatorFixed)},
		Privacy: plan.Privacy{Mode: "distributed", Population: "fleet", Relation: "zero-out", Delta: 1e-5, Epsilon: 1000, NoiseMultiplier: 2,
			Clipping: plan.Clipping{Quantile: 0.5, Rate: 0.5, Floor: 1e-3, Ceiling: 1e3, BitNoise: 4}},
	}
	p, err := l.Check(pairwise.Scheme{})
	require.NoError(t, err)
	enough, _ := p.Guarantee().Epsilon(dp.ObserverReleases, affordable)
	more, _ := p.Guarantee().Epsilon(dp.ObserverReleases, affordable+1)
	l.Privacy.Epsilon = enough + 0.9*(more-enough)
	p, err = l.Check(pairwise.Scheme{})
	require.NoError(t, err)
	return l, p
}

// spent is what documents say of privacy.
type spent struct {
	Released    *float64 `json:"epsilon_released"`
	Coordinator *float64 `json:"epsilon_coordinator"`
	Delta       *float64 `json:"delta"`
	ClipNorm    *float64 `json:"clip_norm"`
}

// requireSpent demands that a document states what so many rounds cost.
func requireSpent(t *testing.T, p plan.Plan, rounds int, s spent) {
	t.Helper()
	released, _ := p.Guarantee().Epsilon(dp.ObserverReleases, rounds)
	coordinator, _ := p.Guarantee().Epsilon(dp.ObserverCoordinator, rounds)
	require.Equal(t, []float64{released, coordinator, 1e-5}, []float64{*s.Released, *s.Coordinator, *s.Delta})
}

func TestRunUnderNoiseEndsWithItsBudgetAndSaysSo(t *testing.T) {
	w := newWorld(t)
	const clients, affordable = 4, 2
	devices := make([]device, clients)
	for i := range devices {
		devices[i] = w.device(i, clients)
	}
	w.plan(few(clients, 1)) // for its model
	l, p := noised(t, clients, 5, affordable)
	text, err := l.Format()
	require.NoError(t, err)
	w.do("run", "start", w.file("plan.yaml", text))
	watch := w.watch()
	devices[0].Stop, devices[0].StopRound = atUpload, 2
	slow := w.launch(devices...)

	// The coordinator is killed in the middle of the second round, which stays reserved.
	slow.await("stopped at " + atUpload + " of round 2")
	require.Equal(t, []string{"committed", "reserved"}, w.ledger())
	w.coordinator.signal(syscall.SIGKILL)
	require.Equal(t, -1, w.coordinator.wait())
	w.serve()
	slow.say("go on")
	require.Equal(t, 3, watch.wait(), "the exit code of what is refused")
	require.Contains(t, watch.output(), "the privacy budget is spent")
	require.Equal(t, []string{"committed", "committed"}, w.ledger())
	norms := map[float64]bool{}
	for round := 1; round <= affordable; round++ {
		var doc struct{ Attempt spent }
		require.NoError(t, json.Unmarshal([]byte(watch.await(fmt.Sprintf(`"attempt":{"round":%d,`, round))), &doc))
		requireSpent(t, p, round, doc.Attempt)
		norms[*doc.Attempt.ClipNorm] = true
	}
	require.Len(t, norms, affordable, "the clip norm adapts")

	var list struct {
		Runs []struct {
			spent
			Status, Reason string
			Rounds         int
		}
	}
	require.NoError(t, json.Unmarshal([]byte(w.do("run", "list", "--json")), &list))
	require.Equal(t, "budget_exhausted", list.Runs[0].Status)
	require.Contains(t, list.Runs[0].Reason, "population fleet")
	require.Equal(t, affordable, list.Runs[0].Rounds)
	requireSpent(t, p, affordable, list.Runs[0].spent)
	require.Contains(t, w.do("run", "list"), "budget_exhausted")
	_, errOut, code := w.run("run", "watch", "job")
	require.Equal(t, 3, code)
	requireOneLine(t, errOut, "budget", "2 of 5 rounds")

	// Another job over the same population is out of it too, and asks nobody.
	budget := l.Privacy.Epsilon
	l.Job, l.Privacy.Epsilon = "next", budget+1
	text, err = l.Format()
	require.NoError(t, err)
	_, errOut, code = w.run("run", "start", w.file("next.yaml", text))
	require.Equal(t, 3, code)
	requireOneLine(t, errOut, "another budget")
	l.Privacy.Epsilon = budget
	text, err = l.Format()
	require.NoError(t, err)
	require.Contains(t, w.do("run", "start", w.file("next.yaml", text)), "budget_exhausted")

	// The model says what it cost.
	model := w.export()
	require.Len(t, model.Values(), 1000)
	head := strings.TrimSpace(w.do("ledger", "verify", w.path("data", "ledger")))
	file, err := os.ReadFile(w.path("exported.safetensors"))
	require.NoError(t, err)
	var header struct {
		Metadata map[string]string `json:"__metadata__"`
	}
	require.NoError(t, json.Unmarshal(file[8:8+binary.LittleEndian.Uint64(file)], &header))
	require.Equal(t, "job", header.Metadata["choir.job"])
	require.Equal(t, "2", header.Metadata["choir.round"])
	require.Equal(t, p.Digest().String(), header.Metadata["choir.plan_digest"])
	var said struct {
		spent
		Mode, Unit, Relation, Mechanism, Accountant, Population string
		NoiseMultiplier                                         float64 `json:"noise_multiplier"`
		LedgerCount                                             int     `json:"ledger_count"`
		LedgerDigest                                            string  `json:"ledger_digest"`
	}
	require.NoError(t, json.Unmarshal([]byte(header.Metadata["choir.privacy"]), &said))
	requireSpent(t, p, affordable, said.spent)
	require.Equal(t, []string{"distributed", "client", "zero-out", "dgauss", "rdp, gdp", "fleet"},
		[]string{said.Mode, said.Unit, said.Relation, said.Mechanism, said.Accountant, said.Population})
	require.Equal(t, 2.0, said.NoiseMultiplier)
	require.Equal(t, fmt.Sprintf("fleet: sound, head %d:%s", said.LedgerCount, said.LedgerDigest), head)
	slow.kill()
}

// ledger lists what became of the attempts that were charged, while the coordinator runs.
func (w *world) ledger() (states []string) {
	w.t.Helper()
	var doc struct {
		Entries []struct{ State string }
	}
	out := w.do("ledger", "show", "--json", w.path("data", "ledger"))
	require.NoError(w.t, json.Unmarshal([]byte(out), &doc), out)
	for _, a := range doc.Entries {
		states = append(states, a.State)
	}
	return states
}
