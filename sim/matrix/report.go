package matrix

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/choir-fl/choir/sim"
)

// ReportSchema is the version of matrix.json.
const ReportSchema = "choir.matrix-report/1"

// Report is what came of a matrix: the document matrix.json. It is a function of the
// matrix and of the outcomes, not of the order in which cells ran.
type Report struct {
	Schema     string       `json:"schema"`
	Name       string       `json:"name"`
	Dataset    string       `json:"dataset"`
	Model      string       `json:"model"`
	Scheme     string       `json:"scheme"`
	Fidelity   sim.Fidelity `json:"fidelity"`
	Clients    int          `json:"clients"`
	Cohort     int          `json:"cohort"`
	Rounds     int          `json:"rounds"`
	Last       int          `json:"last"` // evaluations averaged into an accuracy
	Defences   []Defence    `json:"defences"`
	Attacks    []string     `json:"attacks"`
	Partitions []string     `json:"partitions"`
	Byzantine  []float64    `json:"byzantine"`
	Seeds      []uint64     `json:"seeds"`
	// Builds are those of the programs that ran the cells, in order. Numbers of several
	// may not be comparable.
	Builds []string `json:"builds"`
	// Plan is the base plan.
	Plan   string  `json:"plan"`
	Tables []Table `json:"tables"`
	Cells  []Line  `json:"cells"`
}

// Line is a cell with its outcome.
type Line struct {
	Partition string  `json:"partition"`
	Byzantine float64 `json:"byzantine"`
	Defence   string  `json:"defence"`
	Attack    string  `json:"attack"`
	Seed      uint64  `json:"seed"`
	Outcome
}

// Table is one way of dealing out the data and one share of attackers.
type Table struct {
	Partition string  `json:"partition"`
	Byzantine float64 `json:"byzantine"`
	Rows      []Row   `json:"rows"`
}

// Row is a defence.
type Row struct {
	Defence string  `json:"defence"`
	Entries []Entry `json:"entries"` // one for each attack, in the matrix's order
	// Worst is the least mean over the attacks other than none. It is nil if there is no
	// such attack, or where one of them has no mean: then Unknown says which.
	Worst   *Worst `json:"worst"`
	Unknown string `json:"unknown,omitempty"`
	// AttackFree is the mean without attack, if that is one of the columns.
	AttackFree *float64 `json:"attack_free"`
	// Drop is AttackFree less the worst mean.
	Drop *float64 `json:"drop"`
	// EpsilonReleased and EpsilonCoordinator are the greatest of the row's cells; nil where
	// one that is done has none.
	EpsilonReleased    *float64 `json:"epsilon_released,omitempty"`
	EpsilonCoordinator *float64 `json:"epsilon_coordinator,omitempty"`
}

// Worst is a least mean and the attack, the first of several, that it belongs to.
type Worst struct {
	Attack    string   `json:"attack"`
	Mean      float64  `json:"mean"`
	Deviation *float64 `json:"deviation"`
}

// Entry sums up the seeds of a defence under an attack.
type Entry struct {
	Attack string `json:"attack"`
	// Status is done if all seeds are, else that of the first which is not.
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
	// Mean and Deviation are of the seeds' accuracies: nil unless all are done.
	// Deviation is the sample's (divided by n-1), nil for one seed.
	Mean      *float64 `json:"mean"`
	Deviation *float64 `json:"deviation"`
	// AttackSuccess is the seeds' mean; nil if one has none.
	AttackSuccess *float64 `json:"attack_success"`
	RoundsFailed  int      `json:"rounds_failed"` // of all seeds
}

// Report sums up the outcomes that a journal holds. Cells without one are pending.
func (m *Matrix) Report(j *Journal) (Report, error) {
	l := m.literal
	text, err := l.Plan.Format()
	if err != nil {
		return Report{}, ErrMatrix.At("plan").Because(err)
	}
	r := Report{Schema: ReportSchema, Name: l.Name, Dataset: m.setup.Dataset, Model: l.Plan.Model.Architecture, Scheme: l.Plan.Scheme.Name,
		Fidelity: sim.Fidelity(l.Fidelity), Clients: l.Clients, Cohort: l.Plan.Cohort.Size, Rounds: l.Plan.Rounds.Count, Last: l.Last,
		Defences: l.Defences, Attacks: l.Attacks, Partitions: l.Partitions, Byzantine: l.Byzantine, Seeds: l.Seeds, Builds: []string{}, Plan: text}
	for _, c := range m.cells {
		o, known := j.Of(c.digest)
		switch {
		case c.Refusal != nil:
			o = Outcome{Digest: c.digest, Status: Refused, Reason: strings.Join(strings.Fields(c.Refusal.Error()), " ")}
		case !known:
			o = Outcome{Digest: c.digest, Status: Pending, Reason: "it did not run"}
		case !slices.Contains(r.Builds, o.Build):
			r.Builds = append(r.Builds, o.Build)
		}
		o.Cell = c.String()
		r.Cells = append(r.Cells, Line{c.Partition, c.Byzantine, c.Defence, c.Attack, c.Seed, o})
	}
	slices.Sort(r.Builds)
	rest := r.Cells // in the order of the tables
	for _, partition := range l.Partitions {
		for _, share := range l.Byzantine {
			t := Table{Partition: partition, Byzantine: share}
			for _, d := range l.Defences {
				row := Row{Defence: d.Name}
				row.cost(rest[:len(m.attacks)*len(l.Seeds)])
				for _, a := range m.attacks {
					row.Entries = append(row.Entries, sumUp(a.name, rest[:len(l.Seeds)]))
					rest = rest[len(l.Seeds):]
				}
				row.conclude()
				t.Rows = append(t.Rows, row)
			}
			r.Tables = append(r.Tables, t)
		}
	}
	return r, nil
}

// sumUp makes an entry of the seeds' cells.
func sumUp(attack string, cells []Line) Entry {
	e := Entry{Attack: attack, Status: Done}
	var accuracies, successes []float64
	for _, c := range cells {
		e.RoundsFailed += c.RoundsFailed
		if c.Status != Done && e.Status == Done {
			e.Status, e.Reason = c.Status, fmt.Sprintf("seed %d: %s", c.Seed, c.Reason)
		}
		if c.Accuracy != nil {
			accuracies = append(accuracies, *c.Accuracy)
		}
		if c.AttackSuccess != nil {
			successes = append(successes, *c.AttackSuccess)
		}
	}
	if e.Status != Done {
		return e
	}
	mean, deviation := spread(accuracies)
	e.Mean = &mean
	if len(accuracies) > 1 {
		e.Deviation = &deviation
	}
	if len(successes) == len(cells) {
		success, _ := spread(successes)
		e.AttackSuccess = &success
	}
	return e
}

// spread returns the mean and the sample's standard deviation.
func spread(values []float64) (mean, deviation float64) {
	for _, v := range values {
		mean += v
	}
	mean /= float64(len(values))
	squares := 0.0
	for _, v := range values {
		squares += float64((v - mean) * (v - mean))
	}
	return mean, math.Sqrt(squares / float64(max(len(values)-1, 1)))
}

// cost finds the greatest epsilons of a row's cells.
func (r *Row) cost(cells []Line) {
	greatest := func(of func(Line) *float64) (out *float64) {
		for _, c := range cells {
			v := of(c)
			switch {
			case c.Status != Done:
			case v == nil:
				return nil
			case out == nil || *v > *out:
				out = v
			}
		}
		return out
	}
	r.EpsilonReleased = greatest(func(c Line) *float64 { return c.EpsilonReleased })
	r.EpsilonCoordinator = greatest(func(c Line) *float64 { return c.EpsilonCoordinator })
}

// conclude finds the worst case of a row.
func (r *Row) conclude() {
	for _, e := range r.Entries {
		switch {
		case e.Attack == none:
			r.AttackFree = e.Mean
		case e.Mean == nil && r.Unknown == "":
			r.Unknown = e.Attack
		case e.Mean != nil && (r.Worst == nil || *e.Mean < r.Worst.Mean):
			r.Worst = &Worst{e.Attack, *e.Mean, e.Deviation}
		}
	}
	if r.Unknown != "" {
		r.Worst = nil
	}
	if r.Worst != nil && r.AttackFree != nil {
		drop := *r.AttackFree - r.Worst.Mean
		r.Drop = &drop
	}
}

// Count is the number of cells of a status.
func (r Report) Count(status string) (n int) {
	for _, c := range r.Cells {
		if c.Status == status {
			n++
		}
	}
	return n
}

// WriteJSON writes matrix.json.
func (r Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// WriteCSV writes matrix.csv: a header and one record for each cell. A number that there
// is not is an empty field.
func (r Report) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	number := func(v *float64) string {
		if v == nil {
			return ""
		}
		return strconv.FormatFloat(*v, 'g', -1, 64)
	}
	records := [][]string{{"partition", "byzantine", "defence", "attack", "seed", "status", "accuracy", "best", "final", "attack_success", "epsilon_released", "epsilon_coordinator", "rounds_failed", "reason", "build", "digest"}}
	for _, c := range r.Cells {
		records = append(records, []string{c.Partition, number(&c.Byzantine), c.Defence, c.Attack, strconv.FormatUint(c.Seed, 10), c.Status,
			number(c.Accuracy), number(c.Best), number(c.Final), number(c.AttackSuccess), number(c.EpsilonReleased), number(c.EpsilonCoordinator), strconv.Itoa(c.RoundsFailed), c.Reason, c.Build, c.Digest})
	}
	return out.WriteAll(records)
}
