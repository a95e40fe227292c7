package sim

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/bucketed"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/sim/adversary"
)

// oneshotName is oneshot.Name. That package brings a dependency along that this one has no
// other use for.
const oneshotName = "oneshot"

// checkCheat refuses a cheat where there is nothing to cheat.
func (s *simulation) checkCheat(c adversary.Cheat) error {
	scheme, t := s.plan.Scheme().Name(), s.plan.Terms()
	switch c {
	case adversary.CheatInconsistentShares:
		if scheme != pairwise.Name && scheme != oneshotName {
			return ErrConfig.At("attack %s: scheme %s at fidelity %s has no shares", c, s.cfg.Plan.Scheme.Name, s.cfg.Fidelity)
		}
	case adversary.CheatBucketSteering:
		if t.View != secagg.ViewBucketMeans {
			return ErrConfig.At("attack %s: view %s has no buckets", c, t.View)
		}
	case adversary.CheatFalseWeight:
		if _, ok := s.plan.Quantizer().Layout().Extra(secagg.ExtraWeight); !ok {
			return ErrConfig.At("attack %s: clients state no weight under denominator %s", c, t.Denominator)
		}
	}
	return nil
}

// cheatsInSums reports whether attackers put into a sum what no client may.
func cheatsInSums(a adversary.Attack) bool {
	switch a.Cheat() {
	case adversary.CheatOutOfRange, adversary.CheatWrapAround, adversary.CheatFalseWeight:
		return true
	}
	return false
}

// cheatInVector breaks a rule of the encoding, in the vector or in what is to be encoded.
func (p *byzantineParty) cheatInVector(vector []uint32, update *[]float32, weight *float64) error {
	q, err := p.task.Terms.Encoding.Check()
	if err != nil {
		return err
	}
	spec, layout := q.Spec(), q.Layout()
	top := uint32(1<<spec.WordBits - 1)
	a := p.attacker.attack
	switch a.Cheat() {
	case adversary.CheatOutOfRange:
		end := math.Floor(float64(spec.Range) * a.Number("factor"))
		word := uint32(math.Min(float64(top), end+float64(int64(1)<<(spec.Bits-1))))
		for i := range layout.Main() {
			vector[i] = word
		}
	case adversary.CheatWrapAround:
		for i := range layout.Main() {
			vector[i] = top
		}
	case adversary.CheatFalseWeight:
		stated := math.Min(float64(top), math.Round(*weight*secagg.ExtraScale*a.Number("factor")))
		p.state(vector, stated)
		*weight = stated / secagg.ExtraScale
		*update = p.own
	}
	return nil
}

// state writes a weight, in steps of 1/ExtraScale, where the coordinator divides by it.
func (p *byzantineParty) state(vector []uint32, steps float64) {
	if q, err := p.task.Terms.Encoding.Check(); err == nil { // as it was when the vector was made
		i, _ := q.Layout().Extra(secagg.ExtraWeight)
		vector[q.Layout().Main()+i] = uint32(steps)
	}
}

// cheatInUpload seals the vector. To hand out inconsistent shares under a scheme in which
// clients keep none of each other's, it changes the ciphertext and signs for it: the shares
// of its secret open something else.
func (p *byzantineParty) cheatInUpload(vector []uint32, out io.Writer) (secagg.Reply, error) {
	if p.attacker.attack.Cheat() != adversary.CheatInconsistentShares || p.attacker.sim.plan.Scheme().Name() != oneshotName {
		return p.Party.Seal(vector, out)
	}
	var b bytes.Buffer
	reply, err := p.Party.Seal(vector, &b)
	if err != nil {
		return reply, err
	}
	commit, err := secagg.PeekCommit(reply.Message)
	if err != nil {
		return reply, err
	}
	b.Bytes()[0] ^= 1
	commit.Content = sha256.Sum256(b.Bytes())
	reply.Message = secagg.SignCommit(p.key, p.session.Context, commit)
	_, err = out.Write(b.Bytes())
	return reply, err
}

// dropPoint is where an attacker leaves that has its mask in others' sums: in turn
// without an upload, and after it without the answers that follow.
func (a *attacker) dropPoint() Point {
	if a.place%2 == 0 {
		return BeforeUpload
	}
	return AfterUpload
}

// Step implements secagg.Party. It overhears what draws the buckets.
func (p *byzantineParty) Step(instruction []byte) (secagg.Reply, error) {
	reply, err := p.Party.Step(instruction)
	if err == nil && reply.Seal && p.session.Binding.Scheme == oneshotName {
		if _, _, body, err := secagg.OpenPhase(instruction, math.MaxInt32); err == nil {
			p.nonces = secagg.NewDecoder(body).Bytes(1)
		}
	}
	return reply, err
}

// steersAway reports whether the device's attacker is in a bucket that it does not want
// to be in, so that it leaves. The next attempt draws other buckets.
func (s *simulation) steersAway(d *device) bool {
	at := s.adversaries.attacker(d.index)
	if at == nil || at.attack.Cheat() != adversary.CheatBucketSteering {
		return false
	}
	p := at.party(d.round)
	if p == nil || p.session.Buckets < 2 {
		return false
	}
	of := bucketed.Partition(p.session)
	if p.nonces != nil { // scheme oneshot
		of = secagg.Partition(secagg.Hash("oneshot/1 seed", p.session.Context[:], p.nonces), p.session.Roster.Len(), p.session.Buckets)
	}
	wanted := int(at.attack.Number("bucket")) % p.session.Buckets
	return of[p.session.Roster.Index(d.id)] != wanted
}
