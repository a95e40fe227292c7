// Package share shares vectors of small integers among the members of a
// committee, adds shares, opens sums from the members' answers although some of
// them lie, and checks that what a client handed out are shares at all.
//
// It is Shamir's scheme (How to share a secret, CACM 22(11), 1979) over the
// field of p = 2^31 - 1. Each secret is the constant term of a polynomial of
// degree c whose other coefficients are uniform; the member at point x, a number
// from 1 to 16, gets its value at x. For any c members and any secret there is
// exactly one polynomial through the secret and their c shares, so those shares
// carry no information about it. Sums of shares are shares of sums.
//
// # Course
//
// A client calls [Split] on N secrets and sends each member one vector of
// N + [Blinds] elements, packed by [Encode]. A member reads it with [Decode],
// publishes what [Checker.Check] gives, and [Consistent] tells which members
// hold something else than a share. Of the clients that remain, members add
// the first N elements with [Accumulate] and answer with the result, from which
// [Combine] interpolates the sums. A sum is read as a signed number between
// -(p-1)/2 and (p-1)/2: with secrets of magnitude at most 36 this is exact for
// up to 29 million clients.
//
// # The check that shares lie on a polynomial
//
// A client could give members values that do not lie on polynomials of degree
// c; then the sum depends on which members answer, and the honest ones look like
// liars. So member j publishes for each client, for l = 0..3,
//
//	t_j[l] = blind_j[l] + sum over k of rho_k[l] * share_j[k]   mod p
//
// where blind_j[l] is its share of the l-th blind, a secret that the client
// draws uniformly and shares like the others, and rho is expanded from a seed
// (see [NewChecker]). The t_j[l] must lie on a polynomial of degree c.
//
// Why it is sound. Take honest members whose shares at some k do not lie on a
// polynomial of degree c. Whether c+2 values do is one linear equation, so t
// satisfies it for a given l only if rho solves a linear equation that is fixed
// before rho is drawn and in which some coefficient of rho is not 0: probability
// 1/p, and p^-4 < 2^-123.9 for all four. The seed must be a hash that binds
// the client's whole upload, every member's sealed record included (Fiat and
// Shamir, CRYPTO 1986): then who wants other coins must make another upload, and
// each try succeeds with probability p^-4 for given c+2 members, if the hash and
// the expansion by AES are taken for random functions. A set of
// members is inconsistent only if some c+2 of them are, and 16 members have at
// most C(16, 7) < 2^13.5 such subsets: below 2^-110 a try, whichever honest
// members it is meant to deceive.
//
// Why it reveals nothing. t[l] as a polynomial is the blind's plus a combination
// of the secrets'. The blind's polynomial is uniform among all of degree at most
// c, constant term included, and independent of the secrets and of the other
// blinds. c corrupt members know its values at their points, which leaves one
// degree of freedom, uniform; t[l] at those points is a function of what they
// have, and t[l] elsewhere has that same one degree of freedom. So what they see
// can be made without the secrets: draw their shares uniformly, compute their
// t, and draw a uniform polynomial through it.
//
// The argument uses each blind once, which callers must keep:
//
//   - A member computes t with one seed for one vector of shares, ever. Two seeds
//     give the difference of two t's, a linear function of the secrets. A seed
//     that is a hash of the signed upload, computed by the member itself, does it.
//   - Nobody publishes a sum of blinds. With the t's of the same clients it gives a
//     linear function of single secrets. Members add the first N elements only;
//     [Combine] refuses longer answers.
//   - A client draws fresh coins for each call of [Split].
//
// What it does not say. Only members that published t are checked. If at most c
// of them are corrupt, those that Consistent does not name include c+1 honest
// ones or more, and the shares of all honest ones among them lie on the same
// polynomials, whatever the client and the corrupt members did, but for the
// probability above; a named member, though honest, may hold something else.
// Deviations of several clients add up at different members: leave out a client,
// or the member, for each position named.
//
// # How many liars
//
// Let c members at most be corrupt, and r answer. [Combine] corrects
//
//	e = min((r-c-1)/2, r-2c-1), rounded down,
//
// wrong answers, and refuses to open if r < 2c+1. Whatever the corrupt members
// answer, together and knowing everything:
//
//   - The sums it gives are right. They lie on polynomials that agree with at
//     least r-e >= 2c+1 answers. Of these at least c+1 are honest and determine
//     the polynomials.
//   - It names exactly the members whose answers are wrong, for those disagree
//     with these polynomials: never an honest one.
//   - With at most e wrong answers it gives sums. With more it refuses, with
//     [ErrUndecodable], and names nobody.
//
// If a of m >= 3c+1 members are silent and w answer wrongly, a+w <= c, then w <= e:
// r = m-a, so r-2c-1 >= c-a >= w and r-c-1 >= 2c-a >= 2w. All c may lie if everybody
// answers. If more are silent, liars can prevent a sum, but not change it. A quorum
// above (m+c)/2 of such a committee has 2c+1 members or more, and 2c+1 answers open
// if none is wrong.
//
// With r <= 2c the c liars could answer with another polynomial through the at
// most c honest answers, for any sum they like, and all answers would agree. Of
// more than c liars, r-c-1-e still do no harm (more than c from r = 3c+2 on); beyond
// that they can make wrong sums and have honest members named.
//
// The same holds of [Consistent] if the client is honest. If it is not, it may
// have given an honest member something else than a share, so a name says that
// the client or the member is corrupt. Likewise ErrUndecodable: from 3c+1 members
// on c liars cannot cause it, so the client is corrupt; from fewer they can.
//
// # What is secret
//
// Points, degrees, lengths, seeds, t and opened sums are public. Secrets, shares
// and coefficients are not: Split, Encode, Decode, Accumulate and Check execute
// the same instructions and touch the same memory whatever their value, as far as
// the processor's 64-bit multiplication takes constant time. An exception is a
// refusal, which tells that a value was out of range.
//
// All functions are pure and may be called concurrently on different data.
package share
