package preflight

import "fmt"

func oneshotKnowledge(f *Findings) []Knowledge {
	o := f.Oneshot
	out := []Knowledge{{
		Party:  fmt.Sprintf("the coordinator alone, or with up to %d of the %d committee members, deviating as they like", o.Corrupt, o.Members),
		Learns: []string{presence, f.sumsSeen() + f.fallenBack(), noNoise, subtract},
		Not:    []string{"from one attempt, anything of a single client beyond " + f.thoseSums() + ", as long as the cryptography holds"},
	}}
	if o.CorruptClients > 0 {
		out = append(out, Knowledge{
			Party: fmt.Sprintf("the coordinator with up to %s and up to %d corrupt clients of %d", plural(o.Corrupt, "member"), o.CorruptClients, f.Rounds.Invited),
			Learns: []string{"what the coordinator learns",
				fmt.Sprintf("by taking their own updates off: the exact sums of the honest survivors alone, who are at least %d in each%s", o.Honest, o.chance(f))},
			Not: []string{"from one attempt, anything of a single honest client beyond that, or a sum over fewer honest clients" + o.chance(f)},
		})
	}
	return append(out, Knowledge{
		Party: fmt.Sprintf("the coordinator with more than %d corrupt clients", o.CorruptClients),
		Learns: []string{"sums with fewer honest clients than that; where all but one in a sum are corrupt, that client's update",
			"this is the case to fear where the coordinator itself enrols the clients: it can invent as many as it likes"},
	}, Knowledge{
		Party:  fmt.Sprintf("the coordinator with more than %s", plural(o.Corrupt, "committee member")),
		Learns: []string{fmt.Sprintf("the update of every single client in every attempt whose epoch those members keep a key of: %d shares rebuild a client's secret", o.Corrupt+1)},
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
		Learns: []string{"the model of each round they are in, and so the mean update of earlier cohorts; by taking their own off, roughly the mean of the others",
			"names and public keys of all clients admitted with them, and of the committee"},
		Not: []string{"another client's update, weight or evaluation, or who survived"},
	}, network(), auditor())
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
	what := fmt.Sprintf("the exact sum of the survivors' clipped updates, and of their %s: ", f.extras())
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
	sums := fmt.Sprintf("in each round one exact sum of the survivors' clipped updates and of their %s, over at least %d clients", f.extras(), f.Rounds.Minimum)
	if n := f.sums(); n > 1 {
		sums = fmt.Sprintf("in each round the exact sums of %d buckets of clipped updates and of their %s, each over at least %d clients, and who is in which", n, f.extras(), f.opens())
	}
	return fmt.Sprintf("The coordinator sees who takes part, when, and how much each client sends, and %s%s; at least %d clients in each sum are honest even if up to "+
		"%d of %d admitted clients collude with it%s. From one attempt it learns nothing of a single client beyond that, as long as at most %d of the %d members of "+
		"committee %s help it; with one more it learns every single update. Privacy mode %s adds no noise: the sums are exact, membership inference against them "+
		"and the released models is possible, a coordinator that deviates can subtract the sums of overlapping cohorts trained from one model, and no epsilon is stated. "+
		"With more colluding clients, which it has if it enrols them itself, a sum may hold one honest update.",
		sums, f.fallenBack(), o.Honest, o.CorruptClients, f.Rounds.Invited, o.chance(f), o.Corrupt, o.Members, o.Committee, f.Privacy.Mode)
}
