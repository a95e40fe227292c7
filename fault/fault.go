// Package fault is the one error type of Choir: a value with a class, a stable
// code and the three parts of a message (what is wrong, where, what to do).
//
// Packages declare their refusals as sentinels with New and return them bound to
// a place with At or Because. errors.Is compares codes, so a refusal is still
// recognised after it crossed the wire. Text is rendered once, at the edge, by
// Error: one line, "where: what; do". Nothing secret belongs in a fault.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Class says what kind of refusal it is, and so what a caller may do about it.
// Values travel on the wire: never reorder or reuse one.
type Class uint8

const (
	// Internal is a fault of our own; its text does not leave the process.
	Internal Class = iota
	// Usage is a wrong flag, argument or configuration (exit code 2).
	Usage
	// Invalid is a malformed value or byte sequence; repeating it is useless.
	Invalid
	// Refused is a matter of policy: unsafe plan, withheld consent, spent budget (exit code 3).
	Refused
	// Conflict is a message for another state: stale, repeated with other content, too late.
	Conflict
	// NotFound names something that does not exist.
	NotFound
	// Unauthenticated means the caller did not prove who it is.
	Unauthenticated
	// Denied means the caller is known and may not do this.
	Denied
	// Exhausted means a limit was met; come back later.
	Exhausted
	// Unavailable is transient; the same call may succeed later.
	Unavailable
	// Aborted means the attempt or run this belongs to is over.
	Aborted
)

var classNames = [...]string{"internal", "usage", "invalid", "refused", "conflict", "not-found",
	"unauthenticated", "denied", "exhausted", "unavailable", "aborted"}

// String names the class; an unknown value reads as "internal".
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return classNames[Internal]
}

// Error is a classed error. The zero value is an internal fault without text.
// It is immutable: At and Because return copies. Safe for concurrent use.
type Error struct {
	Class Class
	Code  string // stable name, such as "pairwise/two-rosters"; compared by errors.Is
	What  string // what is wrong
	Where string // where: file and line, party, phase
	Do    string // what the reader can do about it
	cause error
}

// New makes a sentinel. code is unique in the module and never changes.
func New(class Class, code, what, do string) *Error {
	return &Error{Class: class, Code: code, What: what, Do: do}
}

// At returns the same refusal bound to a place, formatted as by fmt.Sprintf.
func (e *Error) At(format string, args ...any) *Error {
	c := *e
	c.Where = fmt.Sprintf(format, args...)
	return &c
}

// Because returns the same refusal with its cause attached.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// Error renders one line of valid UTF-8: "where: what (cause); do".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Where != "" {
		b.WriteString(e.Where + ": ")
	}
	b.WriteString(e.What)
	if e.cause != nil {
		fmt.Fprintf(&b, " (%v)", e.cause)
	}
	if e.Do != "" {
		b.WriteString("; " + e.Do)
	}
	return strings.ReplaceAll(strings.ToValidUTF8(b.String(), "\uFFFD"), "\n", " ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is a fault of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code != "" && t.Code == e.Code
}

// ClassOf returns the class of the outermost fault in err, Internal if there is none.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return Internal
}
