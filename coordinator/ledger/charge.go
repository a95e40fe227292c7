package ledger

import (
	"math"
	"math/big"

	"github.com/choir-fl/choir/dp"
	"github.com/choir-fl/choir/secagg"
)

// Charge is what one attempt costs each observer.
type Charge struct {
	// Released is the event as those see it who see released models.
	Released dp.Event
	// Rosters is the same event as those see it who know who took part: without
	// sampling. The zero Event: none is stated, which a ledger with a budget for rosters
	// refuses.
	Rosters dp.Event
	// Participations says that no client takes part in more attempts of the job, which
	// the coordinator's registry has to enforce: of the events of a job without sampling,
	// only so many, the costliest, count together. 0: there is no such bound. If the
	// charges of a job differ in it, the weakest bound holds. It is 1 where the event is
	// that of the whole job, as under correlated noise.
	Participations int
	// Delta is drawn from the slack by addition, in [0,1).
	Delta float64
}

// maxVariance bounds numerator and denominator of a variance, in bytes.
const maxVariance = 512

// check returns ErrCharge unless the charge belongs into a ledger.
func (c Charge) check(g Genesis) error {
	switch {
	case !c.Released.Valid():
		return ErrCharge.At("no event for those who see releases")
	case !c.Rosters.Valid() && g.Rosters.stated():
		return ErrCharge.At("no event for those who see rosters, who have a budget")
	case c.Rosters.Valid() && c.Rosters.Spec().Sampling.Mode != dp.SamplingNone:
		return ErrCharge.At("%s sampling for those who see rosters", c.Rosters.Spec().Sampling.Mode)
	case c.Participations < 0 || c.Participations > math.MaxInt32:
		return ErrCharge.At("%d participations", c.Participations)
	case !(c.Delta >= 0 && c.Delta < 1):
		return ErrCharge.At("delta %g", c.Delta)
	}
	for _, o := range observers {
		e := c.event(o)
		if !e.Valid() {
			continue
		}
		s := e.Spec()
		if s.Relation != g.Relation {
			return ErrCharge.At("%s: relation %s in a ledger under %s", o, s.Relation, g.Relation)
		}
		if v := s.Variance; v != nil && max(v.Num().BitLen(), v.Denom().BitLen()) > 8*maxVariance {
			return ErrCharge.At("%s: a variance of %d bits", o, max(v.Num().BitLen(), v.Denom().BitLen()))
		}
	}
	return nil
}

// event is what an observer sees; the zero Event if none is stated.
func (c Charge) event(o dp.Observer) dp.Event {
	if o == dp.ObserverReleases {
		return c.Released
	}
	return c.Rosters
}

func (c Charge) encode(e *secagg.Encoder) {
	e.Message(1, func(e *secagg.Encoder) { encodeEvent(e, c.Released) })
	if c.Rosters.Valid() {
		e.Message(2, func(e *secagg.Encoder) { encodeEvent(e, c.Rosters) })
	}
	e.Uint(3, uint64(c.Participations)) // checked not to be negative
	e.Float(4, c.Delta+0)               // never -0
}

// encoded is the canonical encoding, by which charges are compared.
func (c Charge) encoded() string {
	var e secagg.Encoder
	c.encode(&e)
	return string(e.Encoded())
}

func decodeCharge(b []byte) (Charge, error) {
	d := secagg.NewDecoder(b)
	released, rosters := d.Bytes(1), d.Bytes(2)
	c := Charge{Participations: d.Int(3, math.MaxInt32), Delta: d.Float(4)}
	if err := d.Close(); err != nil {
		return c, err
	}
	var err error
	if c.Released, err = decodeEvent(released); err == nil && rosters != nil {
		c.Rosters, err = decodeEvent(rosters)
	}
	return c, err
}

// encodeEvent writes an event as the facts that it was made from.
func encodeEvent(e *secagg.Encoder, event dp.Event) {
	s := event.Spec()
	e.Uint(1, uint64(s.Mechanism))
	e.Uint(2, uint64(s.Relation))
	e.Uint(3, uint64(s.Sampling.Mode))
	e.Float(4, s.Sampling.Rate+0)            // never -0, nor below
	e.Uint(5, uint64(s.Sampling.Population)) // no event has a negative number in it
	e.Uint(6, uint64(s.Sampling.Size))
	e.Float(7, s.StdDev+0)
	if s.Variance != nil {
		e.Bytes(8, s.Variance.Num().Bytes())
		e.Bytes(9, s.Variance.Denom().Bytes())
	}
	e.Float(10, s.Clip)
	e.Float(11, s.L1+0)
	e.Uint(12, uint64(s.Dimension))
	e.Uint(13, uint64(s.Count))
}

func decodeEvent(b []byte) (dp.Event, error) {
	d := secagg.NewDecoder(b)
	s := dp.Spec{Mechanism: dp.Mechanism(d.Int(1, math.MaxUint8)), Relation: dp.Relation(d.Int(2, math.MaxUint8)),
		Sampling: dp.Sampling{Mode: dp.SamplingMode(d.Int(3, math.MaxUint8)), Rate: d.Float(4), Population: d.Int(5, math.MaxInt), Size: d.Int(6, math.MaxInt)},
		StdDev:   d.Float(7)}
	num, denom := d.Bytes(8), d.Bytes(9)
	s.Clip, s.L1, s.Dimension, s.Count = d.Float(10), d.Float(11), d.Int(12, math.MaxInt), d.Size(13, dp.MaxCount)
	if err := d.Close(); err != nil {
		return dp.Event{}, err
	}
	if max(len(num), len(denom)) > maxVariance || (num == nil) != (denom == nil) {
		return dp.Event{}, secagg.ErrEncoding.At("variance of an event")
	}
	if num != nil {
		n, m := new(big.Int).SetBytes(num), new(big.Int).SetBytes(denom)
		if m.Sign() == 0 {
			return dp.Event{}, secagg.ErrEncoding.At("variance of an event")
		}
		s.Variance = new(big.Rat).SetFrac(n, m)
	}
	return dp.NewEvent(s)
}

// single is one use of an event, and its key: what events with the same price share.
func single(event dp.Event) (one dp.Event, key string, err error) {
	s := event.Spec()
	s.Count = 1
	if one, err = dp.NewEvent(s); err != nil {
		return one, "", err
	}
	var e secagg.Encoder
	encodeEvent(&e, one)
	return one, string(e.Encoded()), nil
}
