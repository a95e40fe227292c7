package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client/grpctransport"
)

// started is a coordinator that runs in this process until stop is called.
type started struct {
	address string
	stop    func()
}

// startCoordinator serves what a directory holds and waits until the operator is
// enrolled, if that is due.
func startCoordinator(t *testing.T, dir string, enrols bool) started {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		cfg := coordinatorConfig{Listen: "127.0.0.1:0", DataDir: dir, Log: logConfig{Format: "json"}}
		err := serve(ctx, cfg, "test", w)
		w.CloseWithError(io.EOF)
		done <- err
	}()
	log := json.NewDecoder(r)
	var address string
	for {
		var line struct{ Msg, Address string }
		require.NoError(t, log.Decode(&line))
		if line.Msg == "serving" {
			address = line.Address
		}
		if line.Msg == "operator enrolled" || address != "" && !enrols {
			break
		}
	}
	go func() { _, _ = io.Copy(io.Discard, io.MultiReader(log.Buffered(), r)) }()
	return started{address, func() { cancel(); require.NoError(t, <-done) }}
}

func TestOperatorsCredentialsAreRenewedInTheirFile(t *testing.T) {
	dir := t.TempDir()
	c := startCoordinator(t, dir, true)
	defer c.stop()
	file := filepath.Join(dir, "operators", "operator.pem")
	creds, err := grpctransport.Load(file)
	require.NoError(t, err)
	require.NoError(t, os.Remove(file))
	require.NoError(t, operatorFlags{file: file, address: c.address}.renew(t.Context(), creds))
	again, err := grpctransport.Load(file)
	require.NoError(t, err)
	require.Equal(t, creds.Key, again.Key)
}

func TestOperatorIsEnrolledAnewOnlyIfTheFirstEnrolmentWasCutShort(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "operators", "operator.pem")
	startCoordinator(t, dir, true).stop()
	first, err := os.ReadFile(file)
	require.NoError(t, err)

	require.NoError(t, os.Rename(file, filepath.Join(dir, "moved.pem"))) // to where the operator works
	startCoordinator(t, dir, false).stop()
	require.NoFileExists(t, file)

	block, _ := pem.Decode(first) // the key, which is kept before anything else
	require.Equal(t, "PRIVATE KEY", block.Type)
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	c := startCoordinator(t, dir, true)
	defer c.stop()
	second, err := os.ReadFile(file)
	require.NoError(t, err)
	require.False(t, bytes.HasPrefix(second, pem.EncodeToMemory(block)), "another key")
	for name, good := range map[string]bool{file: true, filepath.Join(dir, "moved.pem"): false} {
		creds, err := grpctransport.Load(name)
		require.NoError(t, err)
		o, err := grpctransport.NewOperator(c.address, creds)
		require.NoError(t, err)
		_, err = o.Runs(t.Context())
		require.Equal(t, good, err == nil, err)
		require.NoError(t, o.Close())
	}
}
