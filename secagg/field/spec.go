package field

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Spec is how floats become ring elements: an unchecked literal, of which
// [Spec.Check] makes a [Quantizer]. All parties of a round must hold the same.
type Spec struct {
	// Dimension is the number of main coordinates, at least 1. With the
	// extras it is at most MaxWords.
	Dimension int

	// Clients is n, the most clients that one sum may hold; at least 1.
	Clients int

	// ClipNorm is C, the bound on the L2 norm of weight*update over the
	// whole vector. It lies in [2^-126, 2^127], the normal range of float32.
	ClipNorm float64

	// Bits is b, the width of one client's non-negative coordinate, 3 to 31.
	Bits int

	// Range is R: integers are clamped to [-R, R] before noise. The rule
	// 2^(b-1) > R + NoiseTail + 1 must hold. 0 means the largest R that
	// the rule allows.
	Range int64

	// Scale is s, in integers per unit of the update. 0 means the largest
	// with s*C <= R, so that a clipped update is never clamped. A larger one
	// may clamp; it is meant for rotated updates, whose energy is spread. It
	// is refused below s*C = 1/2, where no update reaches even half an
	// integer, and above s*C = R*sqrt(Dimension), where even the flattest
	// update of norm C is clamped.
	Scale float64

	// NoiseTail is the largest magnitude of one client's noise share in one
	// coordinate, ceil(12 sigma_L) under distributed differential privacy,
	// and 0 without.
	NoiseTail int64

	// WordBits is w, the width of a ring element, 8 to 32. n*2^b <= 2^w must
	// hold, and n*Bound < 2^w for every extra, so that no sum wraps. 0 means
	// the smallest that does.
	WordBits int

	// Extras follow the main coordinates, in this order; see [Layout].
	Extras []Extra
}

// Quantizer is a checked [Spec]. It is immutable and any number of goroutines
// may use it at once. The zero Quantizer is not usable; its methods that can
// fail do.
type Quantizer struct {
	spec Spec // resolved: nothing in it is zero that has a default
}

// Spec gives the spec with every default resolved, as a copy. Checking it
// again gives the same Quantizer.
func (q Quantizer) Spec() Spec {
	s := q.spec
	s.Extras = slices.Clone(s.Extras)
	return s
}

// Layout says which word of an encoded vector holds what.
func (q Quantizer) Layout() Layout {
	return Layout{main: q.spec.Dimension, extras: q.spec.Extras}
}

// WordBits is w, the width of a ring element, for [Pack] and [Unpack].
func (q Quantizer) WordBits() int { return q.spec.WordBits }

// maxClients keeps n*2^b within 64 bits; n*2^b <= 2^w is the binding rule.
const maxClients = 1 << MaxWordBits >> 3

// Check resolves the defaults and refuses every contradiction, joined into one
// error (errors.Join) of class [ErrSpec] with one line for each, which names
// the field and says what to do.
func (s Spec) Check() (Quantizer, error) {
	s.Extras = slices.Clone(s.Extras)
	errs := s.checkSizes()
	errs = append(errs, s.checkExtras()...)
	errs = append(errs, s.resolveRange()...)
	errs = append(errs, s.resolveScale()...) // after Range
	errs = append(errs, s.resolveWord()...)
	if len(errs) > 0 {
		return Quantizer{}, errors.Join(errs...)
	}
	return Quantizer{spec: s}, nil
}

// refuse makes one line of class ErrSpec.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSpec, fmt.Sprintf(format, args...))
}

// The fields that other checks build on. All are written so that NaN fails.
func (s *Spec) dimensionInBounds() bool {
	return s.Dimension >= 1 && s.Dimension <= MaxWords-min(len(s.Extras), MaxWords)
}
func (s *Spec) clientsInBounds() bool  { return s.Clients >= 1 && s.Clients <= maxClients }
func (s *Spec) clipNormInBounds() bool { return s.ClipNorm >= 0x1p-126 && s.ClipNorm <= 0x1p127 }
func (s *Spec) scaleInBounds() bool    { return s.Scale >= 0 && s.Scale <= math.MaxFloat64 }
func (s *Spec) bitsInBounds() bool     { return s.Bits >= 3 && s.Bits <= 31 }
func (s *Spec) wordInBounds() bool {
	return s.WordBits == 0 || s.WordBits >= MinWordBits && s.WordBits <= MaxWordBits
}

// checkSizes refuses fields that are out of bounds on their own.
func (s *Spec) checkSizes() (errs []error) {
	if !s.dimensionInBounds() {
		errs = append(errs, refuse("Dimension = %d: with %d extras use 1 to %d",
			s.Dimension, len(s.Extras), max(0, MaxWords-len(s.Extras))))
	}
	if !s.clientsInBounds() {
		errs = append(errs, refuse("Clients = %d: use 1 to %d", s.Clients, maxClients))
	}
	if !s.clipNormInBounds() {
		errs = append(errs, refuse("ClipNorm = %g: use a positive number from 2^-126 to 2^127", s.ClipNorm))
	}
	if !s.bitsInBounds() {
		errs = append(errs, refuse("Bits = %d: use 3 to 31", s.Bits))
	}
	if s.Range < 0 {
		errs = append(errs, refuse("Range = %d: use a positive integer, or 0 for the largest that fits", s.Range))
	}
	if !s.scaleInBounds() {
		errs = append(errs, refuse("Scale = %g: use a positive finite number, or 0 for the largest that never clamps", s.Scale))
	}
	if s.NoiseTail < 0 {
		errs = append(errs, refuse("NoiseTail = %d: use 0 without noise, else the largest magnitude of a share", s.NoiseTail))
	}
	if !s.wordInBounds() {
		errs = append(errs, refuse("WordBits = %d: use %d to %d, or 0 for the smallest that fits",
			s.WordBits, MinWordBits, MaxWordBits))
	}
	return errs
}

// checkExtras refuses extras without a name of their own or without a bound.
func (s *Spec) checkExtras() (errs []error) {
	seen := make(map[string]bool, len(s.Extras))
	for i, e := range s.Extras {
		if e.Name == "" {
			errs = append(errs, refuse("Extras[%d] has no Name: give it one", i))
		} else if seen[e.Name] {
			errs = append(errs, refuse("Extras[%d]: Name %q is taken: give each extra its own", i, e.Name))
		}
		seen[e.Name] = true
		if e.Bound == 0 {
			errs = append(errs, refuse("Extras[%d] %q: Bound = 0: use the largest integer a client may put, at least 1", i, e.Name))
		}
	}
	return errs
}

// resolveRange applies 2^(b-1) > R + NoiseTail + 1 where those are in bounds.
func (s *Spec) resolveRange() []error {
	if !s.bitsInBounds() || s.NoiseTail < 0 || s.Range < 0 {
		return nil // refused already
	}
	largest := int64(1)<<(s.Bits-1) - 2 - s.NoiseTail // no overflow: NoiseTail >= 0
	if largest < 1 {
		return []error{refuse("NoiseTail = %d leaves no room in Bits = %d: need 2^(Bits-1) > Range + NoiseTail + 1 with Range >= 1; raise Bits or lower the noise",
			s.NoiseTail, s.Bits)}
	}
	if s.Range > largest {
		return []error{refuse("Range = %d with NoiseTail = %d does not fit Bits = %d: need 2^(Bits-1) > Range + NoiseTail + 1; use Range <= %d or raise Bits",
			s.Range, s.NoiseTail, s.Bits, largest)}
	}
	if s.Range == 0 {
		s.Range = largest
	}
	return nil
}

// resolveScale applies 1/2 <= s*C <= R*sqrt(Dimension) where those are in bounds.
func (s *Spec) resolveScale() []error {
	if !s.dimensionInBounds() || !s.clipNormInBounds() || !s.scaleInBounds() || s.Range < 1 {
		return nil // refused already
	}
	r := float64(s.Range)
	if s.Scale == 0 {
		s.Scale = r / s.ClipNorm
		// The quotient may have been rounded up; the fused product has the
		// sign of the exact s*C - R.
		if math.FMA(s.Scale, s.ClipNorm, -r) > 0 {
			s.Scale = math.Nextafter(s.Scale, 0)
		}
		return nil
	}
	reach := s.Scale * s.ClipNorm
	if reach < 0.5 {
		return []error{refuse("Scale = %g with ClipNorm = %g: the whole clip norm is less than half an integer; use Scale >= %g",
			s.Scale, s.ClipNorm, 0.5/s.ClipNorm)}
	}
	if largest := r * math.Sqrt(float64(s.Dimension)); reach > largest {
		return []error{refuse("Scale = %g with ClipNorm = %g: every update of that norm would be clamped at Range = %d; use Scale <= %g or raise Bits",
			s.Scale, s.ClipNorm, s.Range, largest/s.ClipNorm)}
	}
	return nil
}

// resolveWord applies n*2^b <= 2^w and n*Bound < 2^w where those are in bounds.
func (s *Spec) resolveWord() (errs []error) {
	if !s.clientsInBounds() || !s.bitsInBounds() || !s.wordInBounds() {
		return nil // refused already
	}
	width, advice := s.WordBits, "or raise WordBits"
	if width == 0 || width == MaxWordBits {
		width, advice = MaxWordBits, "no word is wider"
	}
	ring, n := uint64(1)<<width, uint64(s.Clients)
	need := n << s.Bits // the smallest modulus that fits, of any form
	if need > ring {
		errs = append(errs, refuse("Clients = %d with Bits = %d: need Clients * 2^Bits <= 2^%d; lower Clients or Bits (%s)",
			s.Clients, s.Bits, width, advice))
	}
	for i, e := range s.Extras {
		over, sum := bits.Mul64(n, e.Bound)
		if over != 0 || sum >= ring {
			errs = append(errs, refuse("Extras[%d] %q: Bound = %d with Clients = %d: need Clients * Bound < 2^%d; lower Bound or Clients (%s)",
				i, e.Name, e.Bound, s.Clients, width, advice))
			continue
		}
		need = max(need, sum+1)
	}
	if s.WordBits == 0 {
		s.WordBits = max(MinWordBits, bits.Len64(need-1))
	}
	return errs
}
