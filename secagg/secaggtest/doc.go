// Package secaggtest is the conformance and attack suite that every scheme of
// secure aggregation passes.
//
// Conformance runs whole attempts in memory and holds a scheme to the contracts of
// package secagg: the opened sum is the plain modular sum of the survivors'
// vectors, whoever drops out when; answers repeat; a party resumes from its record;
// bytes from outside cost nobody but their sender. Attacks plays a dishonest
// coordinator, with the forgeries that the scheme's tests hand it, and requires
// each client to refuse before anything secret leaves it.
//
// Attempt is the driver of both. A scheme's own tests use it for what is special
// to the scheme.
package secaggtest
