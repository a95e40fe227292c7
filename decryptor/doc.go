// Package decryptor is a committee member as a service: it helps to open the sums of
// its jobs, and by refusing keeps everybody else from opening anything else.
//
// A committee member is an organisation of its own with a long-lived key, named in a
// committee file that clients pin. It sees who takes part, never an update and never
// a sum. The coordinator is not trusted: the member holds what it is offered against
// its own [Policy], and gives one answer to an attempt, whatever it is asked.
//
// # What a member decides itself
//
// A task is refused, before anything was announced, unless it is of one of the
// member's jobs, names the member's own committee, and opens no sum of fewer clients
// than [Limits] allow. Every client in the roster must be enrolled by the pinned
// authority. What the scheme demands beyond that, its party checks.
//
// # What a member must not forget
//
// One record per job says in which attempt the member took part last, and holds what
// it promised there. It is durable before anything that depends on it leaves. A member
// announces itself for rising attempts only: for one that is not later than the
// recorded one it never announces again, unless it is that very one, which it then
// resumes from its record. So a member that lost its records, or got old ones back
// from a backup, can be made to answer an attempt twice: whoever operates it must
// treat its state as what it is, a memory of promises, and replace the member's key
// when the state is lost. [State] keeps the records; decryptor/filestate keeps them in
// a directory.
//
// # Epochs
//
// The keys that clients encrypt to live for an epoch. The [Decryptor] draws a new one
// at an interval, keeps the one before for attempts that began under it, and erases
// older ones: what was sent to the member in an epoch that is over cannot be opened
// any more, by nobody. The interval must be longer than attempts last.
//
// # Parts
//
// [Participant] is one attempt as a pure state machine without clock, goroutine or
// I/O. [Decryptor] is the driver around it: it reaches the coordinator over a
// [Transport], which client/grpctransport implements.
package decryptor
