// Package adversary holds the attacks that simulated Byzantine clients carry out: what
// they send in place of an honest update, what they do to their training data, and which
// rule of the protocol they break.
//
// # What an attack is
//
// [Parse] reads one from text, a name and perhaps parameters, such as
//
//	alie
//	alie:z=max,knowledge=all,jitter=0.1
//	label-flip:source=1,target=7
//
// [Attacks] lists all of them with their parameters, defaults and sources. There are
// three sorts, and an [Attack] answers for all of them:
//
//   - Attacks on updates. [Attack.Craft] makes the vectors that the attackers of a cohort
//     send. They are not clipped: what binds an attacker is for the caller to apply.
//   - Attacks on data. [Attack.Data] makes the data an attacker trains on, so that its
//     update is poisoned though it follows the protocol; Craft hands these updates on.
//     model-replacement does both.
//   - Cheats against the protocol of secure aggregation. [Attack.Cheat] names the rule
//     that is broken; to break it is the simulator's part, and Craft hands honest updates on.
//
// # What attackers know
//
// [Known] is all they have. They collude and know the plan, the model and last step, the
// number of clients and of attackers, and what each of themselves would have sent were it
// honest. No scheme with a mask or a cipher lets them see what an honest client sends, so
// by default, knowledge=own, attackers put their own updates in the place of the honest
// ones: they estimate mean and deviation from these, and what Known.Honest holds is not
// looked at. With knowledge=all they see every honest update of the cohort. That is the
// omniscient worst case which papers assume and a rule's promise is made for; no
// adversary of the threat model has it. Each attack's Knows in [Attacks] says what it uses.
//
// A single attacker with knowledge=own sees no deviation. The attacks that hide in one
// then refuse with [ErrAlone] rather than pass an honest update off as an attack.
//
// # Jitter
//
// In published suites all attackers send the same vector, which a search for duplicates
// finds by accident rather than merit. jitter=SIGMA adds normal noise to each, of SIGMA
// times the vectors' root mean square coordinate, such that the noises of a cohort's
// attackers add up to zero: the vectors differ and their mean stays. A single attacker has
// no duplicate and adds none. With jitter, vectors may leave the bounds that min-max and
// min-sum keep without it. Attacks whose vectors differ anyway, or cannot, do not have it.
//
// # Purity
//
// Nothing here keeps state but a [Memory] that is handed in. The same Known, with coins in
// the same state, gives the same vectors on every machine. An Attack is immutable and safe
// for concurrent use.
package adversary
