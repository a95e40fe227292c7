package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/coordinator/auth"
	"github.com/choir-fl/choir/coordinator/rpc"
	"github.com/choir-fl/choir/coordinator/store/mem"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/tensor"
)

func TestTheManualShowsThisProgramWhole(t *testing.T) {
	program, err := os.ReadFile("main.go")
	require.NoError(t, err)
	manual, err := os.ReadFile("../../docs/SDK.md")
	require.NoError(t, err)
	require.Contains(t, string(manual), "```go\n"+string(program)+"```\n")
	require.Less(t, bytes.Count(program, []byte("\n")), 60)
}

// lineJob trains the line over three clients under the real protocol.
const lineJob = `
schema: choir.plan/1
job: line
model: {architecture: line, tensors: [{name: line, shape: [2]}]}
scheme: {name: pairwise, cross_silo: true}
cohort: {size: 3, minimum: 3}
rounds: {count: 2}
encoding: {clip_norm: 10}
training: {epochs: 1, batch_size: 1, learning_rate: 0.1}
privacy: {mode: none, trust_coordinator: true}
`

func TestTheProgramTrainsAModelWithTwoOthers(t *testing.T) {
	address, enrol := serve(t)
	admin, err := grpctransport.NewOperator(address, enrol(auth.RoleOperator, "admin", filepath.Join(t.TempDir(), "admin.pem")))
	require.NoError(t, err)
	defer admin.Close()
	schema, err := tensor.NewSchema([]tensor.Spec{{Name: "line", Shape: []int{2}}})
	require.NoError(t, err)
	var initial bytes.Buffer
	require.NoError(t, tensor.WriteSafetensors(&initial, tensor.Zero(schema)))
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		enrol(auth.RoleClient, name, filepath.Join(dir, name+".pem"))
	}
	size := int64(initial.Len())
	_, err = admin.StartRun(t.Context(), grpctransport.Run{Name: "line.yaml", Plan: []byte(lineJob), Model: &initial, ModelSize: size})
	require.NoError(t, err)

	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, name := range []string{"a", "b", "c"} {
		all.Go(func() {
			err := run(ctx, address, filepath.Join(dir, name+".pem"), filepath.Join(dir, name))
			if ctx.Err() == nil {
				t.Errorf("client %s: %v", name, err)
			}
		})
	}
	require.NoError(t, admin.Watch(t.Context(), "line", ignore)) // until the run is over
	stop()
	all.Wait()

	var trained bytes.Buffer
	require.NoError(t, admin.Export(t.Context(), "line", &trained))
	m, err := tensor.ReadSafetensors(&trained, 1<<10)
	require.NoError(t, err)
	mine := tensor.Zero(schema)
	task := secagg.Task{Terms: secagg.Terms{Training: secagg.Training{LearningRate: 0.1}}}
	for range 2 { // all have the same examples, so that their mean is what each of them learns alone
		_, err = line{x: []float32{0, 1, 2, 3}, y: []float32{1, 3, 5, 7}}.Train(t.Context(), mine, task)
		require.NoError(t, err)
	}
	require.InDeltaSlice(t, mine.Values(), m.Values(), 1e-3)
}

func ignore[M any](M) error { return nil }

// serve runs a coordinator on loopback until the test ends, and enrols its parties.
func serve(t *testing.T) (address string, enrol func(auth.Role, string, string) grpctransport.Credentials) {
	dir := t.TempDir()
	authority, err := auth.OpenAuthority(filepath.Join(dir, "authority"), time.Now(), rand.Reader)
	require.NoError(t, err)
	disk, err := mem.New(0).Open()
	require.NoError(t, err)
	registry, err := auth.OpenRegistry(authority, disk.Journal, rand.Reader)
	require.NoError(t, err)
	server, err := rpc.New(rpc.Config{Dir: filepath.Join(dir, "runs"), Registry: registry, Hosts: []string{"127.0.0.1"},
		Schemes: []secagg.ServerScheme{pairwise.Scheme{}}})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
	})
	address = listener.Addr().String()
	return address, func(role auth.Role, name, file string) grpctransport.Credentials {
		token, _, err := registry.NewToken(role, name, time.Hour, time.Now())
		require.NoError(t, err)
		c, err := grpctransport.Enrol(t.Context(), grpctransport.Enrolment{Address: address, Token: token, Name: name, File: file})
		require.NoError(t, err)
		return c
	}
}
