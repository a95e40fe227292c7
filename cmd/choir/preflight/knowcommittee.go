package preflight

import "fmt"

func oneshotKnowledge(f *Findings) []Knowledge {
	o := f.Oneshot
	out := []Knowledge{{
		Party:  fmt.Sprintf("the coordinator alone, or with up to %d of the %d committee members, deviating as they like", o.Corrupt, o.Members),
		Learns: []string{presence, f.sumsSeen() + f.fallenBack(), f.aboutNoise(), f.subtracting()},
		Not:    []string{"from one attempt, anything of a single client beyond " + f.thoseSums() + ", as long as the cryptography holds"},
	}}
	if o.CorruptClients > 0 {
		out = append(out, Knowledge{
			Party: fmt.Sprintf("the coordinator with up to %s and up to %d corrupt clients of %d", plural(o.Corrupt, "member"), o.CorruptClients, f.Rounds.Invited),
			Learns: []string{"what the coordinator learns",
				f.takenOff("sums", o.Honest, " in each"+o.chance(f))},
			Not: []string{"from one attempt, anything of a single honest client beyond that, or a sum over fewer honest clients" + o.chance(f)},
		})
	}
	return append(out, Knowledge{
		Party: fmt.Sprintf("the coordinator with more than %d corrupt clients", o.CorruptClients),
		Learns: []string{"sums with fewer honest clients than that; where all but one in a sum are corrupt, that client's update" + f.lessNoise(),
			"this is the case to fear where the coordinator itself enrols the clients: it can invent as many as it likes"},
	}, Knowledge{
		Party:  fmt.Sprintf("the coordinator with more than %s", plural(o.Corrupt, "committee member")),
		Learns: []string{fmt.Sprintf("the update of every single client in every attempt whose epoch those members keep a key of: %d shares rebuild a client's secret%s", o.Corrupt+1, f.lessNoise())},
		Not:    []string{"updates whose letters were for epochs that are over, once the members have erased those keys"},
	}, Knowledge{
		Party: fmt.Sprintf("up to %s, without the coordinator", plural(o.Corrupt, "committee member")),
		Learns: []string{"names and public keys of all admitted clients, when their uploads came, whose letters were bad, the partition and who survived",
			"shares of the clients' secrets, which are random numbers"},
		Not: []string{"an update or a sum: their shares tell nothing, and they get no ciphertext"},
	}, Knowledge{
		Party:  fmt.Sprintf("more than %s, without the coordinator", plural(o.Corrupt, "committee member")),
		Learns: []string{"the secrets that protect single updates: whoever gives them the ciphertexts, which go to the coordinator alone, gives them the updates"},
	}, Knowledge{
		Party: "one client, or several without coordinator and committee",
		Learns: []string{f.meanOfOthers("they are", "their"),
			"names and public keys of all clients admitted with them, and of the committee"},
		Not: []string{"another client's update, weight or evaluation, or who survived"},
	}, network(), f.auditor())
}

// chance is what remains of a doubt about the corrupt clients in a bucket.
func (o *Oneshot) chance(f *Findings) string {
	if f.Buckets == nil {
		return ""
	}
	return fmt.Sprintf(", but for a chance of 2^-%d in each round", o.PrivacyBits)
}

// sumsSeen says which sums the coordinator sees.
func (f *Findings) sumsSeen() string {
	what := fmt.Sprintf("the %s of the survivors' %s: ", f.theSum(), f.summed())
	least := f.Rounds.Minimum
	if f.sums() > 1 {
		least = f.opens()
	}
	if f.Graph != nil {
		least = f.Graph.Survivors
	}
	if n := f.sums(); n > 1 {
		return what + fmt.Sprintf("in each attempt one for each of %d buckets, over at least %d clients, and who is in which", n, least)
	}
	return what + fmt.Sprintf("one sum for each attempt, over at least %d clients", least)
}

// fallenBack says what is seen in attempts after a spoiled sum.
func (f *Findings) fallenBack() string {
	if b := f.Buckets; b != nil && b.Fallback {
		return fmt.Sprintf("; after a spoiled sum, another attempt adds the sums of %d buckets, over at least %d clients each", b.Count, b.Minimum)
	}
	return ""
}

func (f *Findings) thoseSums() string {
	if f.sums() > 1 || f.Buckets != nil {
		return "those sums"
	}
	return "that sum"
}

func oneshotSees(f *Findings) string {
	o := f.Oneshot
	sums := fmt.Sprintf("in each round one %s of the survivors' %s, over at least %d clients", f.theSum(), f.summed(), f.Rounds.Minimum)
	if n := f.sums(); n > 1 {
		sums = fmt.Sprintf("in each round the %ss of %d buckets of %s, each over at least %d clients, and who is in which", f.theSum(), n, f.summed(), f.opens())
	}
	return fmt.Sprintf("The coordinator sees who takes part, when, and how much each client sends, and %s%s; at least %d clients in each sum are honest even if up to "+
		"%d of %d admitted clients collude with it%s. From one attempt it learns nothing of a single client beyond that, as long as at most %d of the %d members of "+
		"committee %s help it; with one more it learns every single update%s. %s "+
		"With more colluding clients, which it has if it enrols them itself, a sum may hold one honest update.",
		sums, f.fallenBack(), o.Honest, o.CorruptClients, f.Rounds.Invited, o.chance(f), o.Corrupt, o.Members, o.Committee, f.withNoise(), f.noiseSentence())
}
