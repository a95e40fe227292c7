package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/choir-fl/choir/fault"
)

// errConfig is a configuration file that cannot be used.
var errConfig = fault.New(fault.Usage, "choir/config", "configuration is refused", "correct the file")

// maxConfig is the largest configuration file in bytes.
const maxConfig = 1 << 20

// readConfig reads a file of strict YAML, one document: an unknown key is an error
// with its line, and so is a value of another type than the key's. What the file leaves
// out stays as it is. The path is used in errors.
func readConfig(path string, into any) error {
	file, err := os.Open(path)
	if err != nil {
		return errConfig.At("%s", path).Because(errors.Unwrap(err))
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err != nil {
		return errConfig.At("%s", path).Because(err)
	}
	if len(b) > maxConfig {
		return errConfig.At("%s", path).Because(errors.New("it is longer than 1 MiB"))
	}
	decoder := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict())
	if err := decoder.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		line, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
		return errConfig.At("%s", path).Because(errors.New(line))
	}
	var second any
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return errConfig.At("%s", path).Because(errors.New("it holds more than one document"))
	}
	if err := checkTypes(b, into); err != nil {
		return errConfig.At("%s", path).Because(err)
	}
	return nil
}

// beside makes a path in a configuration file relative to that file.
func beside(config, path string) string {
	if path == "" || filepath.IsAbs(path) || config == "" {
		return path
	}
	return filepath.Join(filepath.Dir(config), path)
}

// byteSize is a number of bytes: a plain number, or one with a unit, such as 64GiB.
type byteSize int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}}

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (s *byteSize) UnmarshalYAML(node ast.Node) error {
	text := node.GetToken().Value
	digits, unit := text, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			digits, unit = strings.TrimSpace(rest), u.bytes
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return wrongValue(node, "a size such as 64GiB: a number of bytes, KiB, MiB, GiB or TiB")
	}
	*s = byteSize(n * unit)
	return nil
}

// duration is a length of time such as 90s or 1h30m.
type duration time.Duration

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (d *duration) UnmarshalYAML(node ast.Node) error {
	v, err := time.ParseDuration(node.GetToken().Value)
	if err != nil || v < 0 {
		return wrongValue(node, "a length of time such as 90s or 1h30m")
	}
	*d = duration(v)
	return nil
}

// wrongValue says where a value is not what it should be.
func wrongValue(node ast.Node, wanted string) error {
	t := node.GetToken()
	return fmt.Errorf("[%d:%d] %.40q is not %s", t.Position.Line, t.Position.Column, t.Value, wanted)
}

// logConfig says how a program that serves logs on standard error.
type logConfig struct {
	Level  string `yaml:"level"`  // debug, info (default), warn, error
	Format string `yaml:"format"` // text (default) or json
}

// open makes the logger. where names the configuration in errors.
func (c logConfig) open(w io.Writer, where string) (*slog.Logger, error) {
	var options slog.HandlerOptions
	var level slog.Level
	if err := level.UnmarshalText([]byte(cmp.Or(c.Level, "info"))); err != nil {
		return nil, errConfig.At("%s: log.level %q", where, c.Level).Because(errors.New("known: debug, info, warn, error"))
	}
	options.Level = level
	switch c.Format {
	case "", "text":
		return slog.New(slog.NewTextHandler(w, &options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &options)), nil
	}
	return nil, errConfig.At("%s: log.format %q", where, c.Format).Because(errors.New("known: text, json"))
}
