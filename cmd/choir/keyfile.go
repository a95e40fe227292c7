package main

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"filippo.io/age"
	"golang.org/x/term"

	"github.com/choir-fl/choir/fault"
)

var (
	// errKeyFile is a key file that cannot be used or made.
	errKeyFile = fault.New(fault.Usage, "choir/key-file", "key file is refused", "give the file that choir decryptor init has made, and its passphrase")
	// errPassphrase is a passphrase that is not there.
	errPassphrase = fault.New(fault.Usage, "choir/passphrase", "there is no passphrase", "name a file that holds it (--passphrase-file, passphrase_file or CHOIR_PASSPHRASE_FILE), or run the command on a terminal")
)

const (
	maxKeyFile = 1 << 16
	// scryptWork is the cost of a guess at a passphrase: 2^18 blocks, about a second
	// and 256 MiB, which is also the most that a key file may ask for.
	scryptWork = 18
	pemKey     = "PRIVATE KEY" // PKCS #8
)

// passphraseSource is where a passphrase comes from: the file, else that of the
// environment, else a terminal.
type passphraseSource struct {
	file string
	in   io.Reader
	out  io.Writer
}

// read returns the passphrase. twice asks a person again, for a key that is made.
func (s passphraseSource) read(twice bool) (string, error) {
	if file := cmp.Or(s.file, os.Getenv("CHOIR_PASSPHRASE_FILE")); file != "" {
		b, err := readPrivate(file)
		if err != nil {
			return "", errPassphrase.At("%s", file).Because(err)
		}
		defer clear(b)
		return checkPassphrase(file, bytes.TrimRight(b, "\r\n"))
	}
	f, ok := s.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", errPassphrase
	}
	ask := func(what string) ([]byte, error) {
		fmt.Fprint(s.out, what)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(s.out)
		return b, err
	}
	first, err := ask("Passphrase: ")
	if err != nil {
		return "", errPassphrase.Because(err)
	}
	defer clear(first)
	if twice {
		again, err := ask("The same again: ")
		if err != nil {
			return "", errPassphrase.Because(err)
		}
		defer clear(again)
		if !bytes.Equal(first, again) {
			return "", errPassphrase.Because(errors.New("the two are different"))
		}
	}
	return checkPassphrase("terminal", first)
}

func checkPassphrase(where string, b []byte) (string, error) {
	if len(b) == 0 || bytes.ContainsAny(b, "\r\n") {
		return "", errPassphrase.At("%s", where).Because(errors.New("it is empty, or more than one line"))
	}
	return string(b), nil
}

// readPrivate reads a small file that nobody but its owner can read.
func readPrivate(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o077 != 0 {
		return nil, fmt.Errorf("its mode is %v: make it a file that only its owner can read (chmod 600)", mode)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(b) > maxKeyFile {
		err = errors.New("it is longer than any key")
	}
	return b, err
}

// writeKey encrypts a signing key into a new file that only its owner can read, and
// makes it durable. A file that is there stays as it is.
func writeKey(file string, key ed25519.PrivateKey, passphrase string) error {
	sealed, err := sealKey(key, passphrase)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errKeyFile.At("%s", file).Because(errors.Unwrap(err))
	}
	_, err = f.Write(sealed)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return syncDir(filepath.Dir(file))
}

// sealKey writes a key as PKCS #8 in PEM, encrypted in the age format.
func sealKey(key ed25519.PrivateKey, passphrase string) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	text := pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der})
	defer clear(text)
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	to.SetWorkFactor(scryptWork)
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, to)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(text)
	err = errors.Join(err, w.Close()) // writes the end
	return sealed.Bytes(), err
}

// readKey decrypts the key that writeKey has written.
func readKey(file, passphrase string) (ed25519.PrivateKey, error) {
	sealed, err := readPrivate(file)
	if err == nil {
		var key ed25519.PrivateKey
		if key, err = openKey(sealed, passphrase); err == nil {
			return key, nil
		}
	}
	return nil, errKeyFile.At("%s", file).Because(err)
}

func openKey(sealed []byte, passphrase string) (ed25519.PrivateKey, error) {
	from, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	from.SetMaxWorkFactor(scryptWork)
	r, err := age.Decrypt(bytes.NewReader(sealed), from)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(r, maxKeyFile))
	defer clear(text)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != pemKey || len(rest) > 0 {
		return nil, errors.New("it holds no key")
	}
	defer clear(block.Bytes)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("it holds no Ed25519 key")
	}
	return key, nil
}
