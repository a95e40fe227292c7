package auth

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// maxPEM is the largest PEM file that is read, in bytes.
const maxPEM = 1 << 20

const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY" // PKCS #8
)

// LoadAuthority reads a given authority: a certificate and its key in PEM, in two
// files or in one named twice.
func LoadAuthority(certFile, keyFile string) (*Authority, error) {
	certDER, err := readPEM(certFile, pemCertificate)
	if err != nil {
		return nil, err
	}
	keyDER, err := readPEM(keyFile, pemKey)
	if err != nil {
		return nil, err
	}
	defer clear(keyDER)
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, ErrAuthority.At("%s", certFile).Because(err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyDER)
	if err != nil {
		return nil, ErrAuthority.At("%s", keyFile).Because(err)
	}
	key, _ := parsed.(ed25519.PrivateKey) // of another kind: nil, which NewAuthority refuses
	a, err := NewAuthority(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", certFile, err)
	}
	return a, nil
}

// readPEM returns the first block of a kind.
func readPEM(name, kind string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, ErrAuthority.Because(err)
	}
	defer func() { _ = f.Close() }() // only read from
	b, err := io.ReadAll(io.LimitReader(f, maxPEM))
	if err != nil {
		return nil, ErrAuthority.Because(err)
	}
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return nil, ErrAuthority.At("%s", name).Because(fmt.Errorf("no PEM block %s", kind))
		}
		if block.Type == kind {
			return block.Bytes, nil
		}
	}
}

// OpenAuthority loads the authority kept in a directory, in the file
// authority.pem that only its owner may read, or generates one if there is none.
// Whoever holds that file can admit anybody: back it up, and keep it secret.
func OpenAuthority(dir string, now time.Time, coins io.Reader) (*Authority, error) {
	name := filepath.Join(dir, "authority.pem")
	if _, err := os.Stat(name); err == nil {
		return LoadAuthority(name, name)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	a, err := GenerateAuthority(now, coins)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := errors.Join(pem.Encode(&b, &pem.Block{Type: pemCertificate, Bytes: a.cert.Raw}),
		pem.Encode(&b, &pem.Block{Type: pemKey, Bytes: keyDER})); err != nil {
		return nil, err
	}
	if err := createFile(name, b.Bytes()); err != nil {
		return nil, err
	}
	// What is on the disk counts, should another process have been faster.
	return LoadAuthority(name, name)
}

// createFile makes a file durable and whole, or leaves one that is there already.
func createFile(name string, data []byte) error {
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // a leftover has no name that anybody reads
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
