package layers

// Names of our packages are relative to the module, "." is its root. A pattern
// that ends in "/..." means the package and all below it. A rule may name a
// package that does not exist yet.

// order lists our packages from the ground up. A package imports only packages
// of earlier lines; packages of one line do not import each other, except inside
// one "/..." pattern.
var order = [][]string{
	{"fault", "proto/...", "internal/parallel"},
	{"tensor", "secagg/field", "dp/noise", "internal/strictyaml"},
	{"dp"},
	{"dp/ddp"},
	{"secagg", "dp/account", "dp/mf"},
	{"secagg/bucketed", "secagg/pairwise/graph", "secagg/pairwise/shamir", "secagg/oneshot/rlwe", "secagg/oneshot/share"},
	{"secagg/plain", "secagg/pairwise", "secagg/oneshot"},
	{"secagg/secaggtest"},
	{"coordinator/audit", "coordinator/cohort", "coordinator/ledger", "coordinator/optimizer", "coordinator/robust", "coordinator/store"},
	{"coordinator/store/file", "coordinator/store/mem", "coordinator/store/storetest"},
	{"coordinator/plan"},
	{"coordinator/round"},
	{"coordinator"},
	{"coordinator/auth", "coordinator/dash", "coordinator/metrics"},
	{"client/datacheck"},
	{"client"},
	{"decryptor"},
	{"coordinator/rpc", "client/grpctransport", "client/filestate", "client/process", "decryptor/filestate"},
	{"sim/audit", "sim/dataset"},
	{"sim/model"},
	{"sim/adversary"},
	{"sim"},
	{"sim/matrix"},
	{"sim/report"},
	{"cmd/...", "client/example/..."},
	{"internal/..."},
}

// pure lists the protocol packages: values and bytes in, values and bytes out.
var pure = []string{
	"fault", "secagg", "secagg/field", "secagg/plain", "secagg/bucketed", "secagg/pairwise/...", "secagg/oneshot/...", "dp/...",
	"coordinator/plan", "coordinator/round", "coordinator/cohort", "coordinator/robust", "coordinator/ledger",
	"coordinator/optimizer",
}

// never lists what our packages must not import themselves, in any file that is built.
var never = []ban{
	{
		who:  []string{"./..."},
		what: []string{"unsafe", "C"},
		but:  []string{"proto/..."}, // generated code
		why:  "memory safety is a promise",
	},
	{
		who:  pure,
		what: []string{"os/...", "net/...", "io/ioutil", "log/...", "context", "syscall", "os/signal"},
		why:  "protocol packages do no I/O",
	},
	{
		who:  pure,
		what: []string{"crypto/rand", "math/rand/..."},
		why:  "coins are an io.Reader argument",
	},
	{
		who:  pure,
		what: []string{"internal/parallel"},
		why:  "protocol packages start no goroutine: who calls them hands one in",
	},
	{
		who:  []string{"coordinator/round"},
		what: []string{"time", "sync/..."},
		why:  "time is a field of an event, and one caller owns the machine",
	},
}

// reach lists what only some of our packages may need to be built, directly or
// through others.
var reach = []guarded{
	{
		what: []string{"proto/...", "google.golang.org/protobuf/...", "google.golang.org/grpc/..."},
		by:   []string{"proto/...", "coordinator/rpc", "client/grpctransport", "client/example/...", "cmd/..."},
		why:  "wire types are not domain types",
	},
	{
		what: []string{"github.com/tuneinsight/lattigo/..."},
		by:   []string{"secagg/oneshot/...", "client/example/...", "cmd/..."},
		why:  "one package owns that dependency; what wires the schemes together reaches it through that one",
	},
	{
		what: []string{"gonum.org/v1/gonum/..."},
		by:   []string{"sim/...", "dp/account", "coordinator/...", "cmd/..."},
		why:  "floating-point linear algebra is for models, accountants and robust rules",
	},
	{
		what: []string{"github.com/stretchr/testify/..."},
		by:   []string{"secagg/secaggtest", "coordinator/store/storetest", "secagg/oneshot/...", "client/example/...", "cmd/..."},
		why:  "a test framework has no place in a product binary (one reaches it through lattigo's ring, which imports it)",
	},
	{
		what: []string{"github.com/spf13/...", "github.com/schollz/..."},
		by:   []string{"cmd/..."},
		why:  "flags and progress bars belong to the command",
	},
	{
		what: []string{"coordinator/..."},
		by:   []string{"coordinator/...", "sim/...", "cmd/..."},
		why:  "clients and schemes do not know the coordinator's code",
	},
	{
		what: []string{"client/..."},
		by:   []string{"client/...", "decryptor/...", "sim/...", "cmd/..."},
		why:  "the coordinator does not know the client's code",
	},
	{
		what: []string{"coordinator/rpc", "client/grpctransport"},
		by:   []string{"coordinator/rpc", "client/grpctransport", "client/example/...", "cmd/..."},
		why:  "the simulator and the core run without a network",
	},
}

// whole lists packages with a complete list of what of ours they may need, and
// that may need nothing else but the standard library.
var whole = []closed{
	{
		who:  "client",
		ours: []string{"fault", "secagg", "secagg/field", "tensor", "dp", "dp/noise", "dp/ddp"},
		why:  "the SDK core is small, and the app hands it the schemes that it accepts",
	},
	{who: "tensor", ours: []string{"fault"}, why: "model files are read with the standard library only"},
	{who: "secagg", ours: []string{"fault", "secagg/field", "tensor", "dp", "dp/noise", "dp/ddp"}, why: "the vocabulary of schemes needs no library"},
}

// nameless are names that say nothing about what a package is for.
var nameless = []string{"util", "utils", "common", "core", "helper", "helpers", "types", "misc", "manager", "base", "shared"}
