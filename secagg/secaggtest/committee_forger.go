package secaggtest

import (
	"slices"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// CommitteeForger makes what a dishonest coordinator of a scheme with a committee can
// make from what it was told. All maps are by index in the committee and hold messages
// as the members sent them. What it makes is well-formed: were it made from the true
// messages, it would be obeyed, which the attacks check first.
type CommitteeForger interface {
	// Phases names the phases that attacks are about.
	Phases() CommitteePhases
	// Reveal is the instruction of phase Reveal, from answers of phase Context.
	Reveal(s secagg.Session, signed map[int][]byte) []byte
	// Deal is the instruction of phase Seed, from answers of phase Reveal.
	Deal(s secagg.Session, revealed map[int][]byte) []byte
	// Show is a client's instruction of the upload phase, from answers of the phases
	// Reveal and Seed.
	Show(s secagg.Session, revealed, signed map[int][]byte) []byte
	// Agree is the instruction of phase Agree: the clients in all sums, in order.
	Agree(s secagg.Session, survivors []int) []byte
	// Unmask is the instruction of the unmask phase, from answers of phase Agree.
	Unmask(s secagg.Session, agreed map[int][]byte) []byte
	// Lie changes an answer of the unmask phase into one with other sums.
	Lie(s secagg.Session, answer []byte) []byte
	// Detail is Commit.Detail of an upload, true to its bytes, whatever these hold.
	Detail(s secagg.Session, pieces secagg.Pieces, upload []byte) []byte
}

// CommitteePhases are the names of exchanges with a committee: in which it signs the
// context, reveals its coins, signs what follows from them, finishes judging letters
// and signs the survivors.
type CommitteePhases struct{ Context, Reveal, Seed, Records, Agree string }

// committeeAttack is one test of Attacks against a scheme with a committee.
type committeeAttack struct {
	name string
	run  func(t *testing.T, scheme Scheme, c Config, f CommitteeForger)
}

var committeeAttacks = []committeeAttack{
	// What a member of the committee must not be made to sign or reveal.
	{"two contexts for one attempt", twoContexts},
	{"two lists of announcements", twoAnnouncements},
	{"own announcement replaced", ownAnnouncement},
	{"forged announcement", forgedAnnouncement},
	{"erased epoch", erasedEpoch},
	{"attempt beyond the eighth", ninthAttempt},
	{"changed bits of an instruction", changedBits},
	{"coins left out or exchanged", otherCoins},
	{"client shown too few signatures", shownTooFew},
	// Survivors.
	{"two survivor sets", twoCommitteeSets},
	{"quorum too small", smallCommitteeQuorum},
	{"survivors that no sum may have", badSurvivors},
	{"survivor whom a member named", namedSurvivor},
	{"second survivor set after the answer", secondSet},
	{"replay from another attempt", committeeReplay},
	// Members that vanish, hold back or lie.
	{"withheld coins", withheldCoins},
	{"withheld answers", withheldAnswers},
	{"wrong sums", wrongSums},
	{"member that names too many", namesTooMany},
	// Letters and uploads.
	{"letters changed before the sums", changedLetters},
	{"letters changed before the verdicts", misjudged},
	{"late upload", lateUpload},
	{"changed upload under a true signature", mauledUpload},
	{"upload of another client", copiedUpload},
	{"letters for the wrong members", wrongLetters},
	{"two uploads of one client", twoUploads},
}

// bucketAttacks are those that need several buckets.
var bucketAttacks = []committeeAttack{
	{"upload added to another bucket", misdealt},
}

// requireHarm checks what an attack that is not always noticed in time may do: end
// the attempt or spoil buckets. It returns those; all others hold the true sums.
func requireHarm(t *testing.T, a *Attempt, sums []secagg.Sum, err error) (spoiled []int) {
	t.Helper()
	if err != nil {
		return nil
	}
	a.RequireSums(t, sums)
	for _, s := range sums {
		if s.Spoiled != nil {
			spoiled = append(spoiled, s.Bucket)
		}
	}
	require.NotEmpty(t, spoiled, "nobody noticed")
	return spoiled
}

// tell gives a member an instruction with all letters that it asks for. Nothing that
// it says is delivered, and its record is not kept.
func tell(a *Attempt, p secagg.CommitteeParty, j int, instruction []byte) (secagg.Reply, error) {
	reply, err := p.Step(instruction)
	if err == nil && reply.Letters && reply.Message == nil {
		letters := a.Letters(a.Control.Phase(), j)
		reply, err = p.Letters(stream(letters[min(reply.From, len(letters)):]))
	}
	return reply, err
}

// copyOf is a member as it would be after a restart.
func copyOf(t *testing.T, a *Attempt, j int) secagg.CommitteeParty {
	t.Helper()
	p, err := committeeOf(t, a.Scheme).NewCommitteeParty(a.Session, j, a.Cohort.Decryptors[j], a.Records[j])
	require.NoError(t, err)
	return p
}

// requireSilence gives a copy of a member an instruction that it must not obey: it
// refuses, or waits for letters that there are not.
func requireSilence(t *testing.T, a *Attempt, j int, instruction []byte, why string) {
	t.Helper()
	reply, err := tell(a, copyOf(t, a, j), j, instruction)
	require.Nil(t, reply.Message, "member %d: %s", j, why)
	require.True(t, err != nil || reply.Letters, "member %d neither refuses nor waits: %s", j, why)
}

// requireObeyed gives a copy of a member an instruction that it obeys.
func requireObeyed(t *testing.T, a *Attempt, j int, instruction []byte) secagg.Reply {
	t.Helper()
	reply, err := tell(a, copyOf(t, a, j), j, instruction)
	require.NoError(t, err, "member %d", j)
	require.NotNil(t, reply.Message, "member %d", j)
	return reply
}

// answersOf collects the committee's answers in a phase, which it is in, without
// leaving it.
func answersOf(t *testing.T, a *Attempt) map[int][]byte {
	t.Helper()
	answers := map[int][]byte{}
	a.Message = func(_ secagg.Phase, party int, body []byte) []byte {
		answers[party-len(a.Parties)] = body
		return body
	}
	for j := range a.Decryptors {
		a.Ask(a.Number(j))
	}
	a.Message = nil
	require.Empty(t, a.Refusals)
	require.Empty(t, a.Rejected)
	return answers
}

// first returns the first k of some answers, by index.
func first(answers map[int][]byte, k int) map[int][]byte {
	out := map[int][]byte{}
	for _, j := range slices.Sorted(mapKeys(answers))[:k] {
		out[j] = answers[j]
	}
	return out
}

func mapKeys[V any](m map[int]V) func(func(int) bool) {
	return func(yield func(int) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
