package secagg

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func sampleBinding() Binding {
	return Binding{Round: RoundID{"job", 3, 2}, Plan: Hash("plan"), Model: Hash("model"), Roster: Hash("roster"),
		Scheme: "pairwise", Parameters: []byte{1, 2, 3}}
}

func TestContextChangesWithEachPartOfTheBinding(t *testing.T) {
	seen := map[Digest]string{sampleBinding().Context(): "sample"}
	for name, change := range map[string]func(*Binding){
		"job":                func(b *Binding) { b.Round.Job = "other" },
		"round":              func(b *Binding) { b.Round.Round++ },
		"attempt":            func(b *Binding) { b.Round.Attempt++ },
		"round as attempt":   func(b *Binding) { b.Round.Round, b.Round.Attempt = b.Round.Attempt, b.Round.Round },
		"plan":               func(b *Binding) { b.Plan[0] ^= 1 },
		"model":              func(b *Binding) { b.Model[31] ^= 1 },
		"roster":             func(b *Binding) { b.Roster[5] ^= 1 },
		"committee":          func(b *Binding) { b.Committee[0] = 1 },
		"scheme":             func(b *Binding) { b.Scheme = "plain" },
		"parameters":         func(b *Binding) { b.Parameters = []byte{1, 2} },
		"no parameters":      func(b *Binding) { b.Parameters = nil },
		"part of an attempt": func(b *Binding) { b.Within[0] = 1 },
		"fallback":           func(b *Binding) { b.Fallback = true },
		"authority":          func(b *Binding) { b.Authority[9] = 1 },
		"clip norm":          func(b *Binding) { b.ClipNorm = 1 },
		"another clip norm":  func(b *Binding) { b.ClipNorm = 2 },
		"length of ledger":   func(b *Binding) { b.Ledger.Count = 1 },
		"head of ledger":     func(b *Binding) { b.Ledger.Digest[31] = 1 },
		"centre":             func(b *Binding) { b.Centre[3] = 1 },
		"model as plan":      func(b *Binding) { b.Plan, b.Model = b.Model, b.Plan },
	} {
		b := sampleBinding()
		change(&b)
		require.NotContains(t, seen, b.Context(), name)
		seen[b.Context()] = name
	}
}

func TestStatementIsBoundToSignerLabelContextAndParts(t *testing.T) {
	alice, context := enrolled("alice", 2), Hash("context")
	sig := Sign(signer(2), "choose", context, []byte("a"), []byte("b"))
	require.NoError(t, alice.VerifyStatement(sig, "choose", context, []byte("a"), []byte("b")))

	require.ErrorIs(t, enrolled("bob", 3).VerifyStatement(sig, "choose", context, []byte("a"), []byte("b")), ErrSignature, "signer")
	require.ErrorIs(t, alice.VerifyStatement(sig, "agree", context, []byte("a"), []byte("b")), ErrSignature, "label")
	require.ErrorIs(t, alice.VerifyStatement(sig, "choose", Hash("other"), []byte("a"), []byte("b")), ErrSignature, "context")
	require.ErrorIs(t, alice.VerifyStatement(sig, "choose", context, []byte("ab")), ErrSignature, "parts joined")
	require.ErrorIs(t, alice.VerifyStatement(sig, "choose", context, []byte("b"), []byte("a")), ErrSignature, "parts turned")
	require.ErrorIs(t, alice.VerifyStatement(sig, "choose", context, []byte("a"), []byte("b"), nil), ErrSignature, "one part more")
	require.ErrorIs(t, alice.VerifyStatement(nil, "choose", context, []byte("a"), []byte("b")), ErrSignature, "nothing")
	require.ErrorIs(t, alice.VerifyStatement(sig[:63], "choose", context, []byte("a"), []byte("b")), ErrSignature, "cut")
	require.ErrorIs(t, alice.VerifyStatement(append(sig, 0), "choose", context, []byte("a"), []byte("b")), ErrSignature, "longer")
	require.False(t, ed25519.Verify(public(signer(2)), append(context[:], "ab"...), sig), "no raw message is signed")
}

func TestRoundIDSurvivesItsEncodingAndRefusesZeroes(t *testing.T) {
	for _, id := range []RoundID{{"job", 1, 1}, {"j", 1<<31 - 1, 1<<31 - 1}} {
		back, err := DecodeRoundID(id.Encode())
		require.NoError(t, err)
		require.Equal(t, id, back)
	}
	require.Equal(t, "job/3/2", RoundID{"job", 3, 2}.String())
	for name, id := range map[string]RoundID{
		"no job": {"", 1, 1}, "job out of form": {"Job", 1, 1}, "long job": {strings.Repeat("j", 65), 1, 1},
		"round zero": {"job", 0, 1}, "attempt zero": {"job", 1, 0}, "round too large": {"job", 1 << 31, 1}, "attempt too large": {"job", 1, 1 << 31},
	} {
		_, err := DecodeRoundID(id.Encode())
		require.ErrorIs(t, err, ErrEncoding, name)
	}
}
