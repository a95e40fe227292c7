package matrix

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/sim"
	"github.com/choir-fl/choir/sim/dataset"
	"github.com/choir-fl/choir/sim/model"
	"github.com/choir-fl/choir/tensor"
)

// Setup is what all cells share. Nothing of it is written to.
type Setup struct {
	Schemes     []sim.Scheme
	Train, Test dataset.Dataset
	Dataset     string        // its name, for the report
	Initial     *tensor.Model // nil: the architecture's own, from the cell's seed
	// Deal divides the training data among clients, as a partition such as gamma:0.33
	// says.
	Deal func(partition string, clients int, seed uint64) ([][]int, error)
}

// Matrix is a checked matrix. It is immutable and safe for concurrent use.
type Matrix struct {
	literal Literal
	setup   Setup
	cells   []Cell
	attacks []attack
	parts   map[dealt][][]int
}

// dealt names one way in which the data lie with clients.
type dealt struct {
	partition string
	seed      uint64
}

// Cell is one simulation: a point of the product of all lists.
type Cell struct {
	Partition string
	Byzantine float64 // share of the clients that attack
	Defence   string
	Attack    string // as written
	Seed      uint64
	// Refusal is why the cell cannot run, found before anything ran; else nil.
	Refusal error

	digest string
	attack attack
	plan   plan.Literal
}

// String names the cell.
func (c Cell) String() string {
	return fmt.Sprintf("%s, %s, %s, %g Byzantine, seed %d", c.Defence, c.Attack, c.Partition, c.Byzantine, c.Seed)
}

// Digest is that of everything that the cell's result depends on but the program: plan,
// data and how they are dealt out, attack, seed, and how many evaluations are averaged.
// Cells that differ in name alone, such as one without attack at two shares of
// attackers, have one digest.
func (c Cell) Digest() string { return c.digest }

// New checks a matrix, of which Plan must be there, and all of its cells. What makes no
// sense in any cell is an error, with one reason for each thing found; what refuses single
// cells, such as a rule that cannot withstand so many attackers, is in them: see Refusals.
func New(l Literal, s Setup) (*Matrix, error) {
	m := &Matrix{literal: l, setup: s, parts: map[dealt][][]int{}}
	if err := m.check(); err != nil {
		return nil, err
	}
	data := digestOf(s)
	checked := map[string]error{} // of plans
	for _, partition := range l.Partitions {
		for _, share := range l.Byzantine {
			for _, d := range l.Defences {
				for _, a := range m.attacks {
					for _, seed := range l.Seeds {
						c := Cell{Partition: partition, Byzantine: share, Defence: d.Name, Attack: a.name, Seed: seed, attack: a, plan: *l.Plan}
						d.apply(&c.plan, min(attackers(share, l.Clients), c.plan.Cohort.Size))
						if err := m.finish(&c, data, checked); err != nil {
							return nil, err
						}
						m.cells = append(m.cells, c)
					}
				}
			}
		}
	}
	return m, nil
}

// attackers is how many of the clients a share is.
func attackers(share float64, clients int) int { return int(math.Round(share * float64(clients))) }

// Cells are all cells, in the order partition, share, defence, attack, seed.
func (m *Matrix) Cells() []Cell { return m.cells }

// Refusals names every cell that cannot run, one error for each; nil if all can.
func (m *Matrix) Refusals() error {
	var errs []error
	for _, c := range m.cells {
		if c.Refusal != nil {
			errs = append(errs, ErrRefused.At("%s", c).Because(c.Refusal))
		}
	}
	return errors.Join(errs...)
}

// check refuses lists that make no sense in any cell.
func (m *Matrix) check() error {
	l := m.literal
	var errs []error
	unless := func(ok bool, key, format string, args ...any) {
		if !ok {
			errs = append(errs, ErrMatrix.At("%s", key).Because(fmt.Errorf(format, args...)))
		}
	}
	unless(l.Name != "", "name", "there is none")
	unless(l.Plan != nil, "plan", "there is none")
	unless(l.Clients >= 1 && l.Clients <= maxCount, "clients", "%d is not in 1..%d", l.Clients, maxCount)
	unless(l.Fidelity == string(sim.Full) || l.Fidelity == string(sim.Fast), "fidelity", "%q is neither full nor fast", l.Fidelity)
	unless(l.Last >= 1, "last", "%d is not at least 1", l.Last)
	for _, list := range []struct {
		key   string
		items int
	}{{"defences", len(l.Defences)}, {"attacks", len(l.Attacks)}, {"partitions", len(l.Partitions)}, {"byzantine", len(l.Byzantine)}, {"seeds", len(l.Seeds)}} {
		unless(list.items > 0 && list.items <= maxList, list.key, "%d items; 1 to %d are wanted", list.items, maxList)
	}
	unless(float64(len(l.Defences))*float64(len(l.Attacks))*float64(len(l.Partitions))*float64(len(l.Byzantine))*float64(len(l.Seeds)) <= maxCells,
		"it", "more than %d cells", maxCells)
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	names, specs, shares, seeds, partitions := map[string]bool{}, map[string]bool{}, map[float64]bool{}, map[uint64]bool{}, map[string]bool{}
	for i, d := range l.Defences {
		unless(d.Name != "" && !names[d.Name], fmt.Sprintf("defences[%d].name", i), "%q is empty or stands twice", d.Name)
		unless(d.Rule != "", fmt.Sprintf("defences[%d].rule", i), "there is none")
		names[d.Name] = true
	}
	for i, text := range l.Attacks {
		a, err := parseAttack(text)
		unless(err == nil, fmt.Sprintf("attacks[%d]", i), "%w", err)
		unless(err != nil || !specs[a.spec], fmt.Sprintf("attacks[%d]", i), "%q stands twice", text)
		specs[a.spec] = true
		m.attacks = append(m.attacks, a)
	}
	for i, share := range l.Byzantine {
		n := attackers(share, l.Clients)
		unless(share > 0 && n >= 1 && 2*n < l.Clients && !shares[share], fmt.Sprintf("byzantine[%d]", i),
			"%v stands twice, or is not from one client to less than half of %d", share, l.Clients)
		shares[share] = true
	}
	for i, seed := range l.Seeds {
		unless(!seeds[seed], fmt.Sprintf("seeds[%d]", i), "%d stands twice", seed)
		seeds[seed] = true
	}
	for i, p := range l.Partitions {
		unless(!partitions[p], fmt.Sprintf("partitions[%d]", i), "%q stands twice", p)
		partitions[p] = true
		for _, seed := range l.Seeds {
			parts, err := m.setup.Deal(p, l.Clients, seed)
			unless(err == nil, fmt.Sprintf("partitions[%d]", i), "%w", err)
			if err != nil {
				break
			}
			m.parts[dealt{p, seed}] = parts
		}
	}
	return errors.Join(errs...)
}

// finish checks the cell's plan and computes its digest.
func (m *Matrix) finish(c *Cell, data string, checked map[string]error) error {
	l := m.literal
	text, err := c.plan.Format()
	if err != nil {
		return ErrMatrix.At("%s", c).Because(err)
	}
	share := c.Byzantine
	if c.attack.spec == none {
		share = 0
	}
	b, err := json.Marshal(struct {
		Schema, Data, Plan, Partition, Attack, Fidelity string
		Clients, Last                                   int
		Byzantine                                       float64
		Seed                                            uint64
	}{"choir.matrix-cell/1", data, text, c.Partition, c.attack.spec, l.Fidelity, l.Clients, l.Last, share, c.Seed})
	if err != nil {
		return ErrMatrix.At("%s", c).Because(err)
	}
	sum := sha256.Sum256(b)
	c.digest = hex.EncodeToString(sum[:])
	if _, known := checked[text]; !known {
		checked[text] = m.checkPlan(c.plan, c.Seed)
	}
	c.Refusal = checked[text]
	return nil
}

// checkPlan refuses a plan that the simulator would refuse.
func (m *Matrix) checkPlan(l plan.Literal, seed uint64) error {
	arch, err := model.ParseArchitecture(l.Model.Architecture)
	if err != nil {
		return plan.ErrContradiction.At("model.architecture").Because(err)
	}
	net, err := model.New(arch, m.setup.Train.Shape(), m.setup.Train.Classes())
	if err != nil {
		return plan.ErrContradiction.At("model.architecture").Because(err)
	}
	if m.setup.Initial != nil && !m.setup.Initial.Schema().Equal(net.Schema()) {
		return plan.ErrContradiction.At("model.initial").Because(fmt.Errorf("its tensors are not those of %s for these data", arch))
	}
	sim.FillTensors(&l, net.Schema())
	if err := sim.FillCommittee(&l, m.setup.Schemes, seed); err != nil {
		return err
	}
	known := make([]secagg.ServerScheme, len(m.setup.Schemes))
	for i, s := range m.setup.Schemes {
		known[i] = s
	}
	p, err := l.Check(known...)
	if err != nil {
		return err
	}
	if m.literal.Clients < p.Minimum() {
		return plan.ErrContradiction.At("cohort.minimum").Because(fmt.Errorf("%d is above the matrix's %d clients", p.Minimum(), m.literal.Clients))
	}
	if p.Rounds() < m.literal.Last {
		return plan.ErrContradiction.At("rounds.count").Because(fmt.Errorf("%d is below the %d evaluations that are averaged", p.Rounds(), m.literal.Last))
	}
	return nil
}

// config is the cell's simulation.
func (m *Matrix) config(c Cell) sim.Config {
	cfg := sim.Config{Plan: c.plan, Schemes: m.setup.Schemes, Train: m.setup.Train, Test: m.setup.Test, Partition: m.parts[dealt{c.Partition, c.Seed}],
		Initial: m.setup.Initial, Seed: c.Seed, Fidelity: sim.Fidelity(m.literal.Fidelity), Workers: 1}
	c.attack.enter(&cfg, c.Byzantine)
	return cfg
}

// digestOf is that of the data and of the initial model.
func digestOf(s Setup) string {
	h := sha256.New()
	var row []byte
	for _, d := range []dataset.Dataset{s.Train, s.Test} {
		shape := d.Shape()
		row = fmt.Appendf(row[:0], "%d %v %d;", d.Len(), shape, d.Classes())
		_, _ = h.Write(row) // a hash never fails
		for i := range d.Len() {
			row = binary.LittleEndian.AppendUint64(row[:0], uint64(d.Label(i)))
			for _, x := range d.Features(i) {
				row = binary.LittleEndian.AppendUint32(row, math.Float32bits(x))
			}
			_, _ = h.Write(row)
		}
	}
	if s.Initial != nil {
		digest := s.Initial.Digest()
		_, _ = h.Write(digest[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}
