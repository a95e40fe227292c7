package secagg

import (
	"crypto/ed25519"
	"crypto/sha256"
	"hash"
	"io"
)

// Commit is the frame that completes an upload: what was sent, under the
// client's signature. Nothing is added to a sum before its commit verified.
type Commit struct {
	Content Digest // SHA-256 of the uploaded bytes
	Size    int64
	// Bound is a digest that a scheme lets the commitment also stand for; zero if none.
	Bound Digest
	// Detail is what Bound is the digest of (BoundTo), where others than the
	// coordinator need it: it travels beside the signed body. Nil if none.
	Detail []byte
}

// BoundTo is the Bound of a commitment with a detail.
func BoundTo(detail []byte) Digest { return Hash("choir upload detail/1", detail) }

// MaxUpload is the largest upload in bytes.
const MaxUpload = 1 << 34

const commitLabel = "upload"

func (c Commit) encode() []byte {
	var e Encoder
	e.Digest(1, c.Content)
	e.Uint(2, uint64(c.Size))
	if c.Bound != (Digest{}) {
		e.Bytes(3, c.Bound[:])
	}
	return e.Encoded()
}

// SignCommit returns the signed frame. A detail sets Bound.
func SignCommit(key ed25519.PrivateKey, context Digest, c Commit) []byte {
	if c.Detail != nil {
		c.Bound = BoundTo(c.Detail)
	}
	body := c.encode()
	var e Encoder
	e.Bytes(1, body)
	e.Bytes(2, Sign(key, commitLabel, context, body))
	e.Bytes(3, c.Detail)
	return e.Encoded()
}

// OpenCommit verifies a frame against the member that must have signed it.
func OpenCommit(member Identity, context Digest, frame []byte) (Commit, error) {
	d := NewDecoder(frame)
	body, sig, detail := d.Bytes(1), d.Bytes(2), d.Bytes(3)
	if err := d.Close(); err != nil {
		return Commit{}, err
	}
	if err := member.VerifyStatement(sig, commitLabel, context, body); err != nil {
		return Commit{}, err
	}
	return decodeCommit(body, detail)
}

// PeekCommit parses a frame without verifying its signature, for the transport
// that must know what it stores before the round machine judges it.
func PeekCommit(frame []byte) (Commit, error) {
	d := NewDecoder(frame)
	body := d.Bytes(1)
	d.Bytes(2)
	detail := d.Bytes(3)
	if err := d.Close(); err != nil {
		return Commit{}, err
	}
	return decodeCommit(body, detail)
}

func decodeCommit(body, detail []byte) (Commit, error) {
	d := NewDecoder(body)
	c := Commit{Content: d.Digest(1), Size: d.Size(2, MaxUpload)}
	if b := d.Bytes(3); b != nil {
		if len(b) != len(c.Bound) || Digest(b) == (Digest{}) {
			return Commit{}, ErrEncoding.At("commit frame")
		}
		c.Bound = Digest(b)
	}
	if detail != nil {
		if c.Bound != BoundTo(detail) {
			return Commit{}, ErrEncoding.At("detail of a commit frame")
		}
		c.Detail = detail
	}
	return c, d.Close()
}

// CommitWriter passes bytes on to an upload and digests them on the way.
type CommitWriter struct {
	out  io.Writer
	hash hash.Hash
	size int64
}

// NewCommitWriter starts an upload.
func NewCommitWriter(out io.Writer) *CommitWriter {
	return &CommitWriter{out: out, hash: sha256.New()}
}

// Write implements io.Writer.
func (w *CommitWriter) Write(p []byte) (int, error) {
	n, err := w.out.Write(p)
	w.hash.Write(p[:n])
	w.size += int64(n)
	return n, err
}

// Commit returns what was written so far.
func (w *CommitWriter) Commit() Commit {
	c := Commit{Size: w.size}
	w.hash.Sum(c.Content[:0])
	return c
}
