package client

import (
	"slices"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// ErrConsent is a plan below the device's own floor.
var ErrConsent = fault.New(fault.Refused, "client/consent", "the plan asks for more than this device allows", "change the plan, or the limits of this device")

// Defaults of Limits.
const (
	// DefaultMinimum is the fewest clients in a sum.
	DefaultMinimum = 16
	// DefaultModelBytes is the largest model file.
	DefaultModelBytes = 512 << 20
)

// Limits is a device's policy in plain fields; it implements Consent. The zero
// value is strict: at least DefaultMinimum clients in every sum that is opened,
// models of at most DefaultModelBytes, and no plan that opens exact sums.
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
	// TrustCoordinator allows plans without noise, whose sums the coordinator
	// sees exactly. Without it they are refused, whatever the plan says.
	TrustCoordinator bool
}

// Allow implements Consent. The error says which limit the plan breaks.
func (l Limits) Allow(task secagg.Task) error {
	if err := l.check(); err != nil {
		return err
	}
	t := task.Terms
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
	case l.MaxClipNorm > 0 && !(t.Encoding.ClipNorm <= l.MaxClipNorm):
		return ErrConsent.At("clip norm %g, at most %g allowed", t.Encoding.ClipNorm, l.MaxClipNorm)
	case file > size:
		return ErrConsent.At("model of %d bytes, at most %d allowed", file, size)
	case t.Privacy == secagg.PrivacyNone && !l.TrustCoordinator:
		return ErrConsent.At("privacy mode %q opens exact sums to the coordinator", t.Privacy)
	}
	return nil
}

// check refuses numbers that would read as no limit at all.
func (l Limits) check() error {
	if l.Minimum < 0 || !(l.MaxClipNorm >= 0) || l.MaxModelBytes < 0 {
		return ErrOptions.At("limits: a number is negative or not one")
	}
	return nil
}
