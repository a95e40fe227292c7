// Package auth says who is calling a coordinator and what the caller may do.
//
// An Authority is a small certificate authority with an Ed25519 key. It signs the
// certificates of the coordinator, of clients, operators and committee members, and
// with the same key the credentials that clients show each other in rosters
// (secagg.Enrol). The two uses cannot be confused: a credential signs a 32-byte
// digest, a certificate a DER structure that is always longer. The parties' keys are
// their own: the authority sees certificate requests, never a private key.
//
// A Registry remembers, in a journal, whom the authority has admitted. A party
// comes in with a one-time token that an operator made, renews its certificate
// while it is valid, and is refused once it was revoked or its certificate ran
// out. A certificate is good only while the registry lists its serial number, so
// a certificate that the registry does not know is worth nothing, whoever signed it.
//
// Allow is the one table of what each role may call. What is not in it is denied.
//
// The package reads no clock: time is an argument.
package auth
