package client

import (
	"math"
	"slices"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// Refusals of Limits.
var (
	// ErrConsent is a plan below the device's own floor.
	ErrConsent = fault.New(fault.Refused, "client/consent", "the plan asks for more than this device allows", "change the plan, or the limits of this device")
	// ErrBudget is a contribution beyond what the device may spend in its life.
	ErrBudget = fault.New(fault.Refused, "client/budget", "another contribution would spend more than this device's lifetime budget", "leave the job, or raise the budget of the device on purpose")
)

// Defaults of Limits.
const (
	// DefaultMinimum is the fewest clients in a sum.
	DefaultMinimum = 16
	// DefaultModelBytes is the largest model file.
	DefaultModelBytes = 512 << 20
)

// Limits is a device's policy in plain fields; it implements Consent and Budget. The
// zero value is strict: at least DefaultMinimum clients in every sum that is opened,
// models of at most DefaultModelBytes, and no plan whose coordinator sees exact sums.
type Limits struct {
	// Jobs lists the jobs to take part in. Empty means any.
	Jobs []string
	// Minimum is the fewest clients in a sum that includes this device's update.
	// Zero means DefaultMinimum. Below that, those who see the sum and are in it
	// or know who is learn more about each of the others.
	Minimum int
	// Committees pins the committees whose members may open a sum with this device's
	// update, by secagg.Committee.Root. A plan with another committee is refused, and
	// so is every plan with one if none is pinned.
	Committees []secagg.Digest
	// MaxClipNorm is the largest L2 norm that an update may keep when it is
	// clipped. Zero means any: without noise the norm protects nothing.
	MaxClipNorm float64
	// MaxModelBytes is the largest model file. Zero means DefaultModelBytes.
	// Training and encoding need about five times the file in memory.
	MaxModelBytes int64
	// TrustCoordinator allows plans whose coordinator sees exact sums: privacy modes
	// none and central, and distributed where the plan says that it trusts its
	// coordinator, as under scheme plain. Without it they are refused, whatever the
	// plan says.
	TrustCoordinator bool
	// NoiseMultiplier is the least standard deviation of the noise in an opened sum, over
	// by how much one contribution can change that: a little more than the norm that it is
	// clipped to, and twice as much under relation replace-one (secagg.Terms.NoiseMultiplier).
	// Zero means any.
	NoiseMultiplier float64
	// MinShares is the fewest honest clients, in the plan's own reckoning, in a sum that
	// they share the noise of. Zero means any. It is asked of privacy mode distributed
	// alone: in the others noise rests on no other client.
	MinShares int
	// LifetimeEpsilon and LifetimeDelta bound what the device spends in its life by all
	// its contributions together, over all jobs, as Account.Epsilon reckons. Zero means
	// no bound; both or none must be set. A contribution without noise costs infinitely
	// much: under a bound it is refused, also with TrustCoordinator, and after one no
	// bound holds any more. The client needs a State that lasts.
	LifetimeEpsilon, LifetimeDelta float64
}

// Allow implements Consent. The error says which limit the plan breaks.
func (l Limits) Allow(task secagg.Task) error {
	if err := l.check(); err != nil {
		return err
	}
	t := task.Terms
	clip := t.Encoding.ClipNorm
	if t.Noise != (secagg.Noise{}) {
		clip = task.ClipNorm // the round's own; integers, and with them the noise, stay as they are
	}
	minimum, size := l.Minimum, l.MaxModelBytes
	if minimum == 0 {
		minimum = DefaultMinimum
	}
	if size == 0 {
		size = DefaultModelBytes
	}
	switch file := max(task.ModelSize, tensor.Size(t.Tensors)); {
	case len(l.Jobs) > 0 && !slices.Contains(l.Jobs, t.Job):
		return ErrConsent.At("job %q is not among the accepted", t.Job)
	case t.Smallest() < minimum:
		return ErrConsent.At("sums of as few as %d clients, at least %d allowed", t.Smallest(), minimum)
	case t.Committee.Len() > 0 && !slices.Contains(l.Committees, t.Committee.Root()):
		return ErrConsent.At("committee %s with root %s is not among those pinned", t.Committee.Name(), t.Committee.Root())
	case l.MaxClipNorm > 0 && !(clip <= l.MaxClipNorm):
		return ErrConsent.At("clip norm %g, at most %g allowed", clip, l.MaxClipNorm)
	case file > size:
		return ErrConsent.At("model of %d bytes, at most %d allowed", file, size)
	case exact(t) && !l.TrustCoordinator:
		return ErrConsent.At("privacy mode %q opens exact sums to the coordinator", t.Privacy)
	case l.NoiseMultiplier > 0 && !(t.NoiseMultiplier() >= l.NoiseMultiplier):
		return ErrConsent.At("noise multiplier %.4g, at least %g allowed", t.NoiseMultiplier(), l.NoiseMultiplier)
	case t.Privacy == secagg.PrivacyDistributed && t.Noise.Shares() < l.MinShares:
		return ErrConsent.At("noise shared by as few as %d honest clients, at least %d allowed", t.Noise.Shares(), l.MinShares)
	}
	return nil
}

// exact reports whether terms let the coordinator see sums without noise, or without
// all of it.
func exact(t secagg.Terms) bool {
	switch t.Privacy {
	case secagg.PrivacyLocal: // each client's own share suffices
		return false
	case secagg.PrivacyDistributed:
		return t.TrustCoordinator // nobody holds the shares against the session
	}
	return true
}

// Afford implements Budget.
func (l Limits) Afford(task secagg.Task, after Account) error {
	if err := l.check(); err != nil || l.LifetimeEpsilon == 0 {
		return err
	}
	if task.Terms.Noise == (secagg.Noise{}) {
		return ErrBudget.At("round %s: privacy mode %q has no noise and costs infinitely much", task.Round, task.Terms.Privacy)
	}
	if epsilon := after.Epsilon(l.LifetimeDelta); !(epsilon <= l.LifetimeEpsilon) {
		return ErrBudget.At("round %s: epsilon %.4g at delta %g afterwards, at most %g allowed", task.Round, epsilon, l.LifetimeDelta, l.LifetimeEpsilon)
	}
	return nil
}

// check refuses numbers that would read as no limit at all.
func (l Limits) check() error {
	switch { // NaN fails each
	case l.Minimum < 0 || !(l.MaxClipNorm >= 0) || l.MaxModelBytes < 0 || l.MinShares < 0:
		return ErrOptions.At("limits: a number is negative or not one")
	case !(l.NoiseMultiplier >= 0 && l.NoiseMultiplier <= math.MaxFloat64):
		return ErrOptions.At("limits: noise multiplier %v", l.NoiseMultiplier)
	case (l.LifetimeEpsilon == 0) != (l.LifetimeDelta == 0):
		return ErrOptions.At("limits: of lifetime epsilon and delta one is missing")
	case l.LifetimeEpsilon != 0 && !(l.LifetimeEpsilon > 0 && l.LifetimeEpsilon <= math.MaxFloat64):
		return ErrOptions.At("limits: lifetime epsilon %v", l.LifetimeEpsilon)
	case l.LifetimeDelta != 0 && !(l.LifetimeDelta > 0 && l.LifetimeDelta < 1):
		return ErrOptions.At("limits: lifetime delta %v is not in (0,1)", l.LifetimeDelta)
	}
	return nil
}
