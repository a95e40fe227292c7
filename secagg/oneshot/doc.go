// Package oneshot is secure aggregation in which a client speaks once. It encrypts
// its vector under a secret of its own, shares the secret among a small committee
// of named organisations, uploads both in one piece, and may vanish. The encryption
// is additively homomorphic in key and message (package rlwe): the sum of the
// ciphertexts opens under the sum of the secrets, and only this sum of secrets is
// ever rebuilt, from the members' sums of shares (package share).
//
// # Phases
//
// Before the context of an attempt is fixed, each member of the committee announces
// the public key of its epoch and a commitment to a nonce, signed. m members are
// named, c of them at most corrupt, and a quorum is q > (m+c)/2.
//
//	context  each member that announced checks the session and signs its context,
//	         one only for each round and attempt.
//	reveal   against a quorum of such signatures each reveals its nonce.
//	seed     each checks all nonces against the commitments, and signs the seed that
//	         follows from context and nonces and draws the partition into buckets.
//	upload   each client verifies the announcements, the nonces and a quorum of
//	         signatures on (context, seed), encrypts, and uploads: ciphertext, one
//	         letter for each member, and a commit frame that signs the digests of
//	         all. Members judge the letters as they come.
//	records  members judge the letters that are left.
//	agree    each member checks the survivors U and signs (context, seed, U, digest of
//	         the survivors' commit frames), once.
//	unmask   against a quorum of such signatures, each reads the letters a second time
//	         and releases the sum of the survivors' shares for each bucket.
//	open     the coordinator interpolates the sums of secrets and decrypts.
//
// Every instruction and message begins with the context. All parties compute and
// check everything else for themselves, the parameters included.
//
// # Why one seed, and nobody's
//
// Two quorums share an honest member, so only one context has a quorum; nonces are
// revealed to no other. All nonces of a quorum's worth of members count, of which
// an honest one's is uniform and unknown until the context, and with it the roster,
// is fixed. Who does not like the seed that it alone foresees can hold its nonce
// back: that ends the attempt and names it, its nonce does not count in the next
// attempt, and there are at most 8. These 3 bits are in the tails of the bound on
// corrupt clients in a bucket.
//
// # Why one set of survivors
//
// An honest member signs one U, which is in its record before the signature
// leaves, and releases shares for no other. Two sets would need two quorums, which
// share an honest member. The shares have degree c: what honest members released
// for U and the c corrupt members' shares tell the sum of the secrets of U, and of
// each bucket of it, and nothing else about the secrets of honest clients. This
// needs plain Shamir, not packed shares, of which c+1 could tell a part.
//
// The sum of the secrets, once known, is a hint about each of them. The bound on
// the remaining secret is that of package rlwe and needs two honest clients in each
// opened bucket: with one, the sum is its vector. So the minimum less f, the corrupt
// clients, must be 2 or more, and so must the minimum of a bucket less c*, the
// corrupt clients that a random bucket may hold except with probability 2^-40 over
// all buckets and attempts of a round. A sum of two hides little: noise is to be
// calibrated for that number (DESIGN section 7).
//
// # Letters, and what members do about bad ones
//
// A letter is HPKE to the member's key of its epoch; its associated data binds
// attempt, client, member and ciphertext. A member verifies the frame, compares the
// letter with its digest there, opens it, and computes the values that package
// share calls t, whose coefficients follow from the whole signed upload. A client
// is left out if a member finds its letter bad, or if the values of the members do
// not lie on one polynomial of degree c; a member off the polynomial counts as one
// that names the client. A member that names more than f clients is left out
// itself. So corrupt members can have c*f honest clients left out, for which
// Configure makes room, and corrupt clients harm nobody but themselves: an honest
// member never names more than f. From 3c+1 members on, that is; of fewer, liars can
// make values undecodable without being named, and so end an attempt.
//
// What a client encrypts is not checked here: any vector of words of WordBits bits
// can be in the sum, and words whose sum does not fit carry into their neighbours.
// That is poisoning, for which there are robust rules over buckets. A ciphertext
// that does not fit its shares spoils its bucket: the noise of the opened sum is out
// of its bounds. The bucket is reported as spoiled, and nobody is named.
//
// # Restarts
//
// A client's record is its commit frame: it repeats it and seals no second vector,
// and a restart before that is a tombstone. A member's record names its epoch and
// nonce, and what it signed: context, seed, U. It holds no key, no share, and
// nothing that letters told; a member that restarts reads the letters again. If the
// epoch's key is erased meanwhile, the attempt is a tombstone.
//
// # Who learns what
//
// The coordinator, with c members and any number of clients, learns the sums of the
// opened buckets, who took part, and the partition. A member learns who took part.
// A client learns who is on the roster. Drop-outs of clients cost nothing; m - q
// members may be absent, or fewer and some lie (package share, "How many liars").
// A coordinator can always prevent a sum.
//
// # Costs
//
// Those of package rlwe for each word; [Measure] tells the bytes. A member opens and
// checks a letter in about 0.2 ms, and again in the second pass; it keeps
// 50 bytes for each client and one short vector for each bucket.
//
// Nothing here starts a goroutine, reads a clock or keeps state between calls.
package oneshot
