// Package processes holds the tests that run Choir as it is deployed: the real
// choir binary as coordinator and operator, and clients in processes of their own,
// over loopback. It has no code of its own to import.
//
// Processes are killed with SIGKILL at named points and started again; nothing
// sleeps, everything waits for a line that a process printed. Where the order of
// events matters, a committee member is frozen with SIGSTOP, so that the phase waits
// for it meanwhile. The binaries are plain builds, also when the tests run under the
// race detector. A client here is the real SDK with the real transport; its trainer
// adds a known pattern, so that the model after each round tells whose updates are in
// it and whether they were added exactly. Committee members are the real binary.
//
// The whole of it, with 16 clients:
//
//	go test ./internal/processes
//
// The network figure, with 50 clients and a million coordinates:
//
//	go test ./internal/processes -run TestRoundsOutliveProcessesKilledAtEveryPhase -v -timeout 20m \
//	    -processes.clients 50 -processes.values 1000000 -processes.exchange 20s -processes.upload 90s
//
// The same with a committee of seven that opens the sums, a fifth of the clients and
// two members of which are killed:
//
//	go test ./internal/processes -run TestOneshotRoundsOutlive -v -processes.clients 50
//
// The coordinator's peak memory with 50 clients and ten million coordinates, as a
// multiple of the 4 bytes of each coordinate. The clients live in one process and
// take turns; their ciphertexts and the spool take about 4 GB of disk:
//
//	go test ./internal/processes -run '^$' -bench CoordinatorMemory -benchtime 1x -timeout 60m \
//	    -processes.clients 50 -processes.values 10000000
package processes
