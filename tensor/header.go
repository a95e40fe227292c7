package tensor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// entry is one tensor as a header declares it; lo and hi are bytes of the data,
// 0 <= lo <= hi.
type entry struct {
	name   string
	shape  []int
	lo, hi int64
}

// parseHeader reads the JSON of a header, which must be one object that begins
// at the first byte and is followed by nothing but spaces. json.Unmarshal would
// let a repeated key win silently and so cannot be used.
func parseHeader(header []byte) ([]entry, error) {
	text := bytes.TrimRight(header, " ")
	switch {
	case len(text) == 0 || text[0] != '{':
		return nil, fmt.Errorf("%w: it does not begin with {", ErrHeader)
	case !utf8.Valid(text) || !json.Valid(text):
		return nil, fmt.Errorf("%w: not valid JSON in UTF-8", ErrHeader)
	}
	p := parser{json.NewDecoder(bytes.NewReader(text))}
	p.dec.UseNumber()
	var entries []entry
	err := p.object("header", func(name string) error {
		if name == metadataKey {
			return p.object(metadataKey, func(key string) error {
				_, err := p.text(metadataKey)
				return err
			})
		}
		e, err := p.entry(name)
		entries = append(entries, e)
		return err
	})
	return entries, err
}

// parser walks the tokens of a text already known to be valid JSON, so that
// only the kinds of the tokens remain to be checked.
type parser struct{ dec *json.Decoder }

func (p parser) entry(name string) (entry, error) {
	e := entry{name: name}
	where := "tensor " + quote(name)
	seen := 0
	err := p.object(where, func(key string) error {
		seen++
		switch key {
		case "dtype":
			dtype, err := p.text(where)
			if err == nil && dtype != "F32" {
				err = fmt.Errorf("%w: %s is %s", ErrDType, where, quote(dtype))
			}
			return err
		case "shape":
			dims, err := p.numbers(where, MaxValues)
			for _, dim := range dims {
				e.shape = append(e.shape, int(dim))
			}
			return err
		case "data_offsets":
			offsets, err := p.numbers(where, valueBytes*MaxValues)
			if err != nil {
				return err
			}
			if len(offsets) != 2 || offsets[0] > offsets[1] {
				return fmt.Errorf("%w: %s: data_offsets are not a begin and an end", ErrHeader, where)
			}
			e.lo, e.hi = offsets[0], offsets[1]
			return nil
		}
		return fmt.Errorf("%w: %s has an unknown key %s", ErrHeader, where, quote(key))
	})
	if err == nil && seen != 3 {
		err = fmt.Errorf("%w: %s needs dtype, shape and data_offsets", ErrHeader, where)
	}
	return e, err
}

// object reads an object and calls value for each key, in the order of the
// text; value must consume what belongs to the key.
func (p parser) object(where string, value func(key string) error) error {
	if err := p.open('{', where); err != nil {
		return err
	}
	seen := make(map[string]struct{})
	for p.dec.More() {
		key, err := p.text(where)
		if err != nil {
			return err
		}
		if _, again := seen[key]; again {
			return fmt.Errorf("%w: %s in %s", ErrDuplicate, quote(key), where)
		}
		seen[key] = struct{}{}
		if err := value(key); err != nil {
			return err
		}
	}
	return p.close(where)
}

// numbers reads an array of at most MaxRank whole numbers from 0 to limit.
func (p parser) numbers(where string, limit int64) ([]int64, error) {
	if err := p.open('[', where); err != nil {
		return nil, err
	}
	var numbers []int64
	for p.dec.More() {
		if len(numbers) == MaxRank {
			return nil, fmt.Errorf("%w: %s: a list of more than %d numbers", ErrHeader, where, MaxRank)
		}
		token, err := p.dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrHeader, where, err)
		}
		literal, ok := token.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%w: %s: a list holds something that is not a number", ErrHeader, where)
		}
		n, err := strconv.ParseUint(literal.String(), 10, 63)
		if err != nil || int64(n) > limit {
			return nil, fmt.Errorf("%w: %s: %s is not a whole number from 0 to %d", ErrHeader, where, quote(literal.String()), limit)
		}
		numbers = append(numbers, int64(n))
	}
	return numbers, p.close(where)
}

func (p parser) text(where string) (string, error) {
	token, err := p.dec.Token()
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrHeader, where, err)
	}
	text, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("%w: %s: a value that should be a string is not", ErrHeader, where)
	}
	return text, nil
}

func (p parser) open(want json.Delim, where string) error {
	token, err := p.dec.Token()
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrHeader, where, err)
	}
	if token != want {
		return fmt.Errorf("%w: %s: no %v where one belongs", ErrHeader, where, want)
	}
	return nil
}

// close consumes the end of an object or array; the text is valid JSON and
// there is nothing more in it, so it is there.
func (p parser) close(where string) error {
	if _, err := p.dec.Token(); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrHeader, where, err)
	}
	return nil
}

// quote makes text from a file fit for one line of an error.
func quote(text string) string {
	const longest = 80
	if len(text) > longest {
		return strconv.Quote(text[:longest]) + "..."
	}
	return strconv.Quote(text)
}
