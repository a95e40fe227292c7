package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/fault"
	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
)

func newTokenCommand() *cobra.Command {
	var f operatorFlags
	var client, operator, decryptor string
	var expires time.Duration
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make a one-time token with which a party enrols",
		Long: `Make a one-time token of enrolment, printed alone on standard output; it cannot be
shown again. It holds the fingerprint of the coordinator's authority, so that the
device knows whom it talks to from its first byte. Hand it over on a way that others
cannot read: who uses it first is the device.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req := &choirv1.CreateTokenRequest{Role: choirv1.Role_ROLE_CLIENT, Name: client, Seconds: uint32(expires / time.Second)}
			switch {
			case operator != "":
				req.Role, req.Name = choirv1.Role_ROLE_OPERATOR, operator
			case decryptor != "":
				req.Role, req.Name = choirv1.Role_ROLE_DECRYPTOR, decryptor
			}
			if expires < time.Second || expires > maxTokenLife {
				return errUsage.At("choir token: --expires %v", expires).Because(errors.New("use 1s to 2160h"))
			}
			return f.with(cmd, func(ctx context.Context, o *grpctransport.Operator) error {
				made, err := o.CreateToken(ctx, req)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "good once, until %s\n", made.GetExpires().AsTime().Format(time.RFC3339))
				_, err = fmt.Fprintln(cmd.OutOrStdout(), made.GetToken())
				return err
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&client, "client", "", "name that the device must take; needed to enrol a name anew (default: the device chooses)")
	cmd.Flags().StringVar(&operator, "new-operator", "", "make a token for another operator, of this name")
	cmd.Flags().StringVar(&decryptor, "decryptor", "", "make a token for a committee member, of its name in the committee file")
	cmd.Flags().DurationVar(&expires, "expires", 24*time.Hour, "how long the token is good, at most 2160h")
	cmd.MarkFlagsMutuallyExclusive("client", "new-operator", "decryptor")
	return cmd
}

// maxTokenLife is the longest that a coordinator lets a token be good.
const maxTokenLife = 90 * 24 * time.Hour

func newRevokeCommand() *cobra.Command {
	var f operatorFlags
	var client, operator, decryptor, reason string
	cmd := &cobra.Command{
		Use:   "revoke",
		Short: "Refuse a client, operator or committee member from now on",
		Long: `Refuse a party from now on: its certificates are worth nothing, its calls under way
end, and no attempt waits for it. What it has uploaded before stays in the sum:
nobody can take it out. A new token that is bound to its name admits it again.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if client == "" && operator == "" && decryptor == "" {
				return errUsage.At("choir revoke").Because(errors.New("name a party with --client, --old-operator or --decryptor"))
			}
			req := &choirv1.RevokeRequest{Role: choirv1.Role_ROLE_CLIENT, Name: client, Reason: reason}
			switch {
			case operator != "":
				req.Role, req.Name = choirv1.Role_ROLE_OPERATOR, operator
			case decryptor != "":
				req.Role, req.Name = choirv1.Role_ROLE_DECRYPTOR, decryptor
			}
			return f.with(cmd, func(ctx context.Context, o *grpctransport.Operator) error { return o.Revoke(ctx, req) })
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&client, "client", "", "name of the client to refuse")
	cmd.Flags().StringVar(&operator, "old-operator", "", "name of the operator to refuse")
	cmd.Flags().StringVar(&decryptor, "decryptor", "", "name of the committee member to refuse; it stays in the committee file")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	cmd.MarkFlagsMutuallyExclusive("client", "old-operator", "decryptor")
	return cmd
}

func newEnrollCommand() *cobra.Command {
	var e grpctransport.Enrolment
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "enroll --token TOKEN --address HOST:PORT --file choir.pem",
		Short: "Enrol this device with a token",
		Long: `Enrol this device: it makes its own key, which never leaves it, and the coordinator's
authority certifies it. The file appears when the enrolment is complete. If the
coordinator's answer is lost, the key waits in FILE.enrolling, and the same
command goes on with it.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if e.Token = cmp.Or(e.Token, os.Getenv("CHOIR_TOKEN")); e.Token == "-" {
				line, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 1<<10))
				if err != nil {
					return err
				}
				e.Token = strings.TrimSpace(string(line))
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			c, err := enrol(ctx, e)
			if err != nil {
				return metLast(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "enrolled as %s until %s in %s\n", c.Name(), c.Certificate.NotAfter.Format(time.RFC3339), e.File)
			return err
		},
	}
	cmd.Flags().StringVar(&e.Token, "token", "", "token of choir token; '-' reads it from standard input (default: $CHOIR_TOKEN)")
	cmd.Flags().StringVar(&e.Address, "address", os.Getenv("CHOIR_ADDRESS"), "host and port of the coordinator (default: $CHOIR_ADDRESS)")
	cmd.Flags().StringVar(&e.Name, "name", "", "name to enrol under: 1 to 64 characters a-z, 0-9, '.', '_', '-' (default: the one that the token is bound to)")
	cmd.Flags().StringVar(&e.File, "file", "choir.pem", "file for the credentials; must not exist")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to try when the coordinator cannot be reached")
	return cmd
}

// enrol enrols in such a way that the file of credentials appears when it is
// complete. An enrolment that was refused leaves nothing; one whose answer may have
// been lost leaves its key, since the token may be good for that key alone now.
func enrol(ctx context.Context, e grpctransport.Enrolment) (c grpctransport.Credentials, err error) {
	file := e.File
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return c, errors.Join(grpctransport.ErrEnrolled.At("%s", file), err)
	}
	e.File += ".enrolling"
	if c, err = grpctransport.Load(e.File); err != nil { // else only the last step is missing
		_, before := os.Lstat(e.File)
		if c, err = grpctransport.Enrol(ctx, e); err != nil {
			if errors.Is(before, fs.ErrNotExist) && refusal(err) {
				err = errors.Join(err, remove(e.File))
			}
			return c, err
		}
	}
	if err := os.Rename(e.File, file); err != nil {
		return c, err
	}
	return c, syncDir(filepath.Dir(file))
}

// metLast reduces an enrolment that ran out of time to what it met last.
func metLast(err error) error {
	last := err
	if errors.Is(err, context.DeadlineExceeded) {
		for f := (*fault.Error)(nil); errors.As(err, &f); err = f.Unwrap() {
			last = f
		}
	}
	return last
}

// refusal reports whether an enrolment failed for good, before or by an answer.
func refusal(err error) bool {
	switch fault.ClassOf(err) {
	case fault.Unavailable, fault.Exhausted, fault.Internal, fault.Aborted:
		return false
	}
	return true
}

// remove removes a file that may not be there.
func remove(file string) error {
	if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
