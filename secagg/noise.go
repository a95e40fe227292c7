package secagg

import (
	"bytes"
	"math"
	"strconv"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/dp/ddp"
	"github.com/choir-fl/choir/secagg/field"
)

// PrivacyMode says what noise protects the sum.
type PrivacyMode string

const (
	// PrivacyNone opens exact sums; the plan must say that it trusts its coordinator
	// with them.
	PrivacyNone PrivacyMode = "none"
	// PrivacyCentral opens exact sums to a trusted coordinator, which adds the noise
	// before anything else is done with them.
	PrivacyCentral PrivacyMode = "central"
	// PrivacyDistributed has each client add a share; the shares of the honest clients
	// in the smallest sum that can be opened suffice together.
	PrivacyDistributed PrivacyMode = "distributed"
	// PrivacyLocal has each client add noise that suffices alone.
	PrivacyLocal PrivacyMode = "local"
)

// Noise is the promise of noise in every opened sum. It is a plain value; Terms.Check
// holds it against the rest of the terms.
type Noise struct {
	// Law is that of one share.
	Law dp.Mechanism
	// Relation says which data sets are neighbours: zero-out or replace-one.
	Relation dp.Relation
	// Sigma is the standard deviation of the noise of Survivors - Corrupt shares, in
	// units of the update.
	Sigma float64
	// Survivors is the fewest clients in an opened sum, Corrupt how many of them may
	// know their own shares and take them off. 1 and 0 where one share suffices.
	Survivors, Corrupt int
	// Releases is for how many rounds Delta is.
	Releases int
	Delta    float64
	// Rate is the probability with which each client is drawn in an attempt, by secret
	// coins; 0 where nothing is claimed about who is drawn.
	Rate float64
	// Participations is the most attempts that a client takes part in, 0 for no limit;
	// Separation the least difference of the numbers of two of its rounds.
	Participations, Separation int
	// BitSigma is the noise in the sum of the bits that say whether an update was
	// clipped, in bits; 0 if the clip norm does not adapt.
	BitSigma float64
	// Correlated says that the coordinator's noise of one round depends on that of others,
	// so that what a client's rounds cost is known for all of them together only.
	Correlated bool
}

// ExtraClipBit says that the update's norm was at most the clip norm.
const ExtraClipBit = ddp.ClipBit

// OutlierFactor: under an adapting clip norm an update whose norm is beyond so many
// times the clip norm counts as zero.
const OutlierFactor = 10

func (n Noise) encode(e *Encoder) {
	e.Uint(1, uint64(n.Law))
	e.Uint(2, uint64(n.Relation))
	e.Float(3, n.Sigma)
	e.Uint(4, uint64(n.Survivors))
	e.Uint(5, uint64(n.Corrupt))
	e.Uint(6, uint64(n.Releases))
	e.Float(7, n.Delta)
	e.Float(8, n.Rate)
	e.Uint(9, uint64(n.Participations))
	e.Uint(10, uint64(n.Separation))
	e.Float(11, n.BitSigma)
	e.Bool(12, n.Correlated)
}

func decodeNoise(b []byte) (Noise, error) {
	if len(b) == 0 {
		return Noise{}, nil
	}
	d := NewDecoder(b)
	n := Noise{Law: dp.Mechanism(d.Int(1, 255)), Relation: dp.Relation(d.Int(2, 255)), Sigma: d.Float(3), Survivors: d.Int(4, MaxRoster),
		Corrupt: d.Int(5, MaxRoster), Releases: d.Int(6, maxCount-1), Delta: d.Float(7), Rate: d.Float(8),
		Participations: d.Int(9, maxCount-1), Separation: d.Int(10, maxCount-1), BitSigma: d.Float(11), Correlated: d.Bool(12)}
	if err := d.Close(); err != nil {
		return Noise{}, err
	}
	if n == (Noise{}) {
		return Noise{}, ErrEncoding.At("noise")
	}
	return n, nil
}

// Shares is the number of noise shares that the promise rests on.
func (n Noise) Shares() int { return n.Survivors - n.Corrupt }

// Mechanism returns how contributions are encoded and sums decoded under noise, for
// updates clipped to Encoding.ClipNorm. Nobody holds another: its encoding is that of
// the terms. ErrTerms without noise.
func (t Terms) Mechanism() (ddp.Mechanism, error) {
	n := t.Noise
	if n == (Noise{}) {
		return ddp.Mechanism{}, ErrTerms.At("privacy mode %q has no noise", t.Privacy)
	}
	p := ddp.Parameters{Dimension: t.Tensors.Total(), Clients: t.Encoding.Clients, Survivors: n.Survivors, Corrupt: n.Corrupt,
		ClipNorm: t.Encoding.ClipNorm, Scale: t.Encoding.Scale, Range: t.Encoding.Range, Sigma: n.Sigma, Noise: n.Law,
		Central: t.Privacy == PrivacyCentral}
	if n.BitSigma > 0 {
		p.Extras = []ddp.Extra{ddp.BitExtra(n.BitSigma, n.Shares())}
		p.Outlier = OutlierFactor
	}
	m, err := p.Check()
	if err != nil {
		return ddp.Mechanism{}, ErrTerms.At("noise").Because(err)
	}
	return m, nil
}

// NoiseMultiplier is the standard deviation of the promised noise of one release over what
// one client can change of it, on the grid of the encoding and under the terms' relation,
// rounded down; 0 without noise. It says nothing about several releases together.
func (t Terms) NoiseMultiplier() float64 {
	m, err := t.Mechanism()
	if err != nil {
		return 0
	}
	return m.Multiplier(t.Noise.Relation)
}

// Rotation is the public rotation of a round's updates under noise. It does not depend
// on the scheme, so that all schemes give the same model.
func (t Terms) Rotation(round uint32) (ddp.Rotation, error) {
	return ddp.NewRotation(t.Tensors.Total(), t.PublicSeed("rotation "+strconv.FormatUint(uint64(round), 10)))
}

// checkNoise refuses a promise of noise that the rest of the terms does not keep.
func (t Terms) checkNoise() error {
	n := t.Noise
	if t.Privacy == PrivacyNone {
		if n != (Noise{}) {
			return ErrTerms.At("privacy mode none with noise")
		}
		if !t.TrustCoordinator {
			return ErrTerms.At("privacy mode %q without trust_coordinator", t.Privacy)
		}
		return nil
	}
	shared := t.Privacy == PrivacyDistributed
	smallest := t.Minimum
	if t.Buckets != (Buckets{}) {
		smallest = t.Buckets.Minimum
	}
	switch { // NaN fails each
	case t.Privacy != PrivacyCentral && t.Privacy != PrivacyLocal && !shared:
		return ErrTerms.At("privacy mode %.40q is not known to this version", t.Privacy)
	case t.Privacy == PrivacyCentral && !t.TrustCoordinator:
		return ErrTerms.At("privacy mode %q without trust_coordinator", t.Privacy)
	case n.Law != dp.DiscreteGaussian && n.Law != dp.Skellam:
		return ErrTerms.At("noise: law %d", n.Law)
	case n.Relation != dp.ZeroOut && n.Relation != dp.ReplaceOne:
		return ErrTerms.At("noise: relation %d", n.Relation)
	case !(n.Sigma > 0 && n.Sigma <= math.MaxFloat64):
		return ErrTerms.At("noise of %v", n.Sigma)
	case !(n.Delta > 0 && n.Delta < 1):
		return ErrTerms.At("noise: delta %v is not in (0,1)", n.Delta)
	case !(n.Rate >= 0 && n.Rate <= 1):
		return ErrTerms.At("noise: sampling rate %v is not in [0,1]", n.Rate)
	case n.Rate > 0 && n.Relation != dp.ZeroOut:
		return ErrTerms.At("noise: sampling by coins needs relation %s", dp.ZeroOut)
	case n.Releases < 1:
		return ErrTerms.At("noise for %d rounds", n.Releases)
	case !counts(n.Survivors, n.Corrupt, n.Releases, n.Participations, n.Separation):
		return ErrTerms.At("noise: a number is out of range")
	case !shared && (n.Survivors != 1 || n.Corrupt != 0):
		return ErrTerms.At("noise of %d shares in privacy mode %q", n.Shares(), t.Privacy)
	case shared && (n.Survivors > smallest || n.Shares() < 1):
		return ErrTerms.At("noise of %d shares, less %d corrupt, in sums of at least %d", n.Survivors, n.Corrupt, smallest)
	case !(n.BitSigma >= 0 && n.BitSigma <= math.MaxFloat64):
		return ErrTerms.At("noise of the clip bit %v", n.BitSigma)
	case n.Correlated && (t.Privacy != PrivacyCentral || n.Rate > 0 || n.BitSigma > 0):
		return ErrTerms.At("correlated noise in privacy mode %q, sampling or an adapting clip norm", t.Privacy)
	case t.Denominator != DenominatorFixed:
		return ErrTerms.At("denominator %q tells what noise does not hide: it must be fixed", t.Denominator)
	case t.Evaluate:
		return ErrTerms.At("evaluation by clients has no noise")
	}
	m, err := t.Mechanism()
	if err != nil {
		return err
	}
	if !sameEncoding(m.Quantizer().Spec(), t.Encoding) {
		return ErrTerms.At("encoding is not that of the noise")
	}
	return nil
}

func sameEncoding(a, b field.Spec) bool {
	var x, y Encoder
	encodeEncoding(&x, a)
	encodeEncoding(&y, b)
	return bytes.Equal(x.Encoded(), y.Encoded())
}

// checkNoise refuses what a task must not say about noise.
func (t Task) checkNoise() error {
	n := t.Terms.Noise
	switch {
	case n == (Noise{}) && (t.ClipNorm != 0 || t.Ledger != (LedgerHead{})):
		return ErrTerms.At("attempt %s: a clip norm or a ledger without noise", t.Round)
	case n != (Noise{}) && !(t.ClipNorm > 0 && t.ClipNorm <= math.MaxFloat64):
		return ErrTerms.At("attempt %s: clip norm %v", t.Round, t.ClipNorm)
	case n != (Noise{}) && n.BitSigma == 0 && t.ClipNorm != t.Terms.Encoding.ClipNorm:
		return ErrTerms.At("attempt %s: clip norm %v, and terms that fix it at %v", t.Round, t.ClipNorm, t.Terms.Encoding.ClipNorm)
	}
	return nil
}

// HonestScheme is what a ServerScheme is under which noise can be shared among
// clients: it says how many honest shares are sure to be in a sum.
type HonestScheme interface {
	// Honest is the fewest honest clients in any sum that can be opened under a policy
	// that Configure accepts: in the sum of a cohort, or under ViewBucketMeans in a
	// bucket, if the adversary may choose who is in it.
	Honest(p Policy) (int, error)
	// FairPartition reports whether buckets are drawn by coins that nobody steers, but
	// for 2^bits draws to choose from.
	FairPartition() (bits int, fair bool)
	// Chance bounds the probability that an attempt from which no more clients drop out
	// than the policy says fails by coins of the scheme's own.
	Chance(p Policy) float64
	// Hides reports whether the coordinator sees sums only, and no client's vector with
	// one share of the noise.
	Hides() bool
}

// HonestSession is what the ClientScheme of such a scheme is: each client holds what a
// plan promises against the session that it is in.
type HonestSession interface {
	// HonestInSum is the fewest honest clients in a sum of this session that can be
	// opened, as HonestScheme.Honest; in buckets that are drawn fairly, but for a part of
	// the delta of so many releases (ddp.BucketView).
	HonestInSum(s Session, releases int, delta float64) (int, error)
}
