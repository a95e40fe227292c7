package layers

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const here = "example.org/m"

// made returns a graph of packages of ours, relative to the module, and others.
// Any package that is imported and not listed is of another module, except that
// names without a dot in the first element are standard.
func made(imports map[string][]string) graph {
	g := graph{module: here, imports: map[string][]string{}, names: map[string]string{}, std: map[string]bool{}}
	full := func(p string) string {
		if _, ours := imports[p]; ours {
			return here + "/" + p
		}
		return p
	}
	for pkg, list := range imports {
		var paths []string
		for _, p := range list {
			paths = append(paths, full(p))
			if full(p) == p {
				g.imports[p] = nil
				g.std[p] = standard(p)
			}
		}
		g.imports[full(pkg)] = paths
	}
	return g
}

// standard is for the made-up paths of this file only.
func standard(path string) bool {
	switch path {
	case "fmt", "os", "os/exec", "net/http", "time", "sync", "sync/atomic", "crypto/rand", "math/rand/v2", "unsafe", "log/slog", "context":
		return true
	}
	return false
}

func TestLayoutOfTheDesignIsAccepted(t *testing.T) {
	g := made(map[string][]string{
		"fault":                 {"fmt"},
		"proto/choir/v1":        {"google.golang.org/protobuf/proto", "unsafe"},
		"proto/choir/v1/stubs":  {"proto/choir/v1", "google.golang.org/grpc"},
		"secagg/field":          {"fault"},
		"secagg":                {"fault", "secagg/field"},
		"secagg/pairwise":       {"secagg", "github.com/cloudflare/circl/kem/xwing"},
		"secagg/oneshot":        {"secagg", "github.com/tuneinsight/lattigo/v5/ring"},
		"coordinator/round":     {"secagg", "fmt"},
		"coordinator":           {"coordinator/round", "time", "sync", "context"},
		"coordinator/rpc":       {"coordinator", "proto/choir/v1/stubs"},
		"client":                {"secagg", "context", "time"},
		"client/grpctransport":  {"client", "proto/choir/v1/stubs"},
		"sim/model":             {"gonum.org/v1/gonum/mat"},
		"sim":                   {"coordinator", "client", "sim/model", "secagg/pairwise"},
		"cmd/choir":             {"cmd/choir/bench", "sim", "coordinator/rpc", "client/grpctransport", "secagg/oneshot", "github.com/spf13/cobra", "os"},
		"cmd/choir/bench":       {"os"},
		"internal/mutants":      {"os/exec"},
		"internal/layers":       nil,
		"secagg/secaggtest":     {"secagg", "secagg/field", "github.com/stretchr/testify/require"},
		"coordinator/store":     {"os", "fault"},
		"coordinator/robust":    {"fmt"},
		"dp/noise":              {"fmt"},
		"dp":                    {"dp/noise"},
		"dp/account":            {"dp", "gonum.org/v1/gonum/stat/distuv"},
		"client/example/basics": {"client/grpctransport", "secagg/pairwise"},
	})
	require.Empty(t, g.violations())
}

func TestEachKindOfViolationIsFound(t *testing.T) {
	for _, c := range []struct {
		name    string
		imports map[string][]string
		want    []string // prefixes of the lines, one each
	}{
		{"upward import", map[string][]string{"secagg": {"coordinator/cohort"}, "coordinator/cohort": nil},
			[]string{
				"secagg imports coordinator/cohort, which is not below it",
				"secagg needs coordinator/cohort (secagg -> coordinator/cohort): clients and schemes",
				"secagg needs coordinator/cohort (secagg -> coordinator/cohort): the vocabulary",
			}},
		{"sideways import", map[string][]string{"secagg/pairwise": {"secagg/plain"}, "secagg/plain": nil},
			[]string{"secagg/pairwise imports secagg/plain, which is not below it"}},
		{"no place", map[string][]string{"gossip": nil}, []string{"gossip has no place in the order"}},
		{"the root", map[string][]string{"fault": nil, "gossip/inner": {"fault"}}, []string{"gossip/inner has no place"}},
		{"a name that says nothing", map[string][]string{"internal/util": nil}, []string{"internal/util is called util"}},
		{"unsafe", map[string][]string{"sim": {"unsafe"}}, []string{"sim imports unsafe: memory safety"}},
		{"cgo", map[string][]string{"cmd/choir": {"C"}}, []string{"cmd/choir imports C: memory safety"}},
		{"I/O in a protocol package", map[string][]string{"secagg/pairwise": {"os/exec"}, "dp/ddp": {"net/http"}, "coordinator/plan": {"log/slog"}, "secagg/field": {"context"}},
			[]string{"coordinator/plan imports log/slog", "dp/ddp imports net/http", "secagg/field imports context", "secagg/pairwise imports os/exec"}},
		{"global coins in a protocol package", map[string][]string{"secagg/plain": {"crypto/rand"}, "dp/noise": {"math/rand/v2"}},
			[]string{"dp/noise imports math/rand/v2: coins", "secagg/plain imports crypto/rand: coins"}},
		{"a clock in the round machine", map[string][]string{"coordinator/round": {"time", "sync/atomic"}},
			[]string{"coordinator/round imports sync/atomic: time is", "coordinator/round imports time: time is"}},
		{"wire types in a domain package, through another", map[string][]string{
			"secagg/field": {"google.golang.org/protobuf/proto"}, "secagg/plain": {"secagg/field"}},
			[]string{
				"secagg/field needs google.golang.org/protobuf/proto (secagg/field -> google.golang.org/protobuf/proto): wire types",
				"secagg/plain needs google.golang.org/protobuf/proto (secagg/plain -> secagg/field -> google.golang.org/protobuf/proto): wire types",
			}},
		{"proto in the simulator", map[string][]string{"proto/choir/v1": nil, "sim": {"proto/choir/v1"}},
			[]string{"sim needs proto/choir/v1 (sim -> proto/choir/v1): wire types"}},
		{"rpc in the simulator", map[string][]string{"coordinator/rpc": nil, "sim": {"coordinator/rpc"}},
			[]string{"sim needs coordinator/rpc (sim -> coordinator/rpc): the simulator"}},
		{"lattigo elsewhere", map[string][]string{"secagg/oneshot": {"github.com/tuneinsight/lattigo/v5/ring"}, "coordinator": {"secagg/oneshot"}},
			[]string{"coordinator needs github.com/tuneinsight/lattigo/v5/ring (coordinator -> secagg/oneshot -> github.com/tuneinsight/lattigo/v5/ring): one package"}},
		{"gonum in the protocol", map[string][]string{"secagg/field": {"gonum.org/v1/gonum/mat"}},
			[]string{"secagg/field needs gonum.org/v1/gonum/mat"}},
		{"a test framework in the product", map[string][]string{"coordinator/store": {"github.com/stretchr/testify/require"}},
			[]string{"coordinator/store needs github.com/stretchr/testify/require"}},
		{"flags outside the command", map[string][]string{"sim": {"github.com/spf13/cobra"}}, []string{"sim needs github.com/spf13/cobra"}},
		{"the client's code in the coordinator", map[string][]string{"client": nil, "coordinator/rpc": {"client"}},
			[]string{"coordinator/rpc needs client (coordinator/rpc -> client): the coordinator does not know"}},
		{"a concrete scheme in the SDK core", map[string][]string{"secagg/plain": nil, "client": {"secagg/plain"}},
			[]string{"client needs secagg/plain (client -> secagg/plain): the SDK core is small"}},
		{"a library in the SDK core, through another", map[string][]string{"dp": {"example.com/lib"}, "client": {"dp"}},
			[]string{"client needs example.com/lib (client -> dp -> example.com/lib): the SDK core is small"}},
		{"a library in the vocabulary of schemes", map[string][]string{"secagg": {"github.com/cloudflare/circl/kem"}},
			[]string{"secagg needs github.com/cloudflare/circl/kem"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := made(c.imports).violations()
			require.Len(t, found, len(c.want), "%q", found)
			for i, want := range c.want {
				require.Contains(t, found[i], want)
			}
		})
	}
}

func TestPackageClauseMustSayWhatItIsFor(t *testing.T) {
	g := made(map[string][]string{"internal/shape": nil})
	g.names[here+"/internal/shape"] = "helpers"
	require.Equal(t, []string{"internal/shape is called helpers, which says nothing about what it is for"}, g.violations())
}
