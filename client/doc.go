// Package client is the SDK: it lets an app train a model on its own data and
// contribute to a sum that nobody can take apart.
//
// An app implements one method, [Trainer], and hands it to [New] with a
// [Transport] and what [Option] values configure: who it is, which schemes it
// accepts, what its own policy is. [Client.Run] then checks in with the
// coordinator, decides on what is offered, trains and uploads, until its context
// ends. A whole program is in docs/SDK.md.
//
// # What the device decides itself
//
// The coordinator is not trusted. A task is refused before anything but the
// check-in left the device unless the app handed in its scheme and the device's
// [Consent] allows its terms; [Limits], the default, allows no plan whose
// coordinator sees exact sums, and can demand a floor of noise. The device keeps an
// [Account] of what it contributes to and what that costs of its privacy, charged
// before an upload begins, whatever the coordinator claims became of it. It stops
// at the number that [WithLifetime] sets and refuses what [Limits] cannot afford,
// takes part in a job no more often than the plan says, and refuses a task whose
// privacy ledger is older than one it has seen. Everybody in a round must be
// enrolled by the pinned authority, the honest ones among them must be as many as
// the plan shares its noise among, and the model must be the one that the task names.
//
// # Restarts
//
// What a client resumes after a crash is its finished ciphertext, byte for byte,
// and never a secret with which it could make another: an update trained again
// and encrypted again under the same secrets would leak the difference. So an
// attempt whose secrets began to leave the device, and whose ciphertext was not
// yet durable, leaves a tombstone: it is not resumed, not begun again, and
// forgotten once it is over. [State] keeps these; [NewMemory], the default,
// forgets them with the process, and client/filestate keeps them in a directory.
//
// # Parts
//
// [Participant] is the protocol of one attempt as a pure state machine without
// clock, goroutine or I/O; the simulator drives the same one. [Client] is the
// driver around it. This package needs the standard library only and runs in a
// browser; client/grpctransport brings gRPC.
package client
