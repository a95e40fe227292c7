// Package rpc puts a coordinator on the network: gRPC over TLS 1.3 with a hybrid
// post-quantum key exchange. It converts, limits, authorises and maps errors, and
// hosts the engines of several runs on the wall clock; it decides nothing about
// rounds. Canonical messages of package secagg pass through it unread.
//
// A Server keeps each run in a directory of its own below Config.Dir and continues
// all of them when it is started again. Its callers prove themselves with a
// certificate of the registry's authority; a caller without one can do nothing but
// enrol. Possession of the certificate's key is proven by TLS; whether the
// certificate is good is decided for every call, so that one who was revoked or
// has expired is told so in words, and at once.
//
// Every stream has limits: how large a message and a transfer may be, how long the
// peer may keep the server waiting, how long a call may last, how many there may
// be from one party and in all, and how often they may come. A limit that was met
// is a fault of class Exhausted or Unavailable that says when to come back.
//
// All calls may be repeated. An answer to a step that is over is taken without
// effect and said to be superseded: the client asks what is due now.
package rpc
