package adversary

// Parameters that several attacks have.
var (
	knowledge = choice("knowledge", "own", "whose updates they see: their own honest ones, or those of all honest clients of the cohort", "own", "all")
	jitter    = number("jitter", "0", "standard deviation of the noise by which their vectors differ, in root mean square coordinates of the vectors", 0, 100)
	scale     = number("scale", "1", "factor of the reversed vector", -1e6, 1e6)
	search    = choice("search", "wide", "byzfl: 20 evaluations from 0 in steps of 10; wide: 18 more at factors from -100 to 100", "wide", "byzfl")
	direction = choice("direction", "unit", "where the vector is pushed: against the mean, against its signs, or down by the deviation", "unit", "sign", "std")
	target    = whole("target", "1", "class that the trigger is to be taken for", 0, 65535)
	rate      = number("rate", "0.15", "share of an attacker's examples that carry the trigger", 0, 1)
)

func choice(name, fallback, means string, words ...string) parameter {
	return parameter{name: name, fallback: fallback, means: means, words: words, least: 1, most: 0}
}

func number(name, fallback, means string, least, most float64, words ...string) parameter {
	return parameter{name: name, fallback: fallback, means: means, words: words, least: least, most: most}
}

func whole(name, fallback, means string, least, most float64, words ...string) parameter {
	return parameter{name: name, fallback: fallback, means: means, words: words, least: least, most: most, whole: true}
}

// What of Known attacks use.
const (
	knowsMean   = "the mean of the updates it sees"
	knowsSpread = "mean and deviation of the updates it sees, at least two"
	knowsRule   = "the updates it sees, the rule (Known.Aggregate), n and f; with knowledge=own normal draws about its own updates stand in for the clients it does not see"
	knowsOwn    = "what the attackers would have sent themselves"
	knowsNoone  = "nothing"
)

// kinds is the one table of attacks. Nothing writes to it.
var kinds = append([]*kind{
	{name: "sign-flip", does: "send the negative of their own update, or of the mean", knows: knowsOwn + "; with of=mean " + knowsMean,
		source: "Li et al., RSA, AAAI 2019; of=mean as ByzFL, of=own as Blades", craft: signFlip,
		parameters: []parameter{choice("of", "own", "what is reversed", "own", "mean"), scale, knowledge, jitter}},
	{name: "label-flip", does: "train on wrong labels", knows: "its own data",
		source: "Fang et al., USENIX Security 2020 (reverse); Tolpegin et al., ESORICS 2020 (source to target)", check: checkLabels, data: labelFlip,
		parameters: []parameter{whole("source", "any", "class whose labels change", 0, 65535, "any"),
			whole("target", "reverse", "what they change to; reverse is class C-1-y for class y of C", 0, 65535, "reverse")}},
	{name: "alie", does: "hide z deviations from the mean at every coordinate", knows: knowsSpread,
		source: "Baruch et al., A Little Is Enough, NeurIPS 2019", craft: alie,
		parameters: []parameter{number("z", "1.5", "how many deviations; max is the paper's, from n and f", -100, 100, "max"),
			choice("direction", "add", "which side of the mean: add as ByzFL and Blades, subtract as epfml", "add", "subtract"), knowledge, jitter}},
	{name: "ipm", does: "send the reversed mean, scaled", knows: knowsMean,
		source: "Xie et al., Fall of Empires, UAI 2020", craft: ipm,
		parameters: []parameter{number("scale", "0.1", "factor of the reversed mean; ByzFL has 2, Blades 0.1 and 100", -1e6, 1e6), knowledge, jitter}},
	{name: "opt-alie", does: "choose alie's z such that the rule's result is farthest from the mean", knows: knowsRule,
		source: "ByzFL, Optimal_ALittleIsEnough; search=wide is Choir's", craft: optimalALIE, parameters: []parameter{search, knowledge, jitter}},
	{name: "opt-ipm", does: "choose ipm's scale such that the rule's result is farthest from the mean", knows: knowsRule,
		source: "ByzFL, Optimal_InnerProductManipulation; search=wide is Choir's", craft: optimalIPM, parameters: []parameter{search, knowledge, jitter}},
	{name: "fang-krum", does: "go as far against the signs of the mean as Krum still chooses", source: "Fang et al., USENIX Security 2020, attack on Krum", craft: fangKrum,
		knows:      "the updates it sees, n and f; with knowledge=own normal draws about its own updates stand in for the clients it does not see",
		parameters: []parameter{knowledge, jitter}},
	{name: "fang-trim", does: "stand just beyond the extremes, against the sign of the mean at each coordinate", source: "Fang et al., USENIX Security 2020, attack on trimmed mean", craft: fangTrim,
		knows:      "with knowledge=all the extremes at each coordinate, with own mean and deviation of at least two updates",
		parameters: []parameter{number("b", "2", "with knowledge=all, up to how many times the extreme", 1, 1e6), knowledge, jitter}},
	{name: "min-max", does: "go as far from the mean as no honest update is farther off than two honest ones are apart", knows: knowsSpread,
		source: "Shejwalkar and Houmansadr, NDSS 2021", craft: minMax, parameters: []parameter{direction, knowledge, jitter}},
	{name: "min-sum", does: "go as far from the mean as squared distances to honest updates add up to no more than an honest one's", knows: knowsSpread,
		source: "Shejwalkar and Houmansadr, NDSS 2021", craft: minSum,
		parameters: []parameter{direction, choice("bound", "paper", "which honest update's sum: the greatest (paper), or the least (the authors' notebooks)", "paper", "notebook"), knowledge, jitter}},
	{name: "mimic", does: "all send the update of one client", knows: "one update of those it sees; with warmup all of them, and the attackers' memory",
		source: "Karimireddy et al., ICLR 2022; warm-up as epfml/byzantine-robust-noniid-optimizer", craft: mimic,
		parameters: []parameter{whole("index", "0", "which of the updates it sees, counted round and round if there are fewer", 0, 1e9),
			whole("warmup", "0", "for how many rounds the client that stands out most along the direction of most variance is sought; 0 takes index", 0, 1e9), knowledge, jitter}},
	{name: "gaussian", does: "send normal noise", knows: knowsNoone, source: "ByzFL has mean 0 std 1, Blades 0.1 and 0.1", craft: gaussian,
		parameters: []parameter{number("mean", "0", "of each coordinate", -1e6, 1e6), number("std", "1", "of each coordinate", 0, 1e6)}},
	{name: "inf", does: "send infinity at every coordinate", knows: knowsNoone, source: "ByzFL", craft: constant(infinity)},
	{name: "nan", does: "send not-a-number at every coordinate", knows: knowsNoone, source: "test of input hygiene", craft: constant(notANumber)},
	{name: "zero", does: "send nothing new", knows: knowsNoone, source: "test of lazy clients", craft: constant(0)},
	{name: "replay", does: "send an old vector again", knows: "the last step, or the attackers' memory", source: "test of freshness", craft: replay,
		parameters: []parameter{choice("of", "step", "the last aggregate step, or the first update that the attacker sent; its own update while there is neither", "step", "own"), jitter}},
	{name: "free-rider", does: "pass an update off without training: the last step, or nothing, and noise", knows: "the last step",
		source: "Fraboni et al., AISTATS 2021", craft: freeRider,
		parameters: []parameter{choice("copy", "step", "what stands under the noise; before there is a step nothing is sent", "step", "zero"),
			number("noise", "0.1", "standard deviation, in root mean square coordinates of the last step", 0, 1e6)}},
	{name: "model-replacement", does: "boost their update by n/eta, so that the mean becomes their target", knows: "n, and " + knowsOwn,
		source: "Bagdasaryan et al., AISTATS 2020: n/eta (X - G) + G", check: checkReplacement, craft: replacement, data: replacementData,
		parameters: []parameter{choice("goal", "labels", "the target X: a model trained on labels C-1-y, one trained with a backdoor, or the reverse of an honest one", "labels", "backdoor", "reverse"),
			number("eta", "1", "the server's learning rate; the number of attackers if they are to share the boost", 1e-3, 1e6),
			target, rate, whole("size", "3", "side of the trigger in pixels", 1, 1024), jitter}},
	{name: "backdoor", does: "train on images of which some carry a white patch in the lower right corner and the target's label", knows: "its own data",
		source: "Gu et al., BadNets, 2017; Bagdasaryan et al., AISTATS 2020", data: backdoor,
		parameters: []parameter{target, rate, whole("size", "3", "side of the patch in pixels", 1, 1024)}},
	{name: "dba", does: "train as for a backdoor, each attacker with one part of the patch", knows: "its own data and place among the attackers",
		source: "Xie et al., DBA, ICLR 2020", check: checkParts, data: backdoor,
		parameters: []parameter{target, rate, whole("size", "4", "side of the whole patch in pixels", 1, 1024), whole("parts", "4", "runs of pixels, row by row, that the patch is cut into", 1, 1<<20)}},
	{name: "sybil", does: "one attacker behind many names: all send the reverse of the first's update", knows: "what the first attacker would have sent", craft: sybil,
		source:     "Fung et al., RAID 2020",
		parameters: []parameter{whole("from", "1", "round in which they join; honest before", 1, 1<<32-1), scale, jitter}},
}, cheats()...)
