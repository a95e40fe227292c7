// Package pairwise is secure aggregation by double masking over a sparse graph of
// clients: Bonawitz et al. (CCS 2017, with signed keys and the consistency round)
// over the graph of Bell et al. (CCS 2020), hardened against a coordinator that
// deviates. The coordinator learns the sum of the survivors' vectors, who took
// part and who dropped out when, and nothing else, as long as no more members are
// corrupt than declared. A small number of survivors may be cut off from the sum of
// a sparse graph unseen: graph.Parameters.HonestInSum says how many honest vectors
// are in it at least, and noise is to be calibrated for that number.
//
// # The masks
//
// Member i uploads, in Z_{2^w},
//
//	y_i = x_i + PRG(b_i) + sum over j > i of PRG(k_ij) - sum over j < i of PRG(k_ji)
//
// over its mask neighbours j. The pair masks cancel in the sum. To take off the
// self masks of those that stayed, and the pair masks of those that did not, the
// coordinator needs b_i of the former and z_j, from which j's side of every k
// follows, of the latter. Each member has split both among its out-neighbours, so
// that any Threshold of them, and no fewer, rebuild either. For one member at most
// one of the two may ever be released: both together reveal its vector.
//
// # Phases
//
//	advertise  each member sends two X-Wing public keys and H(b), signed. The mask
//	           key pair follows from z; the channel key pair is from fresh coins.
//	choose     each sees the list of digests of all advertisements and signs its
//	           digest A together with its own out-neighbours, drawn from its own
//	           coins: Degree of the whole roster. Nobody else can steer the graph.
//	share      each sees keys and choices of its neighbours, in both directions, and
//	           sends each neighbour one part: the shares, sealed to its channel key,
//	           if the sender chose it; an encapsulation to its mask key, with coins
//	           that follow from z, if the sender has the lower index.
//	upload     each learns who shared (U2), opens its parts, masks and uploads. The
//	           commit frame confirms for which U2 it masked.
//	agree      each learns who uploaded (U3) and signs (A, U2, U3), once.
//	unmask     against a quorum of such signatures, and the frame of every survivor
//	           whose shares it holds, each releases one share for every owner: of b
//	           if the owner is in U3, of z if not. There is nothing else that it
//	           could be asked for.
//	open       the coordinator rebuilds the secrets and compares each with what its
//	           owner advertised.
//
// # Why two survivor sets are never opened
//
// A quorum is floor((n+f)/2) + 1 of the n admitted members, f of them corrupt. Two
// quorums on different statements would need n + f + 1 signatures or more, and
// each of the n - f honest members signs one statement: there are n - f + 2f =
// n + f at most. So all honest members that release anything release it for the
// same A, U2 and U3, which is all that the proof of Bell et al. needs of its
// consistency round. This rule replaces the one in which a member counts the
// signatures of its own out-neighbours.
//
// That is not enough. A coordinator could tell some members of a smaller U2 than
// the one that the quorum signs: those would put no mask towards the others, and
// the others would open what they uploaded, as a sum of its own. Therefore a holder
// gives its share of b only against the owner's commit frame with the very U2 of
// the statement. Package graph states these rules and derives the conditions on
// degree and threshold under which at most one sum opens, and how many honest
// members are in it. Another of the rules is that a member masks towards every
// out-neighbour that survives, which it does: an out-neighbour in U2 whose part is
// missing makes it leave.
//
// Both the statement and its signature survive a restart of the client, because
// the record is durable before the signature leaves; so does the answer of phase
// unmask. What was answered is repeated byte for byte and never replaced.
//
// # Which signatures are verified by whom
//
// The coordinator verifies each message as it comes, so that a faulty one costs
// its sender alone. A client verifies what others' safety hangs on: the choice of
// each neighbour, which also vouches for the neighbour's keys (an honest member
// signs only a list that holds its own advertisement unchanged, so the signature
// on the advertisement would add nothing here); the part of each neighbour, by one
// signature over the root of a tree of all its parts; and the quorum.
//
// # Cheating members
//
// Shares that do not open are the fault of their sender, under its signature. The
// receiver leaves that owner out of its answer, and the attempt goes on while
// enough good shares are left. Wrong answers are corrected as a Reed-Solomon word.
// A secret that then misses its commitment ends the attempt; where no f corrupt
// holders could have caused what is seen, the owner is named (secagg.Blame). A
// member that masks wrongly is found by the known answers, words that every member
// appends and whose sum is known, but not named. A client that finds itself
// deceived by the coordinator leaves with an error that says how.
//
// # Costs
//
// A client at degree k has k mask neighbours on the complete graph and about 2k on
// a sparse one. It does two X-Wing operations for each out-neighbour, one more and
// two signature checks for each mask neighbour, one check for each member of the
// quorum, and expands one mask for each mask neighbour and one for itself. Its
// messages have about 2.4 kB a neighbour each way; the coordinator holds them until
// the attempt ends, beside 4 bytes a word for the sum. Its unmasking costs one expansion for each survivor
// and one for each survivor among the neighbours of each member that vanished.
//
// Nothing here starts a goroutine, reads a clock or keeps state between calls.
package pairwise
