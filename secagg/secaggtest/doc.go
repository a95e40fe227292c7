// Package secaggtest is the conformance and attack suite that every scheme of
// secure aggregation passes.
//
// Conformance runs whole attempts in memory and holds a scheme to the contracts of
// package secagg, in each view that it has: every opened sum is the plain modular sum
// of its survivors' vectors, whoever drops out when, clients and members of a
// committee; answers repeat; a party resumes from its record; bytes from outside cost
// nobody but their sender. Attacks plays a dishonest coordinator, dishonest clients
// and members of a committee, with the forgeries that the scheme's tests hand it
// (Forger, CommitteeForger), and requires each party to refuse before anything secret
// leaves it, and that no wrong sum comes of what cannot be refused.
//
// Attempt is the driver of both. A scheme's own tests use it for what is special
// to the scheme.
package secaggtest
