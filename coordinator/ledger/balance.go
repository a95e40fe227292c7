package ledger

import (
	"math"
	"math/big"
	"slices"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/account"
	"github.com/choir-fl/choir/secagg"
)

// State is what became of a reservation.
type State uint8

const (
	// Reserved is charged in full: nothing is known of the attempt's end.
	Reserved State = 1
	// Committed is charged as it was released.
	Committed State = 2
	// Voided is not charged: nothing could have been unmasked.
	Voided State = 3
)

// String returns reserved, committed or voided; "" for other values.
func (s State) String() string {
	switch s {
	case Reserved:
		return "reserved"
	case Committed:
		return "committed"
	case Voided:
		return "voided"
	}
	return ""
}

// Entry is one attempt in the ledger.
type Entry struct {
	ID     secagg.RoundID
	Record uint64        // number of its reservation
	Plan   secagg.Digest // that it was reserved under
	State  State
	// Charge is what counts: as reserved, and as released once it is committed. It was
	// lifted if State is Voided.
	Charge Charge
	// Released is the digest of what was released; zero unless State is Committed.
	Released secagg.Digest
}

// group is charges that cost an observer the same and count together.
type group struct {
	job            string
	event          string // key in the tariff; "" if none is stated
	uses           int64
	participations int
}

// balance is the sum of all charges that count.
type balance struct {
	genesis Genesis
	tariff  *tariff
	charges [2]map[group]int64 // how many of each group, by observer
	delta   *big.Float
}

func newBalance(g Genesis, t *tariff) *balance {
	return &balance{genesis: g, tariff: t, charges: [2]map[group]int64{{}, {}}, delta: zero()}
}

// charged is a charge of a job as the balance counts it.
type charged struct {
	groups [2]group
	delta  float64
}

// price looks a charge up in the tariff.
func (b *balance) price(job string, c Charge) (charged, error) {
	out := charged{groups: [2]group{{job: job}, {job: job}}, delta: c.Delta}
	for i, o := range observers {
		if e := c.event(o); e.Valid() {
			key, err := b.tariff.enter(o, e)
			if err != nil {
				return out, err
			}
			out.groups[i] = group{job, key, e.Spec().Count, c.Participations}
		}
	}
	return out, nil
}

// count adds a charge n times, n being 1 or -1. Everything is exact, so -1 undoes 1.
func (b *balance) count(c charged, n int64) {
	for i, g := range c.groups {
		if b.charges[i][g] += n; b.charges[i][g] == 0 {
			delete(b.charges[i], g)
		}
	}
	b.delta.Add(b.delta, new(big.Float).SetFloat64(float64(n)*c.delta))
}

// fits returns ErrBudget if a budget would be passed with one more charge.
func (b *balance) fits(c charged, tolerance float64) error {
	b.count(c, 1)
	defer b.count(c, -1)
	return b.within(tolerance)
}

// total is the exact sum of the costs of an observer's charges, by what one use costs; of
// one job only unless it is "".
func (b *balance) total(o dp.Observer, job string, one func(*price) float64) *big.Float {
	sum := zero()
	jobs := map[string][]group{}
	for g, n := range b.charges[o-1] {
		switch {
		case job != "" && g.job != job, g.event == "":
		case b.tariff.prices[g.event].one.Spec().Sampling.Mode != dp.SamplingNone: // nobody knows who took part
			sum.Add(sum, zero().Mul(cost(one(b.tariff.prices[g.event]), g.uses), new(big.Float).SetInt64(n)))
		default:
			jobs[g.job] = append(jobs[g.job], g)
		}
	}
	for _, groups := range jobs {
		sum.Add(sum, costliest(b.charges[o-1], groups, one, b.tariff))
	}
	return sum
}

// compared is the total of observer number i at the order that is enforced.
func (b *balance) compared(i int) *big.Float {
	return b.total(observers[i], "", func(p *price) float64 { return p.at[i] })
}

// costliest adds the charges of one job in which one client can have taken part: no more
// of them than the weakest bound on its participations. Which ones depends on
// the client, so the costliest are taken (individual accounting; Feldman and Zrnic 2021).
func costliest(charges map[group]int64, groups []group, one func(*price) float64, t *tariff) *big.Float {
	left := groups[0].participations
	for _, g := range groups {
		if left = max(left, g.participations); g.participations == 0 {
			left = 0
			break
		}
	}
	bounded := left > 0
	worth := func(g group) *big.Float { return cost(one(t.prices[g.event]), g.uses) }
	if bounded {
		slices.SortFunc(groups, func(g, h group) int { return worth(h).Cmp(worth(g)) })
	}
	sum := zero()
	for _, g := range groups {
		n := charges[g]
		if bounded {
			n = min(n, int64(left))
			left -= int(n)
		}
		if n > 0 {
			sum.Add(sum, zero().Mul(worth(g), new(big.Float).SetInt64(n)))
		}
	}
	return sum
}

// within returns ErrBudget if a budget is passed by more than a part tolerance of it.
func (b *balance) within(tolerance float64) error {
	for i, o := range observers {
		budget := b.genesis.budget(o)
		if !budget.stated() {
			continue
		}
		limit := budget.limit(b.genesis.composed()) * (1 + tolerance)
		if b.compared(i).Cmp(new(big.Float).SetFloat64(limit)) > 0 {
			return ErrBudget.At("population %s: epsilon would pass %g at delta %g for observer %s", b.genesis.Population, budget.Epsilon, b.genesis.Delta, o)
		}
	}
	slack := b.genesis.Slack * (1 + tolerance)
	if b.delta.Cmp(new(big.Float).SetFloat64(slack)) > 0 {
		return ErrBudget.At("population %s: the slack of %g in delta would be overdrawn", b.genesis.Population, b.genesis.Slack)
	}
	return nil
}

// worth is what a charge costs each observer at the order where it is compared, rounded
// up; 0 where no event is stated.
func (b *balance) worth(c Charge) (out [2]float64, err error) {
	in, err := b.price("", c)
	if err != nil {
		return out, err
	}
	for i, g := range in.groups {
		if g.event == "" {
			continue
		}
		if out[i] = upward(cost(b.tariff.prices[g.event].at[i], g.uses)); math.IsInf(out[i], 1) {
			return out, ErrCharge.At("%s: no finite divergence", observers[i])
		}
	}
	return out, nil
}

// notAbove returns ErrCharge if actual costs anybody more than reserved, by more than a
// part tolerance of it, or states something else.
func (b *balance) notAbove(actual, reserved Charge, tolerance float64) error {
	now, err := b.worth(actual)
	if err != nil {
		return err
	}
	before, err := b.worth(reserved)
	if err != nil {
		return err
	}
	for i, o := range observers {
		if now[i] > before[i]*(1+tolerance) {
			return ErrCharge.At("%s: costs more than what was reserved", o)
		}
	}
	switch {
	case actual.Delta > reserved.Delta:
		return ErrCharge.At("delta %g, %g was reserved", actual.Delta, reserved.Delta)
	case actual.Rosters.Valid() != reserved.Rosters.Valid():
		return ErrCharge.At("only one of reservation and release states an event for rosters")
	case actual.Participations != reserved.Participations:
		return ErrCharge.At("%d participations, reserved for %d", actual.Participations, reserved.Participations)
	}
	return nil
}

// epsilon is the best bound over the given orders, at the composed part of delta.
func (b *balance) epsilon(o dp.Observer, job string, orders []float64) (float64, bool) {
	if o != dp.ObserverReleases && o != dp.ObserverCoordinator {
		return 0, false
	}
	empty := true
	for g := range b.charges[o-1] {
		if job == "" || g.job == job {
			if g.event == "" || b.tariff.complete(g.event) != nil {
				return 0, false
			}
			empty = false
		}
	}
	if empty {
		return 0, o == dp.ObserverReleases || b.genesis.Rosters.stated()
	}
	curve, err := account.CurveOf(func(a float64) float64 {
		i := slices.Index(b.tariff.orders, a)
		if i < 0 || !slices.Contains(orders, a) {
			return math.Inf(1)
		}
		return upward(b.total(o, job, func(p *price) float64 { return p.curve[i] }))
	})
	if err != nil {
		return 0, false
	}
	bound, err := curve.Epsilon(b.genesis.composed())
	return bound.Epsilon, err == nil && !math.IsInf(bound.Epsilon, 1)
}

// left is the part of an observer's budget that is left, from 0 to 1.
func (b *balance) left(o dp.Observer) (float64, bool) {
	if o != dp.ObserverReleases && o != dp.ObserverCoordinator || !b.genesis.budget(o).stated() {
		return 0, false
	}
	spent := upward(b.compared(int(o) - 1))
	return max(0, 1-spent/b.genesis.budget(o).limit(b.genesis.composed())), true
}
