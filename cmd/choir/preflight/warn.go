package preflight

import (
	"fmt"

	"github.com/choir-fl/choir/coordinator/plan"
)

// failing is the probability of a failed round above which the plan is called fragile.
const failing = 0.01

// warn collects what is allowed and yet deserves a second look.
func (f *Findings) warn(l plan.Literal) {
	say := func(format string, args ...any) { f.Warnings = append(f.Warnings, fmt.Sprintf(format, args...)) }
	if f.Graph == nil {
		say("scheme.name plain: the coordinator sees every single update")
	} else if f.Graph.MaxCorrupt == 0 {
		say("scheme.corrupt is 0: a single client that colludes with the coordinator voids every promise")
	}
	if l.Privacy.Mode == "none" {
		say("privacy.mode none: sums are opened exactly and no epsilon is stated")
	}
	if n := f.Rounds.Minimum; n < 16 {
		say("cohort.minimum %d: an exact sum of so few clients says much about each; devices that keep the SDK's default limit (16) refuse the plan", n)
	}
	if fail := f.Failure[0]; fail.Round > failing {
		say("scheme.dropout %g: if clients vanish at that rate independently, a round fails with probability %.2g; invite more or lower cohort.minimum", fail.Dropout, fail.Round)
	}
	if f.Encoding.Clamps {
		say("encoding.scale: single coordinates are cut at %g although their update is within the clip norm", float64(f.Encoding.Range)/f.Encoding.Scale)
	}
	if f.Encoding.RoundingNorm > f.Encoding.ClipNorm {
		say("encoding.bits %d: rounding errs by a norm of up to %.3g in each update, more than the clip norm %g", f.Encoding.Bits, f.Encoding.RoundingNorm, f.Encoding.ClipNorm)
	}
	say("aggregation.rule mean: clipping does not bind a corrupt client; one can push a sum to a norm of %.3g, where honest updates have at most %g each",
		f.Encoding.CorruptNorm, f.Encoding.ClipNorm)
}
