package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shown finds the lines of an example that show a default.
var shown = regexp.MustCompile(`(?m)^( *)#([a-z_]+:)`)

// The examples under deploy show every key there is, with values that are accepted.
func TestExampleConfigurationsAreCompleteAndAccepted(t *testing.T) {
	coordinator, client, decryptor := &coordinatorConfig{}, &clientConfig{}, &decryptorConfig{}
	for name, into := range map[string]any{"coordinator.yaml": coordinator, "client.yaml": client, "decryptor.yaml": decryptor} {
		path := filepath.Join("..", "..", "deploy", name)
		require.NoError(t, readConfig(path, into), "as it is")
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		whole := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(whole, shown.ReplaceAll(text, []byte("$1$2")), 0o600))
		require.NoError(t, readConfig(whole, into), "with all defaults spelled out")
		requireKeys(t, string(text), reflect.TypeOf(into).Elem())
	}
	require.NoError(t, coordinator.check("coordinator.yaml"))
	client.Trainer = "" // shown beside data, where only one of them can be
	require.NoError(t, client.check("client.yaml"))
	require.NoError(t, decryptor.check("decryptor.yaml"))
}

// requireKeys demands that each key of a configuration occurs in an example.
func requireKeys(t *testing.T, example string, of reflect.Type) {
	t.Helper()
	for i := range of.NumField() {
		f := of.Field(i)
		require.Regexp(t, `[\n{ #]`+f.Tag.Get("yaml")+`:`, example, "key %s", f.Name)
		under := f.Type
		if under.Kind() == reflect.Pointer {
			under = under.Elem()
		}
		if under.Kind() == reflect.Struct {
			requireKeys(t, example, under)
		}
	}
}

func TestSizesAndDurationsAreReadStrictly(t *testing.T) {
	type values struct {
		Size byteSize `yaml:"size"`
		Time duration `yaml:"time"`
	}
	read := func(text string) (values, error) {
		path := filepath.Join(t.TempDir(), "c.yaml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		var v values
		return v, readConfig(path, &v)
	}
	for text, want := range map[string]values{
		"":                        {},
		"# nothing\n":             {},
		"size: 17":                {Size: 17},
		"size: 64GiB":             {Size: 64 << 30},
		"size: \"3 MiB\"":         {Size: 3 << 20},
		"size: 8388607TiB":        {Size: 8388607 << 40},
		"time: 90s":               {Time: 90e9},
		"time: 1h30m\nsize: 1KiB": {Time: 5400e9, Size: 1 << 10},
	} {
		got, err := read(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for text, says := range map[string]string{
		"size: 8388608TiB":                  "[1:7]",
		"\nsize: -1":                        "[2:7]",
		"size: 3GB":                         "3GB",
		"size: 3.5GiB":                      "3.5GiB",
		"size: [1]":                         "[1:7]",
		"time: 90":                          "90",
		"time: -3s":                         "[1:7]",
		"time: {a: 1}":                      "[1:",
		"size: 1\nsize: 2":                  "[2:1]",
		"other: 1":                          "[1:1]",
		"size: 1\n---\nsize: 2":             "more than one document",
		"- 1":                               "[1:1]",
		strings.Repeat("# long\n", 200_000): "longer than 1 MiB",
	} {
		_, err := read(text)
		require.ErrorIs(t, err, errConfig, text)
		require.Contains(t, err.Error(), says)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestValuesOfAnotherTypeAreRefusedWithTheirLine(t *testing.T) {
	read := func(text string, into any) error {
		path := filepath.Join(t.TempDir(), "c.yaml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return readConfig(path, into)
	}
	for text, says := range map[string]string{
		"consent:\n  min_shares: 1.5\n":            `[2:15] consent.min_shares: "1.5" is not a whole number in decimal`,
		"consent:\n  min_shares: 1.0\n":            "[2:15]",
		"consent: {lifetime: \"5\"}\n":             `"5" is not a whole number`,
		"consent: {lifetime: 0x10}\n":              "0x10",
		"consent: {lifetime: 1e3}\n":               "1e3",
		"consent: {lifetime: 017}\n":               "017",
		"consent: {lifetime: 1_000}\n":             "1_000",
		"consent: {lifetime: 9999999999999999999}": "[1:21]",
		"consent:\n\n  lifetime:\n":                "without a value",
		"consent:\n  lifetime: ~\n":                "without a value",
		"consent: {lifetime_epsilon: .nan}\n":      "a number in decimal",
		"consent: {lifetime_epsilon: .inf}\n":      "a number in decimal",
		"consent: {lifetime_epsilon: 1e400}\n":     "[1:29]",
		"consent: {lifetime_epsilon: true}\n":      "[1:29]",
		"consent: {trust_coordinator: yes}\n":      "[1:30]",
		"consent: {trust_coordinator: \"true\"}\n": "[1:30]",
		"consent: {trust_coordinator: 1}\n":        "[1:30]",
		"consent: {max_model: }\n":                 "[1:",
		"consent: {jobs: a}\n":                     "[1:",
		"data: {of: 16.5, index: 0}\n":             "16.5",
		"consent: {minimum: &a 9, lifetime: *a}\n": "[1:",
		"consent: 5\n":                             "[1:10]",
	} {
		err := read(text, &clientConfig{})
		require.ErrorIs(t, err, errConfig, text)
		require.Contains(t, err.Error(), says, text)
		require.NotContains(t, err.Error(), "\n")
	}
	require.ErrorContains(t, read("address: a\nconsent:\n  minimum: 1.5\n", &decryptorConfig{}), "[3:12]")

	c := clientConfig{}
	require.NoError(t, read("consent: {minimum: 9, lifetime_epsilon: 2, trust_coordinator: true, jobs: [a, b], max_model: 3MiB}\nlog:\n", &c))
	require.Equal(t, consentConfig{Minimum: 9, LifetimeEpsilon: 2, TrustCoordinator: true, Jobs: []string{"a", "b"}, MaxModel: 3 << 20}, c.Consent)
}
