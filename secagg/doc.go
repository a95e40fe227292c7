// Package secagg is the vocabulary of secure aggregation in Choir: parties and
// rosters, the context digest that everything in an attempt is bound to, the
// terms a client consents to, the canonical encoding, and the contracts between
// a scheme and those who drive it.
//
// A scheme lets a coordinator learn the sum of its clients' vectors and nothing
// else. It has three halves, all pure: they take values and bytes and return
// values and bytes; coins are an io.Reader argument.
//
//   - Party, on the client: answers instructions with messages, and seals the
//     client's vector once into a stream of bytes.
//   - Control, on the coordinator: a state machine over small canonical messages.
//     It sees who uploaded and the digest of what, never the bulk bytes.
//   - Accumulator, on the coordinator: adds uploads piece by piece and unmasks
//     the sums when Control hands it an Opening. Addition is modular, so the
//     order of uploads does not matter.
//
// Who drives them (the round machine, the engine, the client SDK) owns time,
// storage and transport, and is the same over a network and in the simulator.
package secagg
