package client

import (
	"math"
	"slices"
	"strings"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// Refusals of an account.
var (
	ErrRolledBack = fault.New(fault.Refused, "client/rolled-back", "the privacy ledger is older than one that this device has seen, or another one", "restore the latest ledger; a run that begins anew needs a new job name")
	ErrOften      = fault.New(fault.Refused, "client/participation", "this device took part in the job as often, or as lately, as the plan allows", "wait for a later round")
	ErrJobs       = fault.New(fault.Refused, "client/jobs", "this device remembers as many jobs as it can", "name the jobs of this device in its limits")
)

// MaxJobs is how many jobs with noise an Account remembers. It forgets none, as with a
// job the promises made in it would be forgotten, and so takes no more.
const MaxJobs = 1024

// Account is what a device knows of its own contributions, whatever the coordinator
// claims: what they spent of its privacy in its life, over all jobs, and of each job
// with noise how often and when it contributed, and the newest ledger head. It is an
// immutable value; the zero Account is that of a device that never contributed.
type Account struct {
	attempts int
	last     secagg.RoundID // the latest attempt charged
	spent    Cost
	jobs     []jobAccount // in the order of their names; never changed in place
}

// jobAccount is what is known of a job with noise.
type jobAccount struct {
	name     string
	attempts int
	round    uint32 // of the latest attempt charged; 0 if there is none
	attempt  uint32
	head     secagg.LedgerHead // zero if none was seen
}

// Cost is what contributions spend of a device's privacy, by what the terms promise:
// concentrated differential privacy of each contribution, without amplification, as
// the coordinator knows who takes part. Under privacy mode central it rests on the
// coordinator alone, and on noise that is independent from round to round.
type Cost struct {
	rho   uint64  // in units of 2^-40, rounded up; unbounded without noise
	whole bool    // rho bounds whole orders 2 to 64 alone (Skellam)
	tail  float64 // total variation that redrawing shares beyond their tails costs
	delta float64 // probability that a bucket holds fewer honest shares than promised
}

const (
	rhoBits   = 40
	unbounded = math.MaxUint64
)

// costOf is the cost of one contribution under terms with noise, or without.
func costOf(t secagg.Terms, m ddp.Mechanism) Cost {
	n := t.Noise
	if n == (secagg.Noise{}) || n.Correlated { // what one round costs is not known alone
		return Cost{rho: unbounded}
	}
	c := Cost{rho: rhoUnits(m.ZCDP(n.Relation)), whole: n.Law == dp.Skellam, tail: m.TailDelta()}
	if t.Privacy == secagg.PrivacyDistributed && t.Buckets != (secagg.Buckets{}) {
		c.delta = n.Delta / 10 / float64(n.Releases) // see ddp.BucketView
	}
	return c
}

// rhoUnits is rho in units, rounded up; unbounded where it is no positive number, or
// beyond some eight million. Scaling by a power of two is exact.
func rhoUnits(rho float64) uint64 {
	if units := math.Ceil(math.Ldexp(rho, rhoBits)); units > 0 && units < 1<<63 { // NaN fails
		return uint64(units)
	}
	return unbounded
}

// plus is the cost of both, rounded up.
func (c Cost) plus(d Cost) Cost {
	sum := Cost{rho: unbounded, whole: c.whole || d.whole, tail: sumUp(c.tail, d.tail), delta: sumUp(c.delta, d.delta)}
	if c.rho < 1<<63 && d.rho < 1<<63 && c.rho+d.rho < 1<<63 {
		sum.rho = c.rho + d.rho
	}
	return sum
}

func sumUp(a, b float64) float64 {
	if a == 0 || b == 0 {
		return a + b
	}
	return math.Nextafter(a+b, math.Inf(1))
}

// rhoUp is rho as a float, rounded up.
func (c Cost) rhoUp() float64 {
	if c.rho == unbounded {
		return math.Inf(1)
	}
	f := float64(c.rho)
	if uint64(f) < c.rho {
		f = math.Nextafter(f, math.Inf(1))
	}
	return math.Ldexp(f, -rhoBits)
}

// Attempts is the number of attempts that the device contributed to.
func (a Account) Attempts() int { return a.attempts }

// Epsilon is what all contributions together have spent at delta: whoever sees
// everything but this device, and only sums with the noise that was promised, learns no
// more. It is an upper bound under relation zero-out, and under replace-one if all terms
// said that one. +Inf says that there is no bound: a contribution had no noise, or delta
// is not in (0,1), or epsilon is beyond some 30, where what is left out of a share's tail
// outweighs delta.
func (a Account) Epsilon(delta float64) float64 {
	rho, room := a.spent.rhoUp(), delta-a.spent.delta
	epsilon := dp.Epsilon(rho, room, a.spent.whole)
	// Releases that differ from those accounted for by tail in total variation have
	// delta + (1 + e^epsilon) tail.
	for range 64 {
		more := dp.Epsilon(rho, room-(1+math.Exp(epsilon))*a.spent.tail, a.spent.whole)
		if more <= epsilon {
			return epsilon
		}
		epsilon = more * (1 + 0x1p-20)
	}
	return math.Inf(1)
}

// See remembers the ledger head of a task that is accepted. ErrRolledBack says that the
// job's newest known head has a higher count, or the same count and another digest: the
// ledger was put back, and what was spent since might be spent again. A device sees
// heads of its own tasks only and cannot check the chain between two of them, nor who
// writes the ledger: a ledger that was put back and has grown beyond what the device
// knew, or goes on under another job's name, is not noticed. ErrJobs says that there is
// no room for another job. Without noise there is no ledger, and nothing to see.
func (a Account) See(task secagg.Task) (Account, error) {
	if task.Terms.Noise == (secagg.Noise{}) {
		return a, nil
	}
	a, j, err := a.open(task.Round.Job)
	if err != nil {
		return Account{}, err
	}
	known, head := j.head, task.Ledger
	if head.Count < known.Count || known != (secagg.LedgerHead{}) && head.Count == known.Count && head.Digest != known.Digest {
		return Account{}, ErrRolledBack.At("round %s: %d records, and %d seen before", task.Round, head.Count, known.Count)
	}
	j.head = head
	return a, nil
}

// Charge counts a contribution under a task. One that is the latest of its job, or of
// all, is charged already and changes nothing. ErrOften says that the terms allow the
// device no contribution in this round, ErrJobs as See.
func (a Account) Charge(task secagg.Task, cost Cost) (Account, error) {
	id, n := task.Round, task.Terms.Noise
	if a.last == id {
		return a, nil
	}
	if n != (secagg.Noise{}) {
		next, j, err := a.open(id.Job)
		switch {
		case err != nil:
			return Account{}, err
		case j.round == id.Round && j.attempt == id.Attempt:
			return a, nil
		case n.Participations > 0 && j.attempts >= n.Participations:
			return Account{}, ErrOften.At("round %s: %d attempts, at most %d", id, j.attempts, n.Participations)
		case j.attempts > 0 && int64(id.Round)-int64(j.round) < int64(n.Separation):
			return Account{}, ErrOften.At("round %s: %d rounds after the latest, at least %d", id, int64(id.Round)-int64(j.round), n.Separation)
		}
		j.attempts, j.round, j.attempt = oneMore(j.attempts), id.Round, id.Attempt
		a = next
	}
	a.attempts, a.last, a.spent = oneMore(a.attempts), id, a.spent.plus(cost)
	return a, nil
}

// oneMore counts, as far as a record can hold.
func oneMore(n int) int { return min(n+1, math.MaxInt32) }

// open returns a copy of the account and the place of a job in it.
func (a Account) open(name string) (Account, *jobAccount, error) {
	i, found := slices.BinarySearchFunc(a.jobs, name, func(j jobAccount, name string) int { return strings.Compare(j.name, name) })
	if !found && len(a.jobs) >= MaxJobs {
		return Account{}, nil, ErrJobs.At("job %q, beside %d others", name, len(a.jobs))
	}
	a.jobs = slices.Clone(a.jobs)
	if !found {
		a.jobs = slices.Insert(a.jobs, i, jobAccount{name: name})
	}
	return a, &a.jobs[i], nil
}
