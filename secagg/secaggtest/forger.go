package secaggtest

import (
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
)

// Forger makes what a dishonest coordinator of one scheme can make, and says how
// the scheme's clients refuse it. Its instructions are well-formed for the session
// they are made for.
type Forger struct {
	// Listed is the phase in which clients see a list of everybody's keys, Shown the
	// one in which they see the keys themselves and before whose end no share leaves
	// a client that saw anything wrong, Agreed the one in which they sign survivors.
	Listed, Shown, Agreed string
	// Gullible is a coordinator that believes what it is told and relays it.
	Gullible func(s secagg.Session) (secagg.Control, error)
	// Rebind rewrites an instruction for another context.
	Rebind func(instruction []byte, context secagg.Digest) []byte
	// SwapKeys puts other keys in a member's place, in the instructions of the
	// phases Listed and Shown.
	SwapKeys func(s secagg.Session, phase string, instruction []byte, member int) []byte
	// Survivors makes the instruction of phase Agreed.
	Survivors func(s secagg.Session, members []int) []byte
	// Quorum makes the instruction of phase unmask from answers of phase Agreed.
	Quorum func(s secagg.Session, agreed map[int][]byte) []byte
	// AskBoth asks in one instruction of phase unmask for a second kind of secret.
	AskBoth func(instruction []byte, s secagg.Session) []byte
	// Released counts, by owner, the secrets in an answer of phase unmask.
	Released func(s secagg.Session, message []byte) map[int]int
	// Huge makes instructions whose headers promise far more than they hold, by phase.
	Huge func(s secagg.Session, phase string) [][]byte

	// How the attacks are refused.
	TwoModels, TwoLists, OwnKeys, OtherKeys error // before shares leave
	Replayed                                error
	TwoSurvivorSets, SmallQuorum, Strangers error
	Garbage, Pieces                         error // by the accumulator
}

// attack is one test of Attacks.
type attack struct {
	name string
	run  func(t *testing.T, scheme Scheme, c Config, f *Forger)
}

// clientAttacks are those against the clients of a scheme without a committee.
var clientAttacks = []attack{
	{"two models", twoModels},
	{"two rosters", twoRosters},
	{"two lists of keys", twoLists},
	{"swapped key", swappedKey},
	{"own key swapped", ownKeySwapped},
	{"two survivor sets", twoSurvivorSets},
	{"quorum too small", smallQuorum},
	{"survivors below the minimum", belowMinimum},
	{"survivors without the client", withoutClient},
	{"survivors that did not share", strangers},
	{"both shares in one message", bothInOne},
	{"both shares in two messages", bothInTwo},
	{"both shares after a restart", bothAfterRestart},
	{"replay from another attempt", replayed},
	{"replay rewritten for this attempt", replayedRewritten},
	{"wrong masks", wrongMasks},
}

// uploadAttacks are those on the way of uploads and on their sums.
var uploadAttacks = []attack{
	{"huge length header", hugeHeaders},
	{"partial upload then disconnect", partialUpload},
	{"short upload under a true signature", shortUpload},
	{"damaged chunks", damagedUploads},
	{"chunk added twice or never", miscounted},
}

// Attacks plays dishonest coordinators, clients, members of a committee and
// transports against a scheme that promises to withstand them.
func Attacks(t *testing.T, scheme Scheme, c Config) {
	attacks := uploadAttacks
	if c.Forger != nil {
		attacks = slices.Concat(clientAttacks, uploadAttacks)
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) { a.run(t, scheme, c, c.Forger) })
	}
	if c.CommitteeForger == nil {
		return
	}
	views := map[string]Config{"committee": c}
	if c.Divided != nil {
		views["committee, bucket means"] = c.divided()
	}
	for name, c := range views {
		t.Run(name, func(t *testing.T) {
			attacks := committeeAttacks
			if c.Policy.View == secagg.ViewBucketMeans {
				attacks = slices.Concat(committeeAttacks, bucketAttacks)
			}
			for _, a := range attacks {
				t.Run(a.name, func(t *testing.T) { a.run(t, scheme, c, c.CommitteeForger) })
			}
		})
	}
}
