package adversary

import "strconv"

// Cheat is a rule of secure aggregation that a simulated client breaks. Breaking it is
// the simulator's part; this package gives it a name and parameters ([Attack.Number]).
type Cheat uint8

const (
	// CheatNone breaks no rule: the attackers' vectors reach the sum within the encoding's range.
	CheatNone Cheat = iota
	// CheatOutOfRange encodes every coordinate beyond the end of its slot's range:
	// parameter factor, in multiples of that end, rounded down to what the modulus holds.
	CheatOutOfRange
	// CheatWrapAround encodes values such that the cohort's sum passes the modulus.
	CheatWrapAround
	// CheatFalseWeight states a weight (number of examples) of factor times the true one.
	CheatFalseWeight
	// CheatDropoutAfterMasking contributes a masked vector and then answers nothing more.
	CheatDropoutAfterMasking
	// CheatInconsistentShares deals out shares of its secrets that lie on no polynomial of
	// the right degree, or under a scheme without shares the nearest thing: a ciphertext
	// under another secret than the one it answers for.
	CheatInconsistentShares
	// CheatBucketSteering tries to have all attackers put into one bucket: parameter bucket.
	CheatBucketSteering
)

var cheatNames = [...]string{"", "out-of-range", "wrap-around", "false-weight", "dropout-after-masking", "inconsistent-shares", "bucket-steering"}

// String is the name of the attack that breaks the rule, empty for CheatNone and "cheat
// N" for a value that is none of these.
func (c Cheat) String() string {
	if int(c) < len(cheatNames) {
		return cheatNames[c]
	}
	return "cheat " + strconv.Itoa(int(c))
}

// Cheat is the rule of the protocol that the attack breaks, CheatNone for attacks on
// updates and data.
func (a Attack) Cheat() Cheat {
	if a.kind == nil {
		return CheatNone
	}
	return a.kind.cheat
}

// cheats are the part of the table that the simulator carries out.
func cheats() []*kind {
	does := [...]string{
		CheatOutOfRange:          "encode coordinates beyond the range of the encoding",
		CheatWrapAround:          "encode values that carry the cohort's sum past the modulus",
		CheatFalseWeight:         "state more examples than they have",
		CheatDropoutAfterMasking: "send a masked vector and vanish",
		CheatInconsistentShares:  "deal out shares that do not belong together",
		CheatBucketSteering:      "try to sit in one bucket together",
	}
	parameters := [len(does)][]parameter{
		CheatOutOfRange:     {number("factor", "2", "how many times the end of the range", 1, 1e6)},
		CheatFalseWeight:    {number("factor", "1000", "how many times the true weight", 0, 1e9)},
		CheatBucketSteering: {whole("bucket", "0", "the bucket they want", 0, 1<<20)},
	}
	var list []*kind
	for c := CheatOutOfRange; int(c) < len(does); c++ {
		list = append(list, &kind{name: c.String(), does: does[c], knows: knowsOwn, source: "threat model of Choir: clients that misbehave", parameters: parameters[c], cheat: c})
	}
	return list
}
