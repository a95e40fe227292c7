// Package grpctransport connects a client with its coordinator: client.Transport
// over gRPC, TLS 1.3 with a hybrid post-quantum key exchange, and a certificate.
// The client dials out; nothing ever connects to it.
//
// A device enrols once with a token that its operator made (Enrol). The token
// holds the fingerprint of the coordinator's authority, so the device knows whom
// it talks to from the first byte, and a secret that the coordinator accepts once.
// The device makes its own key, which never leaves it. What it gets is kept in one
// file, which is replaced as a whole when the certificate is renewed:
//
//	creds, err := grpctransport.Enrol(ctx, grpctransport.Enrolment{Address: "fl.example.org:8443", Token: token, Name: "ward-7", File: "choir.pem"})
//	creds, err := grpctransport.Load("choir.pem") // at every later start
//	t, err := grpctransport.New(grpctransport.Config{Address: "fl.example.org:8443", Credentials: creds})
//	go t.KeepRenewed(ctx)
//
// Whatever can pass with time is tried again within the caller's context, after
// pauses that grow and are drawn at random: connections that cannot be made or
// break, and limits of which the coordinator says when to come back. Everything
// goes on where it stopped: Fetch at the offset it has written, Upload at the
// offset that the coordinator has, Receive after the step it was asked for. All
// other refusals are returned as fault.Error, as the coordinator made them.
package grpctransport
