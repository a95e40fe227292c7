package graph

// FailureProbability returns how likely an attempt is to fail when each client,
// independently of the others and of the graph, fails to answer at the end with
// probability dropout. An attempt fails if those who answer are fewer than the
// quorum, or if some client has fewer than t answering holders.
//
// The value is exact for the complete graph: there a client that answers needs t
// others to have its own b rebuilt, so an attempt succeeds if and only if at least
// q and at least t+1 clients answer. Otherwise it is an upper bound, at most 1:
//
//	P[Bin(n, 1-dropout) < q] + n P[Bin(k, 1-dropout) < t]
//
// in which every client, even one that left before its secrets mattered, counts
// as one to be rebuilt. A dropout below 0 counts as 0, one above 1 or not a
// number as 1.
func (p Parameters) FailureProbability(dropout float64) float64 {
	switch {
	case !(dropout < 1):
		return 1
	case dropout <= 0:
		return 0
	}
	if p.Complete {
		needed := max(p.Quorum, p.Threshold+1)
		return binomialTail(p.Clients, dropout, p.Clients-needed+1).float64()
	}
	quorum := binomialTail(p.Clients, dropout, p.Clients-p.Quorum+1)
	holders := binomialTail(p.Degree, dropout, p.Degree-p.Threshold+1)
	return min(1, quorum.add(holders.scale(float64(p.Clients), 1)).float64())
}
