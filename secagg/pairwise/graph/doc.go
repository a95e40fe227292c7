// Package graph finds out how many neighbours each client of a pairwise session
// needs and how many of them must rebuild a secret, draws a client's neighbours,
// and says what those numbers guarantee.
//
// # Setting
//
// n clients are admitted and the roster is fixed. Then each client draws k of the
// n-1 others, its out-neighbours, uniformly and with its own coins (Draw). They
// hold t-of-k Shamir shares of its two secrets: b, which hides its own input, and
// z, from which its pair masks follow. Masks lie on the edges in both directions.
// In the end a survivor set U is signed; for a client in U its b is rebuilt, for
// one outside U its z.
//
// The adversary is the server together with c <= f = ceil(Corrupt*n) clients
// fixed before the draw; the h = n-c others are honest. It sees the graph before
// it decides anything else: whose shares arrive, whom it reports gone, U, and who
// gets to answer. It cannot steer an honest client's draw, so the honest draws
// are independent and uniform whatever it does. Whether corrupt clients draw
// honestly does not matter.
//
// The shape of the analysis follows Bell, Bonawitz, Gascon, Lepoint, Raykova:
// Secure Single-Server Aggregation with (Poly)Logarithmic Overhead, CCS 2020
// (eprint 2020/704), in the variant for a malicious server, where each client draws
// its own neighbours. The quorum, rule 3 and the accounting (I) are additions.
//
// # Rules the protocol must follow
//
// The guarantees hold for honest clients that keep these rules.
//
//  1. An honest client signs at most one H(context, U), and answers only against
//     valid signatures of q admitted clients on one U, with q = floor((n+f)/2)+1.
//  2. It answers only if it is in U itself; a client left out, even one that sent
//     its input, does not answer.
//  3. It gives its share of another client's b only if that client confirmed to
//     it, together with the masked input, that the input bears a mask towards it.
//     (Sealing the shares of b with the input, to just the holders masked towards,
//     is one way.)
//  4. It puts a mask towards every out-neighbour that it was shown to have shared,
//     and neither signs nor answers if U holds an out-neighbour without one.
//  5. For each client whose shares it holds it gives exactly one: b if the client
//     is in U, z if not; once.
//
// For the masks to cancel, a client also puts one towards everybody whose share it
// accepted; secrecy does not depend on that.
//
// One U: honest clients sign once, the c corrupt ones as often as they like. Two
// quorums on different sets need 2q >= n+f+1 signatures and can have at most
// (n-c) + 2c = n+c <= n+f. So all honest answers go with one and the same U. (If
// t signatures of own out-neighbours were enough instead, as in the paper, two
// regions of the graph could answer for two sets.)
//
// # Conditions
//
// Hyp(N,M,k) is the number of marked ones among k drawn without replacement from N
// of which M are marked. The probability 2^-PrivacyBits, divided by Attempts since
// the server may make an attempt fail and have the graph drawn again, is split into
// a half for (S) and a quarter each for (C) and (I).
//
// (S) Secrecy: no honest client has both secrets rebuilt. Of its k holders
// the corrupt ones, x of them, may give both shares, an honest one gives one, so
// both come out only if (k-x) + 2x >= 2t. Hence over all honest clients
//
//	(n-f) P[Hyp(n-1,f,k) >= 2t-k] <= 2^-PrivacyBits / (2 Attempts).
//
// The left side is the largest over c <= f: going from c to c+1, the tail from x
// on grows at least by the factor of its first term, (c+1)(n-1-c-k+x) /
// ((c+1-x)(n-1-c)), which exceeds (n-c)/(n-c-1) unless x(n+1) < (k+1)f; and then x
// is no more than the likeliest value, whose probability is 1/(k+1) at least, so
// the condition fails. Given one U, rule 5 alone would do with x < t; the stronger
// condition is kept so that this does not rest on signatures.
//
// (C) One sum. Let H be the honest clients and R those of them that answer; R is
// in U by rule 2. No z of an honest member of U comes out, so its mask towards
// another one stays in every sum that does not hold both, and in every sum at all
// if the other end put none. What lies outside U changes nothing: z of those
// clients is known and their masks can be taken off, like those towards corrupt
// clients. A late client, which sent its input and was left out, loses z and keeps
// b by (S) and rule 5: its input stays hidden. So what can be shown are the sums
// over sets S of honest members of U such that all b in S are rebuilt and every
// honest member of U that someone in S put a mask towards is in S and put one back.
// The smallest such sets are disjoint, the others are unions of them. Call the
// smallest open.
//
// Let S be open and A = S with R its members that answer. Each v in S has t holders
// that gave its b. One that is honest is in R, and v put a mask towards it by rule
// 3, so it is in S. Hence every v in S, and so every v in A, has t of its k holders
// in A or corrupt: A is closed. A is not empty, or some v would have t >= 2t-k
// corrupt holders, against (S). Let the pool of A be A and all the corrupt clients.
// A given set A with a pool of a members is closed with probability p(a)^(a-c)
// exactly,
//
//	p(a) = P[Hyp(n-1, a-1, k) >= t],
//
// as each member draws on its own. The condition is
//
//	sum over a < q of max over c <= f of C(n-c, a-c) p(a)^(a-c)
//	    <= 2^-PrivacyBits / (4 Attempts).
//
// Then every such pool has q members or more. Two open sets have disjoint A and
// A', whose pools would have 2q > n+f members, counting the c corrupt twice; there
// are n+c. So at most one set is open: one sum is shown, no more.
// The maximum is at the largest c, f or a-1, while p(a) <= (a-c)/(n-c) there, since
// raising c by one changes the term by the factor ((a-c)/(n-c)) / p(a); otherwise
// the term exceeds 1/(n+1) and the condition fails. For f corrupt clients the sum
// runs over the sets of s = a-f clients, 1 <= s <= floor((n-f)/2), with C(n-f,s)
// p^s each: at most half of the honest ones, as of two disjoint sets one has.
//
// How much is in that sum. Carried on past q, the same sum gives the largest pool
// size P below which nothing opens: at least P-f honest inputs are in the sum,
// HonestFloor. It would be wrong to say that all honest members of U are in it: a
// server can choose U so as to cut a few of them off, show the sum of the rest and
// pretend nothing. But their number is small:
//
// (I) Isolation. Let T be the honest members of U outside the open set S. By rule 4
// whoever is in A put a mask towards each out-neighbour in U, so nobody in A has an
// out-neighbour in T. For given sets of P-c clients in A and j clients in T that has
// probability P[Hyp(n-1,j,k) = 0]^(P-c), so if
//
//	C(n-f, P-f) C(n-P, j) P[Hyp(n-1,j,k) = 0]^(P-f) <= 2^-PrivacyBits / (4 Attempts)
//
// (again the worst c is f if that probability is at most (P-f)/(n-f)), then T has
// fewer than j members. MaxIsolated is the least such j, less one. Parameters.
// HonestInSum combines both bounds; noise must be calibrated for its result and not
// for the size of U less the corrupt.
//
// (R) Success. If at most D = ceil(Dropout*n) clients, chosen without regard to
// the graph, fail to answer, then some client has fewer than t answering holders
// with probability at most
//
//	n P[Hyp(n-1, D, k) >= k-t+1] <= 2^-FailureBits.
//
// All n clients count, also those whose secrets turn out not to be needed, and all
// D drop-outs are among the n-1 others, which is the worse of the two cases for
// each. Corrupt clients count as answering unless they are among the D: one that
// wants the attempt to fail can do so with a wrong share anyway. Also n-D >= q.
//
// The complete graph, k = n-1, is the special case without chance: t =
// floor((k+f)/2)+1, pools below t+1 cannot open, nobody is isolated, and n-D-1 >=
// t is needed. It is used below 150 clients, where it is cheap, and wherever no
// sparse graph will do.
//
// Fewer than 16 clients are refused unless every party is named (CrossSilo), and
// fewer than 3 honest ones always: with two, either could subtract its own input
// from the published sum. With three or more named parties the guarantees above
// hold as they stand, but a sum of so few inputs says much about each of them;
// only noise helps against that.
//
// # What is not covered
//
// Corruption after the draw is not covered, nor a roster filled with invented
// clients beyond f: who is admitted is the enrolment authority's matter. The
// probabilities are for one session; several side by side, one a bucket, add up.
// Encryption, signatures and the masks' generator are taken as unbreakable.
//
// # Resulting sizes
//
// k / t for 2^-40, 2^-20 and 8 attempts, beside the Harary graph over a server's
// random permutation (which allows for no attempts and an honest draw):
//
//	corrupt, dropout   n=150    200      500      1000     2000     10000
//	.05, .05           25/17    29/20    45/32    52/37    56/40    62/44
//	  Harary                    30/21    44/31    52/37    56/40    62/44
//	.10, .10           44/30    55/38    83/58    97/68    109/76   122/85
//	  Harary                    56/39    82/57    96/67    106/74   122/85
//	.10, .30           104/60   133/77   275/163  417/249  560/335  792/474
//	  Harary                    134/78   276/164  414/247  552/330  778/465
//	.20, .20           91/61    117/79   221/151  306/209  378/258  487/332
//	  Harary                    118/80   220/150  302/206  374/255  482/328
//
// # Use
//
// Find turns a Spec into Parameters; the server and every client can run it and
// compare, since its arithmetic gives the same result on every platform. All
// functions are pure and may be called concurrently.
package graph
