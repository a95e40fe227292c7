package preflight

import "fmt"

// Knowledge is what one party, or a coalition, could learn in a round if it does
// all it can, and what it cannot.
type Knowledge struct {
	Party  string   `json:"party"`
	Learns []string `json:"learns"`
	Not    []string `json:"does_not_learn"`
}

// extras names what is summed beside the update.
func (f *Findings) extras() string {
	if f.Encoding.Extras > 1 {
		return "weights, and of accuracies and losses on the clients' own data"
	}
	return "weights"
}

const (
	presence = "who takes part, when and from which network address; the sizes and times of all messages; who drops out in which phase"
	noNoise  = "no noise is added, so membership inference and reconstruction against the bare sum are possible, and easier the fewer clients are in it"
	subtract = "by asking overlapping cohorts to train from the same model, in two attempts or rounds, and subtracting their sums: roughly the update of those " +
		"clients, even of a single one, that are in one and not in the other; nothing but noise prevents that"
	subtractPasses = "by subtracting the sums of two passes, in which clients send the same updates, or by asking overlapping cohorts to train from the same model: nearly, and if it " +
		"deviates in what centre it names exactly, the update of those clients, even of a single one, that are in one and not in the other; nothing but noise prevents that"
	released = "every released model; the difference of two is the server optimiser's step along the exact mean update of a cohort"
)

func pairwiseKnowledge(f *Findings) []Knowledge {
	g := f.Graph
	isolated := ""
	if g.MaxIsolated > 0 {
		isolated = fmt.Sprintf(" (a coordinator that deviates can keep up to %d of the survivors out of it)", g.MaxIsolated)
	}
	out := []Knowledge{{
		Party: "the coordinator alone, deviating as it likes",
		Learns: []string{presence,
			f.sumsSeen() + isolated, f.aboutNoise(), f.subtracting()},
		Not: []string{"from one attempt, anything of a single client beyond " + f.thoseSums() + g.certainty()},
	}}
	corrupt, of := g.MaxCorrupt, g.Clients
	if f.sums() > 1 { // all of them may be in one bucket
		corrupt, of = min(corrupt, f.corrupt), f.Rounds.Invited
	}
	if corrupt > 0 {
		out = append(out, Knowledge{
			Party: fmt.Sprintf("the coordinator with up to %d corrupt clients of %d", corrupt, of),
			Learns: []string{"what the coordinator learns",
				f.takenOff("sum", g.Honest, inEachBucket(f))},
			Not: []string{"from one attempt, anything of a single honest client beyond that sum, or a sum over fewer honest clients" + g.certainty()},
		})
	}
	return append(out, Knowledge{
		Party: fmt.Sprintf("the coordinator with more than %d corrupt clients", corrupt),
		Learns: []string{"possibly everything: nothing is promised. Shares of both secrets of a client rebuild its masks, and with them its single update" + f.lessNoise(),
			"this is the case to fear where the coordinator itself enrols the clients: it can invent as many as it likes"},
	}, Knowledge{
		Party:  "one client",
		Learns: []string{f.meanOfOthers("it is", "its"), "names and public keys of all clients admitted with it, and which of them survived"},
		Not:    []string{"another client's update, weight or evaluation; the shares that it holds for others rebuild nothing"},
	}, Knowledge{
		Party:  fmt.Sprintf("up to %d clients together, without the coordinator", g.Threshold-1),
		Learns: []string{"what each of them learns; by taking all their own off, roughly the mean of the rest" + f.noisyMean()},
		Not:    []string{"another client's update: too few shares to rebuild a secret, and the masked vectors go to the coordinator alone"},
	}, network(), f.auditor())
}

func inEachBucket(f *Findings) string {
	if f.sums() > 1 {
		return " in each bucket"
	}
	return ""
}

// certainty says how sure the promise is.
func (g *Graph) certainty() string {
	if g.Complete {
		return ", as long as the cryptography holds"
	}
	return fmt.Sprintf(", as long as the cryptography holds, but for a chance of 2^-%d in each round", g.PrivacyBits)
}

func plainKnowledge(f *Findings) []Knowledge {
	return []Knowledge{{
		Party:  "the coordinator alone",
		Learns: plainSeen(f),
	}, {
		Party:  "the coordinator with any number of corrupt clients",
		Learns: []string{"what the coordinator learns"},
	}, {
		Party:  "one client, or several without the coordinator",
		Learns: []string{f.meanOfOthers("they are", "their"), "names and public keys of all clients admitted with them"},
		Not:    []string{"another client's update, weight or evaluation"},
	}, network(), f.auditor()}
}

// plainSeen is what the coordinator sees under scheme plain.
func plainSeen(f *Findings) []string {
	const nothing = "the clipped and rounded update, the weight and the evaluation of every single client, and with them what " +
		"reconstruction makes of a client's examples: scheme plain protects nothing"
	switch {
	case f.Privacy.Noise == nil:
		return []string{presence, nothing}
	case f.exact():
		return []string{presence, "the clipped and rounded update of every single client, without noise, and with it what reconstruction makes of a client's examples: " +
			"scheme plain protects nothing, and the noise comes after it"}
	}
	return []string{presence, "the clipped and rounded update of every single client, with that client's noise", f.aboutNoise()}
}

func network() Knowledge {
	return Knowledge{
		Party: "somebody on the network",
		Learns: []string{"which address talks to the coordinator, when and how much: so who takes part, how large the model is, how long training takes, " +
			"and who drops out"},
		Not: []string{"any content: TLS 1.3 with a post-quantum hybrid key exchange, both sides by certificate"},
	}
}

func (f *Findings) auditor() Knowledge {
	record := "how many clients took part in each round and how it ended, as far as the record that is handed over goes"
	if f.coins() != nil {
		record = "how each round ended; a record that says how many clients took part, or who, makes the epsilon for rosters the one that counts"
	}
	learns := append(f.releasedModels(), record)
	if f.Privacy.Noise == nil {
		learns = append(learns, noNoise)
	}
	return Knowledge{
		Party:  "an auditor, or whoever else is given the released models and the record of rounds",
		Learns: learns,
		Not:    []string{"anything that the coordinator does not"},
	}
}

// noisyMean reminds of the noise in means.
func (f *Findings) noisyMean() string {
	if f.Privacy.Noise == nil {
		return ""
	}
	return ", with its noise"
}

// Sees says in one paragraph what the coordinator could see under the plan.
func (f *Findings) Sees() string {
	if f.Oneshot != nil {
		return oneshotSees(f)
	}
	if f.Graph == nil && f.Privacy.Noise != nil {
		how := "with that client's noise in it"
		if f.exact() {
			how = "without noise"
		}
		return fmt.Sprintf("Under scheme plain the coordinator sees the clipped and rounded update of every single client, %s, and who took part and when. %s", how, f.noiseSentence())
	}
	if f.Graph == nil {
		return "Under scheme plain the coordinator sees the clipped and rounded update of every single client, its weight and its evaluation, " +
			"and who took part and when. Nothing is hidden from it, and no epsilon is stated. This is for tests, simulations, and coordinators that are " +
			"trusted with every update."
	}
	g := f.Graph
	one, corrupt, of := "one "+f.theSum(), g.MaxCorrupt, g.Clients
	if n := f.sums(); n > 1 {
		one, corrupt, of = fmt.Sprintf("for each of %d buckets one %s", n, f.theSum()), min(corrupt, f.corrupt), f.Rounds.Invited
	}
	return fmt.Sprintf("The coordinator sees who takes part, when, and how much each client sends, and in each round %s of the survivors' "+
		"%s, over at least %d clients; at least %d of these are honest even if up to %d of %d admitted clients collude with it. "+
		"From one attempt it learns nothing of a single client beyond that. %s With more colluding clients than that, which it can have if it enrols clients itself, "+
		"nothing is promised.", one, f.summed(), g.Survivors, g.Honest, corrupt, of, f.noiseSentence())
}
